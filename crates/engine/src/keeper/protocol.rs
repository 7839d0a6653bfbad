//! What a keeper and its callers say to each other over a unix stream socket.
//!
//! ```text
//! frame:  kind u8 | version u8 | 0 u16 | length u32 (little endian) | payload
//! ```
//! Requests, replies and exits are JSON, streams are bytes. Unknown JSON fields are ignored and an unknown request is
//! answered with a failure, so that a binary speaks with keepers of the version before its own and after. A caller may
//! send one request that subscribes it (`start`, `attach`, `exec`, `wait`), then streams, resizes and signals.
//!
//! A frame carries the lowest version that can express it: what an older side would take for something else has a newer
//! one, and is refused there as a whole. What it may ignore, such as a new field, needs none.

use std::io;
use std::os::fd::BorrowedFd;

use corten_model::health::{Health, Probe};
use corten_model::resources::Resources;
use corten_model::restart::RestartPolicy;
use corten_model::state::Exit;
use corten_model::{ExecId, Name};
use corten_runtime::cgroup::DeviceRule;
use corten_runtime::spec::{Process, Spec};
use corten_storage::snapshot::Snapshot;
use serde::{Deserialize, Serialize};

use crate::attach::AttachOptions;
use crate::exec::ExecRequest;

/// The newest version that this binary understands.
pub const VERSION: u8 = 1;
/// Bytes before each payload.
pub const HEADER: usize = 8;
/// The longest payload: a start with the largest argument list that the kernel takes.
pub const PAYLOAD_MAX: usize = 16 << 20;
/// The longest payload of a stream: nobody sends a longer one, and a keeper takes no longer input.
pub const STREAM_MAX: usize = 32 << 10;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A [`Request`].
    Request,
    /// Bytes for standard input.
    Stdin,
    /// The end of standard input.
    StdinEnd,
    /// A [`Reply`].
    Reply,
    /// Bytes of standard output.
    Stdout,
    /// Bytes of standard error.
    Stderr,
    /// An [`Exit`]: the process ended, and all its output was sent before.
    Exit,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Kind::Request => 1,
            Kind::Stdin => 2,
            Kind::StdinEnd => 3,
            Kind::Reply => 16,
            Kind::Stdout => 17,
            Kind::Stderr => 18,
            Kind::Exit => 19,
        }
    }

    /// The version that it came with.
    fn since(self) -> u8 {
        match self {
            Kind::Request
            | Kind::Stdin
            | Kind::StdinEnd
            | Kind::Reply
            | Kind::Stdout
            | Kind::Stderr
            | Kind::Exit => 1,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [Kind::Request, Kind::Stdin, Kind::StdinEnd, Kind::Reply, Kind::Stdout, Kind::Stderr, Kind::Exit]
            .into_iter()
            .find(|k| k.code() == code)
    }
}

/// A frame that only a newer binary understands.
#[derive(Debug, thiserror::Error)]
#[error("the other side speaks version {0} of the protocol, and this one up to {VERSION}")]
pub struct Newer(pub u8);

/// The header of a payload of `length` bytes.
pub fn header(kind: Kind, length: usize) -> [u8; HEADER] {
    let length = u32::try_from(length).expect("payloads are below 16 MiB").to_le_bytes();
    [kind.code(), kind.since(), 0, 0, length[0], length[1], length[2], length[3]]
}

/// Appends a whole frame to `buffer`.
pub fn push(buffer: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    buffer.extend_from_slice(&header(kind, payload.len()));
    buffer.extend_from_slice(payload);
}

/// Appends a frame of JSON to `buffer`.
pub fn push_json<T: Serialize>(buffer: &mut Vec<u8>, kind: Kind, value: &T) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEADER]);
    serde_json::to_writer(&mut *buffer, value).expect("our own messages are JSON");
    let header = header(kind, buffer.len() - start - HEADER);
    buffer[start..start + HEADER].copy_from_slice(&header);
}

