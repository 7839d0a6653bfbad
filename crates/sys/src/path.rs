//! Paths resolved inside a root, whatever symlinks say.
//!
//! Owns [`Root`]: a directory below which every path is looked up by openat2(2) as if it were `/`. A symlink,
//! absolute or with `..`, planted by an image or a running container can't lead outside, and the magic links
//! of procfs are refused. Deliberately not here: reading or writing what was opened.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Symlinks followed in one path before it counts as a loop, as in the kernel.
pub const SYMLINKS_MAX: u32 = 40;
/// Tries of one lookup that the kernel gave up because the tree was renamed under it.
const RACE_TRIES: u32 = 64;

const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
const PLAIN: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// A directory that paths can't leave.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
}

impl Root {
    /// The directory at `path`, which the caller trusts: its own symlinks are followed.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { fd: rustix::fs::openat(CWD, path, flags, Mode::empty())? })
    }

    /// The directory behind `fd`; a mount's descriptor makes its root.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Opens `path` with `flags`, following symlinks inside the root only. `CLOEXEC` is added.
    pub fn open_at(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        self.resolve(path, flags, mode, IN_ROOT)
    }

    /// Opens `path` only if no component is a symlink.
    pub fn open_plain(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        self.resolve(path, flags, mode, PLAIN)
    }

    /// The directory at `path`, for *at() calls only.
    pub fn dir(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open_at(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
    }

    /// The directory that holds `path`'s last component, and that component's name. The component itself is not
    /// looked at, so the caller's *at() call must not follow it.
    ///
    /// A path without a last component (`/`, `..`) is `InvalidInput`.
    pub fn parent(&self, path: &Path) -> io::Result<(OwnedFd, OsString)> {
        let name = path.file_name().ok_or_else(no_name)?;
        let parent = path.parent().unwrap_or(Path::new(""));
        Ok((self.dir(parent)?, name.to_owned()))
    }

    /// Like [`Root::parent`], making missing directories with `mode`.
    pub fn create_parent(&self, path: &Path, mode: Mode) -> io::Result<(OwnedFd, OsString)> {
        let name = path.file_name().ok_or_else(no_name)?;
        let parent = path.parent().unwrap_or(Path::new(""));
        Ok((self.create_dirs(parent, mode)?, name.to_owned()))
    }

    /// `mkdir -p`: the directory at `path`, made with `mode` (and the umask) where it or a parent is missing. A
    /// dangling symlink's target is made inside the root.
    pub fn create_dirs(&self, path: &Path, mode: Mode) -> io::Result<OwnedFd> {
        match self.dir(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.create_missing(path, mode),
            other => other,
        }
    }

    /// An empty regular file at `path` if nothing is there yet, with missing parents; what exists is left alone.
    /// The result is for *at() calls and mounts, not for reading.
    pub fn create_file(&self, path: &Path, mode: Mode, parents: Mode) -> io::Result<OwnedFd> {
        let (parent, name) = self.create_parent(path, parents)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&parent, &name, flags, mode) {
            Ok(_) | Err(Errno::EXIST) => self.open_at(path, OFlags::PATH, Mode::empty()),
            Err(e) => Err(e.into()),
        }
    }

    fn resolve(&self, path: &Path, flags: OFlags, mode: Mode, how: ResolveFlags) -> io::Result<OwnedFd> {
        // An absolute path is EXDEV with RESOLVE_BENEATH and means the root with RESOLVE_IN_ROOT; an empty one is
        // ENOENT everywhere. Both mean the root here.
        let bytes = path.as_os_str().as_bytes();
        let start = bytes.iter().position(|b| *b != b'/').unwrap_or(bytes.len());
        let path = match &bytes[start..] {
            b"" => OsStr::new("."),
            rest => OsStr::from_bytes(rest),
        };
        for _ in 0..RACE_TRIES {
            match rustix::fs::openat2(&self.fd, path, flags | OFlags::CLOEXEC, mode, how) {
                // openat2(2): `..` raced with a rename or mount anywhere on the system; safe to try again.
                Err(Errno::AGAIN) => {}
                other => return Ok(other?),
            }
        }
        Err(Errno::AGAIN.into())
    }

    /// Component by component: `done` is what exists and holds no symlink.
    fn create_missing(&self, path: &Path, mode: Mode) -> io::Result<OwnedFd> {
        let mut todo = components(path);
        let mut done = PathBuf::new();
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            if name == ".." {
                done.pop();
                continue;
            }
            let parent = self.open_plain(&done, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
            match rustix::fs::mkdirat(&parent, &name, mode) {
                Ok(()) => done.push(&name),
                Err(Errno::EXIST) => {
                    let stat = rustix::fs::statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW)?;
                    match FileType::from_raw_mode(stat.st_mode) {
                        FileType::Directory => done.push(&name),
                        FileType::Symlink if links < SYMLINKS_MAX => {
                            links += 1;
                            let target = rustix::fs::readlinkat(&parent, &name, Vec::new())?;
                            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                            if target.is_absolute() {
                                done.clear();
                            }
                            let mut next = components(&target);
                            next.append(&mut todo);
                            todo = next;
                        }
                        FileType::Symlink => return Err(Errno::LOOP.into()),
                        _ => return Err(Errno::NOTDIR.into()),
                    }
                }
                Err(e) => return Err(e.into()),
            }
        }
        self.open_plain(&done, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn no_name() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the path has no last component")
}

fn components(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|c| match c {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn world() -> (tempfile::TempDir, Root) {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir_all(temp.path().join("root/real")).unwrap();
        fs::create_dir(temp.path().join("outside")).unwrap();
        let root = Root::open(&temp.path().join("root")).unwrap();
        (temp, root)
    }

    #[test]
    fn symlinks_stay_inside() {
        let (temp, root) = world();
        symlink("../../outside", temp.path().join("root/up")).unwrap();
        symlink("/real", temp.path().join("root/abs")).unwrap();
        symlink("/proc/self/fd/0", temp.path().join("root/magic")).unwrap();
        assert!(root.dir(Path::new("up")).is_err());
        assert!(root.dir(Path::new("/abs")).is_ok());
        assert!(root.dir(Path::new("../../../real")).is_ok());
        assert!(root.open_plain(Path::new("abs"), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).is_err());
        let (parent, name) = root.parent(Path::new("abs/x")).unwrap();
        assert_eq!(name, "x");
        rustix::fs::mkdirat(&parent, "x", Mode::RWXU).unwrap();
        assert!(temp.path().join("root/real/x").is_dir());
        assert!(root.parent(Path::new("/")).is_err());
    }

    #[test]
    fn missing_directories_are_made_inside() {
        let (temp, root) = world();
        symlink("../../outside/new", temp.path().join("root/dangling")).unwrap();
        symlink("loop", temp.path().join("root/loop")).unwrap();
        root.create_dirs(Path::new("dangling/a/b"), Mode::RWXU).unwrap();
        assert!(temp.path().join("root/outside/new/a/b").is_dir());
        assert_eq!(fs::read_dir(temp.path().join("outside")).unwrap().count(), 0);
        root.create_dirs(Path::new("/a/../c"), Mode::RWXU).unwrap();
        assert!(temp.path().join("root/c").is_dir());
        assert!(root.create_dirs(Path::new("loop/x"), Mode::RWXU).is_err());
        root.create_file(Path::new("f/g"), Mode::RUSR, Mode::RWXU).unwrap();
        assert!(temp.path().join("root/f/g").is_file());
        assert!(root.create_dirs(Path::new("f/g/h"), Mode::RWXU).is_err());
    }
}
