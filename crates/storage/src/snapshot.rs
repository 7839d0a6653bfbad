//! A container's file system: an overlay of its image's layers and its own upper directory, as a detached mount.
//!
//! Owns how the overlay is made, never where it is attached: nothing appears in the host's mount namespace, so
//! nothing is to be unmounted either. With a user namespace the layers, upper and work are idmapped: ids on disk are
//! plain, 0 is the container's root, and no file is ever chowned.

mod overlay;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use corten_sys::idmap;
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use crate::error::{At, Error};
pub use overlay::Way;
use overlay::{Overlay, clone_tree};

/// What a container's file system is made of.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Snapshot {
    /// The layers' directories, top first.
    pub lowers: Vec<PathBuf>,
    /// The container's directory, with `upper` and `work` in it.
    pub dir: PathBuf,
    /// Written data need not survive a crash of the machine, nor a second mount: for `--rm`.
    pub volatile: bool,
    /// Mounted by a user namespace's root: overlay's marks are `user.*`.
    pub rootless: bool,
    /// Only the layers, without an upper directory. Not for `--read-only`, where mount points are still made: there
    /// the mount is set read-only when it is complete.
    pub read_only: bool,
}

impl Snapshot {
    /// Makes the container's directories; the new root gets the mode and owner of the image's. What exists is kept.
    ///
    /// Owners on disk are plain, so this needs no ids of the container's user namespace.
    pub fn prepare(&self) -> Result<(), Error> {
        make(&self.dir)?;
        let work = self.dir.join("work");
        if self.read_only || work.exists() {
            return Ok(());
        }
        let upper = self.dir.join("upper");
        make(&upper)?;
        // Overlay shows the root of the topmost directory, which is ours: without this `/` were 0700.
        let top = self.lowers.first().ok_or(Errno::INVAL).at("find a layer for", &self.dir)?;
        let wanted = rustix::fs::stat(top).at("read the attributes of", top)?;
        let got = rustix::fs::stat(&upper).at("read the attributes of", &upper)?;
        if (wanted.st_uid, wanted.st_gid) != (got.st_uid, got.st_gid) {
            let (uid, gid) = (Uid::from_raw(wanted.st_uid), Gid::from_raw(wanted.st_gid));
            let owned = rustix::fs::chownat(CWD, &upper, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
            owned.at("set the owner of", &upper)?;
        }
        let mode = Mode::from_raw_mode(wanted.st_mode & 0o7777);
        rustix::fs::chmodat(CWD, &upper, mode, AtFlags::empty()).at("set the mode of", &upper)?;
        // Last, because its presence says that upper is complete.
        make(&work)
    }

    /// The mounted overlay, attached nowhere. `userns` is the container's user namespace with its maps written.
    pub fn mount(&self, userns: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Error> {
        self.mount_sparing(userns, &mut Vec::new())
    }

    /// The same; mounts that it was made from go to `spare`: to drop one waits for an RCU grace period, which can be done
    /// when nobody waits for the container any more.
    pub fn mount_sparing(
        &self,
        userns: Option<BorrowedFd<'_>>,
        spare: &mut Vec<OwnedFd>,
    ) -> Result<OwnedFd, Error> {
        match self.mount_with(Way::Descriptors, userns, spare) {
            // 6.13 and 6.15 brought what the first way needs; an older kernel says EINVAL to all of it.
            Err(first @ Error::Overlay { .. }) if overlay::is_too_old(&first) => {
                self.mount_with(Way::Paths, userns, spare).map_err(|_| first)
            }
            other => other,
        }
    }

    /// The same by one given way.
    pub fn mount_by(&self, way: Way, userns: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Error> {
        self.mount_with(way, userns, &mut Vec::new())
    }

    fn mount_with(
        &self,
        way: Way,
        userns: Option<BorrowedFd<'_>>,
        spare: &mut Vec<OwnedFd>,
    ) -> Result<OwnedFd, Error> {
        if self.read_only && self.lowers.len() == 1 {
            return one_layer(&self.lowers[0], userns);
        }
        let dir = (!self.read_only).then_some(self.dir.as_path());
        let (volatile, rootless) = (self.volatile && !self.read_only, self.rootless);
        Overlay { lowers: &self.lowers, dir, volatile, rootless, userns }.mount(way, spare)
    }
}

/// The merged layers for reading, with plain ids, as a detached mount: for copying out of an image.
pub fn view(lowers: &[PathBuf], rootless: bool) -> Result<OwnedFd, Error> {
    let dir = PathBuf::new();
    Snapshot { lowers: lowers.to_vec(), dir, volatile: false, rootless, read_only: true }.mount(None)
}

/// Overlay wants two layers when there is no upper; one layer is its own merged view.
fn one_layer(layer: &Path, userns: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Error> {
    let mount = clone_tree(layer)?;
    if let Some(userns) = userns {
        idmap::set_idmap(mount.as_fd(), userns, false)
            .map_err(|source| Error::Idmap { path: layer.to_owned(), source })?;
    }
    idmap::set_read_only(mount.as_fd()).at("make a read-only mount of", layer)?;
    Ok(mount)
}

fn make(path: &Path) -> Result<(), Error> {
    match rustix::fs::mkdirat(CWD, path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(e) => Err(e).at("make the directory", path),
    }
}

const CLONE: OpenTreeFlags = OpenTreeFlags::OPEN_TREE_CLONE.union(OpenTreeFlags::OPEN_TREE_CLOEXEC);
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

#[cfg(test)]
mod tests;
