//! `save`: images into an archive or a directory that Docker and OCI's tools read.
//!
//! ```text
//! oci-layout, index.json, manifest.json     what there is, first: a reader of a stream needs no second copy
//! blobs/sha256/…                            indexes, manifests and configs, then the layers, lowest first
//! ```
//! The same images give the same bytes: no clock, no owner, sorted names. Layers are plain archives, rebuilt bit for bit.
//! A manifest or index whose blobs are all here goes out as it came in; one that named compressed layers, or platforms
//! that aren't here, is written anew over what is.

mod sink;

use std::collections::BTreeSet;
use std::io::{self, Cursor, Read};

use corten_model::platform::Platform;
use corten_model::{Digest, Reference};
use corten_storage::{Store, steps};
use serde_json::json;

use crate::document::{
    ArchivedImage, Descriptor, INDEX_TYPE, Index, LAYER_TYPE, MANIFEST_TYPE, Manifest, PlatformField, parse,
};
use crate::load::{NAME_ANNOTATION, REF_ANNOTATION};
use crate::{Error, Layer, UnpackError, manifest};

pub use sink::{ArchiveSink, DirectorySink, Sink};

/// Docker's plain layers, which have OCI's bytes.
const DOCKER_LAYER_TYPE: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// An OCI layout with Docker's `manifest.json` beside it: for every reader.
    #[default]
    Docker,
    /// An OCI layout alone.
    Oci,
    /// Docker's old format alone.
    DockerArchive,
}

/// What is saved under some names.
#[derive(Debug, Clone)]
pub struct Item {
    /// The names, sorted; none for an image that was named by its id.
    pub names: Vec<Reference>,
    /// What they point to.
    pub node: Node,
}

/// An index or an image.
#[derive(Debug, Clone)]
pub enum Node {
    /// An index and what is here of it, by position.
    Index {
        /// Its digest.
        digest: Digest,
        /// What is below it.
        below: Vec<(usize, Node)>,
    },
    /// An image.
    Image(Image),
}

impl Node {
    /// The images below it, in order.
    pub fn images(&self) -> Vec<&Image> {
        match self {
            Node::Image(image) => vec![image],
            Node::Index { below, .. } => below.iter().flat_map(|(_, node)| node.images()).collect(),
        }
    }
}

/// An image that is saved.
#[derive(Debug, Clone)]
pub struct Image {
    /// The config's digest.
    pub id: Digest,
    /// Its manifest.
    pub manifest: Digest,
    /// What it runs on.
    pub platform: Platform,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
}

/// Whoever gives the plain archives of layers back.
pub trait LayerTars {
    /// The archive of `chain` as a stream that ends without an error only if all of it came.
    fn open(&self, chain: &Digest) -> Result<Box<dyn Read + '_>, UnpackError>;
}

/// Writes `items` into `sink`. `cancelled` tells whether the person who asked has given up.
pub fn save(
    store: &Store,
    tars: &dyn LayerTars,
    items: &[Item],
    format: Format,
    sink: &mut dyn Sink,
    cancelled: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let mut saving = Saving { store, documents: Vec::new(), layers: Vec::new(), seen: BTreeSet::new() };
    let mut described = Vec::new();
    for item in items {
        described.push((item, saving.node(&item.node)?));
    }
    let directories: &[&str] = if format == Format::DockerArchive { &[] } else { &["blobs", "blobs/sha256"] };
    if format != Format::DockerArchive {
        document(
            sink,
            "oci-layout",
            &serde_json::to_vec(&json!({"imageLayoutVersion": "1.0.0"})).expect("JSON"),
        )?;
        document(sink, "index.json", &layout(&described))?;
    }
    if format != Format::Oci {
        document(sink, "manifest.json", &archived(items, format))?;
    }
    for directory in directories {
        sink.directory(directory).map_err(Error::Write)?;
    }
    for (digest, bytes, kind) in &saving.documents {
        if let Some(name) = document_name(format, digest, *kind) {
            document(sink, &name, bytes)?;
        }
    }
    steps::reached("save.documents");
    for (layer, size) in &saving.layers {
        let mut tar = tars
            .open(&layer.chain_id)
            .map_err(|source| Error::LayerTar { layer: layer.diff_id.clone(), source })?;
        let mut noting = Noting { reader: &mut tar, cancelled, failed: None };
        let written = sink.file(&layer_name(format, &layer.diff_id), *size, &mut noting);
        if cancelled() {
            return Err(Error::Cancelled);
        }
        match (written, noting.failed) {
            (Ok(()), _) => {}
            (Err(_), Some(cause)) => {
                let source = UnpackError {
                    kind: corten_model::Kind::Internal,
                    hint: Some("`corten system check` tells more".into()),
                    message: cause,
                    source: None,
                };
                return Err(Error::LayerTar { layer: layer.diff_id.clone(), source });
            }
            (Err(error), None) => return Err(Error::Write(error)),
        }
    }
    Ok(())
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Index,
    Manifest,
    Config,
}

