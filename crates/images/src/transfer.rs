//! What pull and push have in common: how they tell how far they are, what can go wrong, whom they ask.

use std::io::{self, Read};

use corten_model::platform::Platform;
use corten_model::{Digest, Kind};

use crate::document::Descriptor;
use crate::registry::{self, At, MANIFEST_TYPES, Repository};

/// Whoever shows how far a pull or push is. Called from several threads, and often: it must not take long.
pub trait Progress: Sync {
    /// What happens to a blob now.
    fn blob(&self, blob: &Digest, state: BlobState);
}

/// Nobody.
impl Progress for () {
    fn blob(&self, _: &Digest, _: BlobState) {}
}

/// How far a blob is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobState {
    /// It is going to be pulled.
    Queued,
    /// It waits for a free connection.
    Waiting,
    /// Another command pulls it; we wait for that.
    Elsewhere,
    /// Its layer is here.
    Exists,
    /// So many of its bytes are here.
    Downloading {
        /// Bytes that are here.
        bytes: u64,
        /// All of them.
        of: u64,
        /// Those of them that an earlier command left.
        resumed: u64,
    },
    /// All of it is here, and is what it should be.
    Downloaded,
    /// So many of its bytes are unpacked.
    Extracting {
        /// Bytes that are unpacked.
        bytes: u64,
        /// All of them.
        of: u64,
    },
    /// The layer is unpacked.
    Pulled,
    /// It is looked for in the registry.
    Preparing,
    /// So many bytes of the layer are sent.
    Pushing {
        /// Bytes that were sent.
        bytes: u64,
        /// All of them.
        of: u64,
    },
    /// It is in the registry now.
    Pushed,
    /// It was in the registry before.
    InRegistry,
    /// The registry took it from this repository of its own.
    Mounted(String),
}

/// Why a pull or push failed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The registry, or the way to it.
    #[error(transparent)]
    Registry(registry::Error),
    /// The image itself.
    #[error(transparent)]
    Image(#[from] crate::Error),
    /// What is here of it.
    #[error(transparent)]
    Storage(#[from] corten_storage::Error),
    /// It is something else that registries keep.
    #[error("{name} is no image but an artifact of the type {kind}")]
    NotAnImage {
        /// The manifest's digest.
        name: Digest,
        /// What it says that it is.
        kind: String,
    },
    /// It isn't there for that platform.
    #[error("{name} is not there for {wanted}{}", listed(there))]
    NoPlatform {
        /// The digest of the index or manifest.
        name: Digest,
        /// What was asked for.
        wanted: Platform,
        /// What there is.
        there: Vec<Platform>,
    },
    /// Other bytes than were promised.
    #[error("the bytes of layer {expected} have the digest {found}: they are thrown away")]
    WrongDigest {
        /// What was promised.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// The connection ended before the end of the blob.
    #[error("read layer {layer}")]
    Read {
        /// The blob.
        layer: Digest,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another command holds a layer and doesn't go on.
    #[error("another command pulls layer {layer} and hasn't gone on for {minutes} minutes")]
    Stuck {
        /// The blob.
        layer: Digest,
        /// How long.
        minutes: u64,
    },
    /// gc may remove layers that are looked for.
    #[error("cannot hold the image's layers")]
    Hold(#[source] crate::UnpackError),
    /// The person who asked has given up.
    #[error("cancelled")]
    Cancelled,
}

fn listed(there: &[Platform]) -> String {
    let there: Vec<String> = there.iter().map(ToString::to_string).collect();
    if there.is_empty() { String::new() } else { format!(", only for {}", there.join(", ")) }
}

impl From<registry::Error> for TransferError {
    fn from(error: registry::Error) -> Self {
        match error {
            registry::Error::Cancelled => Self::Cancelled,
            other => Self::Registry(other),
        }
    }
}

impl TransferError {
    /// Of a stream of a blob: what the registry says is told as it is.
    pub(crate) fn of_read(blob: &Descriptor, error: io::Error) -> Self {
        match error.downcast::<registry::Error>() {
            Ok(error) => error.into(),
            Err(source) => Self::Read { layer: blob.digest.clone(), source },
        }
    }

    /// What a caller can act on.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Registry(error) => error.kind(),
            Self::Image(error) => error.kind(),
            Self::Storage(error) => error.kind(),
            Self::Hold(error) => error.kind,
            Self::NotAnImage { .. } => Kind::Unsupported,
            Self::NoPlatform { .. } => Kind::NotFound,
            Self::WrongDigest { .. } => Kind::Invalid,
            Self::Read { .. } | Self::Stuck { .. } => Kind::Unavailable,
            Self::Cancelled => Kind::Cancelled,
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::Storage(error) => error.hint(),
            Self::NotAnImage { .. } => {
                Some("only images can be run: tools such as `oras` fetch other things".into())
            }
            Self::NoPlatform { .. } => Some("`--platform` chooses another one".into()),
            Self::WrongDigest { .. } => Some("the registry, or a proxy before it, has damaged data".into()),
            Self::Read { .. } => Some("repeat it: it goes on where it stopped".into()),
            Self::Stuck { .. } => Some("end the other command, then repeat this".into()),
            Self::Hold(error) => error.hint.clone(),
            Self::Cancelled => None,
        }
    }
}

/// An index or manifest as a registry gave it.
#[derive(Debug, Clone)]
pub struct Document {
    /// Exactly.
    pub bytes: Vec<u8>,
    /// What the registry says that it is.
    pub media_type: String,
    /// Of the bytes.
    pub digest: Digest,
}

/// A repository, as far as a pull needs it.
pub trait Remote: Sync {
    /// The index or manifest with this tag or digest.
    fn manifest(&self, at: &At) -> Result<Document, registry::Error>;
    /// The bytes of a blob from `offset` on: exactly as many as it has, or an error.
    fn blob(&self, blob: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send + '_>, registry::Error>;
}

impl Remote for Repository {
    fn manifest(&self, at: &At) -> Result<Document, registry::Error> {
        let fetched = Repository::manifest(self, at, &MANIFEST_TYPES)?;
        Ok(Document { bytes: fetched.bytes, media_type: fetched.media_type, digest: fetched.digest })
    }

    fn blob(&self, blob: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send + '_>, registry::Error> {
        Ok(Box::new(Repository::blob(self, blob, offset)?))
    }
}
