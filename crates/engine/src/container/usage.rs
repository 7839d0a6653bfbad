//! What a container uses, for `stats`.

use std::time::Duration;

use corten_model::{ContainerId, Name};
use corten_runtime::cgroup::Usage;

use super::{reconcile, resolve};
use crate::error::Doing;
use crate::{Engine, Error, Result, keeper};

/// One look at a container. A stopped one uses nothing.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: Name,
    /// When it was taken, on the monotonic clock.
    pub taken: std::time::Instant,
    /// CPU time since its start.
    pub cpu: Option<Duration>,
    /// Bytes of memory in use.
    pub memory_bytes: Option<u64>,
    /// What it may use, bytes: its limit, or the host's memory.
    pub memory_limit_bytes: u64,
    /// Bytes that its network interfaces received, loopback left out.
    pub received_bytes: u64,
    /// Bytes that they sent.
    pub sent_bytes: u64,
    /// Bytes read from block devices.
    pub block_read_bytes: Option<u64>,
    /// Bytes written to block devices.
    pub block_write_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

/// Looks at a container.
pub fn sample(engine: &mut Engine, target: &str) -> Result<Sample> {
    sample_resolved(engine, target).doing("read the usage of container", target)
}

fn sample_resolved(engine: &mut Engine, target: &str) -> Result<Sample> {
    let container = resolve(engine, target)?;
    let gone = || Error::NoSuch { what: "container", name: target.to_owned() };
    let container = reconcile(engine, container)?.ok_or_else(gone)?;
    let mut usage = Usage::default();
    let mut traffic = (0, 0);
    if container.state.status.is_alive() {
        let host = keeper::cgroup_host(&engine.roots().run, &container.id)?;
        // An ordinary user's container may have no group, one that just ended has none any more.
        usage = host
            .open(&keeper::cgroup_path(&engine.roots().run, &container.id))
            .map(|group| group.usage())
            .unwrap_or_default();
        traffic = container.state.pid.map(interfaces).unwrap_or_default();
    }
    Ok(Sample {
        id: container.id,
        name: container.name,
        taken: std::time::Instant::now(),
        cpu: usage.cpu,
        memory_bytes: usage.memory_bytes,
        memory_limit_bytes: usage.memory_limit_bytes.unwrap_or_else(host_memory_bytes),
        received_bytes: traffic.0,
        sent_bytes: traffic.1,
        block_read_bytes: usage.block_read_bytes,
        block_write_bytes: usage.block_write_bytes,
        pids: usage.pids,
    })
}

/// Received and sent bytes of all interfaces but loopback, in the network namespace of a process.
fn interfaces(pid: i32) -> (u64, u64) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default();
    let counters = text.lines().filter_map(counters);
    counters.fold((0, 0), |(received, sent), (r, s)| (received + r, sent + s))
}

/// `eth0: 12 0 0 0 0 0 0 0 34 …`: bytes received are the first number, bytes sent the ninth.
fn counters(line: &str) -> Option<(u64, u64)> {
    let (name, numbers) = line.split_once(':')?;
    if name.trim() == "lo" {
        return None;
    }
    let mut numbers = numbers.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.nth(7)?.ok()?))
}

fn host_memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    (info.totalram as u64).saturating_mul(u64::from(info.mem_unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_does_not_count() {
        assert_eq!(counters("    lo: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0"), None);
        assert_eq!(counters("  eth0: 12 1 0 0 0 0 0 0 34 1 0 0 0 0 0 0"), Some((12, 34)));
        assert_eq!(counters(" face |bytes    packets errs drop"), None);
    }
}
