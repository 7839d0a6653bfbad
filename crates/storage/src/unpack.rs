//! From the entries of an archive to a layer's directory: exact, and never outside of it.
//!
//! Owns the order of things: an entry's name becomes components, the components a parent's descriptor
//! (`unpack/parents.rs`), the entry a file below it (`unpack/place.rs`) or a mark for overlay
//! (`unpack/whiteout.rs`). No path is ever given to the kernel whole without openat2's restrictions, and the last
//! component is never followed (CVE-2014-9356, -9357, -6407; CVE-2025-47290). Directories' times come last.

mod lower;
mod parents;
mod place;
mod replace;
mod times;
mod whiteout;

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use corten_model::Digest;
use corten_model::idmap::{DEFAULT_RANGE, HIGH_IDS_MAX};
use corten_sys::path::Root;
use rustix::fs::{Mode, OFlags, Timespec, Timestamps};

use crate::error::{At, EntryProblem, Error};
use crate::limits::Limits;
use crate::recipe::{REPLACED, Recorder, Replaced};
use crate::tar::{Archive, Entry, EntryKind, Feed, Source, TarError, overlapped};
pub(crate) use lower::Lower;
use times::Times;

/// What an archive amounted to.
pub(crate) struct Outcome {
    pub size_bytes: u64,
    pub tar_bytes: u64,
    pub high_ids: Vec<u32>,
    pub squashed_owners: u64,
    pub skipped_devices: u64,
}

/// A directory of the layer.
#[derive(Debug)]
struct Parent {
    /// For *at() calls only.
    fd: OwnedFd,
    /// Its path in the layer, without symlinks.
    path: PathBuf,
}

/// One layer being unpacked.
pub(crate) struct Unpacker {
    root: Root,
    lower: Lower,
    rootless: bool,
    limits: Limits,
    /// The parent of the last entry by its name there: archives list a directory's files together.
    last_parent: Option<(Vec<u8>, Arc<Parent>)>,
    /// Times of directories, set when nothing is made in them any more.
    times: Times,
    /// Where files go that later entries replace, and how often that happened.
    replaced_dir: PathBuf,
    replaced: Replaced,
    replaced_count: u64,
    /// Directories that hide what is below them.
    opaque: HashSet<PathBuf>,
    content_bytes: u64,
    /// Directories that entries imply, which cost as much as entries.
    implied: u64,
    /// Components looked up one by one, because of symlinks or missing directories.
    steps: u64,
    /// Bytes of paths in `times`, and in `opaque`.
    times_bytes: u64,
    opaque_bytes: u64,
    high_ids: BTreeSet<u32>,
    squashed_owners: u64,
    skipped_devices: u64,
}

/// Bytes of directories' paths that are kept on disk until the end.
const TIMES_BYTES_MAX: u64 = 1 << 30;
/// Bytes of memory for the directories that hide what is below them, each with a name of usual length.
const OPAQUE_BYTES_MAX: u64 = 16 << 20;
/// Bytes that one costs besides its name.
const OPAQUE_BYTES: u64 = 64;
/// Components looked up one by one, for each entry that an archive may have.
const STEPS_PER_ENTRY: u64 = 32;

impl Unpacker {
    /// Unpacks into the empty directory `tree`, as a layer on `lowers` (top first). What is replaced is kept in the
    /// directory `beside`.
    pub fn new(
        tree: &Path,
        beside: &Path,
        lowers: Vec<PathBuf>,
        rootless: bool,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let unpacker = Self {
            root: Root::open(tree).at("open the directory", tree)?,
            lower: Lower::new(lowers, rootless),
            rootless,
            limits: limits.clone(),
            last_parent: None,
            times: Times::new(beside.to_owned()),
            replaced_dir: beside.join(REPLACED),
            replaced: Replaced::default(),
            replaced_count: 0,
            opaque: HashSet::new(),
            content_bytes: 0,
            implied: 0,
            steps: 0,
            times_bytes: 0,
            opaque_bytes: 0,
            high_ids: BTreeSet::new(),
            squashed_owners: 0,
            skipped_devices: 0,
        };
        // Overlay shows the attributes of the topmost root, so a layer that says nothing of it repeats the one below.
        let mode = match unpacker.lower.top() {
            Some(top) => {
                let stat = rustix::fs::stat(top).at("read the attributes of", top)?;
                let owner = (rustix::fs::Uid::from_raw(stat.st_uid), rustix::fs::Gid::from_raw(stat.st_gid));
                std::os::unix::fs::chown(tree, Some(owner.0.as_raw()), Some(owner.1.as_raw()))
                    .at("set the owner of", tree)?;
                Mode::from_raw_mode(stat.st_mode & 0o7777)
            }
            None => Mode::from_raw_mode(0o755),
        };
        rustix::fs::chmod(tree, mode).at("set the mode of", tree)?;
        Ok(unpacker)
    }

