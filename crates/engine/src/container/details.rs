//! What `ps` tells of containers when it is asked for more than a row has: networks, places of mounts, ports, sizes.
//!
//! The config of each container is read for it; a plain `ps` doesn't come here.

use std::os::unix::fs::MetadataExt as _;

use corten_model::namespace::NetworkMode;
use corten_model::{ContainerId, Digest};

use crate::db::containers;
use crate::db::{images, volumes};
use crate::{Engine, Result, inside};

/// Bytes of a block in stat(2).
const BLOCK_BYTES: u64 = 512;

/// More about one container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// The network that it is in: `none`, `host`, `container:ID`.
    pub network: String,
    /// Where volumes and paths are mounted in it.
    pub mount_targets: Vec<String>,
    /// Ports that it or its image exposes: `80/tcp`.
    pub exposed_ports: Vec<String>,
}

/// Bytes of one container's files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// What it wrote on top of its image.
    pub writable_bytes: u64,
    /// That and its image.
    pub total_bytes: u64,
}

/// More about these containers, in their order. What can't be read of one is left empty.
pub fn details(engine: &mut Engine, ids: &[ContainerId]) -> Result<Vec<Details>> {
    let connection = engine.database()?.read();
    let mut found = Vec::new();
    for id in ids {
        let container = match containers::by_id(connection, id) {
            Ok(Some(container)) => container,
            Ok(None) => {
                found.push(Details::default());
                continue;
            }
            Err(error) if error.is_of_one_row() => {
                found.push(Details::default());
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let mut targets: Vec<String> = container.config.mounts.iter().map(|m| m.target.clone()).collect();
        // Volumes that the image asks for are rows only.
        targets.extend(volumes::of_container(connection, id)?.into_iter().map(|(_, target)| target));
        targets.sort();
        targets.dedup();
        let image = images::by_id(connection, &container.image_id)?;
        let exposed = image.and_then(|image| image.config.config.exposed_ports).unwrap_or_default();
        let exposed = exposed.into_keys().chain(container.config.more.exposed_ports).collect();
        found.push(Details {
            network: network_name(&container.config.network),
            mount_targets: targets,
            exposed_ports: exposed,
        });
    }
    Ok(found)
}

/// What Docker calls the network of a container.
pub(super) fn network_name(network: &NetworkMode) -> String {
    match network {
        NetworkMode::None => "none".to_owned(),
        NetworkMode::Host => "host".to_owned(),
        NetworkMode::Container(target) => format!("container:{target}"),
    }
}

/// Bytes of these containers' files, in their order; the image of each is given with it. All their files are walked.
pub fn sizes(engine: &mut Engine, containers: &[(ContainerId, Digest)]) -> Result<Vec<Size>> {
    let upper = |id: &ContainerId| engine.store().container_dir(id).join("upper");
    let paths: Vec<_> = containers.iter().map(|(id, _)| upper(id)).collect();
    // The directory itself is there before anything is written.
    let own =
        |path: &std::path::PathBuf| std::fs::symlink_metadata(path).map_or(0, |m| m.blocks() * BLOCK_BYTES);
    let own: Vec<u64> = paths.iter().map(own).collect();
    let used = inside::sizes(engine, paths)?;
    let connection = engine.database()?.read();
    let mut sizes = Vec::new();
    for ((used, own), (_, image)) in used.into_iter().zip(own).zip(containers) {
        let image_bytes = images::by_id(connection, image)?.map_or(0, |image| image.size_bytes);
        let writable_bytes = used.saturating_sub(own);
        sizes.push(Size { writable_bytes, total_bytes: writable_bytes + image_bytes });
    }
    Ok(sizes)
}
