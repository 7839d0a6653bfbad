//! Identifiers: 64 lowercase hex digits, printed as their first 12.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// Digits of a full id.
pub const ID_LEN: usize = 64;
/// Digits of the id that tables show.
pub const SHORT_LEN: usize = 12;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// An id from 32 random bytes.
            pub fn from_bytes(bytes: [u8; ID_LEN / 2]) -> Self {
                Self(hex(&bytes))
            }

            /// All 64 digits.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The first 12 digits.
            pub fn short(&self) -> &str {
                &self.0[..SHORT_LEN]
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;
            fn from_str(s: &str) -> Result<Self, Invalid> {
                if is_hex(s) && s.len() == ID_LEN {
                    Ok(Self(s.to_owned()))
                } else {
                    Err(Invalid::new($what, s, "an id is 64 lowercase hex digits"))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(s: String) -> Result<Self, Invalid> {
                s.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

id!(
    /// The id of a container.
    ContainerId, "container id");
id!(
    /// The id of a sandbox: the namespaces that one or more containers share.
    SandboxId, "sandbox id");
id!(
    /// The id of a volume's data; its name is a row.
    VolumeId, "volume id");
id!(
    /// The id of an exec.
    ExecId, "exec id");

/// Lowercase hex digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)] as char, DIGITS[usize::from(b & 15)] as char])
        .collect()
}

/// Whether `s` is only lowercase hex digits (the empty string is).
pub fn is_hex(s: &str) -> bool {
    s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_prints_as_it_parses() {
        let id = ContainerId::from_bytes([0xa5; 32]);
        assert_eq!(id.short(), "a5a5a5a5a5a5");
        assert_eq!(id.to_string().parse::<ContainerId>(), Ok(id));
    }

    #[test]
    fn what_is_not_64_hex_digits_is_no_id() {
        for bad in ["", "a5", "../../etc", &"A".repeat(64), &"g".repeat(64)] {
            assert!(bad.parse::<ContainerId>().is_err(), "{bad}");
        }
    }
}
