//! Lists of manifests that are kept here until they are pushed: one name for the same image on several platforms, as
//! `docker manifest` makes them.
//!
//! Owns the files: one for each list, named by the digest of the list's name. Nothing but `manifest` reads them.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use corten_model::{Digest, Kind, Reference};
use serde::{Deserialize, Serialize};

use crate::document::{DOCKER_INDEX_TYPE, DOCKER_MANIFEST_TYPE, INDEX_TYPE, PlatformField};
use crate::registry::{self, At, Client, MANIFEST_TYPES, Repository};
use crate::{Descriptor, Manifest, parse};

/// Bytes of one file.
const FILE_MAX: u64 = 16 << 20;
/// Manifests of one list.
const ENTRIES_MAX: usize = 1000;
/// Bytes of a config that is asked for its platform.
const CONFIG_MAX: u64 = 4 << 20;

/// A list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestList {
    /// Its name.
    pub name: Reference,
    /// What is in it, in the order in which it came.
    pub entries: Vec<Entry>,
}

/// One image of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub name: Reference,
    /// Its manifest, with the platform that it is for.
    pub descriptor: Descriptor,
    /// What the platform has to have, by the words of its system.
    #[serde(default)]
    pub os_features: Vec<String>,
    /// The manifest's bytes.
    pub manifest: String,
}

/// What can go wrong with a list.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A registry.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// No such list.
    #[error("No such manifest: {0}")]
    NoSuch(Reference),
    /// There is one already.
    #[error("refusing to amend an existing manifest list with no --amend flag")]
    Exists,
    /// No such image in a list.
    #[error("manifest for image {image} does not exist in {list}")]
    NotInList {
        /// The image.
        image: Box<Reference>,
        /// The list.
        list: Box<Reference>,
    },
    /// A list in a list.
    #[error("{0} is a manifest list")]
    IsList(Reference),
    /// Blobs can't be mounted from elsewhere.
    #[error("cannot use source images from a different registry than the target image: {from} != {to}")]
    OtherRegistry {
        /// The image's.
        from: String,
        /// The list's.
        to: String,
    },
    /// Too many.
    #[error("a manifest list has {ENTRIES_MAX} images at most")]
    TooMany,
    /// A document of a registry that isn't what it should be.
    #[error(transparent)]
    Document(#[from] crate::Error),
    /// A file.
    #[error("cannot {what} the manifest list in `{}`", .path.display())]
    File {
        /// `read`, `write`, `remove`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// What a caller can act on.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Registry(error) => error.kind(),
            Self::Document(error) => error.kind(),
            Self::NoSuch(_) | Self::NotInList { .. } => Kind::NotFound,
            Self::Exists => Kind::Conflict,
            Self::IsList(_) | Self::OtherRegistry { .. } | Self::TooMany => Kind::Invalid,
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                Kind::Denied
            }
            Self::File { .. } => Kind::Internal,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.hint(),
            Self::Document(error) => error.hint(),
            Self::NoSuch(name) => Some(format!("`corten manifest create {}` makes one", name.familiar())),
            _ => None,
        }
    }
}

/// Where lists are kept.
#[derive(Debug, Clone)]
pub struct ManifestLists {
    directory: PathBuf,
}

impl ManifestLists {
    /// Those of a directory, which is made when it is needed.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// A list, if it is there.
    pub fn get(&self, name: &Reference) -> Result<Option<ManifestList>, Error> {
        let path = self.path(name);
        let failed = |source| Error::File { what: "read", path: path.clone(), source };
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = Vec::new();
        file.take(FILE_MAX).read_to_end(&mut bytes).map_err(failed)?;
        serde_json::from_slice(&bytes).map(Some).map_err(|error| failed(std::io::Error::other(error)))
    }

    /// The list of a name; an error if there is none.
    pub fn existing(&self, name: &Reference) -> Result<ManifestList, Error> {
        self.get(name)?.ok_or_else(|| Error::NoSuch(name.clone()))
    }

    /// Keeps a list.
    pub fn put(&self, list: &ManifestList) -> Result<(), Error> {
        let path = self.path(&list.name);
        let failed = |source| Error::File { what: "write", path: path.clone(), source };
        let bytes = serde_json::to_vec(list).map_err(|error| failed(std::io::Error::other(error)))?;
        let new = path.with_extension(format!("new-{}", std::process::id()));
        let written = (|| {
            std::fs::create_dir_all(&self.directory)?;
            let mut file = std::fs::File::create(&new)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::rename(&new, &path)
        })();
        written.map_err(failed)
    }

    /// Forgets a list.
    pub fn remove(&self, name: &Reference) -> Result<(), Error> {
        let path = self.path(name);
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::NoSuch(name.clone())),
            Err(source) => Err(Error::File { what: "remove", path, source }),
        }
    }

    fn path(&self, name: &Reference) -> PathBuf {
        let digest = crate::digest_of(name.to_string().as_bytes());
        Path::new(&self.directory).join(digest.hex()).with_extension("json")
    }
}

impl ManifestList {
    /// The entry of an image.
    pub fn entry_mut(&mut self, image: &Reference) -> Result<&mut Entry, Error> {
        let list = self.name.clone();
        let found = self.entries.iter_mut().find(|entry| entry.name == *image);
        found.ok_or_else(|| Error::NotInList { image: Box::new(image.clone()), list: Box::new(list) })
    }

