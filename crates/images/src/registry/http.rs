//! One HTTP exchange: a request goes out, an answer comes back. Connections are kept and used again.
//!
//! Deliberately not here: logging in, following redirects, trying again.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ureq::config::{AutoHeaderValue, Config};
use ureq::http::{self, HeaderName, Method, Request};
use ureq::tls::TlsConfig;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector as _, RustlsConnector, TcpConnector};
use ureq::{Agent, Proxy, SendBody, Timeout};

use super::resolver::{Names, Reach, Within};
use super::settings::{Settings, is_loopback};
use super::url::Url;
use super::{Cancel, Error, tls};

/// An answer whose body wasn't read yet.
pub(crate) type Response = http::Response<ureq::Body>;

/// Idle connections to one host: as many as layers are fetched at the same time.
const IDLE_PER_HOST: usize = 8;
/// Idle connections in all.
const IDLE_MAX: usize = 16;
/// Bytes of an answer's headers.
const HEADERS_MAX: usize = 64 << 10;
/// Bytes of an answer that are read to keep its connection; a new one costs less than more of them.
const UNWANTED_MAX: u64 = 64 << 10;
/// How many different kinds of connections one client may have: each redirect to another host may want one.
const AGENTS_MAX: usize = 64;

/// Reads what nobody wants to know, so that the connection can be used again.
pub(crate) fn drain(response: Response) {
    let body = response.into_body();
    if body.content_length().is_none_or(|length| length <= UNWANTED_MAX) {
        let _ = io::copy(&mut body.into_reader().take(UNWANTED_MAX + 1), &mut io::sink());
    }
}

/// What goes out.
pub(crate) struct Exchange<'x> {
    pub method: Method,
    pub url: &'x Url,
    pub headers: Vec<(HeaderName, String)>,
    pub payload: Payload<'x>,
    /// From the end of the request to the end of the answer's headers.
    pub patience: Duration,
    /// Where the host may be.
    pub reach: Reach,
}

/// The body of a request.
pub(crate) enum Payload<'p> {
    None,
    Bytes(&'p [u8]),
    Stream { reader: &'p mut dyn Read, size: Option<u64> },
}

/// What two connections have to have in common to go through the same agent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Profile {
    unverified: bool,
    /// The host, where its certificates are special.
    special: Option<(String, Vec<PathBuf>)>,
    proxy: Option<String>,
    reach: Reach,
}

/// The connections of one client.
pub(crate) struct Http {
    settings: Arc<Settings>,
    cancel: Cancel,
    names: Arc<Names>,
    agents: Mutex<HashMap<Profile, Agent>>,
}

impl Http {
    /// None yet.
    pub fn new(settings: Arc<Settings>, cancel: Cancel) -> Self {
        let names = Arc::new(Names::new(settings.names.clone()));
        Self { settings, cancel, names, agents: Mutex::default() }
    }

    /// Sends it and waits for the answer's headers.
    pub fn send(&self, exchange: Exchange<'_>) -> Result<Response, Error> {
        let Exchange { method, url, headers, payload, patience, reach } = exchange;
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let agent = self.agent(url, reach)?;
        let uri =
            url.uri().ok_or_else(|| Error::NotARegistry { url: url.shown(), why: "no address".into() })?;
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Payload::Stream { size: Some(size), .. } = &payload {
            request = request.header(http::header::CONTENT_LENGTH, *size);
        }
        let mut noting = Noting { reader: &mut io::empty(), left: None, failed: None };
        let answer = match payload {
            Payload::None => run(&agent, request, (), patience),
            Payload::Bytes(bytes) => run(&agent, request, bytes, patience),
            Payload::Stream { reader, size } => {
                (noting.reader, noting.left) = (reader, size);
                run(&agent, request, SendBody::from_reader(&mut noting), patience)
            }
        };
        if let Some(failed) = noting.failed {
            return Err(Error::Upload(failed));
        }
        answer.map_err(|error| self.error(url, error))
    }

    /// What an error of the HTTP library means.
    pub fn error(&self, url: &Url, error: ureq::Error) -> Error {
        let host = url.authority.clone();
        if self.cancel.is_cancelled() {
            return Error::Cancelled;
        }
        match error {
            ureq::Error::Timeout(timeout) => Error::Timeout { host, what: waited_for(timeout) },
            ureq::Error::Io(error) => self.io_error(url, error),
            ureq::Error::Rustls(error) => Error::Tls { host, source: error.into() },
            ureq::Error::Tls(_) | ureq::Error::TlsRequired => Error::Tls { host, source: error.into() },
            ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::ConnectProxyFailed(_) => {
                Error::Connection { host, may_pass: false, source: error.into() }
            }
            other => Error::NotARegistry { url: url.shown(), why: other.to_string() },
        }
    }

