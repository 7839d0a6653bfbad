//! Volumes' data: `volumes/<id>/data`, made empty, filled once from an image, removed whole.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use corten_model::VolumeId;
use rustix::fs::{CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

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

    /// First use of a volume that nobody knows yet: copies the image's directory `path`, seen in the mounted `image`. True
    /// if it was copied. A crash leaves the volume empty, never half full.
    pub fn fill(&self, id: &VolumeId, image: BorrowedFd<'_>, path: &Path) -> Result<bool, Error> {
        let Some((_temp, copied)) = self.copied(id, image, path)? else { return Ok(false) };
        let data = self.store.volume_data(id);
        match fs::rename(&copied, &data) {
            // A rename only replaces an empty directory: somebody was faster, and theirs is kept.
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            other => other.at("rename to", &data).map(|()| true),
        }
    }

    /// The same for one that is there and empty. Its directory stays the one that it is: a container that is starting
    /// just now may have it mounted already. What somebody puts there meanwhile is kept.
    pub fn fill_in_place(&self, id: &VolumeId, image: BorrowedFd<'_>, path: &Path) -> Result<bool, Error> {
        let Some((_temp, copied)) = self.copied(id, image, path)? else { return Ok(false) };
        let data = self.store.volume_data(id);
        let open = |path: &Path| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::openat(CWD, path, flags, Mode::empty()).at("open the directory", path)
        };
        let (from, to) = (open(&copied)?, open(&data)?);
        let stat = rustix::fs::fstat(&from).at("read the attributes of", &copied)?;
        for entry in fs::read_dir(&copied).at("read the directory", &copied)? {
            let name = entry.at("read the directory", &copied)?.file_name();
            match rustix::fs::renameat_with(&from, &name, &to, &name, RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => return Ok(false),
                other => other.at("rename to", data.join(&name))?,
            }
        }
        tree::copy_own_attributes(&stat, from.as_fd(), to.as_fd()).at("set the attributes of", &data)?;
        Ok(true)
    }

    /// What the image has at `path`, copied beside the data of an empty volume; it goes with the first value.
    fn copied(
        &self,
        id: &VolumeId,
        image: BorrowedFd<'_>,
        path: &Path,
    ) -> Result<Option<(TempDir, PathBuf)>, Error> {
        if !is_empty(&self.store.volume_data(id))? {
            return Ok(None);
        }
        let temp = TempDir::new(&self.place(id))?;
        let copied = temp.path().join("data");
        fs::create_dir(&copied).at("make the directory", &copied)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let to = rustix::fs::openat(CWD, &copied, flags, Mode::empty()).at("open the directory", &copied)?;
        let found = tree::copy(image, path, to.as_fd())?;
        Ok(found.then_some((temp, copied)))
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
