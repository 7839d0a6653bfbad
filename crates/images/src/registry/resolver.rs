//! Names of hosts become addresses: /etc/hosts and the name servers of /etc/resolv.conf. The C library's way would load
//! the host's modules into a static binary.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::settings::{NameFiles, is_loopback};
use super::url::host_of;

/// Where a host may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    /// Anywhere.
    Anywhere,
    /// Anywhere but on this machine and its link: what a stranger's answer led us to.
    Elsewhere,
}

/// The resolver of one agent.
#[derive(Debug)]
pub(crate) struct Names {
    files: NameFiles,
    reach: Reach,
}

impl Names {
    /// One that reads `files` for each name.
    pub fn new(files: NameFiles, reach: Reach) -> Self {
        Self { files, reach }
    }

    fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        // RFC 6761: this name leads nowhere else, whatever files and servers say.
        if is_loopback(host) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("no such host: {host} ({})", self.files.hosts.display()),
        ))
    }
}

impl Resolver for Names {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let authority = uri.authority().ok_or(ureq::Error::HostNotFound)?;
        let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let port = authority.port_u16().unwrap_or(usual);
        let mut found = self.empty();
        for address in self.addresses(host_of(authority.host()))? {
            if self.reach == Reach::Elsewhere && is_near(address) {
                continue;
            }
            if found.len() < 16 {
                found.push(SocketAddr::new(address, port));
            }
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
