//! Work on the files of one container: its changes, a layer made of them, copies in and out.
//!
//! Bytes go through pipes as archives: the host's side of a copy is read and written by who called, the container's side
//! by a process in the container's namespaces, and neither resolves a path of the other.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use corten_model::Digest;
use corten_storage::archive::{self, Extraction, Selection};
use corten_storage::diff::{self, Change, ChangeKind, Upper};
use corten_storage::snapshot::{self, Snapshot};
use corten_storage::{Limits, Store, TarError, Unpacked};
use corten_sys::path::Root;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::namespaces::{Enter, Seen};
use super::{Error, Job, Worker};
use crate::{Engine, Result};

/// One piece of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "kebab-case")]
pub(super) enum Work {
    /// Write what `upper` changes on `lowers`.
    Changes { upper: PathBuf, lowers: Vec<PathBuf> },
    /// Make a layer.
    Commit { root: PathBuf, upper: Upper, parent: Digest, limits: Limits },
    /// Write everything, of these layers or of the container that was entered, without what is mounted in it.
    Export { lowers: Option<Vec<PathBuf>> },
    /// Write some of it, with what is mounted in it.
    CopyOut { view: View, selection: Selection },
    /// Read into it.
    CopyIn { view: View, extraction: Extraction },
}

/// A container's file system with its mounts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum View {
    /// Of the container that was entered.
    Running,
    /// Mounted for the time of the work.
    Stopped(Box<Stopped>),
}

/// What a start would mount.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stopped {
    pub snapshot: Snapshot,
    pub read_only: bool,
    pub mounts: Vec<ViewMount>,
}

/// A volume, a bind or an image.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ViewMount {
    pub source: ViewSource,
    pub target: String,
    pub recursive: bool,
    pub read_only: bool,
    /// What of it is shown; resolved inside of it only.
    pub subpath: Option<String>,
}

/// What is mounted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ViewSource {
    /// A path of the host.
    Path(PathBuf),
    /// Layers of an image, top first.
    Layers(Vec<PathBuf>),
}

/// What came of it, beside bytes.
pub(super) fn perform(
    work: Work,
    seen: Option<&Seen>,
    rootless: bool,
    input: &mut dyn Read,
    output: &mut dyn Write,
) -> std::result::Result<Option<Unpacked>, corten_storage::Error> {
    match work {
        Work::Changes { upper, lowers } => {
            let write = |change: &Change| {
                output.write_all(letter(change.kind))?;
                output.write_all(change.path.as_os_str().as_bytes())?;
                output.write_all(b"\0")
            };
            let changes = diff::changes(&upper, &lowers, rootless)?;
            changes.iter().try_for_each(write).map_err(corten_storage::Error::WriteArchive)?;
        }
        Work::Commit { root, upper, parent, limits } => {
            let store = Store::open(&root, rootless)?;
            return diff::commit(&store, &upper, &parent, &limits).map(Some);
        }
        Work::Export { lowers } => {
            let root = match (lowers, seen) {
                (Some(lowers), _) => Root::from_fd(snapshot::view(&lowers, rootless)?),
                (None, seen) => root_of(seen.map(|s| s.alone.as_fd()))?,
            };
            let all = Selection { path: "/".into(), name: Vec::new(), follow: true };
            archive::write_tree(&root, &all, output)?;
        }
        Work::CopyOut { view, selection } => {
            archive::write_tree(&view_root(view, seen)?, &selection, output)?;
        }
        Work::CopyIn { view, extraction } => {
            archive::extract(&view_root(view, seen)?, &extraction, input)?;
        }
    }
    Ok(None)
}

fn letter(kind: ChangeKind) -> &'static [u8] {
    match kind {
        ChangeKind::Added => b"A",
        ChangeKind::Modified => b"C",
        ChangeKind::Deleted => b"D",
    }
}

fn step(doing: &'static str, path: &Path, source: impl Into<io::Error>) -> corten_storage::Error {
    corten_storage::Error::Io { doing, path: path.to_owned(), source: source.into() }
}

