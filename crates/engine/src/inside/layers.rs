//! Layers in and out the way this user can: directly as root, through a worker otherwise.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use corten_images::{LayerTars, Unpack, UnpackError};
use corten_model::Digest;
use corten_storage::{Expansion, LayerTar, Limits, Store, Unpacked};

use super::{ALL_CAME, Enter, Error, Job, Worker, run};
use crate::keeper::protocol;
use crate::lease::{Lease, Ref};
use crate::{Engine, Result};

/// Unpacks layers.
pub(crate) struct Unpacker<'l> {
    root: PathBuf,
    rootless: bool,
    limits: Limits,
    lease: &'l Lease,
}

impl<'l> Unpacker<'l> {
    /// For the engine's store; the lease holds whatever is unpacked.
    pub fn new(engine: &Engine, lease: &'l Lease) -> Result<Self> {
        let limits = engine.config()?.layers.clone();
        Ok(Self { root: engine.roots().data.clone(), rootless: engine.is_rootless(), limits, lease })
    }
}

/// Gives the archives of layers back, to several threads at once.
#[derive(Debug, Clone)]
pub(crate) struct Tars {
    root: PathBuf,
    rootless: bool,
}

impl Tars {
    /// Of the engine's store.
    pub fn new(engine: &Engine) -> Self {
        Self { root: engine.roots().data.clone(), rootless: engine.is_rootless() }
    }

    fn tar(&self, chain: &Digest) -> Result<Box<dyn Read>> {
        if !self.rootless {
            return Ok(Box::new(open_tar(&self.root, false, chain)?));
        }
        let (pipe, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|errno| Error::Spawn(errno.into()))?;
        let worker = Worker::spawn(Enter::NewUser, Some(theirs.as_fd()))?;
        drop(theirs);
        let mut remote = Remote { worker: Some(worker), pipe: Some(pipe.into()) };
        if let Some(worker) = &mut remote.worker {
            worker.begin(&Job::LayerTar { root: self.root.clone(), chain: chain.clone() })?;
        }
        Ok(Box::new(remote))
    }
}

impl Unpack for Unpacker<'_> {
    fn unpack(
        &self,
        tar: &mut dyn Read,
        diff_id: Option<&Digest>,
        parent: Option<&Digest>,
    ) -> std::result::Result<Unpacked, UnpackError> {
        // What comes of it has no name before it is there: whatever is on top of its parent is held.
        let parents = parent.cloned().map(Ref::Layer);
        let refs: Vec<Ref> = parents.into_iter().chain([Ref::Above(parent.cloned())]).collect();
        let (root, diff_id, parent) = (self.root.clone(), diff_id.cloned(), parent.cloned());
        let job = Job::Unpack { root, diff_id, parent, limits: self.limits.clone() };
        let outcome = self.lease.hold(&refs).and_then(|()| run(self.rootless, job, tar));
        let unpacked = outcome.and_then(|o| o.unpacked.ok_or(Error::Silent.into()));
        unpacked.map_err(|error| unpack_error(&error))
    }

    fn expansion(&self) -> Expansion {
        self.limits.expansion
    }
}

impl LayerTars for Tars {
    fn open(&self, chain: &Digest) -> std::result::Result<Box<dyn Read + '_>, UnpackError> {
        self.tar(chain).map(|tar| tar as Box<dyn Read + '_>).map_err(|error| unpack_error(&error))
    }
}

/// An error of the engine's as those know it who unpack.
pub(crate) fn unpack_error(error: &crate::Error) -> UnpackError {
    let (kind, hint, message) = (error.kind(), error.hint(), error.to_string());
    let source = std::error::Error::source(error).map(|cause| cause.to_string().into());
    UnpackError { kind, hint, message, source }
}

fn open_tar(
    root: &Path,
    rootless: bool,
    chain: &Digest,
) -> std::result::Result<LayerTar, corten_storage::Error> {
    Store::open(root, rootless)?.layers().tar(chain)
}

/// The worker's side of a layer's archive.
pub(super) fn write_tar(
    root: &Path,
    rootless: bool,
    chain: &Digest,
    output: &mut dyn Write,
) -> std::result::Result<(), corten_storage::Error> {
    let mut tar = open_tar(root, rootless, chain)?;
    io::copy(&mut tar, output).map(drop).map_err(corten_storage::Error::WriteArchive)
}

/// A layer's archive as it comes from a worker.
struct Remote {
    worker: Option<Worker>,
    pipe: Option<File>,
}

impl Read for Remote {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(pipe) = &mut self.pipe else { return Ok(0) };
        let count = pipe.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        // The end of the pipe is the end of the archive only if the worker says so.
        self.pipe = None;
        match self.worker.as_ref().map(Worker::answer) {
            Some(Ok(_)) => Ok(0),
            Some(Err(error)) => Err(io::Error::other(error)),
            None => Err(io::Error::other(Error::Silent)),
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // Before the wait: a worker that still writes ends by it.
        self.pipe = None;
        if let Some(worker) = self.worker.take() {
            worker.end();
        }
    }
}

/// The worker's input: its end counts only once the other side says that all of it came.
pub(super) struct Confirmed<'c> {
    data: &'c File,
    socket: &'c OwnedFd,
    confirmed: bool,
}

impl<'c> Confirmed<'c> {
    pub fn new(data: &'c File, socket: &'c OwnedFd) -> Self {
        Self { data, socket, confirmed: false }
    }
}

impl Read for Confirmed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.data.read(buffer)?;
        if count > 0 || buffer.is_empty() || self.confirmed {
            return Ok(count);
        }
        let frame = protocol::receive_frame(self.socket)?;
        let said = frame.and_then(|(_, payload)| serde_json::from_slice::<String>(&payload).ok());
        if said.as_deref() != Some(ALL_CAME) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the input was given up"));
        }
        self.confirmed = true;
        Ok(0)
    }
}