    /// Reads `tar` to its end and tells `recorder` what is needed to rebuild it. One with another digest than `expected` is
    /// that, whatever else is wrong with it.
    pub fn run(
        self,
        tar: &mut dyn Read,
        expected: Option<&Digest>,
        recorder: Recorder,
    ) -> Result<(Outcome, Digest), Error> {
        let (made, hash) = overlapped(tar, expected.is_some(), move |feed| self.entries(feed, recorder));
        let found = hash.map(Digest::from_sha256);
        match (found, expected) {
            (Some(found), Some(expected)) if found != *expected => {
                Err(Error::WrongDiffId { expected: expected.clone(), found })
            }
            (Some(found), _) => made.map(|outcome| (outcome, found)),
            // Who unpacked it had enough of it, and says why.
            (None, _) => made.and(Err(TarError::Truncated { at: 0 }.into())),
        }
    }

    fn entries(mut self, feed: Feed<'_>, recorder: Recorder) -> Result<Outcome, Error> {
        let source = Source::new(feed, self.limits.stream_bytes, Some(recorder));
        let mut archive = Archive::new(source, self.limits.clone());
        while let Some(entry) = archive.next()? {
            self.entry(&entry, &mut archive)?;
        }
        let tar_bytes = archive.into_source().finish()?;
        self.set_times()?;
        Ok(Outcome {
            size_bytes: self.content_bytes,
            tar_bytes,
            high_ids: self.high_ids.into_iter().collect(),
            squashed_owners: self.squashed_owners,
            skipped_devices: self.skipped_devices,
        })
    }

    /// Remembers ids that a container's ordinary range doesn't have; one more than can be mapped is enough to know.
    fn note_ids(&mut self, entry: &Entry) {
        for id in [entry.uid, entry.gid] {
            if id >= DEFAULT_RANGE && self.high_ids.len() <= HIGH_IDS_MAX {
                self.high_ids.insert(id);
            }
        }
    }

    fn entry(&mut self, entry: &Entry, archive: &mut Archive<'_>) -> Result<(), Error> {
        let components = self.components(&entry.path).map_err(|problem| problem_of(entry, problem))?;
        let Some((name, parents)) = components.split_last() else {
            return match entry.kind {
                EntryKind::Dir => self.root_attributes(entry),
                _ => Err(problem_of(entry, EntryProblem::Root)),
            };
        };
        match whiteout::classify(parents, name) {
            whiteout::Class::Ordinary => {}
            whiteout::Class::Ignored => return Ok(()),
            whiteout::Class::Invalid => return Err(problem_of(entry, EntryProblem::Whiteout)),
            whiteout::Class::Opaque => return self.hide_all(entry, parents),
            whiteout::Class::Hides(hidden) => return self.hide(entry, parents, hidden),
        }
        self.content_bytes = self.content_bytes.saturating_add(entry.size);
        over("bytes of files", self.content_bytes, self.limits.content_bytes)?;
        self.check_xattrs(entry)?;
        self.note_ids(entry);
        let parent = self.parent(entry, parents)?;
        let name = OsStr::from_bytes(name);
        self.check_path(&parent.path.join(name))?;
        self.place(entry, &parent, name, archive)
    }

    /// Symlinks may make a path in the layer longer than the entry's name, and than what can be opened at once.
    fn check_path(&self, path: &Path) -> Result<(), Error> {
        over("bytes in a path", path.as_os_str().len() as u64, self.limits.path_bytes)
    }

