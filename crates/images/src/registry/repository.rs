//! One repository: its manifests and what is asked about its blobs. Mirrors are asked first, in their order, for
//! everything that is only read.

use std::sync::Arc;

use corten_model::{Digest, Reference};
use ureq::http::{HeaderName, Method, StatusCode, header};

use super::Error;
use super::blob::BlobReader;
use super::client::Inner;
use super::endpoint::Endpoint;
use super::request::{Answer, Ask, Login};
use crate::Descriptor;
use crate::document::{DOCKER_INDEX_TYPE, DOCKER_MANIFEST_TYPE, INDEX_TYPE, MANIFEST_TYPE};

/// Every type of manifest and index that we read.
pub const MANIFEST_TYPES: [&str; 4] = [INDEX_TYPE, MANIFEST_TYPE, DOCKER_INDEX_TYPE, DOCKER_MANIFEST_TYPE];

/// What registries call the digest of what they send.
pub(crate) const DIGEST_HEADER: &str = "docker-content-digest";
/// Docker's first format, signed and not.
const OLD_TYPES: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

pub(crate) const PULL: &str = "pull";
pub(crate) const PUSH: &str = "pull,push";
pub(crate) const DELETE: &str = "pull,push,delete";

/// What a manifest is asked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// A tag, which may lead elsewhere tomorrow.
    Tag(String),
    /// A digest, which never does.
    Digest(Digest),
}

impl At {
    /// What a reference means: its digest, if it has one.
    pub fn of(reference: &Reference) -> Self {
        match (&reference.digest, &reference.tag) {
            (Some(digest), _) => Self::Digest(digest.clone()),
            (None, Some(tag)) => Self::Tag(tag.clone()),
            (None, None) => Self::Tag(corten_model::reference::DEFAULT_TAG.to_owned()),
        }
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => f.write_str(digest.as_str()),
        }
    }
}

/// A manifest or index as it came: its bytes have the digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What the registry calls it, without parameters; what it calls itself, if the registry says nothing.
    pub media_type: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// The host that it came from.
    pub source: String,
}

/// What a registry says of a manifest without sending it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its digest; `None`: the registry doesn't say.
    pub digest: Option<Digest>,
    /// Its type.
    pub media_type: String,
    /// Its bytes.
    pub size_bytes: u64,
}

/// A repository at a registry.
#[derive(Clone)]
pub struct Repository {
    pub(crate) inner: Arc<Inner>,
    /// As people write it, for errors.
    pub(crate) name: String,
    /// Mirrors, and the registry itself.
    pub(crate) endpoints: Vec<Endpoint>,
}

impl Repository {
    pub(crate) fn new(inner: Arc<Inner>, reference: &Reference, endpoints: Vec<Endpoint>) -> Self {
        Self { inner, name: reference.familiar_repository(), endpoints }
    }

    /// The manifest or index at `at`, of one of the types in `accept`.
    pub fn manifest(&self, at: &At, accept: &[&str]) -> Result<Fetched, Error> {
        self.first(|endpoint| self.manifest_of(endpoint, at, accept))
    }

    /// What there is at `at`; `None`: nothing.
    pub fn head(&self, at: &At, accept: &[&str]) -> Result<Option<Head>, Error> {
        let head = self.first(|endpoint| {
            let below = format!("manifests/{at}");
            let mut ask = self.ask(endpoint, Method::HEAD, &below, PULL)?;
            ask.headers.push((header::ACCEPT, accept.join(", ")));
            let answer = self.run(endpoint, &ask)?;
            if answer.status() != StatusCode::OK {
                return Err(self.manifest_error(endpoint, at, answer));
            }
            let digest = answer.header(DIGEST_HEADER).and_then(|text| text.parse().ok());
            let size_bytes = answer.header(header::CONTENT_LENGTH).and_then(|text| text.parse().ok());
            let media_type = media_type(&answer);
            Ok(Head { digest, media_type, size_bytes: size_bytes.unwrap_or_default() })
        });
        match head {
            Ok(head) => Ok(Some(head)),
            Err(Error::ManifestUnknown { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A blob's bytes from `from_offset` on. The caller verifies the digest; the size is verified here.
    pub fn blob(&self, descriptor: &Descriptor, from_offset: u64) -> Result<BlobReader, Error> {
        BlobReader::open(self, descriptor, from_offset)
    }

    /// Whether the registry itself has a blob.
    pub fn has_blob(&self, digest: &Digest) -> Result<bool, Error> {
        let origin = self.origin();
        let ask = self.ask(origin, Method::HEAD, &format!("blobs/{digest}"), PUSH)?;
        let answer = self.run(origin, &ask)?;
        match answer.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.push_error(answer)),
        }
    }

    /// Stores a manifest or index; its digest.
    pub fn put_manifest(&self, at: &At, media_type: &str, bytes: &[u8]) -> Result<Digest, Error> {
        let origin = self.origin();
        let digest = crate::digest_of(bytes);
        if let At::Digest(expected) = at
            && *expected != digest
        {
            let host = origin.authority.clone();
            return Err(Error::WrongDigest { host, expected: expected.clone(), found: digest });
        }
        let mut ask = self.ask(origin, Method::PUT, &format!("manifests/{at}"), PUSH)?;
        ask.headers.push((header::CONTENT_TYPE, media_type.to_owned()));
        ask.bytes = Some(bytes);
        let answer = self.run(origin, &ask)?;
        if !answer.status().is_success() {
            return Err(self.push_error(answer));
        }
        let stored = answer.header(DIGEST_HEADER).and_then(|text| text.parse::<Digest>().ok());
        match stored {
            Some(found) if found != digest => {
                Err(Error::WrongDigest { host: origin.authority.clone(), expected: digest, found })
            }
            _ => {
                self.note_subject(&answer, media_type, bytes)?;
                Ok(digest)
            }
        }
    }

    /// Removes a tag or a manifest; whether it was there.
    pub fn delete_manifest(&self, at: &At) -> Result<bool, Error> {
        let origin = self.origin();
        let ask = self.ask(origin, Method::DELETE, &format!("manifests/{at}"), DELETE)?;
        let answer = self.run(origin, &ask)?;
        match answer.status() {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.push_error(answer)),
        }
    }

    /// The registry itself.
    pub(crate) fn origin(&self) -> &Endpoint {
        self.endpoints.last().expect("the registry itself is always the last endpoint")
    }

    /// A request without a body.
    pub(crate) fn ask(
        &self,
        endpoint: &Endpoint,
        method: Method,
        below: &str,
        actions: &'static str,
    ) -> Result<Ask<'static>, Error> {
        let secure = self.inner.is_secure(endpoint)?;
        let tries = if endpoint.mirror_of.is_some() { 1 } else { self.inner.settings.retries.tries };
        Ok(Ask {
            method,
            url: endpoint.url(secure, below),
            headers: Vec::<(HeaderName, String)>::new(),
            bytes: None,
            patience: self.inner.settings.limits.stall,
            login: Login::For(actions),
            tries,
        })
    }

