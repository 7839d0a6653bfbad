//! What can go wrong with a registry.

use std::time::Duration;

use corten_model::{Digest, Invalid, Kind};

use super::credentials;

/// An error of a registry, or of the way there. No address in it has a query, and none has a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that can't be one.
    #[error(transparent)]
    Name(#[from] Invalid),
    /// A name without a registry, where those are switched off.
    #[error("`{name}` doesn't say which registry it is from")]
    NotFull {
        /// The name.
        name: String,
    },
    /// The configuration forbids it.
    #[error("`{name}` is blocked by the configuration")]
    Blocked {
        /// The repository.
        name: String,
    },
    /// The tag or digest isn't there.
    #[error("manifest for {name} not found: manifest unknown")]
    ManifestUnknown {
        /// What was asked for.
        name: String,
    },
    /// The repository isn't there, or isn't for everybody: registries don't say which.
    #[error("pull access denied for {repository}, repository does not exist or may require 'docker login'")]
    PullDenied {
        /// The repository, as people write it.
        repository: String,
        /// What the registry said.
        said: String,
    },
    /// Nobody may write there without asking.
    #[error("push access to {repository} is denied: {said}")]
    PushDenied {
        /// The repository, as people write it.
        repository: String,
        /// What the registry said.
        said: String,
    },
    /// The registry doesn't take the name and the password.
    #[error("{host}: unauthorized: incorrect username or password")]
    BadCredentials {
        /// The registry.
        host: String,
        /// What it said.
        said: String,
    },
    /// The registry wants somebody to log in.
    #[error("{host}: unauthorized: authentication required")]
    Unauthorized {
        /// The registry.
        host: String,
    },
    /// A blob isn't there.
    #[error("blob {digest} is unknown to {host}")]
    BlobUnknown {
        /// Which.
        digest: Digest,
        /// The registry.
        host: String,
    },
    /// Any other answer that is none of success.
    #[error("{url} answered {status}{}", after(.said))]
    Answer {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
        /// What the registry said to it.
        said: String,
    },
    /// Too many requests, for longer than we wait.
    #[error("{host} takes no more requests now{}", after(.said))]
    TooManyRequests {
        /// The registry.
        host: String,
        /// What it said.
        said: String,
        /// When it may be asked again.
        retry_after: Option<Duration>,
    },
    /// The connection failed, or broke.
    #[error("cannot talk to {host}")]
    Connection {
        /// The registry.
        host: String,
        /// Whether it stood, or may stand a little later: a host that isn't there won't.
        may_pass: bool,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The certificate isn't trusted, or something else of TLS.
    #[error("no secure connection to {host}")]
    Tls {
        /// The registry.
        host: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A certificate or key that is configured can't be used.
    #[error("cannot use `{path}`: {why}")]
    Certificate {
        /// The file.
        path: String,
        /// Why not.
        why: String,
    },
    /// A proxy's address can't be used.
    #[error("the proxy of {host} has no address that can be used")]
    Proxy {
        /// The registry.
        host: String,
    },
    /// Nothing came for too long.
    #[error("{host} didn't answer in time ({what})")]
    Timeout {
        /// The registry.
        host: String,
        /// What was waited for.
        what: &'static str,
    },
    /// A redirect that isn't followed.
    #[error("{from} leads to {to}: {why}")]
    Redirect {
        /// From where.
        from: String,
        /// To where.
        to: String,
        /// Why it isn't followed.
        why: &'static str,
    },
    /// How to log in, as the registry says it.
    #[error("{host} asks for a login that can't be done: {why}")]
    Challenge {
        /// The registry.
        host: String,
        /// What is wrong.
        why: &'static str,
    },
    /// It isn't what a registry says.
    #[error("{url} is no answer of a registry: {why}")]
    NotARegistry {
        /// What was asked.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// More than we take.
    #[error("{what} has more than {max} bytes")]
    TooLarge {
        /// What.
        what: String,
        /// The bound.
        max: u64,
    },
    /// A list that never ends.
    #[error("the list of {what} has more than {max} pages")]
    TooManyPages {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: u32,
    },
    /// Other bytes than were asked for.
    #[error("{host} gave bytes with the digest {found} for {expected}")]
    WrongDigest {
        /// The registry.
        host: String,
        /// What was asked for, or promised.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// More or fewer bytes than there should be.
    #[error("{host} gave {found} bytes of {digest}, which has {expected}")]
    WrongSize {
        /// The registry.
        host: String,
        /// The blob.
        digest: Digest,
        /// What there should be.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// Docker's oldest format.
    #[error("{name} is an image of the old format (schema 1), which nobody can verify")]
    OldFormat {
        /// What was asked for.
        name: String,
    },
    /// What is to be sent can't be read.
    #[error("cannot read what is to be uploaded")]
    Upload(#[source] std::io::Error),
    /// Logins that are kept.
    #[error(transparent)]
    Credentials(#[from] credentials::Error),
    /// The person who asked has given up.
    #[error("cancelled")]
    Cancelled,
}

fn after(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

impl Error {
    /// What a caller can act on.
    pub fn kind(&self) -> Kind {
        match self {
            Self::ManifestUnknown { .. } | Self::BlobUnknown { .. } => Kind::NotFound,
            Self::PullDenied { .. }
            | Self::PushDenied { .. }
            | Self::BadCredentials { .. }
            | Self::Unauthorized { .. }
            | Self::Blocked { .. } => Kind::Denied,
            Self::Answer { status: 404, .. } => Kind::NotFound,
            Self::Answer { status: 401 | 403, .. } => Kind::Denied,
            Self::Answer { status: 405 | 501, .. } | Self::OldFormat { .. } => Kind::Unsupported,
            Self::Answer { status: 409, .. } => Kind::Conflict,
            Self::Answer { status: 500.., .. }
            | Self::TooManyRequests { .. }
            | Self::Connection { .. }
            | Self::Timeout { .. } => Kind::Unavailable,
            Self::Credentials(error) => error.kind(),
            Self::Upload(_) => Kind::Internal,
            Self::Cancelled => Kind::Cancelled,
            Self::Tls { .. } | Self::Redirect { .. } => Kind::Denied,
            Self::Name(_)
            | Self::NotFull { .. }
            | Self::Answer { .. }
            | Self::Certificate { .. }
            | Self::Proxy { .. }
            | Self::Challenge { .. }
            | Self::NotARegistry { .. }
            | Self::TooLarge { .. }
            | Self::TooManyPages { .. }
            | Self::WrongDigest { .. }
            | Self::WrongSize { .. } => Kind::Invalid,
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Name(invalid) => return invalid.hint.clone(),
            Self::NotFull { name } => {
                return Some(format!(
                    "write `docker.io/library/{name}` if it is Docker Hub's, or allow short names with `corten config set registries.short_names docker`"
                ));
            }
            Self::Blocked { .. } => "see `corten config get registries.blocked`",
            Self::PullDenied { .. } | Self::PushDenied { .. } | Self::Unauthorized { .. } => {
                "`corten login` with the registry's name logs in"
            }
            Self::BadCredentials { .. } => {
                "registries with two factors want an access token in the password's place"
            }
            Self::ManifestUnknown { .. } => "the repository has no such tag",
            Self::TooManyRequests { .. } => "registries allow more to whoever is logged in: `corten login`",
            Self::Tls { host, .. } => {
                return Some(format!(
                    "put the registry's CA into /etc/corten/certs.d/{host}/ca.crt, or trust it unverified with `corten config set registries.insecure {host}`"
                ));
            }
            Self::NotARegistry { .. } => "is there a proxy or a login page in between, or another port?",
            Self::OldFormat { .. } => "whoever pushed it has to push it again with an engine of this decade",
            Self::WrongDigest { .. } | Self::WrongSize { .. } => {
                "the registry, a mirror or a proxy in between has damaged data"
            }
            Self::Credentials(error) => return error.hint(),
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// Whether the same request may succeed a little later.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Connection { may_pass, .. } => *may_pass,
            Self::Timeout { .. } | Self::TooManyRequests { .. } => true,
            Self::Answer { status, .. } => matches!(status, 408 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }

    /// Whether another registry with the same content may have it.
    pub(crate) fn may_be_elsewhere(&self) -> bool {
        !matches!(self, Self::Cancelled | Self::Upload(_))
    }

    /// The error of a registry that an error of a [`super::BlobReader`] holds.
    pub fn within(error: &std::io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}
