//! Writes a container's log: Docker's json-file format, a line of JSON for each line of output, rotated by size.
//!
//! ```text
//! <id>-json.log      the newest      {"log":"hello\n","stream":"stdout","time":"2026-01-02T03:04:05.678901234Z"}
//! <id>-json.log.1    the one before
//! ```
//! The file is made with the first byte. What can't be written (a full disk) is dropped, never held back: the container
//! goes on.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use crate::keeper::protocol::Logging;
use crate::logs::Stream;

/// A line longer than this is cut into entries of this size, as Docker does.
const ENTRY_MAX_BYTES: usize = 16 << 10;

/// The path of the newest log file of `id` in its directory.
pub fn path(dir: &std::path::Path, id: &corten_model::ContainerId) -> PathBuf {
    dir.join(format!("{id}-json.log"))
}

/// The path of the `n`th older file; 0 is the newest.
pub fn rotated(newest: &std::path::Path, n: u32) -> PathBuf {
    if n == 0 {
        return newest.to_owned();
    }
    let mut name = newest.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}

/// Appends to the log of one container.
pub struct Log {
    newest: PathBuf,
    target: Logging,
    file: Option<File>,
    written_bytes: u64,
    unfinished: [Vec<u8>; 2],
    lines: Vec<u8>,
    /// The last line's time: each is later than the one before, so that `--since` and `--until` can tell them apart.
    last_ns: i128,
}

impl Log {
    /// A log whose newest file is `newest`; an older run's is continued.
    pub fn new(newest: PathBuf, target: Logging) -> Self {
        Self {
            newest,
            target,
            file: None,
            written_bytes: 0,
            unfinished: Default::default(),
            lines: Vec::new(),
            last_ns: 0,
        }
    }

    /// Takes output as it comes; whole lines are written.
    pub fn write(&mut self, stream: Stream, mut bytes: &[u8]) {
        if self.target.off {
            return;
        }
        let now = jiff::Timestamp::now();
        let index = stream as usize;
        while !bytes.is_empty() {
            let room = ENTRY_MAX_BYTES - self.unfinished[index].len();
            let window = &bytes[..bytes.len().min(room)];
            let newline = window.iter().position(|b| *b == b'\n');
            let taken = newline.map_or(window.len(), |n| n + 1);
            if newline.is_none() && taken < room {
                self.unfinished[index].extend_from_slice(window);
            } else if self.unfinished[index].is_empty() {
                self.add_line(stream, &bytes[..taken], now);
            } else {
                let mut line = std::mem::take(&mut self.unfinished[index]);
                line.extend_from_slice(&bytes[..taken]);
                self.add_line(stream, &line, now);
            }
            bytes = &bytes[taken..];
        }
        self.flush();
    }

