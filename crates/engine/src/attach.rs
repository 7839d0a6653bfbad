//! A session with a container or an exec: its streams, its signals and its end.

pub mod detach_keys;

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use corten_model::ContainerId;
use corten_model::signal::Signal;
use corten_model::state::Exit;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use crate::keeper::places;
use crate::keeper::protocol::{self, Kind, Request};

/// Bytes of input that may wait for the keeper; more aren't read.
const OUTBOX_HIGH_BYTES: usize = 256 << 10;
/// Read at once, from the caller and from the keeper.
const READ_BYTES: usize = 64 << 10;

/// Which streams a session carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AttachOptions {
    /// The caller writes to the process's standard input.
    pub stdin: bool,
    /// The caller gets its standard output (a terminal's output too).
    pub stdout: bool,
    /// The caller gets its standard error.
    pub stderr: bool,
    /// Rows and columns of the caller's terminal.
    pub size: Option<(u16, u16)>,
}

/// The caller's side of the streams.
pub struct Streams<'a> {
    /// Read until its end, then the process's standard input is closed.
    pub stdin: Option<BorrowedFd<'a>>,
    /// Where standard output goes.
    pub stdout: BorrowedFd<'a>,
    /// Where standard error goes.
    pub stderr: BorrowedFd<'a>,
    /// The session ends when the input has ended and was taken: the caller wants nothing else.
    pub leaves_after_input: bool,
    /// A signalfd of the signals that the caller wants to react to.
    pub signals: Option<BorrowedFd<'a>>,
    /// Bytes of standard input that end the session and leave the process running; empty is none.
    pub detach_keys: Vec<u8>,
}

/// What the caller wants done about a signal that it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing.
    Ignore,
    /// Send it to the process.
    Forward(Signal),
    /// The terminal has a new size: rows, columns.
    Resize(u16, u16),
    /// End the session, leave the process running.
    Detach,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The process ended; all of its output was delivered.
    Exited(Exit),
    /// The caller left, or nobody reads its standard output any more.
    Detached,
    /// The keeper is gone: the process may be running, its streams are lost.
    Lost,
}