    /// What an error of reading or writing means.
    pub fn io_error(&self, url: &Url, error: io::Error) -> Error {
        let host = url.authority.clone();
        if self.cancel.is_cancelled() {
            return Error::Cancelled;
        }
        match error.get_ref() {
            Some(inner) if inner.is::<rustls::Error>() => return Error::Tls { host, source: error.into() },
            Some(inner) if inner.is::<ureq::Error>() => {
                return match error.into_inner().map(|inner| inner.downcast::<ureq::Error>()) {
                    Some(Ok(inner)) => self.error(url, *inner),
                    _ => Error::Timeout { host, what: "bytes" },
                };
            }
            _ => {}
        }
        if error.kind() == io::ErrorKind::TimedOut {
            return Error::Timeout { host, what: "bytes" };
        }
        let lasting = matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
            || error.kind() == io::ErrorKind::PermissionDenied;
        Error::Connection { host, may_pass: !lasting, source: error.into() }
    }

    /// Whether certificates of `authority` are looked at.
    pub fn is_verified(&self, authority: &str) -> bool {
        !is_loopback(super::url::host_of(authority))
            && !self.settings.insecure.iter().any(|pattern| pattern.matches(authority))
    }

    fn agent(&self, url: &Url, reach: Reach) -> Result<Agent, Error> {
        let (mut special, mut unverified) = (None, false);
        if url.secure {
            let directories = tls::directories(&self.settings.certs_dirs, &url.authority);
            // Whoever put a CA there wants it to be used.
            unverified = directories.is_empty() && !self.is_verified(&url.authority);
            special = (!directories.is_empty()).then(|| (url.authority.clone(), directories));
        }
        let proxy = self.settings.proxies.of(url).map(str::to_owned);
        let profile = Profile { unverified, special, proxy, reach };
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&profile) {
            return Ok(agent.clone());
        }
        if agents.len() >= AGENTS_MAX {
            agents.clear();
        }
        let agent = self.new_agent(url, &profile)?;
        self.cancel.covers(&agent);
        agents.insert(profile, agent.clone());
        Ok(agent)
    }

    fn new_agent(&self, url: &Url, profile: &Profile) -> Result<Agent, Error> {
        let limits = &self.settings.limits;
        let tls = if url.secure || profile.proxy.as_deref().is_some_and(|proxy| proxy.starts_with("https:")) {
            let directories = profile.special.as_ref().map(|(_, directories)| directories.as_slice());
            tls::config(&url.authority, directories.unwrap_or_default(), profile.unverified)?
        } else {
            TlsConfig::default()
        };
        let proxy = match &profile.proxy {
            Some(proxy) => Some(Proxy::new(proxy).map_err(|_| Error::Proxy { host: url.authority.clone() })?),
            None => None,
        };
        let config = Config::builder()
            .proxy(proxy)
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(self.settings.user_agent.clone())
            .accept_encoding(AutoHeaderValue::Provided(Arc::new("identity".to_owned())))
            .max_response_header_size(HEADERS_MAX)
            .max_idle_connections(IDLE_MAX)
            .max_idle_connections_per_host(IDLE_PER_HOST)
            .timeout_resolve(Some(limits.connect))
            .timeout_connect(Some(limits.connect))
            .timeout_per_write(Some(limits.stall))
            .build();
        let connector =
            ().chain(ConnectProxyConnector::default())
                .chain(TcpConnector::default())
                .chain(RustlsConnector::default());
        Ok(Agent::with_parts(config, connector, Within { names: self.names.clone(), reach: profile.reach }))
    }
}

fn run(
    agent: &Agent,
    request: http::request::Builder,
    body: impl ureq::AsSendBody,
    patience: Duration,
) -> Result<Response, ureq::Error> {
    let request = agent
        .configure_request(request.body(body)?)
        .timeout_recv_response(Some(patience))
        .timeout_per_read(Some(patience))
        .build();
    agent.run(request)
}

fn waited_for(timeout: Timeout) -> &'static str {
    match timeout {
        Timeout::Resolve => "its address",
        Timeout::Connect => "a connection",
        Timeout::SendRequest | Timeout::SendBody | Timeout::PerWrite => "room for what is sent",
        Timeout::RecvResponse => "an answer",
        _ => "bytes",
    }
}

/// Remembers why what is to be sent couldn't be read. The HTTP library would wait for ever for bytes that were promised
/// and don't come.
struct Noting<'n> {
    reader: &'n mut dyn Read,
    /// What was promised and wasn't read yet.
    left: Option<u64>,
    failed: Option<io::Error>,
}

impl Read for Noting<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buf).and_then(|count| match &mut self.left {
            Some(left) if count == 0 && *left > 0 && !buf.is_empty() => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, "there are fewer bytes than were promised"))
            }
            Some(left) => {
                *left = left.saturating_sub(count as u64);
                Ok(count)
            }
            None => Ok(count),
        });
        read.map_err(|error| {
            let kind = error.kind();
            self.failed = Some(error);
            kind.into()
        })
    }
}
