//! A process in a running container.
//!
//! The container is held by its pidfd from the first look to the last: a pid that was used again can't be meant.
//! One process enters the cgroup and the namespaces, undumpable (CVE-2016-9962), and its sibling, made inside,
//! goes the way of every process here.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use corten_sys::kernel_file;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::thread::{ThreadNameSpaceType, UnshareFlags};

use crate::cgroup;
use crate::channel::{Channel, Word};
use crate::error::StartError;
use crate::init::{join_cgroup, own_oom_score};
use crate::newborn::{self, Roles, hide};
use crate::plan::check_process;
use crate::process::{Ending, become_program, become_root};
use crate::seccomp;
use crate::spec::Process;
use crate::start::devices::Owners;
use crate::start::maps;
use crate::start::{
    Started, Stdio, await_exec, finish, is_version_2, join_fds, own_pipes, prepare_child, streams,
};
use crate::step::{Failure, Step, at, at_io};

/// Everything that an exec needs.
pub struct ExecLaunch<'a> {
    /// The container's first process.
    pub pid: i32,
    /// The same, for good.
    pub pidfd: BorrowedFd<'a>,
    /// The caller isn't root of the host.
    pub rootless: bool,
    /// What is started.
    pub process: &'a Process,
    /// The container's cgroup.
    pub cgroup: &'a cgroup::Cgroup,
    /// Its standard streams.
    pub stdio: Stdio,
    /// Its system call filter.
    pub seccomp: Option<&'a seccomp::Filter>,
    /// Is told each stage as it is reached, in the process that enters.
    pub trace: Option<&'a dyn Fn(&'static str)>,
}

/// Starts a process in a running container. Returns when it has become its program, or nothing of it is left.
///
/// The calling process is single-threaded and its parent for good.
pub fn exec(launch: ExecLaunch<'_>) -> Result<Started, StartError> {
    check_process(launch.process)?;
    if launch.process.terminal != matches!(launch.stdio, Stdio::Terminal) {
        let invalid =
            corten_model::Invalid::new("standard streams", "", "a terminal is asked for in one place only");
        return Err(invalid.into());
    }
    alive(&launch)?;
    let namespaces = namespaces(launch.pid)?;
    let in_userns = namespaces.contains(ThreadNameSpaceType::USER);
    if in_userns && !launch.rootless {
        give_pipes(&launch)?;
    }
    let fds = CgroupFds::open(launch.cgroup)?;
    // It may have ended since, and what was seen in /proc/<pid> been another's.
    alive(&launch)?;
    thawed(&launch)?;
    let join = |channel: &Channel, in_cgroup: bool| enter(&launch, namespaces, &fds, in_cgroup, channel);
    let main = |channel: &Channel| {
        if in_userns {
            become_root()?;
        }
        hide()?;
        channel.expect(Word::Go)?;
        become_program(Ending {
            process: launch.process,
            stdio: &launch.stdio,
            terminal: None,
            seccomp: launch.seccomp,
            reaper: false,
            awaits_consent: false,
            channel,
            trace: launch.trace,
        })
    };
    let roles = Roles { join: Some(join), main };
    let (child, channel) = newborn::spawn(UnshareFlags::empty(), launch.cgroup.clone_into(), roles)?;
    let prepared = prepare_child(child.pid(), launch.process, launch.rootless);
    let prepared = prepared.and_then(|warning| channel.send(Word::Go, &[], &[]).map(|()| warning));
    let warning = prepared.map_err(|failure| channel.last_failure().unwrap_or(failure))?;
    let (terminal, mut warnings) = await_exec(&channel)?;
    warnings.extend(warning);
    finish(child, terminal, warnings, streams(&launch.stdio))
}

/// Files to join the cgroup with; those of version 2 aren't needed if it was entered by birth.
struct CgroupFds {
    version_1: Vec<OwnedFd>,
    version_2: Vec<OwnedFd>,
}

