//! What a new container mounts: what was asked for, what it takes over from others, and volumes and images that are held
//! for it.

use std::path::Path;

use corten_model::container::ContainerConfig;
use corten_model::mount::{Flag, MountSource, MountSpec, Volume as Asked, clean_target, duplicate};
use corten_model::{Digest, Invalid, VolumeId};
use rusqlite::Connection;

use crate::db::containers::Container;
use crate::db::images::{self, Image};
use crate::db::volumes::{self, Volume};
use crate::volume::{New, options};
use crate::{Engine, Error, Result, image};

/// There where a policy of SELinux is loaded.
const SELINUX: &str = "/sys/fs/selinux/enforce";

/// A volume that a container mounts.
pub(super) struct Wanted {
    /// Its row, which may be a new one.
    pub volume: Volume,
    /// Where it is mounted.
    pub target: String,
    /// It has neither row nor data yet.
    pub is_new: bool,
    /// What the image has there is copied if it is empty.
    pub copies: bool,
}

/// What can be known to be wrong without looking at anything.
pub(super) fn check(config: &ContainerConfig) -> Result<()> {
    if let Some(target) = duplicate(&config.mounts) {
        return Err(
            Invalid::new("mount", target, "duplicate mount point: two mounts have this target").into()
        );
    }
    options::check_driver(config.volume_driver.as_deref())?;
    for mount in &config.mounts {
        match &mount.source {
            MountSource::Bind(bind) if !bind.path.starts_with('/') => {
                return Err(Invalid::new("mount", &bind.path, "the source is a relative path").into());
            }
            MountSource::Volume(volume) => {
                options::check_driver(volume.driver.as_deref())?;
                options::check(&volume.options)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Adds what the containers of `--volumes-from` mount, the later ones' first; what was asked for itself wins over it, but
/// for volumes without a name (`-v /PATH`), which give way.
pub(super) fn inherit(engine: &mut Engine, config: &mut ContainerConfig) -> Result<()> {
    check_host(engine, config)?;
    let mut inherited: Vec<MountSpec> = Vec::new();
    for from in &config.volumes_from {
        let other = super::resolve(engine, &from.container)?;
        for mut mount in mounts_of(engine, &other)? {
            mount.flag = Flag::VolumesFrom;
            mount.mode = String::new();
            mount.read_only |= from.read_only();
            mount.relabel = from.relabel();
            inherited.retain(|earlier| earlier.target != mount.target);
            inherited.push(mount);
        }
    }
    config.mounts.retain(|own| !own.gives_way() || !inherited.iter().any(|i| i.target == own.target));
    inherited.retain(|mount| !config.mounts.iter().any(|own| own.target == mount.target));
    config.mounts.append(&mut inherited);
    Ok(())
}

/// What this host or this user can't have.
fn check_host(engine: &Engine, config: &ContainerConfig) -> Result<()> {
    if engine.is_rootless() && config.mounts.iter().any(|mount| !mount.owner.is_plain()) {
        let what = "showing a mount's files as another owner's (`idmap`, `uid`, `gid`)".to_owned();
        return Err(Error::Unsupported {
            what,
            when: "without root: the kernel lets nobody else map owners",
        });
    }
    if config.mounts.iter().any(|mount| mount.relabel) && Path::new(SELINUX).exists() {
        let what = "relabelling files for SELinux (`z`, `Z`)".to_owned();
        return Err(Error::Unsupported { what, when: "yet: set the label with chcon(1) and leave it out" });
    }
    Ok(())
}

/// Everything that a container mounts, each volume under its name.
fn mounts_of(engine: &mut Engine, container: &Container) -> Result<Vec<MountSpec>> {
    let asked = &container.config.mounts;
    let mut mounts = Vec::new();
    for (volume, target) in volumes::of_container(engine.database()?.read(), &container.id)? {
        let known = asked.iter().find(|mount| mount.target == target).cloned();
        let mut mount = known.unwrap_or_else(|| {
            MountSpec::new(MountSource::Volume(Asked::default()), &target, Flag::VolumesFrom)
        });
        if let MountSource::Volume(asked) = &mut mount.source {
            asked.name = Some(volume.name);
            asked.no_copy = true;
        }
        mounts.push(mount);
    }
    // As in Docker a `--tmpfs` isn't a volume, but a `--mount type=tmpfs` is.
    let others = asked.iter().filter(|mount| mount.volume().is_none() && mount.flag != Flag::Tmpfs);
    mounts.extend(others.cloned());
    Ok(mounts)
}

/// The volumes that the container mounts. The image's come last and give way to what was typed.
pub(super) fn wanted_volumes(
    engine: &mut Engine,
    config: &ContainerConfig,
    image: &Image,
) -> Result<Vec<Wanted>> {
    let mut wanted: Vec<(Asked, Flag, String)> = Vec::new();
    for mount in &config.mounts {
        if let Some(volume) = mount.volume() {
            wanted.push((volume.clone(), mount.flag, mount.target.clone()));
        }
    }
    for path in image.config.config.volumes.iter().flatten().map(|(path, _)| path) {
        let target = clean_target(path).map_err(|why| Invalid::new("volume of the image", path, why))?;
        if !config.mounts.iter().any(|m| m.target == target) {
            wanted.push((Asked::default(), Flag::Volume, target));
        }
    }
    let mut volumes: Vec<Wanted> = Vec::new();
    for (asked, flag, target) in wanted {
        let known = match &asked.name {
            Some(name) => match volumes.iter().find(|w| w.volume.name == *name) {
                Some(earlier) => Some(earlier.volume.clone()),
                None => volumes::by_name(engine.database()?.read(), name.as_str())?,
            },
            None => None,
        };
        let is_new = known.is_none();
        if let (true, Flag::VolumesFrom, Some(name)) = (is_new, flag, &asked.name) {
            return Err(Error::NoSuch { what: "volume", name: name.to_string() });
        }
        let copies = !asked.no_copy && asked.subpath.is_none();
        let volume = match known {
            Some(volume) => volume,
            None => crate::volume::new_row(New {
                name: asked.name,
                labels: asked.labels,
                options: asked.options,
            })?,
        };
        let copies = copies && volume.options.is_empty();
        volumes.push(Wanted { volume, target, is_new, copies });
    }
    Ok(volumes)
}

/// The data of the container's volumes: new ones get theirs, and one that is still empty gets what the image has at its
/// target.
///
/// One that a running container has stays as it is: what it sees would be replaced below it.
pub(super) fn make_data(engine: &mut Engine, image: &Image, wanted: &[Wanted]) -> Result<()> {
    let lowers = image::lowers_top_first(engine, image);
    let mut made: Vec<&VolumeId> = Vec::new();
    for Wanted { volume, target, is_new, copies } in wanted {
        let content = copies.then_some((lowers.as_slice(), target.as_str()));
        if *is_new && !made.contains(&&volume.id) {
            made.push(&volume.id);
            crate::volume::make_data(engine, &volume.id, content)?;
        } else if *copies && volumes::alive_users(engine.database()?.read(), &volume.id, None)?.is_empty() {
            crate::volume::fill_data(engine, &volume.id, content)?;
        }
    }
    Ok(())
}

/// The images that the container mounts, with where each is.
pub(super) fn wanted_images(engine: &mut Engine, config: &ContainerConfig) -> Result<Vec<(Digest, String)>> {
    let mut wanted = Vec::new();
    for mount in &config.mounts {
        if let MountSource::Image { reference, .. } = &mount.source {
            let found = image::resolve(engine, reference).map_err(|error| match error {
                // Not the one that the container is made of: who hears that one is missing pulls that.
                Error::NoSuch { what: "image", name } => Error::NoSuch { what: "image to mount", name },
                other => other,
            });
            wanted.push((found?.id, mount.target.clone()));
        }
    }
    Ok(wanted)
}

/// Notes which images the container mounts: they stay as long as it does.
pub(super) fn hold_images(
    connection: &Connection,
    container: &Container,
    wanted: &[(Digest, String)],
) -> Result<()> {
    for (image, target) in wanted {
        if !images::exists(connection, image)? {
            return Err(Error::NoSuch { what: "image", name: image.short().to_owned() });
        }
        images::attach(connection, &container.id, image, target)?;
    }
    Ok(())
}
