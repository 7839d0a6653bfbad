//! Entries of an archive become files in a tree that is there already, and that others may be changing: `cp`.
//!
//! Unlike a layer this tree is not ours alone, so every step goes by descriptors: a parent is opened without following
//! symlinks (those of an archive of a stranger lead nowhere) or inside the root only, a file is made anew and never
//! through what is there, and what is set on it is set through its descriptor.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use corten_sys::path::Root;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, StatxFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::Kind;
use super::place::{self, Destination};
use crate::error::{At, EntryProblem, Error};
use crate::limits::Limits;
use crate::steps::reached;
use crate::tar::{Archive, Entry, Feed, Source};
use crate::tree;

/// Bytes of directories' paths whose times are set at the end.
const REMEMBERED_BYTES_MAX: usize = 64 << 20;
/// Tries of making one file whose name somebody else takes again and again.
const TRIES: u32 = 16;
const SET_IDS: u32 = 0o6000;

/// To whom files belong that are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Owners {
    /// To whoever makes them. Set-id bits and capabilities stay only with files of the same owner, if at all.
    Own {
        /// Whether such files of the archive are as trusted as the maker's own.
        trusted: bool,
    },
    /// To those that the archive names.
    Kept,
}

/// What is to be done with an archive.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Extraction {
    /// Where to, as it was typed.
    pub path: PathBuf,
    /// The archive is a person's, for a directory that exists; else it was packed from one file or directory, and goes
    /// where `cp` puts that.
    pub stream: bool,
    /// To whom it belongs then.
    pub owners: Owners,
}

/// Reads `tar` to its end into `root`.
pub fn extract(root: &Root, wanted: &Extraction, tar: &mut dyn Read) -> Result<(), Error> {
    let mut archive = Archive::new(Source::new(Feed::Reader(tar), u64::MAX, None), copy_limits());
    let destination = if wanted.stream { Some(place::directory(root, &wanted.path)?) } else { None };
    let Some(first) = archive.next()? else { return Ok(()) };
    let destination = match destination {
        Some(destination) => destination,
        None => place::destination(root, &wanted.path, &first)?,
    };
    reached("copy.placed");
    let within = wanted.stream.then_some(root);
    let mut tree =
        Tree { destination, within, typed: &wanted.path, owners: wanted.owners, times: Vec::new(), bytes: 0 };
    tree.entry(&first, &mut archive)?;
    while let Some(entry) = archive.next()? {
        tree.entry(&entry, &mut archive)?;
    }
    tree.set_times()
}

/// A copy is bounded by its disk, not by us; what is held in memory is.
fn copy_limits() -> Limits {
    let bytes = u64::MAX / 2;
    Limits { entries: u64::MAX, stream_bytes: bytes, content_bytes: bytes, ..Limits::default() }
}

struct Tree<'a> {
    destination: Destination,
    /// Parents may be symlinks that are resolved in here.
    within: Option<&'a Root>,
    typed: &'a Path,
    owners: Owners,
    times: Vec<(PathBuf, Timestamps)>,
    bytes: usize,
}

