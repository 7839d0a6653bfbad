//! What every byte below the store's root belongs to.
//!
//! Owns the sorting of directories and files into layers, blobs, containers, volumes and the store's own; all figures
//! are allocated bytes, so that they add up to what du(1) says. It doesn't know which of them anybody needs.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use corten_model::{ContainerId, Digest, VolumeId};
use serde::{Deserialize, Serialize};

use crate::error::{At, Error};
use crate::store::Store;
use crate::temp;
use crate::tree::usage;

/// Bytes of a block in stat(2).
const BLOCK_BYTES: u64 = 512;
/// What is between a container's id and the number of an older log.
const LOG_MARK: &str = "-json.log";

/// The whole store, in allocated bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Unpacked layers.
    pub layers: Vec<LayerBytes>,
    /// Blobs: manifests, configs, and compressed layers that are kept.
    pub blobs: Vec<(Digest, u64)>,
    /// Containers.
    pub containers: Vec<ContainerBytes>,
    /// Volumes.
    pub volumes: Vec<(VolumeId, u64)>,
    /// Parts of blobs that are being downloaded, or wait for the command to be repeated.
    pub partial_bytes: u64,
    /// What is being written, or was left by a crash.
    pub temporary_bytes: u64,
    /// Files in the root directory that others keep there (the engine's database), with their names.
    pub files: Vec<(String, u64)>,
    /// Directories, version, lock and the skeleton.
    pub store_bytes: u64,
    /// What Corten doesn't make.
    pub foreign_bytes: u64,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerBytes {
    /// Its chain id.
    pub chain: Digest,
    /// Its files.
    pub tree_bytes: u64,
    /// What its archive is rebuilt from, and its description.
    pub recipe_bytes: u64,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerBytes {
    /// Its id.
    pub id: ContainerId,
    /// What it wrote on top of its image.
    pub writable_bytes: u64,
    /// Its output.
    pub log_bytes: u64,
    /// Its journal and its directory.
    pub state_bytes: u64,
}

impl Account {
    /// All of it.
    pub fn total_bytes(&self) -> u64 {
        let layers = self.layers.iter().map(|l| l.tree_bytes + l.recipe_bytes);
        let containers = self.containers.iter().map(|c| c.writable_bytes + c.log_bytes + c.state_bytes);
        let blobs = self.blobs.iter().map(|(_, bytes)| *bytes);
        let volumes = self.volumes.iter().map(|(_, bytes)| *bytes);
        let files = self.files.iter().map(|(_, bytes)| *bytes);
        let named: u64 = layers.chain(containers).chain(blobs).chain(volumes).chain(files).sum();
        named + self.partial_bytes + self.temporary_bytes + self.store_bytes + self.foreign_bytes
    }
}

/// Adds everything up. What goes away meanwhile is left out.
pub fn account(store: &Store) -> Result<Account, Error> {
    let mut account = Account { store_bytes: own_bytes(store.root())?, ..Account::default() };
    for (name, path) in entries(store.root())? {
        match name.as_str() {
            "blobs" => account.blobs(&path)?,
            "layers" => account.layers(&path)?,
            "containers" => account.containers(&path)?,
            "volumes" => account.volumes(&path)?,
            "skeleton" | "version" | "lock" => account.store_bytes += usage(&path)?,
            name if name.starts_with(temp::PREFIX) => account.temporary_bytes += usage(&path)?,
            // mkfs makes it in the root of a disk.
            "lost+found" => account.foreign_bytes += usage(&path)?,
            name => account.files.push((name.to_owned(), usage(&path)?)),
        }
    }
    Ok(account)
}

impl Account {
    /// The entries of one of the store's directories that are neither temporary nor foreign, as what they are named for.
    fn named<N: std::str::FromStr>(
        &mut self,
        directory: &Path,
        prefix: &str,
    ) -> Result<Vec<(N, PathBuf)>, Error> {
        self.store_bytes += own_bytes(directory)?;
        let mut named = Vec::new();
        for (name, path) in entries(directory)? {
            if name.starts_with(temp::PREFIX) {
                self.temporary_bytes += usage(&path)?;
            } else if let Ok(parsed) = format!("{prefix}{name}").parse() {
                named.push((parsed, path));
            } else {
                self.foreign_bytes += usage(&path)?;
            }
        }
        Ok(named)
    }

    fn blobs(&mut self, directory: &Path) -> Result<(), Error> {
        self.store_bytes += own_bytes(directory)?;
        for (name, path) in entries(directory)? {
            match name.as_str() {
                "sha256" => {}
                "partial" => {
                    self.partial_bytes += usage(&path)?;
                    continue;
                }
                _ => {
                    self.temporary_bytes += usage(&path)?;
                    continue;
                }
            }
            for (digest, path) in self.named(&path, "sha256:")? {
                self.blobs.push((digest, usage(&path)?));
            }
        }
        Ok(())
    }

    fn layers(&mut self, directory: &Path) -> Result<(), Error> {
        for (chain, path) in self.named(directory, "sha256:")? {
            let mut layer = LayerBytes { chain, tree_bytes: 0, recipe_bytes: own_bytes(&path)? };
            for (name, path) in entries(&path)? {
                let part = if name == "fs" { &mut layer.tree_bytes } else { &mut layer.recipe_bytes };
                *part += usage(&path)?;
            }
            self.layers.push(layer);
        }
        Ok(())
    }

    fn containers(&mut self, directory: &Path) -> Result<(), Error> {
        for (id, path) in self.named(directory, "")? {
            let state_bytes = own_bytes(&path)?;
            let mut container = ContainerBytes { id, writable_bytes: 0, log_bytes: 0, state_bytes };
            for (name, path) in entries(&path)? {
                let bytes = usage(&path)?;
                match name.as_str() {
                    "upper" | "work" => container.writable_bytes += bytes,
                    name if name.contains(LOG_MARK) => container.log_bytes += bytes,
                    name if name.starts_with(temp::PREFIX) => self.temporary_bytes += bytes,
                    _ => container.state_bytes += bytes,
                }
            }
            self.containers.push(container);
        }
        Ok(())
    }

    fn volumes(&mut self, directory: &Path) -> Result<(), Error> {
        for (id, path) in self.named(directory, "")? {
            self.volumes.push((id, usage(&path)?));
        }
        Ok(())
    }
}

/// The bytes of a directory itself; 0 if it is gone.
fn own_bytes(path: &Path) -> Result<u64, Error> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
        other => Ok(other.at("read the attributes of", path)?.blocks() * BLOCK_BYTES),
    }
}

