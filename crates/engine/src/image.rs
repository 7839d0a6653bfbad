//! Images by name: what a name or an id means, and one verb a file.

mod history;
mod import;
mod inspect;
mod list;
mod load;
mod pull;
pub(crate) mod push;
mod remove;
mod save;
mod tag;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use corten_model::image::ImageConfig;
use corten_model::platform::Platform;
use corten_model::{Digest, Kind, Reference};
use rusqlite::{Connection, Transaction};

use crate::db::events;
use crate::db::images::{self, Image, Layer};
use crate::db::tags::{self, Tag};
use crate::error::OnFile;
use crate::lease::{self, Lease};
use crate::{Engine, Error, Result, inside, journal};

pub use history::{Step, history};
pub use import::{ImportRequest, import};
pub use inspect::inspect;
pub use list::{Summary, Tree, TreeImage, TreePlatform, created, descendants, list, tree};
pub use load::{Input, LoadOutcome, LoadRequest, LoadedImage, load};
pub use pull::{PullOutcome, PullRequest, pull};
pub use push::{PushOutcome, PushRequest, push, pushed_names};
pub use remove::{RemoveOptions, Removed, remove};
pub use save::{Output, SaveFormat, SaveRequest, save};
pub use tag::tag;

pub use corten_images::{BlobState, Progress};

/// The row of an image whose bytes are on the disk; gives its id back.
pub(crate) fn insert(
    engine: &mut Engine,
    lease: &Lease,
    stored: corten_images::Stored,
    reference: Option<&Reference>,
    action: &str,
) -> Result<Digest> {
    let now = journal::now_ns();
    crate::steps::reached("image.stored");
    let id = engine.database()?.write_durably(|transaction| -> Result<Digest> {
        lease.check(transaction)?;
        let (target, image) = (stored.manifest.clone(), stored.id.clone());
        insert_row(transaction, stored, now)?;
        if let Some(reference) = reference {
            let (reference, image) = (reference.clone(), image.clone());
            tags::set(transaction, &Tag { reference, target, image, tagged_ns: Some(now) })?;
        }
        let name = reference.map(Reference::familiar).unwrap_or_default();
        let attributes = BTreeMap::from([("name", name)]);
        events::record(transaction, now, "image", action, image.as_str(), &attributes)?;
        Ok(image)
    })?;
    crate::steps::reached("image.named");
    Ok(id)
}

fn insert_row(transaction: &Transaction<'_>, stored: corten_images::Stored, now: i64) -> Result<()> {
    let layers = stored.layers.into_iter();
    let layers = layers.map(|l| Layer { diff_id: l.diff_id, chain_id: l.chain_id, size_bytes: l.size_bytes });
    let image = Image {
        id: stored.id,
        manifest: stored.manifest,
        config: stored.config,
        layers: layers.collect(),
        size_bytes: stored.size_bytes,
        high_ids: stored.high_ids,
        created_ns: now,
    };
    images::insert(transaction, &image)?;
    Ok(tags::insert_manifest(transaction, &image.manifest, &stored.media_type, Some(&image.id))?)
}

/// The image that `target` means: a name, an id or a prefix of one. `hello` is made on first use.
pub(crate) fn resolve(engine: &mut Engine, target: &str) -> Result<Image> {
    if let Ok(reference) = target.parse::<Reference>() {
        if let Some(image) = images::by_reference(engine.database()?.read(), &reference)? {
            engine.timings().mark("image row");
            return Ok(image);
        }
        if reference.is_built_in() && reference.familiar() == "corten/hello:latest" {
            return make_hello(engine, &reference);
        }
        if let Some(image) = by_digest(engine.database()?.read(), &reference)? {
            return Ok(image);
        }
    }
    let digits = target.strip_prefix("sha256:").unwrap_or(target);
    let mut found = images::by_prefix(engine.database()?.read(), digits)?;
    match found.len() {
        0 => {
            // A name that can't be one says what is wrong with it.
            target.parse::<Reference>()?;
            Err(Error::NoSuch { what: "image", name: target.to_owned() })
        }
        1 => Ok(found.remove(0)),
        _ => {
            let connection = engine.database()?.read();
            let matches =
                found.iter().map(|image| with_name(connection, &image.id)).collect::<Result<_>>()?;
            Err(Error::Ambiguous { what: "image", prefix: target.to_owned(), matches })
        }
    }
}

/// An image as a person tells it from others: its short id, and a name if it has one.
fn with_name(connection: &Connection, id: &Digest) -> Result<String> {
    let name = tags::of_image(connection, id)?.first().map(|tag| format!(" ({})", tag.reference.familiar()));
    Ok(format!("{}{}", id.short(), name.unwrap_or_default()))
}

