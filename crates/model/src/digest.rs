//! Content digests: `sha256:<64 hex>`. Nothing else is accepted, so a digest is always safe as a file name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::id::{hex, is_hex};

/// A SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

const PREFIX: &str = "sha256:";

impl Digest {
    /// The digest whose 32 bytes are these.
    pub fn from_sha256(bytes: [u8; 32]) -> Self {
        Self(format!("{PREFIX}{}", hex(&bytes)))
    }

    /// `sha256:<hex>`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 64 hex digits.
    pub fn hex(&self) -> &str {
        &self.0[PREFIX.len()..]
    }

    /// The first 12 hex digits, as tables show image ids.
    pub fn short(&self) -> &str {
        &self.hex()[..crate::id::SHORT_LEN]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Digest {
    type Err = Invalid;

    fn from_str(s: &str) -> Result<Self, Invalid> {
        match s.strip_prefix(PREFIX) {
            Some(digits) if digits.len() == 64 && is_hex(digits) => Ok(Self(s.to_owned())),
            _ => Err(Invalid::new("digest", s, "a digest is `sha256:` and 64 lowercase hex digits")),
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = Invalid;
    fn try_from(s: String) -> Result<Self, Invalid> {
        s.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sha256_with_64_digits() {
        let good = format!("sha256:{}", "0".repeat(64));
        assert_eq!(good.parse::<Digest>().unwrap().short(), "000000000000");
        for bad in ["", "sha256:", "sha256:../x", "sha512:00", &good[..70], &good.to_uppercase()] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}
