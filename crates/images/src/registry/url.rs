//! Addresses of HTTP: parsed once, joined with what a `Location` says, compared by origin. Pure.

use std::fmt;

use ureq::http::Uri;

/// Bytes of an address: signed ones of object stores have two thousand.
const URL_MAX: usize = 16 << 10;

/// An absolute `http` or `https` address without a fragment, and without a name and password in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    /// Whether it is `https`.
    pub secure: bool,
    /// `host`, `host:port`, `[::1]:5000`; lowercase.
    pub authority: String,
    /// From the first slash on, query included.
    pub path: String,
}

impl Url {
    /// One below a host.
    pub fn new(secure: bool, authority: &str, path: impl Into<String>) -> Self {
        Self { secure, authority: authority.to_ascii_lowercase(), path: path.into() }
    }

    /// An absolute address; `None`: it isn't one, or plays a trick.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Self::new(secure, authority, path).sound()
    }

    /// What `location` means in an answer of this address.
    pub fn join(&self, location: &str) -> Option<Self> {
        if location.split_once("://").is_some_and(|(scheme, _)| !scheme.contains(['/', '?', '#'])) {
            return Self::parse(location);
        }
        if let Some(rest) = location.strip_prefix("//") {
            let scheme = if self.secure { "https" } else { "http" };
            return Self::parse(&format!("{scheme}://{rest}"));
        }
        let location = location.split('#').next().unwrap_or_default();
        let base = self.path.split('?').next().unwrap_or_default();
        let path = match location.bytes().next() {
            None => self.path.clone(),
            Some(b'/') => location.to_owned(),
            Some(b'?') => format!("{base}{location}"),
            Some(_) => {
                let directory = base.rfind('/').map_or("/", |slash| &base[..=slash]);
                format!("{directory}{location}")
            }
        };
        Self { path, ..self.clone() }.sound()
    }

    /// The same with one more parameter.
    pub fn with_query(mut self, name: &str, value: &str) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(name);
        self.path.push('=');
        self.path.push_str(&encode(value));
        self
    }

    /// The host without its port and brackets.
    pub fn host(&self) -> &str {
        host_of(&self.authority)
    }

    /// The port, said or usual.
    pub fn port(&self) -> u16 {
        let usual = if self.secure { 443 } else { 80 };
        port_of(&self.authority).unwrap_or(usual)
    }

    /// Whether both are of the same scheme, host and port: what is secret there is no secret here.
    pub fn same_origin(&self, other: &Url) -> bool {
        self.secure == other.secure && self.host() == other.host() && self.port() == other.port()
    }

    /// Without what might be signed or secret: for errors.
    pub fn shown(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{}://{}{path}", if self.secure { "https" } else { "http" }, self.authority)
    }

    /// As the HTTP library wants it.
    pub fn uri(&self) -> Option<Uri> {
        self.to_string().parse().ok()
    }

    fn sound(self) -> Option<Self> {
        let host = self.authority.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
        let path = self.path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        let short = self.authority.len() + self.path.len() <= URL_MAX;
        (host && path && short && !self.host().is_empty() && self.uri().is_some()).then_some(self)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.secure { "https" } else { "http" }, self.authority, self.path)
    }
}

/// The host of `host[:port]`, without brackets.
pub(crate) fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

/// The port of `host[:port]`.
pub(crate) fn port_of(authority: &str) -> Option<u16> {
    let after = authority.rsplit_once(']').map_or(authority, |(_, after)| after);
    after.rsplit_once(':').and_then(|(_, port)| port.parse().ok())
}

/// Percent-encodes what isn't plain in a query.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte.into());
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_joined() {
        let base = Url::parse("https://Reg.example:5000/v2/a/blobs/uploads/?x=1").unwrap();
        let check = |location: &str, expected: &str| {
            let joined = base.join(location).map(|url| url.to_string());
            assert_eq!(joined.unwrap_or_default(), expected, "{location}");
        };
        check("/v2/b?d=1", "https://reg.example:5000/v2/b?d=1");
        check("?y=2", "https://reg.example:5000/v2/a/blobs/uploads/?y=2");
        check("uuid#f", "https://reg.example:5000/v2/a/blobs/uploads/uuid");
        check("//cdn.example/x", "https://cdn.example/x");
        check("http://cdn.example", "http://cdn.example/");
        check("https://u:p@cdn.example/", "");
        check("https://cdn.example\\@evil/", "");
        check("file:///etc/passwd", "");
        check("/a b", "");
        check("/a?to=https://x/", "https://reg.example:5000/a?to=https://x/");
        check(&format!("/{}", "a".repeat(URL_MAX)), "");
    }

    #[test]
    fn origins_and_ports() {
        let url = |text: &str| Url::parse(text).unwrap();
        assert!(url("https://a/x").same_origin(&url("https://A:443/y")));
        assert!(!url("https://a").same_origin(&url("http://a")));
        assert!(!url("https://a").same_origin(&url("https://a:5000")));
        assert_eq!((url("http://[::1]:80/").host(), url("http://[::1]/").port()), ("::1", 80));
        assert_eq!(url("https://a/b?token=secret").shown(), "https://a/b");
        assert_eq!(encode("a b/ü"), "a%20b%2F%C3%BC");
    }
}
