//! Limits → files and values, for both versions. Pure.

use std::collections::BTreeSet;

use corten_model::resources::{CPU_PERIOD_US, CPU_SHARES_MAX, CPU_SHARES_MIN, OnDevice, Resources};

/// One write: a file of a controller, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) controller: &'static str,
    pub(super) file: &'static str,
    pub(super) value: String,
}

fn setting(controller: &'static str, file: &'static str, value: impl ToString) -> Setting {
    Setting { controller, file, value: value.to_string() }
}

/// The controllers without which some of these limits can't be set.
pub(super) fn needed(r: &Resources) -> Vec<&'static str> {
    let memory = [
        r.memory_bytes.is_some(),
        r.memory_swap_bytes.is_some(),
        r.memory_reservation_bytes.is_some(),
        r.memory_swappiness.is_some(),
        r.oom_kill_disable,
    ];
    let cpu = [
        r.nano_cpus.is_some(),
        r.cpu_shares.is_some(),
        r.cpu_quota_us.is_some(),
        r.cpu_period_us.is_some(),
        r.cpu_rt_runtime_us.is_some(),
        r.cpu_rt_period_us.is_some(),
    ];
    let wanted = [
        ("memory", memory.contains(&true)),
        ("cpu", cpu.contains(&true)),
        ("cpuset", r.cpuset_cpus.is_some() || r.cpuset_mems.is_some()),
        ("pids", r.pids_limit.is_some()),
    ];
    wanted.into_iter().filter_map(|(name, wanted)| wanted.then_some(name)).collect()
}

/// Whether block I/O is weighed or limited: its controller has one name on v1 and another on v2.
pub(super) fn needs_io(r: &Resources) -> bool {
    r.blkio_weight.is_some()
        || [
            &r.blkio_weight_devices,
            &r.device_read_bps,
            &r.device_write_bps,
            &r.device_read_iops,
            &r.device_write_iops,
        ]
        .iter()
        .any(|list| !list.is_empty())
}

/// v1's writes. Memory comes before memory and swap, which can't be lower: right for a new group, and turned
/// round by the writer where the kernel wants it.
pub(super) fn v1(r: &Resources) -> Vec<Setting> {
    let mut all = Vec::new();
    if let Some(bytes) = r.memory_bytes {
        all.push(setting("memory", "memory.limit_in_bytes", or_unlimited(bytes, "-1")));
    }
    if let Some(bytes) = r.memory_swap_bytes.filter(|b| *b != 0) {
        all.push(setting("memory", "memory.memsw.limit_in_bytes", bytes.max(-1)));
    }
    let soft = r.memory_reservation_bytes.map(|bytes| or_unlimited(bytes, "-1"));
    all.extend(soft.map(|bytes| setting("memory", "memory.soft_limit_in_bytes", bytes)));
    all.extend(r.memory_swappiness.map(|s| setting("memory", "memory.swappiness", s)));
    if r.oom_kill_disable {
        all.push(setting("memory", "memory.oom_control", 1));
    }
    let (quota, period) = r.cpu_bandwidth_us();
    all.extend(r.cpu_shares.map(|shares| setting("cpu", "cpu.shares", shares)));
    // A new group's period is the one that a number of CPUs is counted in.
    let period = period.filter(|us| r.nano_cpus.is_none() || *us != CPU_PERIOD_US);
    all.extend(period.map(|us| setting("cpu", "cpu.cfs_period_us", us)));
    all.extend(quota.map(|us| setting("cpu", "cpu.cfs_quota_us", or_unlimited(us, "-1"))));
    all.extend(r.cpu_rt_period_us.map(|us| setting("cpu", "cpu.rt_period_us", us)));
    all.extend(r.cpu_rt_runtime_us.map(|us| setting("cpu", "cpu.rt_runtime_us", us)));
    all.extend(r.cpuset_cpus.as_ref().map(|cpus| setting("cpuset", "cpuset.cpus", cpus)));
    all.extend(r.cpuset_mems.as_ref().map(|mems| setting("cpuset", "cpuset.mems", mems)));
    all.extend(r.pids_limit.map(|limit| setting("pids", "pids.max", pids(limit))));
    all.extend(r.blkio_weight.map(|weight| setting("blkio", "blkio.bfq.weight", weight)));
    for (file, list) in [
        ("blkio.bfq.weight_device", &r.blkio_weight_devices),
        ("blkio.throttle.read_bps_device", &r.device_read_bps),
        ("blkio.throttle.write_bps_device", &r.device_write_bps),
        ("blkio.throttle.read_iops_device", &r.device_read_iops),
        ("blkio.throttle.write_iops_device", &r.device_write_iops),
    ] {
        all.extend(numbered(list).map(|(device, value)| setting("blkio", file, format!("{device} {value}"))));
    }
    all
}

