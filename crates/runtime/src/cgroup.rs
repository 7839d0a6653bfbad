//! Control groups: where a container's processes are counted, limited, frozen and killed.
//!
//! ```text
//! host.rs      what this machine has: which controller is mounted where, which group is ours to use
//! limits.rs    limits → files and values, for both versions (pure)
//! devices.rs   device rules → v1 lines, v2 program (pure)
//! v1.rs        one directory per hierarchy          <own group>/corten/<id>
//! v2.rs        one directory, two leaves            <own group>/corten/<id>/{keeper,payload}
//! place.rs     a keeper's way out of its caller's groups
//! systemd.rs   the delegated scope that holds all of it on hosts with systemd; dbus.rs speaks to systemd
//! usage.rs     what a group used
//! signal.rs    freezing, killing, emptying
//! file.rs      reads, writes, mkdir, rmdir with the file's name in the error
//! ```
//!
//! Detected per controller: a hybrid host has some on v1 and some on v2. A controller that can't be had
//! costs its limits, with a warning that names it; only device rules are never dropped for root, because
//! there they are what keeps `mknod` harmless. Groups that aren't below our own are never written to.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

use corten_model::resources::Resources;

mod dbus;
mod devices;
mod error;
mod file;
mod host;
mod limits;
mod place;
mod signal;
mod systemd;
#[cfg(test)]
mod tests;
mod usage;
mod v1;
mod v2;

pub use error::Error;
pub use host::{Driver, Host};
pub use signal::KillAll;
pub use systemd::Manager;
pub use usage::Usage;

/// What a group is limited to.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// Memory, CPU, processes.
    pub resources: Resources,
    /// Which devices can be opened, the last fitting rule first; none at all allows everything.
    pub devices: Vec<DeviceRule>,
}

/// One rule of the device list, as OCI's `linux.resources.devices` has it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DeviceRule {
    /// Allow or deny.
    pub allow: bool,
    /// `a` any, `b` block, `c` character.
    pub kind: char,
    /// The major number; any if absent.
    pub major: Option<u32>,
    /// The minor number; any if absent.
    pub minor: Option<u32>,
    /// Some of `r`, `w`, `m`; all if empty.
    pub access: String,
}

/// A container's group: a directory in each v1 hierarchy, or one on v2. Dropping it removes nothing.
#[derive(Debug)]
pub struct Cgroup {
    path: String,
    v1: Vec<v1::Group>,
    v2: Option<v2::Group>,
}

impl Host {
    /// Makes the group `path` (such as `corten/<id>`) below our own, with its limits. The warnings name what this host
    /// can't limit. If it fails, nothing is left behind.
    ///
    /// On systemd hosts the caller is a keeper, and is moved as by [`Host::leave_for_keeper`] if it wasn't yet: the
    /// scope that groups are below is there only while a process is in it.
    pub fn create(&self, path: &str, limits: &Limits) -> Result<(Cgroup, Vec<String>), Error> {
        file::check_path(path)?;
        self.stand_in_scope(path)?;
        let mut group = Cgroup { path: path.into(), v1: Vec::new(), v2: None };
        match self.fill(&mut group, limits) {
            Ok(warnings) => Ok((group, warnings)),
            Err(error) => {
                // The first error is the one to tell; what is left would be found by the next removal.
                let _ = group.remove();
                Err(error)
            }
        }
    }

    fn fill(&self, group: &mut Cgroup, limits: &Limits) -> Result<Vec<String>, Error> {
        let path = group.path.clone();
        let mut warnings = Vec::new();
        for hierarchy in &self.v1 {
            if let Some(created) = v1::create(hierarchy, &path)? {
                group.v1.push(created);
            }
        }
        if let Some(unified) = self.unified() {
            group.v2 = v2::create(unified, &path)?;
        }
        warnings.extend(group.set(&limits.resources)?);
        group.set_devices(&limits.devices)?;
        Ok(warnings)
    }

    /// The group `path` that exists already; [`Error::Absent`] if no hierarchy has it.
    pub fn open(&self, path: &str) -> Result<Cgroup, Error> {
        file::check_path(path)?;
        let v1: Vec<_> = self.v1.iter().filter_map(|h| v1::open(h, path)).collect();
        let v2 = self.unified().and_then(|u| v2::open(u, path).transpose()).transpose()?;
        if v1.is_empty() && v2.is_none() {
            return Err(Error::Absent { path: path.into() });
        }
        Ok(Cgroup { path: path.into(), v1, v2 })
    }
}

