//! Where a path of a copy leads, and where what is copied goes: Docker's rules for `cp`.
//!
//! Paths are a person's, resolved in a root that may be a running container's: symlinks stay inside, and what comes back
//! are descriptors, so that nothing done with them can be led elsewhere by a rename.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use corten_sys::path::{Root, SYMLINKS_MAX};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::tree;

/// What is at a path.
#[derive(Debug)]
pub(super) enum Found {
    /// A directory, open for reading.
    Dir(OwnedFd),
    /// Something else.
    Other { parent: OwnedFd, name: OsString, stat: Stat },
    /// Nothing, in a directory that is there.
    Nothing,
}

/// Looks `path` up; a last component that is a symlink is followed if `follow` says so, or a slash behind it.
pub(super) fn find(root: &Root, path: &Path, follow: bool) -> io::Result<Found> {
    let mut path = path.to_owned();
    for _ in 0..SYMLINKS_MAX {
        let readable = OFlags::RDONLY | OFlags::DIRECTORY;
        if names_a_directory(&path) {
            return root.open_at(&path, readable, Mode::empty()).map(Found::Dir);
        }
        let (parent, name) = root.parent(&path)?;
        let stat = match rustix::fs::statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            other => other?,
        };
        match tree::kind_of(&stat) {
            FileType::Directory => {
                let flags = readable | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                return Ok(Found::Dir(rustix::fs::openat(&parent, &name, flags, Mode::empty())?));
            }
            FileType::Symlink if follow => {
                let target = rustix::fs::readlinkat(&parent, &name, Vec::new())?;
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                path = path.parent().unwrap_or(Path::new("")).join(target);
            }
            _ => return Ok(Found::Other { parent, name, stat }),
        }
    }
    Err(Errno::LOOP.into())
}

/// Whether the path can only mean a directory: `/`, `a/`, `a/.`, `a/..`.
fn names_a_directory(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes.ends_with(b"/") || matches!(bytes.rsplit(|b| *b == b'/').next(), None | Some(b"" | b"." | b".."))
}