/// v2's writes: swap is limited by itself there. What only v1 has is not among them: see [`only_v1`].
pub(super) fn v2(r: &Resources) -> Vec<Setting> {
    let mut all = Vec::new();
    if let Some(bytes) = r.memory_bytes {
        all.push(setting("memory", "memory.max", or_unlimited(bytes, "max")));
    }
    match (r.memory_swap_bytes, r.memory_bytes) {
        (Some(both), Some(memory)) if both > 0 => {
            let swap = (both as u64).saturating_sub(memory);
            all.push(setting("memory", "memory.swap.max", swap));
        }
        (Some(-1), _) => all.push(setting("memory", "memory.swap.max", "max")),
        _ => {}
    }
    all.extend(r.memory_reservation_bytes.map(|bytes| setting("memory", "memory.low", bytes)));
    all.extend(r.cpu_shares.map(|shares| setting("cpu", "cpu.weight", cpu_weight(shares))));
    match r.cpu_bandwidth_us() {
        (None, None) => {}
        (quota, period) => {
            let quota = or_unlimited(quota.unwrap_or(0), "max");
            let value = format!("{quota} {}", period.unwrap_or(CPU_PERIOD_US));
            all.push(setting("cpu", "cpu.max", value));
        }
    }
    all.extend(r.cpuset_cpus.as_ref().map(|cpus| setting("cpuset", "cpuset.cpus", cpus)));
    all.extend(r.cpuset_mems.as_ref().map(|mems| setting("cpuset", "cpuset.mems", mems)));
    all.extend(r.pids_limit.map(|limit| setting("pids", "pids.max", pids(limit))));
    let weight = r.blkio_weight.map(u64::from);
    all.extend(weight.map(|w| setting("io", "io.weight", format!("default {}", io_weight(w)))));
    for (device, weight) in numbered(&r.blkio_weight_devices) {
        all.push(setting("io", "io.weight", format!("{device} {}", io_weight(weight))));
    }
    for (key, list) in [
        ("rbps", &r.device_read_bps),
        ("wbps", &r.device_write_bps),
        ("riops", &r.device_read_iops),
        ("wiops", &r.device_write_iops),
    ] {
        all.extend(numbered(list).map(|(device, rate)| {
            let rate = or_unlimited(rate, "max");
            setting("io", "io.max", format!("{device} {key}={rate}"))
        }));
    }
    all
}

/// Limits that have no file on v2: they are warned of.
pub(super) fn only_v1(r: &Resources) -> Vec<&'static str> {
    let asked = [
        ("memory.swappiness", r.memory_swappiness.is_some()),
        ("memory.oom_control", r.oom_kill_disable),
        ("cpu.rt_period_us", r.cpu_rt_period_us.is_some()),
        ("cpu.rt_runtime_us", r.cpu_rt_runtime_us.is_some()),
    ];
    asked.into_iter().filter_map(|(name, asked)| asked.then_some(name)).collect()
}

/// `major:minor` and the value of those devices whose numbers are known.
fn numbered(list: &[OnDevice]) -> impl Iterator<Item = (String, u64)> {
    list.iter().filter_map(|d| d.number.map(|(major, minor)| (format!("{major}:{minor}"), d.value)))
}

/// v1's shares (2 to 262144, 1024 is the default) as v2's weight (1 to 10000, 100 is the default): a curve through
/// both defaults and both ends, as the OCI runtimes agreed on in 2025.
fn cpu_weight(shares: u64) -> u64 {
    let log = (shares.clamp(CPU_SHARES_MIN, CPU_SHARES_MAX) as f64).log2();
    let weight = 10_f64.powf((log * log + 125.0 * log) / 612.0 - 7.0 / 34.0).ceil();
    (weight as u64).clamp(1, 10_000)
}

/// v1's weight (10 to 1000) as v2's (1 to 10000), linear as the OCI runtimes have it.
fn io_weight(weight: u64) -> u64 {
    (1 + weight.saturating_sub(10) * 9_999 / 990).min(10_000)
}

fn or_unlimited(number: u64, unlimited: &str) -> String {
    if number == 0 { unlimited.into() } else { number.to_string() }
}

fn pids(limit: i64) -> String {
    if limit <= 0 { "max".into() } else { limit.to_string() }
}

/// What was asked for and can't be had; one warning for each kind, not for each limit.
#[derive(Debug, Default)]
pub(super) struct Missing {
    controllers: BTreeSet<&'static str>,
    files: BTreeSet<&'static str>,
}

impl Missing {
    pub(super) fn controllers(&mut self, names: impl Iterator<Item = &'static str>) {
        self.controllers.extend(names);
    }

    /// A file that this kernel doesn't have, though it has the controller.
    pub(super) fn file(&mut self, name: &'static str) {
        self.files.insert(name);
    }

