//! How much disk a tree takes: allocated blocks, hard links once.

use std::collections::HashSet;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::open_child;
use crate::error::{At, Error};

/// Directories held open at once; those above are opened again through `..` and compared.
const OPEN_MAX: usize = 64;
/// Bytes of a block in stat(2).
const BLOCK_BYTES: u64 = 512;

struct Frame {
    fd: Option<OwnedFd>,
    id: (u64, u64),
    todo: Vec<CString>,
}

/// Allocated bytes below `path`, itself included; 0 if nothing is there. Mounts inside are not entered.
pub fn usage(path: &Path) -> Result<u64, Error> {
    let top = match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(0),
        other => other.at("read the attributes of", path)?,
    };
    let mut sum = Sum { bytes: 0, links: HashSet::new(), device: top.st_dev };
    sum.add(&top);
    if FileType::from_raw_mode(top.st_mode) != FileType::Directory {
        return Ok(sum.bytes);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(CWD, path, flags, Mode::empty()).at("open the directory", path)?;
    let mut stack = vec![sum.enter(fd, path)?];
    while let Some(frame) = stack.last_mut() {
        if let Some(name) = frame.todo.pop() {
            let at = frame.fd.as_ref().expect("the deepest directories are open");
            match open_child(at, name.as_c_str()) {
                Ok(fd) => {
                    stack.push(sum.enter(fd, path)?);
                    if let Some(far) = stack.len().checked_sub(OPEN_MAX + 1) {
                        stack[far].fd = None;
                    }
                }
                Err(Errno::NOENT | Errno::XDEV | Errno::NOTDIR | Errno::LOOP) => {}
                Err(e) => return Err(e).at("open a directory in", path),
            }
            continue;
        }
        let done = stack.pop().expect("its last was just used");
        if let Some(above) = stack.last_mut()
            && above.fd.is_none()
        {
            let child = done.fd.expect("the deepest directories are open");
            let fd =
                rustix::fs::openat(&child, "..", flags, Mode::empty()).at("open a directory in", path)?;
            if identity(&rustix::fs::fstat(&fd).at("read the attributes of", path)?) != above.id {
                return Err(Error::Changed { path: path.to_owned() });
            }
            above.fd = Some(fd);
        }
    }
    Ok(sum.bytes)
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

struct Sum {
    bytes: u64,
    links: HashSet<u64>,
    device: u64,
}

impl Sum {
    fn add(&mut self, stat: &Stat) {
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if is_dir || stat.st_nlink < 2 || self.links.insert(stat.st_ino) {
            self.bytes += stat.st_blocks as u64 * BLOCK_BYTES;
        }
    }

    /// Adds what is in a directory and notes the directories among it.
    fn enter(&mut self, fd: OwnedFd, path: &Path) -> Result<Frame, Error> {
        let id = identity(&rustix::fs::fstat(&fd).at("read the attributes of", path)?);
        let mut todo = Vec::new();
        for entry in Dir::read_from(&fd).at("read", path)? {
            let entry = entry.at("read", path)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let stat = match rustix::fs::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                other => other.at("read the attributes of a file in", path)?,
            };
            if stat.st_dev != self.device {
                continue;
            }
            self.add(&stat);
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                todo.push(name.to_owned());
            }
        }
        Ok(Frame { fd: Some(fd), id, todo })
    }
}
