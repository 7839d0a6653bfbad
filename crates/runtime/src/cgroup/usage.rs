//! What a group used, as its controllers count it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Cgroup, file};

/// Counters and gauges; one is absent where its controller isn't there or isn't ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of all processes since the group was made.
    pub cpu: Option<Duration>,
    /// Bytes of memory in use, without the page cache that reclaim would take first, as Docker counts.
    pub memory_bytes: Option<u64>,
    /// The limit of that, bytes; absent if there is none.
    pub memory_limit_bytes: Option<u64>,
    /// Bytes read from block devices.
    pub block_read_bytes: Option<u64>,
    /// Bytes written to block devices.
    pub block_write_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

/// v1 writes this, less the page size, where there is no limit.
const NO_LIMIT_MIN: u64 = i64::MAX as u64 - (1 << 20);

impl Cgroup {
    /// What the group used until now. What can't be read is absent: the container may be on its way out.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        if let Some(group) = &self.v2 {
            v2(&group.payload, &mut usage);
        }
        self.v1(&mut usage);
        usage
    }

    fn v1(&self, usage: &mut Usage) {
        let dir = |controller: &str| -> Option<PathBuf> {
            self.v1.iter().find(|g| g.has(controller)).map(|g| g.dir.clone())
        };
        if let Some(dir) = dir("cpuacct") {
            usage.cpu = number(&dir.join("cpuacct.usage")).map(Duration::from_nanos);
        }
        if let Some(dir) = dir("memory") {
            let cache = keyed(&dir.join("memory.stat"), "total_inactive_file");
            let used = number(&dir.join("memory.usage_in_bytes"));
            usage.memory_bytes = used.map(|used| used.saturating_sub(cache.unwrap_or(0)));
            let limit = number(&dir.join("memory.limit_in_bytes"));
            usage.memory_limit_bytes = limit.filter(|limit| *limit < NO_LIMIT_MIN);
        }
        if let Some(dir) = dir("blkio") {
            let text = file::read(&dir.join("blkio.throttle.io_service_bytes_recursive")).unwrap_or_default();
            usage.block_read_bytes = Some(sum(&text, "Read"));
            usage.block_write_bytes = Some(sum(&text, "Write"));
        }
        if let Some(dir) = dir("pids") {
            usage.pids = number(&dir.join("pids.current"));
        }
    }
}

fn v2(dir: &Path, usage: &mut Usage) {
    usage.cpu = keyed(&dir.join("cpu.stat"), "usage_usec").map(Duration::from_micros);
    let cache = keyed(&dir.join("memory.stat"), "inactive_file");
    let used = number(&dir.join("memory.current"));
    usage.memory_bytes = used.map(|used| used.saturating_sub(cache.unwrap_or(0)));
    usage.memory_limit_bytes = number(&dir.join("memory.max"));
    if let Ok(text) = file::read(&dir.join("io.stat")) {
        usage.block_read_bytes = Some(sum_pairs(&text, "rbytes="));
        usage.block_write_bytes = Some(sum_pairs(&text, "wbytes="));
    }
    usage.pids = number(&dir.join("pids.current"));
}

/// A file that is one number; `max` is none.
fn number(path: &Path) -> Option<u64> {
    file::read(path).ok()?.trim().parse().ok()
}

/// `key 123` on a line of its own.
fn keyed(path: &Path, key: &str) -> Option<u64> {
    let text = file::read(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// `8:0 Read 123`, over all devices.
fn sum(text: &str, operation: &str) -> u64 {
    let value = |line: &str| -> Option<u64> {
        let mut words = line.split_whitespace().skip(1);
        if words.next() == Some(operation) { words.next()?.parse().ok() } else { None }
    };
    text.lines().filter_map(value).sum()
}

/// `8:0 rbytes=123 wbytes=4`, over all devices.
fn sum_pairs(text: &str, key: &str) -> u64 {
    text.split_whitespace().filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_the_block_counters() {
        let v1 = "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\n8:16 Read 1\nTotal 31\n";
        assert_eq!((sum(v1, "Read"), sum(v1, "Write")), (11, 20));
        let v2 = "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0\n8:16 rbytes=1 wbytes=2\n";
        assert_eq!((sum_pairs(v2, "rbytes="), sum_pairs(v2, "wbytes=")), (11, 22));
    }

    #[test]
    fn v2_is_read_from_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("cpu.stat", "usage_usec 1500\nuser_usec 1000\n");
        write("memory.stat", "anon 1\ninactive_file 4096\n");
        write("memory.current", "8192\n");
        write("memory.max", "max\n");
        write("pids.current", "3\n");
        let mut usage = Usage::default();
        v2(dir.path(), &mut usage);
        let expected = Usage {
            cpu: Some(Duration::from_micros(1500)),
            memory_bytes: Some(4096),
            pids: Some(3),
            ..Usage::default()
        };
        assert_eq!(usage, expected);
    }
}