impl Tree<'_> {
    fn entry(&mut self, entry: &Entry, archive: &mut Archive<'_>) -> Result<(), Error> {
        let path = self.destination.target(&entry.path).map_err(|p| problem(entry, p))?;
        let Some(name) = path.file_name().map(OsStr::to_owned) else {
            // The destination itself, which keeps what it is.
            return match entry.kind {
                Kind::Dir => Ok(()),
                _ => Err(problem(entry, EntryProblem::Root)),
            };
        };
        let parent = self.directory(path.parent().unwrap_or(Path::new("")), entry)?;
        let existing = match rustix::fs::statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(tree::kind_of(&stat)),
            Err(Errno::NOENT) => None,
            Err(e) => return Err(e).of("look at what is in the place of", entry),
        };
        match (existing, entry.kind) {
            (Some(FileType::Directory), Kind::Dir) | (None, Kind::Dir) => {
                self.dir(entry, &parent, &name, path)
            }
            (Some(_), Kind::Dir) => Err(problem(entry, EntryProblem::OverFile)),
            (Some(FileType::Directory), _) => Err(problem(entry, EntryProblem::OverDirectory)),
            (_, Kind::File) => self.file(entry, &parent, &name, archive),
            (_, Kind::Hardlink) => self.hard_link(entry, &parent, &name),
            (_, Kind::Symlink) => {
                let link = OsStr::from_bytes(&entry.link);
                anew(entry, &parent, &name, || rustix::fs::symlinkat(link, &parent, &name))?;
                self.attributes(entry, &parent, &name)
            }
            (_, Kind::Fifo) => self.node(entry, &parent, &name, FileType::Fifo, 0),
            (_, Kind::Char | Kind::Block) if self.owners == (Owners::Own { trusted: false }) => {
                Err(problem(entry, EntryProblem::DeviceCopied))
            }
            (_, Kind::Char) => self.node(entry, &parent, &name, FileType::CharacterDevice, device(entry)),
            (_, Kind::Block) => self.node(entry, &parent, &name, FileType::BlockDevice, device(entry)),
        }
    }

    /// The directory at `path` below the destination; one that no entry made is made.
    fn directory(&self, path: &Path, entry: &Entry) -> Result<OwnedFd, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let doing = "open the directory of";
        if let Some(root) = self.within {
            let full = self.typed.join(path);
            return match root.open_at(&full, flags, Mode::empty()) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    root.create_dirs(&full, Mode::from_raw_mode(0o755)).of(doing, entry)
                }
                other => other.of(doing, entry),
            };
        }
        self.destination.root.open_plain(path, flags, Mode::empty()).of(doing, entry)
    }

    fn dir(&mut self, entry: &Entry, parent: &OwnedFd, name: &OsStr, path: PathBuf) -> Result<(), Error> {
        match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e).of("make the directory", entry),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(parent, name, flags, Mode::empty()).of("open the directory", entry)?;
        self.own(entry, &fd)?;
        self.bytes += path.as_os_str().len();
        if self.bytes <= REMEMBERED_BYTES_MAX {
            self.times.push((path, times(entry)));
        }
        Ok(())
    }

    fn file(
        &mut self,
        entry: &Entry,
        parent: &OwnedFd,
        name: &OsStr,
        archive: &mut Archive<'_>,
    ) -> Result<(), Error> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = if is_mounted(parent, name) {
            mounted_file(entry, parent, name)?
        } else {
            anew(entry, parent, name, || rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR))?
        };
        let mut file = File::from(fd);
        match &entry.sparse {
            None => write_data(&mut file, entry.size, entry, archive)?,
            Some(segments) => {
                file.set_len(entry.size).of("set the size of", entry)?;
                for segment in segments {
                    file.seek(SeekFrom::Start(segment.offset)).of("write", entry)?;
                    write_data(&mut file, segment.length, entry, archive)?;
                }
            }
        }
        let fd = OwnedFd::from(file);
        self.own(entry, &fd)?;
        rustix::fs::futimens(&fd, &times(entry)).of("set the times of", entry)
    }

    fn hard_link(&mut self, entry: &Entry, parent: &OwnedFd, name: &OsStr) -> Result<(), Error> {
        let link = self.destination.target(&entry.link).map_err(|p| problem(entry, p))?;
        let no_target = || {
            let shown = String::from_utf8_lossy(&entry.link).into_owned();
            problem(entry, EntryProblem::NoTarget(shown))
        };
        let target = link.file_name().ok_or_else(no_target)?;
        let at = self.directory(link.parent().unwrap_or(Path::new("")), entry)?;
        anew(entry, parent, name, || rustix::fs::linkat(&at, target, parent, name, AtFlags::empty()))
            .map(drop)
    }

    fn node(
        &mut self,
        entry: &Entry,
        parent: &OwnedFd,
        name: &OsStr,
        kind: FileType,
        device: u64,
    ) -> Result<(), Error> {
        anew(entry, parent, name, || {
            rustix::fs::mknodat(parent, name, kind, Mode::RUSR | Mode::WUSR, device)
        })?;
        self.attributes(entry, parent, name)
    }

    /// Owner, mode and extended attributes of what is open.
    fn own(&self, entry: &Entry, fd: &OwnedFd) -> Result<(), Error> {
        let mut mode = entry.mode;
        if self.owners == Owners::Kept {
            let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
            rustix::fs::fchown(fd, Some(uid), Some(gid)).of("set the owner of", entry)?;
        } else if !self.keeps_set_ids(entry) {
            mode &= !SET_IDS;
        }
        for (key, value) in self.wanted_xattrs(entry) {
            match rustix::fs::fsetxattr(fd, OsStr::from_bytes(key), value, XattrFlags::empty()) {
                // Some file systems have none.
                Ok(()) | Err(Errno::NOTSUP) => {}
                Err(e) => return Err(e).of("set an attribute of", entry),
            }
        }
        // After chown and the attributes, which clear set-id bits.
        rustix::fs::fchmod(fd, Mode::from_raw_mode(mode)).of("set the mode of", entry)
    }

    fn keeps_set_ids(&self, entry: &Entry) -> bool {
        self.owners == (Owners::Own { trusted: true })
            && entry.uid == rustix::process::geteuid().as_raw()
            && entry.gid == rustix::process::getegid().as_raw()
    }

    fn wanted_xattrs<'e>(&self, entry: &'e Entry) -> impl Iterator<Item = (&'e [u8], &'e [u8])> {
        let all = self.owners == Owners::Kept;
        let wanted = entry
            .xattrs
            .iter()
            .filter(move |(name, _)| tree::is_portable(name) && (all || name.starts_with(b"user.")));
        wanted.map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// The same of what can't be opened without waking somebody: links, pipes, devices.
    fn attributes(&self, entry: &Entry, parent: &OwnedFd, name: &OsStr) -> Result<(), Error> {
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        if self.owners == Owners::Kept {
            let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
            rustix::fs::chownat(parent, name, Some(uid), Some(gid), nofollow)
                .of("set the owner of", entry)?;
        }
        if entry.kind != Kind::Symlink {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(parent, name, flags, Mode::empty()).of("open", entry)?;
            let stat = rustix::fs::fstat(&fd).of("look at", entry)?;
            if matches!(tree::kind_of(&stat), FileType::Symlink) {
                return Err(Errno::STALE).of("set the mode of", entry);
            }
            // By its own descriptor, whatever has the name by now.
            let path = format!("/proc/thread-self/fd/{}", fd.as_raw_fd());
            let mode = Mode::from_raw_mode(entry.mode & !SET_IDS);
            rustix::fs::chmod(path, mode).of("set the mode of", entry)?;
        }
        rustix::fs::utimensat(parent, name, &times(entry), nofollow).of("set the times of", entry)
    }

    /// Directories get their times when nothing is made in them any more; one that is elsewhere by now keeps its own.
    fn set_times(&self) -> Result<(), Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        for (path, times) in self.times.iter().rev() {
            if let Ok(fd) = self.destination.root.open_plain(path, flags, Mode::empty()) {
                rustix::fs::futimens(&fd, times).at("set the times of", path)?;
            }
        }
        Ok(())
    }
}

