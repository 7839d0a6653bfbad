//! Images by name.

mod remove;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use corten_images::{ImportOptions, MANIFEST_TYPE};
use corten_model::{Digest, Kind, Reference};
use serde_json::json;

use crate::db::events;
use crate::db::images::{self, Image, Layer};
use crate::db::tags::{self, Tag};
use crate::error::{Doing, OnFile};
use crate::{Engine, Error, Result, inside, journal};

pub use remove::{Removed, remove};

/// An image as `images` shows it.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The config's digest.
    pub id: Digest,
    /// What names it.
    pub tags: Vec<Reference>,
    /// The manifest's digest.
    pub manifest: Digest,
    /// When it was made, seconds since the epoch.
    pub created_unix_s: i64,
    /// Bytes of its unpacked layers.
    pub size_bytes: u64,
    /// The labels of its config.
    pub labels: BTreeMap<String, String>,
}

/// What `import` needs beside the tar.
#[derive(Debug, Clone, Default)]
pub struct ImportRequest {
    /// The name it gets.
    pub reference: Option<Reference>,
    /// Dockerfile instructions applied to the config.
    pub changes: Vec<String>,
    /// The history's remark.
    pub message: Option<String>,
}

/// Makes an image of a tar's files; gzip is recognised.
pub fn import(engine: &mut Engine, tar: &mut dyn Read, request: &ImportRequest) -> Result<Digest> {
    let name = request.reference.as_ref().map_or("archive".to_owned(), Reference::familiar);
    import_tar(engine, tar, request).doing("import", &name)
}

fn import_tar(engine: &mut Engine, tar: &mut dyn Read, request: &ImportRequest) -> Result<Digest> {
    if let Some(reference) = &request.reference
        && reference.digest.is_some()
    {
        let why = "an image that is imported gets a tag, not a digest";
        return Err(corten_model::Invalid::new("image reference", reference.familiar(), why).into());
    }
    let options = ImportOptions {
        changes: request.changes.clone(),
        message: request.message.clone(),
        created: jiff::Timestamp::now().to_string(),
    };
    let _writing = engine.store().writing()?;
    let _layers = layers_lock(engine, Layers::Kept)?;
    let unpack = inside::Unpacker::new(engine)?;
    let stored = corten_images::import(engine.store(), &unpack, tar, &options)?;
    insert(engine, stored, request.reference.as_ref(), "import")
}

/// What a command does with layers.
#[derive(PartialEq, Eq)]
pub(crate) enum Layers {
    /// It makes a row for layers and blobs that may be there already: they have to stay until the row is there.
    Kept,
    /// It removes those that no row names.
    Removed,
}

/// Keeps the removal of layers and blobs apart from images that are being made of them. Held until it is dropped.
pub(crate) fn layers_lock(engine: &Engine, purpose: Layers) -> Result<std::fs::File> {
    let path = engine.roots().data.join("layers.lock");
    let file = std::fs::File::options().write(true).create(true).truncate(false).open(&path);
    let file = file.on("open", &path)?;
    let locked = if purpose == Layers::Kept { file.lock_shared() } else { file.lock() };
    locked.on("lock", &path)?;
    Ok(file)
}

/// The row of an image whose bytes are on the disk.
pub(crate) fn insert(
    engine: &mut Engine,
    stored: corten_images::Stored,
    reference: Option<&Reference>,
    action: &str,
) -> Result<Digest> {
    let now = journal::now_ns();
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
    engine.database()?.write_durably(|transaction| -> Result<()> {
        images::insert(transaction, &image)?;
        tags::insert_manifest(transaction, &image.manifest, MANIFEST_TYPE, Some(&image.id))?;
        if let Some(reference) = reference {
            let (target, image) = (image.manifest.clone(), image.id.clone());
            tags::set(
                transaction,
                &Tag { reference: reference.clone(), target, image, tagged_ns: Some(now) },
            )?;
        }
        let name = reference.map(Reference::familiar).unwrap_or_default();
        let attributes = BTreeMap::from([("name", name)]);
        Ok(events::record(transaction, now, "image", action, image.id.as_str(), &attributes)?)
    })?;
    Ok(image.id)
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
    }
    let digits = target.strip_prefix("sha256:").unwrap_or(target);
    let mut found = images::by_prefix(engine.database()?.read(), digits)?;
    match (found.pop(), found.pop()) {
        (Some(image), None) => Ok(image),
        (Some(_), Some(_)) => Err(Error::Ambiguous { what: "image", prefix: target.to_owned() }),
        (None, _) => {
            // A name that can't be one says what is wrong with it.
            target.parse::<Reference>()?;
            Err(Error::NoSuch { what: "image", name: target.to_owned() })
        }
    }
}