impl Cgroup {
    /// The name that it was created or opened with.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The directories, v1 first: what `inspect` shows and what is bound into a container without a cgroup
    /// namespace.
    pub fn directories(&self) -> Vec<PathBuf> {
        self.v1.iter().map(|g| g.dir.clone()).chain(self.v2.iter().map(|g| g.payload.clone())).collect()
    }

    /// Files into which a process writes `0` to enter: `tasks` of every v1 hierarchy, and v2's
    /// `cgroup.procs`.
    ///
    /// They are opened here and written by the entering process itself: v1 asks for the opener's rights, and
    /// a single-threaded process that moves itself by `tasks` doesn't wait for an RCU grace period (up to 15
    /// ms), as any write to `cgroup.procs` does.
    pub fn join_fds(&self) -> Result<Vec<OwnedFd>, Error> {
        let v1 = self.v1.iter().map(|g| file::open_write(&g.dir.join("tasks")));
        let v2 = self.v2.iter().map(|g| file::open_write(&g.payload.join("cgroup.procs")));
        v1.chain(v2).collect()
    }

    /// The directory for `CLONE_INTO_CGROUP`, where there is a v2 group.
    pub fn clone_into(&self) -> Option<BorrowedFd<'_>> {
        self.v2.as_ref().map(v2::Group::fd)
    }

    /// Applies limits, also to a group in use. The warnings name limits that this host can't set.
    pub fn set(&self, resources: &Resources) -> Result<Vec<String>, Error> {
        let mut missing = limits::Missing::default();
        for group in &self.v1 {
            v1::set(group, resources, &mut missing)?;
        }
        if let Some(group) = &self.v2 {
            v2::set(group, resources, &mut missing)?;
        }
        let has = |controller: &str| {
            self.v1.iter().any(|g| g.has(controller))
                || self.v2.as_ref().is_some_and(|g| g.controllers.iter().any(|c| c == controller))
        };
        missing.controllers(limits::needed(resources).into_iter().filter(|c| !has(c)));
        if limits::needs_io(resources) && !has("blkio") && !has("io") {
            missing.controllers(["io"].into_iter());
        }
        for file in limits::only_v1(resources) {
            let on_v2 = |g: &v2::Group| g.controllers.iter().any(|c| file.starts_with(c.as_str()));
            if self.v2.as_ref().is_some_and(on_v2) {
                missing.file(file);
            }
        }
        Ok(missing.warnings())
    }

    /// As [`Cgroup::set`], for a group in use: if one limit is refused, those that were set before it are as they were.
    pub fn replace(&self, resources: &Resources) -> Result<Vec<String>, Error> {
        let v1 = self.v1.iter().flat_map(|g| {
            let ours = limits::v1(resources).into_iter().filter(|s| g.has(s.controller));
            ours.map(|s| g.dir.join(s.file))
        });
        let v2 =
            self.v2.iter().flat_map(|g| limits::v2(resources).into_iter().map(|s| g.payload.join(s.file)));
        let before: Vec<(PathBuf, String)> =
            v1.chain(v2).filter_map(|path| file::read(&path).ok().map(|value| (path, value))).collect();
        self.set(resources).inspect_err(|_| {
            // Twice: of two limits that bound each other the second may have to go back before the first can.
            for (path, value) in before.iter().rev().chain(before.iter().rev()) {
                // The refusal is the error to tell.
                let _ = file::write(path, value.trim());
            }
        })
    }

    fn set_devices(&self, rules: &[DeviceRule]) -> Result<(), Error> {
        if rules.is_empty() {
            return Ok(());
        }
        if let Some(group) = self.v1.iter().find(|g| g.has("devices")) {
            return v1::set_devices(group, rules);
        }
        match self.v2.as_ref().map(|g| v2::set_devices(g, rules)) {
            Some(Ok(())) => Ok(()),
            // Without the first user namespace's root nobody here can make or open a device by its number.
            _ if !host::is_real_root() => Ok(()),
            Some(Err(error)) => Err(error),
            None => Err(Error::NoDevices),
        }
    }
}
