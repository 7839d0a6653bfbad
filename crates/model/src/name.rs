//! Names of containers and volumes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// Longest name: it has to fit a file name with room for a suffix.
pub const NAME_MAX: usize = 200;

/// A name: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`. Docker wants two characters at least; one is enough to call something by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = Invalid;

    fn from_str(s: &str) -> Result<Self, Invalid> {
        let name = s.strip_prefix('/').unwrap_or(s);
        let mut bytes = name.bytes();
        let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
        let rest = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if first && rest && (1..=NAME_MAX).contains(&name.len()) {
            return Ok(Self(name.to_owned()));
        }
        Err(Invalid::new(
            "name",
            s,
            "names are 1 to 200 of `a-z A-Z 0-9 _ . -` and start with a letter or digit",
        ))
    }
}

impl TryFrom<String> for Name {
    type Error = Invalid;
    fn try_from(s: String) -> Result<Self, Invalid> {
        s.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_names_are_names() {
        for good in ["web", "a", "a1", "my_app-1.2", "/web"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
    }

    #[test]
    fn paths_and_options_are_no_names() {
        for bad in ["", "-x", "../x", "a/b", "a b", "ä1", &"x".repeat(201)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }
}
