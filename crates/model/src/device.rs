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
}
