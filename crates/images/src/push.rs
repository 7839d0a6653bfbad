//! `push`: images into a registry.
//!
//! ```text
//! each layer:  there already ─▶ mounted from a neighbour ─▶ kept here ─▶ streamed from where it was pulled ─▶ compressed anew
//! manifest:    the one that came, byte for byte, if every layer goes as it came; else a new one over what went
//! index:       the one that came, if all of it goes or is there; else one over what is here, or the only image alone
//! ```
//! What is compressed anew always becomes the same bytes, and what a layer went as is told, so that nothing goes twice.
//! Deliberately not here: which images a name means, and what is remembered.

mod layers;

use std::collections::HashMap;

use corten_model::Digest;
use corten_model::platform::Platform;
use corten_storage::{Compression, Store, steps};

use crate::Error;
use crate::document::{
    CONFIG_TYPE, Descriptor, INDEX_TYPE, Index, MANIFEST_TYPE, Manifest, PlatformField, parse,
};
use crate::registry::{At, Cancel, MANIFEST_TYPES, Repository};
use crate::save::{Image, LayerTars, Node};
use crate::transfer::{Progress, TransferError};

/// How a push is done.
pub struct PushOptions<'p> {
    /// What layers are compressed with that never were.
    pub compression: Compression,
    /// Whether layers are compressed anew that could go as they came.
    pub recompress: bool,
    /// Layers that go at the same time.
    pub uploads: usize,
    /// Who is told how far it is.
    pub progress: &'p dyn Progress,
    /// Whether the person who asked has given up.
    pub cancel: &'p Cancel,
    /// What is known of a layer, by its diff id, what was seen last first.
    pub known: &'p HashMap<Digest, Vec<KnownBlob>>,
    /// Another repository, by its full name; `None`: it can't be asked.
    pub repository: &'p (dyn Fn(&str) -> Option<Repository> + Sync + 'p),
    /// The full name of the repository that it goes to.
    pub name: &'p str,
}

/// A repository has a layer's blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownBlob {
    /// The blob.
    pub blob: Descriptor,
    /// The repository's full name: `docker.io/library/debian`.
    pub repository: String,
}

/// What was pushed.
#[derive(Debug)]
pub struct PushedImage {
    /// What the tag leads to now.
    pub digest: Digest,
    /// How many bytes that has.
    pub size_bytes: u64,
    /// What each layer went as, by its diff id.
    pub blobs: Vec<(Digest, Descriptor)>,
    /// Manifests that are not those that came: their media type, digest and image. Their bytes are in the store.
    pub manifests: Vec<(String, Digest, Digest)>,
}

/// Whoever reads layers from several threads.
pub trait SharedTars: LayerTars + Sync {}

impl<T: LayerTars + Sync> SharedTars for T {}

/// Pushes `node` to `remote` as `tag`.
pub fn push(
    store: &Store,
    tars: &dyn SharedTars,
    remote: &Repository,
    node: &Node,
    tag: &str,
    options: &PushOptions<'_>,
) -> Result<PushedImage, TransferError> {
    let images = node.images();
    let mut pushing = Pushing { store, tars, remote, options, blobs: Vec::new(), manifests: Vec::new() };
    steps::reached("push.found");
    let mut documents = Vec::new();
    for image in &images {
        documents.push(pushing.image(image)?);
    }
    steps::reached("push.layers");
    let top = match (node, documents.as_mut_slice()) {
        (Node::Image(_), [only]) => only.clone(),
        (Node::Image(_), _) => return Err(Error::NoImages.into()),
        (Node::Index { digest, below }, documents) => pushing.index(digest, below, &images, documents)?,
    };
    pushing.put(&At::Tag(tag.to_owned()), &top)?;
    let Pushing { blobs, manifests, .. } = pushing;
    Ok(PushedImage { digest: top.digest, size_bytes: top.bytes.len() as u64, blobs, manifests })
}

struct Pushing<'p> {
    store: &'p Store,
    tars: &'p dyn SharedTars,
    remote: &'p Repository,
    options: &'p PushOptions<'p>,
    blobs: Vec<(Digest, Descriptor)>,
    manifests: Vec<(String, Digest, Digest)>,
}

/// A document that goes.
#[derive(Debug, Clone)]
struct Outgoing {
    digest: Digest,
    media_type: String,
    bytes: Vec<u8>,
}

impl Outgoing {
    fn new(media_type: &str, bytes: Vec<u8>) -> Self {
        Self { digest: crate::digest_of(&bytes), media_type: media_type.to_owned(), bytes }
    }
}

