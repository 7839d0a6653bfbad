//! `pull`: an image of a registry gets rows and a name.
//!
//! ```text
//! the name is here ─▶ HEAD: the same digest, and all that is wanted of it is here ─▶ nothing to do
//!        └─ otherwise ─▶ lease ─▶ bytes (crates/images) ─▶ every row and the name in one transaction
//! ```

use corten_images::registry::{At, Cancel, Client};
use corten_images::{Progress, PullOptions, Pulled, TransferError};
use corten_model::platform::Platform;
use corten_model::{Digest, Invalid, Reference};

use super::{load, resolve};
use crate::db::blobs::{self, LayerBlob};
use crate::db::tags;
use crate::error::Doing;
use crate::lease::{self, Lease, Ref};
use crate::{Engine, Result, inside, journal};

/// How something is pulled.
pub struct PullRequest<'r> {
    /// Only these platforms; none: the best for this machine.
    pub platforms: Vec<Platform>,
    /// Who speaks with registries.
    pub client: &'r Client,
    /// Who is told how far it is.
    pub progress: &'r dyn Progress,
    /// Whether the person who asked has given up; the client has the same.
    pub cancel: &'r Cancel,
}

/// What came of it.
#[derive(Debug)]
pub struct PullOutcome {
    /// The name that the image has now.
    pub reference: Reference,
    /// The digest of the index or manifest.
    pub digest: Digest,
    /// The image's id.
    pub id: Digest,
    /// Whether the name leads elsewhere than before, or to more.
    pub is_new: bool,
    /// Remarks for the person who asked.
    pub warnings: Vec<String>,
}

/// Pulls what a name means in its registry.
pub fn pull(engine: &mut Engine, reference: &Reference, request: &PullRequest<'_>) -> Result<PullOutcome> {
    pull_named(engine, reference, request).doing("pull", &reference.familiar())
}

/// This machine, with what its processor can do.
pub(crate) fn machine() -> Platform {
    let host = Platform::host();
    let variant = corten_sys::cpu::amd64_level().map(|level| format!("v{level}"));
    Platform::new(&host.os, &host.architecture, variant.as_deref().or(host.variant.as_deref()))
}

fn pull_named(engine: &mut Engine, reference: &Reference, request: &PullRequest<'_>) -> Result<PullOutcome> {
    if reference.is_built_in() {
        let image = resolve(engine, &reference.familiar())?;
        let (reference, digest) = (reference.clone(), image.manifest);
        return Ok(PullOutcome { reference, digest, id: image.id, is_new: false, warnings: Vec::new() });
    }
    let name = kept_name(reference);
    let repository = request.client.repository(&name).map_err(TransferError::from)?;
    let machine = machine();
    let mut at = At::of(&name);
    if let Some(tag) = tags::by_reference(engine.database()?.read(), &name)? {
        let there = match &at {
            At::Digest(digest) => Some(digest.clone()),
            At::Tag(_) => {
                let head = repository.head(&at, &corten_images::registry::MANIFEST_TYPES);
                head.map_err(TransferError::from)?.and_then(|head| head.digest)
            }
        };
        if there.as_ref() == Some(&tag.target)
            && let Some(id) = present(engine, &tag.target, &request.platforms, &machine)?
        {
            let (reference, digest) = (name, tag.target);
            return Ok(PullOutcome { reference, digest, id, is_new: false, warnings: Vec::new() });
        }
        // What is known of it here isn't asked for again.
        at = there.map_or(at, At::Digest);
    }
    let (downloads, keep) = (engine.config()?.pull.downloads as usize, engine.config()?.pull.keep_blobs);
    lease::with(engine, &format!("pull {name}"), |engine, lease| {
        let unpack = inside::Unpacker::new(engine, lease)?;
        let hold = |chains: &[Digest]| {
            let refs: Vec<Ref> = chains.iter().cloned().map(Ref::Layer).collect();
            lease.hold(&refs).map_err(|error| inside::unpack_error(&error))
        };
        let options = PullOptions {
            platforms: &request.platforms,
            machine: &machine,
            downloads,
            keep_blobs: keep || reference.digest.is_some(),
            progress: request.progress,
            cancel: request.cancel,
            hold: &hold,
        };
        let pulled = corten_images::pull(engine.store(), &unpack, &repository, &at, &options)?;
        commit(engine, lease, &name, pulled)
    })
}

/// What an image is called that was pulled: a digest names it for ever, and a tag beside it says nothing.
fn kept_name(reference: &Reference) -> Reference {
    match reference.digest {
        Some(_) => Reference { tag: None, ..reference.clone() },
        None => reference.clone(),
    }
}

/// The image that a pull of `target` would give, if all that is wanted of it is here.
fn present(
    engine: &mut Engine,
    target: &Digest,
    platforms: &[Platform],
    machine: &Platform,
) -> Result<Option<Digest>> {
    let Some(manifests) = corten_images::present(engine.store(), target, platforms, machine) else {
        return Ok(None);
    };
    let connection = engine.database()?.read();
    let mut first = None;
    for manifest in manifests {
        match tags::image_of_manifest(connection, &manifest)? {
            Some(id) => first = first.or(Some(id)),
            None => return Ok(None),
        }
    }
    Ok(first)
}

/// The rows of what was pulled.
fn commit(engine: &mut Engine, lease: &Lease, name: &Reference, pulled: Pulled) -> Result<PullOutcome> {
    let now = journal::now_ns();
    let Pulled { mut loaded, digest, blobs, kept } = pulled;
    let warnings = std::mem::take(&mut loaded.warnings);
    for target in &mut loaded.targets {
        target.names.push(name.clone());
    }
    let repository = format!("{}/{}", name.registry, name.repository);
    crate::steps::reached("image.stored");
    let images = engine.database()?.write_durably(|transaction| -> Result<Vec<load::LoadedImage>> {
        lease.check(transaction)?;
        let images = load::rows(transaction, loaded, "pull", now)?;
        for (diff_id, blob) in blobs {
            let (digest, size_bytes, media_type) = (blob.digest, blob.size, blob.media_type);
            let repository = repository.clone();
            blobs::insert(
                transaction,
                &LayerBlob { diff_id, digest, size_bytes, media_type, repository },
                now,
            )?;
        }
        for (image, digest) in &kept {
            blobs::keep(transaction, image, digest)?;
        }
        Ok(images)
    })?;
    crate::steps::reached("image.named");
    let Some(image) = images.into_iter().next() else {
        let why = "nothing of it is an image";
        return Err(Invalid::new("image reference", name.familiar(), why).into());
    };
    Ok(PullOutcome { reference: name.clone(), digest, id: image.id, is_new: true, warnings })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_whole_name() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let check = |typed: &str, kept: &str| {
            assert_eq!(kept_name(&typed.parse().unwrap()).familiar(), kept);
        };
        check("app:1", "app:1");
        check(&format!("app@{digest}"), &format!("app@{digest}"));
        check(&format!("app:1@{digest}"), &format!("app@{digest}"));
    }

    #[test]
    fn the_machine_takes_what_is_for_everybody() {
        assert!(machine().fit(&Platform::host()).is_some());
    }
}