/// The first frame of `buffer`: its kind (`None`: unknown to us) and where its payload ends.
/// `Ok(None)`: more bytes are needed.
///
/// One of a newer version is [`io::ErrorKind::Unsupported`], by [`Newer`]: what it means can't be known.
pub fn peek(buffer: &[u8]) -> io::Result<Option<(Option<Kind>, usize)>> {
    let Some(length) = length_of(buffer) else { return Ok(None) };
    if let [_, version, ..] = buffer
        && *version > VERSION
    {
        return Err(io::Error::new(io::ErrorKind::Unsupported, Newer(*version)));
    }
    if length > PAYLOAD_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is longer than 16 MiB"));
    }
    let end = HEADER + length;
    Ok((buffer.len() >= end).then_some((kind_of(buffer), end)))
}

/// The kind of the frame that `buffer` begins with, as soon as its header is there.
pub fn kind_of(buffer: &[u8]) -> Option<Kind> {
    buffer.first_chunk::<HEADER>().and_then(|header| Kind::from_code(header[0]))
}

/// The length of that frame's payload.
pub fn length_of(buffer: &[u8]) -> Option<usize> {
    let header = buffer.first_chunk::<HEADER>()?;
    Some(u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize)
}

/// Writes all of `bytes` to a blocking socket; no SIGPIPE if the other side is gone.
pub fn send_all(socket: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::net::send(socket, bytes, rustix::net::SendFlags::NOSIGNAL) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Reads one whole frame from a blocking socket, and nothing that follows it. `None`: the other side hung up.
pub fn receive_frame(socket: &std::os::fd::OwnedFd) -> io::Result<Option<(Option<Kind>, Vec<u8>)>> {
    let mut buffer = Vec::new();
    loop {
        if let Some((kind, end)) = peek(&buffer)? {
            debug_assert_eq!(end, buffer.len());
            buffer.drain(..HEADER);
            return Ok(Some((kind, buffer)));
        }
        let missing = HEADER + length_of(&buffer).unwrap_or(0) - buffer.len();
        let start = buffer.len();
        buffer.resize(start + missing, 0);
        match rustix::io::read(socket, &mut buffer[start..]) {
            Ok(0) => return Ok(None),
            Ok(n) => buffer.truncate(start + n),
            Err(rustix::io::Errno::INTR) => buffer.truncate(start),
            Err(e) => return Err(e.into()),
        }
    }
}

/// What a caller asks of a keeper.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
#[allow(clippy::large_enum_variant)] // A request lives once and briefly.
pub enum Request {
    /// The first words to a new keeper: what it can do before the image is looked up.
    Prepare(Prepare),
    /// Start the container; the caller is subscribed to its streams and its end.
    Start(Start),
    /// The rows of what is started are there: its program may run.
    Go {
        /// The container's name, which leads callers here.
        name: Name,
    },
    /// Take over a container whose keeper died; see [`Adopt`].
    Adopt(Adopt),
    /// Subscribe to the container's streams and its end.
    Attach(AttachOptions),
    /// Run another process in the container; the caller is subscribed to it.
    Exec(Exec),
    /// The same, made from what was asked for and the container's first process: the caller knows no more than the
    /// container's name. A keeper that adopted the container refuses: it doesn't know how that was started.
    ExecAsked {
        /// The exec's id.
        id: ExecId,
        /// What was asked for.
        asked: ExecRequest,
    },
    /// Subscribe to the end alone.
    Wait,
    /// Send a signal to the container's first process.
    Kill {
        /// The signal's number.
        signal: i32,
    },
    /// Send a signal, wait, kill everything. The caller is subscribed to the end.
    Stop {
        /// The signal's number.
        signal: i32,
        /// How long to wait; absent: for ever.
        timeout_ms: Option<u64>,
        /// It is started again at once: a `--rm` container stays.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        restarting: bool,
    },
    /// Set these limits, all of them, instead of those that it has; none of them changes if one can't be set.
    Update {
        /// The limits.
        resources: Resources,
    },
    /// From now on it is started again after its end like this.
    SetRestart {
        /// The policy; its health check isn't looked at.
        watch: Watch,
        /// What a keeper that has not kept it starts the container with.
        plan: Option<Box<Start>>,
    },
    /// What is known of its health.
    Health,
    /// Stop every process of the container where it is.
    Pause {
        /// Only for as long as the caller is connected.
        #[serde(default)]
        hold: bool,
    },
    /// Let them go on.
    Unpause,
    /// The terminal of what the caller is subscribed to has a new size.
    Resize {
        /// Rows.
        rows: u16,
        /// Columns.
        cols: u16,
    },
    /// The caller that started it removed its row: nothing of it needs to stay.
    Settled,
}

/// What a keeper can do before it knows the image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Prepare {
    /// The container.
    pub id: corten_model::ContainerId,
    /// The data root.
    pub data: std::path::PathBuf,
    /// The run root.
    pub run: std::path::PathBuf,
    /// Whether we have no power over the host.
    pub rootless: bool,
    /// The cgroup's limits.
    pub resources: Resources,
    /// The groups between ours and the container's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cgroup_parent: Vec<String>,
    /// The devices that it may use; empty is all.
    pub devices: Vec<DeviceRule>,
    /// It runs already: its pipes and its cgroup are there.
    #[serde(default)]
    pub adopt: bool,
    /// Say [`Reply::Done`] when the lock is taken: from then on nobody else starts or removes the container.
    #[serde(default)]
    pub confirm: bool,
}

