//! Images as they come into a store: import of a tree, commit of a container, the image made from the binary itself.
//!
//! Owns configs and manifests: how they are written, so that the same input gives the same bytes and ids. Unpacking
//! is handed in as [`Unpack`], because without root it happens in a user namespace that only the engine can make.
//! Deliberately not here: names and tags, which are rows.

mod changes;
mod commit;
mod error;
mod hello;
mod import;
mod manifest;
mod words;

use std::io::Read;

use corten_model::Digest;
use corten_model::image::ImageConfig;
use corten_storage::{Layers, Limits, Unpacked};

pub use changes::apply as apply_changes;
pub use commit::{CommitOptions, Parent, commit};
pub use error::{Error, UnpackError};
pub use hello::hello;
pub use import::{ImportOptions, import};
pub use manifest::{CONFIG_TYPE, Descriptor, LAYER_TYPE, MANIFEST_TYPE, Manifest};

/// An image whose bytes are in the store; the row is the caller's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The config's digest: the id that is printed.
    pub id: Digest,
    /// The manifest's digest: what a tag points to.
    pub manifest: Digest,
    /// The config.
    pub config: ImageConfig,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
    /// Bytes of all layers' files.
    pub size_bytes: u64,
    /// Uids and gids of its files above 65,535, ascending.
    pub high_ids: Vec<u32>,
    /// Remarks for the person who asked.
    pub warnings: Vec<String>,
}

/// One layer of a stored image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Digest of its plain archive.
    pub diff_id: Digest,
    /// The layer and all below it.
    pub chain_id: Digest,
    /// Bytes of its files.
    pub size_bytes: u64,
}

/// Whoever turns an archive into a layer.
pub trait Unpack {
    /// Unpacks the plain archive `tar` on top of the chain `parent`, durably; on an error nothing is left.
    fn unpack(&self, tar: &mut dyn Read, parent: Option<&Digest>) -> Result<Unpacked, UnpackError>;
}

impl Unpack for Layers<'_> {
    fn unpack(&self, tar: &mut dyn Read, parent: Option<&Digest>) -> Result<Unpacked, UnpackError> {
        Ok(Layers::unpack(self, tar, parent, &Limits::default())?)
    }
}

#[cfg(test)]
mod tests;
