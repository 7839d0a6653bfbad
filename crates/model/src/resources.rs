//! Limits of a container's cgroup.

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// The least memory limit that Docker takes: below it not even a shell starts.
pub const MEMORY_MIN_BYTES: u64 = 6 << 20;
/// The period of the CPU quota that `--cpus` uses.
pub const CPU_PERIOD_US: u64 = 100_000;

/// Limits; an absent one is not set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Bytes of memory and swap together; -1 is no limit.
    pub memory_swap_bytes: Option<i64>,
    /// CPU time in a thousand-millionth of a CPU, as Docker's `NanoCpus`.
    pub nano_cpus: Option<u64>,
    /// CPUs, in the kernel's list format.
    pub cpuset_cpus: Option<String>,
    /// Processes and threads; -1 is no limit.
    pub pids_limit: Option<i64>,
}

impl Resources {
    /// Checks each limit and what they say together.
    pub fn validate(&self) -> Result<(), Invalid> {
        if let Some(memory) = self.memory_bytes
            && memory != 0
            && memory < MEMORY_MIN_BYTES
        {
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
        Ok(())
    }

    /// The limits as they are set: a memory limit without a word on swap allows as much swap again, as Docker has it.
    #[must_use]
    pub fn completed(mut self) -> Self {
        if let (Some(memory), None) = (self.memory_bytes, self.memory_swap_bytes) {
            self.memory_swap_bytes = i64::try_from(memory.saturating_mul(2)).ok();
        }
        self
    }

    /// The quota of CPU time in each period of [`CPU_PERIOD_US`], if there is one.
    pub fn cpu_quota_us(&self) -> Option<u64> {
        self.nano_cpus.map(|n| n * CPU_PERIOD_US / 1_000_000_000)
    }
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
