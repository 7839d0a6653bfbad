//! One entry becomes one file: made anew, never through what is there, its attributes in the order that keeps them.
//!
//! chown clears setuid and file capabilities, a write clears them too, and chmod must follow chown: so data, owner,
//! mode, extended attributes, times.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid, XattrFlags};
use rustix::io::Errno;

use super::whiteout::is_whiteout;
use super::{OfEntry, Parent, Unpacker, entry_times, problem_of, shown};
use crate::error::{EntryProblem, Error};
use crate::tar::{Archive, Entry, EntryKind};
use crate::tree;

/// Attributes that the host's security modules own; an image has no say in them.
const HOST_LABELS: [&[u8]; 6] = [
    b"security.selinux",
    b"security.SMACK64",
    b"security.apparmor",
    b"security.ima",
    b"security.evm",
    b"security.sehash",
];
const SET_IDS: u32 = 0o6000;

impl Unpacker {
    pub(super) fn place(
        &mut self,
        entry: &Entry,
        parent: &Parent,
        name: &OsStr,
        archive: &mut Archive<'_>,
    ) -> Result<(), Error> {
        match entry.kind {
            EntryKind::File => self.file(entry, parent, name, archive),
            EntryKind::Dir => self.dir(entry, parent, name),
            EntryKind::Hardlink => self.hardlink(entry, parent, name),
            EntryKind::Symlink => {
                let link = OsStr::from_bytes(&entry.link);
                self.anew(entry, parent, name, "make the symlink", || {
                    rustix::fs::symlinkat(link, &parent.fd, name)
                })?;
                self.attributes(entry, parent, name)
            }
            EntryKind::Char => self.node(entry, parent, name, FileType::CharacterDevice),
            EntryKind::Block => self.node(entry, parent, name, FileType::BlockDevice),
            EntryKind::Fifo => self.node(entry, parent, name, FileType::Fifo),
        }
    }

    /// Attributes of `./`.
    pub(super) fn root_attributes(&mut self, entry: &Entry) -> Result<(), Error> {
        self.check_xattrs(entry)?;
        self.note_ids(entry);
        let parent = self.parent(entry, &[])?;
        self.attributes(entry, &parent, OsStr::new("."))?;
        self.remember(parent.path.clone(), entry_times(entry))
    }

    /// Runs `make`, removing what is in its way once.
    fn anew<T>(
        &mut self,
        entry: &Entry,
        parent: &Parent,
        name: &OsStr,
        doing: &'static str,
        mut make: impl FnMut() -> Result<T, Errno>,
    ) -> Result<T, Error> {
        match make() {
            Err(Errno::EXIST) => {
                self.forget_parent();
                self.replace(entry, parent, name)?;
                make().of(doing, entry)
            }
            other => other.of(doing, entry),
        }
    }

