//! A container's group on v2: `<base>/corten/<id>` with the leaves `keeper` and `payload`.
//!
//! Limits are on `payload`, so that what a container uses up never stops its keeper. A group with processes
//! of its own can't give controllers to groups below (the "no internal processes" rule): hence the leaves,
//! and hence, without systemd, a base further up where ours can't do it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use corten_model::resources::Resources;
use rustix::fs::{Access, Mode, OFlags};
use rustix::io::Errno;

use super::host::Unified;
use super::limits::{self, Missing};
use super::{DeviceRule, Error, devices, file};

/// What containers are limited and counted by.
pub(super) const WANTED: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];
const KEEPER: &str = "keeper";
const PAYLOAD: &str = "payload";
/// Where a keeper goes when it removes its own leaf; never removed itself.
const LEAVING: &str = "leaving";
/// Another keeper may be on its way out of the scope that systemd put it in.
const BUSY_TRIES: u32 = 50;
const BUSY_WAIT: Duration = Duration::from_millis(2);

/// The container's group.
#[derive(Debug)]
pub(super) struct Group {
    /// The directory with both leaves.
    dir: PathBuf,
    pub(super) payload: PathBuf,
    pub(super) controllers: Vec<String>,
    fd: OwnedFd,
}

impl Group {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Makes the group with all controllers that can be had; nothing if the hierarchy isn't ours to write.
pub(super) fn create(unified: &Unified, path: &str) -> Result<Option<Group>, Error> {
    let made = match &unified.scope {
        Some(scope) if !scope.is_dir() => Err(Error::NoScope { scope: super::systemd::SCOPE }),
        _ => make(&base(unified), path),
    };
    match made {
        Ok(group) => Ok(Some(group)),
        Err(error) if file::is_denied(&error) => Ok(None),
        // A user without a systemd of its own has no scope, and no groups to write to.
        Err(Error::NoScope { .. }) if !rustix::process::geteuid().is_root() => Ok(None),
        Err(error) => Err(error),
    }
}

fn make(base: &Path, path: &str) -> Result<Group, Error> {
    let dir = base.join(path);
    make_dirs(base, path)?;
    fill(base, path, &dir).and_then(|()| group(dir.clone())).inspect_err(|_| {
        // The first error is the one to tell. A keeper's leaf stays, with the keeper in it.
        let _ = rustix::fs::rmdir(dir.join(PAYLOAD));
        let _ = rustix::fs::rmdir(&dir);
    })
}

fn fill(base: &Path, path: &str, dir: &Path) -> Result<(), Error> {
    let here = list(&dir.join("cgroup.controllers"))?;
    let there: Vec<&str> = WANTED.into_iter().filter(|c| !here.iter().any(|h| h == c)).collect();
    if !there.is_empty() {
        // Once per boot: the groups on the way don't hand on what they have yet.
        let mut above = base.to_path_buf();
        for part in path.split('/') {
            hand_on(&above)?;
            above.push(part);
        }
    }
    hand_on(dir)?;
    file::make_dir(&dir.join(PAYLOAD)).map(drop)
}

fn make_dirs(base: &Path, path: &str) -> Result<(), Error> {
    match file::make_dir(&base.join(path)) {
        Err(error) if error.refused() == Some(Errno::NOENT) => {
            let mut dir = base.to_path_buf();
            for part in path.split('/') {
                dir.push(part);
                file::make_dir(&dir)?;
            }
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Gives the wanted controllers that `dir` has to the groups below it. What the kernel refuses is missing
/// below, where a limit that needs it is warned of.
fn hand_on(dir: &Path) -> Result<(), Error> {
    let has = list(&dir.join("cgroup.controllers"))?;
    let control = dir.join("cgroup.subtree_control");
    let given = list(&control)?;
    let missing = |c: &&str| has.iter().any(|h| h == c) && !given.iter().any(|g| g == c);
    let missing: Vec<String> = WANTED.into_iter().filter(missing).map(|c| format!("+{c}")).collect();
    if missing.is_empty() || write_busy(&control, &missing.join(" ")).is_ok() {
        return Ok(());
    }
    for one in &missing {
        match file::write(&control, one) {
            Ok(()) => {}
            // BUSY: processes are in `dir` itself. OPNOTSUPP: it is a group of threads. NOENT: the controller
            // is on v1.
            Err(error)
                if matches!(
                    error.refused(),
                    Some(
                        Errno::BUSY
                            | Errno::OPNOTSUPP
                            | Errno::NOENT
                            | Errno::ACCESS
                            | Errno::PERM
                            | Errno::ROFS
                    )
                ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn write_busy(path: &Path, value: &str) -> Result<(), Error> {
    for _ in 1..BUSY_TRIES {
        match file::write(path, value) {
            Err(error) if error.refused() == Some(Errno::BUSY) && is_ours(path) => {
                std::thread::sleep(BUSY_WAIT)
            }
            other => return other,
        }
    }
    file::write(path, value)
}

/// Whether processes in this group are keepers on their way, which leave it soon.
fn is_ours(control: &Path) -> bool {
    let ours = |part: &std::ffi::OsStr| part == super::host::OWN || part == super::systemd::SCOPE;
    control.parent().and_then(Path::file_name).is_some_and(ours)
}

fn list(path: &Path) -> Result<Vec<String>, Error> {
    Ok(file::read(path)?.split_whitespace().map(String::from).collect())
}

fn group(dir: PathBuf) -> Result<Group, Error> {
    let payload = dir.join(PAYLOAD);
    let controllers = list(&payload.join("cgroup.controllers"))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(&payload, flags, Mode::empty())
        .map_err(|e| Error::Open { path: payload.clone(), source: e.into() })?;
    Ok(Group { dir, payload, controllers, fd })
}

/// The keeper's leaf.
pub(super) fn keeper(path: &str) -> String {
    format!("{path}/{KEEPER}")
}

/// The group, if it is below our base or one above it.
pub(super) fn open(unified: &Unified, path: &str) -> Result<Option<Group>, Error> {
    let bases = unified.scope.as_deref().into_iter().chain(unified.upwards());
    let found = bases.map(|base| base.join(path)).find(|dir| dir.join(PAYLOAD).is_dir());
    found.map(group).transpose()
}

/// The group that ours are made below.
pub(super) fn base(unified: &Unified) -> PathBuf {
    let ours = || unified.upwards().find(|dir| can_hand_on(dir)).unwrap_or(&unified.base);
    unified.scope.as_deref().unwrap_or_else(ours).to_path_buf()
}

impl Unified {
    fn upwards(&self) -> impl Iterator<Item = &Path> {
        self.base.ancestors().take_while(|dir| dir.starts_with(&self.mount))
    }
}

/// Whether we may write to `dir`, and it can give controllers to groups below: it does already, has no
/// processes, or is the top, to which the rule doesn't apply.
fn can_hand_on(dir: &Path) -> bool {
    let read = |name: &str| file::read(&dir.join(name)).unwrap_or_default();
    rustix::fs::access(dir, Access::WRITE_OK).is_ok()
        && (!read("cgroup.subtree_control").trim().is_empty()
            || !dir.join("cgroup.events").exists()
            || read("cgroup.procs").is_empty())
}

/// Moves the calling process into the keeper's leaf of `path`.
pub(super) fn enter_keeper(base: &Path, path: &str) -> Result<(), Error> {
    make_dirs(base, path)?;
    let leaf = base.join(keeper(path));
    file::make_dir(&leaf)?;
    let procs = leaf.join("cgroup.procs");
    // Moving to where it is would wait for an RCU grace period all the same.
    let own = std::process::id().to_string();
    if file::read(&procs)?.lines().any(|pid| pid == own) {
        return Ok(());
    }
    file::write(&procs, "0")
}

pub(super) fn set(group: &Group, resources: &Resources, missing: &mut Missing) -> Result<(), Error> {
    for setting in limits::v2(resources) {
        if !group.controllers.iter().any(|c| c == setting.controller) {
            continue;
        }
        match file::write(&group.payload.join(setting.file), &setting.value) {
            Ok(()) => {}
            Err(error) if error.refused() == Some(Errno::NOENT) => missing.file(setting.file),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(super) fn set_devices(group: &Group, rules: &[DeviceRule]) -> Result<(), Error> {
    let program = devices::v2_program(rules)?;
    let fail = |e: Errno| Error::Devices { path: group.payload.clone(), source: e.into() };
    let program = corten_sys::bpf::load_device_program(&program).map_err(fail)?;
    // The directory is opened again: bpf(2) doesn't take an O_PATH descriptor.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::open(&group.payload, flags, Mode::empty()).map_err(fail)?;
    corten_sys::bpf::set_device_program(dir.as_fd(), program.as_fd()).map_err(fail)
}

/// Removes both leaves and the group. If the calling process is the keeper that is in it, it goes elsewhere
/// first.
pub(super) fn remove(group: &Group) -> Result<(), Error> {
    let keeper = group.dir.join(KEEPER);
    let own = std::process::id().to_string();
    let alone = file::read(&keeper.join("cgroup.procs")).is_ok_and(|pids| pids.trim() == own);
    if alone && let Some(above) = group.dir.parent() {
        let leaving = above.join(LEAVING);
        file::make_dir(&leaving)?;
        file::write(&leaving.join("cgroup.procs"), "0")?;
    }
    file::remove(&group.payload)?;
    file::remove(&group.dir)
}
