//! Everything that configuration and environment say about registries, as plain values. Pure.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use corten_model::Invalid;

use super::url::{Url, host_of, port_of};

/// What a [`super::Client`] is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What a name without a registry means.
    pub short_names: ShortNames,
    /// Registries and repositories that nothing is asked of.
    pub blocked: Vec<Place>,
    /// Who is asked before the registry itself, in this order.
    pub mirrors: Vec<Mirror>,
    /// Repositories that are somewhere else than their name says.
    pub rewrites: Vec<Rewrite>,
    /// Hosts whose certificates aren't verified and which may speak plain HTTP.
    pub insecure: Vec<HostPattern>,
    /// Hosts that speak plain HTTP.
    pub plain_http: Vec<HostPattern>,
    /// Directories with `<host[:port]>/*.crt, *.cert, *.key`; a later one adds to an earlier one.
    pub certs_dirs: Vec<PathBuf>,
    /// Proxies.
    pub proxies: Proxies,
    /// Bounds of time and size.
    pub limits: Limits,
    /// How often something is tried.
    pub retries: Retries,
    /// Where names of hosts are looked up.
    pub names: NameFiles,
    /// The `User-Agent` of every request.
    pub user_agent: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            short_names: ShortNames::default(),
            blocked: Vec::new(),
            mirrors: Vec::new(),
            rewrites: Vec::new(),
            insecure: Vec::new(),
            plain_http: Vec::new(),
            certs_dirs: ["/etc/docker/certs.d", "/etc/corten/certs.d"].map(PathBuf::from).to_vec(),
            proxies: Proxies::default(),
            limits: Limits::default(),
            retries: Retries::default(),
            names: NameFiles::default(),
            user_agent: concat!("corten/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// What a name without a registry means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShortNames {
    /// Docker Hub, as Docker does it.
    #[default]
    Docker,
    /// Nothing: a name has to say its registry.
    FullOnly,
}

impl FromStr for ShortNames {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "docker" => Ok(Self::Docker),
            "full-only" => Ok(Self::FullOnly),
            _ => Err(Invalid::new("policy of short names", text, "it is `docker` or `full-only`")),
        }
    }
}

impl fmt::Display for ShortNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Docker => "docker",
            Self::FullOnly => "full-only",
        })
    }
}

/// Bounds of one request.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Until a connection stands, its TLS included.
    pub connect: Duration,
    /// Between two bytes, and from the end of a request to the end of the answer's headers.
    pub stall: Duration,
    /// The same where the registry puts an upload together.
    pub finish_upload: Duration,
    /// Bytes of a manifest or index.
    pub manifest_bytes: u64,
    /// Bytes of every other document.
    pub document_bytes: u64,
    /// Redirects of one request.
    pub redirects: u32,
    /// Pages of one list.
    pub pages: u32,
    /// Bytes of each part of an upload; `None`: it goes in one, unless the registry finds that too large.
    pub upload_part_bytes: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            stall: Duration::from_secs(60),
            finish_upload: Duration::from_secs(600),
            manifest_bytes: crate::document::DOCUMENT_BYTES_MAX,
            document_bytes: 4 << 20,
            redirects: 10,
            pages: 1000,
            upload_part_bytes: None,
        }
    }
}

/// How often and with what pauses something is tried that fails for a reason that may pass.
#[derive(Debug, Clone)]
pub struct Retries {
    /// Tries in all.
    pub tries: u32,
    /// The first pause; each further one is twice as long.
    pub first_pause: Duration,
    /// The longest pause, also of those that a registry asks for: more is an error at once.
    pub longest_pause: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { tries: 6, first_pause: Duration::from_millis(500), longest_pause: Duration::from_secs(60) }
    }
}

/// Where names of hosts are looked up.
#[derive(Debug, Clone)]
pub struct NameFiles {
    /// `/etc/hosts`.
    pub hosts: PathBuf,
    /// `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
    /// The port of name servers.
    pub port: u16,
}

impl Default for NameFiles {
    fn default() -> Self {
        Self { hosts: "/etc/hosts".into(), resolv_conf: "/etc/resolv.conf".into(), port: 53 }
    }
}

/// A registry or a part of one: `docker.io`, `*.example.com`, `docker.io/library`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `host[:port]`, or `*.domain`.
    pub host: String,
    /// Empty, or parts of a repository's name.
    pub path: String,
}

impl Place {
    /// What of `repository` is below this place; `None`: it isn't.
    pub fn below<'r>(&self, registry: &str, repository: &'r str) -> Option<&'r str> {
        let host = match self.host.strip_prefix('*') {
            Some(domain) => host_of(registry).ends_with(domain),
            None => self.host == registry,
        };
        if !host || self.path.is_empty() {
            return host.then_some(repository);
        }
        let rest = repository.strip_prefix(self.path.as_str())?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }

    /// `rest` below this place.
    pub(crate) fn join(&self, rest: &str) -> String {
        [self.path.as_str(), rest]
            .iter()
            .filter(|part| !part.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join("/")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        if self.path.is_empty() { Ok(()) } else { write!(f, "/{}", self.path) }
    }
}