    pub(super) fn warnings(self) -> Vec<String> {
        let join = |names: BTreeSet<&'static str>| names.into_iter().collect::<Vec<_>>().join(", ");
        let mut warnings = Vec::new();
        if !self.controllers.is_empty() {
            warnings.push(format!(
                "these limits are not applied, their control group controllers are not delegated to us: {}",
                join(self.controllers)
            ));
        }
        if !self.files.is_empty() {
            warnings.push(format!(
                "these limits are not applied, this kernel doesn't have them: {}",
                join(self.files)
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(r: Resources, v1_expected: &[(&str, &str)], v2_expected: &[(&str, &str)]) {
        let plain = |all: Vec<Setting>| all.into_iter().map(|s| (s.file, s.value)).collect::<Vec<_>>();
        let expected = |all: &[(&'static str, &str)]| {
            all.iter().map(|(file, value)| (*file, value.to_string())).collect::<Vec<_>>()
        };
        // The names live as long as the program: they are written in this file.
        let leak = |all: &[(&str, &str)]| {
            all.iter()
                .map(|(f, v)| (f.to_string().leak() as &'static str, v.to_string().leak() as &str))
                .collect::<Vec<_>>()
        };
        assert_eq!(plain(v1(&r)), expected(&leak(v1_expected)), "v1 {r:?}");
        assert_eq!(plain(v2(&r)), expected(&leak(v2_expected)), "v2 {r:?}");
    }

    #[test]
    fn both_versions() {
        check(Resources::default(), &[], &[]);
        check(
            Resources {
                memory_bytes: Some(64 << 20),
                memory_swap_bytes: Some(96 << 20),
                ..Default::default()
            },
            &[("memory.limit_in_bytes", "67108864"), ("memory.memsw.limit_in_bytes", "100663296")],
            &[("memory.max", "67108864"), ("memory.swap.max", "33554432")],
        );
        check(
            Resources { memory_bytes: Some(64 << 20), memory_swap_bytes: Some(-1), ..Default::default() },
            &[("memory.limit_in_bytes", "67108864"), ("memory.memsw.limit_in_bytes", "-1")],
            &[("memory.max", "67108864"), ("memory.swap.max", "max")],
        );
        check(
            Resources {
                memory_bytes: Some(0),
                nano_cpus: Some(0),
                pids_limit: Some(-1),
                ..Default::default()
            },
            &[("memory.limit_in_bytes", "-1"), ("cpu.cfs_quota_us", "-1"), ("pids.max", "max")],
            &[("memory.max", "max"), ("cpu.max", "max 100000"), ("pids.max", "max")],
        );
        check(
            Resources {
                nano_cpus: Some(1_500_000_000),
                cpuset_cpus: Some("0-1".into()),
                pids_limit: Some(100),
                ..Default::default()
            },
            &[("cpu.cfs_quota_us", "150000"), ("cpuset.cpus", "0-1"), ("pids.max", "100")],
            &[("cpu.max", "150000 100000"), ("cpuset.cpus", "0-1"), ("pids.max", "100")],
        );
    }

    #[test]
    fn weights_and_rates() {
        let disk = |value| vec![OnDevice { path: "/dev/x".into(), value, number: Some((8, 16)) }];
        check(
            Resources {
                cpu_shares: Some(512),
                cpu_quota_us: Some(20_000),
                cpu_period_us: Some(50_000),
                memory_reservation_bytes: Some(8 << 20),
                cpuset_mems: Some("0".into()),
                blkio_weight: Some(1_000),
                device_read_bps: disk(4096),
                device_write_iops: disk(0),
                ..Default::default()
            },
            &[
                ("memory.soft_limit_in_bytes", "8388608"),
                ("cpu.shares", "512"),
                ("cpu.cfs_period_us", "50000"),
                ("cpu.cfs_quota_us", "20000"),
                ("cpuset.mems", "0"),
                ("blkio.bfq.weight", "1000"),
                ("blkio.throttle.read_bps_device", "8:16 4096"),
                ("blkio.throttle.write_iops_device", "8:16 0"),
            ],
            &[
                ("memory.low", "8388608"),
                ("cpu.weight", "59"),
                ("cpu.max", "20000 50000"),
                ("cpuset.mems", "0"),
                ("io.weight", "default 10000"),
                ("io.max", "8:16 rbps=4096"),
                ("io.max", "8:16 wiops=max"),
            ],
        );
        let only = Resources {
            memory_swappiness: Some(0),
            oom_kill_disable: true,
            cpu_rt_runtime_us: Some(1),
            ..Default::default()
        };
        assert!(v2(&only).is_empty());
        assert_eq!(only_v1(&only), ["memory.swappiness", "memory.oom_control", "cpu.rt_runtime_us"]);
    }

    #[test]
    fn shares_become_weights_through_both_defaults() {
        let check = |shares, weight| assert_eq!(cpu_weight(shares), weight, "{shares}");
        check(0, 1);
        check(2, 1);
        check(1024, 100);
        check(262_144, 10_000);
        assert_eq!((io_weight(10), io_weight(1_000)), (1, 10_000));
    }

    #[test]
    fn one_warning_names_all_controllers() {
        let mut missing = Missing::default();
        missing.controllers(["pids", "memory"].into_iter());
        assert_eq!(
            missing.warnings(),
            [
                "these limits are not applied, their control group controllers are not delegated to us: memory, pids"
            ]
        );
        assert!(Missing::default().warnings().is_empty());
    }
}
