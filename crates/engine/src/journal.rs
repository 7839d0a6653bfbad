//! The journal of a container: what its keeper learned, one line each, folded into the database by whoever opens it.
//!
//! ```text
//! 1 <checksum, 16 hex digits> {"t":<ns since the epoch>,"e":"exited","code":0,"oom":false}
//! ```
//! A keeper appends and never reads. A line that was cut short (the machine stopped) or that a newer binary wrote ends
//! the folding there: nothing after it is believed. A file of the container's name in `unfolded/` below the run root
//! says that there is something to fold, so that `ps` reads only those journals.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use corten_model::{ContainerId, ExecId};
use serde::{Deserialize, Serialize};

/// Version of the lines.
const VERSION: &str = "1";
/// The most of a journal that is read at once.
const READ_MAX_BYTES: u64 = 16 << 20;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When, nanoseconds since the epoch.
    #[serde(rename = "t")]
    pub time_ns: i64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What a keeper learns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "e", rename_all = "kebab-case")]
pub enum Event {
    /// The first process runs.
    Started {
        /// The boot in which the pid means something.
        boot: String,
        /// The first process.
        pid: i32,
        /// When it started, in clock ticks since boot.
        ticks: u64,
        /// What came in from outside: binds, devices.
        external: serde_json::Value,
    },
    /// The first process ended.
    Exited {
        /// Its exit code, or 128 + signal.
        code: u8,
        /// The OOM killer ended a process of the container.
        oom: bool,
        /// Who asked for it, if somebody did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stopped_by: Option<String>,
        /// Why the code is not known, if it isn't.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unknown: Option<String>,
    },
    /// An exec runs.
    ExecStarted {
        /// The exec.
        exec: ExecId,
        /// Its program and arguments.
        command: Vec<String>,
    },
    /// An exec ended.
    ExecExited {
        /// The exec.
        exec: ExecId,
        /// Its exit code.
        code: u8,
    },
}

/// Where journals and marks are.
#[derive(Debug, Clone)]
pub struct Places {
    journal: PathBuf,
    mark: PathBuf,
}

impl Places {
    /// The journal of `id` in the container's directory, its mark below the run root.
    pub fn new(container_dir: &Path, run: &Path, id: &ContainerId) -> Self {
        Self { journal: container_dir.join("journal"), mark: marks(run).join(id.as_str()) }
    }
}

/// The directory of the marks.
pub fn marks(run: &Path) -> PathBuf {
    run.join("unfolded")
}

/// Nanoseconds since the epoch.
pub fn now_ns() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

/// Appends to one container's journal.
pub struct Writer {
    file: File,
    places: Places,
}

impl Writer {
    /// Opens the journal, making it if it isn't there.
    pub fn open(places: Places) -> io::Result<Writer> {
        let file = File::options().append(true).create(true).open(&places.journal)?;
        Ok(Writer { file, places })
    }

    /// Appends one line, then leaves the mark: the other way round a reader could miss the line.
    pub fn append(&mut self, event: Event) -> io::Result<()> {
        let line = encode(&Line { time_ns: now_ns(), event });
        self.file.write_all(line.as_bytes())?;
        File::create(&self.places.mark)?;
        Ok(())
    }
}

fn encode(line: &Line) -> String {
    let json = serde_json::to_string(line).expect("a journal line is JSON");
    format!("{VERSION} {:016x} {json}\n", checksum(json.as_bytes()))
}

/// FNV-1a of 64 bits: tells a torn line, not an attacker (who could write the file could write anything).
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

/// The lines from byte `offset` on, and the offset after the last one that is whole.
pub fn read(places: &Places, offset: u64) -> io::Result<(Vec<Line>, u64)> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = match File::open(&places.journal) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), offset)),
        Err(e) => return Err(e),
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(READ_MAX_BYTES).read_to_end(&mut bytes)?;
    let (lines, used) = decode(&bytes);
    Ok((lines, offset + used as u64))
}

fn decode(bytes: &[u8]) -> (Vec<Line>, usize) {
    let (mut lines, mut used) = (Vec::new(), 0);
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        let Some(parsed) = decode_line(line) else { break };
        lines.push(parsed);
        used += line.len();
    }
    (lines, used)
}

fn decode_line(line: &[u8]) -> Option<Line> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let mut parts = text.splitn(3, ' ');
    let (version, sum, json) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = version == VERSION && u64::from_str_radix(sum, 16) == Ok(checksum(json.as_bytes()));
    if whole { serde_json::from_str(json).ok() } else { None }
}

/// Whether a whole line stands behind byte `offset`.
pub fn is_longer(places: &Places, offset: u64) -> bool {
    matches!(read(places, offset), Ok((lines, _)) if !lines.is_empty())
}

/// Takes the mark away.
pub fn unmark(places: &Places) {
    // A mark that is gone already was taken by somebody who folds right now.
    let _ = std::fs::remove_file(&places.mark);
}

/// The containers with something to fold.
pub fn marked(run: &Path) -> Vec<ContainerId> {
    let Ok(entries) = std::fs::read_dir(marks(run)) else { return Vec::new() };
    entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exited(code: u8) -> Event {
        Event::Exited { code, oom: false, stopped_by: None, unknown: None }
    }

    #[test]
    fn what_is_appended_is_read_from_any_line_on() {
        let dir = tempfile::tempdir().unwrap();
        let id = ContainerId::from_bytes([7; 32]);
        std::fs::create_dir(marks(dir.path())).unwrap();
        let places = Places::new(dir.path(), dir.path(), &id);
        let mut writer = Writer::open(places.clone()).unwrap();
        writer.append(exited(3)).unwrap();
        assert_eq!(marked(dir.path()), [id]);
        let (lines, offset) = read(&places, 0).unwrap();
        assert_eq!(lines.into_iter().map(|l| l.event).collect::<Vec<_>>(), [exited(3)]);
        unmark(&places);
        assert_eq!(marked(dir.path()), []);
        writer.append(exited(4)).unwrap();
        assert_eq!(read(&places, offset).unwrap().0[0].event, exited(4));
    }

    #[test]
    fn a_torn_a_changed_and_a_newer_line_end_the_folding() {
        let line = |code| encode(&Line { time_ns: 1, event: exited(code) });
        let check = |text: String, expected: usize| assert_eq!(decode(text.as_bytes()).0.len(), expected, "{text}");
        check(format!("{}{}", line(0), line(1)), 2);
        check(format!("{}{}", line(0), &line(1)[..20]), 1);
        check(format!("{}{}", line(0), line(1).trim_end()), 1);
        check(format!("{}{}", line(0).replace("\"code\":0", "\"code\":9"), line(1)), 0);
        check(format!("{}2{}", line(0), &line(1)[1..]), 1);
    }
}
