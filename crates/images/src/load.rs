//! `load`: images out of an archive or a directory, as Docker and OCI's tools write them.
//!
//! ```text
//! stream ─▶ stream.rs: layers whose turn it is are unpacked as they come, what came too early is spooled ─┐
//! plain archive in a file, directory ──────────────────────────────────────────────────────────────────────┤
//!                        plan.rs: what the documents say there is ◀────────────────────────────────────────┘
//!                             └─▶ layers that aren't here are unpacked ─▶ documents become blobs ─▶ the caller's rows
//! ```
//! Bytes are checked against their digests and sizes on the way, layers against the config. Deliberately not here:
//! rows, locks, and the removal of layers after a failure, which need to know what others use.

mod files;
mod plan;
mod stream;
mod verified;

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use corten_model::platform::Platform;
use corten_model::{Digest, Reference};
use corten_storage::{Limits, Spool, Store, decompress_within, index, steps};

use crate::document::parse;
use crate::{Error, Stored, Unpack, manifest};
use files::{Files, MEMBERS_MAX, Table};
use plan::{Node, Plan};
use verified::Verified;

pub(crate) use plan::{NAME_ANNOTATION, REF_ANNOTATION};

/// Where tar's magic is in its first block.
const TAR_MAGIC_AT: u64 = 257;

/// Where the images come from.
pub enum Input<'i> {
    /// A pipe, or anything else that is read once.
    Stream(&'i mut dyn Read),
    /// A file, compressed or not.
    File(&'i File),
    /// A directory in OCI's layout.
    Directory(&'i OwnedFd),
}

/// How they are loaded.
pub struct LoadOptions<'o> {
    /// Only these; none: all.
    pub platforms: Vec<Platform>,
    /// Whether the person who asked has given up.
    pub cancelled: &'o dyn Fn() -> bool,
}

/// What was loaded; the rows are the caller's.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Images, each once.
    pub images: Vec<Stored>,
    /// Indexes, lower ones first.
    pub indexes: Vec<StoredIndex>,
    /// What names point to, in the archive's order.
    pub targets: Vec<Target>,
    /// Remarks for the person who asked.
    pub warnings: Vec<String>,
}

/// An index whose bytes are in the store.
#[derive(Debug)]
pub struct StoredIndex {
    /// Its digest.
    pub digest: Digest,
    /// OCI's or Docker's.
    pub media_type: String,
    /// What is here of it: manifests and other indexes by their position.
    pub below: Vec<(usize, Digest)>,
}

/// An index or manifest with its names.
#[derive(Debug)]
pub struct Target {
    /// Its digest.
    pub digest: Digest,
    /// Its names; none if the archive has none.
    pub names: Vec<Reference>,
    /// The ids of the images below it, in order.
    pub images: Vec<Digest>,
}

/// Loads what `input` holds. The caller holds a lease on what is unpacked, until its rows are committed.
pub fn load(
    store: &Store,
    unpack: &dyn Unpack,
    input: Input<'_>,
    options: &LoadOptions<'_>,
) -> Result<Loaded, Error> {
    let mut loading = Loading { store, unpack, options, warnings: Vec::new() };
    match input {
        Input::Directory(directory) => loading.finish(Files::Directory(directory), None),
        Input::File(file) if is_plain(file)? => {
            let mut table = Table::default();
            index(file, &limits(), |member| {
                if let Some(name) = table.take(&member)? {
                    table.place(name, member.at, member.size);
                }
                loading.go_on()
            })?;
            loading.finish(Files::Archive { table, file }, None)
        }
        Input::File(file) => loading.stream(&mut { file }),
        Input::Stream(reader) => loading.stream(reader),
    }
}

/// The bounds of the archive itself; a layer in it has those of every layer.
fn limits() -> Limits {
    Limits { entries: MEMBERS_MAX, ..Limits::default() }
}