    fn file(
        &mut self,
        entry: &Entry,
        parent: &Parent,
        name: &OsStr,
        archive: &mut Archive<'_>,
    ) -> Result<(), Error> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = self.anew(entry, parent, name, "make the file of", || {
            rustix::fs::openat(&parent.fd, name, flags, Mode::RUSR | Mode::WUSR)
        })?;
        let mut file = File::from(fd);
        let path = parent.path.join(name);
        let turn = self.replaced.turn(&path);
        match &entry.sparse {
            None => {
                write_data(&mut file, entry.size, entry, archive)?;
                archive.record_piece(&path, turn, 0, entry.size)?;
            }
            Some(segments) => {
                file.set_len(entry.size).of("set the size of", entry)?;
                for segment in segments {
                    file.seek(SeekFrom::Start(segment.offset)).of("write", entry)?;
                    write_data(&mut file, segment.length, entry, archive)?;
                    archive.record_piece(&path, turn, segment.offset, segment.length)?;
                }
            }
        }
        let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        let mode = self.owned(entry, rustix::fs::fchown(&file, Some(uid), Some(gid)))?;
        rustix::fs::fchmod(&file, mode).of("set the mode of", entry)?;
        for (key, value) in wanted_xattrs(entry) {
            rustix::fs::fsetxattr(&file, key, value, XattrFlags::empty()).of("set an attribute of", entry)?;
        }
        rustix::fs::futimens(&file, &entry_times(entry)).of("set the times of", entry)
    }

    fn dir(&mut self, entry: &Entry, parent: &Parent, name: &OsStr) -> Result<(), Error> {
        let path = parent.path.join(name);
        match rustix::fs::mkdirat(&parent.fd, name, Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let stat = rustix::fs::statat(&parent.fd, name, AtFlags::SYMLINK_NOFOLLOW)
                    .of("look at what is in the place of", entry)?;
                // Only a directory keeps what is in it; anything else, a whiteout too, replaced the one below.
                if tree::kind_of(&stat) != FileType::Directory {
                    self.forget_parent();
                    self.replace(entry, parent, name)?;
                    rustix::fs::mkdirat(&parent.fd, name, Mode::RWXU).of("make the directory of", entry)?;
                    self.opaque.remove(&path);
                    self.set_opaque(entry, &path)?;
                }
            }
            Err(e) => return Err(e).of("make the directory of", entry),
        }
        self.attributes(entry, parent, name)?;
        self.remember(path, entry_times(entry))
    }

    fn node(&mut self, entry: &Entry, parent: &Parent, name: &OsStr, kind: FileType) -> Result<(), Error> {
        let device = match kind {
            FileType::Fifo => 0,
            _ => rustix::fs::makedev(entry.device.0, entry.device.1),
        };
        if kind == FileType::CharacterDevice && device == 0 {
            return Err(problem_of(entry, EntryProblem::ZeroDevice));
        }
        if kind != FileType::Fifo && self.rootless {
            // The archives of debootstrap and its kin carry /dev; what stands there is mounted over in a container.
            if parent.path.starts_with("dev") {
                self.skipped_devices += 1;
                return Ok(());
            }
            return Err(problem_of(entry, EntryProblem::Device));
        }
        self.anew(entry, parent, name, "make the device of", || {
            rustix::fs::mknodat(&parent.fd, name, kind, Mode::RUSR | Mode::WUSR, device)
        })?;
        self.attributes(entry, parent, name)
    }

    fn hardlink(&mut self, entry: &Entry, parent: &Parent, name: &OsStr) -> Result<(), Error> {
        let no_target = || problem_of(entry, EntryProblem::NoTarget(shown(&entry.link)));
        let components = self.components(&entry.link).map_err(|problem| problem_of(entry, problem))?;
        let Some((target, target_parents)) = components.split_last() else { return Err(no_target()) };
        let target = OsStr::from_bytes(target);
        let target_parent = self.parent(entry, target_parents)?;
        if target_parent.path == parent.path && target == name {
            return Ok(());
        }
        match rustix::fs::statat(&target_parent.fd, target, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if tree::kind_of(&stat) == FileType::Directory || is_whiteout(&stat) => {
                return Err(no_target());
            }
            Ok(_) => {}
            Err(Errno::NOENT) => {
                if !self.copy_up(entry, &target_parent, target)? {
                    return Err(no_target());
                }
            }
            Err(e) => return Err(e).of("look at the target of", entry),
        }
        // Without AT_SYMLINK_FOLLOW: a symlink is linked itself, never what it names.
        self.anew(entry, parent, name, "make the hard link", || {
            rustix::fs::linkat(&target_parent.fd, target, &parent.fd, name, AtFlags::empty())
        })
    }

    /// Brings a file of the layers below into this one, to be linked to. False if there is none.
    fn copy_up(&mut self, entry: &Entry, parent: &Parent, name: &OsStr) -> Result<bool, Error> {
        let path = parent.path.join(name);
        if self.hidden(&path) {
            return Ok(false);
        }
        match self.lower.lookup(&path)? {
            Some((_, stat)) if tree::kind_of(&stat) != FileType::Directory => {
                let below = self.lower.dir(&parent.path).of("open the target of", entry)?;
                let (from, to) = ((below.as_fd(), name), (parent.fd.as_fd(), name));
                tree::copy_node(&stat, from, to).of("copy the target of", entry)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Owner, mode, extended attributes and times of anything that is not a regular file.
    fn attributes(&mut self, entry: &Entry, parent: &Parent, name: &OsStr) -> Result<(), Error> {
        let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let mode = self.owned(entry, rustix::fs::chownat(&parent.fd, name, Some(uid), Some(gid), flags))?;
        if entry.kind != EntryKind::Symlink {
            // Follows nothing: the name was made or checked a moment ago in a directory that only we know.
            rustix::fs::chmodat(&parent.fd, name, mode, AtFlags::empty()).of("set the mode of", entry)?;
        }
        for (key, value) in wanted_xattrs(entry) {
            let path = tree::proc_path(parent.fd.as_fd(), name);
            let set = rustix::fs::lsetxattr(path, key, value, XattrFlags::empty());
            set.of("set an attribute of", entry)?;
        }
        if entry.kind == EntryKind::Dir {
            return Ok(());
        }
        rustix::fs::utimensat(&parent.fd, name, &entry_times(entry), flags).of("set the times of", entry)
    }

    /// The mode that goes with what chown said. A user namespace that lacks the id leaves the file to its root, and
    /// then setuid would give away root's rights instead of somebody else's.
    fn owned(&mut self, entry: &Entry, chown: Result<(), Errno>) -> Result<Mode, Error> {
        match chown {
            Err(Errno::INVAL | Errno::PERM) if self.rootless => {
                self.squashed_owners += 1;
                Ok(Mode::from_raw_mode(entry.mode & !SET_IDS))
            }
            other => other.of("set the owner of", entry).map(|()| Mode::from_raw_mode(entry.mode)),
        }
    }
}

fn wanted_xattrs(entry: &Entry) -> impl Iterator<Item = (&OsStr, &[u8])> {
    let wanted = entry.xattrs.iter().filter(|(name, _)| !HOST_LABELS.contains(&name.as_slice()));
    wanted.map(|(name, value)| (OsStr::from_bytes(name), value.as_slice()))
}

fn write_data(file: &mut File, size: u64, entry: &Entry, archive: &mut Archive<'_>) -> Result<(), Error> {
    let mut left = size;
    while left > 0 {
        let chunk = archive.content(left)?;
        if chunk.is_empty() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof)).of("read the data of", entry);
        }
        left -= chunk.len() as u64;
        file.write_all(chunk).of("write", entry)?;
    }
    Ok(())
}
