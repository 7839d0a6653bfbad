//! What a container changed, read from its overlay's upper directory.
//!
//! Owns overlay's marks on the way out: whiteouts (device 0:0, or the attribute of newer kernels) and opaque
//! directories. The mounts of ours have neither redirects nor metacopy, so an upper directory is a plain tree. Places that
//! a start made to mount /etc/hosts and its kin on aren't the container's and never show.

mod changes;
mod layer;

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{FileType, Stat};

use crate::error::{At, Error};
use crate::tree::{self, Node};

pub use changes::{Change, ChangeKind, changes};
pub use layer::{Upper, commit, write_layer};

/// The attributes by which overlay marks files.
#[derive(Debug, Clone, Copy)]
struct Marks {
    opaque: &'static CStr,
    whiteout: &'static CStr,
}

impl Marks {
    fn new(rootless: bool) -> Self {
        if rootless {
            Self { opaque: c"user.overlay.opaque", whiteout: c"user.overlay.whiteout" }
        } else {
            Self { opaque: c"trusted.overlay.opaque", whiteout: c"trusted.overlay.whiteout" }
        }
    }

    /// Whether nothing of the layers below is seen in the directory `name`.
    fn is_opaque(self, at: BorrowedFd<'_>, name: &std::ffi::OsStr, shown: &Path) -> Result<bool, Error> {
        let value = tree::read_xattr(&tree::proc_path(at, name), self.opaque);
        Ok(value.at("read the overlay's marks of", shown)?.as_deref() == Some(b"y"))
    }

    /// Whether `node` stands for a name that was removed.
    fn is_whiteout(self, node: &Node<'_>) -> Result<bool, Error> {
        match tree::kind_of(node.stat) {
            FileType::CharacterDevice => Ok(node.stat.st_rdev == 0),
            // Only in directories that say so, but no other file can have the attribute.
            FileType::RegularFile if node.stat.st_size == 0 => {
                let value = tree::read_xattr(&tree::proc_path(node.at, node.name), self.whiteout);
                Ok(value.at("read the overlay's marks of", node.path)?.is_some())
            }
            _ => Ok(false),
        }
    }
}

/// Whether `path` is a place that a start makes where image and skeleton have none: what a container has there is
/// mounted over it, so it is never the container's own.
fn is_mount_place(path: &Path, stat: &Stat) -> bool {
    let places = ["etc/hosts", "etc/hostname", "etc/resolv.conf"];
    tree::kind_of(stat) == FileType::RegularFile
        && stat.st_size == 0
        && places.iter().any(|place| path == Path::new(place))
}

/// The upper directory, open.
fn open(upper: &Path) -> Result<std::os::fd::OwnedFd, Error> {
    use rustix::fs::{CWD, Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, upper, flags, Mode::empty()).at("open the directory", upper)
}

/// A name in `at` as *at() calls take it.
fn here(fd: &std::os::fd::OwnedFd) -> (BorrowedFd<'_>, &'static std::ffi::OsStr) {
    (fd.as_fd(), std::ffi::OsStr::new("."))
}

#[cfg(test)]
mod tests;
