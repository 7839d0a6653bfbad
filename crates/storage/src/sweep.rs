//! Removal of what nothing needs: first out of the way, then away.
//!
//! ```text
//! layers/<chain>, blobs/sha256/<hex>, … ── rename ──▶ .tmp-…/<n> (locked) ──▶ removed
//! ```
//! The caller knows what is alive ([`Live`]), and keeps everybody from making use of what it condemns while it does so.
//! A rename is short; the removal may take its time, because nobody can find what is removed any more. A crash leaves
//! litter, which the next sweep takes.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use corten_model::{ContainerId, Digest};
use serde::{Deserialize, Serialize};

use crate::check::Live;
use crate::error::{At, Error};
use crate::partial;
use crate::steps::reached;
use crate::store::Store;
use crate::temp::{self, TempDir};

/// What is on disk and seems to be needed by nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Garbage {
    /// Chain ids of layers.
    pub layers: Vec<Digest>,
    /// Blobs.
    pub blobs: Vec<Digest>,
    /// Containers' directories.
    pub containers: Vec<ContainerId>,
}

impl Garbage {
    /// Looks for it: whatever is on disk and not alive.
    pub fn find(store: &Store, live: &Live) -> Result<Self, Error> {
        let mut garbage = Self::default();
        for chain in store.layers().list()? {
            if !live.has_layer(store, &chain) {
                garbage.layers.push(chain);
            }
        }
        for digest in store.blobs().list()? {
            if !live.has_blob(&digest) {
                garbage.blobs.push(digest);
            }
        }
        for name in names(&store.join("containers"))? {
            if let Ok(id) = name.parse::<ContainerId>()
                && !live.containers.contains(&id)
            {
                garbage.containers.push(id);
            }
        }
        Ok(garbage)
    }

    /// What of it is garbage still.
    pub fn and_not(mut self, store: &Store, live: &Live) -> Self {
        self.layers.retain(|chain| !live.has_layer(store, chain));
        self.blobs.retain(|digest| !live.has_blob(digest));
        self.containers.retain(|id| !live.containers.contains(id));
        self
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty() && self.blobs.is_empty() && self.containers.is_empty()
    }
}

/// What commands that ended half-way left, and parts of blobs that nobody went on with. Nobody may be making anything: hold [`Store::alone`].
pub fn litter(store: &Store) -> Result<Vec<PathBuf>, Error> {
    let mut litter = Vec::new();
    for directory in ["", "blobs", "blobs/sha256", "layers", "containers", "volumes"] {
        let directory = store.join(directory);
        for name in names(&directory)?.into_iter().filter(|name| name.starts_with(temp::PREFIX)) {
            let path = directory.join(name);
            if temp::is_litter(&path).at("look at", &path)? {
                litter.push(path);
            }
        }
    }
    litter.extend(partial::left(store, partial::PARTIAL_KEPT)?);
    Ok(litter)
}

/// Where condemned things lie until they are removed: at the latest when it is dropped.
#[derive(Debug)]
pub struct Trash {
    temp: TempDir,
    count: usize,
}

impl Trash {
    /// An empty one.
    pub fn new(store: &Store) -> Result<Self, Error> {
        Ok(Self { temp: TempDir::new(store.root())?, count: 0 })
    }

    /// Moves garbage out of the way; what is gone already is fine.
    pub fn take(&mut self, store: &Store, garbage: &Garbage) -> Result<(), Error> {
        reached("sweep.begun");
        for chain in &garbage.layers {
            self.put(&store.layers().place(chain))?;
        }
        reached("sweep.layers");
        for digest in &garbage.blobs {
            self.put(&store.blobs().path(digest))?;
        }
        for id in &garbage.containers {
            self.put(&store.container_dir(id))?;
        }
        reached("sweep.moved");
        Ok(())
    }

    /// Moves one file or directory out of the way.
    pub fn put(&mut self, path: &Path) -> Result<(), Error> {
        match fs::rename(path, self.temp.path().join(self.count.to_string())) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => {
                self.count += 1;
                other.at("remove", path)
            }
        }
    }

    /// Where they are; nowhere if nothing was taken.
    pub fn path(&self) -> Option<&Path> {
        (self.count > 0).then(|| self.temp.path())
    }
}

