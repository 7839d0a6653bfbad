//! Whiteouts of archives, and what overlay reads in their place: device 0:0 and the opaque mark.
//!
//! A whiteout hides what the layers below have, never what its own layer brings, wherever it stands in the archive.

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, Stat, XattrFlags};
use rustix::io::Errno;

use super::{OfEntry, Parent, Unpacker};
use crate::error::Error;
use crate::tar::Entry;
use crate::tree;

const PREFIX: &[u8] = b".wh.";
/// Marks of aufs, not names: ignored but for the opaque one.
const META_PREFIX: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What an entry's name means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Class<'n> {
    Ordinary,
    Ignored,
    Invalid,
    Opaque,
    Hides(&'n [u8]),
}

pub(super) fn classify<'n>(parents: &[&[u8]], name: &'n [u8]) -> Class<'n> {
    if parents.iter().any(|p| p.starts_with(META_PREFIX)) {
        return Class::Ignored;
    }
    // Nothing can be below a whiteout, and a file can't have such a name.
    if parents.iter().any(|p| p.starts_with(PREFIX)) {
        return Class::Invalid;
    }
    match name.strip_prefix(PREFIX) {
        None => Class::Ordinary,
        Some(_) if name == OPAQUE => Class::Opaque,
        Some(_) if name.starts_with(META_PREFIX) => Class::Ignored,
        Some(b"" | b"." | b"..") => Class::Invalid,
        Some(hidden) => Class::Hides(hidden),
    }
}

pub(super) fn is_whiteout(stat: &Stat) -> bool {
    tree::kind_of(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

impl Unpacker {
    /// `.wh..wh..opq`: nothing of the layers below is seen in the directory.
    pub(super) fn hide_all(&mut self, entry: &Entry, parents: &[&[u8]]) -> Result<(), Error> {
        if self.lower.is_empty() {
            return Ok(());
        }
        let parent = self.parent(entry, parents)?;
        // The root's mark would be overlay's own business with the upper directory; each name is hidden instead.
        if parent.path.as_os_str().is_empty() {
            // Once: a list of the root for each of a million such entries would be a bomb.
            return if self.opaque.contains(Path::new("")) { Ok(()) } else { self.hide_root(entry, &parent) };
        }
        self.set_opaque(entry, &parent.path)
    }

    /// `.wh.<hidden>`.
    pub(super) fn hide(&mut self, entry: &Entry, parents: &[&[u8]], hidden: &[u8]) -> Result<(), Error> {
        if self.lower.is_empty() {
            return Ok(());
        }
        let parent = self.parent(entry, parents)?;
        self.hide_name(entry, &parent, OsStr::from_bytes(hidden))
    }

    fn hide_name(&mut self, entry: &Entry, parent: &Parent, hidden: &OsStr) -> Result<(), Error> {
        let path = parent.path.join(hidden);
        match rustix::fs::statat(&parent.fd, hidden, AtFlags::SYMLINK_NOFOLLOW) {
            // This layer's own directory stays, without what was below; its own file hides by being there.
            Ok(stat) if tree::kind_of(&stat) == FileType::Directory => return self.set_opaque(entry, &path),
            Ok(_) => return Ok(()),
            Err(Errno::NOENT) => {}
            Err(e) => return Err(e).of("look at what is hidden by", entry),
        }
        // A whiteout of nothing would be listed by readdir(3) in a directory that only this layer has.
        if self.hidden(&path) || self.lower.lookup(&path)?.is_none() {
            return Ok(());
        }
        let made = rustix::fs::mknodat(&parent.fd, hidden, FileType::CharacterDevice, Mode::empty(), 0);
        made.of("make the whiteout of", entry)
    }

    fn hide_root(&mut self, entry: &Entry, parent: &Parent) -> Result<(), Error> {
        let Some((fd, _)) = self.lower.lookup(Path::new(""))? else { return Ok(()) };
        let entries = rustix::fs::openat(&fd, ".", rustix::fs::OFlags::RDONLY, Mode::empty())
            .and_then(rustix::fs::Dir::new)
            .of("list what is hidden by", entry)?;
        for below in entries {
            let below = below.of("list what is hidden by", entry)?;
            let name = below.file_name();
            if !matches!(name.to_bytes(), b"." | b"..") {
                self.hide_name(entry, parent, OsStr::from_bytes(name.to_bytes()))?;
            }
        }
        self.opaque.insert(PathBuf::new());
        Ok(())
    }

    /// Marks the layer's directory at `path`; without layers below there is nothing to mark.
    pub(super) fn set_opaque(&mut self, entry: &Entry, path: &Path) -> Result<(), Error> {
        if self.lower.is_empty() || !self.opaque.insert(path.to_owned()) {
            return Ok(());
        }
        self.count_opaque(path)?;
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
        let dir = self.root.open_plain(path, flags, Mode::empty()).of("open the directory of", entry)?;
        let name = if self.rootless { "user.overlay.opaque" } else { "trusted.overlay.opaque" };
        rustix::fs::fsetxattr(&dir, name, b"y", XattrFlags::empty()).of("make opaque the directory of", entry)
    }

    /// Whether a directory above `path` hides what the layers below have there.
    pub(super) fn hidden(&self, path: &Path) -> bool {
        !self.opaque.is_empty() && path.ancestors().skip(1).any(|a| self.opaque.contains(a))
    }
}

/// Removes `name`'s whiteout and makes a directory there.
pub(super) fn replace_by_dir(at: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    rustix::fs::unlinkat(at, name, AtFlags::empty())?;
    rustix::fs::mkdirat(at, name, Mode::RWXU)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_whiteouts() {
        let check = |path: &str, expected: Class<'_>| {
            let parts: Vec<_> = path.split('/').map(str::as_bytes).collect();
            let (name, parents) = parts.split_last().unwrap();
            assert_eq!(classify(parents, name), expected, "{path}");
        };
        check("a/b", Class::Ordinary);
        check("a/.wha", Class::Ordinary);
        check("a/.wh.b", Class::Hides(b"b"));
        check(".wh.wh.b", Class::Hides(b"wh.b"));
        check("a/.wh..wh..opq", Class::Opaque);
        for ignored in [".wh..wh.plnk", ".wh..wh.orph/x", ".wh..wh.x", "a/.wh..wh.aufs"] {
            check(ignored, Class::Ignored);
        }
        for invalid in [".wh.", ".wh..", ".wh...", ".wh.a/b", "a/.wh."] {
            check(invalid, Class::Invalid);
        }
        check(".wh....", Class::Hides(b"..."));
    }
}
