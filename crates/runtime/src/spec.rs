//! The OCI runtime-spec's `config.json`, version 1.2: the fields that are honoured here.
//!
//! Plain data that keeps the specification's names and shapes, with two extensions: `process.user.cortenName`, and
//! `cortenOwner` of a mount.
//! What a field means is decided in `plan`; hooks, Solaris, Windows and VM parts aren't read.

use std::collections::BTreeMap;

use corten_model::capability::Capability;
use corten_model::idmap::{Extent, IdMap};
use corten_model::mount::Owner;
use corten_model::user::{IdOrName, UserSpec};
use serde::{Deserialize, Serialize};

/// A container to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// `1.2.0`, or an older 1.x.
    pub oci_version: String,
    /// The process that is started.
    pub process: Process,
    /// Where its files are.
    pub root: Root,
    /// The host name in its UTS namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// The domain name in its UTS namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domainname: String,
    /// What is mounted, in this order.
    pub mounts: Vec<Mount>,
    /// What is of Linux only.
    pub linux: Linux,
    /// Free text by key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A process of the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Process {
    /// Its streams are a terminal.
    pub terminal: bool,
    /// The terminal's size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_size: Option<ConsoleSize>,
    /// Who it runs as.
    pub user: User,
    /// The program and its arguments; at least one.
    pub args: Vec<String>,
    /// `KEY=value`.
    pub env: Vec<String>,
    /// The absolute path of its working directory.
    pub cwd: String,
    /// Its capabilities; absent are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// Its resource limits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rlimits: Vec<Rlimit>,
    /// No program it executes gains privileges.
    pub no_new_privileges: bool,
    /// An AppArmor profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apparmor_profile: Option<String>,
    /// How ready the OOM killer is to take it, -1000 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    /// An SELinux label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selinux_label: Option<String>,
}

/// The size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleSize {
    /// Lines.
    pub height: u16,
    /// Columns.
    pub width: u16,
}

/// Who a process runs as.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// The user id inside the container.
    pub uid: u32,
    /// The group id inside the container.
    pub gid: u32,
    /// Groups beside `gid`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_gids: Vec<u32>,
    /// The file mode creation mask; absent is 022.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    /// An extension: looked up in the container's own `/etc/passwd` and `/etc/group`; wins over `uid` and `gid`.
    #[serde(rename = "cortenName", skip_serializing_if = "Option::is_none")]
    pub name: Option<UserSpec>,
    /// An extension: groups beside `gid`, looked up in the container's own `/etc/group`.
    #[serde(rename = "cortenGroups", skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<IdOrName>,
}

/// Five sets of capabilities.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// What execve can ever give.
    pub bounding: Vec<Capability>,
    /// What is in force.
    pub effective: Vec<Capability>,
    /// What lives through execve together with the file's own; only what is ambient too is kept.
    pub inheritable: Vec<Capability>,
    /// What can be taken into force.
    pub permitted: Vec<Capability>,
    /// What lives through execve of a program without capabilities of its own.
    pub ambient: Vec<Capability>,
}

/// One resource limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// `RLIMIT_NOFILE` and so on.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the process is held to; `u64::MAX` is unlimited.
    pub soft: u64,
    /// What it may raise it to.
    pub hard: u64,
}

/// The root file system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Root {
    /// Where it is on the host; whoever makes the mount knows, nothing here reads it.
    pub path: String,
    /// It can't be written to.
    pub readonly: bool,
}

/// One mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// The absolute path in the container.
    pub destination: String,
    /// The file system's type, or `bind`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The path on the host of a bind, else a name that the mount table shows.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Options as mount(8) has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// An extension: whose files those of the source's owner are.
    #[serde(rename = "cortenOwner", skip_serializing_if = "Owner::is_plain")]
    pub owner: Owner,
}

/// What is of Linux only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Linux {
    /// Namespaces that aren't the host's.
    pub namespaces: Vec<Namespace>,
    /// Ids of users in the user namespace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<IdMapping>,
    /// Ids of groups in the user namespace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<IdMapping>,
    /// Device nodes beside the standard ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// Limits, for whoever makes the cgroup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<serde_json::Value>,
    /// The cgroup's path, for whoever makes it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cgroups_path: String,
    /// Kernel parameters of the container's namespaces.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctl: BTreeMap<String, String>,
    /// Paths that read as empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub masked_paths: Vec<String>,
    /// Paths that can't be written to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub readonly_paths: Vec<String>,
    /// `private`, `slave`, `shared`, each also with `r`; empty is private.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rootfs_propagation: String,
}

