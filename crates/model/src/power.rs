//! The powers that the kernel gives only in the host's user namespace: one table.
//!
//! A container that asks for one of them runs with `--userns=host`, and `inspect` and `ps` say why. An explicit
//! `--userns=auto` with it is an error that names what would be lost.

use serde::{Deserialize, Serialize};

use crate::container::ContainerConfig;
use crate::namespace::{IpcMode, NetworkMode, PidMode, UsernsMode, UtsMode};
use crate::{Invalid, capability};

/// A power that needs the host's user namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// `--privileged`.
    Privileged,
    /// `--network host`.
    HostNetwork,
    /// `--pid host`.
    HostPid,
    /// `--ipc host`.
    HostIpc,
    /// `--uts host`: sethostname there is the host's.
    HostUts,
    /// A capability that is checked against the first user namespace.
    Capability(capability::Capability),
    /// A sysctl that only the host's root may write.
    Sysctl(String),
}

/// Capabilities that do nothing in any other user namespace, with what they give.
pub const HOST_CAPABILITIES: [(&str, &str); 10] = [
    ("SYS_MODULE", "loading kernel modules"),
    ("SYS_RAWIO", "raw access to I/O ports and memory"),
    ("SYS_TIME", "setting the clock"),
    ("SYS_BOOT", "rebooting the machine"),
    ("SYSLOG", "reading the kernel's log"),
    ("MAC_ADMIN", "changing LSM policy"),
    ("MAC_OVERRIDE", "overriding LSM policy"),
    ("WAKE_ALARM", "timers that wake the machine"),
    ("BLOCK_SUSPEND", "keeping the machine awake"),
    ("AUDIT_CONTROL", "changing the kernel's auditing"),
];

/// Sysctls of a namespace that the kernel lets only the first user namespace's root write.
pub const HOST_SYSCTL_PREFIXES: [&str; 2] = ["kernel.msg", "kernel.sem"];

impl Power {
    /// What was typed that asks for it.
    pub fn asked_by(&self) -> String {
        match self {
            Power::Privileged => "--privileged".into(),
            Power::HostNetwork => "--network host".into(),
            Power::HostPid => "--pid host".into(),
            Power::HostIpc => "--ipc host".into(),
            Power::HostUts => "--uts host".into(),
            Power::Capability(c) => format!("--cap-add {}", c.short_name()),
            Power::Sysctl(key) => format!("--sysctl {key}"),
        }
    }
}

/// The powers that `config` asks for.
pub fn asked(config: &ContainerConfig) -> Vec<Power> {
    let mut powers = Vec::new();
    if config.privileged {
        powers.push(Power::Privileged);
    }
    if config.network == NetworkMode::Host {
        powers.push(Power::HostNetwork);
    }
    if config.pid == PidMode::Host {
        powers.push(Power::HostPid);
    }
    if config.ipc == IpcMode::Host {
        powers.push(Power::HostIpc);
    }
    if config.uts == UtsMode::Host {
        powers.push(Power::HostUts);
    }
    for change in &config.cap_add {
        if let capability::CapChange::One(capability) = change
            && HOST_CAPABILITIES.iter().any(|(name, _)| *name == capability.short_name())
        {
            powers.push(Power::Capability(*capability));
        }
    }
    for key in config.sysctls.keys() {
        if HOST_SYSCTL_PREFIXES.iter().any(|prefix| key.starts_with(prefix)) {
            powers.push(Power::Sysctl(key.clone()));
        }
    }
    powers
}

/// Whether the container runs in the host's user namespace, and because of which powers.
pub fn decide(config: &ContainerConfig) -> Result<(bool, Vec<Power>), Invalid> {
    let powers = asked(config);
    match config.userns {
        UsernsMode::Host => Ok((true, powers)),
        UsernsMode::Default => Ok((!powers.is_empty(), powers)),
        UsernsMode::Auto if powers.is_empty() => Ok((false, powers)),
        UsernsMode::Auto => {
            let lost: Vec<_> = powers.iter().map(Power::asked_by).collect();
            Err(Invalid::new(
                "userns mode",
                "auto",
                format!("{} would be without effect there", lost.join(", ")),
            )
            .hint("leave out `--userns` or use `--userns host`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut ContainerConfig), expected: &str) {
        let mut config = ContainerConfig::default();
        change(&mut config);
        let (host, powers) = decide(&config).unwrap();
        assert_eq!(powers.iter().map(Power::asked_by).collect::<Vec<_>>().join(" "), expected);
        assert_eq!(host, !powers.is_empty());
        config.userns = UsernsMode::Auto;
        assert_eq!(decide(&config).is_err(), !powers.is_empty(), "{expected}");
    }

    #[test]
    fn each_row_needs_the_hosts_user_namespace() {
        check(|_| {}, "");
        check(|c| c.privileged = true, "--privileged");
        check(|c| c.network = NetworkMode::Host, "--network host");
        check(|c| c.pid = PidMode::Host, "--pid host");
        check(|c| c.ipc = IpcMode::Host, "--ipc host");
        check(|c| c.uts = UtsMode::Host, "--uts host");
        for (name, _) in HOST_CAPABILITIES {
            check(|c| c.cap_add.push(name.parse().unwrap()), &format!("--cap-add {name}"));
        }
        check(|c| c.cap_add.push("NET_ADMIN".parse().unwrap()), "");
        check(|c| drop(c.sysctls.insert("kernel.msgmax".into(), "1".into())), "--sysctl kernel.msgmax");
        check(|c| drop(c.sysctls.insert("net.ipv4.ip_forward".into(), "1".into())), "");
    }
}
