//! `pull`: images out of a registry.
//!
//! ```text
//! find.rs    index or manifest ─▶ the platforms that are wanted ─▶ configs ─▶ which layers are missing
//! flow.rs    several blobs at once ─▶ files that grow ─▶ (in the chain's order) unpacked while they grow
//!                                                 └─▶ documents become blobs ─▶ the caller's rows
//! ```
//! Everything is checked on its way: documents and blobs against their digests, layers against the config. What a pull
//! that failed has downloaded stays for the next one. Deliberately not here: rows, names, leases.

mod find;
mod flow;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Scope;

use corten_model::Digest;
use corten_model::platform::Platform;
use corten_storage::{Store, decompress_within, steps};

use crate::document::{Descriptor, parse};
use crate::load::{Loaded, Target};
use crate::registry::{At, Cancel};
use crate::transfer::{BlobState, Document, Progress, Remote, TransferError};
use crate::{Error, Unpack, UnpackError, manifest, remarks};
use find::{Found, Layer, Wanted};
use flow::{Around, Flow, Turn};

/// How a pull is done.
pub struct PullOptions<'p> {
    /// Only these; none: the best for the machine.
    pub platforms: &'p [Platform],
    /// This machine.
    pub machine: &'p Platform,
    /// Blobs that are fetched at the same time.
    pub downloads: usize,
    /// Whether the compressed layers are kept too.
    pub keep_blobs: bool,
    /// Who is told how far it is.
    pub progress: &'p dyn Progress,
    /// Whether the person who asked has given up.
    pub cancel: &'p Cancel,
    /// Holds layers by their chain ids, before anybody looks whether they are here.
    pub hold: &'p dyn Fn(&[Digest]) -> Result<(), UnpackError>,
}

/// What was pulled; the rows are the caller's.
#[derive(Debug)]
pub struct Pulled {
    /// What the name points to, and what is below it.
    pub loaded: Loaded,
    /// The index or manifest.
    pub digest: Digest,
    /// What each layer came as: its diff id, and the blob.
    pub blobs: Vec<(Digest, Descriptor)>,
    /// Those of the blobs that are kept, by the image that they are of.
    pub kept: Vec<(Digest, Digest)>,
}

/// Pulls what `at` names. The caller holds a lease until its rows are committed.
pub fn pull(
    store: &Store,
    unpack: &dyn Unpack,
    remote: &dyn Remote,
    at: &At,
    options: &PullOptions<'_>,
) -> Result<Pulled, TransferError> {
    let wanted = Wanted { platforms: options.platforms, machine: options.machine };
    let here = match at {
        At::Digest(digest) => local(store, digest),
        At::Tag(_) => None,
    };
    let top = here.map_or_else(|| remote.manifest(at), Ok)?;
    let found = find::find(store, remote, top, &wanted)?;
    steps::reached("pull.found");
    let chains: Vec<Digest> =
        found.images.iter().flat_map(|image| &image.layers).map(|l| l.chain_id.clone()).collect();
    (options.hold)(&chains).map_err(TransferError::Hold)?;
    let around = Around {
        store,
        remote,
        cancel: options.cancel,
        progress: options.progress,
        keep: options.keep_blobs,
    };
    let mut pulling =
        Pulling { around: &around, unpack, warnings: found.warnings.clone(), kept: HashSet::new() };
    pulling.layers(&found, options.downloads)?;
    steps::reached("pull.layers");
    let Pulling { warnings, kept, .. } = pulling;
    let pulled = documents(store, found, warnings, &kept)?;
    steps::reached("pull.blobs");
    Ok(pulled)
}

/// The manifests that a pull of the index or manifest `target` would take, if everything to know that is here.
pub fn present(
    store: &Store,
    target: &Digest,
    platforms: &[Platform],
    machine: &Platform,
) -> Option<Vec<Digest>> {
    find::present(store, local(store, target)?, &Wanted { platforms, machine })
}

/// An index or manifest that is here; its type is looked for in itself.
fn local(store: &Store, digest: &Digest) -> Option<Document> {
    let bytes = store.blobs().get(digest).ok()?;
    Some(Document { bytes, media_type: String::new(), digest: digest.clone() })
}

struct Pulling<'p> {
    around: &'p Around<'p>,
    unpack: &'p dyn Unpack,
    warnings: Vec<String>,
    /// Digests of blobs that are kept.
    kept: HashSet<Digest>,
}

/// What the threads that fetch share.
struct Fetching<'f> {
    flows: &'f [Flow],
    next: AtomicUsize,
    /// Something failed: what isn't begun is left.
    over: AtomicBool,
}

impl Fetching<'_> {
    fn work(&self, around: &Around<'_>) {
        while !self.over.load(Ordering::Relaxed) {
            let Some(flow) = self.flows.get(self.next.fetch_add(1, Ordering::Relaxed)) else { return };
            flow.fetch(around);
        }
    }
}

