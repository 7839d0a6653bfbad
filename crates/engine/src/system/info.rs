//! `info`: what this store holds, what this host can do, and what it lacks.

use std::path::Path;

use corten_model::state::Status;
use corten_runtime::cgroup::{Driver, Host};
use serde_json::{Value, json};

use super::features;
use super::needs::{Need, User, needs, release_of};
use crate::container::{self, ListFilter};
use crate::{Engine, Result, ids, image};

/// The registry that names without one mean.
const DEFAULT_REGISTRY: &str = "https://index.docker.io/v1/";
/// What runs the containers.
const RUNTIME: &str = "corten";

/// What `info` shows, in the shape of Docker's `GET /info` where a field exists there.
pub fn info(engine: &mut Engine) -> Result<Value> {
    let cgroups = Host::detect()?;
    let mut info = json!({});
    let parts =
        [of_store(engine)?, of_host(), of_limits(engine, &cgroups), of_program(engine), lacking(engine)?];
    for part in parts {
        let Value::Object(fields) = part else { continue };
        info.as_object_mut().expect("it was made as one").extend(fields);
    }
    Ok(info)
}

fn of_store(engine: &mut Engine) -> Result<Value> {
    let containers = container::list(engine, &ListFilter { all: true })?;
    let count = |status: &[Status]| containers.iter().filter(|c| status.contains(&c.status)).count();
    let images = image::list(engine)?.len();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let data = &engine.roots().data;
    Ok(json!({
        "Containers": containers.len(),
        "ContainersRunning": count(&[Status::Running, Status::Restarting]),
        "ContainersPaused": count(&[Status::Paused]),
        "ContainersStopped": count(&[Status::Created, Status::Exited, Status::Dead]),
        "Images": images,
        "Driver": "overlay",
        "DriverStatus": [["Backing Filesystem", file_system(&mounts, data)]],
        "DockerRootDir": data,
        "RunRoot": engine.roots().run,
    }))
}

fn of_host() -> Value {
    let uname = rustix::system::uname();
    let os_release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let forwarding = std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap_or_default();
    let release = uname.release().to_string_lossy();
    json!({
        "KernelVersion": release,
        "KernelFeatures": features::of_release(release_of(&release).unwrap_or_default()),
        "OperatingSystem": os_field(&os_release, "PRETTY_NAME").unwrap_or("Linux"),
        "OSVersion": os_field(&os_release, "VERSION_ID").unwrap_or_default(),
        "OSType": "linux",
        "Architecture": uname.machine().to_string_lossy(),
        "NCPU": std::thread::available_parallelism().map_or(1, usize::from),
        "MemTotal": memory_total_bytes(),
        "Name": uname.nodename().to_string_lossy(),
        "SystemTime": jiff::Timestamp::now().to_string(),
        "IPv4Forwarding": forwarding.trim() == "1",
    })
}

/// What containers of this caller can be limited by.
fn of_limits(engine: &Engine, cgroups: &Host) -> Value {
    // An ordinary user has no groups of its own in v1's hierarchies.
    let mode = cgroups.version();
    let found = if engine.is_rootless() && mode != "2" { Vec::new() } else { cgroups.controllers() };
    let has = |name: &str| found.iter().any(|controller| controller == name);
    let v2 = mode == "2";
    let swap = v2 || Path::new("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists();
    json!({
        "CgroupDriver": if cgroups.driver() == Driver::Systemd { "systemd" } else { "cgroupfs" },
        // Docker counts a hybrid host as one of v1.
        "CgroupVersion": if v2 { "2" } else { "1" },
        "CgroupMode": mode,
        "MemoryLimit": has("memory"),
        "SwapLimit": has("memory") && swap,
        "CpuCfsPeriod": has("cpu"),
        "CpuCfsQuota": has("cpu"),
        "CPUShares": has("cpu"),
        "CPUSet": has("cpuset"),
        "PidsLimit": has("pids"),
        "OomKillDisable": has("memory") && !v2,
    })
}

fn of_program(engine: &Engine) -> Value {
    let mut security = vec!["name=seccomp,profile=builtin", "name=userns", "name=cgroupns"];
    if engine.is_rootless() {
        security.push("name=rootless");
    }
    json!({
        "ServerVersion": env!("CARGO_PKG_VERSION"),
        "Rootless": engine.is_rootless(),
        "SecurityOptions": security,
        "LoggingDriver": "json-file",
        "Plugins": { "Volume": ["local"], "Network": ["host", "null"], "Authorization": null, "Log": ["json-file"] },
        "Runtimes": { RUNTIME: { "path": RUNTIME } },
        "DefaultRuntime": RUNTIME,
        "InitBinary": RUNTIME,
        "Swarm": { "NodeID": "", "LocalNodeState": "inactive", "ControlAvailable": false },
        "IndexServerAddress": DEFAULT_REGISTRY,
        "Labels": [],
        "Debug": false,
        "ExperimentalBuild": false,
        // There is nothing whose end could take containers along.
        "LiveRestoreEnabled": true,
    })
}

fn lacking(engine: &Engine) -> Result<Value> {
    let uid = rustix::process::geteuid().as_raw();
    // Who has no name has no subordinate ids either, unless by number.
    let user = super::user(&uid.to_string()).unwrap_or_else(|_| User { name: uid.to_string(), uid });
    let needs: Vec<Need> = needs(&user).into_iter().filter(|need| need.hurts).collect();
    let mut warnings: Vec<String> = needs.iter().map(|need| need.what.clone()).collect();
    let told = |what: &str| needs.iter().any(|need| need.what.contains(what));
    if engine.is_rootless()
        && let (_, Some(warning)) = ids::rootless_map()?
        && !told("one user id only")
        && !told("one id only")
    {
        warnings.push(warning);
    }
    let missing = needs.iter().map(|need| json!({ "What": need.what, "Remedy": need.remedy.to_string() }));
    Ok(json!({ "Warnings": warnings, "Missing": missing.collect::<Vec<_>>() }))
}

/// The kind of the file system that a path is on, out of /proc/self/mounts.
fn file_system<'m>(mounts: &'m str, path: &Path) -> &'m str {
    let mount = |line: &'m str| {
        let mut words = line.split(' ');
        let (target, kind) = (words.nth(1)?, words.next()?);
        path.starts_with(target).then_some((target.len(), kind))
    };
    // Of several at one place the last one is seen.
    mounts.lines().filter_map(mount).max_by_key(|(length, _)| *length).map_or("unknown", |(_, kind)| kind)
}

/// A field of os-release(5).
fn os_field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        .map(|value| value.trim_matches('"'))
}

fn memory_total_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "/dev/sda / ext4 rw 0 0\ntmpfs /var tmpfs rw 0 0\n/dev/sdb /var btrfs rw 0 0\nx /variable xfs rw 0 0\n";
        let check = |path: &str, expected: &str| assert_eq!(file_system(mounts, Path::new(path)), expected);
        check("/var/lib/corten", "btrfs");
        check("/home", "ext4");
        check("/variable/x", "xfs");
        assert_eq!(file_system("", Path::new("/")), "unknown");
    }

    #[test]
    fn names_of_systems() {
        let text = "NAME=\"Debian GNU/Linux\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID=12\n";
        assert_eq!(os_field(text, "PRETTY_NAME"), Some("Debian GNU/Linux 12"));
        assert_eq!((os_field(text, "VERSION_ID"), os_field(text, "ID")), (Some("12"), None));
    }
}
