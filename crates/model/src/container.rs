//! What was asked of a container: everything that `create` keeps in the database.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::capability::CapChange;
use crate::cgroup::CgroupParent;
use crate::device::{CgroupRule, Device};
use crate::health::HealthConfig;
use crate::hosts::ExtraHost;
use crate::log::LogConfig;
use crate::mount::{MountSpec, VolumesFrom};
use crate::namespace::{CgroupnsMode, IpcMode, NetworkMode, PidMode, UsernsMode, UtsMode};
use crate::resources::Resources;
use crate::restart::RestartPolicy;
use crate::security::SecurityOpt;
use crate::signal::Signal;
use crate::ulimit::Ulimit;
use crate::user::{IdOrName, UserSpec};

/// Version of [`ContainerConfig`] as it is stored.
pub const CONFIG_VERSION: u32 = 1;
/// How long `stop` waits before it kills.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Size of `/dev/shm`.
pub const SHM_SIZE_BYTES: u64 = 64 << 20;

/// A container as it was asked for; the image's defaults are not merged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerConfig {
    /// [`CONFIG_VERSION`].
    pub version: u32,
    /// Arguments after the image; empty means the image's.
    pub cmd: Vec<String>,
    /// `--entrypoint`; `Some("")` clears the image's.
    pub entrypoint: Option<String>,
    /// `KEY=value`, or `KEY` alone to unset.
    pub env: Vec<String>,
    /// `-w`.
    pub working_dir: Option<String>,
    /// `-u`.
    pub user: Option<UserSpec>,
    /// `--hostname`.
    pub hostname: Option<String>,
    /// `-t`.
    pub tty: bool,
    /// `-i`.
    pub open_stdin: bool,
    /// `-d` was not given: streams are attached at the first start.
    pub attach: bool,
    /// `--rm`.
    pub auto_remove: bool,
    /// `--init`, or `--init=false`; absent: neither.
    pub init: Option<bool>,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `-v`, `--mount`, `--tmpfs`.
    pub mounts: Vec<MountSpec>,
    /// `--volumes-from`; what it brought is among `mounts`.
    pub volumes_from: Vec<VolumesFrom>,
    /// `--volume-driver`.
    pub volume_driver: Option<String>,
    /// `--read-only`.
    pub read_only: bool,
    /// `--cap-add`.
    pub cap_add: Vec<CapChange>,
    /// `--cap-drop`.
    pub cap_drop: Vec<CapChange>,
    /// `--privileged`.
    pub privileged: bool,
    /// `--security-opt`.
    pub security: Vec<SecurityOpt>,
    /// Cgroup limits.
    pub resources: Resources,
    /// `--oom-score-adj`.
    pub oom_score_adj: Option<i32>,
    /// `--ulimit`.
    pub ulimits: Vec<Ulimit>,
    /// `--shm-size`; 0 is the configured default, which `create` puts here.
    pub shm_size_bytes: u64,
    /// `--sysctl`.
    pub sysctls: BTreeMap<String, String>,
    /// `--device`.
    pub devices: Vec<Device>,
    /// `--network`.
    pub network: NetworkMode,
    /// `--pid`.
    pub pid: PidMode,
    /// `--ipc`.
    pub ipc: IpcMode,
    /// `--uts`.
    pub uts: UtsMode,
    /// `--userns`.
    pub userns: UsernsMode,
    /// `--cgroupns`.
    pub cgroupns: CgroupnsMode,
    /// `--stop-signal`.
    pub stop_signal: Option<Signal>,
    /// `--stop-timeout` in seconds; negative waits for ever.
    pub stop_timeout_s: Option<i64>,
    /// What only some containers ask for.
    #[serde(skip_serializing_if = "is_default")]
    pub more: MoreConfig,
}

