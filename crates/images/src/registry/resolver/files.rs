//! What /etc/hosts and /etc/resolv.conf say (hosts(5), resolv.conf(5)).

use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::time::Duration;

/// Bytes of /etc/hosts: lists against advertisements are long.
const HOSTS_MAX: u64 = 64 << 20;
/// Bytes of /etc/resolv.conf.
const RESOLV_MAX: u64 = 1 << 20;
/// What the C library takes at most of each.
const SERVERS_MAX: usize = 3;
const SEARCH_MAX: usize = 32;
const NDOTS_MAX: usize = 15;
const TIMEOUT_MAX_S: u64 = 30;
const ATTEMPTS_MAX: u32 = 5;

/// Every address of `host`, which is lowercase, in the order of the lines.
pub(super) fn in_hosts(path: &Path, host: &str) -> Vec<IpAddr> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let text = read(path, HOSTS_MAX);
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let of_line = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(host)).then_some(address)
    };
    lines.filter_map(of_line).collect()
}

/// Whom to ask, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Servers {
    pub addresses: Vec<SocketAddr>,
    pub search: Vec<String>,
    /// With so many dots a name is asked for as it is first.
    pub ndots: usize,
    pub timeout: Duration,
    pub attempts: u32,
    /// TCP from the beginning.
    pub use_tcp: bool,
}

impl Servers {
    pub fn read(path: &Path, port: u16) -> Self {
        Self::parse(&read(path, RESOLV_MAX), port)
    }

    fn parse(text: &str, port: u16) -> Self {
        let mut servers = Self {
            addresses: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            use_tcp: false,
        };
        for line in text.lines().filter(|line| !line.starts_with(['#', ';'])) {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => servers.addresses.extend(words.next().and_then(|a| address(a, port))),
                Some("search" | "domain") => {
                    servers.search = words.take(SEARCH_MAX).map(|d| d.trim_matches('.').to_owned()).collect();
                }
                Some("options") => words.for_each(|word| servers.option(word)),
                _ => {}
            }
        }
        servers.addresses.truncate(SERVERS_MAX);
        servers.search.retain(|domain| !domain.is_empty());
        if servers.addresses.is_empty() {
            servers.addresses.push((Ipv4Addr::LOCALHOST, port).into());
        }
        servers
    }

    fn option(&mut self, word: &str) {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        match (name, value.parse::<u32>()) {
            ("ndots", Ok(count)) => self.ndots = (count as usize).min(NDOTS_MAX),
            ("timeout", Ok(seconds)) => {
                self.timeout = Duration::from_secs(u64::from(seconds).clamp(1, TIMEOUT_MAX_S));
            }
            ("attempts", Ok(count)) => self.attempts = count.clamp(1, ATTEMPTS_MAX),
            ("use-vc", _) => self.use_tcp = true,
            _ => {}
        }
    }

    /// The names that `host` may mean, in the order in which they are asked for.
    pub fn candidates(&self, host: &str) -> Vec<String> {
        if let Some(absolute) = host.strip_suffix('.') {
            return vec![absolute.to_owned()];
        }
        let mut names: Vec<String> = self.search.iter().map(|domain| format!("{host}.{domain}")).collect();
        let dots = host.bytes().filter(|b| *b == b'.').count();
        let at = if dots >= self.ndots { 0 } else { names.len() };
        names.insert(at, host.to_owned());
        names
    }
}

/// `fe80::1%eth0` is one too.
fn address(text: &str, port: u16) -> Option<SocketAddr> {
    let Some((address, zone)) = text.split_once('%') else {
        return Some(SocketAddr::new(text.parse().ok()?, port));
    };
    let index = zone.parse().ok().or_else(|| index_of(zone))?;
    Some(SocketAddrV6::new(address.parse().ok()?, port, 0, index).into())
}

fn index_of(interface: &str) -> Option<u32> {
    if interface.contains('/') || interface.starts_with('.') {
        return None;
    }
    read(&Path::new("/sys/class/net").join(interface).join("ifindex"), 64).trim().parse().ok()
}

/// A file that isn't there says nothing.
fn read(path: &Path, max: u64) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        // What was read before an error is still true.
        let _ = file.take(max).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_as_people_write_it() {
        let servers = Servers::parse(
            "# x\n; y\ndomain old.example\nsearch a.example b.example.\nnameserver 10.0.0.1\nnameserver fd00::1\n\
             nameserver fe80::1%7\nnameserver 10.0.0.4\nnameserver x\noptions ndots:2 timeout:99 attempts:0 edns0\n",
            53,
        );
        let addresses: Vec<String> = servers.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["10.0.0.1:53", "[fd00::1]:53", "[fe80::1%7]:53"]);
        assert_eq!((servers.timeout.as_secs(), servers.attempts), (30, 1));
        let check = |host: &str, expected: &[&str]| assert_eq!(servers.candidates(host), expected);
        check("r", &["r.a.example", "r.b.example", "r"]);
        check("a.b.c", &["a.b.c", "a.b.c.a.example", "a.b.c.b.example"]);
        check("r.", &["r"]);
        assert_eq!(Servers::parse("", 53).addresses, ["127.0.0.1:53".parse().unwrap()]);
    }

    #[test]
    fn hosts_as_people_write_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        std::fs::write(&path, "# 10.0.0.9 r\n10.0.0.1\tx R.example r # y\nfd00::1 r.example\nbad r\n")
            .unwrap();
        let addresses =
            |host: &str| in_hosts(&path, host).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(addresses("r.example"), ["10.0.0.1", "fd00::1"]);
        assert_eq!(addresses("r."), ["10.0.0.1"]);
        assert!(addresses("y").is_empty() && in_hosts(Path::new("/absent"), "x").is_empty());
    }
}
