//! The limits that `run`, `create` and `update` share, and those that only a new container can be given.

use corten_model::resources::{self, OnDevice, Resources};
use corten_model::{Invalid, bytes};

// No doc comment: clap would take it for the help of the command that these flags are part of.
#[derive(clap::Args, Debug, Default)]
pub struct ResourceFlags {
    /// Block IO (relative weight), between 10 and 1000, or 0 to disable
    #[arg(long, value_name = "WEIGHT")]
    blkio_weight: Option<u16>,
    /// Limit CPU CFS (Completely Fair Scheduler) period, in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_period: Option<u64>,
    /// Limit CPU CFS (Completely Fair Scheduler) quota, in microseconds; -1 is no limit
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_quota: Option<i64>,
    /// Limit the CPU real-time period in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_rt_period: Option<u64>,
    /// Limit the CPU real-time runtime in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_rt_runtime: Option<u64>,
    /// CPU shares (relative weight)
    #[arg(short, long, value_name = "SHARES")]
    cpu_shares: Option<u64>,
    /// Number of CPUs
    #[arg(long, value_name = "NUMBER")]
    cpus: Option<String>,
    /// CPUs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// MEMs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Memory limit
    #[arg(short, long, value_name = "BYTES", value_parser = memory_limit)]
    memory: Option<u64>,
    /// Memory soft limit
    #[arg(long, value_name = "BYTES", value_parser = memory_limit)]
    memory_reservation: Option<u64>,
    /// Swap limit equal to memory plus swap: '-1' to enable unlimited swap
    #[arg(long, value_name = "BYTES", value_parser = swap_limit)]
    memory_swap: Option<i64>,
    /// Limit of processes and threads (set -1 for unlimited)
    #[arg(long, value_name = "NUMBER")]
    pids_limit: Option<i64>,
}

// No doc comment: see above.
#[derive(clap::Args, Debug, Default)]
pub struct FixedResourceFlags {
    /// Block IO weight (relative device weight): PATH:WEIGHT
    #[arg(long, value_name = "DEVICE", value_parser = resources::parse_weight_device)]
    blkio_weight_device: Vec<OnDevice>,
    /// Limit read rate (bytes per second) from a device: PATH:RATE[UNIT]
    #[arg(long, value_name = "DEVICE", value_parser = resources::parse_device_bps)]
    device_read_bps: Vec<OnDevice>,
    /// Limit read rate (IO per second) from a device: PATH:RATE
    #[arg(long, value_name = "DEVICE", value_parser = resources::parse_device_iops)]
    device_read_iops: Vec<OnDevice>,
    /// Limit write rate (bytes per second) to a device: PATH:RATE[UNIT]
    #[arg(long, value_name = "DEVICE", value_parser = resources::parse_device_bps)]
    device_write_bps: Vec<OnDevice>,
    /// Limit write rate (IO per second) to a device: PATH:RATE
    #[arg(long, value_name = "DEVICE", value_parser = resources::parse_device_iops)]
    device_write_iops: Vec<OnDevice>,
    /// Tune container memory swappiness (0 to 100); -1 leaves it
    #[arg(long, value_name = "PERCENT", value_parser = swappiness)]
    memory_swappiness: Option<Swappiness>,
    /// Disable OOM Killer
    #[arg(long)]
    oom_kill_disable: bool,
}

impl ResourceFlags {
    /// The limits; zero is Docker's word for none. `cpus` tells how many CPUs there are.
    pub fn limits(self, cpus: &dyn Fn() -> usize) -> Result<Resources, Invalid> {
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let not_zero = |number: Option<u64>| number.filter(|number| *number != 0);
        Ok(Resources {
            memory_bytes: not_zero(self.memory),
            memory_swap_bytes: self.memory_swap.filter(|bytes| *bytes != 0),
            memory_reservation_bytes: not_zero(self.memory_reservation),
            nano_cpus: some(self.cpus).map(|text| resources::parse_cpus(&text, cpus())).transpose()?,
            cpu_shares: not_zero(self.cpu_shares),
            cpu_quota_us: self.cpu_quota.map(quota).transpose()?.filter(|us| *us != 0),
            cpu_period_us: not_zero(self.cpu_period),
            cpu_rt_runtime_us: not_zero(self.cpu_rt_runtime),
            cpu_rt_period_us: not_zero(self.cpu_rt_period),
            // Which CPUs there are is the engine's to ask: this process may be held to some of them.
            cpuset_cpus: some(self.cpuset_cpus),
            cpuset_mems: some(self.cpuset_mems),
            pids_limit: self.pids_limit.filter(|limit| *limit != 0),
            blkio_weight: self.blkio_weight.filter(|weight| *weight != 0),
            ..Resources::default()
        })
    }
}

impl FixedResourceFlags {
    /// Adds these limits to the others.
    pub fn add_to(self, limits: Resources) -> Resources {
        Resources {
            memory_swappiness: self.memory_swappiness.and_then(|Swappiness(percent)| percent),
            oom_kill_disable: self.oom_kill_disable,
            blkio_weight_devices: self.blkio_weight_device,
            device_read_bps: self.device_read_bps,
            device_write_bps: self.device_write_bps,
            device_read_iops: self.device_read_iops,
            device_write_iops: self.device_write_iops,
            ..limits
        }
    }
}

/// CPUs that this process may use, which is what Docker checks `--cpus` against.
pub fn online_cpus() -> usize {
    rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count() as usize)
}

/// How willingly memory is swapped; absent is -1, the default.
#[derive(Debug, Clone, Copy)]
struct Swappiness(Option<u8>);

fn swappiness(text: &str) -> Result<Swappiness, Invalid> {
    let bad = || Invalid::new("memory swappiness", text, "the range is 0 to 100");
    if text == "-1" {
        return Ok(Swappiness(None));
    }
    text.parse().map(|percent| Swappiness(Some(percent))).map_err(|_| bad())
}

fn quota(us: i64) -> Result<u64, Invalid> {
    let bad = || Invalid::new("CPU quota", us.to_string(), "a number of microseconds, or -1 for no limit");
    if us == -1 { Ok(0) } else { u64::try_from(us).map_err(|_| bad()) }
}

fn memory_limit(text: &str) -> Result<u64, Invalid> {
    bytes::parse_size("memory limit", text)
}

fn swap_limit(text: &str) -> Result<i64, Invalid> {
    if text == "-1" {
        return Ok(-1);
    }
    let bytes = bytes::parse_size("swap limit", text)?;
    i64::try_from(bytes).map_err(|_| Invalid::new("swap limit", text, "too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_nothing_are_no_limits() {
        let none = ResourceFlags {
            memory: Some(0),
            memory_swap: Some(0),
            cpus: Some(String::new()),
            cpu_quota: Some(-1),
            cpu_shares: Some(0),
            pids_limit: Some(0),
            blkio_weight: Some(0),
            ..ResourceFlags::default()
        };
        assert_eq!(none.limits(&|| 2), Ok(Resources::default()));
        let bad = ResourceFlags { cpu_quota: Some(-2), ..ResourceFlags::default() };
        assert!(bad.limits(&|| 2).is_err());
    }

    #[test]
    fn swappiness_has_a_range_and_a_default() {
        assert!(matches!(swappiness("-1"), Ok(Swappiness(None))));
        assert!(matches!(swappiness("60"), Ok(Swappiness(Some(60)))));
        assert!(swappiness("-2").is_err() && swappiness("x").is_err());
    }
}
