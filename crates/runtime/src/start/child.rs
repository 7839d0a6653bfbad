//! What the parent does for the child that the child may not do itself.

use std::os::fd::OwnedFd;

use corten_sys::caps;
use rustix::fs::{FileType, Gid, Uid};
use rustix::io::Errno;
use rustix::process::{Pid, prlimit};

use crate::limits;
use crate::spec::{Process, Rlimit};
use crate::step::{Failure, Step, at, at_io};

/// Gives pipes among `fds` to an owner.
pub(crate) fn own_pipes(fds: [&OwnedFd; 3], uid: Option<Uid>, gid: Option<Gid>) -> Result<(), Failure> {
    for fd in fds {
        let stat = rustix::fs::fstat(fd).map_err(at(Step::Stdio, ""))?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Fifo {
            rustix::fs::fchown(fd, uid, gid).map_err(at(Step::Stdio, ""))?;
        }
    }
    Ok(())
}

/// Gives the child what only we may: hard limits above its own, and as root a low OOM score. Returns a warning.
pub(crate) fn prepare_child(pid: i32, process: &Process, rootless: bool) -> Result<Option<String>, Failure> {
    if !process.rlimits.is_empty() {
        raise_limits(pid, &process.rlimits)?;
    }
    match process.oom_score_adj {
        Some(score) if !rootless => set_oom_score(&format!("/proc/{pid}/oom_score_adj"), score),
        _ => Ok(None),
    }
}

/// Sets the score; lower than ours needs CAP_SYS_RESOURCE, and without it stays, with a warning.
pub(crate) fn set_oom_score(path: &str, score: i32) -> Result<Option<String>, Failure> {
    match std::fs::write(path, score.to_string()) {
        Ok(()) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Ok(Some(format!("the OOM score {score} is below ours, which only CAP_SYS_RESOURCE may set")))
        }
        Err(error) => Err(at_io(Step::Prepare, path)(error)),
    }
}

/// Raises hard limits of process `pid` where we may; where not, the child takes what there is, and says so.
fn raise_limits(pid: i32, wishes: &[Rlimit]) -> Result<(), Failure> {
    if caps::get().map_err(at(Step::Inspect, "capabilities"))?.effective & caps::SYS_RESOURCE == 0 {
        return Ok(());
    }
    for wish in wishes {
        let Some(resource) = limits::resource(&wish.kind) else { continue };
        let mut limit = rustix::process::getrlimit(resource);
        let wanted = limits::finite(wish.hard);
        if limit.maximum.is_some_and(|now| wanted.is_none_or(|w| w > now)) {
            limit.maximum = wanted;
            // EPERM: above what this host allows anybody (fs.nr_open). The child clamps.
            match prlimit(Pid::from_raw(pid), resource, limit) {
                Ok(_) | Err(Errno::PERM) => {}
                Err(errno) => return Err(at(Step::Rlimit, &wish.kind)(errno)),
            }
        }
    }
    Ok(())
}
