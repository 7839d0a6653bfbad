//! Resource limits of processes: `--ulimit nofile=1024:2048`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// Names and numbers of setrlimit(2) on Linux.
pub const NAMES: [(&str, u32); 16] = [
    ("cpu", 0),
    ("fsize", 1),
    ("data", 2),
    ("stack", 3),
    ("core", 4),
    ("rss", 5),
    ("nproc", 6),
    ("nofile", 7),
    ("memlock", 8),
    ("as", 9),
    ("locks", 10),
    ("sigpending", 11),
    ("msgqueue", 12),
    ("nice", 13),
    ("rtprio", 14),
    ("rttime", 15),
];

/// The value that means no limit.
pub const UNLIMITED: u64 = u64::MAX;

/// One limit; `u64::MAX` is unlimited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// The name in lowercase, without `RLIMIT_`.
    pub name: String,
    /// What the process is held to.
    pub soft: u64,
    /// What the process may raise it to.
    pub hard: u64,
}

impl Ulimit {
    /// The number that setrlimit(2) takes.
    pub fn number(&self) -> Option<u32> {
        NAMES.iter().find(|(name, _)| *name == self.name).map(|(_, number)| *number)
    }
}

impl FromStr for Ulimit {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = |why: &str| {
            Invalid::new("ulimit", text, why).hint("write `NAME=SOFT[:HARD]`, for example `nofile=1024:2048`")
        };
        let (name, values) = text.split_once('=').ok_or_else(|| bad("no `=`"))?;
        if !NAMES.iter().any(|(known, _)| *known == name) {
            return Err(bad("unknown name"));
        }
        let value = |v: &str| match v {
            "-1" | "unlimited" => Ok(UNLIMITED),
            _ => v.parse::<u64>().map_err(|_| bad("not a number")),
        };
        let (soft, hard) = match values.split_once(':') {
            Some((soft, hard)) => (value(soft)?, value(hard)?),
            None => (value(values)?, value(values)?),
        };
        if soft > hard {
            return Err(bad("the soft limit is above the hard limit"));
        }
        Ok(Self { name: name.to_owned(), soft, hard })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soft_and_hard() {
        let check = |text: &str, soft, hard| {
            let limit: Ulimit = text.parse().unwrap();
            assert_eq!((limit.soft, limit.hard), (soft, hard), "{text}");
        };
        check("nofile=1024", 1024, 1024);
        check("nofile=1024:2048", 1024, 2048);
        check("core=-1", UNLIMITED, UNLIMITED);
        for bad in ["", "nofile", "foo=1", "nofile=x", "nofile=2:1", "nofile=1:2:3"] {
            assert!(bad.parse::<Ulimit>().is_err(), "{bad}");
        }
    }
}
