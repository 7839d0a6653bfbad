//! The archive's bytes: a large buffer, a digest of everything that passes, and a bound on how much may come.
//!
//! What is handed out goes into the layer's recipe, but for files' data, which is kept in the files.

use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::TarError;
use super::header::{BLOCK, Block};
use crate::recipe::Recorder;

/// Bytes read at once: small files then take one write each straight from this buffer.
const BUFFER_BYTES: usize = 256 << 10;

pub(crate) struct Source<'r> {
    reader: &'r mut dyn Read,
    hash: Sha256,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    taken: u64,
    total: u64,
    max: u64,
    recorder: Option<Recorder>,
}

impl<'r> Source<'r> {
    /// At most `max` bytes may come out of `reader`.
    pub fn new(reader: &'r mut dyn Read, max: u64, recorder: Option<Recorder>) -> Self {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Self { reader, hash: Sha256::new(), buffer, start: 0, end: 0, taken: 0, total: 0, max, recorder }
    }

    /// Bytes handed out so far.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// One block; `None` at the end of the stream.
    pub fn block(&mut self) -> Result<Option<Block>, TarError> {
        while self.end - self.start < BLOCK {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.end, self.start) = (self.end - self.start, 0);
            }
            if self.fill()? == 0 {
                return if self.end == self.start { Ok(None) } else { Err(self.truncated()) };
            }
        }
        let mut bytes = [0; BLOCK];
        bytes.copy_from_slice(&self.buffer[self.start..self.start + BLOCK]);
        self.advance(BLOCK);
        self.record(|recorder| recorder.literal(&bytes))?;
        Ok(Some(Block(bytes)))
    }

    /// Between 1 and `max` bytes; the stream's end is an error.
    pub fn take_some(&mut self, max: u64) -> Result<&[u8], TarError> {
        let piece = self.next_piece(max)?;
        if let Some(recorder) = &mut self.recorder {
            recorder.literal(&self.buffer[piece.clone()]).map_err(TarError::Recipe)?;
        }
        Ok(&self.buffer[piece])
    }

    /// The same for a file's data, which [`Source::record_piece`] is told of.
    pub fn take_content(&mut self, max: u64) -> Result<&[u8], TarError> {
        let piece = self.next_piece(max)?;
        Ok(&self.buffer[piece])
    }

    /// `length` bytes of content, the last that were taken, are now in the file at `path` from `offset` on.
    pub fn record_piece(&mut self, path: &Path, turn: u32, offset: u64, length: u64) -> Result<(), TarError> {
        self.record(|recorder| recorder.piece(path, turn, offset, length))
    }

    fn record(&mut self, what: impl FnOnce(&mut Recorder) -> io::Result<()>) -> Result<(), TarError> {
        self.recorder.as_mut().map_or(Ok(()), what).map_err(TarError::Recipe)
    }

    fn next_piece(&mut self, max: u64) -> Result<Range<usize>, TarError> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.fill()? == 0 {
                return Err(self.truncated());
            }
        }
        let length = usize::try_from(max).unwrap_or(usize::MAX).min(self.end - self.start);
        let start = self.start;
        self.advance(length);
        Ok(start..start + length)
    }

    /// Drops `count` bytes.
    pub fn skip(&mut self, mut count: u64) -> Result<(), TarError> {
        while count > 0 {
            count -= self.take_some(count)?.len() as u64;
        }
        Ok(())
    }

    /// Reads to the stream's end and returns the digest and the number of all its bytes.
    pub fn finish(mut self) -> Result<([u8; 32], u64), TarError> {
        loop {
            let rest = self.start..self.end;
            if let Some(recorder) = &mut self.recorder {
                recorder.literal(&self.buffer[rest]).map_err(TarError::Recipe)?;
            }
            (self.start, self.end) = (0, 0);
            if self.fill()? == 0 {
                self.recorder.take().map_or(Ok(()), Recorder::finish).map_err(TarError::Recipe)?;
                return Ok((self.hash.finalize().into(), self.total));
            }
        }
    }

    fn advance(&mut self, count: usize) {
        self.start += count;
        self.taken += count as u64;
    }

    fn truncated(&self) -> TarError {
        TarError::Truncated { at: self.total }
    }

    /// Reads behind `end`; 0 is the stream's end.
    fn fill(&mut self) -> Result<usize, TarError> {
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(count) => {
                    self.hash.update(&self.buffer[self.end..self.end + count]);
                    self.end += count;
                    self.total += count as u64;
                    if self.total > self.max {
                        return Err(TarError::Limit { what: "bytes", max: self.max });
                    }
                    return Ok(count);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(TarError::Read { at: self.total, source }),
            }
        }
    }
}
