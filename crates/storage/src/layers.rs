//! Unpacked layers by chain id: each is a directory with `layer.json` and a recipe beside `fs/`, the overlay's lower
//! directory.
//!
//! ```text
//! .tmp-… ─▶ entries ─▶ layer.json ─▶ syncfs ─▶ rename to <chain hex> ─▶ fsync of layers/
//! ```
//! Whoever renames first wins; the others' work is dropped. A layer goes by a rename to `.tmp-…` first, so that a
//! directory with a chain's name is always whole.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use corten_model::Digest;
use rustix::fs::{CWD, IFlags, RenameFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::blobs::sha256;
use crate::error::{At, Error};
use crate::limits::Limits;
use crate::recipe::{LayerTar, RECIPE, REPLACED, Recorder};
use crate::steps::reached;
use crate::store::Store;
use crate::temp::{self, TempDir};
use crate::tree::{self, Hands};
use crate::unpack::Unpacker;

/// Layers of one image, as in Docker; overlay itself takes 500.
pub const LAYERS_MAX: usize = 128;
/// Bytes of a layer.json that are read.
const INFO_BYTES_MAX: u64 = 64 << 10;
const INFO: &str = "layer.json";
pub(crate) const TREE: &str = "fs";
/// The format that this build writes into layer.json; 2 has a recipe beside it.
const LAYER_VERSION: u32 = 2;
const LAYER_VERSION_RECIPE: u32 = 2;

/// What came out of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpacked {
    /// Digest of the plain archive, all of its bytes.
    pub diff_id: Digest,
    /// The layer and all below it.
    pub chain_id: Digest,
    /// Bytes of its files.
    pub size_bytes: u64,
    /// Bytes of the plain archive.
    pub tar_bytes: u64,
    /// Uids and gids above 65,535, ascending; 301 of them say that there are too many to map.
    pub high_ids: Vec<u32>,
    /// Files whose owner the user namespace doesn't have: they belong to its root (rootless only), without setuid.
    pub squashed_owners: u64,
    /// Devices in `/dev` that can't be made without root; a container's `/dev` is mounted over them anyway.
    pub skipped_devices: u64,
}

/// What a store remembers of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerInfo {
    /// Format of the layer's directory.
    pub version: u32,
    /// The chain below.
    pub parent: Option<Digest>,
    /// How it was unpacked.
    pub unpacked: Unpacked,
}

/// The layers of a store.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'s> {
    pub(crate) store: &'s Store,
}

/// The id of `diff_id` on top of `parent` (image-spec, config.md, "Layer ChainID").
pub fn chain_id(parent: Option<&Digest>, diff_id: &Digest) -> Digest {
    match parent {
        None => diff_id.clone(),
        Some(parent) => sha256(format!("{parent} {diff_id}").as_bytes()),
    }
}