/// Runs `make`, removing what is in its way.
fn anew<T>(
    entry: &Entry,
    parent: &OwnedFd,
    name: &OsStr,
    mut make: impl FnMut() -> Result<T, Errno>,
) -> Result<T, Error> {
    for _ in 0..TRIES {
        match make() {
            Err(Errno::EXIST) if is_mounted(parent, name) => return Err(Errno::BUSY).of("replace", entry),
            Err(Errno::EXIST) => match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(e) => return Err(e).of("replace", entry),
            },
            other => return other.of("make", entry),
        }
    }
    Err(Errno::EXIST).of("make", entry)
}

/// Whether something is mounted on `name`. The kernel refuses to remove such a name only where the mount is seen; from
/// another mount namespace it would take the mount away with it.
fn is_mounted(parent: &OwnedFd, name: &OsStr) -> bool {
    let mount_of = |name: &OsStr, flags| {
        let stat = rustix::fs::statx(parent, name, flags, StatxFlags::MNT_ID).ok()?;
        (stat.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(stat.stx_mnt_id)
    };
    let (here, there) = (OsStr::new(""), AtFlags::SYMLINK_NOFOLLOW);
    match (mount_of(here, AtFlags::EMPTY_PATH), mount_of(name, there)) {
        (Some(parent), Some(name)) => parent != name,
        _ => false,
    }
}

/// A file that is mounted by itself can't be replaced: it is written anew.
fn mounted_file(entry: &Entry, parent: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Error> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(parent, name, flags, Mode::empty()).of("replace", entry)?;
    let stat = rustix::fs::fstat(&fd).of("look at", entry)?;
    if tree::kind_of(&stat) != FileType::RegularFile {
        return Err(Errno::BUSY).of("replace", entry);
    }
    rustix::fs::ftruncate(&fd, 0).of("replace", entry)?;
    Ok(fd)
}

fn write_data(file: &mut File, size: u64, entry: &Entry, archive: &mut Archive<'_>) -> Result<(), Error> {
    let mut left = size;
    while left > 0 {
        let chunk = archive.data(left)?;
        if chunk.is_empty() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof)).of("read the data of", entry);
        }
        left -= chunk.len() as u64;
        file.write_all(chunk).of("write", entry)?;
    }
    Ok(())
}

fn device(entry: &Entry) -> u64 {
    rustix::fs::makedev(entry.device.0, entry.device.1)
}

fn times(entry: &Entry) -> Timestamps {
    let time = Timespec { tv_sec: entry.mtime_s, tv_nsec: i64::from(entry.mtime_ns) };
    Timestamps { last_access: time, last_modification: time }
}

fn problem(entry: &Entry, problem: EntryProblem) -> Error {
    Error::Entry { entry: String::from_utf8_lossy(&entry.path).into_owned(), problem }
}

impl Destination {
    /// Where the entry `name` goes, below [`Destination::root`]; empty: that itself.
    fn target(&self, name: &[u8]) -> Result<PathBuf, EntryProblem> {
        let mut parts: Vec<&[u8]> =
            name.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
        if parts.contains(&&b".."[..]) {
            return Err(EntryProblem::DotDot);
        }
        if let Some(top) = &self.strip {
            // What was packed as one tree has one name at its top.
            if parts.first() != Some(&top.as_bytes()) {
                return Err(EntryProblem::NotBelow);
            }
            parts.remove(0);
        }
        let top = self.top.as_ref().map(|top| top.as_bytes());
        let path: Vec<&[u8]> = top.into_iter().chain(parts).collect();
        Ok(PathBuf::from(OsString::from_vec(path.join(&b'/'))))
    }
}

/// Names a failed step of an entry.
trait OfEntry<T> {
    fn of(self, doing: &'static str, entry: &Entry) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> OfEntry<T> for Result<T, E> {
    fn of(self, doing: &'static str, entry: &Entry) -> Result<T, Error> {
        let name = || String::from_utf8_lossy(&entry.path).into_owned();
        self.map_err(|e| Error::Unpack { doing, entry: name(), source: e.into() })
    }
}