/// Everything else that a start needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Start {
    /// What runs, and in what.
    pub spec: Spec,
    /// Files to write into the run directory, name and content: the spec mounts them.
    pub files: Vec<(String, String)>,
    /// The layers and the writable directory.
    pub snapshot: Snapshot,
    /// Layers of images that the spec mounts by number.
    #[serde(default)]
    pub trees: Vec<Snapshot>,
    /// Namespaces of another container that are joined.
    pub join: Vec<Join>,
    /// Stay as a reaper in front of the app.
    pub init: bool,
    /// Keep standard input open.
    pub open_stdin: bool,
    /// Docker's JSON profile; absent: no filter.
    pub seccomp: Option<Seccomp>,
    /// Remove all its bytes when it ended.
    pub auto_remove: bool,
    /// What becomes of its output.
    pub log: Logging,
    /// The streams of the caller.
    pub attach: Option<AttachOptions>,
    /// The container's name, which leads callers here.
    #[serde(default)]
    pub name: Option<Name>,
    /// Its rows are being written: nothing of it runs before [`Request::Go`], which has its name; if the caller hangs up
    /// instead, its directory goes again.
    #[serde(default)]
    pub awaits_rows: bool,
    /// `TERM` of the process's environment is what we give to terminals: an exec without one doesn't get it.
    #[serde(default)]
    pub term_is_ours: bool,
    /// What its keeper does beside relaying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Box<Watch>>,
}

/// What a keeper does for a container that is started again, or checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Watch {
    /// When it is started again.
    pub restart: RestartPolicy,
    /// How often it was.
    #[serde(default)]
    pub restarts: u32,
    /// The signal that asks the app to end.
    pub stop_signal: i32,
    /// Its health check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
}

/// A container that runs without a keeper.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Adopt {
    /// Its first process.
    pub pid: i32,
    /// When that started.
    pub ticks: u64,
    /// Whether it has a terminal, which is lost.
    pub terminal: bool,
    /// Whether it is paused; else whoever held it is gone.
    #[serde(default)]
    pub paused: bool,
    /// Remove all its bytes when it ended.
    pub auto_remove: bool,
    /// What becomes of its output.
    pub log: Logging,
    /// The container's name, which leads callers here.
    #[serde(default)]
    pub name: Option<Name>,
    /// What its keeper does beside relaying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Box<Watch>>,
}

