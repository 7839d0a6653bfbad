//! The directory that an entry goes into: found, or made as the layers below have it.
//!
//! Symlinks are followed by hand through this layer and those below as one tree, so that an absolute target or `..`
//! stays inside and a directory is made where the merged file system has it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use corten_sys::path::SYMLINKS_MAX;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::whiteout::{self, is_whiteout};
use super::{OfEntry, Parent, Unpacker, is_other, problem_of, shown};
use crate::error::{EntryProblem, Error};
use crate::tar::Entry;
use crate::tree;

impl Unpacker {
    /// The directory with these components.
    pub(super) fn parent(&mut self, entry: &Entry, parents: &[&[u8]]) -> Result<Arc<Parent>, Error> {
        let key = parents.join(&b'/');
        if let Some((last, parent)) = &self.last_parent
            && *last == key
        {
            return Ok(Arc::clone(parent));
        }
        let path = Path::new(OsStr::from_bytes(&key));
        let parent = match self.open_dir(path) {
            Ok(fd) => Parent { fd, path: path.to_owned() },
            Err(e) if is_other(&e) => self.walk(entry, parents)?,
            Err(e) => return Err(e).of("open the directory of", entry),
        };
        let parent = Arc::new(parent);
        self.last_parent = Some((key, Arc::clone(&parent)));
        Ok(parent)
    }

    /// To be called when a directory or symlink of the layer was replaced: a name may lead elsewhere now.
    pub(super) fn forget_parent(&mut self) {
        self.last_parent = None;
    }

    pub(super) fn open_dir(&self, path: &Path) -> std::io::Result<OwnedFd> {
        self.root.open_plain(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
    }

    /// Component by component; `done` exists in this layer and has no symlink.
    fn walk(&mut self, entry: &Entry, parents: &[&[u8]]) -> Result<Parent, Error> {
        let mut todo: VecDeque<OsString> = parents.iter().map(|p| OsString::from_vec(p.to_vec())).collect();
        let mut done = PathBuf::new();
        let mut at = self.open_dir(&done).of("open the directory of", entry)?;
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            self.count_step()?;
            if name == ".." {
                done.pop();
                at = self.open_dir(&done).of("open the directory of", entry)?;
                continue;
            }
            let path = done.join(&name);
            self.check_path(&path)?;
            let target = match rustix::fs::statat(&at, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => match tree::kind_of(&stat) {
                    FileType::Directory => None,
                    FileType::Symlink => Some(read_link(&at, &name).of("read the symlinks of", entry)?),
                    _ if is_whiteout(&stat) => {
                        whiteout::replace_by_dir(rustix::fd::AsFd::as_fd(&at), &name)
                            .and_then(|()| rustix::fs::chmodat(&at, &name, PLAIN_MODE, AtFlags::empty()))
                            .of("make the directory of", entry)?;
                        self.set_opaque(entry, &path)?;
                        None
                    }
                    _ => return Err(not_a_directory(entry, &path)),
                },
                Err(Errno::NOENT) => self.take_from_below(entry, &at, &name, &path)?,
                Err(e) => return Err(e).of("look up the directory of", entry),
            };
            let Some(target) = target else {
                // Checked or made a moment ago; still never through a symlink.
                at = open_next(&at, &name).of("open the directory of", entry)?;
                done = path;
                continue;
            };
            links += 1;
            if links > SYMLINKS_MAX {
                return Err(problem_of(entry, EntryProblem::Loop));
            }
            if target.is_absolute() {
                done.clear();
                at = self.open_dir(&done).of("open the directory of", entry)?;
            }
            let parts = target.as_os_str().as_bytes().split(|b| *b == b'/');
            let parts = parts.filter(|p| !p.is_empty() && *p != b".");
            let mut next: VecDeque<_> = parts.map(|p| OsString::from_vec(p.to_vec())).collect();
            next.append(&mut todo);
            if next.len() > self.limits.depth as usize {
                return Err(problem_of(entry, EntryProblem::TooDeep(self.limits.depth)));
            }
            todo = next;
        }
        Ok(Parent { fd: at, path: done })
    }

    /// Makes the directory that this layer lacks, or returns the symlink that the layers below have there.
    fn take_from_below(
        &mut self,
        entry: &Entry,
        at: &OwnedFd,
        name: &OsStr,
        path: &Path,
    ) -> Result<Option<PathBuf>, Error> {
        self.count_implied()?;
        let below = if self.hidden(path) { None } else { self.lower.lookup(path)? };
        match below {
            Some((fd, stat)) if tree::kind_of(&stat) == FileType::Symlink => {
                read_link(&fd, OsStr::new("")).of("read the symlinks of", entry).map(Some)
            }
            Some((_, stat)) if tree::kind_of(&stat) == FileType::Directory => {
                self.make_like(entry, at, name, path, &stat).map(|()| None)
            }
            _ => {
                rustix::fs::mkdirat(at, name, PLAIN_MODE)
                    .and_then(|()| rustix::fs::chmodat(at, name, PLAIN_MODE, AtFlags::empty()))
                    .of("make the directory of", entry)?;
                Ok(None)
            }
        }
    }

    /// A directory with the attributes of the one below: overlay shows only the topmost one's.
    fn make_like(
        &mut self,
        entry: &Entry,
        at: &OwnedFd,
        name: &OsStr,
        path: &Path,
        stat: &Stat,
    ) -> Result<(), Error> {
        rustix::fs::mkdirat(at, name, Mode::RWXU).of("make the directory of", entry)?;
        let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
        rustix::fs::chownat(at, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .of("set the owner of the directory of", entry)?;
        let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
        rustix::fs::chmodat(at, name, mode, AtFlags::empty())
            .of("set the mode of the directory of", entry)?;
        let time = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ };
        self.remember(path.to_owned(), Timestamps { last_access: time, last_modification: time })
    }
}

/// Mode of a directory that the archive doesn't list.
const PLAIN_MODE: Mode = Mode::from_raw_mode(0o755);

fn open_next(at: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty())
}

fn read_link(at: &OwnedFd, name: &OsStr) -> Result<PathBuf, Errno> {
    let target = rustix::fs::readlinkat(at, name, Vec::new())?;
    Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
}

fn not_a_directory(entry: &Entry, path: &Path) -> Error {
    problem_of(entry, EntryProblem::NotADirectory(shown(path.as_os_str().as_bytes())))
}