impl Layers<'_> {
    /// Unpacks the plain archive `tar` on top of `parent`; hold [`Store::writing`] until its row is committed. On any
    /// error nothing is left.
    pub fn unpack(
        &self,
        tar: &mut dyn Read,
        parent: Option<&Digest>,
        limits: &Limits,
    ) -> Result<Unpacked, Error> {
        self.unpack_checked(tar, None, parent, limits)
    }

    /// The same for an archive whose digest is known: another one is `WrongDiffId`.
    pub fn unpack_expecting(
        &self,
        tar: &mut dyn Read,
        diff_id: &Digest,
        parent: Option<&Digest>,
        limits: &Limits,
    ) -> Result<Unpacked, Error> {
        self.unpack_checked(tar, Some(diff_id), parent, limits)
    }

    fn unpack_checked(
        &self,
        tar: &mut dyn Read,
        expected: Option<&Digest>,
        parent: Option<&Digest>,
        limits: &Limits,
    ) -> Result<Unpacked, Error> {
        let lowers = match parent {
            Some(parent) => self.chain(parent)?,
            None => Vec::new(),
        };
        if lowers.len() >= LAYERS_MAX {
            return Err(Error::TooManyLayers { max: LAYERS_MAX });
        }
        spread(&self.directory());
        let temp = TempDir::new(&self.directory())?;
        reached("unpack.begun");
        let tree = temp.path().join(TREE);
        fs::create_dir(&tree).at("make the directory", &tree)?;
        let recipe = temp.path().join(RECIPE);
        let recorder = File::create(&recipe).and_then(Recorder::new).at("create", &recipe)?;
        let unpacker = Unpacker::new(&tree, temp.path(), lowers, self.store.is_rootless(), limits)?;
        let (outcome, diff_id) = unpacker.run(tar, expected, recorder)?;
        reached("unpack.entries");
        let chain_id = chain_id(parent, &diff_id);
        let unpacked = Unpacked {
            diff_id,
            chain_id,
            size_bytes: outcome.size_bytes,
            tar_bytes: outcome.tar_bytes,
            high_ids: outcome.high_ids,
            squashed_owners: outcome.squashed_owners,
            skipped_devices: outcome.skipped_devices,
        };
        let info = LayerInfo { version: LAYER_VERSION, parent: parent.cloned(), unpacked };
        match self.info(&info.unpacked.chain_id) {
            Ok(old) if old.version < LAYER_VERSION_RECIPE => self.add_recipe(temp, &info)?,
            Ok(_) => {}
            Err(Error::NoLayer(_)) => self.commit(temp, &info)?,
            Err(e) => return Err(e),
        }
        Ok(info.unpacked)
    }

    /// Gives a layer that an older Corten unpacked what the same archive left now; its files stay, they are in use.
    fn add_recipe(&self, temp: TempDir, info: &LayerInfo) -> Result<(), Error> {
        let place = self.place(&info.unpacked.chain_id);
        let dir = File::open(temp.path()).at("open", temp.path())?;
        rustix::fs::syncfs(&dir).at("sync", temp.path())?;
        for name in [REPLACED, RECIPE] {
            let (from, to) = (temp.path().join(name), place.join(name));
            match rustix::fs::renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE) {
                // No file was replaced, or a crash or somebody else came this far before.
                Err(Errno::NOENT | Errno::EXIST) => {}
                other => other.at("rename to", &to)?,
            }
        }
        let json = serde_json::to_vec(info).expect("strings and numbers only");
        temp::write_file(&place, INFO, &json, ["unpack.synced", "unpack.synced", "unpack.renamed"])
    }

    /// The exact bytes of the layer's plain archive, as a stream of a few hundred kilobytes of memory. It ends without
    /// an error only if they are: their digest is compared with the layer's diff id. Hold off the layer's removal.
    pub fn tar(&self, chain: &Digest) -> Result<LayerTar, Error> {
        let info = self.info(chain)?;
        if info.version < LAYER_VERSION_RECIPE {
            return Err(Error::NoRecipe(chain.clone()));
        }
        LayerTar::open(&self.place(chain), &info)
    }

    fn commit(&self, temp: TempDir, info: &LayerInfo) -> Result<(), Error> {
        let path = temp.path().join(INFO);
        let json = serde_json::to_vec(info).expect("strings and numbers only");
        fs::write(&path, json).at("write", &path)?;
        let dir = File::open(temp.path()).at("open", temp.path())?;
        // One for all files: an fsync each would cost seconds.
        rustix::fs::syncfs(&dir).at("sync", temp.path())?;
        reached("unpack.synced");
        let target = self.place(&info.unpacked.chain_id);
        match rustix::fs::renameat_with(CWD, temp.path(), CWD, &target, RenameFlags::NOREPLACE) {
            // Somebody else unpacked the same meanwhile.
            Err(Errno::EXIST) => return Ok(()),
            other => other.at("rename to", &target)?,
        }
        temp.keep();
        reached("unpack.renamed");
        temp::sync_dir(&self.directory())
    }

    /// The overlay's lower directory of `chain`, whether it exists or not.
    pub fn dir(&self, chain: &Digest) -> PathBuf {
        self.place(chain).join(TREE)
    }

    /// The lower directories of `chain` and everything below it, top first, as an overlay wants them.
    pub fn chain(&self, chain: &Digest) -> Result<Vec<PathBuf>, Error> {
        let mut lowers = Vec::new();
        let mut next = Some(chain.clone());
        while let Some(chain) = next {
            if lowers.len() == LAYERS_MAX {
                return Err(Error::TooManyLayers { max: LAYERS_MAX });
            }
            lowers.push(self.dir(&chain));
            next = self.info(&chain)?.parent;
        }
        Ok(lowers)
    }

    /// What the store remembers of `chain`.
    pub fn info(&self, chain: &Digest) -> Result<LayerInfo, Error> {
        let path = self.place(chain).join(INFO);
        let file = match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(Error::NoLayer(chain.clone())),
            other => other.at("open", &path)?,
        };
        let mut bytes = Vec::new();
        file.take(INFO_BYTES_MAX).read_to_end(&mut bytes).at("read", &path)?;
        let damaged = |source| Error::LayerDamaged { chain: chain.clone(), source };
        let version = serde_json::from_slice::<Version>(&bytes).map_err(damaged)?.version;
        if version > LAYER_VERSION {
            return Err(Error::LayerNewer { chain: chain.clone(), found: version, known: LAYER_VERSION });
        }
        serde_json::from_slice(&bytes).map_err(damaged)
    }

    /// Whether `chain` is unpacked here.
    pub fn exists(&self, chain: &Digest) -> bool {
        self.place(chain).exists()
    }

    /// Whether everything of a layer is there that its layer.json speaks of, unread.
    pub(crate) fn is_whole(&self, chain: &Digest, info: &LayerInfo) -> bool {
        let recipe = self.place(chain).join(RECIPE);
        self.dir(chain).is_dir() && (info.version < LAYER_VERSION_RECIPE || recipe.is_file())
    }

    /// Removes `chain`; one that isn't there is fine. The caller knows that nothing needs it.
    pub fn remove(&self, chain: &Digest) -> Result<(), Error> {
        remove_whole(&self.directory(), &self.place(chain))
    }

    /// All of them, unordered.
    pub fn list(&self) -> Result<Vec<Digest>, Error> {
        let directory = self.directory();
        let mut chains = Vec::new();
        for entry in fs::read_dir(&directory).at("read the directory", &directory)? {
            let name = entry.at("read the directory", &directory)?.file_name();
            chains.extend(name.to_str().and_then(|n| format!("sha256:{n}").parse().ok()));
        }
        Ok(chains)
    }

    pub(crate) fn place(&self, chain: &Digest) -> PathBuf {
        self.directory().join(chain.hex())
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.store.join("layers")
    }
}

