//! What `inspect` tells of mounts: `Mounts`, and `Binds`, `Mounts`, `Tmpfs` of `HostConfig`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use corten_model::container::ContainerConfig;
use corten_model::mount::{Bind, Flag, MountSource, MountSpec, ReadOnlyBelow, Volume as Asked};
use serde_json::{Map, Value, json};

use crate::db::containers::Container;
use crate::db::{images, volumes};
use crate::volume::options::{self, DRIVER};
use crate::{Engine, Result};

/// What the container sees, whoever asked for it, in the shape of Docker's `MountPoint`.
pub(super) fn points(engine: &mut Engine, container: &Container) -> Result<Vec<Value>> {
    let asked = &container.config.mounts;
    let mut points = Vec::new();
    for (volume, target) in volumes::of_container(engine.database()?.read(), &container.id)? {
        let asked = asked.iter().find(|mount| mount.target == target);
        let is_directory = options::of(&volume.options).is_none();
        let source = if is_directory { engine.store().volume_data(&volume.id) } else { PathBuf::new() };
        // Docker relabels volumes whether or not it is asked to, unless they have no name.
        let shared = asked.is_some_and(|mount| !mount.gives_way() && mount.flag != Flag::VolumesFrom);
        let mode = asked.map_or("", |mount| if shared && mount.mode.is_empty() { "z" } else { &mount.mode });
        points.push(json!({
            "Type": "volume",
            "Name": volume.name.as_str(),
            "Source": source,
            "Destination": target,
            "Driver": DRIVER,
            "Mode": mode,
            "RW": !asked.is_some_and(|mount| mount.read_only),
            "Propagation": "",
        }));
    }
    let mounted = images::mounted_by(engine.database()?.read(), &container.id)?;
    for mount in asked {
        let (kind, source, propagation) = match &mount.source {
            MountSource::Bind(bind) => ("bind", bind.path.clone(), bind.propagation_word()),
            MountSource::Tmpfs { .. } if mount.flag != Flag::Tmpfs => ("tmpfs", String::new(), ""),
            MountSource::Image { .. } => {
                let found = mounted.iter().find(|(_, target)| *target == mount.target);
                ("image", found.map_or_else(String::new, |(image, _)| image.id.to_string()), "rprivate")
            }
            _ => continue,
        };
        let mut point = json!({
            "Type": kind,
            "Source": source,
            "Destination": mount.target,
            "Mode": mount.mode,
            "RW": !mount.read_only,
            "Propagation": propagation,
        });
        if let MountSource::Image { reference, .. } = &mount.source {
            point["Name"] = reference.as_str().into();
        }
        points.push(point);
    }
    Ok(points)
}

/// What `HostConfig` tells of mounts; as in Docker, `Mounts` and `Tmpfs` are there only where something was asked for.
pub(super) fn of_host_config(config: &ContainerConfig) -> Map<String, Value> {
    let (mounts, tmpfs) = (mounts(config), tmpfs(config));
    let always = [
        ("Binds", json!(binds(config))),
        ("VolumeDriver", json!(config.volume_driver.as_deref().unwrap_or_default())),
        ("VolumesFrom", json!((!config.volumes_from.is_empty()).then_some(&config.volumes_from))),
    ];
    let sometimes = [
        (!mounts.is_empty()).then(|| ("Mounts", json!(mounts))),
        (!tmpfs.is_empty()).then(|| ("Tmpfs", json!(tmpfs))),
    ];
    object(always.into_iter().chain(sometimes.into_iter().flatten()))
}

/// `-v` as it was typed, but for volumes without a name.
fn binds(config: &ContainerConfig) -> Option<Vec<String>> {
    let bind = |mount: &MountSpec| {
        let source = match &mount.source {
            MountSource::Bind(bind) => bind.path.as_str(),
            MountSource::Volume(volume) => volume.name.as_ref()?.as_str(),
            _ => return None,
        };
        let mode = if mount.mode.is_empty() { String::new() } else { format!(":{}", mount.mode) };
        Some(format!("{source}:{}{mode}", mount.target))
    };
    let binds: Vec<String> =
        config.mounts.iter().filter(|mount| mount.flag == Flag::Volume).filter_map(bind).collect();
    (!binds.is_empty()).then_some(binds)
}

/// `--tmpfs`: targets and options.
fn tmpfs(config: &ContainerConfig) -> BTreeMap<&str, &str> {
    let typed = config.mounts.iter().filter(|mount| mount.flag == Flag::Tmpfs);
    typed.map(|mount| (mount.target.as_str(), mount.mode.as_str())).collect()
}

/// `--mount`, in the shape of Docker's `Mount`: what wasn't said isn't there.
fn mounts(config: &ContainerConfig) -> Vec<Value> {
    config.mounts.iter().filter(|mount| mount.flag == Flag::Mount).map(mount).collect()
}

