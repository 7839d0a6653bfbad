//! The archive's bytes as blocks and pieces of data, counted, and a bound on how many may come.
//!
//! What is handed out goes into the layer's recipe, but for files' data, which is kept in the files.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::TarError;
use super::feed::Feed;
use super::header::{BLOCK, Block};
use crate::recipe::Recorder;

pub(crate) struct Source<'r> {
    feed: Feed<'r>,
    chunk: Arc<Vec<u8>>,
    start: usize,
    taken: u64,
    total: u64,
    max: u64,
    recorder: Option<Recorder>,
}

impl<'r> Source<'r> {
    /// At most `max` bytes may come out of `feed`.
    pub fn new(feed: Feed<'r>, max: u64, recorder: Option<Recorder>) -> Self {
        Self { feed, chunk: Arc::default(), start: 0, taken: 0, total: 0, max, recorder }
    }

    /// Bytes handed out so far.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// One block; `None` at the end of the stream.
    pub fn block(&mut self) -> Result<Option<Block>, TarError> {
        let mut bytes = [0; BLOCK];
        let mut have = 0;
        while have < BLOCK {
            let piece = match self.next_piece((BLOCK - have) as u64)? {
                Some(piece) => piece,
                None if have == 0 => return Ok(None),
                None => return Err(self.truncated()),
            };
            bytes[have..have + piece.len()].copy_from_slice(&self.chunk[piece.clone()]);
            have += piece.len();
        }
        self.record(|recorder| recorder.literal(&bytes))?;
        Ok(Some(Block(bytes)))
    }

    /// Between 1 and `max` bytes; the stream's end is an error.
    pub fn take_some(&mut self, max: u64) -> Result<&[u8], TarError> {
        let piece = self.next_piece(max)?.ok_or_else(|| self.truncated())?;
        if let Some(recorder) = &mut self.recorder {
            recorder.literal(&self.chunk[piece.clone()]).map_err(TarError::Recipe)?;
        }
        Ok(&self.chunk[piece])
    }

    /// The same for a file's data, which [`Source::record_piece`] is told of.
    pub fn take_content(&mut self, max: u64) -> Result<&[u8], TarError> {
        let piece = self.next_piece(max)?.ok_or_else(|| self.truncated())?;
        Ok(&self.chunk[piece])
    }

    /// `length` bytes of content, the last that were taken, are now in the file at `path` from `offset` on.
    pub fn record_piece(&mut self, path: &Path, turn: u32, offset: u64, length: u64) -> Result<(), TarError> {
        self.record(|recorder| recorder.piece(path, turn, offset, length))
    }

    /// Drops `count` bytes.
    pub fn skip(&mut self, mut count: u64) -> Result<(), TarError> {
        while count > 0 {
            count -= self.take_some(count)?.len() as u64;
        }
        Ok(())
    }

    /// Reads to the stream's end and returns the number of all its bytes.
    pub fn finish(mut self) -> Result<u64, TarError> {
        while let Some(piece) = self.next_piece(u64::MAX)? {
            if let Some(recorder) = &mut self.recorder {
                recorder.literal(&self.chunk[piece]).map_err(TarError::Recipe)?;
            }
        }
        self.recorder.take().map_or(Ok(()), Recorder::finish).map_err(TarError::Recipe)?;
        Ok(self.total)
    }

    fn record(&mut self, what: impl FnOnce(&mut Recorder) -> io::Result<()>) -> Result<(), TarError> {
        self.recorder.as_mut().map_or(Ok(()), what).map_err(TarError::Recipe)
    }

    /// Where the next bytes are in the chunk, between 1 and `max` of them; none at the stream's end.
    fn next_piece(&mut self, max: u64) -> Result<Option<Range<usize>>, TarError> {
        if self.start == self.chunk.len() {
            let next = self.feed.next().map_err(|source| TarError::Read { at: self.total, source })?;
            let Some(chunk) = next else { return Ok(None) };
            self.total += chunk.len() as u64;
            (self.chunk, self.start) = (chunk, 0);
            if self.total > self.max {
                return Err(TarError::Limit { what: "bytes", max: self.max });
            }
        }
        let length = usize::try_from(max).unwrap_or(usize::MAX).min(self.chunk.len() - self.start);
        let start = self.start;
        self.start += length;
        self.taken += length as u64;
        Ok(Some(start..start + length))
    }

    fn truncated(&self) -> TarError {
        TarError::Truncated { at: self.total }
    }
}
