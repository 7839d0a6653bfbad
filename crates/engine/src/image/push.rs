//! `push`: an image that is here goes into a registry, and what went is remembered.

use std::collections::HashMap;

use corten_images::registry::{Cancel, Client};
use corten_images::{Descriptor, KnownBlob, Progress, PushOptions, TransferError};
use corten_model::platform::Platform;
use corten_model::{Digest, Invalid, Reference};
use corten_storage::Compression;

use super::save::chosen;
use crate::db::blobs::{self, LayerBlob};
use crate::db::tags::{self, Tag};
use crate::error::Doing;
use crate::lease::{self, Lease, Ref};
use crate::{Engine, Error, Result, inside, journal};

/// How something is pushed.
pub struct PushRequest<'r> {
    /// Only this platform, as an image of its own.
    pub platform: Option<Platform>,
    /// Whether layers are compressed anew that could go as they came.
    pub recompress: bool,
    /// Who speaks with registries.
    pub client: &'r Client,
    /// Who is told how far it is.
    pub progress: &'r dyn Progress,
    /// Whether the person who asked has given up; the client has the same.
    pub cancel: &'r Cancel,
}

/// What came of it.
#[derive(Debug)]
pub struct PushOutcome {
    /// What the tag leads to in the registry.
    pub digest: Digest,
    /// How many bytes that has.
    pub size_bytes: u64,
}

/// The names that a push of `reference` means: itself, or all tags of its repository that are here.
pub fn pushed_names(engine: &mut Engine, reference: &Reference, all_tags: bool) -> Result<Vec<Reference>> {
    let same = |tag: &Tag| {
        let other = &tag.reference;
        (&other.registry, &other.repository) == (&reference.registry, &reference.repository)
            && other.digest.is_none()
    };
    let mut names = vec![reference.clone()];
    if all_tags {
        let tags = tags::all(engine.database()?.read())?;
        names = tags.into_iter().filter(same).map(|tag| tag.reference).collect();
    }
    let here = match names.as_slice() {
        [only] if !all_tags => tags::by_reference(engine.database()?.read(), only)?.is_some(),
        names => !names.is_empty(),
    };
    if here { Ok(names) } else { Err(Error::NoSuch { what: "image", name: reference.familiar() }) }
}

/// Pushes what `reference` names here to where it says.
pub fn push(engine: &mut Engine, reference: &Reference, request: &PushRequest<'_>) -> Result<PushOutcome> {
    push_named(engine, reference, request).doing("push", &reference.familiar())
}

fn push_named(engine: &mut Engine, reference: &Reference, request: &PushRequest<'_>) -> Result<PushOutcome> {
    let (Some(tag), None) = (&reference.tag, &reference.digest) else {
        let why = "cannot push a digest reference";
        return Err(Invalid::new("image reference", reference.familiar(), why).into());
    };
    let client = request.client;
    let remote = client.repository(reference).map_err(TransferError::from)?;
    lease::with(engine, &format!("push {reference}"), |engine, lease| {
        // Nothing of it may be removed meanwhile.
        lease.hold(&[Ref::Every])?;
        let connection = engine.database()?.read();
        let named = tags::by_reference(connection, reference)?;
        let named = named.ok_or_else(|| Error::NoSuch { what: "image", name: reference.familiar() })?;
        let platforms: Vec<Platform> = request.platform.iter().cloned().collect();
        let node = chosen(connection, &named.target, &platforms)?;
        let mut known = HashMap::new();
        for layer in node.images().into_iter().flat_map(|image| &image.layers) {
            let blobs = blobs::of_layer(connection, &layer.diff_id)?;
            known.insert(layer.diff_id.clone(), blobs.into_iter().map(known_blob).collect());
        }
        let repository = |name: &str| client.repository(&name.parse().ok()?).ok();
        let config = engine.config()?;
        let name = format!("{}/{}", reference.registry, reference.repository);
        let options = PushOptions {
            compression: config.push.compression,
            recompress: request.recompress,
            uploads: config.push.uploads as usize,
            progress: request.progress,
            cancel: request.cancel,
            known: &known,
            repository: &repository,
            name: &name,
        };
        let tars = inside::Tars::new(engine);
        let pushed = corten_images::push(engine.store(), &tars, &remote, &node, tag, &options)?;
        let outcome = PushOutcome { digest: pushed.digest.clone(), size_bytes: pushed.size_bytes };
        remember(engine, lease, &name, pushed)?;
        Ok(outcome)
    })
}

fn known_blob(known: LayerBlob) -> KnownBlob {
    let blob = Descriptor::new(&known.media_type, &known.digest, known.size_bytes);
    KnownBlob { blob, repository: known.repository }
}

/// What went, so that it doesn't go twice, and under which digests the images are known there.
fn remember(
    engine: &mut Engine,
    lease: &Lease,
    name: &str,
    pushed: corten_images::PushedImage,
) -> Result<()> {
    let now = journal::now_ns();
    engine.database()?.write_durably(|transaction| -> Result<()> {
        lease.check(transaction)?;
        for (diff_id, blob) in pushed.blobs {
            let (digest, size_bytes, media_type) = (blob.digest, blob.size, blob.media_type);
            let repository = name.to_owned();
            blobs::insert(
                transaction,
                &LayerBlob { diff_id, digest, size_bytes, media_type, repository },
                now,
            )?;
        }
        for (media_type, manifest, image) in &pushed.manifests {
            tags::insert_manifest(transaction, manifest, media_type, Some(image))?;
        }
        Ok(())
    })?;
    crate::steps::reached("push.rows");
    Ok(())
}

/// What `push.compression` means.
pub(crate) fn compression(text: &str) -> std::result::Result<Compression, Invalid> {
    match text {
        "gzip" => Ok(Compression::Gzip),
        "zstd" => Ok(Compression::Zstd),
        _ => Err(Invalid::new("compression", text, "no such compression").hint("use `gzip` or `zstd`")),
    }
}
