//! The files of a log, oldest first, read by line while a keeper writes and rotates them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::{ReadError, Stream};
use crate::keeper::log::rotated;

/// Read at once.
const CHUNK_BYTES: usize = 64 << 10;
/// The most older files that are looked for.
const ROTATED_MAX: u32 = 100;

/// One line, or a part of a very long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, nanoseconds since the epoch.
    pub time_unix_ns: i128,
    /// The stream.
    pub stream: Stream,
    /// The bytes, with the newline if there was one.
    pub bytes: Vec<u8>,
    /// What was to be told beside each line.
    pub attributes: BTreeMap<String, String>,
}

/// A line as it stands in the file.
#[derive(serde::Deserialize)]
struct Stored {
    log: String,
    stream: Stream,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
    time: jiff::Timestamp,
}

/// The files that are still to be read.
pub struct Files {
    newest: PathBuf,
    /// Opened files, the next one last; the newest is opened again when it was rotated.
    open: Vec<File>,
    current: Option<File>,
    buffer: Vec<u8>,
    used: usize,
}

impl Files {
    /// Opens what is there, positioned so that only the last `tail` lines come.
    pub fn open(newest: PathBuf, tail: Option<u64>) -> Result<Files, ReadError> {
        let mut open = Vec::new();
        for n in 0..ROTATED_MAX {
            let path = rotated(&newest, n);
            match File::open(&path) {
                // A keeper that rotates while we look moves the file that we just opened to the next name.
                Ok(file) if open.last().is_some_and(|last| is_same(last, &file)) => {}
                Ok(file) => open.push(file),
                // A container that wrote nothing yet has no newest file; a keeper that rotates may lack it too.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && n == 0 => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => break,
                Err(source) => return Err(ReadError { what: "open", path, source }),
            }
        }
        let mut files = Files { newest, open, current: None, buffer: Vec::new(), used: 0 };
        if let Some(tail) = tail {
            files.seek_tail(tail)?;
        }
        Ok(files)
    }

    fn failed(&self, what: &'static str) -> impl Fn(std::io::Error) -> ReadError + use<> {
        let path = self.newest.clone();
        move |source| ReadError { what, path: path.clone(), source }
    }

    /// Counts newlines from the end, newest file first; drops the files before the place.
    fn seek_tail(&mut self, mut lines: u64) -> Result<(), ReadError> {
        let failed = self.failed("read");
        for index in 0..self.open.len() {
            let file = &mut self.open[index];
            let mut end = file.metadata().map_err(&failed)?.len();
            let mut newest_byte = true;
            let mut chunk = vec![0; CHUNK_BYTES];
            while end > 0 {
                let start = end.saturating_sub(CHUNK_BYTES as u64);
                let piece = &mut chunk[..(end - start) as usize];
                file.seek(SeekFrom::Start(start)).map_err(&failed)?;
                file.read_exact(piece).map_err(&failed)?;
                for (at, byte) in piece.iter().enumerate().rev() {
                    // The newline at the very end closes the last line, it doesn't begin one.
                    let closes = std::mem::replace(&mut newest_byte, false);
                    if *byte != b'\n' || closes {
                        continue;
                    }
                    if lines <= 1 {
                        let place = if lines == 0 { end } else { start + at as u64 + 1 };
                        file.seek(SeekFrom::Start(place)).map_err(&failed)?;
                        self.open.truncate(index + 1);
                        return Ok(());
                    }
                    lines -= 1;
                }
                end = start;
            }
            if lines == 0 {
                file.seek(SeekFrom::End(0)).map_err(&failed)?;
                self.open.truncate(index + 1);
                return Ok(());
            }
            // The file's first line begins at its start, not after a newline.
            lines -= u64::from(file.metadata().map_err(&failed)?.len() > 0);
            file.rewind().map_err(&failed)?;
            if lines == 0 {
                self.open.truncate(index + 1);
                return Ok(());
            }
        }
        Ok(())
    }