impl Live {
    /// Whether something names the layer, or whoever holds a lease may be about to.
    pub fn has_layer(&self, store: &Store, chain: &Digest) -> bool {
        if self.held.any_layer || self.layers.contains(chain) || self.held.layers.contains(chain) {
            return true;
        }
        // One that can't be read can't be used either.
        !self.held.above.is_empty()
            && store.layers().info(chain).is_ok_and(|info| self.held.above.contains(&info.parent))
    }

    /// As [`Live::has_layer`], for a blob.
    pub fn has_blob(&self, digest: &Digest) -> bool {
        self.held.any_blob || self.blobs.contains(digest) || self.kept.contains(digest)
    }
}

/// What leases hold: it may be there, or come, or not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Chain ids of layers.
    pub layers: HashSet<Digest>,
    /// Every layer directly on one of these; none is the ground.
    pub above: HashSet<Option<Digest>>,
    /// Every layer: who reads an archive knows what is in it only then.
    pub any_layer: bool,
    /// Every blob: who makes an image knows its manifest and config only at the end.
    pub any_blob: bool,
}

/// Names in a directory; none if it isn't there.
fn names(directory: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(directory) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.at("read the directory", directory)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.at("read the directory", directory)?.file_name().into_string());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::testing::Tar;

    fn layer(store: &Store, name: &str, parent: Option<&Digest>) -> Digest {
        let tar = Tar::default().file(name, "x").end();
        store.layers().unpack(&mut tar.as_slice(), parent, &Limits::default()).unwrap().chain_id
    }

    #[test]
    fn what_nothing_names_goes_and_what_a_lease_holds_stays() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(&temp.path().join("s"), false).unwrap();
        let (low, other) = (layer(&store, "low", None), layer(&store, "other", None));
        let (top, side) = (layer(&store, "top", Some(&low)), layer(&store, "side", Some(&low)));
        let blob = store.blobs().put(b"{}").unwrap();
        let check = |live: &Live, layers: &[&Digest], blobs: usize| {
            let garbage = Garbage::find(&store, live).unwrap();
            let expected: HashSet<&Digest> = layers.iter().copied().collect();
            assert_eq!(garbage.layers.iter().collect::<HashSet<_>>(), expected, "{live:?}");
            assert_eq!(garbage.blobs.len(), blobs);
            garbage
        };
        check(&Live::default(), &[&low, &other, &top, &side], 1);
        let mut live = Live { layers: [low.clone(), top.clone()].into(), ..Live::default() };
        check(&live, &[&other, &side], 1);
        live.held = Held {
            layers: [other.clone()].into(),
            above: [Some(low.clone())].into(),
            any_blob: true,
            ..Held::default()
        };
        assert!(check(&live, &[], 0).is_empty());
        live.held = Held { above: [None].into(), ..Held::default() };
        let garbage = check(&live, &[&side], 1);
        assert_eq!(garbage.clone().and_not(&store, &live), garbage);
        let mut trash = Trash::new(&store).unwrap();
        trash.take(&store, &garbage).unwrap();
        assert!(!store.layers().exists(&side) && store.layers().exists(&top));
        assert!(store.blobs().get(&blob).is_err());
        assert!(trash.path().is_some());
        drop(trash);
        assert_eq!(litter(&store).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn what_an_ended_command_left_is_litter() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(&temp.path().join("s"), false).unwrap();
        let left = store.join("layers/.tmp-1-1");
        fs::create_dir_all(left.join("fs")).unwrap();
        let busy = TempDir::new(&store.join("layers")).unwrap();
        assert_eq!(litter(&store).unwrap(), std::slice::from_ref(&left));
        let mut trash = Trash::new(&store).unwrap();
        assert_eq!(trash.path(), None);
        trash.put(&left).unwrap();
        drop(trash);
        assert!(!left.exists() && busy.path().exists());
    }
}
