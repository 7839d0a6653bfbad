//! `info`: what this store holds and what this host can do.

use corten_model::state::Status;
use corten_runtime::cgroup::{Driver, Host};
use serde_json::json;

use crate::container::{self, ListFilter};
use crate::{Engine, Result, ids, image};

/// What `info` shows, in the shape of Docker's `GET /info` where a field exists there.
pub fn info(engine: &mut Engine) -> Result<serde_json::Value> {
    let containers = container::list(engine, &ListFilter { all: true })?;
    let count = |status: &[Status]| containers.iter().filter(|c| status.contains(&c.status)).count();
    let images = image::list(engine)?.len();
    let cgroups = Host::detect()?;
    let uname = rustix::system::uname();
    let mut warnings = Vec::new();
    if engine.is_rootless() {
        warnings.extend(ids::rootless_map()?.1);
    }
    Ok(json!({
        "Containers": containers.len(),
        "ContainersRunning": count(&[Status::Running, Status::Restarting]),
        "ContainersPaused": count(&[Status::Paused]),
        "ContainersStopped": count(&[Status::Created, Status::Exited, Status::Dead]),
        "Images": images,
        "Driver": "overlay",
        "CgroupDriver": if cgroups.driver() == Driver::Systemd { "systemd" } else { "cgroupfs" },
        "CgroupVersion": cgroups.version(),
        "KernelVersion": uname.release().to_string_lossy(),
        "OperatingSystem": operating_system(),
        "OSType": "linux",
        "Architecture": uname.machine().to_string_lossy(),
        "NCPU": std::thread::available_parallelism().map_or(1, usize::from),
        "MemTotal": memory_total_bytes(),
        "Name": uname.nodename().to_string_lossy(),
        "DockerRootDir": engine.roots().data,
        "RunRoot": engine.roots().run,
        "Rootless": engine.is_rootless(),
        "LoggingDriver": "json-file",
        "ServerVersion": env!("CARGO_PKG_VERSION"),
        "SecurityOptions": security_options(engine.is_rootless()),
        "Warnings": warnings,
    }))
}

fn security_options(rootless: bool) -> Vec<&'static str> {
    let mut options = vec!["name=seccomp,profile=builtin", "name=userns"];
    if rootless {
        options.push("name=rootless");
    }
    options
}

/// PRETTY_NAME of os-release(5).
fn operating_system() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches('"').to_owned())
}

fn memory_total_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}
