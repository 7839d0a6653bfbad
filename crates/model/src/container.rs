//! What was asked of a container: everything that `create` keeps in the database.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::capability::CapChange;
use crate::device::Device;
use crate::mount::MountSpec;
use crate::namespace::{CgroupnsMode, IpcMode, NetworkMode, PidMode, UsernsMode, UtsMode};
use crate::resources::Resources;
use crate::security::SecurityOpt;
use crate::signal::Signal;
use crate::ulimit::Ulimit;
use crate::user::UserSpec;

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
        }
    }
}
