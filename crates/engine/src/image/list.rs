//! `images`: every image with its names, and every name with its platforms.

use std::collections::{BTreeMap, HashMap, HashSet};

use corten_images::{Index, Manifest};
use corten_model::platform::Platform;
use corten_model::{Digest, Kind, Reference};

use super::{created_unix_s, platform_of, resolve_present};
use crate::db::images::{self, Image};
use crate::db::tags::{self, Tag};
use crate::{Engine, Result};

/// An image as `images` shows it: one that is for this machine, or the only one below its names.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The config's digest.
    pub id: Digest,
    /// What names it.
    pub tags: Vec<Reference>,
    /// The digest of the index or manifest that its first name points to, else of its manifest.
    pub manifest: Digest,
    /// When it was made, seconds since the epoch.
    pub created_unix_s: i64,
    /// Bytes of its unpacked layers.
    pub size_bytes: u64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How many containers were made of it.
    pub containers: u64,
}

/// The images, newest first. Other platforms below a name aren't listed: they belong to the one that is.
pub fn list(engine: &mut Engine) -> Result<Vec<Summary>> {
    let connection = engine.database()?.read();
    let tags = tags::all(connection)?;
    let hidden = hidden(connection, &tags)?;
    let users = images::users_of_all(connection)?;
    let all = images::all(connection)?;
    let shown = all.into_iter().filter(|image| !hidden.contains(&image.id));
    Ok(shown
        .map(|image| {
            let of_it: Vec<&Tag> = tags.iter().filter(|tag| tag.image == image.id).collect();
            Summary {
                tags: of_it.iter().map(|tag| tag.reference.clone()).collect(),
                created_unix_s: created_unix_s(&image),
                manifest: of_it.first().map_or_else(|| image.manifest.clone(), |tag| tag.target.clone()),
                size_bytes: image.size_bytes,
                labels: image.config.config.labels.clone().unwrap_or_default(),
                containers: users.get(&image.id).copied().unwrap_or_default(),
                id: image.id,
            }
        })
        .collect())
}

/// Ids of the image that `target` means and of those that begin with all of its layers; none if there is no such
/// image.
pub fn descendants(engine: &mut Engine, target: &str) -> Result<Vec<Digest>> {
    let ancestor = match resolve_present(engine, target) {
        Err(error) if error.kind() == Kind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let all = images::all(engine.database()?.read())?;
    // Images without layers begin every other.
    let descends = |image: &Image| {
        let first = image.layers.get(..ancestor.layers.len());
        image.id == ancestor.id
            || !ancestor.layers.is_empty()
                && first.is_some_and(|first| {
                    first.iter().zip(&ancestor.layers).all(|(a, b)| a.chain_id == b.chain_id)
                })
    };
    Ok(all.into_iter().filter(descends).map(|image| image.id).collect())
}

/// When the image that `target` means was made, seconds since the epoch, and its id.
pub fn created(engine: &mut Engine, target: &str) -> Result<(Digest, i64)> {
    let image = resolve_present(engine, target)?;
    Ok((image.id.clone(), created_unix_s(&image)))
}

/// Images that hang below a name, where another one stands for it.
fn hidden(connection: &rusqlite::Connection, tags: &[Tag]) -> Result<HashSet<Digest>> {
    let mut hidden = HashSet::new();
    let targets: HashSet<&Digest> = tags.iter().map(|tag| &tag.target).collect();
    for target in targets {
        hidden.extend(tags::images_below(connection, target)?);
    }
    for tag in tags {
        hidden.remove(&tag.image);
    }
    Ok(hidden)
}

/// A name with what is below it.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The names; none for an image without one.
    pub names: Vec<Reference>,
    /// The index's or manifest's digest.
    pub digest: Digest,
    /// The platforms, in the index's order.
    pub platforms: Vec<TreePlatform>,
}

