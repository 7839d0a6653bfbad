//! What can be known to be wrong with a spec without asking the kernel.

use corten_model::Invalid;
use corten_model::mount::clean_target;

use super::Facts;
use crate::limits;
use crate::spec::{NsKind, Process, Spec};

/// Checks what a start asks for.
pub fn spec(spec: &Spec, facts: &Facts) -> Result<(), Invalid> {
    self::process(&spec.process)?;
    if !spec.linux.has(NsKind::Mount) {
        return Err(Invalid::new("namespaces", "mount", "a container needs a mount namespace of its own"));
    }
    if facts.joins.contains(&NsKind::Mount) {
        return Err(Invalid::new("namespaces", "mount", "a mount namespace can't be joined by a start"));
    }
    let maps = (spec.linux.uid_mappings.is_empty(), spec.linux.gid_mappings.is_empty());
    let joins_user = facts.joins.contains(&NsKind::User);
    if maps.0 != maps.1 {
        return Err(Invalid::new("id mappings", "", "uids and gids are mapped both or neither"));
    }
    if spec.linux.has(NsKind::User) && maps.0 && !joins_user {
        return Err(Invalid::new("id mappings", "", "a new user namespace needs them"));
    }
    if facts.rootless && maps.0 && !joins_user {
        return Err(Invalid::new("id mappings", "", "without root a container needs a user namespace"));
    }
    let own_name = spec.linux.has(NsKind::Uts) || facts.joins.contains(&NsKind::Uts);
    if !spec.hostname.is_empty() && !own_name {
        return Err(Invalid::new("host name", &spec.hostname, "it would be the host's: no UTS namespace"));
    }
    let has = |kind: NsKind| spec.linux.has(kind) || facts.joins.contains(&kind);
    for key in spec.linux.sysctl.keys() {
        check_sysctl(key, &has)?;
    }
    if !matches!(
        spec.linux.rootfs_propagation.as_str(),
        "" | "private"
            | "rprivate"
            | "slave"
            | "rslave"
            | "shared"
            | "rshared"
            | "unbindable"
            | "runbindable"
    ) {
        return Err(Invalid::new("root propagation", &spec.linux.rootfs_propagation, "unknown"));
    }
    for path in spec.linux.masked_paths.iter().chain(&spec.linux.readonly_paths) {
        clean_target(path).map_err(|why| Invalid::new("masked or read-only path", path, why))?;
    }
    for device in &spec.linux.devices {
        let inside = clean_target(&device.path).map_err(|why| Invalid::new("device", &device.path, why))?;
        if !inside.starts_with("/dev/") || !matches!(device.kind.as_str(), "c" | "u" | "b" | "p") {
            return Err(Invalid::new("device", &device.path, "it is of type c, u, b or p and below /dev"));
        }
    }
    Ok(())
}

/// Checks what a start and an exec have in common.
pub fn process(process: &Process) -> Result<(), Invalid> {
    if process.args.first().is_none_or(String::is_empty) {
        return Err(
            Invalid::new("command", "", "there is none").hint("name a command, or set CMD in the image")
        );
    }
    if !process.cwd.starts_with('/') {
        return Err(Invalid::new("working directory", &process.cwd, "it must be absolute"));
    }
    let strings = process.args.iter().chain(&process.env).chain([&process.cwd]);
    if let Some(bad) = strings.into_iter().find(|s| s.contains('\0')) {
        return Err(Invalid::new("argument or variable", bad.replace('\0', "\\0"), "it has a NUL in it"));
    }
    for (index, limit) in process.rlimits.iter().enumerate() {
        let bad = |why: &str| Err(Invalid::new("resource limit", &limit.kind, why));
        if limits::resource(&limit.kind).is_none() {
            return bad("unknown");
        }
        if limit.soft > limit.hard {
            return bad("the soft limit is above the hard limit");
        }
        if process.rlimits[..index].iter().any(|l| l.kind == limit.kind) {
            return bad("it is given twice");
        }
    }
    if let Some(score) = process.oom_score_adj.filter(|s| !(-1000..=1000).contains(s)) {
        return Err(Invalid::new("OOM score", score.to_string(), "it is between -1000 and 1000"));
    }
    Ok(())
}

/// A kernel parameter must be one of a namespace that isn't the host's.
fn check_sysctl(key: &str, has: &dyn Fn(NsKind) -> bool) -> Result<(), Invalid> {
    let path = sysctl_path(key);
    let bad = |why: &str| Err(Invalid::new("kernel parameter", key, why));
    if path.is_empty() || path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return bad("not a name");
    }
    let ipc = ["kernel/msg", "kernel/sem", "kernel/shm", "fs/mqueue/"].iter().any(|p| path.starts_with(p));
    let uts = matches!(path.as_str(), "kernel/domainname" | "kernel/hostname");
    match () {
        () if path.starts_with("net/") && has(NsKind::Net) => Ok(()),
        () if ipc && has(NsKind::Ipc) => Ok(()),
        () if uts && has(NsKind::Uts) => Ok(()),
        () if path.starts_with("user/") && has(NsKind::User) => Ok(()),
        () => bad("it is not of a namespace that the container has: it would be the host's"),
    }
}

/// The path below `/proc/sys`: dots and slashes change places if a dot comes first.
pub fn sysctl_path(key: &str) -> String {
    match key.find(['.', '/']) {
        Some(first) if key.as_bytes()[first] == b'.' => key
            .chars()
            .map(|c| {
                if c == '.' {
                    '/'
                } else if c == '/' {
                    '.'
                } else {
                    c
                }
            })
            .collect(),
        _ => key.to_owned(),
    }
}
