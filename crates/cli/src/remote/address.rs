//! `ssh://[user@]host[:port][/path]`: which host, and which store there. Pure.

use std::fmt;

use crate::error::{Failure, Result};

/// How an address is written.
const FORM: &str = "it is written ssh://[USER@]HOST[:PORT][/PATH]";

/// A host that ssh reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Who to be there; absent: as ssh's own settings say.
    pub user: Option<String>,
    /// The host as ssh knows it.
    pub host: String,
    /// The port.
    pub port: Option<u16>,
    /// The data root there; absent: the usual one.
    pub root: Option<String>,
}

impl Address {
    /// Parses what `from` (a flag, a variable, a context) says.
    pub fn parse(text: &str, from: &str) -> Result<Self> {
        parse(text).map_err(|why| Failure::Host { host: text.to_owned(), from: from.to_owned(), why })
    }
}

fn parse(text: &str) -> std::result::Result<Address, &'static str> {
    let (scheme, rest) = text.split_once("://").ok_or(FORM)?;
    match scheme {
        "ssh" => {}
        "unix" | "fd" | "npipe" => return Err("there is no daemon behind a socket to talk to"),
        "tcp" | "http" | "https" => return Err("nothing listens on a port: hosts are reached through ssh"),
        _ => return Err(FORM),
    }
    if text.contains(['?', '#']) || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(FORM);
    }
    let (place, root) = match rest.find('/') {
        Some(at) => (&rest[..at], Some(&rest[at..]).filter(|path| *path != "/")),
        None => (rest, None),
    };
    let (user, place) = match place.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, place),
    };
    if user.is_some_and(|user| user.contains(':')) {
        return Err("a password has no place in it: ssh asks for one, or has a key");
    }
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or(FORM)?)),
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let number = |text: &str| text.parse().ok().filter(|port| *port != 0);
    let port = port.map(|text| number(text).ok_or("the port is a number from 1 to 65535")).transpose()?;
    // ssh would take such a word for a flag of its own.
    let good = |word: &str| !word.is_empty() && !word.starts_with('-');
    if !good(host) || !user.is_none_or(good) {
        return Err("user and host are not empty and don't begin with a dash");
    }
    let (user, root) = (user.map(str::to_owned), root.map(str::to_owned));
    Ok(Address { user, host: host.to_owned(), port, root })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ssh://")?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(&self.host)?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(self.root.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        let check = |text: &str, user: Option<&str>, host: &str, port, root: Option<&str>| {
            let (user, root) = (user.map(str::to_owned), root.map(str::to_owned));
            let expected = Address { user, host: host.to_owned(), port, root };
            let address = parse(text).unwrap();
            assert_eq!(address, expected, "{text}");
            assert_eq!(parse(&address.to_string()), Ok(expected), "{text}");
        };
        check("ssh://box", None, "box", None, None);
        check("ssh://me@box:2222/srv/corten", Some("me"), "box", Some(2222), Some("/srv/corten"));
        check("ssh://me@[::1]:22/", Some("me"), "::1", Some(22), None);
        check("ssh://[fe80::1]", None, "fe80::1", None, None);
        check("ssh://a@b@box", Some("a@b"), "box", None, None);
    }

    #[test]
    fn what_is_none_is_refused() {
        let check = |text: &str, why: &str| assert!(parse(text).is_err_and(|e| e.contains(why)), "{text}");
        check("box", "written");
        check("unix:///var/run/docker.sock", "no daemon");
        check("tcp://box:2375", "ssh");
        check("ftp://box", "written");
        check("ssh://", "not empty");
        check("ssh://-oProxyCommand=x", "dash");
        check("ssh://-l@box", "dash");
        check("ssh://me:secret@box", "password");
        check("ssh://box:0", "port");
        check("ssh://box:x", "port");
        check("ssh://[::1]x", "written");
        check("ssh://box?x", "written");
        check("ssh://bo x", "written");
    }
}
