//! The processes of a container, as the host's kernel knows them. Nothing of the container is run, or read, for it
//! (CVE-2022-1227): the list is the control group's, the rest is /proc.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{reconcile, resolve};
use crate::db::containers::Container;
use crate::error::Doing;
use crate::{Engine, Error, Result, keeper};

/// Bytes of a command line that are read.
const COMMAND_BYTES_MAX: u64 = 4096;

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number on the host.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Its process group and its session.
    pub group: i32,
    /// Its session.
    pub session: i32,
    /// Its user as the container sees it.
    pub uid: u32,
    /// Its group as the container sees it.
    pub gid: u32,
    /// The kernel's letter for what it does: `R`, `S`, `Z`, …
    pub state: char,
    /// Major and minor number of its terminal.
    pub terminal: Option<(u32, u32)>,
    /// CPU time so far.
    pub cpu: Duration,
    /// When it started, seconds since the epoch.
    pub started_unix_s: u64,
    /// How long ago that was.
    pub age: Duration,
    /// Bytes of its address space.
    pub virtual_bytes: u64,
    /// Bytes of it that are in memory.
    pub resident_bytes: u64,
    /// Threads.
    pub threads: u32,
    /// Its nice value.
    pub nice: i32,
    /// The program's short name.
    pub name: String,
    /// Program and arguments; the short name in brackets if there are none.
    pub command: String,
}

/// The processes of a running container, by number.
pub fn top(engine: &mut Engine, target: &str) -> Result<Vec<Process>> {
    top_resolved(engine, target).doing("list the processes of container", target)
}

fn top_resolved(engine: &mut Engine, target: &str) -> Result<Vec<Process>> {
    let container = resolve(engine, target)?;
    let not_running = || Error::State { name: target.to_owned(), state: "not running" };
    let container =
        reconcile(engine, container)?.filter(|c| c.state.status.is_alive()).ok_or_else(not_running)?;
    let clock = Clock::now();
    let mut pids = pids(engine, &container)?;
    pids.sort_unstable();
    // One that ends meanwhile has nothing to show.
    Ok(pids.into_iter().filter_map(|pid| process(pid, &clock)).collect())
}

/// Who is in it: its control group, or, where an ordinary user has none, its pid namespace.
fn pids(engine: &Engine, container: &Container) -> Result<Vec<i32>> {
    let host = keeper::cgroup_host(&engine.roots().run, &container.id)?;
    if let Ok(group) = host.open(&keeper::cgroup_path(&engine.roots().run, &container.id)) {
        let pids = group.pids()?;
        if !pids.is_empty() {
            return Ok(pids);
        }
    }
    let Some(first) = container.state.pid else { return Ok(Vec::new()) };
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let (Some(theirs), Some(ours)) = (namespace(first), namespace(std::process::id() as i32)) else {
        return Ok(vec![first]);
    };
    if theirs == ours {
        // With the host's pid namespace nothing else tells who belongs to it.
        return Ok(vec![first]);
    }
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(numbers.filter(|pid| namespace(*pid).as_ref() == Some(&theirs)).collect())
}

/// The kernel tells times to processes in hundredths of a second, whatever its own tick is (USER_HZ).
const TICK_MS: u64 = 10;

/// What ticks since boot mean.
struct Clock {
    uptime: Duration,
    boot_unix_s: u64,
}

impl Clock {
    fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let uptime = Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let boot_unix_s = unix.saturating_sub(uptime).as_secs();
        Self { uptime, boot_unix_s }
    }
}

fn span(ticks: i64) -> Duration {
    Duration::from_millis(ticks.unsigned_abs().saturating_mul(TICK_MS))
}

fn process(pid: i32, clock: &Clock) -> Option<Process> {
    let place = |name: &str| format!("/proc/{pid}/{name}");
    let stat = fs::read_to_string(place("stat")).ok()?;
    let (name, fields) = parse_stat(&stat)?;
    let field = |number: usize| fields.get(number - 3)?.parse::<i64>().ok();
    let status = fs::read_to_string(place("status")).ok()?;
    let first = |key: &str| status.lines().find_map(|l| l.strip_prefix(key)?.split_whitespace().next());
    let number = |key: &str| first(key)?.parse::<u32>().ok();
    let inside = |map: &str, id: u32| {
        fs::read_to_string(place(map)).ok().and_then(|text| mapped(&text, id)).unwrap_or(id)
    };
    let started = span(field(22)?);
    let command = command(pid).unwrap_or_else(|| format!("[{name}]"));
    Some(Process {
        pid,
        parent: field(4)? as i32,
        group: field(5)? as i32,
        session: field(6)? as i32,
        uid: inside("uid_map", number("Uid:")?),
        gid: inside("gid_map", number("Gid:")?),
        state: fields.first()?.chars().next()?,
        terminal: terminal(field(7)?),
        cpu: span(field(14)? + field(15)?),
        started_unix_s: clock.boot_unix_s + started.as_secs(),
        age: clock.uptime.saturating_sub(started),
        virtual_bytes: field(23)?.unsigned_abs(),
        // A zombie has no memory.
        resident_bytes: u64::from(number("VmRSS:").unwrap_or(0)) << 10,
        threads: field(20)? as u32,
        nice: field(19)? as i32,
        name: name.to_owned(),
        command,
    })
}

/// The program's name and the fields from the third on: the name may hold spaces and brackets.
fn parse_stat(stat: &str) -> Option<(&str, Vec<&str>)> {
    let (head, rest) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    Some((name, rest.split_whitespace().collect()))
}

/// The kernel's number of a terminal; 0 is none.
fn terminal(number: i64) -> Option<(u32, u32)> {
    let number = number as u64;
    (number != 0).then(|| (rustix::fs::major(number), rustix::fs::minor(number)))
}

/// The id inside of a user namespace that is `id` outside.
fn mapped(map: &str, id: u32) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut numbers = line.split_whitespace().map(|n| n.parse::<u32>().ok());
        let (inside, outside, count) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let offset = id.checked_sub(outside)?;
        (offset < count).then(|| inside + offset)
    })
}

/// Program and arguments with spaces between them; what could move a terminal's cursor becomes `?`.
fn command(pid: i32) -> Option<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    fs::File::open(format!("/proc/{pid}/cmdline"))
        .ok()?
        .take(COMMAND_BYTES_MAX)
        .read_to_end(&mut bytes)
        .ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let words = text.trim_end_matches('\0').replace('\0', " ");
    let words: String = words.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_anything() {
        let (name, fields) = parse_stat("12 (a) (b c) S 1 12 12").unwrap();
        assert_eq!((name, fields[0], fields[1]), ("a) (b c", "S", "1"));
    }

    #[test]
    fn ids_are_the_containers() {
        let map = "         0 1879048192      65536\n     70000 1879113728          1\n";
        assert_eq!(mapped(map, 1_879_048_192), Some(0));
        assert_eq!(mapped(map, 1_879_049_192), Some(1000));
        assert_eq!(mapped(map, 1_879_113_728), Some(70_000));
        assert_eq!(mapped(map, 5), None);
    }

    #[test]
    fn we_are_a_process_too() {
        let own = process(std::process::id() as i32, &Clock::now()).unwrap();
        assert!(own.threads >= 1 && own.resident_bytes > 0 && !own.command.is_empty());
        assert!(own.age < Duration::from_secs(3600), "{own:?}");
        assert_eq!(own.uid, rustix::process::getuid().as_raw());
    }
}
