//! What an archive's documents say there is: images, the indexes above them, their names. Nothing is unpacked yet.
//!
//! OCI's `index.json` counts where there is one; Docker's `manifest.json` beside it adds names, and is refused where it
//! tells of images that the index doesn't know, because other readers would load those. Every digest is checked before
//! what it names is believed.

use std::collections::{HashMap, HashSet};

use corten_model::image::ImageConfig;
use corten_model::platform::Platform;
use corten_model::{Digest, Reference};
use corten_storage::{LAYERS_MAX, chain_id};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::files::{Files, blob_name};
use crate::document::{ArchivedImage, Budget, Descriptor, Index, Manifest};
use crate::{Error, digest_of};

/// OCI's list of what is in a layout.
pub(super) const INDEX: &str = "index.json";
/// Docker's list of what is in an archive.
pub(super) const MANIFEST: &str = "manifest.json";
/// The annotation of a full name.
pub(crate) const NAME_ANNOTATION: &str = "io.containerd.image.name";
/// OCI's annotation of a name; many write a tag alone.
pub(crate) const REF_ANNOTATION: &str = "org.opencontainers.image.ref.name";
/// Indexes below indexes.
const DEPTH_MAX: u32 = 3;
/// Images in one archive.
const IMAGES_MAX: usize = 1000;
/// Names of one image.
const NAMES_MAX: usize = 1000;

/// What there is.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub images: Vec<Image>,
    pub indexes: Vec<AboveImages>,
    pub roots: Vec<Root>,
    pub warnings: Vec<String>,
}

/// What is below a name or an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Image(usize),
    Index(usize),
}

/// What names point to.
#[derive(Debug)]
pub(super) struct Root {
    pub names: Vec<Reference>,
    pub node: Node,
}

/// An index.
#[derive(Debug)]
pub(super) struct AboveImages {
    pub digest: Digest,
    pub media_type: String,
    pub bytes: Vec<u8>,
    /// By their position in the index.
    pub below: Vec<(usize, Node)>,
    /// Indexes from here down to the images.
    pub height: u32,
}

/// An image.
#[derive(Debug)]
pub(super) struct Image {
    pub id: Digest,
    pub config: Vec<u8>,
    pub platform: Platform,
    /// Digest, media type and bytes; Docker's old archives have none.
    pub manifest: Option<(Digest, String, Vec<u8>)>,
    pub layers: Vec<Layer>,
}

/// A layer.
#[derive(Debug)]
pub(super) struct Layer {
    pub diff_id: Digest,
    pub chain_id: Digest,
    /// The file that has it.
    pub file: String,
    /// The digest and size of its blob, where a manifest promises them.
    pub blob: Option<(Digest, u64)>,
}

/// A manifest is not to be an index too: readers would differ in what it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
}

/// Makes the plan of `files`. `strict`: whatever is missing is an error, also where an archive may lack it.
pub(super) fn plan(files: &Files<'_>, platforms: &[Platform], strict: bool) -> Result<Plan, Error> {
    let mut planner = Planner {
        files,
        platforms,
        strict,
        budget: Budget::default(),
        plan: Plan::default(),
        by_manifest: HashMap::new(),
        missing: None,
    };
    let archived = files.document(MANIFEST)?;
    let archived: Option<Vec<ArchivedImage>> =
        archived.map(|bytes| planner.budget.parse(MANIFEST, &bytes)).transpose()?;
    match (files.document(INDEX)?, archived) {
        (Some(bytes), archived) => {
            planner.layout(&bytes)?;
            planner.add_names(&archived.unwrap_or_default())?;
        }
        (None, Some(archived)) => planner.archive(&archived)?,
        (None, None) => return Err(Error::NoImages),
    }
    planner.finish()
}

struct Planner<'p> {
    files: &'p Files<'p>,
    platforms: &'p [Platform],
    strict: bool,
    budget: Budget,
    plan: Plan,
    by_manifest: HashMap<Digest, Option<Node>>,
    /// The first thing that an index names and that isn't there.
    missing: Option<String>,
}

