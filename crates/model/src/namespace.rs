//! Which namespaces a container has for itself and which it shares: `--network`, `--pid`, `--ipc`, `--uts`, `--userns`, `--cgroupns`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// What `--network` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// A network namespace with `lo` only.
    None,
    /// The host's network namespace.
    Host,
    /// Another container's sandbox, by id, prefix or name.
    Container(String),
}

/// What `--pid` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PidMode {
    /// Its own.
    Private,
    /// The host's.
    Host,
    /// Another container's.
    Container(String),
}

/// What `--ipc` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpcMode {
    /// Its own, with a `/dev/shm` of its own; nobody may join them.
    Private,
    /// Its own, which others may join, with its `/dev/shm`.
    Shareable,
    /// Its own, without `/dev/shm`.
    None,
    /// The host's.
    Host,
    /// Another container's.
    Container(String),
}

/// What `--uts` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UtsMode {
    /// Its own.
    Private,
    /// The host's.
    Host,
}

/// What `--userns` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UsernsMode {
    /// Nothing was typed: one of its own, unless it asks for a power of the host's (see [`crate::power`]).
    Default,
    /// One of its own, or an error.
    Auto,
    /// The host's.
    Host,
}

/// What `--cgroupns` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CgroupnsMode {
    /// Its own.
    Private,
    /// The host's.
    Host,
}

/// The target of `container:NAME`, if the text has that form.
fn container_target(what: &'static str, text: &str) -> Option<Result<String, Invalid>> {
    let target = text.strip_prefix("container:")?;
    Some(match target {
        "" => Err(Invalid::new(what, text, "no container is named").hint("write `container:NAME`")),
        _ => Ok(target.to_owned()),
    })
}

impl FromStr for NetworkMode {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some(target) = container_target("network", text) {
            return target.map(NetworkMode::Container);
        }
        match text {
            "none" => Ok(NetworkMode::None),
            "host" => Ok(NetworkMode::Host),
            _ => Err(Invalid::new("network", text, "no such network: there are no bridge networks yet")
                .hint("use `none`, `host` or `container:NAME`")),
        }
    }
}

impl FromStr for PidMode {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some(target) = container_target("pid mode", text) {
            return target.map(PidMode::Container);
        }
        match text {
            "" | "private" => Ok(PidMode::Private),
            "host" => Ok(PidMode::Host),
            _ => {
                Err(Invalid::new("pid mode", text, "unknown")
                    .hint("use `private`, `host` or `container:NAME`"))
            }
        }
    }
}

impl FromStr for IpcMode {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some(target) = container_target("ipc mode", text) {
            return target.map(IpcMode::Container);
        }
        match text {
            "" | "private" => Ok(IpcMode::Private),
            "shareable" => Ok(IpcMode::Shareable),
            "none" => Ok(IpcMode::None),
            "host" => Ok(IpcMode::Host),
            _ => Err(Invalid::new("ipc mode", text, "unknown")
                .hint("use `private`, `shareable`, `none`, `host` or `container:NAME`")),
        }
    }
}

impl FromStr for UtsMode {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "" | "private" => Ok(UtsMode::Private),
            "host" => Ok(UtsMode::Host),
            _ => Err(Invalid::new("uts mode", text, "unknown").hint("use `private` or `host`")),
        }
    }
}

impl FromStr for UsernsMode {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "" => Ok(UsernsMode::Default),
            "auto" | "private" => Ok(UsernsMode::Auto),
            "host" => Ok(UsernsMode::Host),
            _ => Err(Invalid::new("userns mode", text, "unknown").hint("use `auto` or `host`")),
        }
    }
}

impl FromStr for CgroupnsMode {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "" | "private" => Ok(CgroupnsMode::Private),
            "host" => Ok(CgroupnsMode::Host),
            _ => Err(Invalid::new("cgroupns mode", text, "unknown").hint("use `private` or `host`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_parse() {
        assert_eq!("container:db".parse(), Ok(NetworkMode::Container("db".into())));
        assert_eq!("host".parse(), Ok(PidMode::Host));
        assert_eq!("none".parse(), Ok(IpcMode::None));
        assert_eq!("".parse(), Ok(UsernsMode::Default));
        assert!("container:".parse::<PidMode>().is_err());
        assert!("bridge".parse::<NetworkMode>().unwrap_err().hint.is_some());
        assert!("container:x".parse::<UtsMode>().is_err());
    }
}