struct Saving<'s> {
    store: &'s Store,
    documents: Vec<(Digest, Vec<u8>, Kind)>,
    /// Each with the bytes of its archive, once.
    layers: Vec<(Layer, u64)>,
    seen: BTreeSet<Digest>,
}

impl Saving<'_> {
    /// Takes a node's documents and layers in; how it is referred to.
    fn node(&mut self, node: &Node) -> Result<Descriptor, Error> {
        match node {
            Node::Image(image) => self.image(image),
            Node::Index { digest, below } => self.index(digest, below),
        }
    }

    fn document(&mut self, digest: &Digest, bytes: Vec<u8>, kind: Kind) {
        if self.seen.insert(digest.clone()) {
            self.documents.push((digest.clone(), bytes, kind));
        }
    }

    fn read(&self, digest: &Digest, what: &'static str) -> Result<Vec<u8>, Error> {
        self.store.blobs().get(digest).map_err(|source| Error::Stored { what, source })
    }

    fn index(&mut self, digest: &Digest, below: &[(usize, Node)]) -> Result<Descriptor, Error> {
        let bytes = self.read(digest, "index")?;
        let index: Index = parse(digest.as_str(), &bytes)?;
        // Documents go out from the top down.
        let place = self.documents.len();
        let mut manifests = Vec::with_capacity(below.len());
        for (position, node) in below {
            let new = self.node(node)?;
            let old = index.manifests.get(*position);
            let annotations = old.map(|old| old.annotations.clone()).unwrap_or_default();
            let platform = old.and_then(|old| old.platform.clone()).or(new.platform);
            manifests.push(Descriptor { annotations, platform, ..new });
        }
        if manifests == index.manifests {
            let media_type = if index.media_type.is_empty() { INDEX_TYPE } else { &index.media_type };
            let descriptor = Descriptor::new(media_type, digest, bytes.len() as u64);
            self.insert(place, digest, bytes, Kind::Index);
            return Ok(descriptor);
        }
        let index = Index { media_type: INDEX_TYPE.to_owned(), manifests, ..index };
        let bytes = serde_json::to_vec(&index).expect("strings, numbers and sorted maps");
        let digest = crate::digest_of(&bytes);
        let descriptor = Descriptor::new(INDEX_TYPE, &digest, bytes.len() as u64);
        self.insert(place, &digest, bytes, Kind::Index);
        Ok(descriptor)
    }

    fn insert(&mut self, place: usize, digest: &Digest, bytes: Vec<u8>, kind: Kind) {
        if self.seen.insert(digest.clone()) {
            self.documents.insert(place, (digest.clone(), bytes, kind));
        }
    }

    fn image(&mut self, image: &Image) -> Result<Descriptor, Error> {
        let bytes = self.read(&image.manifest, "manifest")?;
        let manifest: Manifest = parse(image.manifest.as_str(), &bytes)?;
        let config = self.read(&image.id, "config")?;
        let mut sizes = Vec::with_capacity(image.layers.len());
        for layer in &image.layers {
            let info = self.store.layers().info(&layer.chain_id).map_err(Error::LayerInfo)?;
            sizes.push((layer.diff_id.clone(), info.unpacked.tar_bytes));
            if self.seen.insert(layer.diff_id.clone()) {
                self.layers.push((layer.clone(), info.unpacked.tar_bytes));
            }
        }
        let plain = manifest.layers.len() == sizes.len()
            && manifest.layers.iter().zip(&sizes).all(|(blob, (diff_id, size))| {
                matches!(blob.media_type.as_str(), LAYER_TYPE | DOCKER_LAYER_TYPE)
                    && (&blob.digest, &blob.size) == (diff_id, size)
            });
        let (digest, media_type, bytes) = if plain {
            let media_type =
                if manifest.media_type.is_empty() { MANIFEST_TYPE } else { &manifest.media_type };
            (image.manifest.clone(), media_type.to_owned(), bytes)
        } else {
            let mut new = manifest::plain(&image.id, config.len() as u64, &sizes);
            new.annotations = manifest.annotations;
            let bytes = serde_json::to_vec(&new).expect("strings, numbers and sorted maps");
            (crate::digest_of(&bytes), MANIFEST_TYPE.to_owned(), bytes)
        };
        let mut descriptor = Descriptor::new(&media_type, &digest, bytes.len() as u64);
        descriptor.platform = Some(PlatformField {
            os: image.platform.os.clone(),
            architecture: image.platform.architecture.clone(),
            variant: image.platform.variant.clone(),
            os_version: None,
        });
        self.document(&digest, bytes, Kind::Manifest);
        self.document(&image.id, config, Kind::Config);
        Ok(descriptor)
    }
}

