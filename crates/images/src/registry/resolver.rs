//! Names of hosts become addresses: /etc/hosts and the name servers of /etc/resolv.conf. The C library's way would load
//! the host's modules into a static binary.
//!
//! ```text
//! resolver/files.rs   what the two files say       resolver/ask.rs   questions and answers of DNS
//! ```
//!
//! Deliberately not here: nsswitch.conf, and what else it may name (mDNS, LDAP).

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::settings::{NameFiles, is_loopback};
use super::url::host_of;

mod ask;
mod files;

/// Addresses of one name: what the HTTP library has room for.
const ADDRESSES_MAX: usize = 16;
/// How long what was found is used again: all connections of one pull begin within it.
const KEPT: Duration = Duration::from_secs(30);
/// Names that are kept.
const KEPT_MAX: usize = 100;
/// The longest that one name is looked up.
const LOOKUP_MAX: Duration = Duration::from_secs(60);

/// Where a host may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    /// Anywhere.
    Anywhere,
    /// Anywhere but on this machine and its link: what a stranger's answer led us to.
    Elsewhere,
}

/// Names that were looked up by one client.
#[derive(Debug)]
pub(crate) struct Names {
    files: NameFiles,
    kept: Mutex<HashMap<String, (Instant, Vec<IpAddr>)>>,
}

impl Names {
    /// None yet.
    pub fn new(files: NameFiles) -> Self {
        Self { files, kept: Mutex::default() }
    }

    /// The addresses of `host`, best first.
    fn addresses(&self, host: &str, until: Instant) -> io::Result<Vec<IpAddr>> {
        let host = host.to_ascii_lowercase();
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        // RFC 6761: this name leads nowhere else, whatever files and servers say.
        if is_loopback(&host) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((when, found)) = kept.get(&host)
            && when.elapsed() < KEPT
        {
            return Ok(found.clone());
        }
        drop(kept);
        let mut found = files::in_hosts(&self.files.hosts, &host);
        if found.is_empty() {
            let servers = files::Servers::read(&self.files.resolv_conf, self.files.port);
            found = ask::lookup(&servers, &host, until)?;
        }
        let found = in_order(found, has_route);
        kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(host, (Instant::now(), found.clone()));
        Ok(found)
    }
}

/// The resolver of one agent.
#[derive(Debug)]
pub(crate) struct Within {
    pub names: Arc<Names>,
    pub reach: Reach,
}

impl Resolver for Within {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let authority = uri.authority().ok_or(ureq::Error::HostNotFound)?;
        let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let port = authority.port_u16().unwrap_or(usual);
        let time = timeout.not_zero().map_or(LOOKUP_MAX, |time| (*time).min(LOOKUP_MAX));
        let addresses = self.names.addresses(host_of(authority.host()), Instant::now() + time)?;
        let mut found = self.empty();
        let may = |address: &IpAddr| self.reach == Reach::Anywhere || !is_near(*address);
        for address in addresses.into_iter().filter(may).take(ADDRESSES_MAX) {
            found.push(SocketAddr::new(address, port));
        }
        if found.is_empty() {
            let why = "a registry leads to an address of this machine or its link";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why).into());
        }
        Ok(found)
    }
}

/// Addresses that no registry of another machine has a reason to name.
fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

/// IPv6 and IPv4 by turns, so that a network where one of them leads nowhere costs one wait; what has no route at all
/// goes last (RFC 8305, 4).
fn in_order(found: Vec<IpAddr>, has_route: impl Fn(IpAddr) -> bool) -> Vec<IpAddr> {
    let (good, bad): (Vec<IpAddr>, Vec<IpAddr>) = found.into_iter().partition(|address| has_route(*address));
    let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) = good.into_iter().partition(IpAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut ordered: Vec<IpAddr> = Vec::new();
    loop {
        let turn: Vec<IpAddr> = [v6.next(), v4.next()].into_iter().flatten().collect();
        if turn.is_empty() {
            break;
        }
        ordered.extend(turn);
    }
    ordered.extend(bad);
    let mut seen = Vec::new();
    ordered.retain(|address| {
        !seen.contains(address) && {
            seen.push(*address);
            true
        }
    });
    ordered
}

/// Whether the kernel knows a way to `address`: a connected socket of UDP sends nothing.
fn has_route(address: IpAddr) -> bool {
    let any: SocketAddr = match address {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    UdpSocket::bind(any).and_then(|socket| socket.connect(SocketAddr::new(address, 9))).is_ok()
}

#[cfg(test)]
mod tests;
