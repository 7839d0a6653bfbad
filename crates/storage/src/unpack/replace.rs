//! What a later entry of the same archive takes the place of: gone from the layer, but its data is part of the archive.
//!
//! Files with data move to the directory of replaced files (see `recipe.rs`); everything else is removed.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{OfEntry, Parent, Unpacker, over};
use crate::error::Error;
use crate::tar::Entry;
use crate::tree;

/// Directories held open at once while a directory is emptied.
const OPEN_MAX: usize = 64;

impl Unpacker {
    /// Makes way for `entry` at `name`.
    pub(super) fn replace(&mut self, entry: &Entry, parent: &Parent, name: &OsStr) -> Result<(), Error> {
        let path = parent.path.join(name);
        let c_name = CString::new(name.as_bytes()).map_err(|_| Errno::INVAL).of("replace by", entry)?;
        if self.replace_file(entry, parent.fd.as_fd(), &c_name, &path)? {
            return Ok(());
        }
        self.empty(entry, &path)?;
        rustix::fs::unlinkat(&parent.fd, name, AtFlags::REMOVEDIR).of("replace by", entry)
    }

    /// False for a directory.
    fn replace_file(
        &mut self,
        entry: &Entry,
        at: BorrowedFd<'_>,
        name: &CStr,
        path: &Path,
    ) -> Result<bool, Error> {
        let stat = rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW).of("replace by", entry)?;
        match tree::kind_of(&stat) {
            FileType::Directory => return Ok(false),
            FileType::RegularFile if stat.st_size > 0 => {}
            _ => {
                rustix::fs::unlinkat(at, name, AtFlags::empty()).of("replace by", entry)?;
                return Ok(true);
            }
        }
        self.replaced_count += 1;
        over("replaced files", self.replaced_count, self.limits.replaced)?;
        if self.replaced_count == 1 {
            rustix::fs::mkdirat(CWD, &self.replaced_dir, Mode::RWXU).of("keep what is replaced by", entry)?;
        }
        let kept = self.replaced_dir.join(self.replaced.next(path));
        rustix::fs::renameat(at, name, CWD, &kept).of("keep what is replaced by", entry)?;
        Ok(true)
    }

    /// Removes everything in the directory at `top`, however deep; it is ours alone, so nothing is added meanwhile.
    fn empty(&mut self, entry: &Entry, top: &Path) -> Result<(), Error> {
        let mut path = top.to_owned();
        let mut stack = vec![Some(self.list(entry, &path)?)];
        while let Some(frame) = stack.last_mut() {
            let dir = match frame {
                Some(dir) => dir,
                // Closed when the way down was long; what was read of it is gone by now.
                None => frame.insert(self.list(entry, &path)?),
            };
            let Some(found) = dir.read() else {
                stack.pop();
                if let Some(name) = path.file_name().map(OsStr::to_owned)
                    && path != top
                {
                    path.pop();
                    let parent = self.open_dir(&path).of("replace by", entry)?;
                    rustix::fs::unlinkat(&parent, &name, AtFlags::REMOVEDIR).of("replace by", entry)?;
                }
                continue;
            };
            let found = found.of("replace by", entry)?;
            let name = found.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let child = path.join(OsStr::from_bytes(name.to_bytes()));
            let at = dir.fd().of("replace by", entry)?;
            if !self.replace_file(entry, at, name, &child)? {
                if let Some(far) = stack.len().checked_sub(OPEN_MAX) {
                    stack[far] = None;
                }
                stack.push(Some(self.list(entry, &child)?));
                path = child;
            }
        }
        Ok(())
    }

    fn list(&self, entry: &Entry, path: &Path) -> Result<Dir, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let fd = self.root.open_plain(path, flags, Mode::empty()).of("replace by", entry)?;
        Dir::new(fd).of("replace by", entry)
    }
}
