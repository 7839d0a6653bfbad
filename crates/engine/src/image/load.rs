//! `load`: the images of an archive or a directory get rows and names.
//!
//! Bytes first, all of them, then every row in one transaction. What a load that failed has unpacked is garbage.

use std::collections::BTreeMap;

use corten_images::{LoadOptions, Loaded, Target};
use corten_model::platform::Platform;
use corten_model::{Digest, Reference};
use rusqlite::Transaction;

use super::insert_row;
use crate::db::tags::{self, Tag};
use crate::db::{events, images};
use crate::lease::{self, Lease, Ref};
use crate::{Engine, Result, inside, journal};

pub use corten_images::Input;

/// What is loaded, and until when.
pub struct LoadRequest<'r> {
    /// Only these platforms; none: all that are there.
    pub platforms: Vec<Platform>,
    /// Whether the person who asked has given up.
    pub cancelled: &'r dyn Fn() -> bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct LoadOutcome {
    /// In the order of the archive.
    pub images: Vec<LoadedImage>,
    /// Remarks for the person who asked.
    pub warnings: Vec<String>,
}

/// An image of the archive.
#[derive(Debug)]
pub struct LoadedImage {
    /// Its id: of the one that is for this machine, where several platforms hang below it.
    pub id: Digest,
    /// Its names.
    pub names: Vec<Reference>,
    /// Names that other images had before, with their ids.
    pub renamed: Vec<(Reference, Digest)>,
}

/// Loads the images that `input` holds.
pub fn load(engine: &mut Engine, input: Input<'_>, request: &LoadRequest<'_>) -> Result<LoadOutcome> {
    lease::with(engine, "load", |engine, lease| {
        // Which layers it has comes out while it is read, and those that are here are not unpacked again.
        lease.hold(&[Ref::Every])?;
        let unpack = inside::Unpacker::new(engine, lease)?;
        let options = LoadOptions { platforms: request.platforms.clone(), cancelled: request.cancelled };
        let loaded = corten_images::load(engine.store(), &unpack, input, &options)?;
        commit(engine, lease, loaded)
    })
}

/// The rows of what was loaded.
fn commit(engine: &mut Engine, lease: &Lease, mut loaded: Loaded) -> Result<LoadOutcome> {
    let now = journal::now_ns();
    let warnings = std::mem::take(&mut loaded.warnings);
    crate::steps::reached("image.stored");
    let images = engine.database()?.write_durably(|transaction| {
        lease.check(transaction)?;
        rows(transaction, loaded, "load", now)
    })?;
    crate::steps::reached("load.rows");
    Ok(LoadOutcome { images, warnings })
}

/// Images, indexes and names of what came, each name with an event.
pub(super) fn rows(
    transaction: &Transaction<'_>,
    loaded: Loaded,
    action: &'static str,
    now: i64,
) -> Result<Vec<LoadedImage>> {
    for image in loaded.images {
        insert_row(transaction, image, now)?;
    }
    for index in &loaded.indexes {
        tags::insert_manifest(transaction, &index.digest, &index.media_type, None)?;
        for (position, below) in &index.below {
            tags::insert_below(transaction, &index.digest, below, *position)?;
        }
    }
    let mut images = Vec::new();
    for target in loaded.targets {
        images.extend(name(transaction, target, action, now)?);
    }
    Ok(images)
}

fn name(
    transaction: &Transaction<'_>,
    target: Target,
    action: &'static str,
    now: i64,
) -> Result<Option<LoadedImage>> {
    let Some(image) = for_this_machine(transaction, &target)? else { return Ok(None) };
    let mut renamed = Vec::new();
    for reference in &target.names {
        let old = tags::by_reference(transaction, reference)?;
        renamed.extend(old.filter(|old| old.image != image).map(|old| (old.reference, old.image)));
        let (reference, target, image) = (reference.clone(), target.digest.clone(), image.clone());
        tags::set(transaction, &Tag { reference, target, image, tagged_ns: Some(now) })?;
    }
    let name = BTreeMap::from([("name", target.names.first().map(Reference::familiar).unwrap_or_default())]);
    events::record(transaction, now, "image", action, image.as_str(), &name)?;
    Ok(Some(LoadedImage { id: image, names: target.names, renamed }))
}

/// The image below a target that is for this machine; one that was here before counts too.
fn for_this_machine(transaction: &Transaction<'_>, target: &Target) -> Result<Option<Digest>> {
    let host = Platform::host();
    let mut best: Option<(u32, Digest)> = None;
    for id in
        tags::images_below(transaction, &target.digest)?.into_iter().chain(target.images.iter().cloned())
    {
        let Some(image) = images::by_id(transaction, &id)? else { continue };
        let rank = host.rank(&super::platform_of(&image.config)).unwrap_or(u32::MAX);
        if best.as_ref().is_none_or(|(known, _)| rank < *known) {
            best = Some((rank, id));
        }
    }
    Ok(best.map(|(_, id)| id))
}