    /// Adds an image of a registry, or puts it in the place of the one with its name.
    pub fn add(&mut self, client: &Client, image: &Reference) -> Result<(), Error> {
        let entry = Entry::fetch(client, image)?;
        match self.entries.iter().position(|other| other.name == *image) {
            Some(at) => self.entries[at] = entry,
            None if self.entries.len() >= ENTRIES_MAX => return Err(Error::TooMany),
            None => self.entries.push(entry),
        }
        Ok(())
    }

    /// The index of OCI, or Docker's where everything in it is Docker's: its type and its bytes.
    pub fn index(&self) -> (&'static str, Vec<u8>) {
        let dockers = self.entries.iter().all(|entry| entry.descriptor.media_type == DOCKER_MANIFEST_TYPE);
        let media_type = if dockers { DOCKER_INDEX_TYPE } else { INDEX_TYPE };
        let manifests: Vec<serde_json::Value> = self.entries.iter().map(Entry::document).collect();
        let index = Index { schema_version: 2, media_type, manifests };
        (media_type, serde_json::to_vec_pretty(&index).expect("descriptors are JSON"))
    }

    /// Brings every image to the list's repository, and the list itself; `told` hears of each. The list's digest.
    pub fn push(&self, client: &Client, mut told: impl FnMut(&Entry)) -> Result<Digest, Error> {
        let target = client.repository(&self.name)?;
        for entry in &self.entries {
            if entry.name.registry != self.name.registry {
                let (from, to) = (entry.name.registry.clone(), self.name.registry.clone());
                return Err(Error::OtherRegistry { from, to });
            }
            entry.push(&target, &self.name)?;
            told(entry);
        }
        let (media_type, bytes) = self.index();
        Ok(target.put_manifest(&At::of(&self.name), media_type, &bytes)?)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<serde_json::Value>,
}

impl Entry {
    /// Asks an image's registry.
    pub fn fetch(client: &Client, image: &Reference) -> Result<Self, Error> {
        let repository = client.repository(image)?;
        let fetched = repository.manifest(&At::of(image), &MANIFEST_TYPES)?;
        let mut descriptor =
            Descriptor::new(&fetched.media_type, &fetched.digest, fetched.bytes.len() as u64);
        if descriptor.is_index() {
            return Err(Error::IsList(image.clone()));
        }
        let manifest: Manifest = parse("the manifest", &fetched.bytes)?;
        let (platform, os_features) = platform(&repository, &manifest.config)?;
        descriptor.platform = Some(platform);
        let manifest = String::from_utf8_lossy(&fetched.bytes).into_owned();
        Ok(Self { name: image.clone(), descriptor, os_features, manifest })
    }

    /// Its manifest in Base64, as Docker shows the bytes.
    pub fn encoded(&self) -> String {
        use base64::Engine as _;
        base64::prelude::BASE64_STANDARD.encode(&self.manifest)
    }

    /// Its line of the index.
    fn document(&self) -> serde_json::Value {
        let mut line = serde_json::to_value(&self.descriptor).expect("a descriptor is JSON");
        if !self.os_features.is_empty() {
            line["platform"]["os.features"] = self.os_features.clone().into();
        }
        line
    }

    /// Its blobs are mounted, its manifest is put.
    fn push(&self, target: &Repository, list: &Reference) -> Result<(), Error> {
        let manifest: Manifest = parse("the manifest", self.manifest.as_bytes())?;
        if self.name.repository != list.repository {
            for blob in std::iter::once(&manifest.config).chain(&manifest.layers) {
                if !target.has_blob(&blob.digest)? && !target.mount(&blob.digest, &self.name.repository)? {
                    let host = list.registry.clone();
                    return Err(registry::Error::BlobUnknown { digest: blob.digest.clone(), host }.into());
                }
            }
        }
        let at = At::Digest(self.descriptor.digest.clone());
        target.put_manifest(&at, &self.descriptor.media_type, self.manifest.as_bytes())?;
        Ok(())
    }
}

/// The images of an index of a registry.
pub fn images(index: &[u8]) -> Result<Vec<Descriptor>, Error> {
    let index: crate::Index = parse("the manifest list", index)?;
    if index.manifests.len() > ENTRIES_MAX {
        return Err(Error::TooMany);
    }
    Ok(index.manifests.into_iter().filter(|below| below.is_manifest()).collect())
}

/// What an image runs on, as its config says it.
fn platform(repository: &Repository, config: &Descriptor) -> Result<(PlatformField, Vec<String>), Error> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Config {
        #[serde(flatten)]
        platform: PlatformField,
        #[serde(rename = "os.features")]
        os_features: Vec<String>,
    }
    if config.size > CONFIG_MAX {
        return Err(registry::Error::TooLarge { what: "the image's config".into(), max: CONFIG_MAX }.into());
    }
    let mut bytes = Vec::new();
    let mut reader = repository.blob(config, 0)?;
    reader.read_to_end(&mut bytes).map_err(crate::Error::Read)?;
    let found = crate::digest_of(&bytes);
    if found != config.digest {
        return Err(crate::Error::WrongDigest { expected: config.digest.clone(), found }.into());
    }
    let config: Config = parse("the image's config", &bytes)?;
    Ok((config.platform, config.os_features))
}
