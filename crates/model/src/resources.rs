//! Limits of a container's cgroup.

use serde::{Deserialize, Serialize};

use crate::{Invalid, bytes};

/// The least memory limit that Docker takes: below it not even a shell starts.
pub const MEMORY_MIN_BYTES: u64 = 6 << 20;
/// The period of the CPU quota that `--cpus` uses.
pub const CPU_PERIOD_US: u64 = 100_000;
/// The least share of a CPU that the kernel takes.
pub const CPU_SHARES_MIN: u64 = 2;
/// The largest one.
pub const CPU_SHARES_MAX: u64 = 262_144;
/// Devices with a weight or a rate of their own, of each kind.
pub const DEVICES_MAX: usize = 256;

/// Limits; an absent one is not set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Bytes of memory and swap together; -1 is no limit.
    pub memory_swap_bytes: Option<i64>,
    /// Bytes of memory that reclaim leaves alone while others have some to give.
    pub memory_reservation_bytes: Option<u64>,
    /// How willingly anonymous memory is swapped, 0 to 100 (v1 only).
    pub memory_swappiness: Option<u8>,
    /// Processes wait for memory instead of being killed (v1 only).
    pub oom_kill_disable: bool,
    /// CPU time in a thousand-millionth of a CPU, as Docker's `NanoCpus`.
    pub nano_cpus: Option<u64>,
    /// Weight against others' CPU time: 1024 is everybody's.
    pub cpu_shares: Option<u64>,
    /// CPU time in each period, microseconds.
    pub cpu_quota_us: Option<u64>,
    /// That period, microseconds.
    pub cpu_period_us: Option<u64>,
    /// CPU time of real-time processes in each of their periods, microseconds (v1 only).
    pub cpu_rt_runtime_us: Option<u64>,
    /// That period, microseconds (v1 only).
    pub cpu_rt_period_us: Option<u64>,
    /// CPUs, in the kernel's list format.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes, in the kernel's list format.
    pub cpuset_mems: Option<String>,
    /// Processes and threads; -1 is no limit.
    pub pids_limit: Option<i64>,
    /// Weight against others' block I/O, 10 to 1000.
    pub blkio_weight: Option<u16>,
    /// The same for single devices.
    pub blkio_weight_devices: Vec<OnDevice>,
    /// Bytes a second that are read.
    pub device_read_bps: Vec<OnDevice>,
    /// Bytes a second that are written.
    pub device_write_bps: Vec<OnDevice>,
    /// Reads a second.
    pub device_read_iops: Vec<OnDevice>,
    /// Writes a second.
    pub device_write_iops: Vec<OnDevice>,
}

/// A weight or a rate on one block device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnDevice {
    /// The device's node on the host.
    pub path: String,
    /// The weight, or how much a second.
    pub value: u64,
    /// Its major and minor number, as found at the last start: a path may name another device after a boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<(u32, u32)>,
}

