//! The merged view of the layers below, mounted only if an entry asks for it.

use std::cell::OnceCell;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use corten_sys::path::Root;
use rustix::fs::{Mode, OFlags, Stat};

use super::is_other;
use crate::error::{At, Error};
use crate::snapshot;

pub(crate) struct Lower {
    dirs: Vec<PathBuf>,
    rootless: bool,
    view: OnceCell<Root>,
}

impl Lower {
    pub fn new(dirs: Vec<PathBuf>, rootless: bool) -> Self {
        Self { dirs, rootless, view: OnceCell::new() }
    }

    /// The directory of the layer right below.
    pub fn top(&self) -> Option<&Path> {
        self.dirs.first().map(PathBuf::as_path)
    }

    pub fn is_empty(&self) -> bool {
        self.dirs.is_empty()
    }

    /// What is at `path`, a path without symlinks; none if there is nothing.
    pub fn lookup(&self, path: &Path) -> Result<Option<(OwnedFd, Stat)>, Error> {
        let Some(view) = self.view()? else { return Ok(None) };
        let fd = match view.open_plain(path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(fd) => fd,
            Err(e) if is_other(&e) => return Ok(None),
            Err(e) => return Err(e).at("look up in the layers below", path),
        };
        let stat = rustix::fs::fstat(&fd).at("read the attributes of", path)?;
        Ok(Some((fd, stat)))
    }

    /// The directory of the merged view at `path`.
    pub fn dir(&self, path: &Path) -> io::Result<OwnedFd> {
        let view = self.view.get().ok_or(io::ErrorKind::NotFound)?;
        view.open_plain(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
    }

    fn view(&self) -> Result<Option<&Root>, Error> {
        if self.view.get().is_none() {
            let root = match self.dirs.as_slice() {
                [] => return Ok(None),
                // One layer is its own merged view; it has no whiteouts, there being nothing to hide.
                [only] => Root::open(only).at("open the directory", only)?,
                many => Root::from_fd(snapshot::view(many, self.rootless)?),
            };
            let _ = self.view.set(root);
        }
        Ok(self.view.get())
    }
}
