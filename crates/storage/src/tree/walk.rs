//! A walk through a tree in one order: names by their bytes, a directory before what is in it.
//!
//! The order depends on names alone, so what is written along it is the same on every machine. Directories are entered
//! by descriptors, never through a symlink, so a tree that changes meanwhile can't lead outside of itself.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::{kind_of, open_child};
use crate::error::{At, Error};
use crate::tar::TarError;

/// Nested directories; a descriptor each is open.
const DEPTH_MAX: usize = 256;
/// Names of one directory, which are held to be sorted.
const NAMES_MAX: usize = 4 << 20;

/// Something in a tree.
pub(crate) struct Node<'a> {
    /// The directory that it is in.
    pub at: BorrowedFd<'a>,
    pub name: &'a OsStr,
    /// From the top of the tree.
    pub path: &'a Path,
    pub stat: &'a Stat,
}

/// What the walk does with a directory that was just visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// What is in it follows.
    Into,
    /// It is left out.
    Over,
}

/// Whether other file systems are entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mounts {
    /// There should be none: one is an error.
    Refused,
    /// Those with files; not the kernel's own (proc, sysfs, cgroups).
    Crossed,
}

struct Frame {
    fd: OwnedFd,
    names: std::vec::IntoIter<OsString>,
    path: PathBuf,
}

impl Frame {
    fn new(fd: OwnedFd, path: PathBuf, shown: &Path) -> Result<Self, Error> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&fd).at("read the directory", shown.join(&path))? {
            let entry = entry.at("read the directory", shown.join(&path))?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                names.push(OsStr::from_bytes(name).to_owned());
            }
            if names.len() > NAMES_MAX {
                return Err(TarError::Limit { what: "names in a directory", max: NAMES_MAX as u64 }.into());
            }
        }
        names.sort_unstable();
        Ok(Self { fd, names: names.into_iter(), path })
    }
}

/// Visits everything below the directory `top`, which errors call `shown`. What vanishes meanwhile is left out.
pub(crate) fn walk(
    top: OwnedFd,
    shown: &Path,
    mounts: Mounts,
    visit: &mut dyn FnMut(&Node<'_>) -> Result<Next, Error>,
) -> Result<(), Error> {
    let mut stack = vec![Frame::new(top, PathBuf::new(), shown)?];
    while let Some(frame) = stack.last_mut() {
        let Some(name) = frame.names.next() else {
            stack.pop();
            continue;
        };
        let path = frame.path.join(&name);
        let stat = match rustix::fs::statat(&frame.fd, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            other => other.at("read the attributes of", shown.join(&path))?,
        };
        let node = Node { at: frame.fd.as_fd(), name: &name, path: &path, stat: &stat };
        if visit(&node)? == Next::Over || kind_of(&stat) != FileType::Directory {
            continue;
        }
        let Some(fd) = enter(frame.fd.as_fd(), &name, mounts).at("open the directory", shown.join(&path))?
        else {
            continue;
        };
        if stack.len() == DEPTH_MAX {
            return Err(Error::TooDeep { path: shown.to_owned(), max: DEPTH_MAX });
        }
        stack.push(Frame::new(fd, path, shown)?);
    }
    Ok(())
}

/// `None`: it is gone, or the kernel's own.
fn enter(at: BorrowedFd<'_>, name: &OsStr, mounts: Mounts) -> Result<Option<OwnedFd>, Errno> {
    let opened = match mounts {
        Mounts::Refused => open_child(at, name),
        Mounts::Crossed => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            rustix::fs::openat2(at, name, flags, Mode::empty(), how)
        }
    };
    match opened {
        Ok(fd) if mounts == Mounts::Crossed && is_kernels_own(fd.as_fd())? => Ok(None),
        Ok(fd) => Ok(Some(fd)),
        // It was removed, or something else is there by now.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whether `fd` is on a file system whose files are the kernel's words: /proc, /sys and what is mounted in them.
pub(crate) fn is_kernels_own(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    const PROC: u64 = 0x9fa0;
    const SYSFS: u64 = 0x6265_6572;
    const CGROUP: u64 = 0x0027_e0eb;
    const CGROUP2: u64 = 0x6367_7270;
    const DEVPTS: u64 = 0x1cd1;
    const SECURITYFS: u64 = 0x7363_6673;
    const DEBUGFS: u64 = 0x6462_6720;
    const TRACEFS: u64 = 0x7472_6163;
    const BPF: u64 = 0xcafe_4a11;
    const MQUEUE: u64 = 0x1980_0202;
    let magic = rustix::fs::fstatfs(fd)?.f_type as u64;
    Ok([PROC, SYSFS, CGROUP, CGROUP2, DEVPTS, SECURITYFS, DEBUGFS, TRACEFS, BPF, MQUEUE].contains(&magic))
}
