//! `system df`: what every byte of the store belongs to.
//!
//! Storage sorts the bytes, the rows say who needs them. All figures are allocated bytes, so that their sum is what
//! du(1) says of the data root.

use std::collections::{HashMap, HashSet};

use corten_model::Digest;

use crate::container::{self, ListFilter, Summary};
use crate::db::{blobs, images, tags, volumes};
use crate::image::{self, Summary as Image};
use crate::volume::Volume;
use crate::{Engine, Result, inside};

/// The use of the disk by everything.
#[derive(Debug, Clone)]
pub struct DiskUsage {
    /// Images, newest first.
    pub images: Vec<ImageUsage>,
    /// Bytes of all images' layers, each once.
    pub layer_bytes: u64,
    /// Those of them that no container's image needs.
    pub reclaimable_layer_bytes: u64,
    /// Containers, newest first.
    pub containers: Vec<ContainerUsage>,
    /// Volumes by name.
    pub volumes: Vec<VolumeUsage>,
    /// Everything else.
    pub rest: RestUsage,
}

/// One image.
#[derive(Debug, Clone)]
pub struct ImageUsage {
    /// The image.
    pub image: Image,
    /// Bytes of layers that other images have too.
    pub shared_bytes: u64,
    /// Bytes of layers that no other image has.
    pub unique_bytes: u64,
    /// How many containers were made of it.
    pub containers: usize,
}

/// One container.
#[derive(Debug, Clone)]
pub struct ContainerUsage {
    /// The container.
    pub container: Summary,
    /// Bytes of what it wrote on top of its image.
    pub writable_bytes: u64,
    /// Bytes of its output.
    pub log_bytes: u64,
    /// How many volumes it has.
    pub volumes: usize,
}

/// One volume.
#[derive(Debug, Clone)]
pub struct VolumeUsage {
    /// The volume.
    pub volume: Volume,
    /// Bytes of its data.
    pub size_bytes: u64,
    /// How many containers mount it.
    pub links: usize,
}

/// Bytes that are no image's files, no container's and no volume's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RestUsage {
    /// Layers and blobs of images that are being made, and what the next collection removes.
    pub unnamed_bytes: u64,
    /// Compressed layers that are kept.
    pub compressed_bytes: u64,
    /// What layers' archives are rebuilt from.
    pub recipe_bytes: u64,
    /// Manifests and configs.
    pub metadata_bytes: u64,
    /// Containers' output.
    pub log_bytes: u64,
    /// Containers' journals.
    pub journal_bytes: u64,
    /// The database and its log.
    pub database_bytes: u64,
    /// Parts of layers that are being pulled, or wait for the pull to be repeated.
    pub partial_bytes: u64,
    /// What is being written, or was left by a crash.
    pub temporary_bytes: u64,
    /// Directories of the store.
    pub store_bytes: u64,
    /// What Corten doesn't make.
    pub foreign_bytes: u64,
}

impl RestUsage {
    /// All of them.
    pub fn total_bytes(&self) -> u64 {
        let Self { unnamed_bytes, compressed_bytes, recipe_bytes, metadata_bytes, .. } = self;
        let Self { log_bytes, journal_bytes, database_bytes, .. } = self;
        let Self { temporary_bytes, store_bytes, foreign_bytes, partial_bytes, .. } = self;
        let images = unnamed_bytes + compressed_bytes + recipe_bytes + metadata_bytes + partial_bytes;
        images + log_bytes + journal_bytes + database_bytes + temporary_bytes + store_bytes + foreign_bytes
    }
}

impl DiskUsage {
    /// All bytes below the data root.
    pub fn total_bytes(&self) -> u64 {
        let containers: u64 = self.containers.iter().map(|c| c.writable_bytes).sum();
        let volumes: u64 = self.volumes.iter().map(|v| v.size_bytes).sum();
        self.layer_bytes + containers + volumes + self.rest.total_bytes()
    }
}

/// Adds everything up. It walks all files of the store.
pub fn df(engine: &mut Engine) -> Result<DiskUsage> {
    let summaries = image::list(engine)?;
    let listed = container::list(engine, &ListFilter { all: true })?;
    let rows = images::all(engine.database()?.read())?;
    let account = inside::account(engine)?;
    let mut rest = RestUsage {
        partial_bytes: account.partial_bytes,
        temporary_bytes: account.temporary_bytes,
        store_bytes: account.store_bytes,
        foreign_bytes: account.foreign_bytes,
        recipe_bytes: account.layers.iter().map(|l| l.recipe_bytes).sum(),
        ..RestUsage::default()
    };
    for (name, bytes) in &account.files {
        let ours = name.starts_with("corten.db") || name.ends_with(".lock");
        let part = if ours { &mut rest.database_bytes } else { &mut rest.foreign_bytes };
        *part += bytes;
    }
    let manifests = tags::all_manifests(engine.database()?.read())?;
    let metadata: HashSet<&Digest> = rows.iter().map(|image| &image.id).chain(&manifests).collect();
    let kept = blobs::kept(engine.database()?.read())?;
    for (digest, bytes) in &account.blobs {
        let part = match digest {
            digest if metadata.contains(digest) => &mut rest.metadata_bytes,
            digest if kept.contains(digest) => &mut rest.compressed_bytes,
            _ => &mut rest.unnamed_bytes,
        };
        *part += bytes;
    }
    let in_use: HashSet<&Digest> = listed.iter().map(|c| &c.image_id).collect();
    let mut layers = Layers::new(&rows, &in_use);
    for layer in &account.layers {
        layers.count(&layer.chain, layer.tree_bytes, &mut rest);
    }
    let images = layers.images(summaries, &rows, &listed);
    let (layer_bytes, reclaimable_layer_bytes) = (layers.all_bytes, layers.reclaimable_bytes);
    let containers = containers(engine, listed, &account, &mut rest)?;
    let volumes = volumes_of(engine, &account, &mut rest)?;
    Ok(DiskUsage { images, layer_bytes, reclaimable_layer_bytes, containers, volumes, rest })
}