    /// Sends a request. A token server that gives nothing to strangers means that the repository isn't for them.
    pub(crate) fn run(&self, endpoint: &Endpoint, ask: &Ask<'_>) -> Result<Answer, Error> {
        self.inner.ask(endpoint, ask).map_err(|error| match (error, &ask.login) {
            (Error::Unauthorized { .. }, Login::For(PULL)) => {
                Error::PullDenied { repository: self.name.clone(), said: "authentication required".into() }
            }
            (Error::Unauthorized { .. }, _) => {
                Error::PushDenied { repository: self.name.clone(), said: "authentication required".into() }
            }
            (error, _) => error,
        })
    }

    /// What the first endpoint says that has an answer; else what the registry itself says.
    pub(crate) fn first<T>(&self, mut read: impl FnMut(&Endpoint) -> Result<T, Error>) -> Result<T, Error> {
        for endpoint in &self.endpoints[..self.endpoints.len() - 1] {
            if self.inner.is_down(endpoint) {
                continue;
            }
            match read(endpoint) {
                Err(error) if error.may_be_elsewhere() => self.inner.failed(endpoint, &error),
                result => return result,
            }
        }
        read(self.origin())
    }

    fn manifest_of(&self, endpoint: &Endpoint, at: &At, accept: &[&str]) -> Result<Fetched, Error> {
        let mut ask = self.ask(endpoint, Method::GET, &format!("manifests/{at}"), PULL)?;
        ask.headers.push((header::ACCEPT, accept.join(", ")));
        let answer = self.run(endpoint, &ask)?;
        if answer.status() != StatusCode::OK {
            return Err(self.manifest_error(endpoint, at, answer));
        }
        let host = endpoint.authority.clone();
        let mut media_type = media_type(&answer);
        if OLD_TYPES.contains(&media_type.as_str()) {
            return Err(Error::OldFormat { name: self.full(at) });
        }
        let promised = match at {
            At::Digest(digest) => Some(digest.clone()),
            At::Tag(_) => answer.header(DIGEST_HEADER).and_then(|text| text.parse().ok()),
        };
        let url = answer.url.clone();
        let what = format!("the manifest of {}", self.full(at));
        let bytes = answer.bytes(&self.inner, &what, self.inner.settings.limits.manifest_bytes)?;
        let digest = crate::digest_of(&bytes);
        if let Some(expected) = promised
            && expected != digest
        {
            return Err(Error::WrongDigest { host, expected, found: digest });
        }
        let said = own_media_type(&bytes).map_err(|why| Error::NotARegistry { url: url.shown(), why })?;
        if !accept.contains(&media_type.as_str()) {
            media_type = said.unwrap_or(media_type);
        }
        Ok(Fetched { bytes, media_type, digest, source: host })
    }

    fn full(&self, at: &At) -> String {
        let sign = if matches!(at, At::Digest(_)) { '@' } else { ':' };
        format!("{}{sign}{at}", self.name)
    }

    fn manifest_error(&self, endpoint: &Endpoint, at: &At, answer: Answer) -> Error {
        match answer.status() {
            StatusCode::NOT_FOUND => {
                let (_, _, code, said) = answer.complaint();
                if code == "NAME_UNKNOWN" && endpoint.registry == corten_model::reference::DEFAULT_REGISTRY {
                    return Error::PullDenied { repository: self.name.clone(), said };
                }
                Error::ManifestUnknown { name: self.full(at) }
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let (_, _, _, said) = answer.complaint();
                Error::PullDenied { repository: self.name.clone(), said }
            }
            _ => answer.unexpected(),
        }
    }

    pub(crate) fn push_error(&self, answer: Answer) -> Error {
        match answer.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let (_, _, _, said) = answer.complaint();
                Error::PushDenied { repository: self.name.clone(), said }
            }
            _ => answer.unexpected(),
        }
    }
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

/// The type of an answer, without parameters.
fn media_type(answer: &Answer) -> String {
    let text = answer.header(header::CONTENT_TYPE).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// What a manifest calls itself; an error if it isn't even an object of JSON.
fn own_media_type(bytes: &[u8]) -> Result<Option<String>, String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Own {
        media_type: Option<String>,
    }
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err("it is no JSON".into());
    }
    let own: Result<Own, _> = crate::parse("a manifest", bytes);
    own.map(|own| own.media_type).map_err(|_| "it is no manifest".into())
}
