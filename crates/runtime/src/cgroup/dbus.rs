//! A small blocking D-Bus client: connect, call, wait for a signal. One deadline for everything.
//!
//! Speaks to a message bus, or directly to a peer such as systemd's private socket, which takes no `Hello`
//! and knows no destinations. Passes no descriptors, exports nothing, and reads only what `wire` can: it is
//! for the few calls that are made once per boot, not a library.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(super) mod wire;

use super::Error;
use wire::{Body, Kind, Message};

/// The longest line of the handshake, and the most lines of it.
const LINE_MAX: usize = 512;
/// Signals that came before somebody asked for them; more are dropped, oldest first.
const SIGNALS_MAX: usize = 64;

/// What listens at a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// A message bus.
    Bus,
    /// The service itself.
    Service,
}

/// A method of an object.
pub(super) struct Method<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'static str,
}

/// What the other side says instead of a reply.
#[derive(Debug)]
pub(super) enum CallError {
    /// It refuses, with the name of an error.
    Refused { name: String, message: String },
    /// It can't be spoken to.
    Broken(Error),
}

pub(super) struct Connection {
    stream: UnixStream,
    path: PathBuf,
    peer: Peer,
    serial: u32,
    end: Instant,
    signals: Vec<Message>,
}

impl Connection {
    /// Connects as `uid` and is ready for calls until `timeout` from now.
    pub(super) fn open(path: &Path, peer: Peer, uid: u32, timeout: Duration) -> Result<Connection, Error> {
        let fail = |source| Error::Bus { path: path.into(), step: "connect", source };
        let stream = UnixStream::connect(path).map_err(fail)?;
        let end = Instant::now() + timeout;
        let mut c = Connection { stream, path: path.into(), peer, serial: 0, end, signals: Vec::new() };
        c.authenticate(uid).map_err(|source| c.broken("authenticate", source))?;
        if peer == Peer::Bus {
            let hello = Method {
                destination: "org.freedesktop.DBus",
                path: "/org/freedesktop/DBus",
                interface: "org.freedesktop.DBus",
                member: "Hello",
            };
            c.call(&hello, Body::default()).map_err(CallError::into_error)?;
        }
        Ok(c)
    }

    pub(super) fn peer(&self) -> Peer {
        self.peer
    }

    fn broken(&self, step: &'static str, source: io::Error) -> Error {
        Error::Bus { path: self.path.clone(), step, source }
    }

    /// SASL's EXTERNAL: the kernel tells the other side who we are, we say who we think we are.
    fn authenticate(&mut self, uid: u32) -> io::Result<()> {
        let id: String = uid.to_string().bytes().map(|b| format!("{b:02x}")).collect();
        self.send(format!("\0AUTH EXTERNAL {id}\r\n").as_bytes())?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            if line.len() > LINE_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the handshake has no end"));
            }
            let mut byte = [0];
            self.fill(&mut byte)?;
            line.push(byte[0]);
        }
        if !line.starts_with(b"OK ") {
            let said = String::from_utf8_lossy(&line).trim_end().to_owned();
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, said));
        }
        self.send(b"BEGIN\r\n")
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write_all(bytes).map_err(timed_out)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            self.stream.set_read_timeout(Some(self.left()?))?;
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(timed_out(error)),
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<Message> {
        let mut start = [0; wire::START_BYTES];
        self.fill(&mut start)?;
        let mut bytes = vec![0; wire::length(&start)?];
        bytes[..start.len()].copy_from_slice(&start);
        self.fill(&mut bytes[start.len()..])?;
        wire::decode(&bytes)
    }

    /// Calls a method and waits for its reply; signals that come meanwhile are kept.
    pub(super) fn call(&mut self, method: &Method<'_>, body: Body) -> Result<Message, CallError> {
        let broken = |c: &Self, e| CallError::Broken(c.broken(method.member, e));
        self.serial += 1;
        let serial = self.serial;
        let destination = (self.peer == Peer::Bus).then_some(method.destination);
        let bytes = wire::encode_call(serial, destination, method, &body);
        self.send(&bytes).map_err(|e| broken(self, e))?;
        loop {
            let message = self.receive().map_err(|e| broken(self, e))?;
            match message.kind {
                Kind::Reply if message.reply_to == Some(serial) => return Ok(message),
                Kind::Error if message.reply_to == Some(serial) => {
                    let name = message.error_name.clone().unwrap_or_default();
                    let text = message.strings().into_iter().next().unwrap_or_default();
                    return Err(CallError::Refused { name, message: text });
                }
                Kind::Signal => self.keep(message),
                _ => {}
            }
        }
    }

    fn keep(&mut self, signal: Message) {
        if self.signals.len() == SIGNALS_MAX {
            self.signals.remove(0);
        }
        self.signals.push(signal);
    }

    /// Waits for a signal that `fits`, also one that came before.
    pub(super) fn wait_signal(
        &mut self,
        what: &'static str,
        fits: impl Fn(&Message) -> bool,
    ) -> Result<Message, Error> {
        if let Some(at) = self.signals.iter().position(&fits) {
            return Ok(self.signals.remove(at));
        }
        loop {
            let message = self.receive().map_err(|e| self.broken(what, e))?;
            if message.kind == Kind::Signal && fits(&message) {
                return Ok(message);
            }
        }
    }
}

/// A socket's own timeout reads as "would block".
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}

impl CallError {
    pub(super) fn into_error(self) -> Error {
        match self {
            CallError::Refused { name, message } => Error::Refused { name, message },
            CallError::Broken(error) => error,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
