//! Freezing, killing, counting and removing what is in a group.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{Cgroup, Error, file, v2};

/// How long killed processes may take until they are gone, and frozen ones until they stand still.
const DEADLINE: Duration = Duration::from_secs(5);
const WAIT_MAX: Duration = Duration::from_millis(50);
const WAIT_MIN: Duration = Duration::from_millis(1);

/// Where a killing in steps stands: until when, and how long to wait before the next look; nothing before the first.
#[derive(Debug, Default)]
pub struct KillAll(Option<(Instant, Duration)>);

impl Cgroup {
    /// The processes in the group and in groups that they made below it.
    pub fn pids(&self) -> Result<Vec<i32>, Error> {
        match self.counted() {
            Some(dir) => pids(dir),
            None => Ok(Vec::new()),
        }
    }

    /// Whether any process is in the group, or in one below.
    pub fn is_populated(&self) -> Result<bool, Error> {
        match &self.v2 {
            Some(group) => event(&group.payload, "populated"),
            None => self.pids().map(|pids| !pids.is_empty()),
        }
    }

    /// Kills every process of the group, and returns when none is left.
    pub fn kill_all(&self) -> Result<(), Error> {
        let mut killing = KillAll::default();
        while let Some(pause) = self.kill_step(&mut killing)? {
            std::thread::sleep(pause);
        }
        Ok(())
    }

    /// One look and one round of killing, for callers that have other things to do: when to come again, `None` if
    /// nothing is left. Never waits.
    pub fn kill_step(&self, killing: &mut KillAll) -> Result<Option<Duration>, Error> {
        let dir = match (&self.v2, self.counted()) {
            (Some(group), _) => &group.payload,
            (None, Some(dir)) => dir,
            (None, None) => return Ok(None),
        };
        let is_empty = match &self.v2 {
            Some(group) => kill_unified(group, killing)?,
            None => self.kill_listed(dir)?,
        };
        if is_empty {
            return Ok(None);
        }
        let (end, wait) = *killing.0.get_or_insert_with(|| (Instant::now() + DEADLINE, WAIT_MIN));
        if Instant::now() > end {
            return Err(deadline(dir, "they were killed"));
        }
        killing.0 = Some((end, (wait * 2).min(WAIT_MAX)));
        Ok(Some(wait))
    }

    /// A round on v1. `true`: nothing was there.
    fn kill_listed(&self, dir: &Path) -> Result<bool, Error> {
        if pids(dir)?.is_empty() {
            return Ok(true);
        }
        // Frozen, they can't fork faster than they are killed; but one that can't be frozen is killed all the same.
        let frozen = self.try_freeze(true).is_ok();
        let killed = kill_listed(dir);
        if frozen {
            self.try_freeze(false)?;
        }
        Ok(killed? == 0 && pids(dir)?.is_empty())
    }

    /// Stops or continues every process of the group; returns when all stand still.
    pub fn freeze(&self, frozen: bool) -> Result<(), Error> {
        if let Some(group) = &self.v2 {
            file::write(&group.payload.join("cgroup.freeze"), if frozen { "1" } else { "0" })?;
            return wait_event(&group.payload, "frozen", frozen, "they were frozen");
        }
        let group = self.v1.iter().find(|g| g.has("freezer")).ok_or(Error::NoFreezer)?;
        let state = group.dir.join("freezer.state");
        let end = Instant::now() + DEADLINE;
        let mut wait = Duration::from_millis(1);
        loop {
            let wanted = if frozen { "FROZEN" } else { "THAWED" };
            file::write(&state, wanted)?;
            if file::read(&state)?.trim() == wanted {
                return Ok(());
            }
            if Instant::now() > end {
                // Half frozen would be neither running nor paused.
                file::write(&state, "THAWED")?;
                return Err(deadline(&group.dir, "they were frozen"));
            }
            std::thread::sleep(wait);
            wait = (wait * 2).min(WAIT_MAX);
        }
    }

    /// Asks v1's freezer for it without waiting.
    fn try_freeze(&self, frozen: bool) -> Result<(), Error> {
        let group = self.v1.iter().find(|g| g.has("freezer")).ok_or(Error::NoFreezer)?;
        file::write(&group.dir.join("freezer.state"), if frozen { "FROZEN" } else { "THAWED" })
    }

    /// How many processes the kernel killed here for want of memory; 0 if it doesn't tell.
    pub fn oom_kills(&self) -> u64 {
        let v1 = self.v1.iter().find(|g| g.has("memory")).map(|g| g.dir.join("memory.oom_control"));
        let path = v1.or_else(|| self.v2.as_ref().map(|g| g.payload.join("memory.events")));
        let text = path.and_then(|p| file::read(&p).ok()).unwrap_or_default();
        let count = |line: &str| line.strip_prefix("oom_kill ").and_then(|n| n.trim().parse().ok());
        text.lines().find_map(count).unwrap_or(0)
    }