/// Errors of a session.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's own streams.
    #[error("{what}")]
    Local {
        /// What was to be done.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The keeper said something that isn't our protocol.
    #[error("the keeper's answer makes no sense")]
    Protocol(#[source] io::Error),
}

/// An open session.
pub struct Session {
    socket: OwnedFd,
    inbox: Vec<u8>,
    run: PathBuf,
    container: ContainerId,
    /// It started a `--rm` container: whoever ends it takes the row away.
    pub(crate) settles: bool,
    unsent: Vec<u8>,
}

impl Session {
    /// A session on a socket whose subscription the keeper has confirmed; `inbox` is what came after that.
    pub(crate) fn new(socket: OwnedFd, inbox: Vec<u8>, run: PathBuf, container: ContainerId) -> Self {
        Self { socket, inbox, run, container, settles: false, unsent: Vec::new() }
    }

    /// The rest of a frame of which the keeper has got a part.
    pub(crate) fn unsent(&self) -> &[u8] {
        &self.unsent
    }

    /// The keeper's socket, for what follows after the end.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Moves bytes both ways until the process ends or the caller detaches. Never holds more than a
    /// bounded number of bytes; a slow reader slows the process down.
    pub fn pump(
        &mut self,
        streams: Streams<'_>,
        on_signal: &mut dyn FnMut(i32) -> Reaction,
    ) -> crate::Result<Ended> {
        let keys = detach_keys::Matcher::new(streams.detach_keys.clone());
        let mut pump =
            Pump { session: self, input: streams.stdin, streams, keys, outbox: Vec::new(), sent: 0 };
        let ended = pump.run(on_signal);
        let unsent = rest_of_frame(&pump.outbox, pump.sent).to_vec();
        self.unsent = unsent;
        Ok(ended?)
    }

    /// Waits for the end without any stream.
    pub(crate) fn wait(&mut self) -> Result<Ended, Error> {
        loop {
            while let Some((kind, end)) = protocol::peek(&self.inbox).map_err(Error::Protocol)? {
                if kind == Some(Kind::Exit) {
                    return Ok(Ended::Exited(parse_exit(&self.inbox[protocol::HEADER..end])?));
                }
                self.inbox.drain(..end);
            }
            if !self.receive()? {
                return Ok(Ended::Lost);
            }
        }
    }

    /// Reads once. `false`: the keeper is gone.
    fn receive(&mut self) -> Result<bool, Error> {
        // Not zeroed: to touch all of it would cost more than the few bytes that mostly come.
        let mut buffer = [const { MaybeUninit::uninit() }; READ_BYTES];
        match rustix::io::read(&self.socket, &mut buffer[..]) {
            Ok(([], _)) | Err(Errno::CONNRESET) => Ok(false),
            Ok((bytes, _)) => {
                self.inbox.extend_from_slice(bytes);
                Ok(true)
            }
            Err(Errno::INTR) => Ok(true),
            Err(e) => Err(Error::Local { what: "read from the keeper", source: e.into() }),
        }
    }
}

/// What of the frames in `outbox`, of which `sent` bytes are gone, belongs to the frame that was begun.
fn rest_of_frame(outbox: &[u8], sent: usize) -> &[u8] {
    let mut end = 0;
    while end < sent {
        let Some(length) = protocol::length_of(&outbox[end..]) else { break };
        end += protocol::HEADER + length;
    }
    outbox.get(sent..end).unwrap_or_default()
}

fn parse_exit(payload: &[u8]) -> Result<Exit, Error> {
    serde_json::from_slice(payload).map_err(|e| Error::Protocol(e.into()))
}

struct Pump<'a, 's> {
    session: &'s mut Session,
    streams: Streams<'a>,
    /// Until its end.
    input: Option<BorrowedFd<'a>>,
    keys: detach_keys::Matcher,
    outbox: Vec<u8>,
    sent: usize,
}

impl Pump<'_, '_> {
    fn run(&mut self, on_signal: &mut dyn FnMut(i32) -> Reaction) -> Result<Ended, Error> {
        loop {
            if let Some(ended) = self.deliver()? {
                return Ok(ended);
            }
            let [socket, input, signals] = self.wait()?;
            if signals && let Some(ended) = self.take_signal(on_signal)? {
                return Ok(ended);
            }
            if input && let Some(ended) = self.take_input()? {
                return Ok(ended);
            }
            if self.flush().is_err() {
                // The keeper takes no more; what it said before, the exit too, may still lie in the socket.
                self.outbox.clear();
                self.sent = 0;
                self.input = None;
            }
            if self.streams.leaves_after_input && self.input.is_none() && self.outbox.is_empty() {
                return Ok(Ended::Detached);
            }
            if socket && !self.session.receive()? {
                return Ok(self.deliver()?.unwrap_or(Ended::Lost));
            }
        }
    }

    /// Waits until something can be done: the keeper speaks, the caller types, a signal came.
    fn wait(&self) -> Result<[bool; 3], Error> {
        let behind = self.sent < self.outbox.len();
        let socket_flags = if behind { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let input = self.input.filter(|_| self.outbox.len() - self.sent < OUTBOX_HIGH_BYTES);
        let mut fds = vec![PollFd::new(&self.session.socket, socket_flags)];
        fds.extend(input.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
        fds.extend(self.streams.signals.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
        match rustix::event::poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok([false; 3]),
            Err(e) => {
                return Err(Error::Local { what: "wait for the container's streams", source: e.into() });
            }
        }
        let ready =
            |index: usize| fds[index].revents().intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
        let signals = self.streams.signals.is_some() && ready(fds.len() - 1);
        Ok([ready(0), input.is_some() && ready(1), signals])
    }

    /// Writes what the keeper sent to the caller's streams.
    fn deliver(&mut self) -> Result<Option<Ended>, Error> {
        let mut used = 0;
        let mut ended = None;
        while ended.is_none() {
            let inbox = &self.session.inbox[used..];
            let Some((kind, end)) = protocol::peek(inbox).map_err(Error::Protocol)? else { break };
            let payload = &inbox[protocol::HEADER..end];
            match kind {
                Some(Kind::Stdout) if !write_all(self.streams.stdout, payload) => {
                    ended = Some(Ended::Detached)
                }
                Some(Kind::Stderr) => drop(write_all(self.streams.stderr, payload)),
                Some(Kind::Exit) => ended = Some(Ended::Exited(parse_exit(payload)?)),
                _ => {}
            }
            used += end;
        }
        self.session.inbox.drain(..used);
        Ok(ended)
    }

    fn take_input(&mut self) -> Result<Option<Ended>, Error> {
        let Some(input) = self.input else { return Ok(None) };
        let mut buffer = [0; protocol::STREAM_MAX];
        let count = match rustix::io::read(input, &mut buffer) {
            Ok(count) => count,
            Err(Errno::INTR | Errno::AGAIN) => return Ok(None),
            // A terminal that hung up reads as its end.
            Err(_) => 0,
        };
        if count == 0 {
            self.input = None;
            let rest = self.keys.rest();
            self.push_input(&rest);
            protocol::push(&mut self.outbox, Kind::StdinEnd, &[]);
            return Ok(None);
        }
        let (bytes, detach) = self.keys.take(&buffer[..count]);
        self.push_input(&bytes);
        Ok(detach.then_some(Ended::Detached))
    }

    /// What the detach keys held back comes on top of what was read: it may be more than a frame takes.
    fn push_input(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(protocol::STREAM_MAX) {
            protocol::push(&mut self.outbox, Kind::Stdin, chunk);
        }
    }

    fn take_signal(&mut self, on_signal: &mut dyn FnMut(i32) -> Reaction) -> Result<Option<Ended>, Error> {
        let Some(signals) = self.streams.signals else { return Ok(None) };
        // struct signalfd_siginfo: 128 bytes, the first four are the signal's number.
        let mut record = [0u8; 128];
        match rustix::io::read(signals, &mut record) {
            Ok(_) => {}
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(e) => return Err(Error::Local { what: "read a signal", source: e.into() }),
        }
        let number = u32::from_ne_bytes([record[0], record[1], record[2], record[3]]);
        match on_signal(number as i32) {
            Reaction::Ignore => {}
            Reaction::Resize(rows, cols) => {
                protocol::push_json(&mut self.outbox, Kind::Request, &Request::Resize { rows, cols });
            }
            Reaction::Forward(signal) => self.forward(signal),
            Reaction::Detach => return Ok(Some(Ended::Detached)),
        }
        Ok(None)
    }

    /// Sends a signal over a connection of its own: on this one it would queue behind input that nobody reads.
    fn forward(&self, signal: Signal) {
        let mut frame = Vec::new();
        protocol::push_json(&mut frame, Kind::Request, &Request::Kill { signal: signal.number() });
        // A keeper that is gone has said so on this session, or will.
        if let Ok(Some(socket)) = places::connect(&self.session.run, &self.session.container) {
            let _ = protocol::send_all(socket.as_fd(), &frame);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.sent < self.outbox.len() {
            let flags = rustix::net::SendFlags::NOSIGNAL | rustix::net::SendFlags::DONTWAIT;
            match rustix::net::send(&self.session.socket, &self.outbox[self.sent..], flags) {
                Ok(count) => self.sent += count,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        self.outbox.clear();
        self.sent = 0;
        Ok(())
    }
}

/// Writes all bytes. `false`: nobody reads them any more.
fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            // A caller may have made its own streams nonblocking.
            Err(Errno::AGAIN) => {
                let mut fds = [PollFd::new(&fd, PollFlags::OUT)];
                if rustix::event::poll(&mut fds, None).is_err() {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::io::{Read, Write};

    #[test]
    fn only_the_rest_of_the_frame_that_was_begun_is_left_to_send() {
        let mut outbox = Vec::new();
        protocol::push(&mut outbox, Kind::Stdin, b"abc");
        protocol::push(&mut outbox, Kind::Stdin, b"defg");
        let (first, all) = (protocol::HEADER + 3, outbox.len());
        let check =
            |sent: usize, expected: &[u8]| assert_eq!(rest_of_frame(&outbox, sent), expected, "{sent}");
        check(0, b"");
        check(first - 1, b"c");
        check(first, b"");
        check(first + 3, &outbox[first + 3..]);
        check(all, b"");
    }

    /// The keeper of an app that ended at once: it reads nothing, says how it ended, and is gone.
    #[test]
    fn the_exit_is_heard_though_nobody_takes_the_input() {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        let mut frames = Vec::new();
        protocol::push(&mut frames, Kind::Stdout, b"last words");
        let exit = Exit { code: 3, oom_killed: false };
        protocol::push_json(&mut frames, Kind::Exit, &exit);
        protocol::send_all(theirs.as_fd(), &frames).unwrap();
        drop(theirs);
        let mut input = tempfile::tempfile().unwrap();
        input.write_all(&vec![b'y'; 1 << 20]).unwrap();
        std::io::Seek::rewind(&mut input).unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut session = Session::new(ours, Vec::new(), PathBuf::new(), ContainerId::from_bytes([0; 32]));
        let streams = Streams {
            stdin: Some(input.as_fd()),
            stdout: writer.as_fd(),
            stderr: writer.as_fd(),
            leaves_after_input: false,
            signals: None,
            detach_keys: Vec::new(),
        };
        assert_eq!(session.pump(streams, &mut |_| Reaction::Ignore).unwrap(), Ended::Exited(exit));
        drop(writer);
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        assert_eq!(said, "last words");
    }
}