/// Whether the file is an archive that can be read at any place.
fn is_plain(file: &File) -> Result<bool, Error> {
    let mut magic = [0; 5];
    match file.read_exact_at(&mut magic, TAR_MAGIC_AT) {
        Ok(()) => Ok(magic == *b"ustar"),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(Error::Read(e)),
    }
}

/// A load on its way.
struct Loading<'l> {
    store: &'l Store,
    unpack: &'l dyn Unpack,
    options: &'l LoadOptions<'l>,
    warnings: Vec<String>,
}

impl Loading<'_> {
    fn go_on(&self) -> Result<(), Error> {
        if (self.options.cancelled)() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Takes a stream in, then what is left to do.
    fn stream(&mut self, reader: &mut dyn Read) -> Result<Loaded, Error> {
        let mut plain = decompress_within(reader, self.unpack.expansion()).map_err(Error::Decompress)?;
        let (table, spool) = stream::take(self, &mut plain)?;
        drop(plain);
        steps::reached("load.spooled");
        self.finish(Files::Archive { table, file: spool.file() }, Some(&spool))
    }

    /// All files are at hand: unpacks the layers that are missing, and stores the documents.
    fn finish(&mut self, files: Files<'_>, spool: Option<&Spool>) -> Result<Loaded, Error> {
        let plan = plan::plan(&files, &self.options.platforms, false)?;
        self.warnings.extend(plan.warnings.iter().cloned());
        let complete = self.complete(&plan, &files)?;
        let mut done = HashSet::new();
        for image in
            plan.images.iter().enumerate().filter(|(n, _)| complete.contains(n)).map(|(_, image)| image)
        {
            for (depth, layer) in image.layers.iter().enumerate() {
                self.go_on()?;
                if !done.insert(&layer.chain_id) || self.store.layers().exists(&layer.chain_id) {
                    continue;
                }
                let parent = depth.checked_sub(1).map(|below| &image.layers[below].chain_id);
                let Some((opened, size)) = files.open(&layer.file)? else {
                    return Err(Error::Missing { name: layer.file.clone() });
                };
                self.layer(opened, size, layer, parent)?;
                let once =
                    plan.images.iter().flat_map(|i| &i.layers).filter(|l| l.file == layer.file).count() == 1;
                if let (Some(spool), Some((at, size)), true) = (spool, files.found(&layer.file)?, once) {
                    spool.release(at, size);
                }
            }
        }
        steps::reached("load.layers");
        let loaded = self.documents(plan, &complete)?;
        steps::reached("load.blobs");
        Ok(loaded)
    }

    /// The images of which everything is there: a builder may leave platforms out of what its index names.
    fn complete(&mut self, plan: &Plan, files: &Files<'_>) -> Result<HashSet<usize>, Error> {
        let mut complete = HashSet::new();
        let mut missing = None;
        for (position, image) in plan.images.iter().enumerate() {
            let mut lacks = None;
            for layer in &image.layers {
                if !self.store.layers().exists(&layer.chain_id) && !files.has(&layer.file)? {
                    lacks = Some(layer.file.clone());
                    break;
                }
            }
            match lacks {
                None => drop(complete.insert(position)),
                Some(name) if plan.roots.iter().any(|root| root.node == Node::Image(position)) => {
                    return Err(Error::Missing { name });
                }
                Some(name) => {
                    self.warnings
                        .push(format!("{} is not complete in the archive: left out", image.platform));
                    missing = Some(name);
                }
            }
        }
        match missing {
            Some(name) if complete.is_empty() => Err(Error::Missing { name }),
            _ => Ok(complete),
        }
    }

    /// Unpacks one layer out of `size` bytes.
    fn layer(
        &mut self,
        reader: impl Read,
        size: u64,
        layer: &plan::Layer,
        parent: Option<&Digest>,
    ) -> Result<(), Error> {
        let reader = Cancellable { reader, cancelled: self.options.cancelled };
        if let Some((digest, promised)) = &layer.blob
            && *promised != size
        {
            let what = digest.to_string();
            return Err(Error::WrongSize { what, expected: *promised, found: size });
        }
        let unpacked = match &layer.blob {
            Some((digest, _)) if *digest != layer.diff_id => {
                let mut verified = Verified::new(reader, digest, size);
                let unpacked = self.unpack_plain(&mut verified, layer, parent);
                match (unpacked, verified.finish()) {
                    // What made it fail is that the bytes are others, if they are.
                    (_, Err(other @ Error::WrongDigest { .. })) => Err(other),
                    (Ok(()), finished) => finished,
                    (Err(error), _) => Err(error),
                }
            }
            // Plain bytes are compared with the diff id anyway, which is what they promise.
            Some(_) | None => self.unpack_plain(reader, layer, parent),
        };
        if unpacked.is_err() {
            self.go_on()?;
        }
        unpacked
    }

    fn unpack_plain(
        &mut self,
        reader: impl Read,
        layer: &plan::Layer,
        parent: Option<&Digest>,
    ) -> Result<(), Error> {
        let mut plain = decompress_within(reader, self.unpack.expansion()).map_err(Error::Decompress)?;
        let unpacked = self.unpack.unpack(&mut plain, Some(&layer.diff_id), parent);
        let unpacked = unpacked.map_err(|source| Error::Layer { layer: layer.diff_id.clone(), source })?;
        self.warnings.extend(crate::remarks(&unpacked));
        Ok(())
    }

    /// Configs, manifests and indexes become blobs.
    fn documents(&mut self, plan: Plan, complete: &HashSet<usize>) -> Result<Loaded, Error> {
        let mut loaded = Loaded::default();
        let mut manifests = Vec::with_capacity(plan.images.len());
        for (position, image) in plan.images.iter().enumerate() {
            if !complete.contains(&position) {
                manifests.push(None);
                continue;
            }
            let stored = self.image(image)?;
            manifests.push(Some(stored.manifest.clone()));
            // Two manifests may have one config, and an image is its config.
            loaded.images.push(stored);
        }
        let blobs = self.store.blobs();
        let digest_of = |node: &Node| match node {
            Node::Image(image) => manifests[*image].clone(),
            Node::Index(index) => Some(plan.indexes[*index].digest.clone()),
        };
        for above in &plan.indexes {
            blobs.put(&above.bytes).map_err(|source| Error::Blob { what: "index", source })?;
            let below = above.below.iter().filter_map(|(position, node)| Some((*position, digest_of(node)?)));
            let (digest, media_type) = (above.digest.clone(), above.media_type.clone());
            loaded.indexes.push(StoredIndex { digest, media_type, below: below.collect() });
        }
        for root in &plan.roots {
            let mut below = Vec::new();
            plan.images_below(root.node, &mut below);
            below.retain(|image| complete.contains(image));
            let images: Vec<Digest> = below.iter().map(|image| plan.images[*image].id.clone()).collect();
            if let (false, Some(digest)) = (images.is_empty(), digest_of(&root.node)) {
                loaded.targets.push(Target { digest, names: root.names.clone(), images });
            }
        }
        loaded.warnings = std::mem::take(&mut self.warnings);
        Ok(loaded)
    }

    fn image(&self, image: &plan::Image) -> Result<Stored, Error> {
        let config = parse("the config", &image.config)?;
        let given = image.manifest.as_ref().map(|(_, media_type, bytes)| (media_type.as_str(), &bytes[..]));
        let layers = image.layers.iter().map(|layer| (layer.diff_id.clone(), layer.chain_id.clone()));
        manifest::of_layers(self.store, config, &image.config, given, layers)
    }
}

/// A stream that ends when the person who asked has given up.
struct Cancellable<'c, R> {
    reader: R,
    cancelled: &'c dyn Fn() -> bool,
}

impl<R: Read> Read for Cancellable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.cancelled)() {
            return Err(io::Error::other("given up"));
        }
        self.reader.read(buffer)
    }
}

#[cfg(test)]
mod tests;
