//! One connection of a keeper: frames in, frames out, never blocking, never more than a bounded number of bytes.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;

use crate::attach::AttachOptions;
use crate::keeper::protocol::{self, Kind};
use crate::keeper::slots::Key;
use crate::logs::Stream;

/// Unsent bytes of one client above which the process's output is not read: a slow reader slows the process down.
const OUTBOX_HIGH_BYTES: usize = 256 << 10;
/// How long a client that attached may hold a process's output back without reading anything.
const STUCK_TIMEOUT: Duration = Duration::from_secs(3);
/// Read at once from a client.
const READ_BYTES: usize = 32 << 10;
/// Capacity that an empty buffer keeps.
const IDLE_BYTES: usize = 4 << 10;

/// What a read of the socket brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// Whole frames may be there.
    Bytes,
    /// Nothing now.
    Nothing,
    /// The other side is gone.
    Gone,
}

/// A connection.
pub struct Client {
    socket: OwnedFd,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    sent: usize,
    /// The process whose streams and end it gets.
    pub process: Option<Key>,
    /// The streams that it gets.
    pub streams: AttachOptions,
    /// It started the container and settles its row.
    pub starter: bool,
    /// What it sent for standard input waits for the process: nothing more is read from it.
    pub stalled: bool,
    /// What the event loop watches its socket for.
    pub watched: EventFlags,
    /// Since when nothing of what waits for it could be sent.
    stuck_since: Option<Instant>,
}

