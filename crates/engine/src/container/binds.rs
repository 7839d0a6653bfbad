//! Paths of the host that a container is about to mount: made where `-v` makes them, and able to do what is asked.

use std::path::{Path, PathBuf};

use corten_model::Invalid;
use corten_model::mount::{Bind, MountSource, MountSpec, Propagation};

use crate::db::containers::Container;
use crate::db::volumes;
use crate::error::OnFile;
use crate::volume::{Data, options};
use crate::{Engine, Error, Result};

/// Checks the sources of binds; `-v` makes a missing one, `--mount` doesn't.
pub(super) fn check(mounts: &[MountSpec]) -> Result<()> {
    for mount in mounts {
        if let MountSource::Bind(bind) = &mount.source {
            check_source(bind)?;
            check_propagation(bind)?;
        }
    }
    Ok(())
}

/// Where the data of a container's volumes is, by target. Directories of the host have to be there.
pub(super) fn volumes(engine: &mut Engine, container: &Container) -> Result<Vec<(String, Data)>> {
    let mut found = Vec::new();
    for (volume, target) in volumes::of_container(engine.database()?.read(), &container.id)? {
        let data = options::data(&volume.options, engine.store().volume_data(&volume.id));
        match &data {
            Data::Directory { path, .. } if !volume.options.is_empty() => {
                std::fs::metadata(path).on("find the directory of the volume", path)?;
            }
            // Each start makes a new one: two containers wouldn't see the same files.
            Data::FileSystem { fstype, .. } if is_memory(fstype) => {
                let users = volumes::alive_users(engine.database()?.read(), &volume.id, Some(&container.id))?;
                if let Some(by) = users.into_iter().next() {
                    return Err(Error::InUse { what: "volume in memory", name: volume.name.to_string(), by });
                }
            }
            _ => {}
        }
        found.push((target, data));
    }
    Ok(found)
}

fn is_memory(fstype: &str) -> bool {
    matches!(fstype, "tmpfs" | "ramfs")
}

fn check_source(bind: &Bind) -> Result<()> {
    let path = Path::new(&bind.path);
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && bind.create => {
            std::fs::create_dir_all(path).on("make the bind source", path)?;
        }
        other => {
            other.on("find the bind source", path)?;
        }
    }
    Ok(())
}

/// What travels needs a mount on the host's side that lets it: else nothing would, in silence.
fn check_propagation(bind: &Bind) -> Result<()> {
    if bind.propagation == Propagation::Private {
        return Ok(());
    }
    let path = std::fs::canonicalize(&bind.path).on("find the bind source", Path::new(&bind.path))?;
    let table = std::fs::read_to_string("/proc/self/mountinfo")
        .on("read the mounts in", Path::new("/proc/self/mountinfo"))?;
    let Some((point, kind)) = mount_of(&table, &path) else { return Ok(()) };
    let needed = match (bind.propagation, kind) {
        (_, Peers::Shared) | (Propagation::Slave, Peers::Slave) => return Ok(()),
        (Propagation::Slave, Peers::Private) => "shared or slave",
        _ => "shared",
    };
    let why = format!("it is on the mount `{}`, which is not {needed}", point.display());
    let hint = format!("make it so with `mount --make-shared {}`", point.display());
    let what = format!("{} ({})", bind.path, bind.propagation_word());
    Err(Invalid::new("mount propagation", what, why).hint(hint).into())
}

/// Whom a mount tells of its changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peers {
    Private,
    Slave,
    Shared,
}

/// The mount that `path` is on, by a mountinfo `table`: the last one of the longest that leads there.
fn mount_of(table: &str, path: &Path) -> Option<(PathBuf, Peers)> {
    let mut found: Option<(PathBuf, Peers)> = None;
    for line in table.lines() {
        let mut fields = line.split(' ').skip(4);
        let Some(point) = fields.next().map(corten_runtime::unescape_mountinfo).map(PathBuf::from) else {
            continue;
        };
        if !path.starts_with(&point) {
            continue;
        }
        // Its options, then optional fields up to a dash.
        let optional = || fields.clone().skip(1).take_while(|field| *field != "-");
        let peers = match () {
            () if optional().any(|field| field.starts_with("shared:")) => Peers::Shared,
            () if optional().any(|field| field.starts_with("master:")) => Peers::Slave,
            () => Peers::Private,
        };
        if found.as_ref().is_none_or(|(best, _)| point.components().count() >= best.components().count()) {
            found = Some((point, peers));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_that_a_path_is_on() {
        let table = "1 0 8:1 / / rw,relatime shared:1 - ext4 a rw\n\
            2 1 8:2 / /srv rw - ext4 b rw\n3 2 8:3 / /srv/a\\040b rw,nodev master:7 - ext4 c rw\n\
            4 1 8:2 / /srv rw master:1 shared:9 - ext4 b rw\n";
        let check = |path: &str, point: &str, peers: Peers| {
            assert_eq!(mount_of(table, Path::new(path)), Some((point.into(), peers)), "{path}");
        };
        check("/etc", "/", Peers::Shared);
        check("/srvx", "/", Peers::Shared);
        check("/srv/a b/c", "/srv/a b", Peers::Slave);
        check("/srv/x", "/srv", Peers::Shared);
    }
}
