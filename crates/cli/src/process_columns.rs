//! The columns of `ps`: one line each.

use std::time::Duration;

use corten_engine::container::Process;
use corten_model::Invalid;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `ps -ef`.
pub const FULL: &str = "uid,pid,ppid,c,stime,tty,time,cmd";
/// `ps aux`.
pub const BY_USER: &str = "user,pid,%cpu,%mem,vsz,rss,tty,stat,start,time,command";

/// One column.
#[derive(Clone, Copy)]
pub struct Column {
    names: &'static [&'static str],
    /// What stands above it.
    pub heading: &'static str,
    /// What it shows of a process.
    pub cell: fn(&Process) -> String,
}

const COLUMNS: &[Column] = &[
    Column { names: &["pid"], heading: "PID", cell: |p| p.pid.to_string() },
    Column { names: &["ppid"], heading: "PPID", cell: |p| p.parent.to_string() },
    Column { names: &["pgid", "pgrp"], heading: "PGID", cell: |p| p.group.to_string() },
    Column { names: &["sid", "sess"], heading: "SID", cell: |p| p.session.to_string() },
    Column { names: &["uid"], heading: "UID", cell: |p| name(p.uid) },
    Column { names: &["user", "euser", "uname"], heading: "USER", cell: |p| name(p.uid) },
    Column { names: &["gid"], heading: "GID", cell: |p| p.gid.to_string() },
    Column { names: &["group", "egroup"], heading: "GROUP", cell: |p| name(p.gid) },
    Column { names: &["c"], heading: "C", cell: |p| format!("{:.0}", busy_percent(p)) },
    Column { names: &["%cpu", "pcpu"], heading: "%CPU", cell: |p| format!("{:.1}", busy_percent(p)) },
    Column { names: &["%mem", "pmem"], heading: "%MEM", cell: |p| format!("{:.1}", memory_percent(p)) },
    Column { names: &["vsz", "vsize"], heading: "VSZ", cell: |p| (p.virtual_bytes >> 10).to_string() },
    Column { names: &["rss", "rssize"], heading: "RSS", cell: |p| (p.resident_bytes >> 10).to_string() },
    Column { names: &["tty", "tt", "tname"], heading: "TTY", cell: terminal },
    Column { names: &["s", "state"], heading: "S", cell: |p| p.state.to_string() },
    Column { names: &["stat"], heading: "STAT", cell: |p| p.state.to_string() },
    Column { names: &["stime"], heading: "STIME", cell: started },
    Column { names: &["start", "start_time"], heading: "START", cell: started },
    Column { names: &["time", "cputime"], heading: "TIME", cell: |p| clock(p.cpu) },
    Column { names: &["etime"], heading: "ELAPSED", cell: |p| clock(p.age) },
    Column { names: &["nlwp", "thcount"], heading: "NLWP", cell: |p| p.threads.to_string() },
    Column { names: &["ni", "nice"], heading: "NI", cell: |p| p.nice.to_string() },
    Column { names: &["comm", "ucmd"], heading: "COMMAND", cell: |p| p.name.clone() },
    Column { names: &["cmd"], heading: "CMD", cell: |p| p.command.clone() },
    Column { names: &["args", "command"], heading: "COMMAND", cell: |p| p.command.clone() },
];

/// The columns of a list such as `pid,user,args`.
pub fn named(list: &str) -> Result<Vec<Column>, Invalid> {
    let find = |name: &str| {
        let known = COLUMNS.iter().find(|column| column.names.contains(&name));
        known.copied().ok_or_else(|| {
            let names: Vec<&str> = COLUMNS.iter().map(|column| column.names[0]).collect();
            let why = format!("the columns are {}", names.join(", "));
            Invalid::new("column of ps", name, why)
        })
    };
    list.split([',', ' ']).filter(|name| !name.is_empty()).map(find).collect()
}

/// The container's root is root; other names stand in files that are the container's, and are not read.
fn name(id: u32) -> String {
    if id == 0 { "root".into() } else { id.to_string() }
}

fn busy_percent(p: &Process) -> f64 {
    let age = p.age.as_secs_f64();
    if age > 0.0 { p.cpu.as_secs_f64() / age * 100.0 } else { 0.0 }
}

fn memory_percent(p: &Process) -> f64 {
    let host = rustix::system::sysinfo();
    let total = host.totalram as f64 * f64::from(host.mem_unit);
    if total > 0.0 { p.resident_bytes as f64 / total * 100.0 } else { 0.0 }
}

fn terminal(p: &Process) -> String {
    /// The majors of pseudo-terminals; the numbers go on from one to the next.
    const PTS: std::ops::Range<u32> = 136..144;
    match p.terminal {
        Some((major, minor)) if PTS.contains(&major) => format!("pts/{}", (major - PTS.start) * 256 + minor),
        Some((major, minor)) => format!("{major}:{minor}"),
        None => "?".into(),
    }
}

/// The time of day if it was within a day, else the day.
fn started(p: &Process) -> String {
    let then = Timestamp::from_second(p.started_unix_s as i64).unwrap_or(Timestamp::UNIX_EPOCH);
    let format = if p.age < Duration::from_secs(24 * 3600) { "%H:%M" } else { "%b%d" };
    then.to_zoned(TimeZone::system()).strftime(format).to_string()
}

/// `[DAYS-]HH:MM:SS`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let rest = format!("{hours:02}:{:02}:{:02}", seconds / 60 % 60, seconds % 60);
    if days > 0 { format!("{days}-{rest}") } else { rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_clock() {
        let check = |seconds, expected: &str| assert_eq!(clock(Duration::from_secs(seconds)), expected);
        check(0, "00:00:00");
        check(3_723, "01:02:03");
        check(90_061, "1-01:01:01");
    }

    #[test]
    fn every_name_is_given_once() {
        let mut names: Vec<_> = COLUMNS.iter().flat_map(|column| column.names).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
