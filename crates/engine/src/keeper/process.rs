//! A process that a keeper looks after, the container's first one or an exec's, and its streams.

use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use corten_model::ExecId;
use corten_model::state::Exit;
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions};

use crate::logs::Stream;

/// Read at once from a process.
pub const READ_BYTES: usize = super::protocol::STREAM_MAX;

/// The most that a terminal holds: the kernel's buffer between its two sides and the line's.
const TERMINAL_MAX_BYTES: usize = 128 << 10;

/// What a read of an output brought.
pub enum Output<'a> {
    /// These.
    Bytes(&'a mut [u8]),
    /// Nothing now.
    Nothing,
    /// There will be no more.
    End,
}

/// A process and our ends of its streams.
pub struct Process {
    /// Which exec; the container's first process has none.
    pub exec: Option<ExecId>,
    /// Its pid here.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub ticks: u64,
    /// Readable when it ended.
    pub pidfd: OwnedFd,
    /// Standard output, or the terminal.
    pub out: Option<OwnedFd>,
    /// Standard error.
    pub err: Option<OwnedFd>,
    /// Standard input, unless it is a terminal.
    pub input: Option<OwnedFd>,
    /// Bytes that it hasn't taken yet.
    pub backlog: VecDeque<u8>,
    /// Standard input ends when the backlog is written.
    pub input_ends: bool,
    /// A slow client holds its output back: it isn't read.
    pub held: bool,
    /// Whether `out` is a terminal.
    pub terminal: bool,
    /// How it ended.
    pub exit: Option<Exit>,
    /// Not a child of ours: a keeper before us started it.
    pub adopted: bool,
}

impl Process {
    /// Reads once from a stream.
    pub fn read<'a>(&mut self, stream: Stream, buffer: &'a mut [MaybeUninit<u8>]) -> Output<'a> {
        let slot = if stream == Stream::Stdout { &mut self.out } else { &mut self.err };
        let Some(fd) = slot else { return Output::End };
        match rustix::io::read(fd.as_fd(), buffer) {
            Ok(([], _)) => Output::End,
            Ok((bytes, _)) => Output::Bytes(bytes),
            Err(Errno::AGAIN | Errno::INTR) => Output::Nothing,
            // A terminal whose last process closed it gives EIO.
            Err(_) => Output::End,
        }
    }

    /// Bytes that were written to a stream and not read yet.
    pub fn unread_bytes(&self, stream: Stream) -> usize {
        let fd = if stream == Stream::Stdout { &self.out } else { &self.err };
        // A terminal doesn't tell all that it holds.
        let floor = if self.terminal { TERMINAL_MAX_BYTES } else { 0 };
        let told = fd.as_ref().and_then(|fd| rustix::io::ioctl_fionread(fd).ok()).unwrap_or(0);
        usize::try_from(told).unwrap_or(usize::MAX).max(floor)
    }

    /// Writes what can be written of the backlog. `true`: something is left.
    pub fn feed(&mut self) -> bool {
        loop {
            let input = if self.terminal { &self.out } else { &self.input };
            let Some(fd) = input else {
                // Nobody will read it.
                self.backlog.clear();
                return false;
            };
            let (first, _) = self.backlog.as_slices();
            if first.is_empty() {
                self.backlog.shrink_to(0);
                if self.input_ends && !self.terminal {
                    self.input = None;
                }
                return false;
            }
            match rustix::io::write(fd, first) {
                Ok(n) => drop(self.backlog.drain(..n)),
                Err(Errno::AGAIN) => return true,
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.backlog.clear();
                    self.input = None;
                    return false;
                }
            }
        }
    }

    /// Collects the exit code of a process that ended. `None`: it hasn't.
    pub fn reap(&self) -> Option<u8> {
        if self.adopted {
            return corten_sys::pidfd::exit_code_of_ended(self.pidfd.as_fd()).ok().flatten();
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let status = match rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), options) {
            Ok(status) => status?,
            // Somebody else took its code (it was never our child, or no longer is): the kernel may still know it.
            Err(_) => {
                let known = corten_sys::pidfd::exit_code_of_ended(self.pidfd.as_fd());
                return Some(known.ok().flatten().unwrap_or(super::UNKNOWN_EXIT));
            }
        };
        let by_signal = || status.terminating_signal().map(|s| 128 + s as u8);
        Some(status.exit_status().map(|c| c as u8).or_else(by_signal).unwrap_or(u8::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::places::{plain_pipe, set_nonblocking};
    use rustix::process::{Pid, PidfdFlags};

    fn process(input: OwnedFd) -> Process {
        set_nonblocking(&input).unwrap();
        let own = rustix::process::getpid();
        Process {
            exec: None,
            pid: own.as_raw_pid(),
            ticks: 0,
            pidfd: rustix::process::pidfd_open(own, PidfdFlags::empty()).unwrap(),
            out: None,
            err: None,
            input: Some(input),
            backlog: VecDeque::new(),
            input_ends: false,
            held: false,
            terminal: false,
            exit: None,
            adopted: false,
        }
    }

    #[test]
    fn input_waits_for_a_full_pipe_and_ends_after_its_last_byte() {
        let (reader, writer) = plain_pipe().unwrap();
        let mut process = process(writer);
        let sent: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        process.backlog.extend(&sent);
        process.input_ends = true;
        assert!(process.feed(), "the pipe doesn't hold all of it");
        let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            match rustix::io::read(&reader, &mut buffer).unwrap() {
                0 => break,
                n => got.extend_from_slice(&buffer[..n]),
            }
            process.feed();
        }
        assert!(got == sent && process.input.is_none());
    }

    #[test]
    fn input_that_nobody_will_read_is_dropped() {
        let (reader, writer) = plain_pipe().unwrap();
        let mut process = process(writer);
        drop(reader);
        process.backlog.extend(b"abc");
        assert!(!process.feed());
        assert!(process.backlog.is_empty() && process.input.is_none());
        process.backlog.extend(b"more");
        assert!(!process.feed() && process.backlog.is_empty());
    }

    #[test]
    fn what_a_pipe_holds_is_known() {
        let (reader, writer) = plain_pipe().unwrap();
        let (_, input) = plain_pipe().unwrap();
        let mut process = process(input);
        process.out = Some(reader);
        assert_eq!(process.unread_bytes(Stream::Stdout), 0);
        rustix::io::write(&writer, b"hello").unwrap();
        assert_eq!(process.unread_bytes(Stream::Stdout), 5);
        assert_eq!(process.unread_bytes(Stream::Stderr), 0);
    }

    #[test]
    fn a_code_is_collected_once_the_process_ended() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "read x; exit 9"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let (_, input) = plain_pipe().unwrap();
        let mut process = process(input);
        process.pidfd = rustix::process::pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        assert_eq!(process.reap(), None);
        drop(child.stdin.take());
        let mut ended = [rustix::event::PollFd::new(&process.pidfd, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut ended, None).unwrap();
        assert_eq!(process.reap(), Some(9));
        // It is reaped: there is nothing to wait for any more.
        let _ = child.wait();
        assert!(process.reap().is_some(), "one that somebody else collected doesn't wake the loop for ever");
    }
}
