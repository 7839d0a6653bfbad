//! Files and directories of groups: each call names its object when it fails.

use corten_sys::kernel_file;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::Error;

/// Deeper than any container nests its own groups.
const DEPTH_MAX: usize = 32;
/// A group that was emptied a moment ago may still be busy for a few milliseconds.
const BUSY_TRIES: u32 = 8;

/// A name that stays below the group it is joined to.
pub(super) fn check_path(path: &str) -> Result<(), Error> {
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    if path.split('/').all(plain) { Ok(()) } else { Err(Error::Path { path: path.into() }) }
}

pub(super) fn read(path: &Path) -> Result<String, Error> {
    kernel_file::read(path).map_err(|source| Error::Read { path: path.into(), source })
}

pub(super) fn open_write(path: &Path) -> Result<OwnedFd, Error> {
    // Without O_TRUNC and O_CREAT: the kernel made the file, and a missing one is an error.
    rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| Error::Open { path: path.into(), source: e.into() })
}

/// Writes the whole value at once, as these files need it.
pub(super) fn write(path: &Path, value: &str) -> Result<(), Error> {
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| Error::write(path, value, e))?;
    write_fd(&file, path, value)
}

pub(super) fn write_fd(file: &OwnedFd, path: &Path, value: &str) -> Result<(), Error> {
    match rustix::io::write(file, value.as_bytes()) {
        Ok(written) if written == value.len() => Ok(()),
        Ok(_) => Err(Error::write(path, value, io::Error::from(ErrorKind::WriteZero))),
        Err(errno) => Err(Error::write(path, value, errno)),
    }
}

/// Whether `path` was made now; false if it was there already.
pub(super) fn make_dir(path: &Path) -> Result<bool, Error> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(errno) => Err(Error::Create { path: path.into(), source: errno.into() }),
    }
}

/// Whether an error says that this caller may not, as opposed to a fault.
pub(super) fn is_denied(error: &Error) -> bool {
    matches!(error.refused(), Some(Errno::ACCESS | Errno::PERM | Errno::ROFS))
}

/// The groups below `dir`, deepest first, without `dir` itself.
pub(super) fn descendants(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    collect(dir, DEPTH_MAX, &mut found);
    found
}

fn collect(dir: &Path, depth: usize, found: &mut Vec<std::path::PathBuf>) {
    // A group that vanishes meanwhile has nothing to tell.
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            let path = entry.path();
            if depth > 0 {
                collect(&path, depth - 1, found);
            }
            found.push(path);
        }
    }
}

/// Removes a group and those that its processes made below it. An absent one is fine.
pub(super) fn remove(dir: &Path) -> Result<(), Error> {
    let mut wait = Duration::from_millis(1);
    for attempt in 1.. {
        match rustix::fs::rmdir(dir) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::BUSY | Errno::NOTEMPTY) if attempt < BUSY_TRIES => {}
            Err(errno) => return Err(Error::Remove { path: dir.into(), source: errno.into() }),
        }
        let below = descendants(dir);
        // Groups below may be busy as long as this one: it is asked again anyway.
        let removed = below.iter().filter(|path| rustix::fs::rmdir(path.as_path()).is_ok()).count();
        if removed == 0 || removed < below.len() {
            std::thread::sleep(wait);
            wait *= 2;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below() {
        for good in ["corten", "corten/0123", "a/b/c", "a..b/...c"] {
            assert!(check_path(good).is_ok(), "{good}");
        }
        for bad in ["", "/", "/a", "a/", "a//b", "..", "a/../b", "a/.", "a\0b"] {
            assert!(check_path(bad).is_err(), "{bad}");
        }
    }
}