impl Pulling<'_> {
    /// Unpacks what is missing, in the order of each chain, while what comes next is fetched.
    fn layers(&mut self, found: &Found, downloads: usize) -> Result<(), TransferError> {
        let around = self.around;
        let mut flows: Vec<Flow> = Vec::new();
        let mut by_digest: HashMap<Digest, usize> = HashMap::new();
        let mut turns: BTreeMap<usize, (usize, &Layer, Option<&Digest>)> = BTreeMap::new();
        let mut seen = HashSet::new();
        let mut told = HashSet::new();
        for image in &found.images {
            for (depth, layer) in image.layers.iter().enumerate() {
                if !seen.insert(&layer.chain_id) {
                    continue;
                }
                let digest = &layer.blob.digest;
                if around.store.layers().exists(&layer.chain_id) {
                    if told.insert(digest) {
                        around.progress.blob(digest, BlobState::Exists);
                    }
                    continue;
                }
                let flow = *by_digest.entry(digest.clone()).or_insert_with(|| {
                    flows.push(Flow::new(layer.blob.clone()));
                    around.progress.blob(digest, BlobState::Queued);
                    flows.len() - 1
                });
                flows[flow].serve(&layer.chain_id);
                let parent = depth.checked_sub(1).map(|below| &image.layers[below].chain_id);
                turns.insert(turns.len(), (flow, layer, parent));
            }
        }
        flows.iter().skip(downloads).for_each(|flow| {
            around.progress.blob(&flow.blob.digest, BlobState::Waiting);
        });
        let fetching = Fetching { flows: &flows, next: AtomicUsize::new(0), over: AtomicBool::new(false) };
        std::thread::scope(|scope| {
            for _ in 0..downloads.clamp(1, flows.len().max(1)).min(flows.len()) {
                scope.spawn(|| fetching.work(around));
            }
            let mut outcome = Ok(());
            for (flow, layer, parent) in turns.values() {
                outcome = self.layer(scope, &flows[*flow], layer, *parent);
                if outcome.is_err() {
                    break;
                }
            }
            fetching.over.store(true, Ordering::Relaxed);
            outcome
        })
    }

    fn layer<'s>(
        &mut self,
        scope: &'s Scope<'s, '_>,
        flow: &'s Flow,
        layer: &Layer,
        parent: Option<&Digest>,
    ) -> Result<(), TransferError>
    where
        Self: 's,
    {
        let around = self.around;
        let mut tried_anew = false;
        loop {
            match flow.begin(around) {
                Ok(Turn::Follow) => {}
                Ok(Turn::Needless) => {
                    around.progress.blob(&flow.blob.digest, BlobState::Exists);
                    return Ok(());
                }
                Ok(Turn::FetchAgain) => {
                    fetch_again(scope, flow, around);
                    continue;
                }
                Err(error) => return Err(error),
            }
            match self.unpack(flow, layer, parent) {
                Ok(()) => break,
                // What an earlier command left was no part of it.
                Err(TransferError::WrongDigest { .. }) if flow.was_resumed() && !tried_anew => {
                    tried_anew = true;
                    flow.again();
                    fetch_again(scope, flow, around);
                }
                Err(error) => {
                    flow.discard();
                    return Err(error);
                }
            }
        }
        if flow.done(around)? {
            self.kept.insert(flow.blob.digest.clone());
        }
        around.progress.blob(&flow.blob.digest, BlobState::Pulled);
        Ok(())
    }

    fn unpack(&mut self, flow: &Flow, layer: &Layer, parent: Option<&Digest>) -> Result<(), TransferError> {
        let unpacked = self.unpack_plain(flow, layer, parent);
        if self.around.cancel.is_cancelled() {
            return Err(TransferError::Cancelled);
        }
        match unpacked {
            Ok(()) => flow.settle(self.around),
            // What made it fail is that the bytes didn't come, or were others.
            Err(error) => Err(flow.failure().unwrap_or(error)),
        }
    }

    fn unpack_plain(
        &mut self,
        flow: &Flow,
        layer: &Layer,
        parent: Option<&Digest>,
    ) -> Result<(), TransferError> {
        let mut plain = decompress_within(flow.follow(self.around), self.unpack.expansion())
            .map_err(Error::Decompress)?;
        let unpacked = self.unpack.unpack(&mut plain, Some(&layer.diff_id), parent);
        let unpacked = unpacked.map_err(|source| Error::Layer { layer: layer.diff_id.clone(), source })?;
        self.warnings.extend(remarks(&unpacked));
        Ok(())
    }
}

fn fetch_again<'s>(scope: &'s Scope<'s, '_>, flow: &'s Flow, around: &'s Around<'_>) {
    scope.spawn(move || flow.fetch(around));
}

/// Configs, manifests and indexes become blobs.
fn documents(
    store: &Store,
    found: Found,
    warnings: Vec<String>,
    kept: &HashSet<Digest>,
) -> Result<Pulled, TransferError> {
    let mut loaded = Loaded { warnings, ..Loaded::default() };
    let (mut blobs, mut kept_of) = (Vec::new(), Vec::new());
    for image in found.images {
        let config = parse("the config", &image.config)?;
        let given = (image.manifest.media_type.as_str(), &image.manifest.bytes[..]);
        let layers = image.layers.iter().map(|layer| (layer.diff_id.clone(), layer.chain_id.clone()));
        let stored = manifest::of_layers(store, config, &image.config, Some(given), layers)?;
        for layer in image.layers {
            if kept.contains(&layer.blob.digest) || store.blobs().exists(&layer.blob.digest) {
                kept_of.push((stored.id.clone(), layer.blob.digest.clone()));
            }
            blobs.push((layer.diff_id, layer.blob));
        }
        loaded.images.push(stored);
    }
    for (index, bytes) in found.indexes {
        store.blobs().put(&bytes).map_err(|source| Error::Blob { what: "index", source })?;
        loaded.indexes.push(index);
    }
    let images = loaded.images.iter().map(|image| image.id.clone()).collect();
    loaded.targets.push(Target { digest: found.target.clone(), names: Vec::new(), images });
    Ok(Pulled { loaded, digest: found.target, blobs, kept: kept_of })
}

#[cfg(test)]
mod tests;
