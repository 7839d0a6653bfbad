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

use super::Kind;
use crate::error::{At, Error};
use crate::tar::Entry;
use crate::tree;

/// What is at a path.
#[derive(Debug)]
pub(super) enum Found {
    /// A directory, open for reading.
    Dir(OwnedFd),
    /// Something else.
    Other { parent: OwnedFd, name: OsString, stat: Stat },
    /// Nothing, in a directory that is there.
    Nothing { parent: OwnedFd, name: OsString },
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
            Err(Errno::NOENT) => return Ok(Found::Nothing { parent, name }),
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

/// Where the entries of an archive go.
#[derive(Debug)]
pub(super) struct Destination {
    /// The directory that all of them are made in.
    pub root: Root,
    /// The first component that all of their names have, which is left out.
    pub strip: Option<OsString>,
    /// What stands in its place.
    pub top: Option<OsString>,
}

/// For an archive of a person: a directory that exists.
pub(super) fn directory(root: &Root, path: &Path) -> Result<Destination, Error> {
    match find(root, path, true).at("find the directory", path)? {
        Found::Dir(dir) => destination_in(dir, path, None, None),
        Found::Other { .. } => Err(Error::NotADirectory { path: path.to_owned() }),
        Found::Nothing { .. } => Err(Errno::NOENT).at("find the directory", path),
    }
}

/// For what was packed from one file or directory, whose first entry this is: as `cp` decides it.
pub(super) fn destination(root: &Root, path: &Path, first: &Entry) -> Result<Destination, Error> {
    let is_dir = first.kind == Kind::Dir;
    let top = first.path.split(|b| *b == b'/').find(|part| !part.is_empty() && *part != b".");
    let top = top.map(|top| OsString::from_vec(top.to_vec()));
    let found = match find(root, path, true) {
        // A directory that is to be made may be asked for with a slash.
        Err(e) if e.kind() == io::ErrorKind::NotFound && path.as_os_str().as_bytes().ends_with(b"/") => {
            if !is_dir {
                return Err(Error::NoDirectory { path: path.to_owned() });
            }
            let bytes = path.as_os_str().as_bytes();
            let end = bytes.iter().rposition(|b| *b != b'/').map_or(0, |last| last + 1);
            find(root, Path::new(std::ffi::OsStr::from_bytes(&bytes[..end])), true)
        }
        other => other,
    };
    match found.at("find", path)? {
        Found::Dir(dir) => destination_in(dir, path, top.clone(), top),
        Found::Other { .. } if is_dir => Err(Error::OverFile { path: path.to_owned() }),
        Found::Other { parent, name, .. } | Found::Nothing { parent, name } => {
            destination_in(parent, path, top, Some(name))
        }
    }
}

fn destination_in(
    dir: OwnedFd,
    path: &Path,
    strip: Option<OsString>,
    top: Option<OsString>,
) -> Result<Destination, Error> {
    if tree::is_kernels_own(std::os::fd::AsFd::as_fd(&dir)).at("look at", path)? {
        return Err(Error::NotFiles { path: path.to_owned() });
    }
    Ok(Destination { root: Root::from_fd(dir), strip, top })
}

#[cfg(test)]
mod tests;
