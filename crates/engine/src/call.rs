//! Talking to a container's keeper: spawn one, connect to one, ask, read the answer.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use corten_model::{ContainerId, Kind};
use corten_sys::young;

use crate::attach::Session;
use crate::keeper::{self, places, protocol};

/// Errors of a conversation with a keeper.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The binary can't be spawned as a keeper.
    #[error("spawn the container's keeper")]
    Spawn(#[source] io::Error),
    /// The socket.
    #[error("speak with the container's keeper")]
    Socket(#[source] io::Error),
    /// It speaks a version that came after ours.
    #[error("the container's keeper is of a newer version")]
    Newer(#[source] io::Error),
    /// No keeper looks after it.
    #[error("no keeper looks after the container")]
    NotThere,
    /// It hung up without an answer.
    #[error("the container's keeper ended without an answer")]
    HungUp,
    /// It answered something else than was asked.
    #[error("the keeper's answer makes no sense")]
    Nonsense(#[source] Option<serde_json::Error>),
    /// It says no; its chain of causes travels along.
    #[error(transparent)]
    Refused(Refusal),
}

/// A keeper's error as an error of ours: its causes are its sources.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    message: String,
    kind: Kind,
    exit_code: u8,
    hint: Option<String>,
    #[source]
    cause: Option<Box<Refusal>>,
}

impl Refusal {
    /// What a caller can do about it.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What to try.
    pub fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

impl From<protocol::Failure> for Refusal {
    fn from(failure: protocol::Failure) -> Self {
        let kind = protocol::kind_from_word(&failure.kind);
        let mut cause = None;
        for message in failure.chain.into_iter().rev() {
            let hint = failure.hint.clone();
            cause = Some(Box::new(Refusal { message, kind, exit_code: failure.exit_code, hint, cause }));
        }
        let unnamed = || Refusal {
            message: "unnamed".into(),
            kind,
            exit_code: failure.exit_code,
            hint: None,
            cause: None,
        };
        cause.map_or_else(unnamed, |c| *c)
    }
}

impl Error {
    /// What a caller can do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Error::Refused(refusal) => refusal.kind,
            Error::NotThere => Kind::Conflict,
            Error::Newer(_) => Kind::Unsupported,
            Error::Spawn(_) => Kind::Unavailable,
            Error::Socket(_) | Error::HungUp | Error::Nonsense(_) => Kind::Internal,
        }
    }

    /// The exit code of `run` and `exec`.
    pub fn exit_code(&self) -> u8 {
        if let Error::Refused(refusal) = self { refusal.exit_code } else { 125 }
    }

    /// What to try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Refused(refusal) => refusal.hint.clone(),
            Error::Newer(_) => Some("use the binary that started it, or one that is newer".into()),
            _ => None,
        }
    }
}

fn unreadable(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::Unsupported { Error::Newer(error) } else { Error::Socket(error) }
}

/// Both ends of a new line: the caller's and the keeper's.
fn pair() -> Result<(OwnedFd, OwnedFd), Error> {
    let (family, kind) = (rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM);
    let pair = rustix::net::socketpair(family, kind, rustix::net::SocketFlags::CLOEXEC, None);
    pair.map_err(|e| Error::Spawn(e.into()))
}

/// A connection to a keeper.
pub struct Line {
    socket: OwnedFd,
    inbox: Vec<u8>,
}

impl Line {
    /// Makes a keeper for a container with a user namespace of its own: by cloning this process if that is young.
    ///
    /// Its executable can be opened through /proc by who may trace it, and its file written by the host's root alone.
    /// A container that runs as that gets a spawned keeper, whose executable nobody can write.
    pub fn make() -> Result<Line, Error> {
        if !young::is_young() {
            return Line::spawn();
        }
        let (ours, theirs) = pair()?;
        young::clone_self(c"corten-keeper", theirs.as_fd(), keeper::keep)
            .map_err(|e| Error::Spawn(e.into()))?;
        Ok(Line { socket: ours, inbox: Vec::new() })
    }

    /// Spawns a keeper; it waits for its first words.
    pub fn spawn() -> Result<Line, Error> {
        let (ours, theirs) = pair()?;
        let step = crate::steps::chosen().map(|step| ("CORTEN_STOP_AT", step.to_owned()));
        let environment: Vec<_> = step.into_iter().collect();
        corten_sys::spawn::spawn_self(keeper::PERSONALITY, &[theirs.as_fd()], &environment)
            .map_err(Error::Spawn)?;
        Ok(Line { socket: ours, inbox: Vec::new() })
    }

    /// Connects to the keeper of a running container.
    pub fn connect(run: &Path, id: &ContainerId) -> Result<Line, Error> {
        let socket = places::connect(run, id).map_err(Error::Socket)?.ok_or(Error::NotThere)?;
        Ok(Line { socket, inbox: Vec::new() })
    }

    /// Connects to the keeper of the container that the run directory knows under this name or whole id, without the
    /// database, which alone says that there is none.
    pub fn find(run: &Path, target: &str) -> Option<(ContainerId, Line)> {
        let id = keeper::names::find(run, target)?;
        let line = Line::connect(run, &id).ok()?;
        Some((id, line))
    }

    /// Sends a request without waiting.
    pub fn say(&self, request: &protocol::Request) -> Result<(), Error> {
        let mut frame = Vec::new();
        protocol::push_json(&mut frame, protocol::Kind::Request, request);
        match protocol::send_all(self.socket.as_fd(), &frame) {
            // It may have answered before it hung up: the answer tells more.
            Err(e) if matches!(e.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
                Ok(())
            }
            other => other.map_err(Error::Socket),
        }
    }

    /// Waits for the next answer.
    pub fn answer(&mut self) -> Result<protocol::Reply, Error> {
        loop {
            while let Some((kind, end)) = protocol::peek(&self.inbox).map_err(unreadable)? {
                let frame: Vec<u8> = self.inbox.drain(..end).collect();
                if kind != Some(protocol::Kind::Reply) {
                    continue;
                }
                return match serde_json::from_slice(&frame[protocol::HEADER..]) {
                    Ok(protocol::Reply::Failed(failure)) => Err(Error::Refused(failure.into())),
                    Ok(reply) => Ok(reply),
                    Err(e) => Err(Error::Nonsense(Some(e))),
                };
            }
            let mut buffer = [0; 4096];
            match rustix::io::read(&self.socket, &mut buffer) {
                Ok(0) | Err(rustix::io::Errno::CONNRESET) => return Err(Error::HungUp),
                Ok(n) => self.inbox.extend_from_slice(&buffer[..n]),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(Error::Socket(e.into())),
            }
        }
    }

    /// Asks and waits for the answer.
    pub fn ask(&mut self, request: &protocol::Request) -> Result<protocol::Reply, Error> {
        self.say(request)?;
        self.answer()
    }

    /// The bare socket: it becomes readable when what was subscribed to ends.
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// A session on the subscription that was just confirmed.
    pub fn into_session(self, run: &Path, id: &ContainerId) -> Session {
        Session::new(self.socket, self.inbox, run.to_owned(), id.clone())
    }
}
