//! The journal of a container: what its keeper learned, one line each, folded into the database by whoever opens it.
//!
//! ```text
//! 1 <checksum, 16 hex digits> {"t":<ns since the epoch>,"e":"exited","code":0,"oom":false}
//! ```
//! A keeper appends. A last line that was cut short is not believed; the next line that is appended ends it first, and
//! from then on it is passed over. A line that a newer binary wrote ends the folding there. A file of the container's
//! name in `unfolded/` below the run root says that there is something to fold, so that `ps` reads only those journals.
//!
//! What is folded is given back to the file system by punching it out of the file: offsets stay as they are, and a
//! container that runs for years takes the blocks of a megabyte at most.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use corten_model::health::Health;
use corten_model::{ContainerId, ExecId};
use serde::{Deserialize, Serialize};

/// Lines that change no state and may stand in a journal without a mark.
const UNMARKED_MAX: u32 = 64;
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
        /// How often it was started again since somebody started it.
        #[serde(default, skip_serializing_if = "is_zero")]
        restarts: u32,
        /// Its health is checked.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        checked: bool,
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
        /// It is started again at once: a `--rm` container stays.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        restarting: bool,
        /// Its policy starts it again, for the so-many'th time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        again: Option<u32>,
        /// What was known of its health.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        health: Option<Box<Health>>,
    },
    /// It was to be started again, and isn't.
    GaveUp {
        /// Who ended it, if somebody did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stopped_by: Option<String>,
        /// Why the start failed, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// Its health is another one.
    Health {
        /// What is known of it.
        health: Box<Health>,
    },
    /// Somebody sent the first process a signal.
    Signalled {
        /// Its number.
        signal: i32,
    },
    /// Its processes stand still.
    Paused,
    /// They go on.
    Unpaused,
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

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Where journals and marks are.
#[derive(Debug, Clone)]
pub struct Places {
    journal: PathBuf,
    mark: PathBuf,
    followed: PathBuf,
}

impl Places {
    /// The journal of `id` in the container's directory, its mark below the run root.
    pub fn new(container_dir: &Path, run: &Path, id: &ContainerId) -> Self {
        let mark = marks(run).join(id.as_str());
        Self { journal: container_dir.join("journal"), mark, followed: followed(run) }
    }
}

/// The directory of the marks.
pub fn marks(run: &Path) -> PathBuf {
    run.join("unfolded")
}

/// The file that is there while somebody follows the events: then every line leaves a mark.
pub fn followed(run: &Path) -> PathBuf {
    run.join("followed")
}

/// Nanoseconds since the epoch.
pub fn now_ns() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

/// Room that every line but the last one leaves behind it for the last one, the exit, on a disk that is full by then.
const EXIT_ROOM_BYTES: u64 = 4096;
/// What is reserved at once beyond that.
const RESERVE_STEP_BYTES: u64 = 8192;
/// Folded bytes that a journal keeps before they are punched out.
const KEPT_BYTES: u64 = 1 << 20;

/// Appends to one container's journal.
pub struct Writer {
    file: File,
    places: Places,
    /// The last line has no end: its writer was killed, or the disk was full.
    torn: bool,
    /// Lines since the last mark.
    unmarked: u32,
    length: u64,
    /// Up to which byte the file system has promised room.
    reserved_to: u64,
}

impl Writer {
    /// Opens the journal, making it if it isn't there.
    pub fn open(places: Places) -> io::Result<Writer> {
        use std::os::unix::fs::FileExt;
        let file = File::options().read(true).append(true).create(true).open(&places.journal)?;
        let mut last = [b'\n'];
        let length = file.metadata()?.len();
        if let Some(end) = length.checked_sub(1) {
            file.read_exact_at(&mut last, end)?;
        }
        Ok(Writer { file, places, torn: last != [b'\n'], unmarked: 0, length, reserved_to: length })
    }

    /// Makes sure that `bytes` more can be written, and the exit's line after them.
    fn reserve(&mut self, bytes: usize) -> io::Result<()> {
        use rustix::fs::FallocateFlags;
        use rustix::io::Errno;
        let needed = self.length + bytes as u64 + EXIT_ROOM_BYTES;
        if needed <= self.reserved_to {
            return Ok(());
        }
        let end = needed + RESERVE_STEP_BYTES;
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.length, end - self.length) {
            Ok(()) => self.reserved_to = end,
            // Where nothing can be promised, nothing is waited for.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.reserved_to = u64::MAX,
            Err(e) => return Err(e.into()),
        }
        Ok(())
    }

    /// Appends one line, then leaves the mark: the other way round a reader could miss the line.
    ///
    /// Every line leaves room for the last one: a disk that fills up meanwhile takes no exit code away.
    ///
    /// Lines of execs and signals change no container's state: they wait for the next mark, so that an exec doesn't
    /// cost the next command a transaction. After [`UNMARKED_MAX`] of them they are marked all the same: a journal stays
    /// short. And while events are followed, nothing waits.
    pub fn append(&mut self, event: Event) -> io::Result<()> {
        let changes_state =
            !matches!(event, Event::Signalled { .. } | Event::ExecStarted { .. } | Event::ExecExited { .. });
        let is_end = matches!(event, Event::Exited { .. } | Event::GaveUp { .. });
        let mut line = encode(&Line { time_ns: now_ns(), event });
        if self.torn {
            line.insert(0, '\n');
        }
        if !is_end {
            self.reserve(line.len())?;
        }
        self.torn = true;
        self.file.write_all(line.as_bytes())?;
        self.torn = false;
        self.length += line.len() as u64;
        self.unmarked += 1;
        if !changes_state && self.unmarked < UNMARKED_MAX && !self.places.followed.exists() {
            return Ok(());
        }
        self.unmarked = 0;
        File::create(&self.places.mark)?;
        Ok(())
    }

    /// Gives back the room behind the last line: nobody needs to wait for that.
    pub fn end(&mut self) {
        // Where it can't be given back, it is a few blocks until the container is removed.
        let _ = self.file.set_len(self.length);
        self.reserved_to = self.length;
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
///
/// A file that is shorter lost its end in a power cut, after it was folded: what comes next stands at its end.
pub fn read(places: &Places, offset: u64) -> io::Result<(Vec<Line>, u64)> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = match open_file(places) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), offset)),
        Err(e) => return Err(e),
    };
    let length = file.metadata()?.len();
    if length < offset {
        return Ok((Vec::new(), length));
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::with_capacity(usize::try_from((length - offset).min(READ_MAX_BYTES)).unwrap_or(0));
    file.take(READ_MAX_BYTES).read_to_end(&mut bytes)?;
    let (lines, used) = decode(&bytes);
    Ok((lines, offset + used as u64))
}