    /// Writes what has no newline yet: the container ended.
    pub fn finish(&mut self) {
        let now = jiff::Timestamp::now();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let line = std::mem::take(&mut self.unfinished[stream as usize]);
            if !line.is_empty() {
                self.add_line(stream, &line, now);
            }
        }
        self.flush();
    }

    fn add_line(&mut self, stream: Stream, line: &[u8], now: jiff::Timestamp) {
        self.last_ns = now.as_nanosecond().max(self.last_ns + 1);
        let time = jiff::Timestamp::from_nanosecond(self.last_ns).unwrap_or(now);
        let before = self.lines.len();
        self.lines.extend_from_slice(b"{\"log\":");
        let text = String::from_utf8_lossy(line);
        serde_json::to_writer(&mut self.lines, &text).expect("a string is JSON");
        let name = if stream == Stream::Stdout { "stdout" } else { "stderr" };
        write!(self.lines, ",\"stream\":\"{name}\"").expect("a vector takes all");
        if !self.target.attributes.is_empty() {
            write!(self.lines, ",\"attrs\":{}", self.target.attributes).expect("a vector takes all");
        }
        writeln!(self.lines, ",\"time\":\"{time:.9}\"}}").expect("a vector takes all");
        if before > 0 && self.written_bytes + self.lines.len() as u64 > self.target.limits.file_bytes {
            let next = self.lines.split_off(before);
            self.flush();
            self.lines = next;
        }
    }

    fn flush(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let lines = std::mem::take(&mut self.lines);
        if self.written_bytes > 0 && self.written_bytes + lines.len() as u64 > self.target.limits.file_bytes {
            self.rotate();
        }
        if self.file.is_none() {
            self.open();
        }
        // A full disk must not stop the container: its output is lost to the log, as the module says.
        let Some(file) = &mut self.file else { return };
        match file.write_all(&lines) {
            Ok(()) => self.written_bytes += lines.len() as u64,
            // Half a line would spoil the next one too.
            Err(_) => drop(file.set_len(self.written_bytes)),
        }
    }

    /// Opens the newest file; a line that a killed keeper left without end gets one.
    fn open(&mut self) {
        use std::os::unix::fs::FileExt;
        let Ok(mut file) = File::options().read(true).append(true).create(true).open(&self.newest) else {
            return;
        };
        let mut length = file.metadata().map_or(0, |m| m.len());
        let mut last = [b'\n'];
        if length > 0
            && file.read_exact_at(&mut last, length - 1).is_ok()
            && last != [b'\n']
            && file.write_all(b"\n").is_ok()
        {
            length += 1;
        }
        self.written_bytes = length;
        self.file = Some(file);
    }

    /// Renames each file to the next older name; the oldest goes.
    fn rotate(&mut self) {
        self.file = None;
        self.written_bytes = 0;
        let oldest = self.target.limits.files.saturating_sub(1);
        if oldest == 0 {
            let _ = std::fs::remove_file(&self.newest);
        }
        for n in (0..oldest).rev() {
            // A file that isn't there yet can't be renamed.
            let _ = std::fs::rename(rotated(&self.newest, n), rotated(&self.newest, n + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::protocol::LogLimits;

    #[test]
    fn what_is_told_stands_in_each_line_and_nothing_is_kept_of_what_is_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x-json.log");
        let attributes = r#"{"tag":"web"}"#.to_owned();
        let mut log = Log::new(path.clone(), Logging { attributes, ..Logging::default() });
        log.write(Stream::Stdout, b"one\n");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with(r#"{"log":"one\n","stream":"stdout","attrs":{"tag":"web"},"time":""#),
            "{text}"
        );
        let nowhere = dir.path().join("y-json.log");
        let mut log = Log::new(nowhere.clone(), Logging { off: true, ..Logging::default() });
        log.write(Stream::Stdout, b"one\ntw");
        log.finish();
        assert!(!nowhere.exists());
    }

    fn lines(path: &std::path::Path) -> Vec<serde_json::Value> {
        std::fs::read_to_string(path).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    #[test]
    fn lines_are_whole_and_streams_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x-json.log");
        let mut log = Log::new(path.clone(), Logging::default());
        log.write(Stream::Stdout, b"one\ntw");
        log.write(Stream::Stderr, b"\x00\"bad\"\xff\n");
        log.write(Stream::Stdout, b"o\nthree");
        log.finish();
        let found: Vec<_> = lines(&path).iter().map(|l| (l["log"].clone(), l["stream"].clone())).collect();
        let expected = [
            ("one\n", "stdout"),
            ("\0\"bad\"\u{fffd}\n", "stderr"),
            ("two\n", "stdout"),
            ("three", "stdout"),
        ];
        assert_eq!(found, expected.map(|(l, s)| (l.into(), s.into())));
    }

    #[test]
    fn a_line_without_end_is_cut_and_memory_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x-json.log");
        let mut log = Log::new(path.clone(), Logging::default());
        for _ in 0..100 {
            log.write(Stream::Stdout, &[b'a'; 1000]);
        }
        assert!(log.unfinished[0].capacity() <= 2 * ENTRY_MAX_BYTES);
        log.finish();
        let sizes: Vec<_> = lines(&path).iter().map(|l| l["log"].as_str().unwrap().len()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 100_000);
        assert!(sizes[..sizes.len() - 1].iter().all(|s| *s == ENTRY_MAX_BYTES), "{sizes:?}");
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x-json.log");
        std::fs::write(&path, "{\"log\":\"half").unwrap();
        let mut log = Log::new(path.clone(), Logging::default());
        log.write(Stream::Stdout, b"whole\n");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("{\"log\":\"half\n{\"log\":\"whole\\n\""), "{text}");
    }

    #[test]
    fn rotation_keeps_as_many_files_as_it_may() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x-json.log");
        let limits = LogLimits { file_bytes: 1000, files: 3 };
        let mut log = Log::new(path.clone(), Logging { limits, ..Logging::default() });
        for n in 0..100 {
            log.write(Stream::Stdout, format!("line {n}\n").as_bytes());
        }
        let mut names: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["x-json.log", "x-json.log.1", "x-json.log.2"]);
        assert!((0..3).all(|n| std::fs::metadata(rotated(&path, n)).unwrap().len() <= 1000));
        assert_eq!(lines(&path).last().unwrap()["log"], "line 99\n");
        let all: String = (0..1000).map(|n| format!("line {n}\n")).collect();
        log.write(Stream::Stdout, all.as_bytes());
        assert!((0..3).all(|n| std::fs::metadata(rotated(&path, n)).unwrap().len() <= 1000));
    }
}
