//! One blob on its way into a file, and a reader that follows it there.
//!
//! ```text
//! registry ─▶ hashed ─▶ blobs/partial/<hex> ─▶ inflated and unpacked, as soon as it is the layer's turn
//! Waiting ─▶ Running ─▶ Whole | Failed | Needless
//! ```
//! The file is ours while it grows and while it is unpacked, and nobody's in between: two commands that wait for each
//! other's layers would wait for ever. The reader's end comes only once the digest is right. What is in the file
//! when a command ends is where the next one goes on.

use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use corten_model::Digest;
use corten_storage::{Partial, PartialState, Store, steps};
use sha2::{Digest as _, Sha256};

use crate::document::Descriptor;
use crate::registry::Cancel;
use crate::transfer::{BlobState, Progress, Remote, TransferError};

/// Bytes that move at once.
const CHUNK_BYTES: usize = 256 << 10;
/// How often a waiting thread looks whether it is still wanted, and whether another command is done.
const LOOK: Duration = Duration::from_millis(50);
/// How long another command may have a layer without going on. Unpacking the largest takes minutes.
const OTHERS_WAIT: Duration = Duration::from_secs(30 * 60);

/// What all flows of a pull have in common.
pub(super) struct Around<'a> {
    pub store: &'a Store,
    pub remote: &'a dyn Remote,
    pub cancel: &'a Cancel,
    pub progress: &'a dyn Progress,
    /// The compressed layers are kept.
    pub keep: bool,
}

/// One blob.
pub(super) struct Flow {
    pub blob: Descriptor,
    /// The layers that are made of it.
    chains: Vec<Digest>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    phase: Phase,
    /// While it is ours.
    partial: Option<Arc<Partial>>,
    /// Bytes in the file that are hashed.
    arrived: u64,
    /// Those of them that were there before.
    resumed: u64,
    /// The layer's turn has come: the file stays ours when it is whole.
    wanted: bool,
    /// Layers that are still to be made of it.
    users: usize,
    /// What the file was like when it was whole and let go.
    left_as: Option<PartialState>,
}

enum Phase {
    Waiting,
    Running,
    Whole,
    /// Why, unless somebody has taken it.
    Failed(Option<TransferError>),
    /// Somebody else made the layers.
    Needless,
}

/// What a layer's turn finds.
pub(super) enum Turn {
    /// A reader can follow.
    Follow,
    /// The layer is here.
    Needless,
    /// The file was somebody else's meanwhile: it has to be fetched again.
    FetchAgain,
}

impl Flow {
    pub fn new(blob: Descriptor) -> Self {
        let state = State {
            phase: Phase::Waiting,
            partial: None,
            arrived: 0,
            resumed: 0,
            wanted: false,
            users: 0,
            left_as: None,
        };
        Self { blob, chains: Vec::new(), state: Mutex::new(state), changed: Condvar::new() }
    }

