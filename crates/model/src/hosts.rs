//! Names and servers that a container is told: `--add-host`, `--dns`, `--dns-search`.

use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// The address that stands for the host on a bridge.
const HOST_GATEWAY: &str = "host-gateway";
/// The longest name of a host.
const NAME_MAX_BYTES: usize = 253;

/// A line of /etc/hosts: `NAME:ADDRESS` or `NAME=ADDRESS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraHost {
    /// The name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
}

impl FromStr for ExtraHost {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = |why: &str| Invalid::new("add-host", text, why).hint("write `NAME:ADDRESS`");
        // An address of IPv6 has colons of its own: an `=` before the first of them parts too.
        let (name, address) = match (text.split_once('='), text.split_once(':')) {
            (Some((name, address)), _) if !name.contains(':') => (name, address),
            (_, Some((name, address))) => (name, address),
            _ => return Err(bad("bad format for add-host")),
        };
        if name.is_empty()
            || name.len() > NAME_MAX_BYTES
            || name.contains(|c: char| c.is_whitespace() || c == '#')
        {
            return Err(bad("bad format for add-host"));
        }
        if address == HOST_GATEWAY {
            let why = "`host-gateway` is the host's address on a bridge, and bridges are not built yet";
            return Err(Invalid::new("add-host", text, why));
        }
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        let address = bare.parse().map_err(|_| bad("invalid IP address in add-host"))?;
        Ok(Self { name: name.to_owned(), address })
    }
}

/// A server of names: an address.
pub fn parse_dns(text: &str) -> Result<IpAddr, Invalid> {
    text.trim().parse().map_err(|_| Invalid::new("dns", text, "IP address is not correctly formatted"))
}

/// A domain in which names are looked for; `.` is none.
pub fn parse_dns_search(text: &str) -> Result<String, Invalid> {
    let text = text.trim();
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let domain = text.strip_suffix('.').unwrap_or(text);
    // A name of digits alone is an address, or meant to be one.
    let has_letter = domain.bytes().any(|b| b.is_ascii_alphabetic());
    if text == "." || domain.len() <= NAME_MAX_BYTES && has_letter && domain.split('.').all(label) {
        return Ok(text.to_owned());
    }
    Err(Invalid::new("dns-search", text, "not a valid domain"))
}

/// An option of resolv.conf(5): one word.
pub fn parse_dns_option(text: &str) -> Result<String, Invalid> {
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Invalid::new("dns-option", text, "it is one word"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses() {
        let check = |text: &str, name: &str, address: &str| {
            let expected = ExtraHost { name: name.into(), address: address.parse().unwrap() };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        };
        check("db:10.0.0.1", "db", "10.0.0.1");
        check("db=10.0.0.1", "db", "10.0.0.1");
        check("db:::1", "db", "::1");
        check("db=[fe80::1]", "db", "fe80::1");
        check("db:[::1]", "db", "::1");
        for bad in ["db", "db:", ":1.2.3.4", "db:1.2.3", "db=x", "a b:1.2.3.4", "db:host-gateway"] {
            assert!(bad.parse::<ExtraHost>().is_err(), "{bad}");
        }
    }

    #[test]
    fn servers_domains_and_options() {
        assert!(parse_dns("10.0.0.1").is_ok() && parse_dns("::1").is_ok());
        assert!(parse_dns("dns.example").is_err() && parse_dns("").is_err());
        for good in ["example.com", "x", "a_b.example", ".", "example."] {
            assert!(parse_dns_search(good).is_ok(), "{good}");
        }
        for bad in ["", "-x.y", "a..b", "a b", "1.2.3.4", "x-"] {
            assert!(parse_dns_search(bad).is_err(), "{bad}");
        }
        assert!(parse_dns_option("ndots:2").is_ok() && parse_dns_option("a b").is_err());
    }
}