/// Names and paths in a directory, sorted; none if it is gone.
fn entries(directory: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let found = match fs::read_dir(directory) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.at("read the directory", directory)?,
    };
    let mut entries = Vec::new();
    for entry in found {
        let entry = entry.at("read the directory", directory)?;
        entries.push((lossy(&entry.file_name()), entry.path()));
    }
    entries.sort();
    Ok(entries)
}

fn lossy(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_counted_once() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(&temp.path().join("s"), false).unwrap();
        let digest = store.blobs().put(b"{}").unwrap();
        let id = "a".repeat(64);
        for (path, bytes) in [
            (format!("layers/{}/fs/bin/sh", digest.hex()), 100_000),
            (format!("layers/{}/layer.json", digest.hex()), 10),
            (format!("containers/{id}/upper/new"), 50_000),
            (format!("containers/{id}/{id}-json.log"), 9_000),
            (format!("containers/{id}/journal"), 90),
            (format!("volumes/{id}/data/x"), 20_000),
            ("layers/.tmp-1-1/fs/half".into(), 70_000),
            ("layers/notes".into(), 5_000),
            ("corten.db".into(), 8_000),
        ] {
            let path = store.root().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![1; bytes]).unwrap();
        }
        let account = account(&store).unwrap();
        assert_eq!(account.total_bytes(), usage(store.root()).unwrap());
        assert_eq!(account.blobs.len(), 1);
        assert!(account.layers[0].tree_bytes >= 100_000 && account.layers[0].recipe_bytes < 20_000);
        let container = &account.containers[0];
        assert!(container.writable_bytes >= 50_000 && container.log_bytes >= 9_000);
        assert!(account.volumes[0].1 >= 20_000);
        assert!(account.temporary_bytes >= 70_000 && account.foreign_bytes >= 5_000);
        assert_eq!(account.files.len(), 1);
    }
}