/// What only some containers ask for: what nobody asked for takes no room in the row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MoreConfig {
    /// `--attach`: these streams and no others; empty is what `attach` says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attach_only: Vec<StreamName>,
    /// `--annotation`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// `--cidfile`, as it was typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cidfile: Option<String>,
    /// `--domainname`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,
    /// `--group-add`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group_add: Vec<IdOrName>,
    /// `--device-cgroup-rule`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_cgroup_rules: Vec<CgroupRule>,
    /// `--cgroup-parent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup_parent: Option<CgroupParent>,
    /// `--log-driver`, `--log-opt`.
    #[serde(skip_serializing_if = "is_default")]
    pub log: LogConfig,
    /// `--dns`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<IpAddr>,
    /// `--dns-search`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_search: Vec<String>,
    /// `--dns-option`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_options: Vec<String>,
    /// `--add-host`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_hosts: Vec<ExtraHost>,
    /// `--expose`: `80/tcp`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub exposed_ports: BTreeSet<String>,
    /// `--isolation`, which can only be the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<String>,
    /// `--restart`.
    #[serde(skip_serializing_if = "is_default")]
    pub restart: RestartPolicy,
    /// `--health-cmd` and the like; the image's is not merged in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthConfig>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamName {
    /// Standard input.
    Stdin,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl FromStr for StreamName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.to_ascii_lowercase().as_str() {
            "stdin" => Ok(StreamName::Stdin),
            "stdout" => Ok(StreamName::Stdout),
            "stderr" => Ok(StreamName::Stderr),
            _ => Err(Invalid::new("stream", text, "valid streams are STDIN, STDOUT and STDERR")),
        }
    }
}

impl ContainerConfig {
    /// Whether the command that runs it stays with its standard input, output and error.
    pub fn attached(&self) -> [bool; 3] {
        if !self.attach {
            return [false; 3];
        }
        let only = &self.more.attach_only;
        let output = |name| only.is_empty() || only.contains(&name);
        let stdin = self.open_stdin || only.contains(&StreamName::Stdin);
        [stdin, output(StreamName::Stdout), output(StreamName::Stderr)]
    }
}

impl Default for ContainerConfig {
    fn default() -> Self {
        Self {
            version: CONFIG_VERSION,
            cmd: Vec::new(),
            entrypoint: None,
            env: Vec::new(),
            working_dir: None,
            user: None,
            hostname: None,
            tty: false,
            open_stdin: false,
            attach: true,
            auto_remove: false,
            init: None,
            labels: BTreeMap::new(),
            mounts: Vec::new(),
            volumes_from: Vec::new(),
            volume_driver: None,
            read_only: false,
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            privileged: false,
            security: Vec::new(),
            resources: Resources::default(),
            oom_score_adj: None,
            ulimits: Vec::new(),
            shm_size_bytes: 0,
            sysctls: BTreeMap::new(),
            devices: Vec::new(),
            network: NetworkMode::None,
            pid: PidMode::Private,
            ipc: IpcMode::Private,
            uts: UtsMode::Private,
            userns: UsernsMode::Default,
            cgroupns: CgroupnsMode::Private,
            stop_signal: None,
            stop_timeout_s: None,
            more: MoreConfig::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_asked_for_takes_no_room() {
        let text = serde_json::to_string(&ContainerConfig::default()).unwrap();
        for word in ["more", "dns", "restart", "health", "annotations"] {
            assert!(!text.contains(word), "{text}");
        }
        let mut config = ContainerConfig::default();
        config.more.restart = RestartPolicy::OnFailure(3);
        config.more.dns = vec!["::1".parse().unwrap()];
        config.more.group_add = vec![IdOrName::Id(5), IdOrName::Name("disk".into())];
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<ContainerConfig>(&text).unwrap(), config, "{text}");
    }

    #[test]
    fn which_streams_are_attached() {
        let check = |attach: bool, stdin: bool, only: &[&str], expected: [bool; 3]| {
            let mut config = ContainerConfig { attach, open_stdin: stdin, ..Default::default() };
            config.more.attach_only = only.iter().map(|name| name.parse().unwrap()).collect();
            assert_eq!(config.attached(), expected, "{attach} {stdin} {only:?}");
        };
        check(true, false, &[], [false, true, true]);
        check(true, true, &[], [true, true, true]);
        check(false, true, &[], [false; 3]);
        check(true, false, &["STDOUT"], [false, true, false]);
        check(true, true, &["stderr"], [true, false, true]);
        check(true, false, &["stdin"], [true, false, false]);
        assert!("stdlog".parse::<StreamName>().is_err());
    }
}
