//! Does the disk hold what the rows say, and nothing else?
//!
//! Owns the comparison of the store's directories with [`Live`], the names that rows know, and the removal of litter.
//! It never decides what is alive, and never removes what may be somebody's data.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use corten_model::{ContainerId, Digest, VolumeId};
use serde::{Deserialize, Serialize};

use crate::error::{At, Error};
use crate::store::Store;
use crate::sweep::Held;
use crate::temp;
use crate::tree::{self, Hands};
use crate::volumes;

/// What the rows name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Live {
    /// Containers.
    pub containers: HashSet<ContainerId>,
    /// Chain ids of layers.
    pub layers: HashSet<Digest>,
    /// Manifests and configs.
    pub blobs: HashSet<Digest>,
    /// Compressed layers that are kept.
    pub kept: HashSet<Digest>,
    /// Volumes.
    pub volumes: HashSet<VolumeId>,
    /// What leases hold for those who are making images.
    pub held: Held,
}

/// One difference between rows and disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub problem: Problem,
    /// Where.
    pub path: PathBuf,
    /// Whether this check put it right.
    pub repaired: bool,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// Left by a command that ended half-way.
    Temporary,
    /// On disk but in no row.
    NoRow,
    /// A volume in no row that has data, which is never removed by a repair.
    DataWithoutRow,
    /// In a row but not on disk.
    Missing,
    /// On disk, but not what its name says.
    Damaged,
    /// Nothing that Corten makes.
    Foreign,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Temporary => "left by an interrupted command",
            Self::NoRow => "known to no image, container or volume",
            Self::DataWithoutRow => "data of a volume that is not known",
            Self::Missing => "missing",
            Self::Damaged => "damaged",
            Self::Foreign => "not made by corten",
        })
    }
}

/// Compares the store with `live`; with `repair`, removes temporary files and what no row names. Who repairs holds
/// [`Store::alone`], and read `live` after it got that.
pub fn check(store: &Store, live: &Live, repair: bool) -> Result<Vec<Finding>, Error> {
    let mut check = Check { repair, findings: Vec::new() };
    check.temporary(store.root())?;
    check.temporary(&store.join("blobs"))?;
    check.blobs(store, live)?;
    check.layers(store, live)?;
    check.containers(store, live)?;
    check.volumes(store, live)?;
    Ok(check.findings)
}

struct Check {
    repair: bool,
    findings: Vec<Finding>,
}

impl Check {
    fn found(&mut self, problem: Problem, path: PathBuf, repaired: bool) {
        self.findings.push(Finding { problem, path, repaired });
    }

    /// Notes litter, and removes it in a repair.
    fn litter(&mut self, problem: Problem, path: PathBuf) -> Result<(), Error> {
        if self.repair {
            tree::remove(&path, Hands::Many)?;
        }
        self.found(problem, path, self.repair);
        Ok(())
    }

    /// Names in `directory` that are not temporary; litter among them is dealt with.
    fn names(&mut self, directory: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory).at("read the directory", directory)? {
            let entry = entry.at("read the directory", directory)?;
            let path = entry.path();
            match entry.file_name().into_string() {
                Ok(name) if name.starts_with(temp::PREFIX) => {
                    if temp::is_litter(&path).at("look at", &path)? {
                        self.litter(Problem::Temporary, path)?;
                    }
                }
                Ok(name) => names.push((name, path)),
                Err(_) => self.found(Problem::Foreign, path, false),
            }
        }
        names.sort();
        Ok(names)
    }

    fn temporary(&mut self, directory: &Path) -> Result<(), Error> {
        self.names(directory).map(drop)
    }

    fn blobs(&mut self, store: &Store, live: &Live) -> Result<(), Error> {
        let blobs = store.blobs();
        for (name, path) in self.names(&blobs.directory())? {
            match format!("sha256:{name}").parse::<Digest>() {
                Ok(digest) if !live.has_blob(&digest) => self.litter(Problem::NoRow, path)?,
                Ok(_) => {}
                Err(_) => self.found(Problem::Foreign, path, false),
            }
        }
        for digest in &live.blobs {
            match blobs.get(digest) {
                Ok(_) => {}
                Err(Error::NoBlob(_)) => self.found(Problem::Missing, blobs.path(digest), false),
                Err(Error::BlobDamaged(_) | Error::BlobTooLarge { .. }) => {
                    self.found(Problem::Damaged, blobs.path(digest), false);
                }
                Err(e) => return Err(e),
            }
        }
        for digest in &live.kept {
            match blobs.is_sound(digest) {
                Ok(true) => {}
                Ok(false) => self.found(Problem::Damaged, blobs.path(digest), false),
                Err(Error::NoBlob(_)) => self.found(Problem::Missing, blobs.path(digest), false),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn layers(&mut self, store: &Store, live: &Live) -> Result<(), Error> {
        let layers = store.layers();
        for (name, path) in self.names(&layers.directory())? {
            match format!("sha256:{name}").parse::<Digest>() {
                Ok(chain) if !live.has_layer(store, &chain) => {
                    if self.repair {
                        layers.remove(&chain)?;
                    }
                    self.found(Problem::NoRow, path, self.repair);
                }
                Ok(_) => {}
                Err(_) => self.found(Problem::Foreign, path, false),
            }
        }
        for chain in &live.layers {
            match layers.info(chain) {
                Ok(info) if info.unpacked.chain_id == *chain && layers.is_whole(chain, &info) => {}
                Ok(_) | Err(Error::LayerDamaged { .. } | Error::LayerNewer { .. }) => {
                    self.found(Problem::Damaged, layers.place(chain), false);
                }
                Err(Error::NoLayer(_)) => {
                    let problem = if layers.exists(chain) { Problem::Damaged } else { Problem::Missing };
                    self.found(problem, layers.place(chain), false);
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// A container's directory is made at its first start, so a missing one is fine.
    fn containers(&mut self, store: &Store, live: &Live) -> Result<(), Error> {
        for (name, path) in self.names(&store.join("containers"))? {
            match name.parse::<ContainerId>() {
                Ok(id) if !live.containers.contains(&id) => self.litter(Problem::NoRow, path)?,
                Ok(_) => self.temporary(&path)?,
                Err(_) => self.found(Problem::Foreign, path, false),
            }
        }
        Ok(())
    }

    fn volumes(&mut self, store: &Store, live: &Live) -> Result<(), Error> {
        for (name, path) in self.names(&store.join("volumes"))? {
            let Ok(id) = name.parse::<VolumeId>() else {
                self.found(Problem::Foreign, path, false);
                continue;
            };
            self.temporary(&path)?;
            let data = store.volume_data(&id);
            if live.volumes.contains(&id) {
                continue;
            }
            // A crash between the directory and the row leaves it empty; what is not empty was used.
            if !data.is_dir() || volumes::is_empty(&data)? {
                self.litter(Problem::NoRow, path)?;
            } else {
                self.found(Problem::DataWithoutRow, path, false);
            }
        }
        for id in &live.volumes {
            let data = store.volume_data(id);
            if !data.is_dir() {
                self.found(Problem::Missing, data, false);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
