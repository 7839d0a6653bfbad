//! Temporary directories and files that a crash may leave, recognisable by their name and free when unlocked.
//!
//! ```text
//! mkdir .tmp-<pid>-<n> ─▶ flock ─▶ filled ─▶ kept (renamed by the caller)
//!                                     └────▶ dropped: removed
//! ```
//! A check takes the lock to tell litter from what somebody is just making.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{At, Error};
use crate::tree::{self, Hands};

/// What temporary names begin with; no id, digest or fixed name does.
pub(crate) const PREFIX: &str = ".tmp-";
/// Names tried before giving up: each is taken only by litter of an earlier process with our pid.
const NAME_TRIES: u32 = 1000;

static COUNTER: AtomicU64 = AtomicU64::new(0);

fn name() -> String {
    format!("{PREFIX}{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// A file in `parent` that nobody can find: it is gone with its last descriptor, whatever happens.
pub(crate) fn nameless(parent: &Path) -> Result<File, Error> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    match rustix::fs::openat(CWD, parent, flags, Mode::RUSR | Mode::WUSR) {
        // A file system without such files has one with a name for a moment.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT) => {}
        other => return other.map(File::from).at("make a temporary file in", parent),
    }
    let path = parent.join(name());
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR).at("create", &path)?;
    std::fs::remove_file(&path).at("remove", &path)?;
    Ok(File::from(file))
}

/// A locked temporary directory, removed unless kept.
#[derive(Debug)]
pub(crate) struct TempDir {
    path: PathBuf,
    /// Holds the lock.
    _dir: File,
    keep: bool,
}

impl TempDir {
    pub fn new(parent: &Path) -> Result<Self, Error> {
        for _ in 0..NAME_TRIES {
            let path = parent.join(name());
            match rustix::fs::mkdirat(CWD, &path, Mode::RWXU) {
                Err(Errno::EXIST) => continue,
                other => other.at("make the directory", &path)?,
            }
            if let Some(dir) = lock(&path).at("lock the directory", &path)? {
                return Ok(Self { path, _dir: dir, keep: false });
            }
        }
        Err(Errno::EXIST).at("make a temporary directory in", parent)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory was renamed, or somebody else's is to stay.
    pub fn keep(mut self) {
        self.keep = true;
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if !self.keep {
            // What can't be removed now is found by the next check.
            let _ = tree::remove(&self.path, Hands::Many);
        }
    }
}

/// The locked directory at `path`; none if a check took it between our mkdir and our lock.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        other => other?,
    };
    match rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => return Ok(None),
        other => other?,
    }
    let gone = rustix::fs::fstat(&dir)?.st_nlink == 0;
    Ok((!gone).then(|| File::from(dir)))
}

/// Whether nobody is making the temporary file or directory at `path` any more.
pub(crate) fn is_litter(path: &Path) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(false),
        // A symlink or a socket is nothing that we make here.
        Err(Errno::LOOP | Errno::NXIO) => return Ok(true),
        other => other?,
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Writes `bytes` durably to `directory/name`: a temporary file, fsync, rename, fsync of the directory.
pub(crate) fn write_file(
    directory: &Path,
    name_wanted: &str,
    bytes: &[u8],
    steps: [&'static str; 3],
) -> Result<(), Error> {
    let temp = directory.join(name());
    let target = directory.join(name_wanted);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, &temp, flags, Mode::RUSR | Mode::WUSR).at("create", &temp)?;
    let mut file = File::from(file);
    let written = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
        .at("lock", &temp)
        .and_then(|()| file.write_all(bytes).at("write", &temp))
        .and_then(|()| {
            crate::steps::reached(steps[0]);
            file.sync_all().at("sync", &temp)
        })
        .and_then(|()| {
            crate::steps::reached(steps[1]);
            std::fs::rename(&temp, &target).at("rename to", &target)
        });
    if let Err(error) = written {
        // The error that is returned matters more than litter that the next check finds.
        let _ = std::fs::remove_file(&temp);
        return Err(error);
    }
    crate::steps::reached(steps[2]);
    sync_dir(directory)
}

/// Makes renames in `directory` durable.
pub(crate) fn sync_dir(directory: &Path) -> Result<(), Error> {
    File::open(directory).at("open", directory)?.sync_all().at("sync", directory)
}