impl Pushing<'_> {
    fn read(&self, digest: &Digest, what: &'static str) -> Result<Vec<u8>, TransferError> {
        Ok(self.store.blobs().get(digest).map_err(|source| Error::Stored { what, source })?)
    }

    /// Sends an image's layers and config; its manifest goes later.
    fn image(&mut self, image: &Image) -> Result<Outgoing, TransferError> {
        let bytes = self.read(&image.manifest, "manifest")?;
        let manifest: Manifest = parse(image.manifest.as_str(), &bytes)?;
        let went = self.layers(image, &manifest)?;
        let config = self.read(&image.id, "config")?;
        if !self.remote.has_blob(&image.id)? {
            let descriptor = Descriptor::new(&manifest.config.media_type, &image.id, config.len() as u64);
            self.remote.upload(&descriptor, &|offset| {
                let rest = config.get(offset as usize..).unwrap_or_default().to_vec();
                Ok(Box::new(std::io::Cursor::new(rest)))
            })?;
        }
        let same = manifest.layers.len() == went.len()
            && manifest.layers.iter().zip(&went).all(|(came, goes)| came.digest == goes.digest);
        self.blobs.extend(layers::learned(image, &went));
        if same {
            let media_type =
                if manifest.media_type.is_empty() { MANIFEST_TYPE } else { &manifest.media_type };
            let media_type = media_type.to_owned();
            return Ok(Outgoing { digest: image.manifest.clone(), media_type, bytes });
        }
        // Docker's own types know no zstd.
        let oci = went.iter().any(|blob| blob.media_type.starts_with("application/vnd.oci."));
        let config_type = if oci { CONFIG_TYPE } else { &manifest.config.media_type };
        let new = Manifest {
            media_type: if oci || manifest.media_type.is_empty() {
                MANIFEST_TYPE.into()
            } else {
                manifest.media_type.clone()
            },
            config: Descriptor::new(config_type, &image.id, config.len() as u64),
            layers: went,
            ..manifest
        };
        let bytes = serde_json::to_vec(&new).expect("strings, numbers and sorted maps");
        let digest =
            self.store.blobs().put(&bytes).map_err(|source| Error::Blob { what: "manifest", source })?;
        self.manifests.push((new.media_type.clone(), digest, image.id.clone()));
        Ok(Outgoing::new(&new.media_type, bytes))
    }

    /// Sends the manifests below an index; what the name leads to in the registry.
    fn index(
        &mut self,
        digest: &Digest,
        below: &[(usize, Node)],
        images: &[&Image],
        documents: &mut [Outgoing],
    ) -> Result<Outgoing, TransferError> {
        let bytes = self.read(digest, "index")?;
        let index: Index = parse(digest.as_str(), &bytes)?;
        let nested = below.iter().any(|(_, node)| matches!(node, Node::Index { .. }));
        let unchanged =
            images.iter().zip(documents.iter()).all(|(image, goes)| image.manifest == goes.digest);
        let mut complete = unchanged && !nested;
        for (position, named) in index.manifests.iter().enumerate() {
            if !complete {
                break;
            }
            let here = below.iter().any(|(known, _)| *known == position);
            complete =
                here || self.remote.head(&At::Digest(named.digest.clone()), &MANIFEST_TYPES)?.is_some();
        }
        if let ([only], false) = (&*documents, complete) {
            return Ok(only.clone());
        }
        for document in documents.iter() {
            self.put(&At::Digest(document.digest.clone()), document)?;
        }
        if complete {
            let media_type = if index.media_type.is_empty() { INDEX_TYPE } else { &index.media_type };
            return Ok(Outgoing { digest: digest.clone(), media_type: media_type.to_owned(), bytes });
        }
        let manifests = images.iter().zip(documents.iter()).map(|(image, document)| {
            let mut descriptor =
                Descriptor::new(&document.media_type, &document.digest, document.bytes.len() as u64);
            descriptor.platform = Some(platform_field(&image.platform));
            descriptor
        });
        let new = Index { media_type: INDEX_TYPE.to_owned(), manifests: manifests.collect(), ..index };
        Ok(Outgoing::new(INDEX_TYPE, serde_json::to_vec(&new).expect("strings, numbers and sorted maps")))
    }

    /// A manifest or index goes, unless it is there under that name.
    fn put(&self, at: &At, document: &Outgoing) -> Result<(), TransferError> {
        let there = self.remote.head(at, &MANIFEST_TYPES)?.and_then(|head| head.digest);
        if there.as_ref() != Some(&document.digest) {
            self.remote.put_manifest(at, &document.media_type, &document.bytes)?;
        }
        Ok(())
    }
}

fn platform_field(platform: &Platform) -> PlatformField {
    PlatformField {
        os: platform.os.clone(),
        architecture: platform.architecture.clone(),
        variant: platform.variant.clone(),
        os_version: None,
    }
}
