//! Bytes on disk: blobs, unpacked layers, containers' file systems, volumes' data.
//!
//! ```text
//! <root>/                 0710   version, and whatever the engine keeps beside (its database)
//!   blobs/sha256/<hex>    0600   manifests and configs, exact bytes; compressed layers that are kept
//!   blobs/partial/<hex>   0600   what came so far of a blob
//!   layers/<chain hex>/   0700   layer.json, fs/: one unpacked layer, an overlay's lower directory; recipe and
//!                                replaced/: what it takes beside the files to rebuild the archive bit for bit
//!   containers/<id>/      0700   upper/ and work/ of its overlay, and what the engine and the keeper put there
//!   volumes/<id>/         0700   data/
//!   lock                         held shared while something new has no row yet, exclusive by a repair
//! ```
//! Everything new is written under a `.tmp-` name, made durable, renamed; only then may a row name it. A crash leaves
//! the old state or the new one, and litter that [`check()`] recognises. Nothing here knows names, tags or rows: gc's
//! roots are handed in as [`Live`].

mod account;
pub mod archive;
mod blobs;
pub mod check;
mod compress;
mod decompress;
pub mod diff;
mod error;
mod layers;
mod limits;
mod members;
mod partial;
mod recipe;
pub mod snapshot;
mod spool;
pub mod steps;
mod store;
mod sweep;
mod tar;
mod temp;
#[cfg(test)]
mod testing;
pub mod tree;
mod unpack;
mod volumes;

pub use account::{Account, ContainerBytes, LayerBytes, account};
pub use blobs::{BLOB_BYTES_MAX, Blobs};
pub use check::{Finding, Live, Problem, check};
pub use compress::{Compression, compress};
pub use decompress::{WINDOW_BYTES_MAX, decompress, decompress_within};
pub use error::{EntryProblem, Error};
pub use layers::{LAYERS_MAX, LayerInfo, Layers, Unpacked, chain_id};
pub use limits::{Expansion, Limits};
pub use members::{Member, MemberKind, Members, index};
pub use partial::{PARTIAL_KEPT, Partial, PartialState};
pub use recipe::LayerTar;
pub use spool::Spool;
pub use store::{STORE_VERSION, Store, Writing};
pub use sweep::{Garbage, Held, Trash, litter};
pub use tar::TarError;
pub use volumes::VolumeData;
