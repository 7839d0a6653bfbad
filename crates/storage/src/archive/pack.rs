//! Files of a tree that others may be changing become entries of an archive.
//!
//! Every file is read through the directory that it was found in and never through a symlink. What is no file any more
//! when it is opened, or has become shorter than it said, is an error: an archive never lies about its content.

use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use corten_sys::path::Root;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::place::{self, Found};
use super::{Entry, Kind, Writer};
use crate::error::{At, Error};
use crate::steps::reached;
use crate::tree::{self, Mounts, Next};

/// Bytes of headers and small files that are written at once.
const BUFFER_BYTES: usize = 64 << 10;

/// Entries made of files.
pub(crate) struct Packer<'w> {
    writer: Writer<BufWriter<&'w mut dyn Write>>,
    /// The first name of every file with several, by its device and inode.
    links: HashMap<(u64, u64), Vec<u8>>,
}

impl<'w> Packer<'w> {
    pub fn new(out: &'w mut dyn Write) -> Self {
        let writer = Writer::new(BufWriter::with_capacity(BUFFER_BYTES, out));
        Self { writer, links: HashMap::new() }
    }

    /// The file `name` in the directory `at` as `path`. Sockets are left out: no archive has them.
    pub fn add(&mut self, at: BorrowedFd<'_>, name: &OsStr, stat: &Stat, path: &[u8]) -> Result<(), Error> {
        let shown = Path::new(OsStr::from_bytes(path));
        let kind = match tree::kind_of(stat) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Dir,
            FileType::Symlink => Kind::Symlink,
            FileType::CharacterDevice => Kind::Char,
            FileType::BlockDevice => Kind::Block,
            FileType::Fifo => Kind::Fifo,
            _ => return Ok(()),
        };
        if kind != Kind::Dir && stat.st_nlink > 1 {
            let id = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.links.get(&id) {
                let entry = Entry { link: first, ..Entry::new(path, Kind::Hardlink, stat.st_mode) };
                return self.writer.append(&with_attributes(entry, stat)).map_err(Error::WriteArchive);
            }
            self.links.insert(id, path.to_vec());
        }
        let xattrs = tree::xattrs(&tree::proc_path(at, name)).at("read the attributes of", shown)?;
        match kind {
            Kind::File => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let mut file = match rustix::fs::openat(at, name, flags, Mode::empty()) {
                    Err(Errno::NOENT) => return Ok(()),
                    other => File::from(other.at("open", shown)?),
                };
                let now = rustix::fs::fstat(&file).at("read the attributes of", shown)?;
                if tree::kind_of(&now) != FileType::RegularFile {
                    return Err(Error::Changed { path: shown.to_owned() });
                }
                let entry = Entry { size: now.st_size as u64, ..Entry::new(path, kind, now.st_mode) };
                self.append(entry, &now, &xattrs)?;
                self.writer.copy(&mut file).map_err(|e| match e.kind() {
                    io::ErrorKind::UnexpectedEof => Error::Changed { path: shown.to_owned() },
                    _ => Error::WriteArchive(e),
                })
            }
            Kind::Symlink => {
                let link = rustix::fs::readlinkat(at, name, Vec::new()).at("read the symlink", shown)?;
                self.append(Entry { link: link.to_bytes(), ..Entry::new(path, kind, 0o777) }, stat, &xattrs)
            }
            Kind::Char | Kind::Block => {
                let device = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
                self.append(Entry { device, ..Entry::new(path, kind, stat.st_mode) }, stat, &xattrs)
            }
            _ => self.append(Entry::new(path, kind, stat.st_mode), stat, &xattrs),
        }
    }

    /// An entry that no file stands behind: a mark.
    pub fn mark(&mut self, path: &[u8]) -> Result<(), Error> {
        self.writer.append(&Entry::new(path, Kind::File, 0o600)).map_err(Error::WriteArchive)
    }

    /// Ends the archive.
    pub fn finish(self) -> Result<(), Error> {
        self.writer.finish().map(drop).map_err(Error::WriteArchive)
    }

    fn append(&mut self, entry: Entry<'_>, stat: &Stat, xattrs: &[(CString, Vec<u8>)]) -> Result<(), Error> {
        let xattrs: Vec<(&[u8], &[u8])> =
            xattrs.iter().map(|(name, value)| (name.to_bytes(), value.as_slice())).collect();
        let entry = Entry { xattrs: &xattrs, ..with_attributes(entry, stat) };
        self.writer.append(&entry).map_err(Error::WriteArchive)
    }
}

fn with_attributes<'a>(entry: Entry<'a>, stat: &Stat) -> Entry<'a> {
    Entry {
        mode: entry.mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime_s: stat.st_mtime,
        mtime_ns: stat.st_mtime_nsec as u32,
        ..entry
    }
}

/// What of a tree is written.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Selection {
    /// From the root.
    pub path: std::path::PathBuf,
    /// What the entries are called instead; empty: a directory's content alone, as `./…`.
    pub name: Vec<u8>,
    /// If the path is a symlink, what it means.
    pub follow: bool,
}

/// Writes a file or a whole directory of `root` as an archive. Symlinks on the way are followed inside `root` only,
/// those below never; file systems that are mounted below are part of it.
pub fn write_tree(root: &Root, wanted: &Selection, out: &mut dyn Write) -> Result<(), Error> {
    let found = place::find(root, &wanted.path, wanted.follow).at("find", &wanted.path)?;
    reached("copy.found");
    let mut packer = Packer::new(out);
    match found {
        Found::Nothing { .. } => return Err(Errno::NOENT).at("find", &wanted.path),
        Found::Dir(dir) => {
            if tree::is_kernels_own(dir.as_fd()).at("look at", &wanted.path)? {
                return Err(Error::NotFiles { path: wanted.path.clone() });
            }
            whole_directory(dir, wanted, &mut packer)?;
        }
        Found::Other { parent, name, stat } => {
            if tree::is_kernels_own(parent.as_fd()).at("look at", &wanted.path)? {
                return Err(Error::NotFiles { path: wanted.path.clone() });
            }
            if tree::kind_of(&stat) == FileType::Socket {
                return Err(Error::Socket { path: wanted.path.clone() });
            }
            packer.add(parent.as_fd(), &name, &stat, &wanted.name)?;
        }
    }
    packer.finish()
}

fn whole_directory(dir: OwnedFd, wanted: &Selection, packer: &mut Packer<'_>) -> Result<(), Error> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let here = OsStr::new(".");
    let stat = rustix::fs::statat(&dir, here, flags).at("read the attributes of", &wanted.path)?;
    let top = if wanted.name.is_empty() { b"." } else { wanted.name.as_slice() };
    packer.add(dir.as_fd(), here, &stat, top)?;
    let is_root = wanted.path.components().all(|c| c == std::path::Component::RootDir);
    tree::walk(dir, &wanted.path, Mounts::Crossed, &mut |node| {
        let below = node.path.as_os_str().as_bytes();
        let path = if wanted.name.is_empty() { below.to_vec() } else { [top, below].join(&b'/') };
        packer.add(node.at, node.name, node.stat, &path)?;
        // A running container's devices are made at its start: they are no files of it.
        let is_dev = is_root && node.path == Path::new("dev") && node.stat.st_dev != stat.st_dev;
        Ok(if is_dev { Next::Over } else { Next::Into })
    })
}
