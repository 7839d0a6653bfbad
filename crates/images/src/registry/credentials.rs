//! Who somebody is to a registry: names, passwords and tokens, and where they are kept.
//!
//! ```text
//! credentials/kept.rs     Docker's and containers' files together, in the order in which they count
//! credentials/file.rs     one such file             credentials/program.rs  programs that keep secrets
//! ```

use std::path::PathBuf;

use corten_model::Kind;

use super::Secret;

mod file;
mod kept;
mod program;

pub use kept::{Kept, Places};

/// What a registry is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A name and a password, or an access token in its place.
    Password {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A token of the registry's token server: it is exchanged for others, and no password is kept.
    IdentityToken {
        /// The name that it was given to.
        username: String,
        /// The token.
        token: Secret,
    },
    /// A token that is sent as it is.
    RegistryToken(Secret),
}

/// Where credentials went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// To this file, where whoever may read it can read them.
    InFile(PathBuf),
    /// To a program that keeps secrets.
    WithHelper(String),
}

/// Where credentials are kept.
pub trait Credentials: Send + Sync {
    /// Those for `repository` of `host`, which is a registry as names of images have it.
    fn get(&self, host: &str, repository: &str) -> Result<Option<Credential>, Error>;
    /// Keeps `credential` for `host`.
    fn store(&self, host: &str, credential: &Credential) -> Result<Stored, Error>;
    /// Forgets those for `host`; whether there were any.
    fn erase(&self, host: &str) -> Result<bool, Error>;
    /// The registries that there are some for, with the names.
    fn list(&self) -> Result<Vec<(String, String)>, Error>;
}

/// Nobody's: every request is anonymous.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anonymous;

impl Credentials for Anonymous {
    fn get(&self, _: &str, _: &str) -> Result<Option<Credential>, Error> {
        Ok(None)
    }

    fn store(&self, host: &str, _: &Credential) -> Result<Stored, Error> {
        Err(Error::NoPlace { host: host.to_owned() })
    }

    fn erase(&self, _: &str) -> Result<bool, Error> {
        Ok(false)
    }

    fn list(&self) -> Result<Vec<(String, String)>, Error> {
        Ok(Vec::new())
    }
}

/// An error of where credentials are kept. None has a secret in it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no place to keep them.
    #[error("there is no place to keep the login of {host}")]
    NoPlace {
        /// The registry.
        host: String,
    },
    /// A file can't be read or written.
    #[error("cannot {what} the logins in `{}`", .path.display())]
    File {
        /// `read`, `write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A file isn't what it should be.
    #[error("`{}` is no file of logins: {why}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong. Not the parser's words: they may quote what is secret.
        why: String,
    },
    /// A program that keeps secrets can't be started.
    #[error("the credential helper `{helper}` is not there")]
    NoHelper {
        /// Its name.
        helper: String,
    },
    /// A program that keeps secrets failed.
    #[error("the credential helper `{helper}` failed to {action}: {why}")]
    Helper {
        /// Its name.
        helper: String,
        /// `get`, `store`, `erase`, `list`.
        action: &'static str,
        /// What it says.
        why: String,
    },
}

impl Error {
    /// What a caller can act on.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoPlace { .. } => Kind::Unsupported,
            Self::File { source, .. } => match source.kind() {
                std::io::ErrorKind::PermissionDenied => Kind::Denied,
                std::io::ErrorKind::StorageFull => Kind::Unavailable,
                _ => Kind::Internal,
            },
            Self::Malformed { .. } => Kind::Invalid,
            Self::NoHelper { .. } => Kind::NotFound,
            Self::Helper { .. } => Kind::Unavailable,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoPlace { .. } => Some("set HOME or DOCKER_CONFIG".into()),
            Self::NoHelper { helper } => Some(format!(
                "install it, or take `{}` out of credsStore and credHelpers in Docker's config.json",
                helper.trim_start_matches(program::PREFIX)
            )),
            _ => None,
        }
    }
}
