//! A container's group on v1: one directory in each hierarchy.
//!
//! A hierarchy that we may not write to is left out; its limits are then warned of. Controllers that
//! are mounted together share a directory.

use std::path::{Path, PathBuf};

use corten_model::resources::Resources;
use rustix::io::Errno;

use super::host::Hierarchy;
use super::limits::{self, Missing, Setting};
use super::{DeviceRule, Error, devices, file};

/// The container's directory in one hierarchy.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) controllers: Vec<String>,
    pub(super) dir: PathBuf,
}

impl Group {
    pub(super) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|c| c == controller)
    }
}

impl Hierarchy {
    /// The group that ours are below: systemd's scope in those hierarchies that systemd uses.
    pub(super) fn place(&self) -> &Path {
        self.scope.as_deref().filter(|scope| scope.is_dir()).unwrap_or(&self.base)
    }
}

/// Makes the group; nothing if the hierarchy isn't ours to write.
pub(super) fn create(hierarchy: &Hierarchy, path: &str) -> Result<Option<Group>, Error> {
    let dir = hierarchy.place().join(path);
    let made = match file::make_dir(&dir) {
        Err(error) if error.refused() == Some(Errno::NOENT) => {
            make_parents(hierarchy, path).and_then(|()| file::make_dir(&dir))
        }
        other => other,
    };
    match made {
        Ok(_) => {}
        Err(error) if file::is_denied(&error) => return Ok(None),
        Err(error) => return Err(error),
    }
    let group = Group { controllers: hierarchy.controllers.clone(), dir };
    match check_cpuset(hierarchy, path, &group) {
        Ok(()) => Ok(Some(group)),
        Err(error) => {
            // The first error is the one to tell.
            let _ = file::remove(&group.dir);
            Err(error)
        }
    }
}

/// Only now and then is there something to do: whoever made the group above may not have filled it yet when
/// we made our own in it.
fn check_cpuset(hierarchy: &Hierarchy, path: &str, group: &Group) -> Result<(), Error> {
    if !group.has("cpuset") || !file::read(&group.dir.join("cpuset.cpus"))?.trim().is_empty() {
        return Ok(());
    }
    make_parents(hierarchy, path)?;
    fill_cpuset(&group.dir)
}

/// Makes the groups between our base and the container's.
fn make_parents(hierarchy: &Hierarchy, path: &str) -> Result<(), Error> {
    let Some((parents, _)) = path.rsplit_once('/') else { return Ok(()) };
    let mut dir = hierarchy.place().to_path_buf();
    for part in parents.split('/') {
        dir.push(part);
        file::make_dir(&dir)?;
        if hierarchy.controllers.iter().any(|c| c == "cpuset") {
            fill_cpuset(&dir)?;
            // Groups below then start with what this one has, instead of nothing.
            file::write(&dir.join("cgroup.clone_children"), "1")?;
        }
    }
    Ok(())
}

/// Gives a cpuset what the group above has: one without CPUs or memory nodes takes no process (ENOSPC).
fn fill_cpuset(dir: &Path) -> Result<(), Error> {
    let above = dir.parent().unwrap_or(dir);
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if file::read(&dir.join(name))?.trim().is_empty() {
            file::write(&dir.join(name), file::read(&above.join(name))?.trim())?;
        }
    }
    Ok(())
}

/// Moves the calling process into the first group of `path`: it is none of what a parent of the container's counts.
pub(super) fn enter_above(hierarchy: &Hierarchy, path: &str) -> Result<(), Error> {
    let (above, _) = path.split_once('/').unwrap_or(("", path));
    let tasks = hierarchy.place().join(above).join("tasks");
    match file::write(&tasks, "0") {
        Err(error) if error.refused() == Some(Errno::NOENT) => {
            make_parents(hierarchy, path)?;
            file::write(&tasks, "0")
        }
        other => other,
    }
}

/// The group, if this hierarchy has it.
pub(super) fn open(hierarchy: &Hierarchy, path: &str) -> Option<Group> {
    let dir = hierarchy.place().join(path);
    dir.is_dir().then(|| Group { controllers: hierarchy.controllers.clone(), dir })
}

/// Writes those limits that this hierarchy's controllers set.
pub(super) fn set(group: &Group, resources: &Resources, missing: &mut Missing) -> Result<(), Error> {
    let settings: Vec<Setting> =
        limits::v1(resources).into_iter().filter(|s| group.has(s.controller)).collect();
    for (at, setting) in settings.iter().enumerate() {
        match file::write(&group.dir.join(setting.file), &setting.value) {
            Ok(()) => {}
            Err(error) if error.refused() == Some(Errno::NOENT) => missing.file(setting.file),
            // Memory can't be raised above memory and swap: those two then go up in the other order.
            Err(error)
                if error.refused() == Some(Errno::INVAL) && setting.file == "memory.limit_in_bytes" =>
            {
                match settings.get(at + 1).filter(|s| s.file == "memory.memsw.limit_in_bytes") {
                    Some(both) => {
                        file::write(&group.dir.join(both.file), &both.value)?;
                        file::write(&group.dir.join(setting.file), &setting.value)?;
                    }
                    None => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Denies all devices, then allows those of the rules.
pub(super) fn set_devices(group: &Group, rules: &[DeviceRule]) -> Result<(), Error> {
    let (deny, allow) = (group.dir.join("devices.deny"), group.dir.join("devices.allow"));
    let (deny_fd, allow_fd) = (file::open_write(&deny)?, file::open_write(&allow)?);
    for (is_allow, line) in devices::v1_lines(rules)? {
        let (fd, path) = if is_allow { (&allow_fd, &allow) } else { (&deny_fd, &deny) };
        file::write_fd(fd, path, &line)?;
    }
    Ok(())
}