    /// The next whole line; `None`: there is none now.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        loop {
            if let Some(length) = self.buffer[self.used..].iter().position(|b| *b == b'\n') {
                let line = &self.buffer[self.used..self.used + length];
                let stored: Option<Stored> = serde_json::from_slice(line).ok();
                self.used += length + 1;
                // A line that a crash cut in two is no line.
                let Some(stored) = stored else { continue };
                return Ok(Some(Entry {
                    time_unix_ns: stored.time.as_nanosecond(),
                    stream: stored.stream,
                    bytes: stored.log.into_bytes(),
                    attributes: stored.attrs,
                }));
            }
            if !self.read_more()? {
                return Ok(None);
            }
        }
    }

    /// Reads on, in the next file if this one is done. `false`: nothing is there now.
    fn read_more(&mut self) -> Result<bool, ReadError> {
        let failed = self.failed("read");
        self.buffer.drain(..self.used);
        self.used = 0;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            if self.current.is_none() {
                self.current = self.open.pop();
            }
            if self.current.is_none() {
                self.current = File::open(&self.newest).ok();
            }
            let Some(file) = &mut self.current else { return Ok(false) };
            let count = file.read(&mut chunk).map_err(&failed)?;
            if count > 0 {
                self.buffer.extend_from_slice(&chunk[..count]);
                return Ok(true);
            }
            if self.open.is_empty() && !self.is_rotated() {
                return Ok(false);
            }
            // The last lines may have come between the read and the rotation; after it there are none.
            let count = file_again(&mut self.current, &mut chunk).map_err(&failed)?;
            if count > 0 {
                self.buffer.extend_from_slice(&chunk[..count]);
                return Ok(true);
            }
            self.current = None;
        }
    }

    /// Whether the file that is read is no longer the newest one.
    fn is_rotated(&self) -> bool {
        let Some(Ok(current)) = self.current.as_ref().map(File::metadata) else { return false };
        std::fs::metadata(&self.newest).is_ok_and(|m| (m.dev(), m.ino()) != (current.dev(), current.ino()))
    }
}

fn file_again(current: &mut Option<File>, chunk: &mut [u8]) -> std::io::Result<usize> {
    current.as_mut().map_or(Ok(0), |file| file.read(chunk))
}

fn is_same(one: &File, other: &File) -> bool {
    match (one.metadata(), other.metadata()) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::log::Log;
    use crate::keeper::protocol::{LogLimits, Logging};

    fn all(files: &mut Files) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(entry) = files.next_entry().unwrap() {
            lines.push(String::from_utf8(entry.bytes).unwrap());
        }
        lines
    }

    #[test]
    fn lines_come_in_order_through_rotations_and_the_tail_is_counted_over_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Log::new(
            path.clone(),
            Logging { limits: LogLimits { file_bytes: 2_000, files: 5 }, ..Logging::default() },
        );
        let expected: Vec<String> = (0..80).map(|n| format!("line {n}\n")).collect();
        expected.iter().for_each(|line| log.write(Stream::Stdout, line.as_bytes()));
        assert!(rotated(&path, 2).exists());
        let mut files = Files::open(path.clone(), None).unwrap();
        assert_eq!(all(&mut files), expected);
        for tail in [0, 1, 2, 30, 31, 79, 80, 200] {
            let mut files = Files::open(path.clone(), Some(tail)).unwrap();
            assert_eq!(
                all(&mut files),
                expected[expected.len() - (tail as usize).min(80)..],
                "--tail {tail}"
            );
        }
        log.write(Stream::Stderr, b"more\n");
        assert_eq!(all(&mut files), ["more\n"], "a reader at the end goes on");
        (0..60).for_each(|_| log.write(Stream::Stdout, b"rotated away\n"));
        assert!(!all(&mut files).is_empty(), "a reader goes on in the new file");
    }

    #[test]
    fn a_container_that_wrote_nothing_has_an_empty_log() {
        let dir = tempfile::tempdir().unwrap();
        assert!(all(&mut Files::open(dir.path().join("log"), Some(5)).unwrap()).is_empty());
    }
}
