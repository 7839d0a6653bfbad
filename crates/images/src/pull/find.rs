//! What a name in a registry leads to: the index or manifest, the images below it that are wanted, their configs.
//!
//! Documents that are here already aren't fetched again: their digest says what they are. Deliberately not here:
//! layers, which are only named.

use std::collections::BTreeMap;
use std::io::Read;

use corten_model::Digest;
use corten_model::image::ImageConfig;
use corten_model::platform::Platform;
use corten_storage::{LAYERS_MAX, Store, chain_id};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::document::{
    Budget, DOCKER_INDEX_TYPE, DOCKER_MANIFEST_TYPE, DOCUMENT_BYTES_MAX, Descriptor, INDEX_TYPE, Index,
    MANIFEST_TYPE, Manifest,
};
use crate::load::StoredIndex;
use crate::registry::At;
use crate::transfer::{Document, Remote, TransferError};
use crate::{Error, digest_of};

/// Indexes below each other.
const DEPTH_MAX: usize = 3;

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    /// What the name points to.
    pub target: Digest,
    /// The images that are wanted.
    pub images: Vec<Image>,
    /// The indexes above them with their bytes, lower ones first.
    pub indexes: Vec<(StoredIndex, Vec<u8>)>,
    /// Remarks for the person who asked.
    pub warnings: Vec<String>,
}

/// An image in a registry.
#[derive(Debug)]
pub(super) struct Image {
    pub config: Vec<u8>,
    pub manifest: Document,
    pub layers: Vec<Layer>,
}

/// A layer in a registry.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub diff_id: Digest,
    pub chain_id: Digest,
    pub blob: Descriptor,
}

/// What is asked for.
pub(super) struct Wanted<'w> {
    /// These platforms, or the best for the first one of [`Wanted::machine`].
    pub platforms: &'w [Platform],
    /// This machine.
    pub machine: &'w Platform,
}

/// A manifest that an index names, with the way to it: each index from the top, and the position in it.
#[derive(Debug, Clone)]
struct Leaf {
    manifest: Descriptor,
    way: Vec<(Digest, usize)>,
}

/// A manifest is not to be an index too: readers would differ in what it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    artifact_type: Option<String>,
    manifests: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
}

/// Looks for what is wanted of the index or manifest `top`.
pub(super) fn find(
    store: &Store,
    remote: &dyn Remote,
    top: Document,
    wanted: &Wanted<'_>,
) -> Result<Found, TransferError> {
    let mut finder =
        Finder { store, remote: Some(remote), budget: Budget::default(), indexes: BTreeMap::new() };
    let (target, mut warnings) = (top.digest.clone(), Vec::new());
    let mut images = Vec::new();
    for (leaf, platform) in finder.chosen(top, wanted)? {
        let document = match leaf.document {
            Some(document) => document,
            None => finder.document(&leaf.manifest)?,
        };
        let (image, runs_on) = finder.image(document)?;
        check_platform(&target, &runs_on, platform.as_ref(), wanted.machine, &mut warnings)?;
        finder.note(&leaf.way, &image.manifest.digest);
        images.push(image);
    }
    let mut indexes: Vec<_> =
        finder.indexes.into_values().filter(|(index, ..)| !index.below.is_empty()).collect();
    indexes.sort_by_key(|(_, _, depth)| std::cmp::Reverse(*depth));
    let indexes = indexes.into_iter().map(|(index, bytes, _)| (index, bytes)).collect();
    Ok(Found { target, images, indexes, warnings })
}

/// The manifests that would be pulled of `top`, from what is here alone; `None`: something of it isn't here.
pub(super) fn present(store: &Store, top: Document, wanted: &Wanted<'_>) -> Option<Vec<Digest>> {
    let mut finder = Finder { store, remote: None, budget: Budget::default(), indexes: BTreeMap::new() };
    let chosen = finder.chosen(top, wanted).ok()?;
    Some(chosen.into_iter().map(|(leaf, _)| leaf.manifest.digest).collect())
}

/// An image for another machine is taken, unless a platform was asked for: it is the only one there is.
fn check_platform(
    name: &Digest,
    found: &Platform,
    asked: Option<&Platform>,
    machine: &Platform,
    warnings: &mut Vec<String>,
) -> Result<(), TransferError> {
    match asked {
        Some(wanted) if wanted.fit(found).is_none() => Err(TransferError::NoPlatform {
            name: name.clone(),
            wanted: wanted.clone(),
            there: vec![found.clone()],
        }),
        None if machine.fit(found).is_none() => {
            warnings.push(format!("the image is for {found}, and this machine is {machine}"));
            Ok(())
        }
        _ => Ok(()),
    }
}

