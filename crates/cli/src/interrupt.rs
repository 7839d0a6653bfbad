//! A long command that can be given up: the signals that ask for it are read between two pieces of work, so that what
//! was begun is undone before we end.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd as _, BorrowedFd};

use corten_sys::terminal::{self, Signals};
use rustix::event::{PollFd, PollFlags, poll};

use crate::error::Result;

/// SIGHUP, SIGINT and SIGTERM.
const SIGNALS: [i32; 3] = [1, 2, 15];

/// Whether the person who asked has given up.
pub struct Interrupt {
    signals: Signals,
    seen: Cell<Option<i32>>,
}

impl Interrupt {
    /// From now on signals wait to be read.
    pub fn prepare() -> Result<Self> {
        Ok(Self { signals: Signals::block(&SIGNALS)?, seen: Cell::new(None) })
    }

    /// Whether a signal came.
    pub fn came(&self) -> bool {
        if self.seen.get().is_none() {
            // One that can't be read is one that didn't come.
            self.seen.set(terminal::read_signal(self.signals.as_fd()).ok().flatten());
        }
        self.seen.get().is_some()
    }

    /// Does `body`, and calls `cancel` from another thread as soon as a signal comes: for work that waits for others.
    pub fn watch<T>(&self, cancel: &(dyn Fn() + Sync), body: impl FnOnce() -> T) -> Result<T> {
        let (ended, end) = io::pipe()?;
        let signals = self.signals.as_fd();
        let (value, seen) = std::thread::scope(|scope| {
            let watcher = scope.spawn(move || wait_for_signal(signals, ended, cancel));
            let value = body();
            drop(end);
            (value, watcher.join().ok().flatten())
        });
        self.seen.set(self.seen.get().or(seen));
        Ok(value)
    }

    /// What the command ends with if one came: as a shell shows it.
    pub fn code(&self) -> Option<u8> {
        self.seen.get().and_then(|signal| u8::try_from(128 + signal).ok())
    }

    /// `file` as a stream whose reads end when a signal comes.
    pub fn reader(&self, file: File) -> Interruptible<'_> {
        Interruptible { interrupt: self, file }
    }
}

/// Waits until a signal comes, or `ended` says that nobody cares any more.
fn wait_for_signal(signals: BorrowedFd<'_>, ended: PipeReader, cancel: &(dyn Fn() + Sync)) -> Option<i32> {
    loop {
        let mut fds = [PollFd::new(&ended, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) if !fds[0].revents().is_empty() => return None,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
        if let Some(signal) = terminal::read_signal(signals).ok().flatten() {
            cancel();
            return Some(signal);
        }
    }
}

/// A stream that may give nothing for a long time.
pub struct Interruptible<'i> {
    interrupt: &'i Interrupt,
    file: File,
}

impl Read for Interruptible<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.interrupt.came() {
                return Err(io::Error::other("given up"));
            }
            let mut fds =
                [PollFd::new(&self.file, PollFlags::IN), PollFd::new(&self.interrupt.signals, PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) if fds[0].revents().is_empty() => {}
                Ok(_) => return self.file.read(buffer),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
