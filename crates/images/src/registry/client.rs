//! The client: what is shared by everything that is asked of any registry.

use std::collections::{HashMap, HashSet};
use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};

use corten_model::Reference;
use ureq::http::Method;

use super::auth::Known;
use super::endpoint::{Endpoint, endpoints};
use super::http::{Exchange, Http, Payload, drain};
use super::resolver::Reach;
use super::settings::{Settings, ShortNames, is_loopback};
use super::url::{Url, host_of};
use super::{Cancel, Credentials, Error, Repository};

/// Bytes of an answer to the question whether plain HTTP is spoken.
const PROBE_MAX: u64 = 4 << 10;

/// Talks to registries. Its clones share connections, tokens and what they learned; threads may use them at once.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub settings: Arc<Settings>,
    pub http: Http,
    pub cancel: Cancel,
    pub credentials: Arc<dyn Credentials>,
    pub known: Known,
    /// Hosts that aren't verified, and whether they speak TLS.
    secure: Mutex<HashMap<String, bool>>,
    /// Mirrors that weren't there: they aren't asked again.
    down: Mutex<HashSet<String>>,
}

impl Client {
    /// One without connections.
    pub fn new(settings: Settings, credentials: Arc<dyn Credentials>, cancel: Cancel) -> Self {
        let settings = Arc::new(settings);
        let http = Http::new(settings.clone(), cancel.clone());
        let (known, secure, down) = Default::default();
        Self { inner: Arc::new(Inner { settings, http, cancel, credentials, known, secure, down }) }
    }

    /// What a name that somebody typed means.
    pub fn resolve_name(&self, name: &str) -> Result<Reference, Error> {
        let reference: Reference = name.parse()?;
        let full = reference.is_built_in() || name.split('/').next() == Some(reference.registry.as_str());
        if self.inner.settings.short_names == ShortNames::FullOnly
            && !full
            && !name.starts_with("index.docker.io/")
        {
            return Err(Error::NotFull { name: name.to_owned() });
        }
        Ok(reference)
    }

    /// The repository of an image.
    pub fn repository(&self, reference: &Reference) -> Result<Repository, Error> {
        let endpoints = endpoints(&self.inner.settings, reference)?;
        Ok(Repository::new(self.inner.clone(), reference, endpoints))
    }
}

impl Inner {
    /// Whether the host of `endpoint` is spoken to with TLS. Those that may speak either are asked once.
    pub fn is_secure(&self, endpoint: &Endpoint) -> Result<bool, Error> {
        let authority = &endpoint.authority;
        if endpoint.plain_http {
            return Ok(false);
        }
        if self.http.is_verified(authority) {
            return Ok(true);
        }
        if let Some(secure) = self.secure.lock().unwrap_or_else(PoisonError::into_inner).get(authority) {
            return Ok(*secure);
        }
        // On this machine plain HTTP is the usual; elsewhere nothing is said in the clear that could be said with TLS.
        let first = !is_loopback(host_of(authority));
        let secure = match (self.speaks(endpoint, first), first) {
            (Ok(true), _) => first,
            (Err(Error::Connection { may_pass: false, source, .. }), _) => {
                return Err(Error::Connection { host: authority.clone(), may_pass: false, source });
            }
            (Err(Error::Cancelled), _) => return Err(Error::Cancelled),
            (Ok(false) | Err(_), _) => !first,
        };
        self.secure.lock().unwrap_or_else(PoisonError::into_inner).insert(authority.clone(), secure);
        Ok(secure)
    }

    fn speaks(&self, endpoint: &Endpoint, secure: bool) -> Result<bool, Error> {
        let url = Url::new(secure, &endpoint.authority, "/v2/");
        let response = self.http.send(Exchange {
            method: Method::GET,
            url: &url,
            headers: Vec::new(),
            payload: Payload::None,
            patience: self.settings.limits.stall,
            reach: Reach::Anywhere,
        })?;
        if response.status().as_u16() != 400 {
            drain(response);
            return Ok(true);
        }
        // Servers of TLS often have a plain answer for those who don't speak it.
        let mut text = String::new();
        let _ = response.into_body().into_reader().take(PROBE_MAX).read_to_string(&mut text);
        Ok(!text.contains("HTTPS"))
    }

    /// Whether a mirror wasn't there.
    pub fn is_down(&self, endpoint: &Endpoint) -> bool {
        endpoint.mirror_of.is_some()
            && self.down.lock().unwrap_or_else(PoisonError::into_inner).contains(&endpoint.authority)
    }

    /// Remembers that a mirror isn't there.
    pub fn failed(&self, endpoint: &Endpoint, error: &Error) {
        if endpoint.mirror_of.is_some()
            && matches!(error, Error::Connection { .. } | Error::Timeout { .. } | Error::Tls { .. })
        {
            self.down.lock().unwrap_or_else(PoisonError::into_inner).insert(endpoint.authority.clone());
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
