//! What happened, as it was committed: read from the database, followed without polling.
//!
//! A follower waits for a mark in `unfolded/` (a keeper journalled something) and for a write to the file `followed` (a
//! command committed something; the log of the database shows a change before the commit counts, so it is watched only
//! for the end of a command that was killed between the two), folds and reads on from the last number that it saw. The
//! number is given in the transaction that made the event true: no event is lost or seen twice, whoever is killed.
//!
//! ```text
//! keeper ── journal, mark ──▶ inotify ──▶ fold ──▶ read what is newer than the last number ──▶ caller
//! command ── commit ────────▶ inotify ─────────────▲
//! ```

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::inotify;
use rustix::io::Errno;

pub use crate::db::events::Event;

use crate::db::events;
use crate::error::OnFile;
use crate::{Engine, Result, journal};

/// Read at once.
const BATCH: usize = 512;
/// Whoever has the database open has this file open, below the data root.
const DATABASE_LOG: &str = "corten.db-wal";

/// Which events, by time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    /// Not older, nanoseconds since the epoch; absent: only what comes from now on.
    pub since_ns: Option<i64>,
    /// Not newer, nanoseconds since the epoch; absent: for ever.
    pub until_ns: Option<i64>,
}

/// Reads events; see [`open`].
pub struct Follower<'e> {
    engine: &'e mut Engine,
    span: Span,
    seen: i64,
    pending: VecDeque<Event>,
    changes: OwnedFd,
    _followed: Followed,
}

/// Events of the span. One that ends in the future, or never, is followed.
pub fn open(engine: &mut Engine, span: Span) -> Result<Follower<'_>> {
    let roots = engine.roots().clone();
    // Everything is in place before the first look: nothing that comes after is missed.
    let followed = Followed::new(&roots.run)?;
    // The database is made by whoever opens it first.
    engine.database()?;
    let changes = watch(&roots.data, &followed.path, &journal::marks(&roots.run))?;
    let seen = match span.since_ns {
        Some(_) => 0,
        None => events::newest(engine.database()?.read())?,
    };
    Ok(Follower { engine, span, seen, pending: VecDeque::new(), changes, _followed: followed })
}

fn watch(data: &Path, followed: &Path, marks: &Path) -> Result<OwnedFd> {
    use inotify::{CreateFlags, WatchFlags};
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(std::io::Error::from);
    let fd = fd.on("watch", data)?;
    let add = |path: &Path, what| inotify::add_watch(fd.as_fd(), path, what).map_err(std::io::Error::from);
    let log = data.join(DATABASE_LOG);
    add(&log, WatchFlags::CLOSE_WRITE).on("watch", &log)?;
    add(followed, WatchFlags::MODIFY).on("watch", followed)?;
    add(marks, WatchFlags::CREATE | WatchFlags::CLOSE_WRITE).on("watch", marks)?;
    Ok(fd)
}

impl Follower<'_> {
    /// The next event; `None` when the span is over.
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        loop {
            while let Some(event) = self.pending.pop_front() {
                if self.span.since_ns.is_none_or(|since| event.time_ns >= since)
                    && self.span.until_ns.is_none_or(|until| event.time_ns <= until)
                {
                    return Ok(Some(event));
                }
            }
            self.drain();
            self.engine.fold_marked()?;
            let events = events::after(self.engine.database()?.read(), self.seen, BATCH)?;
            if let Some(last) = events.last() {
                self.seen = last.seq;
                self.pending.extend(events);
            } else if !self.wait()? {
                return Ok(None);
            }
        }
    }

    /// Takes what is known to have changed: the look comes after it.
    fn drain(&self) {
        let mut buffer = [0; 4096];
        while matches!(rustix::io::read(&self.changes, &mut buffer), Ok(n) if n > 0) {}
    }

    /// Waits for a change. `false`: the span is over.
    fn wait(&self) -> Result<bool> {
        let left = match self.span.until_ns {
            None => None,
            Some(until) => match u64::try_from(until - journal::now_ns()) {
                Ok(left) if left > 0 => Some(Duration::from_nanos(left)),
                _ => return Ok(false),
            },
        };
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = [PollFd::new(&self.changes, PollFlags::IN)];
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(true),
            Err(e) => Err(std::io::Error::from(e)).on("wait for changes in", &self.engine.roots().data),
        }
    }
}

/// While it lives, keepers mark every line of theirs. Whoever leaves last takes the file away; one that a killed
/// follower left costs marks, and goes with the next one.
struct Followed {
    file: File,
    path: std::path::PathBuf,
}

impl Followed {
    fn new(run: &Path) -> Result<Self> {
        let path = journal::followed(run);
        loop {
            let file = File::options().write(true).create(true).truncate(false).open(&path);
            let file = file.on("open", &path)?;
            file.lock_shared().on("lock", &path)?;
            // The last follower may have taken it away between our open and our lock.
            if is_at(&file, &path) {
                return Ok(Self { file, path });
            }
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        // Others still follow if it can't be had.
        if self.file.unlock().is_ok() && self.file.try_lock().is_ok() && is_at(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_follower_takes_the_file_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = journal::followed(dir.path());
        let first = Followed::new(dir.path()).unwrap();
        let second = Followed::new(dir.path()).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
        std::fs::write(&path, "").unwrap();
        drop(Followed::new(dir.path()).unwrap());
        assert!(!path.exists(), "what a killed follower left goes");
    }
}