    /// The components of a name: absolute means from the layer's root, `.` and empty ones are nothing.
    fn components<'n>(&self, name: &'n [u8]) -> Result<Vec<&'n [u8]>, EntryProblem> {
        let parts = name.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".");
        let components: Vec<_> = parts.collect();
        if components.contains(&&b".."[..]) {
            return Err(EntryProblem::DotDot);
        }
        if components.len() as u64 > u64::from(self.limits.depth) {
            return Err(EntryProblem::TooDeep(self.limits.depth));
        }
        Ok(components)
    }

    /// Overlay's own marks could redirect a directory to any path of the lower layers, and `trusted.*` belongs to the
    /// host's administrator.
    fn check_xattrs(&self, entry: &Entry) -> Result<(), Error> {
        for (name, _) in &entry.xattrs {
            let text = String::from_utf8_lossy(name);
            let allowed = match text.split_once('.') {
                Some(("user", rest)) => !rest.starts_with("overlay."),
                Some(("security", _)) => true,
                Some(("system", rest)) => rest.starts_with("posix_acl_"),
                _ => false,
            };
            if !allowed {
                return Err(problem_of(entry, EntryProblem::Xattr(text.into_owned())));
            }
        }
        Ok(())
    }

    /// Keeps a directory's times for the end.
    fn remember(&mut self, path: PathBuf, times: Timestamps) -> Result<(), Error> {
        self.times_bytes += path.as_os_str().len() as u64;
        over("bytes of directories' names", self.times_bytes, TIMES_BYTES_MAX)?;
        self.times.add(&path, &times).at("remember the times of", &path)
    }

    /// A directory that hides what is below it goes into the list of them.
    fn count_opaque(&mut self, path: &Path) -> Result<(), Error> {
        self.opaque_bytes += path.as_os_str().len() as u64 + OPAQUE_BYTES;
        over("bytes of hiding directories' names", self.opaque_bytes, OPAQUE_BYTES_MAX)
    }

    /// One component was looked up by hand.
    fn count_step(&mut self) -> Result<(), Error> {
        self.steps += 1;
        over("steps through symlinks", self.steps, self.limits.entries.saturating_mul(STEPS_PER_ENTRY))
    }

    /// A directory is made that no entry names.
    fn count_implied(&mut self) -> Result<(), Error> {
        self.implied += 1;
        over("entries", self.implied, self.limits.entries)
    }

    fn set_times(&mut self) -> Result<(), Error> {
        let times = std::mem::replace(&mut self.times, Times::new(PathBuf::new()));
        let set = times.for_each(|path, times| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let fd = match self.root.open_plain(path, flags, Mode::empty()) {
                Ok(fd) => fd,
                // A later entry put something else there, or at one of its parents.
                Err(e) if is_other(&e) => return Ok(()),
                Err(e) => return Err(e).at("open the directory", path),
            };
            rustix::fs::futimens(&fd, times).at("set the times of", path)
        });
        set.at("read the times of directories of", "")?
    }
}

/// Whether a lookup without symlinks failed because there is nothing, a symlink, or no directory.
fn is_other(error: &io::Error) -> bool {
    matches!(
        rustix::io::Errno::from_io_error(error),
        Some(rustix::io::Errno::NOENT | rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR)
    )
}

fn over(what: &'static str, value: u64, max: u64) -> Result<(), Error> {
    if value > max { Err(TarError::Limit { what, max }.into()) } else { Ok(()) }
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn problem_of(entry: &Entry, problem: EntryProblem) -> Error {
    Error::Entry { entry: shown(&entry.path), problem }
}

fn entry_times(entry: &Entry) -> Timestamps {
    let time = Timespec { tv_sec: entry.mtime_s, tv_nsec: i64::from(entry.mtime_ns) };
    Timestamps { last_access: time, last_modification: time }
}

/// Names a failed step of an entry.
trait OfEntry<T> {
    fn of(self, doing: &'static str, entry: &Entry) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> OfEntry<T> for Result<T, E> {
    fn of(self, doing: &'static str, entry: &Entry) -> Result<T, Error> {
        self.map_err(|e| Error::Unpack { doing, entry: shown(&entry.path), source: e.into() })
    }
}

#[cfg(test)]
mod tests;
