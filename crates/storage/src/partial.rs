//! Blobs on their way: the part that came so far, under the digest of the whole, so that another command can go on.
//!
//! ```text
//! blobs/partial/<hex> ─ locked by whoever adds to it or unpacks it ─▶ removed, or renamed into blobs/sha256/
//! ```
//! A file that nobody holds is what an interrupted command left: its length is how far it came, and its bytes are
//! believed by nobody before they were hashed again. Deliberately not here: where the bytes come from.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use corten_model::Digest;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{At, Error};
use crate::store::Store;
use crate::temp;

/// How long what nobody goes on with is kept.
pub const PARTIAL_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Bytes of the file system that are left free: databases and logs need room to go on.
const RESERVE_BYTES: u64 = 64 << 20;
/// How often the file is opened again that somebody removed between our open and our lock.
const TRIES_MAX: u32 = 1000;

/// A part of a blob, and the right to change it.
#[derive(Debug)]
pub struct Partial {
    file: File,
    path: PathBuf,
}

/// What tells whether somebody else had the file meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialState {
    inode: u64,
    size_bytes: u64,
    changed: (i64, i64),
}

impl Store {
    /// The part of `digest` that is here, none of it at first; `None`: another command has it.
    pub fn partial(&self, digest: &Digest) -> Result<Option<Partial>, Error> {
        let directory = directory(self);
        let path = directory.join(digest.hex());
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..TRIES_MAX {
            let file = match rustix::fs::openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR) {
                // Stores that an older Corten made have no such directory.
                Err(Errno::NOENT) => {
                    match rustix::fs::mkdirat(CWD, &directory, Mode::RWXU) {
                        Ok(()) | Err(Errno::EXIST) => continue,
                        Err(e) => return Err(e).at("make the directory", &directory),
                    };
                }
                other => File::from(other.at("open", &path)?),
            };
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) => return Ok(None),
                other => other.at("lock", &path)?,
            }
            let partial = Partial { file, path: path.clone() };
            if partial.is_named()? {
                return Ok(Some(partial));
            }
        }
        Err(Errno::EXIST).at("lock", &path)
    }

    /// How much of `digest` another command has so far; it changes as long as that goes on.
    pub fn partial_bytes(&self, digest: &Digest) -> u64 {
        fs::metadata(directory(self).join(digest.hex())).map_or(0, |m| m.len())
    }

    /// An error unless there is room for so many bytes and what others need.
    pub fn check_space(&self, needed: u64) -> Result<(), Error> {
        let stat = rustix::fs::statvfs(self.root()).at("look at the file system of", self.root())?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let needed = needed.saturating_add(RESERVE_BYTES);
        if free < needed { Err(Error::NoSpace { needed, free }) } else { Ok(()) }
    }
}

impl Partial {
    /// How many bytes are there.
    pub fn size_bytes(&self) -> Result<u64, Error> {
        Ok(self.file.metadata().at("look at", &self.path)?.len())
    }

    /// Adds `bytes` at `offset`.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), Error> {
        self.file.write_all_at(bytes, offset).at("write", &self.path)
    }

    /// Reads at `offset`.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    /// Forgets all bytes, and gives the disk back what they took. The name and the lock stay.
    pub fn empty(&self) -> Result<(), Error> {
        self.file.set_len(0).at("cut", &self.path)
    }

    /// What it is like now.
    pub fn state(&self) -> Result<PartialState, Error> {
        let metadata = self.file.metadata().at("look at", &self.path)?;
        let changed = (metadata.mtime(), metadata.mtime_nsec());
        Ok(PartialState { inode: metadata.ino(), size_bytes: metadata.len(), changed })
    }

    /// Removes it.
    pub fn remove(self) -> Result<(), Error> {
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.at("remove", &self.path),
        }
    }

    /// Keeps the whole, whose digest the caller has checked, among the blobs.
    pub fn keep(self, store: &Store, digest: &Digest) -> Result<(), Error> {
        self.file.sync_all().at("sync", &self.path)?;
        let target = store.blobs().path(digest);
        fs::rename(&self.path, &target).at("rename to", &target)?;
        temp::sync_dir(&store.blobs().directory())
    }

    /// Whether the name still leads to this file.
    fn is_named(&self) -> Result<bool, Error> {
        let ours = self.file.metadata().at("look at", &self.path)?;
        match fs::symlink_metadata(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            other => Ok(other.at("look at", &self.path)?.ino() == ours.ino()),
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Not left to close(2): a process that another thread is just spawning has a copy of the descriptor until its
        // exec, and the lock would stay with it.
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

/// Those that nobody went on with for so long.
pub(crate) fn left(store: &Store, kept: Duration) -> Result<Vec<PathBuf>, Error> {
    let directory = directory(store);
    let entries = match fs::read_dir(&directory) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.at("read the directory", &directory)?,
    };
    let mut left = Vec::new();
    for entry in entries {
        let path = entry.at("read the directory", &directory)?.path();
        if is_old(&path, kept) && temp::is_litter(&path).at("look at", &path)? {
            left.push(path);
        }
    }
    Ok(left)
}

fn is_old(path: &Path, kept: Duration) -> bool {
    let changed = fs::symlink_metadata(path).and_then(|m| m.modified());
    changed.is_ok_and(|then| SystemTime::now().duration_since(then).is_ok_and(|age| age >= kept))
}

pub(crate) fn directory(store: &Store) -> PathBuf {
    store.join("blobs/partial")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> Digest {
        Digest::from_sha256([7; 32])
    }

    #[test]
    fn one_at_a_time_and_the_next_goes_on() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(&temp.path().join("s"), false).unwrap();
        let partial = store.partial(&digest()).unwrap().unwrap();
        partial.write_at(b"first", 0).unwrap();
        assert!(store.partial(&digest()).unwrap().is_none());
        assert_eq!(store.partial_bytes(&digest()), 5);
        let before = partial.state().unwrap();
        drop(partial);
        let partial = store.partial(&digest()).unwrap().unwrap();
        assert_eq!((partial.size_bytes().unwrap(), partial.state().unwrap()), (5, before));
        partial.empty().unwrap();
        assert_ne!(partial.state().unwrap(), before);
        partial.remove().unwrap();
        assert!(left(&store, Duration::ZERO).unwrap().is_empty());
    }

    #[test]
    fn what_nobody_goes_on_with_is_left() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(&temp.path().join("s"), false).unwrap();
        let partial = store.partial(&digest()).unwrap().unwrap();
        assert!(left(&store, Duration::ZERO).unwrap().is_empty());
        drop(partial);
        assert_eq!(left(&store, Duration::ZERO).unwrap().len(), 1);
        assert!(left(&store, PARTIAL_KEPT).unwrap().is_empty());
    }

    #[test]
    fn the_whole_becomes_a_blob() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(&temp.path().join("s"), false).unwrap();
        let digest = crate::blobs::sha256(b"{}");
        let partial = store.partial(&digest).unwrap().unwrap();
        partial.write_at(b"{}", 0).unwrap();
        partial.keep(&store, &digest).unwrap();
        assert_eq!(store.blobs().get(&digest).unwrap(), b"{}");
        assert!(matches!(store.check_space(u64::MAX), Err(Error::NoSpace { .. })));
    }
}
