//! A plain stream compressed: the same bytes always become the same bytes, whatever machine does it.
//!
//! ```text
//! gzip: 1 MiB of the stream ─▶ deflated by itself, on as many threads as there are processors ─▶ joined in order
//! ```
//! The pieces of gzip know nothing of each other, so that neither their number of threads nor their order in time is in
//! the result: one member, without a name or a date. What it costs is one part in a hundred of the size.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use flate2::{Compress, Compression as Level, Crc, FlushCompress, Status};

/// Plain bytes of a piece.
const PIECE_BYTES: usize = 1 << 20;
/// Threads that deflate.
const THREADS_MAX: usize = 4;
/// Pieces that are begun at most, for each thread.
const PIECES_AHEAD: usize = 2;
/// Nothing but the method, and an unknown system (RFC 1952).
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// An empty last block (RFC 1951, 3.2.6).
const DEFLATE_END: [u8; 2] = [3, 0];
/// A third of the time of the usual level, for a tenth more bytes.
const GZIP_LEVEL: u32 = 3;
/// zstd's own usual one.
const ZSTD_LEVEL: i32 = 3;

/// What a stream is compressed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// What everybody reads.
    #[default]
    Gzip,
    /// Smaller and faster; older engines can't read it.
    Zstd,
}

/// The compressed bytes of `plain`.
pub fn compress<'r>(plain: impl Read + 'r, how: Compression) -> io::Result<Box<dyn Read + 'r>> {
    Ok(match how {
        Compression::Gzip => Box::new(Gzip::new(plain)),
        Compression::Zstd => Box::new(zstd::stream::read::Encoder::new(plain, ZSTD_LEVEL)?),
    })
}

/// A piece on its way: what comes back when it is done.
type Done = Receiver<io::Result<Vec<u8>>>;
/// A piece for whichever thread is free.
type Work = (Vec<u8>, SyncSender<io::Result<Vec<u8>>>);

struct Gzip<R> {
    plain: R,
    /// No more pieces come.
    ended: bool,
    crc: Crc,
    /// What is being deflated, in order.
    begun: VecDeque<Done>,
    /// What is ready, and how much of it was given out.
    ready: Vec<u8>,
    given: usize,
    finished: bool,
    /// Closed before the threads are waited for.
    work: Option<SyncSender<Work>>,
    threads: Vec<JoinHandle<()>>,
}

impl<R: Read> Gzip<R> {
    fn new(plain: R) -> Self {
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        let (work, queue) = sync_channel::<Work>(count * PIECES_AHEAD);
        let queue = Arc::new(Mutex::new(queue));
        let threads = (0..count).filter_map(|_| {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new().name("gzip".into()).spawn(move || deflate_all(&queue)).ok()
        });
        Self {
            plain,
            ended: false,
            crc: Crc::new(),
            begun: VecDeque::new(),
            ready: GZIP_HEADER.to_vec(),
            given: 0,
            finished: false,
            threads: threads.collect(),
            work: Some(work),
        }
    }

    /// Begins as many pieces as may be begun.
    fn begin(&mut self) -> io::Result<()> {
        while !self.ended && self.begun.len() < self.threads.len().max(1) * PIECES_AHEAD {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            self.plain.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
            self.ended = piece.len() < PIECE_BYTES;
            if piece.is_empty() {
                break;
            }
            self.crc.update(&piece);
            let (done, result) = sync_channel(1);
            match &self.work {
                Some(work) if !self.threads.is_empty() => {
                    let gone = |_| io::Error::other("a thread that compresses has ended");
                    work.send((piece, done)).map_err(gone)?;
                }
                // No thread could be made.
                _ => drop(done.send(deflate(&piece))),
            }
            self.begun.push_back(result);
        }
        Ok(())
    }

    /// The next bytes that can be given out; none at the end.
    fn refill(&mut self) -> io::Result<()> {
        self.begin()?;
        self.given = 0;
        self.ready.clear();
        match self.begun.pop_front() {
            Some(done) => {
                self.ready =
                    done.recv().map_err(|_| io::Error::other("a thread that compresses has ended"))??;
            }
            None if !self.finished => {
                self.finished = true;
                self.ready.extend(DEFLATE_END);
                self.ready.extend(self.crc.sum().to_le_bytes());
                self.ready.extend(self.crc.amount().to_le_bytes());
            }
            None => {}
        }
        Ok(())
    }
}

impl<R: Read> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.ready.len() && !buffer.is_empty() {
            self.refill()?;
        }
        let count = buffer.len().min(self.ready.len() - self.given);
        buffer[..count].copy_from_slice(&self.ready[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

impl<R> Drop for Gzip<R> {
    /// All threads have ended when it is gone: a process may fork afterwards.
    fn drop(&mut self) {
        self.work = None;
        self.begun.clear();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn deflate_all(queue: &Mutex<Receiver<Work>>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((piece, done)) = next else { return };
        // Whoever asked may be gone.
        let _ = done.send(deflate(&piece));
    }
}

/// One piece as whole blocks, none of them the last, ending at a byte.
fn deflate(piece: &[u8]) -> io::Result<Vec<u8>> {
    let mut compress = Compress::new(Level::new(GZIP_LEVEL), false);
    let mut out = Vec::with_capacity(piece.len() / 2 + 4096);
    loop {
        let done = usize::try_from(compress.total_in()).map_err(io::Error::other)?;
        let status = compress.compress_vec(&piece[done..], &mut out, FlushCompress::Sync);
        let all = compress.total_in() == piece.len() as u64 && out.len() < out.capacity();
        match status.map_err(io::Error::other)? {
            Status::Ok | Status::BufError | Status::StreamEnd if all => return Ok(out),
            _ => out.reserve(out.capacity().max(4096)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decompress;

    /// Text that is not the same everywhere.
    fn text(bytes: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes + 20);
        let mut state = 7_u64;
        while text.len() < bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.extend_from_slice(format!("line {}\n", state >> 52).as_bytes());
        }
        text.truncate(bytes);
        text
    }

    fn compressed(plain: &[u8], how: Compression) -> Vec<u8> {
        let mut out = Vec::new();
        compress(plain, how).unwrap().read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn what_was_compressed_comes_back_and_is_always_the_same() {
        for bytes in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 5 * PIECE_BYTES / 2] {
            let plain = text(bytes);
            for how in [Compression::Gzip, Compression::Zstd] {
                let once = compressed(&plain, how);
                assert_eq!(once, compressed(&plain, how), "{how:?} {bytes}");
                let mut back = Vec::new();
                decompress(&once[..]).unwrap().read_to_end(&mut back).unwrap();
                assert!(back == plain, "{how:?} {bytes}");
            }
        }
    }

    #[test]
    fn other_programs_read_one_member() {
        use std::io::Write;
        let plain = text(3 * PIECE_BYTES);
        let mut child = std::process::Command::new("gzip")
            .args(["--decompress", "--stdout"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let gzip = compressed(&plain, Compression::Gzip);
        let writer = std::thread::spawn(move || stdin.write_all(&gzip));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.status.success() && output.stdout == plain);
    }

    #[test]
    fn a_stream_that_breaks_is_an_error() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let mut out = Vec::new();
        let plain = text(PIECE_BYTES);
        let error = compress((&plain[..]).chain(Broken), Compression::Gzip)
            .unwrap()
            .read_to_end(&mut out)
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