    /// Removes the group from every hierarchy; what is absent already is fine.
    ///
    /// All are tried, whatever happens to one; the first error is returned. A keeper that still is in its own
    /// leaf on v2 leaves it.
    pub fn remove(&self) -> Result<(), Error> {
        let mut result = Ok(());
        for group in &self.v1 {
            result = result.and(file::remove(&group.dir));
        }
        if let Some(group) = &self.v2 {
            result = result.and(v2::remove(group));
        }
        result
    }

    /// The directory whose members are counted: the same processes are in all of them.
    fn counted(&self) -> Option<&Path> {
        let v1 = ["freezer", "pids"].iter().find_map(|name| self.v1.iter().find(|g| g.has(name)));
        let v1 = v1.or(self.v1.first()).map(|g| g.dir.as_path());
        v1.or(self.v2.as_ref().map(|g| g.payload.as_path()))
    }
}

/// A round on v2: the kernel kills all of it at once. `true`: nothing is there.
fn kill_unified(group: &v2::Group, killing: &KillAll) -> Result<bool, Error> {
    if killing.0.is_none() {
        match file::write(&group.payload.join("cgroup.kill"), "1") {
            Ok(()) => {}
            // Every kernel that we run on has the file (Linux 5.14): the group is gone.
            Err(error) if error.refused() == Some(Errno::NOENT) => return Ok(true),
            Err(error) => return Err(error),
        }
    }
    event(&group.payload, "populated").map(|populated| !populated)
}

fn deadline(dir: &Path, after: &'static str) -> Error {
    Error::Deadline { path: dir.into(), after, deadline_ms: DEADLINE.as_millis() as u64 }
}

/// The members of `dir` and of the groups below; of a group that is gone, none.
fn pids(dir: &Path) -> Result<Vec<i32>, Error> {
    let mut all = members(dir)?;
    for below in file::descendants(dir) {
        all.extend(members(&below)?);
    }
    Ok(all)
}

fn members(dir: &Path) -> Result<Vec<i32>, Error> {
    let path = dir.join("cgroup.procs");
    match file::read(&path) {
        Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
        // ENODEV: removed while it was open; EOPNOTSUPP: a group of threads, whose processes are listed above
        // it.
        Err(Error::Read { source, .. })
            if matches!(
                source.raw_os_error().map(Errno::from_raw_os_error),
                Some(Errno::NOENT | Errno::NODEV | Errno::OPNOTSUPP)
            ) =>
        {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

/// Sends SIGKILL to what is in the group, and returns to how many.
///
/// A number that was read may belong to another process by now: so it is turned into a handle first, and the
/// handle is used only if the number is still listed. Numbers outside of our pid namespace read as 0.
fn kill_listed(dir: &Path) -> Result<usize, Error> {
    let open = |pid: i32| {
        let handle = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        Some((pid, handle))
    };
    let handles: Vec<(i32, OwnedFd)> = pids(dir)?.into_iter().filter_map(open).collect();
    let still: HashSet<i32> = pids(dir)?.into_iter().collect();
    let mut killed = 0;
    for (_, handle) in handles.iter().filter(|(pid, _)| still.contains(pid)) {
        // ESRCH: it ended by itself.
        killed += usize::from(pidfd_send_signal(handle, Signal::KILL).is_ok());
    }
    Ok(killed)
}

fn event(dir: &Path, name: &str) -> Result<bool, Error> {
    match file::read(&dir.join("cgroup.events")) {
        Ok(text) => Ok(says(&text, name)),
        Err(Error::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn says(text: &str, name: &str) -> bool {
    text.lines().any(|line| line.split_once(' ') == Some((name, "1")))
}

/// Waits until `cgroup.events` says so: the kernel marks the file readable with POLLPRI at each change.
fn wait_event(dir: &Path, name: &str, wanted: bool, after: &'static str) -> Result<(), Error> {
    let path = dir.join("cgroup.events");
    let fail = |source: Errno| Error::Read { path: path.clone(), source: source.into() };
    let fd = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(fail)?;
    let end = Instant::now() + DEADLINE;
    let mut buffer = [0; 128];
    loop {
        let length = rustix::io::pread(fd.as_fd(), &mut buffer, 0).map_err(fail)?;
        if says(&String::from_utf8_lossy(&buffer[..length]), name) == wanted {
            return Ok(());
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(deadline(dir, after));
        }
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::new(&fd, PollFlags::PRI)], Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(fail(errno)),
        }
    }
}