fn root_of(fd: Option<BorrowedFd<'_>>) -> std::result::Result<Root, corten_storage::Error> {
    let at = Path::new("/");
    let fd = fd.ok_or_else(|| step("enter the container at", at, io::ErrorKind::NotFound))?;
    Ok(Root::from_fd(fd.try_clone_to_owned().map_err(|e| step("open", at, e))?))
}

fn view_root(view: View, seen: Option<&Seen>) -> std::result::Result<Root, corten_storage::Error> {
    match view {
        View::Running => root_of(seen.map(|s| s.root.as_fd())),
        View::Stopped(stopped) => mount(&stopped),
    }
}

/// Mounts what a start would, among our own mounts: all of it goes with this process.
fn mount(stopped: &Stopped) -> std::result::Result<Root, corten_storage::Error> {
    stopped.snapshot.prepare()?;
    let mount = stopped.snapshot.mount(None)?;
    // Mounts go only below one that is attached somewhere.
    let place = &stopped.snapshot.dir;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let at = rustix::fs::openat(CWD, place, flags, Mode::empty()).map_err(|e| step("open", place, e))?;
    corten_sys::mount::attach(mount.as_fd(), at.as_fd()).map_err(|e| step("mount on", place, e))?;
    let root = Root::from_fd(mount.try_clone().map_err(|e| step("open", place, e))?);
    for wanted in &stopped.mounts {
        attach(&root, wanted, stopped.snapshot.rootless)?;
    }
    if stopped.read_only {
        corten_sys::idmap::set_read_only(mount.as_fd()).map_err(|e| step("make read-only", place, e))?;
    }
    Ok(root)
}

fn attach(root: &Root, wanted: &ViewMount, rootless: bool) -> std::result::Result<(), corten_storage::Error> {
    let target = Path::new(&wanted.target);
    let clone = open_source(wanted, rootless)?;
    if wanted.read_only {
        corten_sys::idmap::set_read_only(clone.as_fd()).map_err(|e| step("make read-only", target, e))?;
    }
    let mode = Mode::from_raw_mode(0o755);
    let stat = rustix::fs::fstat(&clone).map_err(|e| step("read the attributes of", target, e))?;
    let place = if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        root.create_dirs(target, mode)
    } else {
        root.create_file(target, Mode::from_raw_mode(0o644), mode)
    };
    let place = place.map_err(|e| step("find the mount point", target, e))?;
    corten_sys::mount::attach(clone.as_fd(), place.as_fd()).map_err(|e| step("mount on", target, e))
}

/// A detached mount of what is wanted.
fn open_source(wanted: &ViewMount, rootless: bool) -> std::result::Result<OwnedFd, corten_storage::Error> {
    let target = Path::new(&wanted.target);
    let (top, place) = match (&wanted.source, &wanted.subpath) {
        (ViewSource::Path(path), None) => {
            let clone = corten_sys::mount::clone_path(&path.to_string_lossy(), wanted.recursive);
            return clone.map_err(|e| step("mount", path, e));
        }
        (ViewSource::Path(path), Some(_)) => {
            (Root::open(path).map_err(|e| step("open", path, e))?, path.as_path())
        }
        (ViewSource::Layers(lowers), None) => return snapshot::view(lowers, rootless),
        (ViewSource::Layers(lowers), Some(_)) => (Root::from_fd(snapshot::view(lowers, rootless)?), target),
    };
    let subpath = Path::new(wanted.subpath.as_deref().unwrap_or("."));
    let found = top.open_at(subpath, OFlags::PATH, Mode::empty());
    let found = found.map_err(|e| step("open in the volume", &place.join(subpath), e))?;
    corten_sys::mount::clone_fd(found.as_fd(), false).map_err(|e| step("mount", &place.join(subpath), e))
}