fn mount(mount: &MountSpec) -> Value {
    let (kind, source, options) = match &mount.source {
        MountSource::Bind(bind) => ("bind", Some(bind.path.clone()), ("BindOptions", of_bind(bind))),
        MountSource::Volume(volume) => {
            let name = volume.name.as_ref().map(ToString::to_string);
            ("volume", name, ("VolumeOptions", of_volume(volume)))
        }
        MountSource::Tmpfs { size_bytes, mode, options } => {
            ("tmpfs", None, ("TmpfsOptions", of_tmpfs(*size_bytes, *mode, options)))
        }
        MountSource::Image { reference, subpath } => {
            let options = subpath.iter().map(|path| ("Subpath", json!(path)));
            ("image", Some(reference.clone()), ("ImageOptions", object(options)))
        }
    };
    let has_options = !options.1.is_empty();
    let of_kind = has_options.then_some((options.0, Value::Object(options.1)));
    let said = [
        Some(("Type", json!(kind))),
        source.map(|source| ("Source", json!(source))),
        Some(("Target", json!(mount.target))),
        mount.read_only.then_some(("ReadOnly", json!(true))),
        mount.consistency.as_ref().map(|word| ("Consistency", json!(word))),
        of_kind,
    ];
    Value::Object(object(said.into_iter().flatten()))
}

fn object<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Map<String, Value> {
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn of_bind(bind: &Bind) -> Map<String, Value> {
    let propagation = bind.propagation_word();
    let said = [
        (propagation != "rprivate").then(|| ("Propagation", json!(propagation))),
        (!bind.recursive).then_some(("NonRecursive", json!(true))),
        bind.create.then_some(("CreateMountpoint", json!(true))),
        (bind.read_only_below == ReadOnlyBelow::Writable).then_some(("ReadOnlyNonRecursive", json!(true))),
        (bind.read_only_below == ReadOnlyBelow::Forced).then_some(("ReadOnlyForceRecursive", json!(true))),
    ];
    object(said.into_iter().flatten())
}

fn of_volume(volume: &Asked) -> Map<String, Value> {
    let has_driver = volume.driver.is_some() || !volume.options.is_empty();
    let driver = || {
        let said = [
            volume.driver.as_ref().map(|name| ("Name", json!(name))),
            (!volume.options.is_empty()).then(|| ("Options", json!(volume.options))),
        ];
        Value::Object(object(said.into_iter().flatten()))
    };
    let said = [
        volume.no_copy.then_some(("NoCopy", json!(true))),
        (!volume.labels.is_empty()).then(|| ("Labels", json!(volume.labels))),
        has_driver.then(|| ("DriverConfig", driver())),
        volume.subpath.as_ref().map(|path| ("Subpath", json!(path))),
    ];
    object(said.into_iter().flatten())
}

fn of_tmpfs(size_bytes: Option<u64>, mode: Option<u32>, options: &[String]) -> Map<String, Value> {
    let options: Vec<[&String; 1]> = options.iter().map(|word| [word]).collect();
    let said = [
        size_bytes.map(|size| ("SizeBytes", json!(size))),
        mode.map(|mode| ("Mode", json!(mode))),
        (!options.is_empty()).then(|| ("Options", json!(options))),
    ];
    object(said.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_told_as_docker_does() {
        let check = |text: &str, expected: Value| {
            let asked = corten_model::mount::parse_mount(text).unwrap();
            assert_eq!(mount(&asked), expected, "{text}");
        };
        check(
            "type=bind,source=/a,target=/b,ro,bind-propagation=rslave,consistency=cached",
            json!({"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": true, "Consistency": "cached",
                "BindOptions": {"Propagation": "rslave"}}),
        );
        check("type=bind,source=/a,target=/b", json!({"Type": "bind", "Source": "/a", "Target": "/b"}));
        check(
            "target=/b,volume-label=a=b,volume-opt=type=tmpfs,volume-nocopy",
            json!({"Type": "volume", "Target": "/b", "VolumeOptions": {"NoCopy": true, "Labels": {"a": "b"},
                "DriverConfig": {"Options": {"type": "tmpfs"}}}}),
        );
        check(
            "type=tmpfs,target=/b,tmpfs-size=1k,tmpfs-mode=700,tmpfs-options=exec",
            json!({"Type": "tmpfs", "Target": "/b",
                "TmpfsOptions": {"SizeBytes": 1024, "Mode": 448, "Options": [["exec"]]}}),
        );
        check(
            "type=image,source=i,target=/b,image-subpath=c",
            json!({"Type": "image", "Source": "i", "Target": "/b", "ReadOnly": true,
                "ImageOptions": {"Subpath": "c"}}),
        );
    }
}
