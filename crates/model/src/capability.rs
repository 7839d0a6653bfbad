//! Linux capabilities by name and number, and Docker's default set.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// A capability's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Capability(u8);

const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

impl Capability {
    /// The kernel's number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The capability with this number, if this build knows it.
    pub fn from_number(number: u8) -> Option<Self> {
        (usize::from(number) < NAMES.len()).then_some(Self(number))
    }

    /// The name without `CAP_`.
    pub fn short_name(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CAP_{}", self.short_name())
    }
}

impl FromStr for Capability {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        NAMES.iter().position(|n| *n == name).map(|n| Self(n as u8)).ok_or_else(|| {
            Invalid::new("capability", text, "not a capability of Linux")
                .hint("for example `NET_ADMIN` or `ALL`")
        })
    }
}

impl TryFrom<String> for Capability {
    type Error = Invalid;
    fn try_from(s: String) -> Result<Self, Invalid> {
        s.parse()
    }
}

impl From<Capability> for String {
    fn from(capability: Capability) -> String {
        capability.to_string()
    }
}

/// A set of capabilities, one bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CapSet(u64);

impl CapSet {
    /// All that this build knows.
    pub const ALL: CapSet = CapSet((1 << NAMES.len()) - 1);
    /// Docker's default set.
    pub const DEFAULT: CapSet = CapSet(
        (1 << 0)
            | (1 << 1)
            | (1 << 3)
            | (1 << 4)
            | (1 << 5)
            | (1 << 6)
            | (1 << 7)
            | (1 << 8)
            | (1 << 10)
            | (1 << 13)
            | (1 << 18)
            | (1 << 27)
            | (1 << 29)
            | (1 << 31),
    );

    /// The bits, capability 0 lowest.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The set with these bits; unknown ones are dropped.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// Whether `capability` is in the set.
    pub fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << capability.0) != 0
    }

    /// The set with `capability`.
    #[must_use]
    pub fn with(self, capability: Capability) -> Self {
        Self(self.0 | (1 << capability.0))
    }

    /// The set without `capability`.
    #[must_use]
    pub fn without(self, capability: Capability) -> Self {
        Self(self.0 & !(1 << capability.0))
    }

    /// What is in both.
    #[must_use]
    pub fn intersect(self, other: CapSet) -> Self {
        Self(self.0 & other.0)
    }

    /// The members in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        (0..NAMES.len() as u8).map(Capability).filter(move |c| self.contains(*c))
    }
}

/// One `--cap-add` or `--cap-drop`: a capability or `ALL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CapChange {
    /// Every capability.
    All,
    /// This one.
    One(Capability),
}

impl FromStr for CapChange {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.eq_ignore_ascii_case("all") { Ok(CapChange::All) } else { text.parse().map(CapChange::One) }
    }
}

/// The set that `--cap-add` and `--cap-drop` make of the default one.
///
/// `ALL` is taken first on its side, then the single ones: `--cap-drop ALL --cap-add CHOWN` leaves one, and
/// `--cap-add ALL --cap-drop MKNOD` all but one. A capability on both sides is dropped.
pub fn resolve(add: &[CapChange], drop: &[CapChange]) -> CapSet {
    let mut set = match (add.contains(&CapChange::All), drop.contains(&CapChange::All)) {
        (true, _) => CapSet::ALL,
        (false, true) => CapSet::default(),
        (false, false) => CapSet::DEFAULT,
    };
    for change in add {
        if let CapChange::One(capability) = change {
            set = set.with(*capability);
        }
    }
    for change in drop {
        if let CapChange::One(capability) = change {
            set = set.without(*capability);
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_default_set_has_14_members() {
        let names: Vec<_> = CapSet::DEFAULT.iter().map(|c| c.short_name()).collect();
        assert_eq!(
            names,
            [
                "CHOWN",
                "DAC_OVERRIDE",
                "FOWNER",
                "FSETID",
                "KILL",
                "SETGID",
                "SETUID",
                "SETPCAP",
                "NET_BIND_SERVICE",
                "NET_RAW",
                "SYS_CHROOT",
                "MKNOD",
                "AUDIT_WRITE",
                "SETFCAP"
            ]
        );
    }

    #[test]
    fn adding_and_dropping() {
        let parse = |list: &[&str]| list.iter().map(|s| s.parse().unwrap()).collect::<Vec<CapChange>>();
        let check = |add: &[&str], drop: &[&str], expected: CapSet| {
            assert_eq!(resolve(&parse(add), &parse(drop)), expected, "+{add:?} -{drop:?}");
        };
        let chown: Capability = "CAP_CHOWN".parse().unwrap();
        check(&[], &[], CapSet::DEFAULT);
        check(&["chown"], &["all"], CapSet::default().with(chown));
        check(&["ALL"], &["chown"], CapSet::ALL.without(chown));
        check(&["NET_ADMIN"], &["NET_ADMIN"], CapSet::DEFAULT);
        assert!("FLY".parse::<CapChange>().is_err());
    }
}