    /// One more layer is made of it.
    pub fn serve(&mut self, chain: &Digest) {
        self.chains.push(chain.clone());
        self.state().users += 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Brings all of it here.
    pub fn fetch(&self, around: &Around<'_>) {
        let fetched = self.try_fetch(around);
        if matches!(fetched, Ok(true)) {
            around.progress.blob(&self.blob.digest, BlobState::Downloaded);
        }
        self.change(|state| match fetched {
            Ok(true) => {
                state.phase = Phase::Whole;
                if !state.wanted {
                    state.left_as = state.partial.take().and_then(|partial| partial.state().ok());
                }
            }
            Ok(false) => (state.phase, state.partial) = (Phase::Needless, None),
            Err(error) => (state.phase, state.partial) = (Phase::Failed(Some(error)), None),
        });
        steps::reached("pull.fetched");
    }

    /// `false`: nobody needs it any more.
    fn try_fetch(&self, around: &Around<'_>) -> Result<bool, TransferError> {
        let Some(partial) = self.claim(around)? else { return Ok(false) };
        let partial = Arc::new(partial);
        let size = self.blob.size;
        let mut there = partial.size_bytes()?;
        if there > size {
            partial.empty()?;
            there = 0;
        }
        self.change(|state| {
            (state.phase, state.partial) = (Phase::Running, Some(Arc::clone(&partial)));
            (state.arrived, state.resumed) = (0, there);
        });
        let mut arriving = Arriving { flow: self, around, hash: Sha256::new(), at: 0, resumed: there };
        let mut buffer = vec![0; CHUNK_BYTES];
        while arriving.at < there {
            let want = usize::try_from(there - arriving.at).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            let read = partial.read_at(&mut buffer[..want], arriving.at);
            match read.map_err(|error| TransferError::of_read(&self.blob, error))? {
                0 => break,
                count => arriving.came(&buffer[..count])?,
            }
        }
        if arriving.at < size {
            around.store.check_space(size - arriving.at)?;
            let mut reader = around.remote.blob(&self.blob, arriving.at)?;
            while arriving.at < size {
                let want = usize::try_from(size - arriving.at).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
                let count = match reader.read(&mut buffer[..want]) {
                    Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                    other => other,
                };
                let count = count.map_err(|error| TransferError::of_read(&self.blob, error))?;
                partial.write_at(&buffer[..count], arriving.at)?;
                arriving.came(&buffer[..count])?;
                steps::reached("pull.part");
            }
        }
        let found = Digest::from_sha256(arriving.hash.finalize().into());
        if found != self.blob.digest {
            partial.empty()?;
            return Err(TransferError::WrongDigest { expected: self.blob.digest.clone(), found });
        }
        Ok(true)
    }

    /// The file; waits for another command that has it. `None`: all layers are here.
    fn claim(&self, around: &Around<'_>) -> Result<Option<Partial>, TransferError> {
        let mut since = Instant::now();
        let mut known = None;
        loop {
            self.go_on(around)?;
            if let Some(partial) = around.store.partial(&self.blob.digest)? {
                if self.chains.iter().all(|chain| around.store.layers().exists(chain)) {
                    partial.remove()?;
                    return Ok(None);
                }
                return Ok(Some(partial));
            }
            let bytes = around.store.partial_bytes(&self.blob.digest);
            if known.replace(bytes) != Some(bytes) {
                since = Instant::now();
                around.progress.blob(&self.blob.digest, BlobState::Elsewhere);
            }
            if since.elapsed() > OTHERS_WAIT {
                let (layer, minutes) = (self.blob.digest.clone(), OTHERS_WAIT.as_secs() / 60);
                return Err(TransferError::Stuck { layer, minutes });
            }
            let state = self.state();
            if state.users == 0 {
                return Ok(None);
            }
            drop(self.wait(state));
        }
    }

    fn go_on(&self, around: &Around<'_>) -> Result<(), TransferError> {
        if around.cancel.is_cancelled() { Err(TransferError::Cancelled) } else { Ok(()) }
    }

    /// It is the turn of one of its layers: waits until a reader can follow.
    pub fn begin(&self, around: &Around<'_>) -> Result<Turn, TransferError> {
        let mut state = self.state();
        state.wanted = true;
        let left_as = loop {
            self.go_on(around)?;
            let ours = state.partial.is_some();
            match &mut state.phase {
                Phase::Failed(error) => return Err(error.take().unwrap_or(TransferError::Cancelled)),
                Phase::Needless => return Ok(Turn::Needless),
                Phase::Running | Phase::Whole if ours => return Ok(Turn::Follow),
                Phase::Whole => break state.left_as,
                Phase::Waiting | Phase::Running => state = self.wait(state),
            }
        };
        drop(state);
        // It was let go when it was whole.
        let Some(partial) = self.claim(around)? else { return Ok(Turn::Needless) };
        if Some(partial.state()?) == left_as {
            self.change(|state| state.partial = Some(Arc::new(partial)));
            return Ok(Turn::Follow);
        }
        drop(partial);
        self.again();
        Ok(Turn::FetchAgain)
    }

    /// It has to be fetched once more, from the start if that was not right.
    pub fn again(&self) {
        self.change(|state| {
            state.phase = Phase::Waiting;
            (state.partial, state.left_as) = (None, None);
        });
    }

    /// Whether part of it was left by an earlier command.
    pub fn was_resumed(&self) -> bool {
        self.state().resumed > 0
    }

    /// A stream of all of it.
    pub fn follow<'f>(&'f self, around: &'f Around<'f>) -> Follower<'f> {
        Follower { flow: self, around, at: 0 }
    }

    /// Waits until all of it is here, whatever became of the reader.
    pub fn settle(&self, around: &Around<'_>) -> Result<(), TransferError> {
        let mut state = self.state();
        loop {
            match &mut state.phase {
                Phase::Failed(error) => return Err(error.take().unwrap_or(TransferError::Cancelled)),
                Phase::Whole | Phase::Needless => return Ok(()),
                Phase::Waiting | Phase::Running => {}
            }
            self.go_on(around)?;
            state = self.wait(state);
        }
    }

    /// Why it isn't here, if that is known by now.
    pub fn failure(&self) -> Option<TransferError> {
        match &mut self.state().phase {
            Phase::Failed(error) => error.take(),
            _ => None,
        }
    }

    /// A layer is made of it, or was here; with the last one the file goes. Whether it is among the blobs now.
    pub fn done(&self, around: &Around<'_>) -> Result<bool, TransferError> {
        let (partial, last) = {
            let mut state = self.state();
            state.wanted = false;
            state.users = state.users.saturating_sub(1);
            let last = state.users == 0;
            if !last {
                state.left_as = state.partial.as_ref().and_then(|partial| partial.state().ok());
            }
            (state.partial.take(), last)
        };
        self.changed.notify_all();
        let Some(partial) = partial.filter(|_| last).and_then(Arc::into_inner) else { return Ok(false) };
        if around.keep {
            partial.keep(around.store, &self.blob.digest)?;
            return Ok(true);
        }
        partial.remove()?;
        Ok(false)
    }

    /// What is here of it can't be unpacked: it goes, if all of it is here. Else the next command goes on with it.
    pub fn discard(&self) {
        let (partial, whole) = {
            let mut state = self.state();
            (state.partial.take(), matches!(state.phase, Phase::Whole))
        };
        if let Some(partial) = partial.filter(|_| whole).and_then(Arc::into_inner) {
            // What can't be removed is found to be damaged by whoever reads it next.
            let _ = partial.remove();
        }
    }

    /// Nobody reads the whole again: what it takes on the disk needn't be written there with the layer.
    fn is_read(&self, around: &Around<'_>) -> Result<(), TransferError> {
        let state = self.state();
        match &state.partial {
            Some(partial) if state.users <= 1 && !around.keep => Ok(partial.empty()?),
            _ => Ok(()),
        }
    }
}

