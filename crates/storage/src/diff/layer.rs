//! An upper directory as a layer: its archive, and the unpacked layer made from the same bytes as they are written.
//!
//! The archive depends on the files alone: names in one order, no inode numbers, no names of users, no time but the
//! files' own. Everything that is in the upper directory is in it, also what was copied up and then left as it was: equal
//! sizes and times don't prove equal content.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use corten_model::Digest;
use rustix::fs::FileType;

use super::{Marks, here, is_mount_place, open};
use crate::archive::Packer;
use crate::error::{At, Error};
use crate::layers::Unpacked;
use crate::limits::Limits;
use crate::store::Store;
use crate::tree::{self, Mounts, Next};
use crate::unpack::Lower;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Bytes between who writes the archive and who unpacks it; a pipe of an ordinary user may have no more.
const PIPE_BYTES: usize = 1 << 20;

/// What becomes a layer.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Upper {
    /// The upper directory; none yet if the container never started.
    pub dir: Option<PathBuf>,
    /// The layers below, top first, without the skeleton.
    pub lowers: Vec<PathBuf>,
}

/// Writes the layer's archive.
pub fn write_layer(upper: &Upper, rootless: bool, out: &mut dyn Write) -> Result<(), Error> {
    let marks = Marks::new(rootless);
    let lower = Lower::new(upper.lowers.clone(), rootless);
    let mut packer = Packer::new(out);
    let Some(dir) = &upper.dir else { return packer.finish() };
    let top = open(dir)?;
    let stat = rustix::fs::fstat(&top).at("read the attributes of", dir)?;
    // The root has an entry only if it is not as the layer below has it: its time is when the container began.
    let below = lower.top().map(|top| rustix::fs::stat(top).at("read the attributes of", top)).transpose()?;
    let attributes = |s: &rustix::fs::Stat| (s.st_mode, s.st_uid, s.st_gid);
    if below.is_none_or(|below| attributes(&below) != attributes(&stat)) {
        let (at, name) = here(&top);
        packer.add(at, name, &stat, b".")?;
    }
    tree::walk(top, dir, Mounts::Refused, &mut |node| {
        if marks.is_whiteout(node)? {
            packer.mark(&beside(node.path, &[WHITEOUT, node.name.as_bytes()].concat()))?;
            return Ok(Next::Over);
        }
        if node.name.as_bytes().starts_with(WHITEOUT) {
            return Err(Error::MarkName { path: node.path.to_owned() });
        }
        if is_mount_place(node.path, node.stat) {
            return Ok(Next::Over);
        }
        packer.add(node.at, node.name, node.stat, node.path.as_os_str().as_bytes())?;
        // Overlay marks every new directory; where nothing is below, that says nothing.
        if tree::kind_of(node.stat) == FileType::Directory
            && marks.is_opaque(node.at, node.name, node.path)?
            && lower.lookup(node.path)?.is_some_and(|(_, s)| tree::kind_of(&s) == FileType::Directory)
        {
            packer.mark(&beside(&node.path.join("x"), OPAQUE))?;
        }
        Ok(Next::Into)
    })?;
    packer.finish()
}

/// The name `name` in the directory of `path`.
fn beside(path: &Path, name: &[u8]) -> Vec<u8> {
    match path.parent().map(|parent| parent.as_os_str().as_bytes()) {
        None | Some(b"") => name.to_vec(),
        Some(parent) => [parent, name].join(&b'/'),
    }
}

/// Makes a layer of `upper` on `parent`: while one thread writes its archive, this one digests and unpacks it, so
/// nothing is read or written twice. Hold [`Store::writing`] until its row is committed.
pub fn commit(store: &Store, upper: &Upper, parent: &Digest, limits: &Limits) -> Result<Unpacked, Error> {
    let pipe = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
    let (reader, writer) = pipe.at("make a pipe in", store.root())?;
    // A smaller pipe is only slower.
    let _ = rustix::pipe::fcntl_setpipe_size(&writer, PIPE_BYTES);
    let written = OnceLock::new();
    std::thread::scope(|scope| {
        let (written, rootless) = (&written, store.is_rootless());
        scope.spawn(move || {
            let mut out = File::from(writer);
            // Said before the pipe is closed: its end means nothing without it.
            let _ = written.set(write_layer(upper, rootless, &mut out));
        });
        let mut tar = Whole { pipe: File::from(reader), written };
        store.layers().unpack(&mut tar, Some(parent), limits)
    })
    .map_err(|error| match written.into_inner() {
        // Who unpacks gave up first and closed the pipe: its error is the cause.
        Some(Err(Error::WriteArchive(_))) | Some(Ok(())) | None => error,
        Some(Err(cause)) => cause,
    })
}

/// The reading end: it ends only if the archive is whole.
struct Whole<'a> {
    pipe: File,
    written: &'a OnceLock<Result<(), Error>>,
}

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.pipe.read(buffer) {
            Ok(0) if !buffer.is_empty() && !matches!(self.written.get(), Some(Ok(()))) => {
                Err(io::Error::other("the archive was not written to its end"))
            }
            other => other,
        }
    }
}
