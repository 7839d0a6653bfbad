//! Who somebody is to a registry: names, passwords and tokens, and where they are kept.

use corten_model::Kind;

use super::Secret;

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

/// Where credentials are kept.
pub trait Credentials: Send + Sync {
    /// Those for `repository` of `host`, which is a registry as names of images have it.
    fn get(&self, host: &str, repository: &str) -> Result<Option<Credential>, Error>;
    /// Keeps `credential` for `host`.
    fn store(&self, host: &str, credential: &Credential) -> Result<(), Error>;
    /// Forgets those for `host`; whether there were any.
    fn erase(&self, host: &str) -> Result<bool, Error>;
    /// The hosts that there are some for, with the names.
    fn list(&self) -> Result<Vec<(String, String)>, Error>;
}

/// Nobody's: every request is anonymous.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anonymous;

impl Credentials for Anonymous {
    fn get(&self, _: &str, _: &str) -> Result<Option<Credential>, Error> {
        Ok(None)
    }

    fn store(&self, host: &str, _: &Credential) -> Result<(), Error> {
        Err(Error::NoPlace { host: host.to_owned() })
    }

    fn erase(&self, _: &str) -> Result<bool, Error> {
        Ok(false)
    }

    fn list(&self) -> Result<Vec<(String, String)>, Error> {
        Ok(Vec::new())
    }
}

/// An error of where credentials are kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no place to keep them.
    #[error("there is no place to keep the login of {host}")]
    NoPlace {
        /// The registry.
        host: String,
    },
}

impl Error {
    /// What a caller can act on.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoPlace { .. } => Kind::Unsupported,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoPlace { .. } => Some("set HOME or DOCKER_CONFIG".into()),
        }
    }
}