/// Bytes as they come.
struct Arriving<'a> {
    flow: &'a Flow,
    around: &'a Around<'a>,
    hash: Sha256,
    at: u64,
    resumed: u64,
}

impl Arriving<'_> {
    fn came(&mut self, bytes: &[u8]) -> Result<(), TransferError> {
        self.flow.go_on(self.around)?;
        self.hash.update(bytes);
        self.at += bytes.len() as u64;
        let (at, of) = (self.at, self.flow.blob.size);
        self.flow.change(|state| state.arrived = at);
        let state = BlobState::Downloading { bytes: at, of, resumed: self.resumed.min(at) };
        self.around.progress.blob(&self.flow.blob.digest, state);
        Ok(())
    }
}

/// A stream that waits for what isn't here yet.
pub(super) struct Follower<'f> {
    flow: &'f Flow,
    around: &'f Around<'f>,
    at: u64,
}

impl Read for Follower<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut state = self.flow.state();
        let (partial, arrived) = loop {
            if self.around.cancel.is_cancelled() {
                return Err(io::Error::other("given up"));
            }
            match &state.partial {
                Some(partial) if state.arrived > self.at => break (Arc::clone(partial), state.arrived),
                _ => {}
            }
            match state.phase {
                Phase::Whole => {
                    drop(state);
                    return self.flow.is_read(self.around).map(|()| 0).map_err(io::Error::other);
                }
                Phase::Running | Phase::Waiting => state = self.flow.wait(state),
                Phase::Failed(_) | Phase::Needless => return Err(io::Error::other("the download failed")),
            }
        };
        drop(state);
        let want = usize::try_from(arrived - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let count = partial.read_at(&mut buffer[..want], self.at)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += count as u64;
        let state = BlobState::Extracting { bytes: self.at, of: self.flow.blob.size };
        self.around.progress.blob(&self.flow.blob.digest, state);
        Ok(count)
    }
}
