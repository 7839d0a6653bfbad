//! Images as they come into a store and leave it: import of a tree, commit of a container, the image made from the
//! binary itself, archives of images in and out.
//!
//! Owns configs, manifests and indexes: how they are written, so that the same input gives the same bytes and ids, and
//! how strangers' are read. Unpacking is handed in as [`Unpack`] and its reverse as [`LayerTars`], because without root
//! they happen in a user namespace that only the engine can make.
//! Deliberately not here: names and tags, which are rows.

mod changes;
mod commit;
mod document;
mod error;
mod hello;
mod import;
mod load;
mod manifest;
pub mod manifest_list;
mod pull;
mod push;
pub mod registry;
mod save;
mod transfer;
mod words;

use std::io::Read;

use corten_model::Digest;
use corten_model::image::ImageConfig;
use corten_storage::{Expansion, Layers, Limits, Unpacked};

pub use changes::apply as apply_changes;
pub use commit::{CommitOptions, Parent, commit};
pub use document::{Descriptor, Index, MANIFEST_TYPE, Manifest, parse};
pub use error::{Error, UnpackError};
pub use hello::hello;
pub use import::{ImportOptions, import};
pub use load::{Input, LoadOptions, Loaded, StoredIndex, Target, load};
pub use pull::{PullOptions, Pulled, present, pull};
pub use push::{KnownBlob, PushOptions, PushedImage, SharedTars, push};
pub use save::{
    ArchiveSink, DirectorySink, Format as SaveFormat, Image as SaveImage, Item as SaveItem, LayerTars,
    Node as SaveNode, Sink, save,
};
pub use transfer::{BlobState, Document, Progress, Remote, TransferError};

/// An image whose bytes are in the store; the row is the caller's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The config's digest: the id that is printed.
    pub id: Digest,
    /// The manifest's digest: what a tag points to.
    pub manifest: Digest,
    /// The manifest's media type.
    pub media_type: String,
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
    /// Unpacks the plain archive `tar`, whose digest is `diff_id` if that is known, on top of the chain `parent`,
    /// durably; on an error nothing is left.
    fn unpack(
        &self,
        tar: &mut dyn Read,
        diff_id: Option<&Digest>,
        parent: Option<&Digest>,
    ) -> Result<Unpacked, UnpackError>;

    /// How much may come out of compressed bytes.
    fn expansion(&self) -> Expansion {
        Expansion::default()
    }
}

impl Unpack for Layers<'_> {
    fn unpack(
        &self,
        tar: &mut dyn Read,
        diff_id: Option<&Digest>,
        parent: Option<&Digest>,
    ) -> Result<Unpacked, UnpackError> {
        let limits = Limits::default();
        Ok(match diff_id {
            Some(diff_id) => self.unpack_expecting(tar, diff_id, parent, &limits)?,
            None => Layers::unpack(self, tar, parent, &limits)?,
        })
    }
}

impl LayerTars for Layers<'_> {
    fn open(&self, chain: &Digest) -> Result<Box<dyn Read + '_>, UnpackError> {
        Ok(Box::new(self.tar(chain)?))
    }
}

/// What the person who asked should know of an unpacked layer.
pub(crate) fn remarks(unpacked: &Unpacked) -> Vec<String> {
    let mut remarks = Vec::new();
    if unpacked.squashed_owners > 0 {
        remarks.push(format!(
            "{} files have owners that this user has no subordinate ids for: they belong to root in the image",
            unpacked.squashed_owners
        ));
    }
    if unpacked.skipped_devices > 0 {
        remarks.push(format!(
            "{} devices in /dev were left out: only root can make them",
            unpacked.skipped_devices
        ));
    }
    remarks
}

/// The digest of `bytes`.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    use sha2::Digest as _;
    Digest::from_sha256(sha2::Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests;