/// Who has which layer.
struct Layers<'a> {
    owners: HashMap<&'a Digest, Owners>,
    all_bytes: u64,
    reclaimable_bytes: u64,
}

#[derive(Default)]
struct Owners {
    images: usize,
    in_use: bool,
    bytes: u64,
}

impl<'a> Layers<'a> {
    fn new(rows: &'a [images::Image], in_use: &HashSet<&Digest>) -> Self {
        let mut owners: HashMap<&Digest, Owners> = HashMap::new();
        for image in rows {
            let chains: HashSet<&Digest> = image.layers.iter().map(|l| &l.chain_id).collect();
            for chain in chains {
                let owner = owners.entry(chain).or_default();
                owner.images += 1;
                owner.in_use |= in_use.contains(&image.id);
            }
        }
        Self { owners, all_bytes: 0, reclaimable_bytes: 0 }
    }

    fn count(&mut self, chain: &Digest, bytes: u64, rest: &mut RestUsage) {
        match self.owners.get_mut(chain) {
            Some(owner) => {
                owner.bytes = bytes;
                self.all_bytes += bytes;
                self.reclaimable_bytes += if owner.in_use { 0 } else { bytes };
            }
            None => rest.unnamed_bytes += bytes,
        }
    }

    fn images(&self, summaries: Vec<Image>, rows: &[images::Image], listed: &[Summary]) -> Vec<ImageUsage> {
        let usage = |image: Image| {
            let row = rows.iter().find(|row| row.id == image.id);
            let chains: HashSet<&Digest> =
                row.into_iter().flat_map(|r| &r.layers).map(|l| &l.chain_id).collect();
            let (mut shared_bytes, mut unique_bytes) = (0, 0);
            for owner in chains.iter().filter_map(|chain| self.owners.get(chain)) {
                *(if owner.images > 1 { &mut shared_bytes } else { &mut unique_bytes }) += owner.bytes;
            }
            let containers = listed.iter().filter(|c| c.image_id == image.id).count();
            ImageUsage { image, shared_bytes, unique_bytes, containers }
        };
        summaries.into_iter().map(usage).collect()
    }
}

fn containers(
    engine: &mut Engine,
    listed: Vec<Summary>,
    account: &corten_storage::Account,
    rest: &mut RestUsage,
) -> Result<Vec<ContainerUsage>> {
    let mut bytes: HashMap<_, _> = account.containers.iter().map(|c| (&c.id, c)).collect();
    let mut containers = Vec::new();
    for container in listed {
        let found = bytes.remove(&container.id);
        rest.journal_bytes += found.map_or(0, |c| c.state_bytes);
        rest.log_bytes += found.map_or(0, |c| c.log_bytes);
        containers.push(ContainerUsage {
            writable_bytes: found.map_or(0, |c| c.writable_bytes),
            log_bytes: found.map_or(0, |c| c.log_bytes),
            volumes: volumes::of_container(engine.database()?.read(), &container.id)?.len(),
            container,
        });
    }
    // Its row is gone, its keeper is still tidying up.
    let left = bytes.values().map(|c| c.writable_bytes + c.log_bytes + c.state_bytes);
    rest.temporary_bytes += left.sum::<u64>();
    Ok(containers)
}

fn volumes_of(
    engine: &mut Engine,
    account: &corten_storage::Account,
    rest: &mut RestUsage,
) -> Result<Vec<VolumeUsage>> {
    let mut bytes: HashMap<_, _> = account.volumes.iter().map(|(id, bytes)| (id, *bytes)).collect();
    let mut found = Vec::new();
    for row in volumes::all(engine.database()?.read())? {
        let links = volumes::users(engine.database()?.read(), &row.id)?.len();
        let size_bytes = bytes.remove(&row.id).unwrap_or(0);
        found.push(VolumeUsage { volume: crate::volume::present(engine, row), size_bytes, links });
    }
    rest.temporary_bytes += bytes.values().sum::<u64>();
    Ok(found)
}