impl Planner<'_> {
    fn layout(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let index: Index = self.budget.parse(INDEX, bytes)?;
        for descriptor in &index.manifests {
            let Some(node) = self.node(descriptor, 0)? else { continue };
            let name = name_of(descriptor);
            match self.plan.roots.iter_mut().find(|root| root.node == node) {
                Some(root) => root.names.extend(name),
                None => self.plan.roots.push(Root { names: name.into_iter().collect(), node }),
            }
        }
        Ok(())
    }

    /// What a descriptor leads to; nothing if that is no image, not wanted, or not in the archive.
    fn node(&mut self, descriptor: &Descriptor, depth: u32) -> Result<Option<Node>, Error> {
        if descriptor.is_attestation() {
            return Ok(None);
        }
        if let Some(known) = self.by_manifest.get(&descriptor.digest) {
            return known.map(|node| self.not_too_deep(node, depth)).transpose();
        }
        if !descriptor.is_index() && !descriptor.is_manifest() {
            let what = format!("{} is no image but {}: left out", descriptor.digest, descriptor.media_type);
            self.plan.warnings.push(what);
            return Ok(None);
        }
        let Some(bytes) = self.files.blob(descriptor)? else {
            return self.lacks(blob_name(&descriptor.digest), depth).map(|()| None);
        };
        let what = descriptor.digest.to_string();
        let shape: Shape = self.budget.parse(&what, &bytes)?;
        let other = shape.media_type.is_some_and(|t| !t.is_empty() && t != descriptor.media_type);
        let both = shape.manifests.is_some() && shape.layers.is_some();
        if other || both {
            return Err(Error::Ambiguous { what });
        }
        let node = if descriptor.is_index() {
            self.index(descriptor, bytes, depth)?
        } else {
            self.image(descriptor, bytes, depth)?
        };
        self.by_manifest.insert(descriptor.digest.clone(), node);
        Ok(node)
    }

    /// Something is not there: below an index that is allowed, as long as there is anything.
    fn lacks(&mut self, name: String, depth: u32) -> Result<(), Error> {
        if self.strict || depth == 0 {
            return Err(Error::Missing { name });
        }
        self.missing.get_or_insert(name);
        Ok(())
    }

    /// An index that is met again may be deeper there.
    fn not_too_deep(&self, node: Node, depth: u32) -> Result<Node, Error> {
        if depth + self.plan.height(node) > DEPTH_MAX {
            return Err(Error::TooMany { what: "indexes below each other", max: DEPTH_MAX.into() });
        }
        Ok(node)
    }

    fn index(&mut self, descriptor: &Descriptor, bytes: Vec<u8>, depth: u32) -> Result<Option<Node>, Error> {
        if depth >= DEPTH_MAX {
            return Err(Error::TooMany { what: "indexes below each other", max: DEPTH_MAX.into() });
        }
        let index: Index = self.budget.parse(descriptor.digest.as_str(), &bytes)?;
        let mut below: Vec<(usize, Node)> = Vec::new();
        for (position, child) in index.manifests.iter().enumerate() {
            let node = self.node(child, depth + 1)?;
            // Named twice it is the same.
            let new = node.filter(|node| !below.iter().any(|(_, known)| known == node));
            below.extend(new.map(|node| (position, node)));
        }
        if below.is_empty() {
            return Ok(None);
        }
        let (digest, media_type) = (descriptor.digest.clone(), descriptor.media_type.clone());
        let height = 1 + below.iter().map(|(_, node)| self.plan.height(*node)).max().unwrap_or(0);
        self.plan.indexes.push(AboveImages { digest, media_type, bytes, below, height });
        Ok(Some(Node::Index(self.plan.indexes.len() - 1)))
    }

    fn image(&mut self, descriptor: &Descriptor, bytes: Vec<u8>, depth: u32) -> Result<Option<Node>, Error> {
        let manifest: Manifest = self.budget.parse(descriptor.digest.as_str(), &bytes)?;
        if !manifest.is_image() {
            let kind = &manifest.config.media_type;
            self.plan.warnings.push(format!("{} is no image but {kind}: left out", descriptor.digest));
            return Ok(None);
        }
        let Some(config) = self.files.blob(&manifest.config)? else {
            return self.lacks(blob_name(&manifest.config.digest), depth).map(|()| None);
        };
        let layers = manifest.layers.iter();
        let layers = layers.map(|l| (blob_name(&l.digest), Some((l.digest.clone(), l.size)))).collect();
        let manifest = (descriptor.digest.clone(), descriptor.media_type.clone(), bytes);
        self.add_image(manifest_config(&manifest.0, config), Some(manifest), layers)
    }

    /// Docker's own format: configs and layers by their place in the archive.
    fn archive(&mut self, images: &[ArchivedImage]) -> Result<(), Error> {
        for image in images {
            let config = self.files.document(&image.config)?;
            let config = config.ok_or_else(|| Error::Missing { name: image.config.clone() })?;
            let layers = image.layers.iter().map(|name| (name.clone(), None)).collect();
            let names = names_of(image)?;
            let id = digest_of(&config);
            let node = match self.by_manifest.get(&id) {
                Some(known) => *known,
                None => {
                    let node = self.add_image((image.config.clone(), config), None, layers)?;
                    self.by_manifest.insert(id, node);
                    node
                }
            };
            let Some(node) = node else { continue };
            match self.plan.roots.iter_mut().find(|root| root.node == node) {
                Some(root) => root.names.extend(names),
                None => self.plan.roots.push(Root { names, node }),
            }
        }
        Ok(())
    }

    fn add_image(
        &mut self,
        (what, bytes): (String, Vec<u8>),
        manifest: Option<(Digest, String, Vec<u8>)>,
        layers: Vec<(String, Option<(Digest, u64)>)>,
    ) -> Result<Option<Node>, Error> {
        let config: ImageConfig = self.budget.parse(&what, &bytes)?;
        let platform = Platform::new(&config.os, &config.architecture, config.variant.as_deref());
        if !self.platforms.is_empty() && !self.platforms.contains(&platform) {
            return Ok(None);
        }
        if config.rootfs.diff_ids.len() != layers.len() {
            let (diff_ids, layers) = (config.rootfs.diff_ids.len(), layers.len());
            return Err(Error::LayerCount { what, diff_ids, layers });
        }
        if layers.len() > LAYERS_MAX {
            return Err(Error::TooMany { what: "layers", max: LAYERS_MAX as u64 });
        }
        if self.plan.images.len() == IMAGES_MAX {
            return Err(Error::TooMany { what: "images", max: IMAGES_MAX as u64 });
        }
        let mut parent = None;
        let mut planned = Vec::with_capacity(layers.len());
        for (diff_id, (file, blob)) in config.rootfs.diff_ids.into_iter().zip(layers) {
            let chain_id = chain_id(parent.as_ref(), &diff_id);
            parent = Some(chain_id.clone());
            planned.push(Layer { diff_id, chain_id, file, blob });
        }
        let id = digest_of(&bytes);
        self.plan.images.push(Image { id, config: bytes, platform, manifest, layers: planned });
        Ok(Some(Node::Image(self.plan.images.len() - 1)))
    }

    /// Names that only `manifest.json` has.
    fn add_names(&mut self, images: &[ArchivedImage]) -> Result<(), Error> {
        let mut known: HashSet<Reference> =
            self.plan.roots.iter().flat_map(|root| root.names.iter().cloned()).collect();
        for image in images {
            let config = self.files.document(&image.config)?;
            let config = config.ok_or_else(|| Error::Missing { name: image.config.clone() })?;
            let id = digest_of(&config);
            let Some(position) = self.plan.images.iter().position(|known| known.id == id) else {
                // One for a platform that isn't wanted is left out of the plan.
                if self.platforms.is_empty() {
                    return Err(Error::Disagree { id });
                }
                continue;
            };
            let mut names = names_of(image)?;
            names.retain(|name| known.insert(name.clone()));
            let node = self.plan.root_of(Node::Image(position));
            if let Some(root) = self.plan.roots.iter_mut().find(|root| root.node == node) {
                root.names.extend(names);
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Plan, Error> {
        for wanted in self.platforms {
            if !self.plan.images.iter().any(|image| image.platform == *wanted) {
                return Err(Error::NoPlatform { wanted: wanted.clone() });
            }
        }
        if self.plan.roots.is_empty() {
            return Err(self.missing.map_or(Error::NoImages, |name| Error::Missing { name }));
        }
        if self.plan.roots.iter().any(|root| root.names.len() > NAMES_MAX) {
            return Err(Error::TooMany { what: "names of one image", max: NAMES_MAX as u64 });
        }
        Ok(self.plan)
    }
}

impl Plan {
    /// The root that has `node` somewhere below it.
    fn root_of(&self, node: Node) -> Node {
        let mut node = node;
        for _ in 0..=DEPTH_MAX {
            let above = self.indexes.iter().position(|i| i.below.iter().any(|(_, below)| *below == node));
            match above {
                Some(above) if !self.roots.iter().any(|root| root.node == node) => node = Node::Index(above),
                _ => break,
            }
        }
        node
    }

    fn height(&self, node: Node) -> u32 {
        match node {
            Node::Image(_) => 0,
            Node::Index(index) => self.indexes[index].height,
        }
    }

    /// Adds the images below a node to `found`, in order, each once.
    pub fn images_below(&self, node: Node, found: &mut Vec<usize>) {
        match node {
            Node::Image(image) if found.contains(&image) => {}
            Node::Image(image) => found.push(image),
            Node::Index(index) => {
                self.indexes[index].below.iter().for_each(|(_, node)| self.images_below(*node, found));
            }
        }
    }
}

fn manifest_config(manifest: &Digest, config: Vec<u8>) -> (String, Vec<u8>) {
    (format!("the config of {manifest}"), config)
}

/// The name that a layout gives to one of its images; a tag alone is no name.
fn name_of(descriptor: &Descriptor) -> Option<Reference> {
    let full = descriptor.annotations.get(NAME_ANNOTATION);
    let short = descriptor.annotations.get(REF_ANNOTATION).filter(|name| name.contains([':', '/']));
    full.into_iter()
        .chain(short)
        .find_map(|name| name.parse::<Reference>().ok().filter(|r| r.digest.is_none()))
}

fn names_of(image: &ArchivedImage) -> Result<Vec<Reference>, Error> {
    let names = image.repo_tags.iter().map(|name| {
        let reference: Reference = name.parse().map_err(Error::Reference)?;
        Ok(reference)
    });
    names.collect()
}