impl CgroupFds {
    fn open(cgroup: &cgroup::Cgroup) -> Result<Self, StartError> {
        let all = join_fds(cgroup, false)?;
        let (version_2, version_1) = all.into_iter().partition(is_version_2);
        Ok(Self { version_1, version_2 })
    }
}

/// Enters the container. The cgroup first: its files are of the host's ids.
fn enter(
    launch: &ExecLaunch<'_>,
    namespaces: ThreadNameSpaceType,
    fds: &CgroupFds,
    in_cgroup: bool,
    channel: &Channel,
) -> Result<(), Failure> {
    join_cgroup(&fds.version_1)?;
    if !in_cgroup {
        join_cgroup(&fds.version_2)?;
    }
    own_oom_score(launch.process, launch.rootless, channel)?;
    hide()?;
    rustix::thread::move_into_thread_name_spaces(launch.pidfd, namespaces)
        .map_err(at(Step::Join, launch.pid.to_string()))?;
    if let Some(trace) = launch.trace {
        trace("exec: entered");
    }
    Ok(())
}

/// Refuses a container that has ended, or whose pid is of another process by now.
fn alive(launch: &ExecLaunch<'_>) -> Result<(), StartError> {
    let mut fds = [PollFd::new(&launch.pidfd, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let ended = poll(&mut fds, Some(&now)).map_err(at(Step::Inspect, "pidfd"))? > 0;
    if ended || pid_of(launch.pidfd)? != launch.pid {
        return Err(StartError::NotRunning { pid: launch.pid });
    }
    Ok(())
}

/// Refuses a container that is paused: a process that joins a frozen group never answers and can't even be killed.
fn thawed(launch: &ExecLaunch<'_>) -> Result<(), StartError> {
    match launch.cgroup.directories().iter().any(|directory| is_frozen(directory)) {
        true => Err(StartError::Paused { pid: launch.pid }),
        false => Ok(()),
    }
}

/// The pid of a pidfd; -1 if it has ended, 0 if it is of another pid namespace.
fn pid_of(pidfd: BorrowedFd<'_>) -> Result<i32, Failure> {
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
    let text = kernel_file::read(&path).map_err(at_io(Step::Inspect, &path))?;
    let pid = text.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok());
    pid.ok_or_else(|| Failure::because(Step::Inspect, path, Errno::INVAL, "it is not a pidfd"))
}

/// Whether the group at `directory` is frozen, by version 1 or 2; one without a freezer isn't.
fn is_frozen(directory: &Path) -> bool {
    let reads = |file: &str| kernel_file::read(directory.join(file)).unwrap_or_default();
    matches!(reads("freezer.state").trim(), "FROZEN" | "FREEZING") || reads("cgroup.freeze").trim() == "1"
}

/// The namespaces to enter: all of the container's; the user namespace only if it isn't ours, the kernel refuses
/// to enter that again.
fn namespaces(pid: i32) -> Result<ThreadNameSpaceType, Failure> {
    let all = ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::CONTROL_GROUP
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::PROCESS_ID
        | ThreadNameSpaceType::NETWORK;
    let identity = |path: String| {
        let stat = rustix::fs::stat(&path).map_err(at(Step::Inspect, path))?;
        Ok::<_, Failure>((stat.st_dev, stat.st_ino))
    };
    let own = identity("/proc/self/ns/user".into())?;
    match identity(format!("/proc/{pid}/ns/user"))? == own {
        true => Ok(all),
        false => Ok(all | ThreadNameSpaceType::USER),
    }
}

/// The container's root couldn't open `/dev/stdout` else: the pipe is of the host's ids.
fn give_pipes(launch: &ExecLaunch<'_>) -> Result<(), StartError> {
    let Stdio::Fds { stdin, stdout, stderr } = &launch.stdio else { return Ok(()) };
    let map = maps::read(launch.pid)?;
    let (uid, gid) = Owners::new(Some(&map)).outside(0, 0);
    Ok(own_pipes([stdin, stdout, stderr], uid, gid)?)
}