impl Resources {
    /// Checks each limit and what they say together.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.validate_memory()?;
        self.validate_cpu()?;
        self.validate_io()
    }

    fn validate_memory(&self) -> Result<(), Invalid> {
        let small = |bytes: &u64| *bytes != 0 && *bytes < MEMORY_MIN_BYTES;
        if let Some(memory) = self.memory_bytes.filter(small) {
            return Err(Invalid::new("memory limit", memory.to_string(), "the least memory limit is 6 MiB"));
        }
        match (self.memory_swap_bytes, self.memory_bytes) {
            (Some(swap), None) if swap > 0 => {
                return Err(Invalid::new(
                    "swap limit",
                    swap.to_string(),
                    "a swap limit needs a memory limit",
                )
                .hint("add `--memory`"));
            }
            (Some(swap), Some(memory)) if swap >= 0 && (swap as u64) < memory => {
                return Err(Invalid::new(
                    "swap limit",
                    swap.to_string(),
                    "it counts memory and swap together, so it can't be below the memory limit",
                ));
            }
            _ => {}
        }
        if let Some(reservation) = self.memory_reservation_bytes {
            let bad = |why| Err(Invalid::new("memory reservation", reservation.to_string(), why));
            if small(&reservation) {
                return bad("the least memory reservation is 6 MiB");
            }
            if self.memory_bytes.is_some_and(|limit| limit != 0 && limit < reservation) {
                return bad("it is above the memory limit");
            }
        }
        match self.memory_swappiness {
            Some(swappiness) if swappiness > 100 => {
                Err(Invalid::new("memory swappiness", swappiness.to_string(), "the range is 0 to 100"))
            }
            _ => Ok(()),
        }
    }

    fn validate_cpu(&self) -> Result<(), Invalid> {
        let us = |what, value: u64, why| Err(Invalid::new(what, value.to_string(), why));
        if let (Some(_), Some(value)) = (self.nano_cpus, self.cpu_period_us.or(self.cpu_quota_us)) {
            return us("CPU period or quota", value, "`--cpus` sets both already: use one or the other");
        }
        if let Some(period) = self.cpu_period_us.filter(|us| !(1_000..=1_000_000).contains(us)) {
            return us("CPU period", period, "the range is 1000 to 1000000 microseconds");
        }
        if let Some(quota) = self.cpu_quota_us.filter(|us| *us < 1_000) {
            return us("CPU quota", quota, "the least quota is 1000 microseconds");
        }
        if let (Some(runtime), Some(period)) = (self.cpu_rt_runtime_us, self.cpu_rt_period_us)
            && runtime > period
        {
            return us("real-time CPU time", runtime, "it is above its period");
        }
        Ok(())
    }

    fn validate_io(&self) -> Result<(), Invalid> {
        let in_range = |weight: u64| (10..=1_000).contains(&weight);
        let why = "the range is 10 to 1000";
        if let Some(weight) = self.blkio_weight.filter(|weight| !in_range(u64::from(*weight))) {
            return Err(Invalid::new("block I/O weight", weight.to_string(), why));
        }
        if let Some(device) = self.blkio_weight_devices.iter().find(|d| !in_range(d.value)) {
            return Err(Invalid::new("block I/O weight", format!("{}:{}", device.path, device.value), why));
        }
        if self.on_devices().iter().any(|list| list.len() > DEVICES_MAX) {
            return Err(Invalid::new("list of devices", "", format!("more than {DEVICES_MAX}")));
        }
        Ok(())
    }

    fn on_devices(&self) -> [&Vec<OnDevice>; 5] {
        [
            &self.blkio_weight_devices,
            &self.device_read_bps,
            &self.device_write_bps,
            &self.device_read_iops,
            &self.device_write_iops,
        ]
    }

    /// Every weight and rate of a device, to find the devices' numbers.
    pub fn on_devices_mut(&mut self) -> impl Iterator<Item = &mut OnDevice> {
        let lists = [
            &mut self.blkio_weight_devices,
            &mut self.device_read_bps,
            &mut self.device_write_bps,
            &mut self.device_read_iops,
            &mut self.device_write_iops,
        ];
        lists.into_iter().flatten()
    }

    /// The limits as they are set: a memory limit without a word on swap allows as much swap again, as Docker has it.
    #[must_use]
    pub fn completed(mut self) -> Self {
        if let (Some(memory), None) = (self.memory_bytes, self.memory_swap_bytes) {
            self.memory_swap_bytes = i64::try_from(memory.saturating_mul(2)).ok();
        }
        self
    }

    /// These limits with those that `newer` names instead; a list of devices is replaced as a whole.
    #[must_use]
    pub fn updated(&self, newer: &Resources) -> Self {
        let list = |old: &Vec<OnDevice>, new: &Vec<OnDevice>| if new.is_empty() { old } else { new }.clone();
        // A number of CPUs is another way to say period and quota: the later word counts.
        let by_quota = newer.cpu_quota_us.or(newer.cpu_period_us).is_some();
        let by_number = newer.nano_cpus.is_some();
        Self {
            memory_bytes: newer.memory_bytes.or(self.memory_bytes),
            memory_swap_bytes: newer.memory_swap_bytes.or(self.memory_swap_bytes),
            memory_reservation_bytes: newer.memory_reservation_bytes.or(self.memory_reservation_bytes),
            memory_swappiness: newer.memory_swappiness.or(self.memory_swappiness),
            oom_kill_disable: newer.oom_kill_disable || self.oom_kill_disable,
            nano_cpus: newer.nano_cpus.or(self.nano_cpus.filter(|_| !by_quota)),
            cpu_shares: newer.cpu_shares.or(self.cpu_shares),
            cpu_quota_us: newer.cpu_quota_us.or(self.cpu_quota_us.filter(|_| !by_number)),
            cpu_period_us: newer.cpu_period_us.or(self.cpu_period_us.filter(|_| !by_number)),
            cpu_rt_runtime_us: newer.cpu_rt_runtime_us.or(self.cpu_rt_runtime_us),
            cpu_rt_period_us: newer.cpu_rt_period_us.or(self.cpu_rt_period_us),
            cpuset_cpus: newer.cpuset_cpus.clone().or(self.cpuset_cpus.clone()),
            cpuset_mems: newer.cpuset_mems.clone().or(self.cpuset_mems.clone()),
            pids_limit: newer.pids_limit.or(self.pids_limit),
            blkio_weight: newer.blkio_weight.or(self.blkio_weight),
            blkio_weight_devices: list(&self.blkio_weight_devices, &newer.blkio_weight_devices),
            device_read_bps: list(&self.device_read_bps, &newer.device_read_bps),
            device_write_bps: list(&self.device_write_bps, &newer.device_write_bps),
            device_read_iops: list(&self.device_read_iops, &newer.device_read_iops),
            device_write_iops: list(&self.device_write_iops, &newer.device_write_iops),
        }
    }

    /// The quota of CPU time in each period, and that period, microseconds; an absent one isn't set.
    pub fn cpu_bandwidth_us(&self) -> (Option<u64>, Option<u64>) {
        match self.nano_cpus {
            Some(nano) => (Some(nano * CPU_PERIOD_US / 1_000_000_000), Some(CPU_PERIOD_US)),
            None => (self.cpu_quota_us, self.cpu_period_us),
        }
    }
}

