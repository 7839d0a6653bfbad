//! Logs of containers: json-file, rotated.
//!
//! A reader opens the files and never speaks to the keeper about them: it can't block the container. `follow` waits on
//! inotify for the files and on the keeper's socket for the end.

mod file;

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use corten_model::log::LogDriver;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::inotify;

use crate::call::Line;
use crate::container;
use crate::error::Doing;
use crate::keeper::protocol::Request;
use crate::{Engine, Error, Result};

pub use file::Entry;

/// Which lines.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// Not older than this, nanoseconds since the epoch.
    pub since_unix_ns: Option<i128>,
    /// Not newer than this, nanoseconds since the epoch.
    pub until_unix_ns: Option<i128>,
    /// Only the last so many lines.
    pub tail: Option<u64>,
    /// Go on as lines come, until the container ends.
    pub follow: bool,
}

/// Which stream wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Errors of reading a log.
#[derive(Debug, thiserror::Error)]
#[error("{what} `{}`", .path.display())]
pub struct ReadError {
    pub(crate) what: &'static str,
    pub(crate) path: PathBuf,
    #[source]
    pub(crate) source: std::io::Error,
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        Error::File { what: error.what, path: error.path, source: error.source }
    }
}

/// Reads the log of one container; never blocks the container.
pub struct Reader {
    files: file::Files,
    options: LogOptions,
    waiter: Option<Waiter>,
}

/// What tells that there is more, or that there will be no more.
struct Waiter {
    changes: OwnedFd,
    keeper: Option<OwnedFd>,
    dir: PathBuf,
}

impl Reader {
    /// The next line; `None` at the end. With `follow` it waits.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        loop {
            while let Some(entry) = self.files.next_entry()? {
                if self.options.until_unix_ns.is_some_and(|until| entry.time_unix_ns > until) {
                    return Ok(None);
                }
                if self.options.since_unix_ns.is_none_or(|since| entry.time_unix_ns >= since) {
                    return Ok(Some(entry));
                }
            }
            match &mut self.waiter {
                None => return Ok(None),
                Some(waiter) => {
                    if !waiter.wait()? {
                        // The keeper is gone: what it wrote last is read, then it is the end.
                        self.waiter = None;
                    }
                }
            }
        }
    }
}

impl Waiter {
    /// Waits until the files changed. `false`: the container ended.
    fn wait(&mut self) -> Result<bool> {
        let failed = |source: rustix::io::Errno| ReadError {
            what: "wait for changes in",
            path: self.dir.clone(),
            source: source.into(),
        };
        let Some(keeper) = &self.keeper else { return Ok(false) };
        let mut fds = [PollFd::new(&self.changes, PollFlags::IN), PollFd::new(keeper, PollFlags::IN)];
        match rustix::event::poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(failed(e).into()),
        }
        let [changed, ended] = fds.map(|fd| !fd.revents().is_empty());
        if changed {
            let mut buffer = [0; 4096];
            // What changed doesn't matter, only that something did.
            let _ = rustix::io::read(&self.changes, &mut buffer);
        }
        Ok(!ended)
    }
}

/// Opens the log of a container.
pub fn open(engine: &mut Engine, target: &str, options: LogOptions) -> Result<Reader> {
    open_resolved(engine, target, options).doing("read the log of container", target)
}

fn open_resolved(engine: &mut Engine, target: &str, options: LogOptions) -> Result<Reader> {
    let container = container::resolve(engine, target)?;
    let gone = || Error::NoSuch { what: "container", name: target.to_owned() };
    let container = container::reconcile(engine, container)?.ok_or_else(gone)?;
    if container.config.more.log.driver == LogDriver::None {
        return Err(Error::NoLog);
    }
    let dir = engine.store().container_dir(&container.id);
    let newest = crate::keeper::log::path(&dir, &container.id);
    let mut waiter = None;
    if options.follow && container.state.status.is_alive() {
        // Both before the first look at the files: nothing that comes after is missed.
        let keeper = subscribe(engine, &container.id);
        let watched =
            inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).and_then(|fd| {
                let what =
                    inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
                inotify::add_watch(fd.as_fd(), &dir, what).map(|_| fd)
            });
        let failed =
            |source: rustix::io::Errno| ReadError { what: "watch", path: dir.clone(), source: source.into() };
        waiter = Some(Waiter { changes: watched.map_err(failed)?, keeper, dir: dir.clone() });
    }
    let files = file::Files::open(newest, options.tail)?;
    Ok(Reader { files, options, waiter })
}

/// A socket that becomes readable when the container ends; `None`: it has.
fn subscribe(engine: &Engine, id: &corten_model::ContainerId) -> Option<OwnedFd> {
    let mut line = Line::connect(&engine.roots().run, id).ok()?;
    line.ask(&Request::Wait).ok()?;
    Some(line.into_socket())
}