/// Only the version, which says whether the rest can be understood.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Tells the file system that what is in `directory` doesn't belong together (chattr(1), `T`): ext4 gives each layer inodes
/// in a part of the disk where few are taken, instead of searching for free ones beside those of all other layers, of which
/// it steps over one by one what was removed within minutes if it has no journal. It is a hint, which others don't know.
fn spread(directory: &Path) {
    if let Ok(dir) = File::open(directory)
        && let Ok(flags) = rustix::fs::ioctl_getflags(&dir)
        && !flags.contains(IFlags::TOPDIR)
    {
        let _ = rustix::fs::ioctl_setflags(&dir, flags | IFlags::TOPDIR);
    }
}

/// Removes `path` out of `directory` so that a crash never leaves half of it under its name.
pub(crate) fn remove_whole(directory: &Path, path: &Path) -> Result<(), Error> {
    let temp = TempDir::new(directory)?;
    let target = temp.path().join("removed");
    match fs::rename(path, &target) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e).at("remove", path),
        Ok(()) => tree::remove(&target, Hands::Many),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tar;

    #[test]
    fn layers_lie_apart_where_the_file_system_can_do_that() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(&temp.path().join("s"), false).unwrap();
        let tar = Tar::default().file("a", "x").end();
        store.layers().unpack(&mut tar.as_slice(), None, &Limits::default()).unwrap();
        let apart = |path: &Path| {
            let dir = File::open(path).unwrap();
            rustix::fs::ioctl_getflags(&dir).is_ok_and(|flags| flags.contains(IFlags::TOPDIR))
        };
        let dir = File::open(temp.path()).unwrap();
        let flags = rustix::fs::ioctl_getflags(&dir);
        let possible = flags.is_ok_and(|f| rustix::fs::ioctl_setflags(&dir, f | IFlags::TOPDIR).is_ok());
        assert_eq!(apart(&store.layers().directory()), possible);
    }
}