struct Finder<'f> {
    store: &'f Store,
    /// Nobody: only what is here is looked at.
    remote: Option<&'f dyn Remote>,
    budget: Budget,
    /// With their bytes and how many there are above each.
    indexes: BTreeMap<Digest, (StoredIndex, Vec<u8>, usize)>,
}

/// A manifest that is going to be pulled.
struct Chosen {
    manifest: Descriptor,
    way: Vec<(Digest, usize)>,
    /// Where the name itself leads to a manifest.
    document: Option<Document>,
}

impl Finder<'_> {
    /// What of `top` is wanted, each with the platform that it was asked for.
    fn chosen(
        &mut self,
        top: Document,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<(Chosen, Option<Platform>)>, TransferError> {
        let asked: Vec<Option<&Platform>> = match wanted.platforms {
            [] => vec![None],
            several => several.iter().map(Some).collect(),
        };
        if !self.is_index(&top)? {
            let manifest = Descriptor::new(&top.media_type, &top.digest, top.bytes.len() as u64);
            let chosen = Chosen { manifest, way: Vec::new(), document: Some(top) };
            return Ok(vec![(chosen, asked[0].cloned())]);
        }
        let name = top.digest.clone();
        let mut leaves = Vec::new();
        self.leaves(top, &mut Vec::new(), &mut leaves)?;
        let mut chosen: Vec<(Chosen, Option<Platform>)> = Vec::new();
        for asked in asked {
            let platform = asked.unwrap_or(wanted.machine);
            let leaf = best(&leaves, platform).ok_or_else(|| TransferError::NoPlatform {
                name: name.clone(),
                wanted: platform.clone(),
                there: leaves.iter().filter_map(|leaf| leaf.manifest.platform()).collect(),
            })?;
            if chosen.iter().any(|(known, _)| known.manifest.digest == leaf.manifest.digest) {
                continue;
            }
            let (manifest, way) = (leaf.manifest.clone(), leaf.way.clone());
            chosen.push((Chosen { manifest, way, document: None }, asked.cloned()));
        }
        Ok(chosen)
    }

    /// What kind of document it is; what is neither is an error.
    fn is_index(&self, document: &Document) -> Result<bool, TransferError> {
        let what = document.digest.to_string();
        let shape: Shape = self.budget.parse(&what, &document.bytes)?;
        let said = shape.media_type.as_deref().filter(|said| !said.is_empty());
        let said = said.unwrap_or(&document.media_type);
        let (index, image) = (shape.manifests.is_some(), shape.layers.is_some() || shape.config.is_some());
        if index && image {
            return Err(Error::Ambiguous { what }.into());
        }
        match said {
            INDEX_TYPE | DOCKER_INDEX_TYPE if index => Ok(true),
            MANIFEST_TYPE | DOCKER_MANIFEST_TYPE if image => Ok(false),
            INDEX_TYPE | DOCKER_INDEX_TYPE | MANIFEST_TYPE | DOCKER_MANIFEST_TYPE => {
                Err(Error::Ambiguous { what }.into())
            }
            // OCI allows to leave the type out, and some registries then say nothing either.
            _ if index != image && shape.artifact_type.is_none() => Ok(index),
            other => {
                let kind = shape.artifact_type.unwrap_or_else(|| other.to_owned());
                Err(TransferError::NotAnImage { name: document.digest.clone(), kind })
            }
        }
    }

    /// Every image below an index, in order.
    fn leaves(
        &mut self,
        index: Document,
        way: &mut Vec<(Digest, usize)>,
        leaves: &mut Vec<Leaf>,
    ) -> Result<(), TransferError> {
        if way.len() >= DEPTH_MAX {
            return Err(Error::TooMany { what: "indexes below each other", max: DEPTH_MAX as u64 }.into());
        }
        let parsed: Index = self.budget.parse(index.digest.as_str(), &index.bytes)?;
        let stored =
            StoredIndex { digest: index.digest.clone(), media_type: media_type(&index), below: Vec::new() };
        self.indexes.insert(index.digest.clone(), (stored, index.bytes, way.len()));
        for (position, below) in parsed.manifests.into_iter().enumerate() {
            if below.is_attestation() {
                continue;
            }
            way.push((index.digest.clone(), position));
            if below.is_index() {
                let document = self.document(&below)?;
                self.leaves(document, way, leaves)?;
            } else if below.is_manifest() {
                leaves.push(Leaf { manifest: below, way: way.clone() });
            }
            way.pop();
        }
        Ok(())
    }

    /// Remembers what is here below the indexes on the way to a manifest.
    fn note(&mut self, way: &[(Digest, usize)], manifest: &Digest) {
        for (depth, (index, position)) in way.iter().enumerate() {
            let below = way.get(depth + 1).map_or(manifest, |(index, _)| index);
            if let Some((stored, ..)) = self.indexes.get_mut(index)
                && !stored.below.iter().any(|(known, _)| known == position)
            {
                stored.below.push((*position, below.clone()));
            }
        }
    }

    /// A document that another one names.
    fn document(&self, descriptor: &Descriptor) -> Result<Document, TransferError> {
        let (digest, media_type) = (&descriptor.digest, descriptor.media_type.clone());
        let here = self.store.blobs().get(digest);
        let document = match (here, self.remote) {
            (Ok(bytes), _) => Document { bytes, media_type, digest: digest.clone() },
            (Err(error), None) => return Err(error.into()),
            (Err(_), Some(remote)) => {
                let document = remote.manifest(&At::Digest(digest.clone()))?;
                Document { media_type, ..document }
            }
        };
        // It may come from a client that trusts its registry: nothing is stored under a digest that isn't its own.
        let found = digest_of(&document.bytes);
        if found != *digest {
            return Err(TransferError::WrongDigest { expected: digest.clone(), found });
        }
        Ok(document)
    }

    /// The image that a manifest describes, and what it runs on.
    fn image(&self, document: Document) -> Result<(Image, Platform), TransferError> {
        if self.is_index(&document)? {
            return Err(Error::Ambiguous { what: document.digest.to_string() }.into());
        }
        let manifest: Manifest = self.budget.parse(document.digest.as_str(), &document.bytes)?;
        if !manifest.is_image() {
            let kind = manifest.config.media_type;
            return Err(TransferError::NotAnImage { name: document.digest, kind });
        }
        let config = self.config(&manifest.config)?;
        let what = format!("the config of {}", document.digest);
        let parsed: ImageConfig = self.budget.parse(&what, &config)?;
        let runs_on = Platform::new(&parsed.os, &parsed.architecture, parsed.variant.as_deref());
        let (diff_ids, layers) = (parsed.rootfs.diff_ids, manifest.layers);
        if diff_ids.len() != layers.len() {
            let (diff_ids, layers) = (diff_ids.len(), layers.len());
            return Err(Error::LayerCount { what, diff_ids, layers }.into());
        }
        if layers.len() > LAYERS_MAX {
            return Err(Error::TooMany { what: "layers", max: LAYERS_MAX as u64 }.into());
        }
        let mut parent: Option<Digest> = None;
        let mut found = Vec::with_capacity(layers.len());
        for (diff_id, blob) in diff_ids.into_iter().zip(layers) {
            let chain_id = chain_id(parent.as_ref(), &diff_id);
            parent = Some(chain_id.clone());
            found.push(Layer { diff_id, chain_id, blob });
        }
        let manifest = Document { media_type: media_type(&document), ..document };
        Ok((Image { config, manifest, layers: found }, runs_on))
    }

    fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, TransferError> {
        if let Ok(bytes) = self.store.blobs().get(&descriptor.digest) {
            return Ok(bytes);
        }
        let what = || "the config".to_owned();
        if descriptor.size > DOCUMENT_BYTES_MAX {
            return Err(Error::TooLarge { what: what(), max: DOCUMENT_BYTES_MAX }.into());
        }
        let Some(remote) = self.remote else { return Err(Error::Missing { name: what() }.into()) };
        let mut bytes = Vec::new();
        let reader = remote.blob(descriptor, 0)?;
        let read = reader.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut bytes);
        read.map_err(|error| TransferError::of_read(descriptor, error))?;
        let found = digest_of(&bytes);
        if found != descriptor.digest {
            return Err(TransferError::WrongDigest { expected: descriptor.digest.clone(), found });
        }
        Ok(bytes)
    }
}

/// The one that serves best; the first of equals, as the index prefers.
fn best<'l>(leaves: &'l [Leaf], platform: &Platform) -> Option<&'l Leaf> {
    // What doesn't say what it runs on is looked at when nothing else is there.
    let fit = |leaf: &Leaf| leaf.manifest.platform().map_or(Some(u32::MAX), |other| platform.fit(&other));
    leaves
        .iter()
        .filter_map(|leaf| Some((fit(leaf)?, leaf)))
        .min_by_key(|(fit, _)| *fit)
        .map(|(_, leaf)| leaf)
}

/// What a document is, where it may not say it itself.
fn media_type(document: &Document) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Said {
        #[serde(default)]
        media_type: Option<String>,
        manifests: Option<IgnoredAny>,
    }
    let said = serde_json::from_slice::<Said>(&document.bytes).ok();
    let index = said.as_ref().is_some_and(|said| said.manifests.is_some());
    let said = said.and_then(|said| said.media_type).filter(|said| !said.is_empty());
    said.unwrap_or_else(|| if index { INDEX_TYPE } else { MANIFEST_TYPE }.to_owned())
}
