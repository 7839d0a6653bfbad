//! Limits → files and values, for both versions. Pure.

use std::collections::BTreeSet;

use corten_model::resources::{CPU_PERIOD_US, Resources};

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
    let wanted = [
        ("memory", r.memory_bytes.is_some() || r.memory_swap_bytes.is_some()),
        ("cpu", r.nano_cpus.is_some()),
        ("cpuset", r.cpuset_cpus.is_some()),
        ("pids", r.pids_limit.is_some()),
    ];
    wanted.into_iter().filter_map(|(name, wanted)| wanted.then_some(name)).collect()
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
    if let Some(quota) = r.cpu_quota_us() {
        // The period of a new group is the one that the quota is made for.
        all.push(setting("cpu", "cpu.cfs_quota_us", or_unlimited(quota, "-1")));
    }
    all.extend(r.cpuset_cpus.as_ref().map(|cpus| setting("cpuset", "cpuset.cpus", cpus)));
    all.extend(r.pids_limit.map(|limit| setting("pids", "pids.max", pids(limit))));
    all
}

/// v2's writes: swap is limited by itself there.
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
    if let Some(quota) = r.cpu_quota_us() {
        let value = format!("{} {CPU_PERIOD_US}", or_unlimited(quota, "max"));
        all.push(setting("cpu", "cpu.max", value));
    }
    all.extend(r.cpuset_cpus.as_ref().map(|cpus| setting("cpuset", "cpuset.cpus", cpus)));
    all.extend(r.pids_limit.map(|limit| setting("pids", "pids.max", pids(limit))));
    all
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