/// The kind of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NsKind {
    /// Users and capabilities.
    User,
    /// Mounts.
    Mount,
    /// Processes.
    Pid,
    /// Network.
    #[serde(rename = "network")]
    Net,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Host name.
    Uts,
    /// The view of cgroups.
    Cgroup,
}

impl NsKind {
    /// The name that messages and `/proc/<pid>/ns` use.
    pub fn word(self) -> &'static str {
        match self {
            NsKind::User => "user",
            NsKind::Mount => "mnt",
            NsKind::Pid => "pid",
            NsKind::Net => "net",
            NsKind::Ipc => "ipc",
            NsKind::Uts => "uts",
            NsKind::Cgroup => "cgroup",
        }
    }
}

/// A namespace that isn't the host's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Which kind.
    #[serde(rename = "type")]
    pub kind: NsKind,
    /// One that exists, to join; empty is a new one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
}

/// One extent of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMapping {
    /// First id inside.
    #[serde(rename = "containerID")]
    pub container_id: u32,
    /// First id outside.
    #[serde(rename = "hostID")]
    pub host_id: u32,
    /// How many.
    pub size: u32,
}

/// A device node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Device {
    /// The absolute path in the container.
    pub path: String,
    /// `c`, `u`, `b` or `p`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits; absent is 0666.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_mode: Option<u32>,
    /// The owner inside the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The group inside the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
}

impl Linux {
    /// Whether the spec names this kind of namespace, new or to join.
    pub fn has(&self, kind: NsKind) -> bool {
        self.namespaces.iter().any(|n| n.kind == kind)
    }

    /// The maps of the user namespace.
    pub fn id_map(&self) -> IdMap {
        let extents = |mappings: &[IdMapping]| {
            mappings
                .iter()
                .map(|m| Extent { inside: m.container_id, outside: m.host_id, count: m.size })
                .collect()
        };
        IdMap { uids: extents(&self.uid_mappings), gids: extents(&self.gid_mappings) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_names_are_read_and_written() {
        let text = r#"{"ociVersion":"1.2.0",
            "process":{"terminal":true,"consoleSize":{"height":24,"width":80},"args":["sh"],"cwd":"/",
              "user":{"uid":1,"gid":2,"additionalGids":[3],"umask":18,"cortenName":"www-data:33"},
              "capabilities":{"bounding":["CAP_CHOWN"]},"noNewPrivileges":true,"oomScoreAdj":5,
              "rlimits":[{"type":"RLIMIT_NOFILE","soft":1,"hard":2}]},
            "root":{"path":"rootfs","readonly":true},"hostname":"h","hooks":{},
            "mounts":[{"destination":"/proc","type":"proc","source":"proc"}],
            "linux":{"namespaces":[{"type":"network"},{"type":"pid","path":"/proc/1/ns/pid"}],
              "uidMappings":[{"containerID":0,"hostID":1000,"size":1}],"maskedPaths":["/proc/kcore"],
              "devices":[{"path":"/dev/fuse","type":"c","major":10,"minor":229,"fileMode":438}],
              "rootfsPropagation":"rslave","sysctl":{"net.ipv4.ip_forward":"1"}}}"#;
        let spec: Spec = serde_json::from_str(text).unwrap();
        assert_eq!(spec.process.user.name, Some("www-data:33".parse().unwrap()));
        assert_eq!(spec.linux.namespaces[0].kind, NsKind::Net);
        assert_eq!(spec.linux.id_map().uid_outside(0), Some(1000));
        assert_eq!(spec.linux.devices[0].file_mode, Some(0o666));
        let again: Spec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
        assert_eq!(again, spec);
    }

    #[test]
    fn what_is_absent_is_empty() {
        let spec: Spec = serde_json::from_str("{}").unwrap();
        assert_eq!(spec, Spec::default());
        assert!(serde_json::from_str::<Spec>(r#"{"linux":{"namespaces":[{"type":"warp"}]}}"#).is_err());
    }
}