/// Opens a journal that is a file; a pipe in its place would wait for a writer.
fn open_file(places: &Places) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = File::options().read(true).custom_flags(nonblocking).open(&places.journal)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no file"));
    }
    Ok(file)
}

/// Fails if there is a journal that can't be read: its first and its last bytes are tried.
pub fn try_reading(places: &Places) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let file = match open_file(places) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let mut byte = [0];
    let end = file.metadata()?.len().saturating_sub(1);
    file.read_at(&mut byte, 0)?;
    file.read_at(&mut byte, end)?;
    Ok(())
}

fn decode(bytes: &[u8]) -> (Vec<Line>, usize) {
    let (mut lines, mut used) = (Vec::new(), 0);
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        match decode_line(line) {
            Decoded::Line(parsed) => lines.push(parsed),
            Decoded::Torn => {}
            Decoded::End => break,
        }
        used += line.len();
    }
    (lines, used)
}

/// What a line is.
enum Decoded {
    Line(Line),
    /// It was cut short, and ended by who wrote the next one.
    Torn,
    /// It has no end yet, or a newer binary wrote it.
    End,
}

fn decode_line(line: &[u8]) -> Decoded {
    let Some(whole) = line.strip_suffix(b"\n") else { return Decoded::End };
    let Some((version, sum, json)) = std::str::from_utf8(whole).ok().and_then(parts) else {
        return Decoded::Torn;
    };
    if u64::from_str_radix(sum, 16) != Ok(checksum(json.as_bytes())) {
        return Decoded::Torn;
    }
    match serde_json::from_str(json) {
        Ok(line) if version == VERSION => Decoded::Line(line),
        _ => Decoded::End,
    }
}

fn parts(line: &str) -> Option<(&str, &str, &str)> {
    let mut parts = line.splitn(3, ' ');
    Some((parts.next()?, parts.next()?, parts.next()?))
}

