//! What can go wrong with an image.

use corten_model::{Invalid, Kind};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The archive could not be unpacked.
    #[error("cannot unpack the archive")]
    Unpack(#[source] UnpackError),
    /// The archive's compression.
    #[error("cannot read the archive")]
    Decompress(#[source] corten_storage::Error),
    /// A blob could not be written.
    #[error("cannot store the image's {what}")]
    Blob {
        /// `config` or `manifest`.
        what: &'static str,
        /// The store's error.
        #[source]
        source: corten_storage::Error,
    },
    /// A layer that the image is made on.
    #[error("cannot find the image's layers")]
    Layer(#[source] corten_storage::Error),
    /// A `--change` that can't be used.
    #[error(transparent)]
    Change(#[from] Invalid),
    /// The binary that the hello image is made of can't be read.
    #[error("cannot read the program for the image")]
    Program(#[source] std::io::Error),
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
            Self::Unpack(error) => error.kind,
            Self::Decompress(error) | Self::Layer(error) | Self::Blob { source: error, .. } => error.kind(),
            Self::Change(_) => Kind::Invalid,
            Self::Program(_) => Kind::Internal,
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unpack(error) => error.hint.clone(),
            Self::Decompress(error) | Self::Layer(error) | Self::Blob { source: error, .. } => error.hint(),
            Self::Change(invalid) => invalid.hint.clone(),
            Self::Program(_) => None,
        }
    }
}
