//! An archive's bytes on their way: read, and decompressed by the reader, on the caller's thread, hashed on a second
//! one, unpacked on a third.
//!
//! Owns the threads and the chunks between them: at most 16 MiB, whatever the archive. A reader that must do without
//! threads gives its bytes itself. All threads have ended when
//! [`overlapped`] returns, so its caller may fork afterwards as it might before.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use sha2::{Digest as _, Sha256};

use super::TarError;

/// Bytes of a chunk: small files then take one write each straight from it. A whole archive of less needs no threads.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that wait for one thread, 16 MiB: on a busy machine a thread waits long for its turn, and few of them would make
/// the threads wait for each other at every turn.
const CHUNKS_MAX: usize = 64;
/// Bytes read at once where no other thread reads: what a pipe holds.
const READ_BYTES: usize = 64 << 10;
/// Chunks kept to be filled again: those that wait, those in work, and the one being filled.
const POOL_MAX: usize = CHUNKS_MAX + 3;

/// Bytes that are read after a failure, to say whether the archive is another one than was promised.
const UNHEARD_BYTES_MAX: usize = 256 << 20;

pub(crate) type Chunk = Arc<Vec<u8>>;
pub(crate) type Message = io::Result<Chunk>;

/// The chunks of one archive.
pub(crate) enum Feed<'r> {
    /// All of it.
    Whole(Option<Chunk>),
    /// What another thread reads.
    Thread(Receiver<Message>),
    /// What comes of reading here and now.
    Reader(&'r mut dyn Read),
}

impl Feed<'_> {
    /// The next chunk; none at the end.
    pub fn next(&mut self) -> Result<Option<Chunk>, io::Error> {
        match self {
            Self::Whole(chunk) => Ok(chunk.take()),
            Self::Thread(chunks) => chunks.recv().ok().transpose(),
            Self::Reader(reader) => {
                let mut bytes = vec![0; READ_BYTES];
                let length = loop {
                    match reader.read(&mut bytes) {
                        Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                        other => break other?,
                    }
                };
                bytes.truncate(length);
                Ok((length > 0).then(|| Arc::new(bytes)))
            }
        }
    }
}

/// What came of an archive, and the digest of all its bytes if it was read to its end.
pub(crate) type Consumed<T, E> = (Result<T, E>, Option<[u8; 32]>);

/// Runs `consume` while `reader` is read to its end or `consume` has had enough. With `to_the_end` it is read on after a
/// failure, for the digest.
pub(crate) fn overlapped<T: Send, E: From<TarError> + Send>(
    reader: &mut dyn Read,
    to_the_end: bool,
    consume: impl FnOnce(Feed<'static>) -> Result<T, E> + Send,
) -> Consumed<T, E> {
    let mut first = vec![0; CHUNK_BYTES];
    match fill(reader, &mut first) {
        Ok(length) => first.truncate(length),
        Err(source) => return (Err(TarError::Read { at: 0, source }.into()), None),
    }
    if first.len() < CHUNK_BYTES {
        let hash = Sha256::digest(&first).into();
        let first = (!first.is_empty()).then(|| Arc::new(first));
        return (consume(Feed::Whole(first)), Some(hash));
    }
    let consumed = std::thread::scope(|scope| {
        let (to_consumer, from_reader) = sync_channel(CHUNKS_MAX);
        let (to_hash, from_reader_too) = sync_channel::<Chunk>(CHUNKS_MAX);
        let hash = spawn(scope, "hash", || {
            let mut hash = Sha256::new();
            from_reader_too.into_iter().for_each(|chunk| hash.update(chunk.as_slice()));
            hash.finalize().into()
        })?;
        let consumer = spawn(scope, "unpack", || consume(Feed::Thread(from_reader)))?;
        let pumped = pump(reader, first, &to_consumer, &to_hash, to_the_end);
        drop((to_consumer, to_hash));
        let (made, hash) = (join(consumer), join(hash));
        Ok((made, pumped.then_some(hash)))
    });
    consumed.unwrap_or_else(|error: TarError| (Err(error.into()), None))
}

/// Reads to the end, which is true, or to an error, or until nobody listens any more.
fn pump(
    reader: &mut dyn Read,
    first: Vec<u8>,
    consumer: &SyncSender<Message>,
    hash: &SyncSender<Chunk>,
    to_the_end: bool,
) -> bool {
    let mut pool: VecDeque<Chunk> = VecDeque::with_capacity(POOL_MAX);
    let mut bytes = first;
    let mut unheard = 0;
    while !bytes.is_empty() {
        let chunk = Arc::new(bytes);
        if hash.send(Arc::clone(&chunk)).is_err() {
            return false;
        }
        if unheard > 0 || consumer.send(Ok(Arc::clone(&chunk))).is_err() {
            unheard += chunk.len();
            if !to_the_end || unheard > UNHEARD_BYTES_MAX {
                return false;
            }
        }
        pool.push_back(chunk);
        let oldest = if pool.len() < POOL_MAX { None } else { pool.pop_front() };
        // The slower thread may still have the oldest; then there is one allocation more.
        bytes = oldest.and_then(Arc::into_inner).unwrap_or_default();
        bytes.resize(CHUNK_BYTES, 0);
        match fill(reader, &mut bytes) {
            Ok(length) => bytes.truncate(length),
            Err(e) => {
                // Whoever doesn't listen any more has an error of its own.
                let _ = consumer.send(Err(e));
                return false;
            }
        }
    }
    true
}

/// Reads until `buffer` is full or the stream ends.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match reader.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(length)
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, TarError> {
    Builder::new().name(name.to_owned()).spawn_scoped(scope, work).map_err(TarError::Thread)
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