/// `index.json`: a line for each name.
fn layout(described: &[(&Item, Descriptor)]) -> Vec<u8> {
    let mut manifests = Vec::new();
    for (item, descriptor) in described {
        for name in &item.names {
            let mut named = descriptor.clone();
            named.annotations.insert(NAME_ANNOTATION.to_owned(), name.to_string());
            named.annotations.insert(REF_ANNOTATION.to_owned(), name.tag.clone().unwrap_or_default());
            manifests.push(named);
        }
        if item.names.is_empty() {
            manifests.push(descriptor.clone());
        }
    }
    let index = Index {
        schema_version: 2,
        media_type: INDEX_TYPE.to_owned(),
        manifests,
        annotations: Default::default(),
    };
    serde_json::to_vec(&index).expect("strings, numbers and sorted maps")
}

/// `manifest.json`: an image for each item, the one that runs here where there are several.
fn archived(items: &[Item], format: Format) -> Vec<u8> {
    let images: Vec<ArchivedImage> = items
        .iter()
        .filter_map(|item| {
            let images = item.node.images();
            let host = Platform::host();
            let image =
                images.into_iter().min_by_key(|image| host.rank(&image.platform).unwrap_or(u32::MAX))?;
            Some(ArchivedImage {
                config: document_name(format, &image.id, Kind::Config)?,
                repo_tags: item.names.iter().map(Reference::familiar).collect(),
                layers: image.layers.iter().map(|layer| layer_name(format, &layer.diff_id)).collect(),
            })
        })
        .collect();
    serde_json::to_vec(&images).expect("strings")
}

fn document_name(format: Format, digest: &Digest, kind: Kind) -> Option<String> {
    match (format, kind) {
        (Format::DockerArchive, Kind::Config) => Some(format!("{}.json", digest.hex())),
        (Format::DockerArchive, _) => None,
        (Format::Docker | Format::Oci, _) => Some(format!("blobs/sha256/{}", digest.hex())),
    }
}

fn layer_name(format: Format, diff_id: &Digest) -> String {
    match format {
        Format::DockerArchive => format!("{}.tar", diff_id.hex()),
        Format::Docker | Format::Oci => format!("blobs/sha256/{}", diff_id.hex()),
    }
}

fn document(sink: &mut dyn Sink, name: &str, bytes: &[u8]) -> Result<(), Error> {
    sink.file(name, bytes.len() as u64, &mut Cursor::new(bytes)).map_err(Error::Write)
}

/// Tells failures of the layer from those of the archive.
struct Noting<'n> {
    reader: &'n mut dyn Read,
    cancelled: &'n dyn Fn() -> bool,
    failed: Option<String>,
}

impl Read for Noting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.cancelled)() {
            return Err(io::Error::other("given up"));
        }
        self.reader.read(buffer).inspect_err(|e| self.failed = Some(e.to_string()))
    }
}

#[cfg(test)]
mod tests;
