//! A tree copied with everything that makes it up: kinds, owners, modes, extended attributes, times, holes, hard links.
//!
//! The source is a container's or image's tree and is only read through descriptors. The target is a directory that
//! nobody else knows yet.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use corten_sys::path::Root;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::attributes::{copy_attributes, os};
use super::open_child;
use crate::error::{At, Error};

/// Nested directories; two descriptors each are open.
const DEPTH_MAX: usize = 256;

struct Frame {
    from: OwnedFd,
    to: OwnedFd,
    entries: Dir,
    path: PathBuf,
    /// Its name in the frame below and its attributes, set when its content is complete.
    name: CString,
    stat: Stat,
}

/// Copies what is in the directory `sub` of `from_root` into the directory `to`, which gets its attributes too.
/// `sub`'s symlinks are followed inside `from_root` only (CVE-2022-23648). False if there is no such directory.
pub fn copy(from_root: BorrowedFd<'_>, sub: &Path, to: BorrowedFd<'_>) -> Result<bool, Error> {
    let root = Root::from_fd(from_root.try_clone_to_owned().at("read", sub)?);
    let from = match root.open_at(sub, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(false);
        }
        other => other.at("open the directory", sub)?,
    };
    let stat = rustix::fs::fstat(&from).at("read the attributes of", sub)?;
    // A new open file, so that the caller's position in it doesn't matter.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let to_fd = rustix::fs::openat(to, ".", flags, Mode::empty()).at("open the target of", sub)?;
    let entries = Dir::read_from(&from).at("read", sub)?;
    let path = PathBuf::new();
    let mut stack = vec![Frame { from, to: to_fd, entries, path, name: CString::default(), stat }];
    let mut links = HashMap::new();
    while let Some(frame) = stack.last_mut() {
        match frame.entries.read() {
            Some(entry) => {
                let entry = entry.at("read", sub)?;
                if !matches!(entry.file_name().to_bytes(), b"." | b"..")
                    && let Some(next) = one(frame, entry.file_name(), to, &mut links, sub)?
                {
                    if stack.len() == DEPTH_MAX {
                        return Err(Error::TooDeep { path: sub.to_owned(), max: DEPTH_MAX });
                    }
                    stack.push(next);
                }
            }
            None => {
                let done = stack.pop().expect("its last was just used");
                let here = OsStr::new(".");
                let (from, to) = match stack.last() {
                    Some(below) => ((below.from.as_fd(), os(&done.name)), (below.to.as_fd(), os(&done.name))),
                    None => ((done.from.as_fd(), here), (done.to.as_fd(), here)),
                };
                copy_attributes(&done.stat, from, to).at("set the attributes of", &done.path)?;
            }
        }
    }
    Ok(true)
}

/// Copies one entry; a directory is made and returned to be filled.
fn one(
    frame: &Frame,
    name: &CStr,
    top: BorrowedFd<'_>,
    links: &mut HashMap<(u64, u64), PathBuf>,
    sub: &Path,
) -> Result<Option<Frame>, Error> {
    let path = frame.path.join(os(name));
    let stat = match rustix::fs::statat(&frame.from, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        other => other.at("read the attributes of", sub.join(&path))?,
    };
    if kind_of(&stat) == FileType::Directory {
        let from = open_child(&frame.from, name).at("open the directory", sub.join(&path))?;
        rustix::fs::mkdirat(&frame.to, name, Mode::RWXU).at("make the directory", &path)?;
        let to = open_child(&frame.to, name).at("open the directory", &path)?;
        let entries = Dir::read_from(&from).at("read", sub.join(&path))?;
        return Ok(Some(Frame { from, to, entries, path, name: name.to_owned(), stat }));
    }
    if stat.st_nlink > 1 {
        let id = (stat.st_dev, stat.st_ino);
        if let Some(first) = links.get(&id) {
            let linked = rustix::fs::linkat(top, first, &frame.to, name, AtFlags::empty());
            linked.at("make the hard link", &path)?;
            return Ok(None);
        }
        links.insert(id, path.clone());
    }
    let (from, to) = ((frame.from.as_fd(), os(name)), (frame.to.as_fd(), os(name)));
    copy_node(&stat, from, to).at("copy", sub.join(&path))?;
    Ok(None)
}

/// Copies what is not a directory, with its attributes.
pub(crate) fn copy_node(
    stat: &Stat,
    from: (BorrowedFd<'_>, &OsStr),
    to: (BorrowedFd<'_>, &OsStr),
) -> io::Result<()> {
    match kind_of(stat) {
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let source = File::from(rustix::fs::openat(from.0, from.1, flags, Mode::empty())?);
            // The path may lead to a FIFO or a device by now.
            if kind_of(&rustix::fs::fstat(&source)?) != FileType::RegularFile {
                return Err(Errno::STALE.into());
            }
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let target = rustix::fs::openat(to.0, to.1, flags, Mode::RUSR | Mode::WUSR)?;
            copy_data(source, File::from(target), stat.st_size as u64)?;
        }
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(from.0, from.1, Vec::new())?;
            rustix::fs::symlinkat(&target, to.0, to.1)?;
        }
        kind => rustix::fs::mknodat(to.0, to.1, kind, Mode::RUSR | Mode::WUSR, stat.st_rdev)?,
    }
    copy_attributes(stat, from, to)
}

pub(crate) fn kind_of(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// The pieces between holes; a terabyte of hole costs nothing.
fn copy_data(mut from: File, mut to: File, size: u64) -> io::Result<()> {
    to.set_len(size)?;
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(&from, rustix::fs::SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            // The file system knows no holes.
            Err(Errno::INVAL) => at,
            Err(e) => return Err(e.into()),
        };
        let end = match rustix::fs::seek(&from, rustix::fs::SeekFrom::Hole(start)) {
            Ok(end) => end.min(size),
            Err(_) => size,
        };
        if start >= end {
            break;
        }
        from.seek(SeekFrom::Start(start))?;
        to.seek(SeekFrom::Start(start))?;
        if io::copy(&mut (&from).take(end - start), &mut to)? == 0 {
            break;
        }
        at = end;
    }
    to.flush()
}