/// Parses `/dev/sda:500`, a device's weight.
pub fn parse_weight_device(text: &str) -> Result<OnDevice, Invalid> {
    on_device("block I/O weight", text, "write `/dev/NAME:WEIGHT`", |value| value.parse().ok())
}

/// Parses `/dev/sda:1mb`, bytes a second.
pub fn parse_device_bps(text: &str) -> Result<OnDevice, Invalid> {
    let value = |value: &str| bytes::parse_size("rate", value).ok();
    on_device("rate of a device", text, "write `/dev/NAME:RATE[b|k|m|g]`", value)
}

/// Parses `/dev/sda:1000`, operations a second.
pub fn parse_device_iops(text: &str) -> Result<OnDevice, Invalid> {
    on_device("rate of a device", text, "write `/dev/NAME:RATE`", |value| value.parse().ok())
}

fn on_device(
    what: &'static str,
    text: &str,
    hint: &'static str,
    value: impl Fn(&str) -> Option<u64>,
) -> Result<OnDevice, Invalid> {
    let bad = |why: &str| Invalid::new(what, text, why).hint(hint);
    // A path below /dev/disk may have colons itself.
    let (path, number) = text.rsplit_once(':').ok_or_else(|| bad("there is no value"))?;
    if !path.starts_with("/dev/") {
        return Err(bad("the device is a path below /dev"));
    }
    let value = value(number).ok_or_else(|| bad("the value is not a number"))?;
    Ok(OnDevice { path: path.to_owned(), value, number: None })
}

/// Parses `--cpus 1.5` into nano CPUs: at least a hundredth of a CPU, at most what `online` allows.
pub fn parse_cpus(text: &str, online: usize) -> Result<u64, Invalid> {
    let bad = |why: String| Invalid::new("number of CPUs", text, why);
    let cpus: f64 = text.parse().map_err(|_| bad("not a number".into()))?;
    if !(0.01..=online as f64).contains(&cpus) {
        return Err(bad(format!("the range is 0.01 to {online}, the CPUs that are there")));
    }
    Ok((cpus * 1e9).round() as u64)
}