/// The image that works on a machine with no network: one layer, made from this binary.
fn make_hello(engine: &mut Engine, reference: &Reference) -> Result<Image> {
    let path = std::path::Path::new("/proc/self/exe");
    let mut binary = crate::error::OnFile::on(std::fs::File::open(path), "read", path)?;
    let _writing = engine.store().writing()?;
    let _layers = layers_lock(engine, Layers::Kept)?;
    let unpack = inside::Unpacker::new(engine)?;
    let stored = corten_images::hello(engine.store(), &unpack, &mut binary)?;
    let id = insert(engine, stored, Some(reference), "pull")?;
    images::by_id(engine.database()?.read(), &id)?
        .ok_or_else(|| Error::NoSuch { what: "image", name: id.to_string() })
}

/// The directories of an image's layers, top first.
pub(crate) fn lowers_top_first(engine: &Engine, image: &Image) -> Vec<PathBuf> {
    image.layers.iter().rev().map(|l| engine.store().layers().dir(&l.chain_id)).collect()
}

/// The images, newest first.
pub fn list(engine: &mut Engine) -> Result<Vec<Summary>> {
    let connection = engine.database()?.read();
    let tags = tags::all(connection)?;
    let all = images::all(connection)?;
    Ok(all
        .into_iter()
        .map(|image| Summary {
            tags: tags.iter().filter(|t| t.image == image.id).map(|t| t.reference.clone()).collect(),
            created_unix_s: created_unix_s(&image),
            id: image.id,
            manifest: image.manifest,
            size_bytes: image.size_bytes,
            labels: image.config.config.labels.unwrap_or_default(),
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

/// When the image was made, as its config says; else when it came here.
fn created_unix_s(image: &Image) -> i64 {
    let typed = image.config.created.as_ref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    typed.map_or(image.created_ns / 1_000_000_000, |t| t.as_second())
}

/// As [`resolve`], without making what isn't there.
fn resolve_present(engine: &mut Engine, target: &str) -> Result<Image> {
    match target.parse::<Reference>() {
        Ok(reference) if reference.is_built_in() => {
            Err(Error::NoSuch { what: "image", name: target.to_owned() })
        }
        _ => resolve(engine, target),
    }
}

/// Everything about one image, in the shape of Docker's `GET /images/{name}/json`.
pub fn inspect(engine: &mut Engine, target: &str) -> Result<serde_json::Value> {
    let image = resolve_present_or_named(engine, target)?;
    let tags = tags::of_image(engine.database()?.read(), &image.id)?;
    let names: Vec<String> = tags.iter().map(|tag| tag.reference.familiar()).collect();
    let digests: Vec<String> =
        tags.iter().map(|tag| format!("{}@{}", tag.reference.familiar_repository(), tag.target)).collect();
    let diff_ids: Vec<&str> = image.config.rootfs.diff_ids.iter().map(Digest::as_str).collect();
    Ok(json!({
        "Id": image.id.as_str(),
        "RepoTags": names,
        "RepoDigests": digests,
        "Comment": image.config.history.last().and_then(|h| h.comment.clone()).unwrap_or_default(),
        "Created": image.config.created,
        "Author": image.config.author.clone().unwrap_or_default(),
        "Config": image.config.config,
        "Architecture": image.config.architecture,
        "Variant": image.config.variant.clone().unwrap_or_default(),
        "Os": image.config.os,
        "Size": image.size_bytes,
        "RootFS": { "Type": "layers", "Layers": diff_ids },
        "Descriptor": { "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": image.manifest.as_str() },
    }))
}

fn resolve_present_or_named(engine: &mut Engine, target: &str) -> Result<Image> {
    let named = match target.parse::<Reference>() {
        Ok(reference) => images::by_reference(engine.database()?.read(), &reference)?,
        Err(_) => None,
    };
    match named {
        Some(image) => Ok(image),
        None => match resolve_present(engine, target) {
            Err(error) if error.kind() == Kind::Invalid => {
                Err(Error::NoSuch { what: "image", name: target.to_owned() })
            }
            other => other,
        },
    }
}
