//! Devices given to a container: `--device /dev/fuse:/dev/fuse:rwm`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// A device node of the host, and where the container sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The path on the host; a directory stands for the devices in it.
    pub host: String,
    /// The path in the container.
    pub container: String,
    /// Some of `r`, `w`, `m`, each once.
    pub access: String,
}

impl FromStr for Device {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad =
            |why: &str| Invalid::new("device", text, why).hint("write `/dev/HOST[:/dev/CONTAINER][:rwm]`");
        let parts: Vec<&str> = text.split(':').collect();
        let (host, container, access) = match parts[..] {
            [host] => (host, host, "rwm"),
            [host, access] if is_access(access) => (host, host, access),
            [host, container] => (host, container, "rwm"),
            [host, container, access] => (host, container, access),
            _ => return Err(bad("too many colons")),
        };
        if !host.starts_with('/') || !container.starts_with('/') {
            return Err(bad("both paths are absolute"));
        }
        if !is_access(access) {
            return Err(bad("the access is made of `r`, `w` and `m`"));
        }
        Ok(Self { host: host.into(), container: container.into(), access: access.into() })
    }
}

/// A rule of the device list, as it is typed: `c 1:3 mr`, `b 8:* rwm`, `a *:* rwm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CgroupRule {
    /// `a` any, `b` block, `c` character.
    pub kind: char,
    /// The major number; any if absent.
    pub major: Option<u32>,
    /// The minor number; any if absent.
    pub minor: Option<u32>,
    /// Some of `r`, `w`, `m`.
    pub access: String,
}

impl FromStr for CgroupRule {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = || {
            Invalid::new("device cgroup rule", text, "invalid device cgroup format")
                .hint("write `a|b|c MAJOR:MINOR rwm`, with `*` for any number")
        };
        let number = |text: &str| match text {
            "*" => Ok(None),
            // The kernel has 12 bits for the one and 20 for the other; a sign is no digit.
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map(Some).map_err(|_| bad())
            }
            _ => Err(bad()),
        };
        let parts: Vec<&str> = text.split(' ').collect();
        let [kind @ ("a" | "b" | "c"), numbers, access] = parts[..] else { return Err(bad()) };
        let (major, minor) = numbers.split_once(':').ok_or_else(bad)?;
        if !matches!(access.len(), 1..=3) || !access.bytes().all(|b| matches!(b, b'r' | b'w' | b'm')) {
            return Err(bad());
        }
        let kind = kind.chars().next().ok_or_else(bad)?;
        Ok(Self { kind, major: number(major)?, minor: number(minor)?, access: access.into() })
    }
}

impl TryFrom<String> for CgroupRule {
    type Error = Invalid;
    fn try_from(s: String) -> Result<Self, Invalid> {
        s.parse()
    }
}

impl From<CgroupRule> for String {
    fn from(rule: CgroupRule) -> String {
        let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
        format!("{} {}:{} {}", rule.kind, number(rule.major), number(rule.minor), rule.access)
    }
}

fn is_access(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 3
        && text.bytes().all(|b| matches!(b, b'r' | b'w' | b'm'))
        && (1..text.len()).all(|i| !text[..i].contains(&text[i..=i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_two_and_three_parts() {
        let check = |text: &str, host: &str, container: &str, access: &str| {
            let d: Device = text.parse().unwrap();
            assert_eq!(
                (d.host.as_str(), d.container.as_str(), d.access.as_str()),
                (host, container, access),
                "{text}"
            );
        };
        check("/dev/fuse", "/dev/fuse", "/dev/fuse", "rwm");
        check("/dev/fuse:rw", "/dev/fuse", "/dev/fuse", "rw");
        check("/dev/a:/dev/b", "/dev/a", "/dev/b", "rwm");
        check("/dev/a:/dev/b:r", "/dev/a", "/dev/b", "r");
        for bad in ["", "fuse", "/dev/a:b", "/dev/a:/dev/b:x", "/dev/a:/dev/b:rr", "/dev/a:/b:r:w"] {
            assert!(bad.parse::<Device>().is_err(), "{bad}");
        }
    }

    #[test]
    fn rules_of_the_device_list() {
        for good in ["c 1:3 mr", "a 7:* rmw", "b *:* r", "a *:* rwm", "c 010:1 w"] {
            let rule: CgroupRule = good.parse().unwrap();
            assert_eq!(String::from(rule), good.replace("010", "10"));
        }
        for bad in [
            "",
            "c 1:3",
            "d 1:3 r",
            "c 1 r",
            "c x:3 r",
            "c 1:3 x",
            "c 1:3 rwmr",
            "c  1:3 r",
            "c +1:3 r",
            "c : r",
        ] {
            assert!(bad.parse::<CgroupRule>().is_err(), "{bad}");
        }
    }
}
