//! `rm -rf` that neither depth, modes nor symlinks stop.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::open_child;
use crate::error::{At, Error};

/// Directories held open at once. What is nested deeper is first moved up to the top.
const DEPTH_MAX: usize = 64;
/// Passes over a tree in which somebody else keeps making files.
const PASSES_MAX: u32 = 16;

/// Removes `path` and everything in it; what isn't there is fine. A mount inside is an error, and is left alone.
pub fn remove(path: &Path) -> Result<(), Error> {
    let name = path.file_name().ok_or(Errno::INVAL).at("remove", path)?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat(CWD, parent, flags, Mode::empty()) {
        Err(Errno::NOENT) => Ok(()),
        other => remove_at(other.at("open the directory", parent)?.as_fd(), name, path),
    }
}

/// The same for `name` in an open directory; `path` is for errors.
fn remove_at(parent: BorrowedFd<'_>, name: &OsStr, path: &Path) -> Result<(), Error> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(e) => return Err(e).at("remove", path),
    }
    let c_name = CString::new(name.as_bytes()).map_err(|_| Errno::INVAL).at("remove", path)?;
    let Some(top) = open_writable(parent, &c_name, path)? else { return Ok(()) };
    let mut passes = 0;
    loop {
        let moved = Pass { top: top.as_fd(), path, moved: 0 }.run()?;
        match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY) if moved > 0 => {}
            Err(Errno::NOTEMPTY) if passes < PASSES_MAX => passes += 1,
            Err(Errno::BUSY) => return Err(Error::Mounted { path: path.to_owned() }),
            Err(e) => return Err(e).at("remove", path),
        }
    }
}

/// One walk that empties the directory `top`.
struct Pass<'a> {
    top: BorrowedFd<'a>,
    path: &'a Path,
    /// Subtrees that were moved to the top.
    moved: u64,
}

struct Frame {
    dir: Dir,
    /// Its name in the frame below; the top has none.
    name: CString,
}

impl Pass<'_> {
    fn run(mut self) -> Result<u64, Error> {
        let path = self.path;
        let mut stack =
            vec![Frame { dir: Dir::read_from(self.top).at("read", path)?, name: CString::default() }];
        while let Some(frame) = stack.last_mut() {
            let Some(entry) = frame.dir.read() else {
                let done = stack.pop().expect("its last was just used");
                if let Some(below) = stack.last() {
                    let at = below.dir.fd().at("read", path)?;
                    match rustix::fs::unlinkat(at, &done.name, AtFlags::REMOVEDIR) {
                        // Not empty: somebody adds to it; the next pass sees it.
                        Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY) => {}
                        Err(Errno::BUSY) => return Err(Error::Mounted { path: path.to_owned() }),
                        Err(e) => return Err(e).at("remove", path),
                    }
                }
                continue;
            };
            let entry = entry.at("read", path)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let deep = stack.len() >= DEPTH_MAX;
            let at = stack.last().expect("the loop's condition").dir.fd().at("read", path)?;
            let is_dir = entry.file_type() == FileType::Directory || !self.unlink(at, name)?;
            if is_dir && deep {
                self.move_up(at, name)?;
            } else if is_dir && let Some(fd) = open_writable(at, name, path)? {
                stack.push(Frame { dir: Dir::new(fd).at("read", path)?, name: name.to_owned() });
            }
        }
        Ok(self.moved)
    }

    /// False if it is a directory.
    fn unlink(&self, at: BorrowedFd<'_>, name: &CStr) -> Result<bool, Error> {
        match rustix::fs::unlinkat(at, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::ISDIR) => Ok(false),
            Err(Errno::BUSY) => {
                Err(Error::Mounted { path: self.path.join(OsStr::from_bytes(name.to_bytes())) })
            }
            Err(e) => Err(e).at("remove", self.path.join(OsStr::from_bytes(name.to_bytes()))),
        }
    }

    fn move_up(&mut self, at: BorrowedFd<'_>, name: &CStr) -> Result<(), Error> {
        loop {
            let new = format!(".corten-rm-{}", self.moved);
            self.moved += 1;
            match rustix::fs::renameat_with(at, name, self.top, &new, RenameFlags::NOREPLACE) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(Errno::EXIST) => {}
                Err(e) => return Err(e).at("move a deep directory of", self.path),
            }
        }
    }
}

/// The directory, made readable and writable if it is ours and isn't; none if it is gone.
fn open_writable(at: BorrowedFd<'_>, name: &CStr, path: &Path) -> Result<Option<OwnedFd>, Error> {
    let full = || path.join(OsStr::from_bytes(name.to_bytes()));
    match open_child(at, name) {
        Ok(fd) => {
            // Without write and search permission its entries can't be removed (a user without root only).
            if rustix::fs::accessat(
                &fd,
                ".",
                rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
                AtFlags::EACCESS,
            ) == Err(Errno::ACCESS)
            {
                rustix::fs::fchmod(&fd, Mode::RWXU).at("set the mode of", full())?;
            }
            Ok(Some(fd))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::XDEV) => Err(Error::Mounted { path: full() }),
        Err(Errno::ACCESS) => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let handle =
                rustix::fs::openat(at, name, flags, Mode::empty()).at("open the directory", full())?;
            // By the descriptor: fchmodat(2) would follow a symlink that took the directory's place.
            let link = format!("/proc/thread-self/fd/{}", handle.as_raw_fd());
            rustix::fs::chmod(link, Mode::RWXU).at("set the mode of", full())?;
            open_child(at, name).map(Some).at("open the directory", full())
        }
        Err(e) => Err(e).at("open the directory", full()),
    }
}