/// A platform below a name.
#[derive(Debug, Clone)]
pub struct TreePlatform {
    /// What it runs on.
    pub platform: Platform,
    /// The manifest's digest.
    pub digest: Digest,
    /// Its image, if it is here.
    pub image: Option<TreeImage>,
}

/// An image that is here.
#[derive(Debug, Clone)]
pub struct TreeImage {
    /// Bytes of its unpacked layers.
    pub size_bytes: u64,
    /// Bytes of what a registry or archive holds of it.
    pub content_bytes: u64,
    /// Whether containers were made of it.
    pub in_use: bool,
}

/// Every name with its platforms; those that aren't here too.
pub fn tree(engine: &mut Engine) -> Result<Vec<Tree>> {
    let connection = engine.database()?.read();
    let tags = tags::all(connection)?;
    let users = images::users_of_all(connection)?;
    let mut targets: Vec<(Digest, Vec<Reference>)> = Vec::new();
    for tag in &tags {
        match targets.iter_mut().find(|(target, _)| *target == tag.target) {
            Some((_, names)) => names.push(tag.reference.clone()),
            None => targets.push((tag.target.clone(), vec![tag.reference.clone()])),
        }
    }
    let all: HashMap<Digest, Image> =
        images::all(connection)?.into_iter().map(|image| (image.id.clone(), image)).collect();
    let mut named = HashSet::new();
    for (target, _) in &targets {
        named.extend(tags::images_below(connection, target)?);
    }
    let mut nameless: Vec<&Image> = all.values().filter(|image| !named.contains(&image.id)).collect();
    nameless.sort_by_key(|image| (-image.created_ns, image.id.clone()));
    targets.extend(nameless.into_iter().map(|image| (image.manifest.clone(), Vec::new())));
    let look = Look { engine, all: &all, users: &users };
    let mut trees = Vec::new();
    for (digest, names) in targets {
        let mut platforms = Vec::new();
        look.below(&digest, None, 0, &mut platforms)?;
        trees.push(Tree { names, digest, platforms });
    }
    Ok(trees)
}

/// Indexes below each other that are looked into.
const DEPTH_MAX: u32 = 4;

struct Look<'l> {
    engine: &'l Engine,
    all: &'l HashMap<Digest, Image>,
    users: &'l HashMap<Digest, u64>,
}

impl Look<'_> {
    fn below(
        &self,
        digest: &Digest,
        said: Option<Platform>,
        depth: u32,
        found: &mut Vec<TreePlatform>,
    ) -> Result<()> {
        let blobs = self.engine.store().blobs();
        let bytes = match blobs.get(digest) {
            Err(corten_storage::Error::NoBlob(_)) => {
                found.extend(said.map(|platform| TreePlatform {
                    platform,
                    digest: digest.clone(),
                    image: None,
                }));
                return Ok(());
            }
            other => other?,
        };
        if let Ok(index) = corten_images::parse::<Index>(digest.as_str(), &bytes) {
            for descriptor in index.manifests.iter().filter(|d| depth < DEPTH_MAX && !d.is_attestation()) {
                self.below(&descriptor.digest, descriptor.platform(), depth + 1, found)?;
            }
            return Ok(());
        }
        let manifest: Manifest = corten_images::parse(digest.as_str(), &bytes)?;
        let image = self.all.get(&manifest.config.digest);
        let Some(platform) = image.map(|image| platform_of(&image.config)).or(said) else { return Ok(()) };
        let content = manifest.layers.iter().map(|layer| layer.size).fold(0, u64::saturating_add);
        let content_bytes = content.saturating_add(manifest.config.size).saturating_add(bytes.len() as u64);
        let image = image.map(|image| TreeImage {
            size_bytes: image.size_bytes,
            content_bytes,
            in_use: self.users.get(&image.id).is_some_and(|users| *users > 0),
        });
        found.push(TreePlatform { platform, digest: digest.clone(), image });
        Ok(())
    }
}
