//! Volumes' data: `volumes/<id>/data`, made empty, filled once from an image, removed whole.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use corten_model::VolumeId;
use rustix::fs::{CWD, Mode, OFlags};

use crate::error::{At, Error};
use crate::layers::remove_whole;
use crate::store::Store;
use crate::temp::TempDir;
use crate::tree;

/// The volumes of a store.
#[derive(Debug, Clone, Copy)]
pub struct VolumeData<'s> {
    store: &'s Store,
}

impl Store {
    /// Volumes' data.
    pub fn volumes(&self) -> VolumeData<'_> {
        VolumeData { store: self }
    }
}

impl VolumeData<'_> {
    /// Makes the empty data directory, 0755 and root's; hold [`Store::writing`] until the row is committed.
    pub fn create(&self, id: &VolumeId) -> Result<PathBuf, Error> {
        let temp = TempDir::new(&self.directory())?;
        let data = temp.path().join("data");
        fs::create_dir(&data).at("make the directory", &data)?;
        fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).at("set the mode of", &data)?;
        let place = self.place(id);
        fs::rename(temp.path(), &place).at("rename to", &place)?;
        temp.keep();
        crate::steps::reached("volume.made");
        Ok(self.store.volume_data(id))
    }

    /// First use: copies the image's directory `path`, seen in the mounted `image`, if the volume is still empty. True
    /// if it was copied. A crash leaves the volume empty, never half full.
    pub fn fill(&self, id: &VolumeId, image: BorrowedFd<'_>, path: &Path) -> Result<bool, Error> {
        let data = self.store.volume_data(id);
        if !is_empty(&data)? {
            return Ok(false);
        }
        let temp = TempDir::new(&self.place(id))?;
        let copied = temp.path().join("data");
        fs::create_dir(&copied).at("make the directory", &copied)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let to = rustix::fs::openat(CWD, &copied, flags, Mode::empty()).at("open the directory", &copied)?;
        if !tree::copy(image, path, to.as_fd())? {
            return Ok(false);
        }
        match fs::rename(&copied, &data) {
            // A rename only replaces an empty directory: somebody was faster, and theirs is kept.
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            other => other.at("rename to", &data).map(|()| true),
        }
    }

    /// Removes the volume's data; what isn't there is fine.
    pub fn remove(&self, id: &VolumeId) -> Result<(), Error> {
        remove_whole(&self.directory(), &self.place(id))
    }

    fn place(&self, id: &VolumeId) -> PathBuf {
        self.directory().join(id.as_str())
    }

    fn directory(&self) -> PathBuf {
        self.store.join("volumes")
    }
}

/// Whether the directory has no entry; `lost+found`, which mkfs puts into a disk, doesn't count.
pub(crate) fn is_empty(path: &Path) -> Result<bool, Error> {
    for entry in fs::read_dir(path).at("read the directory", path)? {
        if entry.at("read the directory", path)?.file_name() != OsStr::new("lost+found") {
            return Ok(false);
        }
    }
    Ok(true)
}