impl Client {
    /// A client on a nonblocking socket.
    pub fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            inbox: Vec::new(),
            outbox: Vec::new(),
            sent: 0,
            process: None,
            streams: AttachOptions::default(),
            starter: false,
            stalled: false,
            watched: EventFlags::empty(),
            stuck_since: None,
        }
    }

    /// Reads once.
    #[inline(never)] // See `relay_once`.
    pub fn receive(&mut self) -> Incoming {
        let mut buffer = [MaybeUninit::uninit(); READ_BYTES];
        match rustix::io::read(&self.socket, &mut buffer[..]) {
            Ok(([], _)) => Incoming::Gone,
            Ok((bytes, _)) => {
                self.inbox.extend_from_slice(bytes);
                Incoming::Bytes
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Incoming::Nothing,
            Err(_) => Incoming::Gone,
        }
    }

    /// Takes the first whole frame. An error is a client that doesn't speak our protocol.
    pub fn next_frame(&mut self) -> io::Result<Option<(Option<Kind>, Vec<u8>)>> {
        let frame = protocol::peek(&self.inbox)?;
        if protocol::kind_of(&self.inbox) == Some(Kind::Stdin)
            && protocol::length_of(&self.inbox).is_some_and(|length| length > protocol::STREAM_MAX)
        {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame of input is too long"));
        }
        let Some((kind, end)) = frame else { return Ok(None) };
        let payload = self.inbox[protocol::HEADER..end].to_vec();
        self.inbox.drain(..end);
        if self.inbox.is_empty() {
            self.inbox.shrink_to(IDLE_BYTES);
        }
        Ok(Some((kind, payload)))
    }

    /// Whether it gets this stream of this process.
    pub fn gets(&self, process: Key, stream: Stream) -> bool {
        let wants = if stream == Stream::Stdout { self.streams.stdout } else { self.streams.stderr };
        self.process == Some(process) && wants
    }

    /// Queues a frame of bytes.
    pub fn push(&mut self, kind: Kind, payload: &[u8]) {
        protocol::push(&mut self.outbox, kind, payload);
    }

    /// Queues a frame of JSON.
    pub fn push_json<T: serde::Serialize>(&mut self, kind: Kind, value: &T) {
        protocol::push_json(&mut self.outbox, kind, value);
    }

    /// Sends what can be sent now. An error is a client that is gone.
    pub fn flush(&mut self) -> io::Result<()> {
        let before = self.sent;
        while self.sent < self.outbox.len() {
            let flags = rustix::net::SendFlags::NOSIGNAL | rustix::net::SendFlags::DONTWAIT;
            match rustix::net::send(&self.socket, &self.outbox[self.sent..], flags) {
                Ok(n) => self.sent += n,
                Err(rustix::io::Errno::AGAIN) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        if !self.is_behind() {
            self.stuck_since = None;
        } else if self.sent > before || self.stuck_since.is_none() {
            self.stuck_since = Some(Instant::now());
        }
        if self.sent == self.outbox.len() {
            self.outbox.clear();
            self.outbox.shrink_to(IDLE_BYTES);
            self.sent = 0;
        } else if self.sent >= OUTBOX_HIGH_BYTES {
            self.outbox.drain(..self.sent);
            self.sent = 0;
        }
        Ok(())
    }

    /// When it is to be sent away for holding others up: it joined a process that others started, holds its output
    /// back and has not read for a while. Whoever started the process may be as slow as a pipe's reader may.
    pub fn patience_ends(&self) -> Option<Instant> {
        self.stuck_since.filter(|_| self.is_full() && !self.starter).map(|since| since + STUCK_TIMEOUT)
    }

    /// Whether something waits to be sent.
    pub fn is_behind(&self) -> bool {
        self.sent < self.outbox.len()
    }

    /// Whether so much waits that the process's output should not be read.
    pub fn is_full(&self) -> bool {
        self.outbox.len() - self.sent > OUTBOX_HIGH_BYTES
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::places::set_nonblocking;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    fn pair() -> (Client, OwnedFd) {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        set_nonblocking(&ours).unwrap();
        (Client::new(ours), theirs)
    }

    #[test]
    fn frames_come_one_by_one_however_they_were_cut() {
        let (mut client, theirs) = pair();
        let mut frames = Vec::new();
        protocol::push(&mut frames, Kind::Stdin, b"abc");
        protocol::push(&mut frames, Kind::StdinEnd, &[]);
        assert_eq!(client.receive(), Incoming::Nothing);
        protocol::send_all(theirs.as_fd(), &frames[..9]).unwrap();
        assert_eq!(client.receive(), Incoming::Bytes);
        assert_eq!(client.next_frame().unwrap(), None);
        protocol::send_all(theirs.as_fd(), &frames[9..]).unwrap();
        assert_eq!(client.receive(), Incoming::Bytes);
        assert_eq!(client.next_frame().unwrap(), Some((Some(Kind::Stdin), b"abc".to_vec())));
        assert_eq!(client.next_frame().unwrap(), Some((Some(Kind::StdinEnd), Vec::new())));
        drop(theirs);
        assert_eq!(client.receive(), Incoming::Gone);
    }

    #[test]
    fn a_frame_of_input_that_is_too_long_is_refused_by_its_header() {
        let (mut client, theirs) = pair();
        let header = protocol::header(Kind::Stdin, protocol::STREAM_MAX + 1);
        protocol::send_all(theirs.as_fd(), &header).unwrap();
        assert_eq!(client.receive(), Incoming::Bytes);
        assert!(client.next_frame().is_err());
    }

    #[test]
    fn what_a_slow_reader_leaves_is_sent_when_it_reads_on() {
        let (mut client, theirs) = pair();
        let chunk = [7; protocol::STREAM_MAX];
        let mut pushed = 0;
        while !client.is_full() {
            client.push(Kind::Stdout, &chunk);
            pushed += 1;
            client.flush().unwrap();
        }
        assert!(client.is_behind());
        for _ in 0..pushed {
            let (kind, payload) = protocol::receive_frame(&theirs).unwrap().unwrap();
            assert_eq!((kind, payload.as_slice()), (Some(Kind::Stdout), &chunk[..]));
            client.flush().unwrap();
        }
        assert!(!client.is_behind() && !client.is_full());
        drop(theirs);
        client.push(Kind::Stdout, b"x");
        assert!(client.flush().is_err(), "who is gone is an error, not a signal");
    }
}