/// Parses `--cpuset-cpus 0-3,5`; `online` is how many CPUs there are.
pub fn parse_cpuset(text: &str, online: usize) -> Result<String, Invalid> {
    let bad = |why: String| Invalid::new("cpuset", text, why).hint("for example `0-3` or `0,2`");
    let number = |n: &str| n.parse::<usize>().map_err(|_| bad("not a list of CPU numbers".into()));
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if first > last {
            return Err(bad(format!("{first} is above {last}")));
        }
        if last >= online {
            return Err(bad(format!("there is no CPU {last}: they are 0-{}", online.saturating_sub(1))));
        }
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_and_cpusets() {
        assert_eq!(parse_cpus("1.5", 2), Ok(1_500_000_000));
        for bad in ["0", "0.001", "3", "x", "nan", "inf", "-1"] {
            assert!(parse_cpus(bad, 2).is_err(), "{bad}");
        }
        assert_eq!(parse_cpuset("0-1", 2).as_deref(), Ok("0-1"));
        for bad in ["", "2", "1-0", "a", "0,,1", "0-"] {
            assert!(parse_cpuset(bad, 2).is_err(), "{bad}");
        }
    }

    #[test]
    fn rates_of_devices() {
        let check = |parsed: Result<OnDevice, Invalid>, path: &str, value| {
            assert_eq!(parsed, Ok(OnDevice { path: path.into(), value, number: None }));
        };
        check(parse_device_bps("/dev/sda:1mb"), "/dev/sda", 1 << 20);
        check(parse_device_iops("/dev/disk/by-path/pci-0:1:7"), "/dev/disk/by-path/pci-0:1", 7);
        check(parse_weight_device("/dev/sda:500"), "/dev/sda", 500);
        for bad in ["", "/dev/sda", "sda:1", "/dev/sda:", "/dev/sda:x", "/dev/sda:-1"] {
            assert!(parse_device_bps(bad).is_err(), "{bad}");
            assert!(parse_device_iops(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_can_t_be_limited_so() {
        let good = Resources::default;
        let check = |bad: Resources| assert!(bad.validate().is_err(), "{bad:?}");
        check(Resources { nano_cpus: Some(1), cpu_quota_us: Some(5_000), ..good() });
        check(Resources { nano_cpus: Some(1), cpu_period_us: Some(5_000), ..good() });
        check(Resources { cpu_period_us: Some(999), ..good() });
        check(Resources { cpu_period_us: Some(1_000_001), ..good() });
        check(Resources { cpu_quota_us: Some(999), ..good() });
        check(Resources { cpu_rt_runtime_us: Some(2), cpu_rt_period_us: Some(1), ..good() });
        check(Resources { memory_swappiness: Some(101), ..good() });
        check(Resources { memory_reservation_bytes: Some(1), ..good() });
        let limit = Some(8 << 20);
        check(Resources { memory_bytes: limit, memory_reservation_bytes: Some(9 << 20), ..good() });
        check(Resources { blkio_weight: Some(9), ..good() });
        let heavy = OnDevice { path: "/dev/a".into(), value: 1_001, number: None };
        check(Resources { blkio_weight_devices: vec![heavy], ..good() });
    }

    #[test]
    fn an_update_keeps_what_it_does_not_name() {
        let old = Resources { memory_bytes: Some(1), nano_cpus: Some(2), ..Default::default() };
        let quota = Resources { cpu_quota_us: Some(3_000), ..Default::default() };
        let updated = old.updated(&quota);
        assert_eq!((updated.memory_bytes, updated.nano_cpus), (Some(1), None));
        assert_eq!(updated.cpu_bandwidth_us(), (Some(3_000), None));
        let back = updated.updated(&Resources { nano_cpus: Some(500_000_000), ..Default::default() });
        assert_eq!(back.cpu_bandwidth_us(), (Some(50_000), Some(CPU_PERIOD_US)));
        assert_eq!(back.updated(&Resources::default()), back);
    }

    #[test]
    fn memory_has_a_minimum_and_swap_includes_it() {
        let check = |memory, swap| {
            Resources { memory_bytes: memory, memory_swap_bytes: swap, ..Default::default() }.validate()
        };
        assert!(check(Some(6 << 20), None).is_ok());
        assert!(check(Some(1 << 20), None).is_err());
        assert!(check(Some(64 << 20), Some(-1)).is_ok());
        assert!(check(Some(64 << 20), Some(32 << 20)).is_err());
        assert!(check(None, Some(32 << 20)).is_err());
    }
}