/// What a container's upper directory changes on `lowers` (top first, the skeleton last).
pub(crate) fn changes(engine: &Engine, upper: PathBuf, lowers: Vec<PathBuf>) -> Result<Vec<Change>> {
    if !engine.is_rootless() {
        return Ok(diff::changes(&upper, &lowers, false)?);
    }
    let work = Work::Changes { upper, lowers };
    let mut bytes = Vec::new();
    read_from(Enter::NewUser, work, |output| {
        output.read_to_end(&mut bytes).map_err(Error::Spawn)?;
        Ok(())
    })?;
    let lines = bytes.split(|b| *b == 0).filter_map(|line| line.split_first());
    Ok(lines
        .map(|(letter, path)| Change {
            kind: match letter {
                b'A' => ChangeKind::Added,
                b'D' => ChangeKind::Deleted,
                _ => ChangeKind::Modified,
            },
            path: std::ffi::OsString::from_vec(path.to_vec()).into(),
        })
        .collect())
}

/// Makes a layer of a container's upper directory; hold `Store::writing`.
pub(crate) fn commit(engine: &Engine, upper: Upper, parent: Digest) -> Result<Unpacked> {
    let limits = engine.config()?.layers.clone();
    if !engine.is_rootless() {
        return Ok(diff::commit(engine.store(), &upper, &parent, &limits)?);
    }
    let job = Job::Files(Work::Commit { root: engine.roots().data.clone(), upper, parent, limits });
    let outcome = Worker::spawn(Enter::NewUser, None)?.run(&job, &mut io::empty())?;
    outcome.unpacked.ok_or_else(|| Error::Silent.into())
}

/// Writes a whole root file system to `out`: of these layers, or of the running container to enter.
pub(crate) fn export(
    engine: &Engine,
    from: std::result::Result<Vec<PathBuf>, Enter>,
    out: &mut File,
) -> Result<()> {
    let (enter, lowers) = match from {
        Ok(lowers) if !engine.is_rootless() => {
            let root = Root::from_fd(snapshot::view(&lowers, false)?);
            let all = Selection { path: "/".into(), name: Vec::new(), follow: true };
            return Ok(archive::write_tree(&root, &all, out)?);
        }
        Ok(lowers) => (Enter::NewUser, Some(lowers)),
        Err(enter) => (enter, None),
    };
    let job = Job::Files(Work::Export { lowers });
    Worker::spawn(enter, Some(out.as_fd()))?.run(&job, &mut io::empty())?;
    Ok(())
}

/// Hands what a selection holds to `take`, as an archive.
pub(crate) fn copy_out(
    enter: Enter,
    view: View,
    selection: Selection,
    take: impl FnOnce(&mut dyn Read) -> Result<()>,
) -> Result<()> {
    read_from(enter, Work::CopyOut { view, selection }, take)
}

/// Reads the archive `tar` into the container.
pub(crate) fn copy_in(enter: Enter, view: View, extraction: Extraction, tar: &mut dyn Read) -> Result<()> {
    let job = Job::Files(Work::CopyIn { view, extraction });
    Worker::spawn(enter, None)?.run(&job, tar)?;
    Ok(())
}

/// Has work done that writes, while `take` reads.
fn read_from(enter: Enter, work: Work, take: impl FnOnce(&mut dyn Read) -> Result<()>) -> Result<()> {
    let pipe = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
    let (reader, writer) = pipe.map_err(|e| Error::Spawn(e.into()))?;
    let mut worker = Worker::spawn(enter, Some(writer.as_fd()))?;
    drop(writer);
    let job = Job::Files(work);
    let begun = worker.begin(&job);
    let mut output = File::from(reader);
    let taken = if begun.is_ok() { take(&mut output) } else { Ok(()) };
    // Who still writes learns that nobody reads.
    drop(output);
    let answer = begun.and_then(|()| worker.answer());
    worker.end();
    match (taken, answer) {
        // What it wrote was cut short because it failed.
        (Err(error), Err(cause)) if is_short(&error) => Err(cause.into()),
        (Err(error), _) => Err(error),
        (Ok(()), answer) => answer.map(drop).map_err(Into::into),
    }
}

fn is_short(error: &crate::Error) -> bool {
    use corten_storage::Error::Tar;
    matches!(error, crate::Error::Storage(Tar(TarError::Empty | TarError::Truncated { .. })))
}
