//! The list of changes, as Docker decides them: what was only copied up, with nothing about it changed, is none.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Stat};
use rustix::io::Errno;

use super::{Marks, is_mount_place, open};
use crate::error::{At, Error};
use crate::tree::{self, Mounts, Next, Node};
use crate::unpack::Lower;

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum ChangeKind {
    /// It was not there.
    Added,
    /// Its content, mode, owner or time is another, or something in the directory is.
    Modified,
    /// It is not there any more; nothing is said of what was in it.
    Deleted,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// From the root, without a slash before it.
    pub path: PathBuf,
}

/// What `upper` changes on `lowers` (top first): sorted by path, a directory before what is in it.
///
/// A file is changed if its kind, mode, owner, size or time is (directories: without size and time), or its
/// capabilities. A directory in which something changed counts as modified, the root never.
pub fn changes(upper: &Path, lowers: &[PathBuf], rootless: bool) -> Result<Vec<Change>, Error> {
    let mut search = Search {
        lower: Lower::new(lowers.to_vec(), rootless),
        marks: Marks::new(rootless),
        found: BTreeMap::new(),
        added: None,
    };
    tree::walk(open(upper)?, upper, Mounts::Refused, &mut |node| search.look_at(node))?;
    Ok(search.found.into_iter().map(|(path, kind)| Change { kind, path }).collect())
}

struct Search {
    lower: Lower,
    marks: Marks,
    found: BTreeMap<PathBuf, ChangeKind>,
    /// Below it everything is new.
    added: Option<PathBuf>,
}

impl Search {
    fn look_at(&mut self, node: &Node<'_>) -> Result<Next, Error> {
        if is_mount_place(node.path, node.stat) {
            return Ok(Next::Over);
        }
        if self.added.as_ref().is_some_and(|added| !node.path.starts_with(added)) {
            self.added = None;
        }
        let below = if self.added.is_some() { None } else { self.lower.lookup(node.path)? };
        if self.marks.is_whiteout(node)? {
            if below.is_some() {
                self.note(node.path, ChangeKind::Deleted);
            }
            return Ok(Next::Over);
        }
        let Some((below_fd, below)) = below else {
            self.note(node.path, ChangeKind::Added);
            if self.added.is_none() {
                self.added = Some(node.path.to_owned());
            }
            return Ok(Next::Into);
        };
        if differs(&below, node.stat) || self.capabilities_differ(node, &below)? {
            self.note(node.path, ChangeKind::Modified);
        }
        let both = [&below, node.stat].iter().all(|s| tree::kind_of(s) == FileType::Directory);
        if !both {
            // What was in a directory that became a file is gone with it.
            self.added.get_or_insert_with(|| node.path.to_owned());
        } else if self.marks.is_opaque(node.at, node.name, node.path)? {
            drop(below_fd);
            self.hidden_by(node)?;
        }
        Ok(Next::Into)
    }

    fn note(&mut self, path: &Path, kind: ChangeKind) {
        self.found.insert(path.to_owned(), kind);
        for above in path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
            if self.found.contains_key(above) {
                return;
            }
            self.found.insert(above.to_owned(), ChangeKind::Modified);
        }
    }

    /// The names of the layers below that an opaque directory doesn't have itself.
    fn hidden_by(&mut self, node: &Node<'_>) -> Result<(), Error> {
        let dir = self.lower.dir(node.path).at("open the directory", node.path)?;
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        let dir = rustix::fs::openat(dir, ".", flags, rustix::fs::Mode::empty());
        let dir = dir.at("open the directory", node.path)?;
        for entry in Dir::read_from(dir.as_fd()).at("read the directory", node.path)? {
            let entry = entry.at("read the directory", node.path)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let own = Path::new(node.name).join(name);
            match rustix::fs::statat(node.at, &own, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => {}
                Err(Errno::NOENT) => self.note(&node.path.join(name), ChangeKind::Deleted),
                Err(e) => return Err(e).at("read the attributes of", node.path.join(name)),
            }
        }
        Ok(())
    }

    fn capabilities_differ(&self, node: &Node<'_>, below: &Stat) -> Result<bool, Error> {
        if [below, node.stat].iter().any(|s| tree::kind_of(s) != FileType::RegularFile) {
            return Ok(false);
        }
        let name = c"security.capability";
        let ours = tree::read_xattr(&tree::proc_path(node.at, node.name), name);
        let parent = self.lower.dir(node.path.parent().unwrap_or(Path::new("")));
        let parent = parent.at("open the directory of", node.path)?;
        let theirs = tree::read_xattr(&tree::proc_path(parent.as_fd(), node.name), name);
        Ok(ours.at("read the capabilities of", node.path)?
            != theirs.at("read the capabilities of", node.path)?)
    }
}

fn differs(below: &Stat, now: &Stat) -> bool {
    let same_time = (below.st_mtime, below.st_mtime_nsec) == (now.st_mtime, now.st_mtime_nsec);
    (below.st_mode, below.st_uid, below.st_gid, below.st_rdev)
        != (now.st_mode, now.st_uid, now.st_gid, now.st_rdev)
        || (tree::kind_of(now) != FileType::Directory && (!same_time || below.st_size != now.st_size))
}
