//! Devices of the host that a container gets: what `--device` and `--privileged` mean on this host.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use corten_model::Invalid;
use corten_model::container::ContainerConfig;
use corten_model::resources::Resources;
use corten_runtime::cgroup::{DeviceRule, Driver};
use corten_runtime::spec::Device;
use rustix::fs::{major, minor};

use crate::Result;
use crate::error::OnFile;

/// The most nodes of one directory tree.
const NODES_MAX: usize = 4096;
/// Directories of /dev that the container has of its own.
const OWN: [&str; 4] = ["/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/fd"];
/// Nodes that every container gets from the runtime.
const STANDARD: [&str; 8] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/console",
];

/// Nodes to make, and what the cgroup lets through.
pub struct Resolved {
    /// The nodes.
    pub nodes: Vec<Device>,
    /// The rules; empty lets everything through.
    pub rules: Vec<DeviceRule>,
    /// The limits, with the numbers of the devices that they name.
    pub resources: Resources,
    /// The groups between ours and the container's.
    pub cgroup_parent: Vec<String>,
}

/// Docker's default: making any node, using the harmless ones.
fn default_rules() -> Vec<DeviceRule> {
    let rule = |kind, major, minor, access: &str| DeviceRule {
        allow: true,
        kind,
        major,
        minor,
        access: access.into(),
    };
    let mut rules = vec![
        DeviceRule { allow: false, kind: 'a', major: None, minor: None, access: "rwm".into() },
        rule('c', None, None, "m"),
        rule('b', None, None, "m"),
    ];
    let harmless = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)];
    rules.extend(harmless.map(|(major, minor)| rule('c', Some(major), Some(minor), "rwm")));
    rules.push(rule('c', Some(136), None, "rwm"));
    rules
}

/// The limits as they are set, with the numbers of the devices that they name.
pub fn limits(resources: Resources) -> Result<Resources> {
    let mut resources = resources.completed();
    for limit in resources.on_devices_mut() {
        let path = Path::new(&limit.path);
        let device = std::fs::metadata(path).on("find the device", path)?;
        if !device.file_type().is_block_device() {
            return Err(Invalid::new("rate of a device", &limit.path, "it is not a block device").into());
        }
        limit.number = Some((major(device.rdev()), minor(device.rdev())));
    }
    Ok(resources)
}

/// Looks at the devices on the host.
pub fn resolve(config: &ContainerConfig) -> Result<Resolved> {
    let resources = limits(config.resources.clone())?;
    let cgroup_parent = cgroup_parent(config)?;
    if config.privileged {
        let mut nodes = Vec::new();
        collect(Path::new("/dev"), "/dev", &mut nodes)?;
        nodes.retain(|n| !STANDARD.contains(&n.path.as_str()));
        return Ok(Resolved { nodes, rules: Vec::new(), resources, cgroup_parent });
    }
    let mut resolved = Resolved { nodes: Vec::new(), rules: default_rules(), resources, cgroup_parent };
    for device in &config.devices {
        let first = resolved.nodes.len();
        collect(Path::new(&device.host), &device.container, &mut resolved.nodes)?;
        for node in &resolved.nodes[first..] {
            let kind = if node.kind == "b" { 'b' } else { 'c' };
            let (major, minor) = (Some(node.major), Some(node.minor));
            resolved.rules.push(DeviceRule {
                allow: true,
                kind,
                major,
                minor,
                access: device.access.clone(),
            });
        }
    }
    resolved.rules.extend(config.more.device_cgroup_rules.iter().map(|rule| DeviceRule {
        allow: true,
        kind: rule.kind,
        major: rule.major,
        minor: rule.minor,
        access: rule.access.clone(),
    }));
    Ok(resolved)
}

/// The groups that `--cgroup-parent` names: where systemd runs the machine they are its slices.
fn cgroup_parent(config: &ContainerConfig) -> Result<Vec<String>> {
    let Some(parent) = &config.more.cgroup_parent else { return Ok(Vec::new()) };
    let host = corten_runtime::cgroup::Host::detect()?;
    Ok(match host.driver() {
        Driver::Systemd => parent.slices()?,
        Driver::Cgroupfs => parent.parts().map(str::to_owned).collect(),
    })
}

/// The node at `host`, or all nodes below it.
fn collect(host: &Path, container: &str, nodes: &mut Vec<Device>) -> Result<()> {
    let metadata = std::fs::metadata(host).on("find the device", host)?;
    let kind = metadata.file_type();
    if kind.is_dir() {
        for entry in std::fs::read_dir(host).on("list the devices in", host)? {
            let entry = entry.on("list the devices in", host)?;
            let name = entry.file_name();
            let inner = format!("{container}/{}", name.to_string_lossy());
            // A symlink in /dev names a node that comes under its own name.
            let is_link = entry.file_type().is_ok_and(|t| t.is_symlink());
            if !is_link && !OWN.contains(&inner.as_str()) && nodes.len() < NODES_MAX {
                match collect(&entry.path(), &inner, nodes) {
                    // What isn't a device there (a socket, a plain file) is left out, as is one that just went.
                    Err(crate::Error::File { source, .. })
                        if matches!(
                            source.kind(),
                            std::io::ErrorKind::InvalidInput | std::io::ErrorKind::NotFound
                        ) => {}
                    other => other?,
                }
            }
        }
        return Ok(());
    }
    if !kind.is_char_device() && !kind.is_block_device() {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is no device node");
        return Err(source).on("use as a device", host);
    }
    let number = metadata.rdev();
    nodes.push(Device {
        path: container.to_owned(),
        kind: if kind.is_block_device() { "b" } else { "c" }.into(),
        major: major(number),
        minor: minor(number),
        file_mode: Some(metadata.mode() & 0o777),
        uid: Some(0),
        gid: Some(0),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_found_by_its_numbers_and_a_file_is_none() {
        let device =
            |text: &str| ContainerConfig { devices: vec![text.parse().unwrap()], ..Default::default() };
        let resolved = resolve(&device("/dev/zero:/dev/nought:r")).unwrap();
        let node = &resolved.nodes[0];
        assert_eq!((node.path.as_str(), node.major, node.minor), ("/dev/nought", 1, 5));
        assert_eq!(resolved.rules.last().unwrap().access, "r");
        assert!(resolve(&device("/dev/no-such-thing")).is_err());
        assert!(resolve(&device("/etc/passwd")).is_err());
    }

    #[test]
    fn a_privileged_container_has_the_hosts_devices_and_no_rules() {
        let resolved = resolve(&ContainerConfig { privileged: true, ..Default::default() }).unwrap();
        assert!(resolved.rules.is_empty());
        assert!(!resolved.nodes.iter().any(|n| n.path.starts_with("/dev/pts") || n.path == "/dev/null"));
    }
}