/// Gives back the blocks of what is folded, once they are worth a call.
pub fn punch_out(places: &Places, folded: std::ops::Range<u64>) {
    use rustix::fs::FallocateFlags;
    if folded.start / KEPT_BYTES == folded.end / KEPT_BYTES {
        return;
    }
    let end = folded.end / KEPT_BYTES * KEPT_BYTES;
    // A file system that can't keeps the bytes: they are in nobody's way.
    if let Ok(file) = File::options().write(true).open(&places.journal) {
        let _ = rustix::fs::fallocate(&file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 0, end);
    }
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
        Event::Exited {
            code,
            oom: false,
            stopped_by: None,
            unknown: None,
            restarting: false,
            again: None,
            health: None,
        }
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
    fn a_torn_and_a_newer_line_end_the_folding_and_what_was_ended_is_passed_over() {
        let line = |code| encode(&Line { time_ns: 1, event: exited(code) });
        let check =
            |text: String, expected: usize| assert_eq!(decode(text.as_bytes()).0.len(), expected, "{text}");
        check(format!("{}{}", line(0), line(1)), 2);
        check(format!("{}{}", line(0), &line(1)[..20]), 1);
        check(format!("{}{}", line(0), line(1).trim_end()), 1);
        check(format!("{}{}", line(0).replace("\"code\":0", "\"code\":9"), line(1)), 1);
        check(format!("{}\n{}", &line(0)[..20], line(1)), 1);
        check(format!("{}\n{}", "\0".repeat(5000), line(1)), 1);
        check(format!("{}2{}{}", line(0), &line(1)[1..], line(2)), 1);
    }

    #[test]
    fn a_torn_line_hides_none_of_the_next_keepers() {
        let dir = tempfile::tempdir().unwrap();
        let id = ContainerId::from_bytes([8; 32]);
        std::fs::create_dir(marks(dir.path())).unwrap();
        let places = Places::new(dir.path(), dir.path(), &id);
        Writer::open(places.clone()).unwrap().append(exited(1)).unwrap();
        let whole = std::fs::metadata(&places.journal).unwrap().len();
        File::options().append(true).open(&places.journal).unwrap().write_all(b"1 00ab {\"t\"").unwrap();
        let (lines, offset) = read(&places, 0).unwrap();
        assert_eq!((lines.len(), offset), (1, whole));
        let mut writer = Writer::open(places.clone()).unwrap();
        writer.append(exited(2)).unwrap();
        writer.append(exited(3)).unwrap();
        let events = read(&places, offset).unwrap().0.into_iter().map(|l| l.event);
        assert_eq!(events.collect::<Vec<_>>(), [exited(2), exited(3)]);
    }

    #[test]
    fn a_journal_that_lost_its_folded_end_goes_on_at_its_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let id = ContainerId::from_bytes([9; 32]);
        std::fs::create_dir(marks(dir.path())).unwrap();
        let places = Places::new(dir.path(), dir.path(), &id);
        let mut writer = Writer::open(places.clone()).unwrap();
        writer.append(exited(1)).unwrap();
        let (_, offset) = read(&places, 0).unwrap();
        File::options().write(true).open(&places.journal).unwrap().set_len(offset - 5).unwrap();
        let (lines, offset) = read(&places, offset).unwrap();
        assert!(lines.is_empty());
        Writer::open(places.clone()).unwrap().append(exited(2)).unwrap();
        assert_eq!(read(&places, offset).unwrap().0[0].event, exited(2));
    }

    #[test]
    fn lines_of_execs_wait_for_a_mark_but_not_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let id = ContainerId::from_bytes([7; 32]);
        std::fs::create_dir(marks(dir.path())).unwrap();
        let mut writer = Writer::open(Places::new(dir.path(), dir.path(), &id)).unwrap();
        let exec = || Event::ExecExited { exec: ExecId::from_bytes([1; 32]), code: 0 };
        for _ in 1..UNMARKED_MAX {
            writer.append(exec()).unwrap();
        }
        assert_eq!(marked(dir.path()), []);
        writer.append(exec()).unwrap();
        assert_eq!(marked(dir.path()), [id]);
    }

    #[test]
    fn room_for_the_exit_is_kept_while_it_runs_and_given_back_then() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let id = ContainerId::from_bytes([11; 32]);
        std::fs::create_dir(marks(dir.path())).unwrap();
        let places = Places::new(dir.path(), dir.path(), &id);
        let mut writer = Writer::open(places.clone()).unwrap();
        let exec = || Event::ExecExited { exec: ExecId::from_bytes([1; 32]), code: 0 };
        for _ in 0..500 {
            writer.append(exec()).unwrap();
            let file = std::fs::metadata(&places.journal).unwrap();
            assert!(file.blocks() * 512 >= file.len() + EXIT_ROOM_BYTES, "{} {}", file.blocks(), file.len());
        }
        let room = |file: &std::fs::Metadata| file.blocks() * 512 - file.len();
        while room(&std::fs::metadata(&places.journal).unwrap()) < 3 * 4096 {
            writer.append(exec()).unwrap();
        }
        writer.append(exited(1)).unwrap();
        writer.end();
        let file = std::fs::metadata(&places.journal).unwrap();
        // What is left: the last block's rest, and the block in which ext4 may keep the list of a file's extents.
        assert!(room(&file) < 2 * 4096, "{} {}", file.blocks(), file.len());
    }

    #[test]
    fn what_is_folded_takes_no_blocks_in_the_end() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let id = ContainerId::from_bytes([10; 32]);
        std::fs::create_dir(marks(dir.path())).unwrap();
        let places = Places::new(dir.path(), dir.path(), &id);
        let mut writer = Writer::open(places.clone()).unwrap();
        let exec =
            || Event::ExecStarted { exec: ExecId::from_bytes([1; 32]), command: vec!["x".repeat(100_000)] };
        let mut offset = 0;
        for _ in 0..40 {
            writer.append(exec()).unwrap();
            let (lines, end) = read(&places, offset).unwrap();
            assert_eq!(lines.len(), 1);
            punch_out(&places, offset..end);
            offset = end;
        }
        let file = std::fs::metadata(&places.journal).unwrap();
        assert!(
            file.len() > 4_000_000 && file.blocks() * 512 < 2_200_000,
            "{} {}",
            file.len(),
            file.blocks()
        );
    }
}