/// The image that works on a machine with no network: one layer, made from this binary.
fn make_hello(engine: &mut Engine, reference: &Reference) -> Result<Image> {
    let path = Path::new("/proc/self/exe");
    let mut binary = File::open(path).on("read", path)?;
    let id = lease::with(engine, "hello", |engine, lease| {
        let unpack = inside::Unpacker::new(engine, lease)?;
        let stored = corten_images::hello(engine.store(), &unpack, &mut binary)?;
        insert(engine, lease, stored, Some(reference), "pull")
    })?;
    images::by_id(engine.database()?.read(), &id)?
        .ok_or_else(|| Error::NoSuch { what: "image", name: id.to_string() })
}

/// The directories of an image's layers, top first.
pub(crate) fn lowers_top_first(engine: &Engine, image: &Image) -> Vec<PathBuf> {
    image.layers.iter().rev().map(|l| engine.store().layers().dir(&l.chain_id)).collect()
}

/// What a name with a digest means whose tag is another one: the index or manifest below a name of that repository.
fn by_digest(connection: &Connection, reference: &Reference) -> Result<Option<Image>> {
    let Some(digest) = &reference.digest else { return Ok(None) };
    let same = |tag: &&Tag| {
        (&tag.reference.registry, &tag.reference.repository) == (&reference.registry, &reference.repository)
    };
    if let Some(id) = tags::image_of_manifest(connection, digest)? {
        return match tags::of_image(connection, &id)?.iter().any(|tag| same(&tag)) {
            true => Ok(images::by_id(connection, &id)?),
            false => Ok(None),
        };
    }
    let tags = tags::all(connection)?;
    match tags.iter().filter(same).find(|tag| tag.target == *digest) {
        Some(tag) => Ok(images::by_id(connection, &tag.image)?),
        None => Ok(None),
    }
}

/// The image that `target` means, without making what isn't there; of several platforms below a name the wanted one.
fn image_for(engine: &mut Engine, target: &str, platform: Option<&Platform>) -> Result<Image> {
    let image = match resolve_present(engine, target) {
        // What can't be a name is the name of nothing.
        Err(error) if error.kind() == Kind::Invalid => {
            return Err(Error::NoSuch { what: "image", name: target.to_owned() });
        }
        other => other?,
    };
    let Some(wanted) = platform else { return Ok(image) };
    if platform_of(&image.config) == *wanted {
        return Ok(image);
    }
    let connection = engine.database()?.read();
    let tag = match target.parse::<Reference>() {
        Ok(reference) => tags::by_reference(connection, &reference)?,
        Err(_) => None,
    };
    for id in tag.map(|tag| tags::images_below(connection, &tag.target)).transpose()?.unwrap_or_default() {
        if let Some(other) = images::by_id(connection, &id)?
            && platform_of(&other.config) == *wanted
        {
            return Ok(other);
        }
    }
    Err(Error::NotForPlatform { name: target.to_owned(), wanted: wanted.clone() })
}

/// The image that a container of `target` gets: for this machine, or what serves a platform best.
pub(crate) fn for_container(engine: &mut Engine, target: &str, platform: Option<&Platform>) -> Result<Image> {
    let image = resolve(engine, target)?;
    let Some(wanted) = platform else { return Ok(image) };
    let connection = engine.database()?.read();
    let tag = match target.parse::<Reference>() {
        Ok(reference) => tags::by_reference(connection, &reference)?,
        Err(_) => None,
    };
    let below = tag.map(|tag| tags::images_below(connection, &tag.target)).transpose()?;
    let mut best = wanted.fit(&platform_of(&image.config)).map(|fit| (fit, image));
    for id in below.unwrap_or_default() {
        if let Some(other) = images::by_id(connection, &id)?
            && let Some(fit) = wanted.fit(&platform_of(&other.config))
            && best.as_ref().is_none_or(|(known, _)| fit < *known)
        {
            best = Some((fit, other));
        }
    }
    let missing = || Error::NotForPlatform { name: target.to_owned(), wanted: wanted.clone() };
    best.map(|(_, image)| image).ok_or_else(missing)
}

/// As [`resolve`], without making what isn't there.
fn resolve_present(engine: &mut Engine, target: &str) -> Result<Image> {
    match target.parse::<Reference>() {
        Ok(reference) if reference.is_built_in() => {
            let found = images::by_reference(engine.database()?.read(), &reference)?;
            found.ok_or_else(|| Error::NoSuch { what: "image", name: target.to_owned() })
        }
        _ => resolve(engine, target),
    }
}

/// What an image runs on.
fn platform_of(config: &ImageConfig) -> Platform {
    Platform::new(&config.os, &config.architecture, config.variant.as_deref())
}

/// Seconds since the epoch of a time in a config.
fn unix_s(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(|time| time.as_second())
}

/// When the image was made, as its config says; else when it came here. Seconds since the epoch.
fn created_unix_s(image: &Image) -> i64 {
    image.config.created.as_deref().and_then(unix_s).unwrap_or(image.created_ns / 1_000_000_000)
}