impl FromStr for Place {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let plain = host.strip_prefix("*.").unwrap_or(host);
        let path_ok =
            path.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-/".contains(&b));
        let path = path.strip_suffix('/').unwrap_or(path);
        if is_host(plain) && path_ok && !path.split('/').any(|part| part == "..") {
            return Ok(Self { host: host.to_ascii_lowercase(), path: path.to_owned() });
        }
        let why = "it is a host with an optional port and the beginning of repositories' names";
        Err(Invalid::new("registry", text, why).hint("for example `docker.io` or `ghcr.io/someone`"))
    }
}

/// `docker.io=https://mirror.example/hub`: who has copies of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// What it has copies of.
    pub of: Place,
    /// Where they are.
    pub at: Place,
    /// Whether it speaks plain HTTP.
    pub plain_http: bool,
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}://{}", self.of, if self.plain_http { "http" } else { "https" }, self.at)
    }
}

impl FromStr for Mirror {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let Some((of, at)) = text.split_once('=') else {
            return Err(Invalid::new("mirror", text, "it is written `REGISTRY=ADDRESS`")
                .hint("for example `docker.io=https://mirror.example`"));
        };
        let plain_http = at.starts_with("http://");
        let at = at.trim_start_matches("https://").trim_start_matches("http://");
        let at: Place = at.trim_end_matches('/').parse()?;
        if at.host.starts_with('*') {
            return Err(Invalid::new("mirror", text, "it is one host"));
        }
        Ok(Self { of: of.parse()?, at, plain_http })
    }
}

/// `example.com/old=other.example/new`: repositories that are somewhere else than their name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// What names say.
    pub from: Place,
    /// Where they are.
    pub to: Place,
}

impl fmt::Display for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.from, self.to)
    }
}

impl FromStr for Rewrite {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = |why: &str| Invalid::new("place of a registry", text, why);
        let (from, to) = text.split_once('=').ok_or_else(|| bad("it is written `REGISTRY=OTHER`"))?;
        let rewrite = Self { from: from.parse()?, to: to.parse()? };
        if rewrite.to.host.starts_with('*') {
            return Err(bad("the other is one host"));
        }
        Ok(rewrite)
    }
}

/// Which hosts something is true for: `example.com`, `example.com:5000`, `*.example.com`, `10.0.0.0/8`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// This host with this port, or, if there is none, with any.
    Host(String, Option<u16>),
    /// Every host below a domain; it begins with the dot.
    Below(String),
    /// Addresses.
    Net(IpAddr, u8),
    /// Every host.
    All,
}

impl HostPattern {
    /// Whether `authority`, a `host[:port]`, is meant.
    pub fn matches(&self, authority: &str) -> bool {
        let host = host_of(authority);
        match self {
            Self::Host(name, port) => name == host && (port.is_none() || *port == port_of(authority)),
            Self::Below(domain) => host.ends_with(domain.as_str()),
            Self::Net(net, bits) => host.parse().is_ok_and(|address| in_net(address, *net, *bits)),
            Self::All => true,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name, port) => {
                if name.contains(':') {
                    write!(f, "[{name}]")?
                } else {
                    f.write_str(name)?
                }
                port.map_or(Ok(()), |port| write!(f, ":{port}"))
            }
            Self::Below(domain) => write!(f, "*{domain}"),
            Self::Net(net, bits) => write!(f, "{net}/{bits}"),
            Self::All => f.write_str("*"),
        }
    }
}

impl FromStr for HostPattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim().to_ascii_lowercase();
        if text == "*" {
            return Ok(Self::All);
        }
        if let Some((net, bits)) = text.split_once('/')
            && let (Ok(net), Ok(bits)) = (net.parse::<IpAddr>(), bits.parse::<u8>())
            && bits <= if net.is_ipv4() { 32 } else { 128 }
        {
            return Ok(Self::Net(net, bits));
        }
        let below = text.strip_prefix('*').unwrap_or(&text);
        if let Some(domain) = below.strip_prefix('.').filter(|domain| is_host(domain)) {
            return Ok(Self::Below(format!(".{domain}")));
        }
        if is_host(&text) {
            return Ok(Self::Host(host_of(&text).to_owned(), port_of(&text)));
        }
        let why = "it is a host with an optional port, `*.domain` or a network such as 10.0.0.0/8";
        Err(Invalid::new("host", text, why))
    }
}