/// Namespaces of a process of another container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Join {
    /// The process.
    pub pid: i32,
    /// When it started: tells a reused pid.
    pub ticks: u64,
    /// Names as below /proc/PID/ns: `user`, `net`, `ipc`, `uts`, `pid`.
    pub kinds: Vec<String>,
}

/// Which filter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seccomp {
    /// A profile of the user's; absent: the built-in one.
    pub profile: Option<String>,
    /// The capabilities that the profile's conditions ask about.
    pub capabilities: corten_model::capability::CapSet,
}

/// How large the log grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLimits {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Files in all.
    pub files: u32,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { file_bytes: 10 << 20, files: 3 }
    }
}

/// What becomes of a container's output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logging {
    /// The files' sizes.
    pub limits: LogLimits,
    /// Nothing is kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
    /// An object of JSON that stands beside each line; empty is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub attributes: String,
}

/// Another process in the container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Exec {
    /// Its id.
    pub id: ExecId,
    /// What runs.
    pub process: Process,
    /// The filter.
    pub seccomp: Option<Seccomp>,
    /// Keep standard input open.
    pub open_stdin: bool,
    /// The streams of the caller; absent: detached.
    pub attach: Option<AttachOptions>,
}

/// What a keeper answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "re", rename_all = "kebab-case")]
pub enum Reply {
    /// Done.
    Done,
    /// The process runs.
    Started {
        /// The process on the host.
        pid: i32,
        /// When it started, in clock ticks since boot.
        ticks: u64,
        /// What was asked for and can't be had.
        warnings: Vec<String>,
        /// Names of stages and when each ended, CLOCK_MONOTONIC nanoseconds.
        stamps: Vec<(String, u64)>,
    },
    /// The streams of a running process are subscribed.
    Attached {
        /// Whether it has a terminal.
        terminal: bool,
    },
    /// The limits are set.
    Updated {
        /// What was asked for and can't be had.
        warnings: Vec<String>,
    },
    /// What is known of its health; absent: nobody checks.
    Health {
        /// All of it.
        health: Option<Box<Health>>,
    },
    /// It can't be done.
    Failed(Failure),
}

/// An error that travels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    /// The exit code that `run` and `exec` end with.
    pub exit_code: u8,
    /// A word of [`kind_word`].
    pub kind: String,
    /// The error and its causes, outermost first.
    pub chain: Vec<String>,
    /// What to try.
    pub hint: Option<String>,
}

impl Failure {
    /// Packs an error with its causes.
    pub fn new(
        error: &dyn std::error::Error,
        kind: corten_model::Kind,
        exit_code: u8,
        hint: Option<String>,
    ) -> Self {
        let mut chain = vec![error.to_string()];
        let mut source = error.source();
        while let Some(cause) = source {
            chain.push(cause.to_string());
            source = cause.source();
        }
        Self { exit_code, kind: kind_word(kind).into(), chain, hint }
    }
}

/// The word for a kind of error on the wire.
fn kind_word(kind: corten_model::Kind) -> &'static str {
    use corten_model::Kind::*;
    match kind {
        NotFound => "not-found",
        Conflict => "conflict",
        Invalid => "invalid",
        Denied => "denied",
        Unavailable => "unavailable",
        Unsupported => "unsupported",
        Cancelled => "cancelled",
        Internal => "internal",
    }
}

/// The kind that a word stands for; a newer keeper's word is an internal error.
pub fn kind_from_word(word: &str) -> corten_model::Kind {
    use corten_model::Kind::*;
    [NotFound, Conflict, Invalid, Denied, Unavailable, Unsupported, Cancelled]
        .into_iter()
        .find(|k| kind_word(*k) == word)
        .unwrap_or(Internal)
}

