//! `save`: images by name or id into an archive or a directory.

use std::io::Write;
use std::path::Path;

use corten_images::{ArchiveSink, DirectorySink, SaveImage, SaveItem as Item, SaveNode as Node};
use corten_model::platform::Platform;
use corten_model::{Digest, Reference};
use rusqlite::Connection;

use super::{platform_of, resolve, resolve_present};
use crate::db::images::{self, Image};
use crate::db::tags::{self, Tag};
use crate::error::Doing;
use crate::lease::{self, Ref};
use crate::{Engine, Error, Result, inside};

pub use corten_images::SaveFormat;

/// What is saved, and until when.
pub struct SaveRequest<'r> {
    /// Names, repositories (all of their tags) or ids.
    pub images: Vec<String>,
    /// Only these platforms; none: all that are here.
    pub platforms: Vec<Platform>,
    /// How it is written.
    pub format: SaveFormat,
    /// Whether the person who asked has given up.
    pub cancelled: &'r dyn Fn() -> bool,
}

/// Where it goes.
pub enum Output<'o> {
    /// A tar archive.
    Archive(&'o mut dyn Write),
    /// Files in an empty directory.
    Directory(&'o Path),
}

/// Saves images.
pub fn save(engine: &mut Engine, request: &SaveRequest<'_>, output: Output<'_>) -> Result<()> {
    lease::with(engine, "save", |engine, lease| {
        // Nothing of them may be removed meanwhile.
        lease.hold(&[Ref::Every])?;
        save_held(engine, request, output)
    })
}

fn save_held(engine: &mut Engine, request: &SaveRequest<'_>, output: Output<'_>) -> Result<()> {
    let mut items: Vec<(Digest, Item)> = Vec::new();
    for typed in &request.images {
        for (digest, names, node) in find(engine, typed, &request.platforms).doing("save image", typed)? {
            // Names of the same image are one image.
            match items.iter_mut().find(|(known, _)| *known == digest).map(|(_, item)| item) {
                Some(item) => item.names.extend(names),
                None => items.push((digest, Item { names, node })),
            }
        }
    }
    for (_, item) in &mut items {
        item.names.sort();
        item.names.dedup();
    }
    let items: Vec<Item> = items.into_iter().map(|(_, item)| item).collect();
    let tars = inside::Tars::new(engine);
    let store = engine.store();
    match output {
        Output::Directory(path) => {
            let mut sink = DirectorySink::new(path);
            corten_images::save(store, &tars, &items, request.format, &mut sink, request.cancelled)?;
        }
        Output::Archive(out) => {
            let mut sink = ArchiveSink::new(out);
            corten_images::save(store, &tars, &items, request.format, &mut sink, request.cancelled)?;
            sink.finish().map_err(corten_images::Error::Write)?;
        }
    }
    Ok(())
}

type Found = (Digest, Vec<Reference>, Node);

/// What was typed: a name, all names of a repository, or an id.
fn find(engine: &mut Engine, typed: &str, platforms: &[Platform]) -> Result<Vec<Found>> {
    let reference = typed.parse::<Reference>().ok();
    if let Some(reference) = &reference {
        if reference.is_built_in() {
            resolve(engine, typed)?;
        }
        let connection = engine.database()?.read();
        let last = typed.rsplit('/').next().unwrap_or(typed);
        let found: Vec<Tag> = if last.contains([':', '@']) {
            tags::by_reference(connection, reference)?.into_iter().collect()
        } else {
            let same = |tag: &Tag| {
                (&tag.reference.registry, &tag.reference.repository)
                    == (&reference.registry, &reference.repository)
            };
            tags::all(connection)?.into_iter().filter(same).collect()
        };
        if !found.is_empty() {
            return found
                .into_iter()
                .map(|tag| {
                    let node = chosen(connection, &tag.target, platforms)?;
                    Ok((tag.target, vec![tag.reference], node))
                })
                .collect();
        }
    }
    let image = resolve_present(engine, typed)?;
    let connection = engine.database()?.read();
    let node = chosen(connection, &image.manifest, platforms)?;
    Ok(vec![(image.manifest.clone(), Vec::new(), node)])
}

/// What is below `target`, as far as it is wanted.
pub(super) fn chosen(connection: &Connection, target: &Digest, platforms: &[Platform]) -> Result<Node> {
    let mut images = Vec::new();
    let node = node(connection, target, platforms, &mut images)?;
    for wanted in platforms {
        if !images.iter().any(|image: &SaveImage| image.platform == *wanted) {
            return Err(corten_images::Error::NoPlatform { wanted: wanted.clone() }.into());
        }
    }
    // One platform alone needs no index above it.
    if let ([image], false) = (images.as_slice(), platforms.is_empty()) {
        return Ok(Node::Image(image.clone()));
    }
    node.ok_or_else(|| Error::NoSuch { what: "image", name: target.to_string() })
}

fn node(
    connection: &Connection,
    digest: &Digest,
    platforms: &[Platform],
    images: &mut Vec<SaveImage>,
) -> Result<Option<Node>> {
    if let Some(id) = tags::image_of_manifest(connection, digest)? {
        let Some(image) = images::by_id(connection, &id)? else { return Ok(None) };
        let image = to_save(image, digest);
        if !platforms.is_empty() && !platforms.contains(&image.platform) {
            return Ok(None);
        }
        images.push(image.clone());
        return Ok(Some(Node::Image(image)));
    }
    let mut below = Vec::new();
    for (position, manifest) in tags::below(connection, digest)? {
        below.extend(node(connection, &manifest, platforms, images)?.map(|node| (position, node)));
    }
    Ok((!below.is_empty()).then(|| Node::Index { digest: digest.clone(), below }))
}

fn to_save(image: Image, manifest: &Digest) -> SaveImage {
    let platform = platform_of(&image.config);
    let layers = image.layers.into_iter().map(|l| corten_images::Layer {
        diff_id: l.diff_id,
        chain_id: l.chain_id,
        size_bytes: l.size_bytes,
    });
    SaveImage { id: image.id, manifest: manifest.clone(), platform, layers: layers.collect() }
}
