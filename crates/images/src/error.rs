//! What can go wrong with an image.

use corten_model::platform::Platform;
use corten_model::{Digest, Invalid, Kind};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The archive could not be unpacked.
    #[error("cannot unpack the archive")]
    Unpack(#[source] UnpackError),
    /// A layer of an image could not be unpacked.
    #[error("cannot unpack layer {layer}")]
    Layer {
        /// The digest of its plain archive.
        layer: Digest,
        /// Why not.
        #[source]
        source: UnpackError,
    },
    /// What is known of a layer can't be read.
    #[error("cannot look at a layer")]
    LayerInfo(#[source] corten_storage::Error),
    /// The archive's compression.
    #[error("cannot read the archive")]
    Decompress(#[source] corten_storage::Error),
    /// The archive around the images.
    #[error("cannot read the archive of images")]
    Archive(#[from] corten_storage::Error),
    /// What comes too early can't be kept.
    #[error("cannot set the archive's bytes aside")]
    Spool(#[source] corten_storage::Error),
    /// A file of the archive or directory can't be read.
    #[error("cannot read the images")]
    Read(#[source] std::io::Error),
    /// A blob could not be written.
    #[error("cannot store the image's {what}")]
    Blob {
        /// `config`, `manifest`, `index`.
        what: &'static str,
        /// The store's error.
        #[source]
        source: corten_storage::Error,
    },
    /// A blob can't be read.
    #[error("cannot read the image's {what}")]
    Stored {
        /// `config`, `manifest`, `index`.
        what: &'static str,
        /// The store's error.
        #[source]
        source: corten_storage::Error,
    },
    /// A `--change` that can't be used.
    #[error(transparent)]
    Change(#[from] Invalid),
    /// A name in an archive that can't be one.
    #[error("the archive names an image as nobody may")]
    Reference(#[source] Invalid),
    /// The binary that the hello image is made of can't be read.
    #[error("cannot read the program for the image")]
    Program(#[source] std::io::Error),
    /// Neither OCI's nor Docker's.
    #[error("there are no images in it: it has neither `index.json` nor `manifest.json`, or they name none")]
    NoImages,
    /// A document that isn't what it should be.
    #[error("{what} is malformed")]
    Document {
        /// A file's name or a digest.
        what: String,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A document that is an index to some readers and a manifest to others.
    #[error("{what} doesn't say clearly whether it is an index or a manifest")]
    Ambiguous {
        /// Its digest.
        what: String,
    },
    /// Two lists of the same archive tell different things.
    #[error("`manifest.json` has the image {id}, which `index.json` doesn't have")]
    Disagree {
        /// The image.
        id: Digest,
    },
    /// A file is larger than any of its kind.
    #[error("`{what}` has more than {max} bytes")]
    TooLarge {
        /// Its name.
        what: String,
        /// The limit.
        max: u64,
    },
    /// A limit was reached.
    #[error("the archive has more than {max} {what}")]
    TooMany {
        /// What is limited.
        what: &'static str,
        /// The limit.
        max: u64,
    },
    /// A file that a document names.
    #[error("`{name}` is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// The same name twice: readers differ in which they take.
    #[error("`{name}` is in the archive twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// A name that plays a trick.
    #[error("the name `{name}` is refused: {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Other bytes than were promised.
    #[error("the bytes of {expected} have the digest {found}")]
    WrongDigest {
        /// What was promised.
        expected: Digest,
        /// What was there.
        found: Digest,
    },
    /// More or fewer bytes than were promised.
    #[error("{what} has {found} bytes, where {expected} are promised")]
    WrongSize {
        /// The blob.
        what: String,
        /// What was promised.
        expected: u64,
        /// What was there.
        found: u64,
    },
    /// Config and manifest differ.
    #[error("{what} tells of {diff_ids} layers, the manifest of {layers}")]
    LayerCount {
        /// The config.
        what: String,
        /// In the config.
        diff_ids: usize,
        /// In the manifest.
        layers: usize,
    },
    /// A platform that isn't there.
    #[error("the platform {wanted} is not there")]
    NoPlatform {
        /// What was asked for.
        wanted: Platform,
    },
    /// A layer's bytes for an archive.
    #[error("cannot write layer {layer} again")]
    LayerTar {
        /// The digest of its plain archive.
        layer: Digest,
        /// Why not.
        #[source]
        source: UnpackError,
    },
    /// The archive can't be written.
    #[error("cannot write the archive")]
    Write(#[source] std::io::Error),
    /// The person who asked has given up.
    #[error("cancelled")]
    Cancelled,
}

/// What an [`crate::Unpack`] says when it fails; the engine's own may come from another process.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct UnpackError {
    /// What a caller can act on.
    pub kind: Kind,
    /// What to do about it.
    pub hint: Option<String>,
    /// The failed step and its object.
    pub message: String,
    /// The cause, where it is known here.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl From<corten_storage::Error> for UnpackError {
    fn from(error: corten_storage::Error) -> Self {
        let source = std::error::Error::source(&error).map(|cause| cause.to_string().into());
        Self { kind: error.kind(), hint: error.hint(), message: error.to_string(), source }
    }
}

impl Error {
    /// What a caller can act on.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unpack(error)
            | Self::Layer { source: error, .. }
            | Self::LayerTar { source: error, .. } => error.kind,
            Self::Decompress(error)
            | Self::Archive(error)
            | Self::Spool(error)
            | Self::LayerInfo(error)
            | Self::Stored { source: error, .. }
            | Self::Blob { source: error, .. } => error.kind(),
            Self::Read(error) | Self::Write(error) => match error.kind() {
                std::io::ErrorKind::StorageFull => Kind::Unavailable,
                std::io::ErrorKind::PermissionDenied => Kind::Denied,
                std::io::ErrorKind::UnexpectedEof => Kind::Invalid,
                _ => Kind::Internal,
            },
            Self::Program(_) => Kind::Internal,
            Self::NoPlatform { .. } => Kind::NotFound,
            Self::Cancelled => Kind::Cancelled,
            Self::Change(_)
            | Self::Reference(_)
            | Self::NoImages
            | Self::Document { .. }
            | Self::Ambiguous { .. }
            | Self::Disagree { .. }
            | Self::TooLarge { .. }
            | Self::TooMany { .. }
            | Self::Missing { .. }
            | Self::Twice { .. }
            | Self::Name { .. }
            | Self::WrongDigest { .. }
            | Self::WrongSize { .. }
            | Self::LayerCount { .. } => Kind::Invalid,
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unpack(error)
            | Self::Layer { source: error, .. }
            | Self::LayerTar { source: error, .. } => error.hint.clone(),
            Self::Decompress(error)
            | Self::Archive(error)
            | Self::Spool(error)
            | Self::LayerInfo(error)
            | Self::Stored { source: error, .. }
            | Self::Blob { source: error, .. } => error.hint(),
            Self::Change(invalid) | Self::Reference(invalid) => invalid.hint.clone(),
            Self::NoImages => {
                Some("a tar of a root file system becomes an image with `corten import`".into())
            }
            Self::WrongDigest { .. } | Self::WrongSize { .. } | Self::Missing { .. } => {
                Some("the archive is damaged or cut off: make or fetch it again".into())
            }
            _ => None,
        }
    }
}
