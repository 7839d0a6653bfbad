//! `load`: the images of an archive or a directory get rows and names.
//!
//! Bytes first, all of them, then every row in one transaction. What a load that failed has unpacked is garbage.

use std::collections::BTreeMap;

use corten_images::{LoadOptions, Loaded, Target};
use corten_model::platform::Platform;
use corten_model::{Digest, Reference};
use rusqlite::Transaction;

use super::insert_row;
use crate::db::events;
use crate::db::tags::{self, Tag};
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
fn commit(engine: &mut Engine, lease: &Lease, loaded: Loaded) -> Result<LoadOutcome> {
    let now = journal::now_ns();
    let platforms: BTreeMap<Digest, Platform> =
        loaded.images.iter().map(|image| (image.id.clone(), super::platform_of(&image.config))).collect();
    let mut outcome = LoadOutcome { images: Vec::new(), warnings: loaded.warnings };
    crate::steps::reached("image.stored");
    engine.database()?.write_durably(|transaction| -> Result<()> {
        lease.check(transaction)?;
        for image in loaded.images {
            insert_row(transaction, image, now)?;
        }
        for index in &loaded.indexes {
            tags::insert_manifest(transaction, &index.digest, &index.media_type, None)?;
            for (position, below) in &index.below {
                tags::insert_below(transaction, &index.digest, below, *position)?;
            }
        }
        for target in loaded.targets {
            outcome.images.extend(name(transaction, target, &platforms, now)?);
        }
        Ok(())
    })?;
    crate::steps::reached("load.rows");
    Ok(outcome)
}

fn name(
    transaction: &Transaction<'_>,
    target: Target,
    platforms: &BTreeMap<Digest, Platform>,
    now: i64,
) -> Result<Option<LoadedImage>> {
    let host = Platform::host();
    let rank = |id: &&Digest| platforms.get(*id).and_then(|platform| host.rank(platform)).unwrap_or(u32::MAX);
    let Some(image) = target.images.iter().min_by_key(rank).cloned() else { return Ok(None) };
    let mut renamed = Vec::new();
    for reference in &target.names {
        let old = tags::by_reference(transaction, reference)?;
        renamed.extend(old.filter(|old| old.image != image).map(|old| (old.reference, old.image)));
        let (reference, target, image) = (reference.clone(), target.digest.clone(), image.clone());
        tags::set(transaction, &Tag { reference, target, image, tagged_ns: Some(now) })?;
    }
    let name = BTreeMap::from([("name", target.names.first().map(Reference::familiar).unwrap_or_default())]);
    events::record(transaction, now, "image", "load", image.as_str(), &name)?;
    Ok(Some(LoadedImage { id: image, names: target.names, renamed }))
}