/// The payload of [`Kind::Exit`].
pub type ExitFrame = Exit;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_where_they_end() {
        let mut buffer = Vec::new();
        push(&mut buffer, Kind::Stdout, b"abc");
        push_json(&mut buffer, Kind::Request, &Request::Wait);
        for short in 0..HEADER + 3 {
            assert_eq!(peek(&buffer[..short]).unwrap(), None);
        }
        assert_eq!(peek(&buffer).unwrap(), Some((Some(Kind::Stdout), HEADER + 3)));
        let rest = &buffer[HEADER + 3..];
        assert_eq!(peek(rest).unwrap(), Some((Some(Kind::Request), rest.len())));
        assert_eq!(&rest[HEADER..], br#"{"op":"wait"}"#);
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_before_it_is_read() {
        assert!(peek(&[1, 1, 0, 0, 0xff, 0xff, 0xff, 0xff]).is_err());
    }

    /// Whole frames of version 1, frozen: what is said today is said in the same bytes.
    #[test]
    fn what_version_1_can_express_is_said_in_version_1() {
        let check = |bytes: &[u8], frozen: &[u8]| assert_eq!(bytes, frozen, "{bytes:?}");
        let framed = |kind: Kind, payload: &[u8]| {
            let mut frame = Vec::new();
            push(&mut frame, kind, payload);
            frame
        };
        check(&framed(Kind::Stdin, b"ab"), b"\x02\x01\0\0\x02\0\0\0ab");
        check(&framed(Kind::StdinEnd, b""), b"\x03\x01\0\0\0\0\0\0");
        check(&framed(Kind::Stdout, b"c"), b"\x11\x01\0\0\x01\0\0\0c");
        check(&framed(Kind::Stderr, b""), b"\x12\x01\0\0\0\0\0\0");
        let mut frame = Vec::new();
        push_json(&mut frame, Kind::Request, &Request::Kill { signal: 9 });
        check(&frame, b"\x01\x01\0\0\x18\0\0\0{\"op\":\"kill\",\"signal\":9}");
        frame.clear();
        push_json(&mut frame, Kind::Exit, &Exit { code: 3, oom_killed: false });
        check(&frame, b"\x13\x01\0\0\x1d\0\0\0{\"code\":3,\"oom_killed\":false}");
    }

    /// As if this were the binary before the next version.
    #[test]
    fn a_frame_of_the_next_version_is_refused() {
        let frame = |version: u8| [1, version, 0, 0, 2, 0, 0, 0, b'{', b'}'];
        assert_eq!(peek(&frame(VERSION)).unwrap(), Some((Some(Kind::Request), HEADER + 2)));
        // As soon as the header is there.
        for length in HEADER..HEADER + 2 {
            let error = peek(&frame(VERSION + 1)[..length]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
            assert!(error.to_string().contains("version 2"), "{error}");
        }
    }

    /// The bytes of version 1, frozen: a keeper that was started by an old binary says and understands these.
    #[test]
    fn what_version_1_says_is_still_understood() {
        let check =
            |text: &str| serde_json::from_str::<Request>(text).map(|r| serde_json::to_string(&r).unwrap());
        for request in [
            r#"{"op":"wait"}"#,
            r#"{"op":"kill","signal":15}"#,
            r#"{"op":"stop","signal":15,"timeout_ms":10000}"#,
            r#"{"op":"resize","rows":24,"cols":80}"#,
            r#"{"op":"attach","stdin":true,"stdout":true,"stderr":true,"size":null}"#,
            r#"{"op":"settled"}"#,
            r#"{"op":"pause","hold":true}"#,
            r#"{"op":"unpause"}"#,
        ] {
            assert_eq!(check(request).unwrap(), request);
        }
        let newer = r#"{"re":"started","pid":7,"ticks":8,"warnings":[],"stamps":[],"colour":"blue"}"#;
        assert!(matches!(serde_json::from_str(newer), Ok(Reply::Started { pid: 7, ticks: 8, .. })));
        assert!(check(r#"{"op":"teleport"}"#).is_err());
    }
}