/// Where requests go through.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// The proxy of `http` addresses.
    pub http: Option<String>,
    /// The proxy of `https` addresses.
    pub https: Option<String>,
    /// What goes without one: hosts, and with each the hosts below it, networks, `*`.
    pub except: Vec<String>,
}

impl Proxies {
    /// The proxy of `url`. This machine is reached without one.
    pub(crate) fn of(&self, url: &Url) -> Option<&str> {
        let proxy = if url.secure { self.https.as_deref() } else { self.http.as_deref() };
        let proxy = proxy.filter(|proxy| !proxy.is_empty())?;
        if is_loopback(url.host()) || self.except.iter().any(|word| excepts(word, url)) {
            return None;
        }
        Some(proxy)
    }
}

/// Whether a word of `NO_PROXY` means the host of `url`.
fn excepts(word: &str, url: &Url) -> bool {
    let Ok(pattern) = word.parse::<HostPattern>() else { return false };
    match &pattern {
        HostPattern::Host(name, port) => {
            let host = url.host();
            let below = host.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('.'));
            (host == name || below) && port.is_none_or(|port| port == url.port())
        }
        _ => pattern.matches(&url.authority),
    }
}

/// Whether `host` can only be this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn in_net(address: IpAddr, net: IpAddr, bits: u8) -> bool {
    let shared = |a: u128, b: u128, width: u32| {
        let rest = width - u32::from(bits);
        rest == 128 || (a >> rest) == (b >> rest)
    };
    match (address.to_canonical(), net) {
        (IpAddr::V4(a), IpAddr::V4(b)) => shared(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => shared(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

/// `host[:port]`, as [`corten_model::Reference`] takes a registry's.
fn is_host(text: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'[' || b == b']');
    edge(text.bytes().next())
        && edge(text.bytes().last())
        && !text.contains("..")
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]_".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_what_is_below() {
        let check = |place: &str, registry: &str, repository: &str, expected: Option<&str>| {
            let place: Place = place.parse().unwrap();
            assert_eq!(place.below(registry, repository), expected, "{place:?}");
        };
        check("docker.io", "docker.io", "library/x", Some("library/x"));
        check("docker.io/library", "docker.io", "library/x", Some("x"));
        check("docker.io/lib", "docker.io", "library/x", None);
        check("docker.io/library/x", "docker.io", "library/x", Some(""));
        check("*.example.com", "a.example.com:5000", "x", Some("x"));
        check("*.example.com", "example.com", "x", None);
        check("localhost:5000", "localhost:5001", "x", None);
        for bad in ["", "/x", "a b", "a/../b", "a..b", "http://x"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
        let mirror: Mirror = "docker.io=http://m.example:80/hub/".parse().unwrap();
        assert_eq!(
            (mirror.at.host.as_str(), mirror.at.join("library/x")),
            ("m.example:80", "hub/library/x".into())
        );
        assert!(mirror.plain_http);
        for bad in ["docker.io", "x=", "=x", "x=*.y"] {
            assert!(bad.parse::<Mirror>().is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns_of_hosts() {
        let check = |pattern: &str, authority: &str, expected: bool| {
            assert_eq!(
                pattern.parse::<HostPattern>().unwrap().matches(authority),
                expected,
                "{pattern} {authority}"
            );
        };
        check("a.example", "a.example:5000", true);
        check("a.example:5000", "a.example", false);
        check("*.example", "a.example:1", true);
        check(".example", "example", false);
        check("10.0.0.0/8", "10.1.2.3:5000", true);
        check("10.0.0.0/8", "11.1.2.3", false);
        check("0.0.0.0/0", "11.1.2.3", true);
        check("::/0", "[::1]:5000", true);
        check("fd00::/8", "[fd01::1]", true);
        check("10.0.0.0/8", "10.example", false);
        assert!("a/b".parse::<HostPattern>().is_err());
    }

    #[test]
    fn proxies_and_exceptions() {
        let proxies = Proxies {
            http: Some("http://p:1".into()),
            https: Some("http://p:2".into()),
            except: ["corp.example", "10.0.0.0/8", ".dot.example", "port.example:5000"]
                .map(String::from)
                .to_vec(),
        };
        let check = |url: &str, expected: Option<&str>| {
            assert_eq!(proxies.of(&Url::parse(url).unwrap()), expected, "{url}");
        };
        check("https://docker.io/", Some("http://p:2"));
        check("http://docker.io/", Some("http://p:1"));
        check("https://corp.example/", None);
        check("https://a.corp.example/", None);
        check("https://notcorp.example/", Some("http://p:2"));
        check("https://10.2.3.4:5000/", None);
        check("https://dot.example/", Some("http://p:2"));
        check("https://a.dot.example/", None);
        check("https://port.example:5000/", None);
        check("https://port.example/", Some("http://p:2"));
        check("http://localhost:5000/", None);
        check("http://[::1]:5000/", None);
    }
}
