//! `rm -rf` that neither depth, modes nor symlinks stop.
//!
//! One thread walks. Of a large tree the files go to helpers by the names in one directory; a directory goes with the last
//! who holds it, so that nobody waits for it.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::mpsc::{SendError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{Builder, Scope};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::open_child;
use crate::error::{At, Error};

/// Directories held open at once. What is nested deeper is first moved up to the top.
const DEPTH_MAX: usize = 64;
/// Passes over a tree in which somebody else keeps making files.
const PASSES_MAX: u32 = 16;

/// Files that are removed before the helpers are started: most trees have fewer.
const ALONE: u32 = 512;
/// Threads that remove files. They hardly compute: a disk that is told of each freed block, or a journal, lets them wait.
const HELPERS: usize = 16;
const STACK_BYTES: usize = 256 << 10;
/// Names that go to a helper together, and such batches that may wait.
const BATCH_MAX: usize = 64;
const BATCHES_MAX: usize = 32;

/// Who removes a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hands {
    /// This thread alone: a process that was cloned from another one, or may clone itself, has no other.
    One,
    /// Several threads, if the tree is large; all have ended afterwards.
    Many,
}

/// Removes `path` and everything in it; what isn't there is fine. A mount inside is an error, and is left alone.
pub fn remove(path: &Path, hands: Hands) -> Result<(), Error> {
    let name = path.file_name().ok_or(Errno::INVAL).at("remove", path)?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat(CWD, parent, flags, Mode::empty()) {
        Err(Errno::NOENT) => Ok(()),
        other => remove_at(other.at("open the directory", parent)?.as_fd(), name, path, hands),
    }
}

/// The same for `name` in an open directory; `path` is for errors.
fn remove_at(parent: BorrowedFd<'_>, name: &OsStr, path: &Path, hands: Hands) -> Result<(), Error> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(e) => return Err(e).at("remove", path),
    }
    let c_name = CString::new(name.as_bytes()).map_err(|_| Errno::INVAL).at("remove", path)?;
    let Some(top) = open_writable(parent, &c_name, path)? else { return Ok(()) };
    let mut passes = 0;
    loop {
        let alone = if hands == Hands::One { u32::MAX } else { ALONE };
        let moved = Pass { top: top.as_fd(), path, moved: 0, alone }.run()?;
        match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY) if moved > 0 => {}
            Err(Errno::NOTEMPTY) if passes < PASSES_MAX => passes += 1,
            Err(Errno::BUSY) => return Err(Error::Mounted { path: path.to_owned() }),
            Err(e) => return Err(e).at("remove", path),
        }
    }
}

/// One walk that empties the directory `top`.
struct Pass<'a> {
    top: BorrowedFd<'a>,
    path: &'a Path,
    /// Subtrees that were moved to the top.
    moved: u64,
    /// Files that are still removed by this thread.
    alone: u32,
}

/// A directory on the way down. What is in it and what it is called is removed by whoever lets go of it last.
struct Frame<'a> {
    dir: Dir,
    emptied: Arc<Emptied<'a>>,
    /// Names of files in it that are to be handed over.
    names: Vec<CString>,
}

impl<'a> Frame<'a> {
    fn new(emptied: Emptied<'a>) -> Result<Self, Error> {
        let dir = emptied.fd.try_clone().and_then(|fd| Ok(Dir::new(fd)?)).at("read", emptied.path)?;
        Ok(Self { dir, emptied: Arc::new(emptied), names: Vec::new() })
    }
}

impl<'a> Pass<'a> {
    /// How many subtrees are at the top now.
    fn run(mut self) -> Result<u64, Error> {
        let failed = OnceLock::new();
        let walked = std::thread::scope(|scope| self.walk(&failed, &mut Helpers { scope, queue: None }));
        walked?;
        failed.into_inner().map_or(Ok(self.moved), Err)
    }

    fn walk<'scope, 'env>(
        &mut self,
        failed: &'env OnceLock<Error>,
        helpers: &mut Helpers<'scope, 'env>,
    ) -> Result<(), Error>
    where
        'a: 'env,
    {
        let path = self.path;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(self.top, ".", flags, Mode::empty()).at("read", path)?;
        let mut stack = vec![Frame::new(Emptied { fd, above: None, path, failed })?];
        while let Some(frame) = stack.last_mut()
            && failed.get().is_none()
        {
            let Some(entry) = frame.dir.read() else {
                helpers.take(frame);
                stack.pop();
                continue;
            };
            let entry = entry.at("read", path)?;
            let (name, kind) = (entry.file_name(), entry.file_type());
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if self.alone == 0 && !matches!(kind, FileType::Directory | FileType::Unknown) {
                frame.names.push(name.to_owned());
                if frame.names.len() == BATCH_MAX {
                    helpers.take(frame);
                }
                continue;
            }
            let at = Arc::clone(&frame.emptied);
            if kind != FileType::Directory && at.unlink(name)? {
                self.alone = self.alone.saturating_sub(1);
            } else if stack.len() >= DEPTH_MAX {
                self.move_up(at.fd.as_fd(), name)?;
            } else if let Some(fd) = open_writable(at.fd.as_fd(), name, path)? {
                let above = Some((at, name.to_owned()));
                stack.push(Frame::new(Emptied { fd, above, path, failed })?);
            }
        }
        Ok(())
    }

    fn move_up(&mut self, at: BorrowedFd<'_>, name: &CStr) -> Result<(), Error> {
        loop {
            let new = format!(".corten-rm-{}", self.moved);
            self.moved += 1;
            match rustix::fs::renameat_with(at, name, self.top, &new, RenameFlags::NOREPLACE) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(Errno::EXIST) => {}
                Err(e) => return Err(e).at("move a deep directory of", self.path),
            }
        }
    }
}

/// A directory that goes when nobody removes anything in it any more; the top stays.
struct Emptied<'a> {
    fd: OwnedFd,
    above: Option<(Arc<Emptied<'a>>, CString)>,
    path: &'a Path,
    /// The first failure of anybody.
    failed: &'a OnceLock<Error>,
}

impl Emptied<'_> {
    /// False if it is a directory.
    fn unlink(&self, name: &CStr) -> Result<bool, Error> {
        let full = || self.path.join(OsStr::from_bytes(name.to_bytes()));
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::ISDIR) => Ok(false),
            Err(Errno::BUSY) => Err(Error::Mounted { path: full() }),
            Err(e) => Err(e).at("remove", full()),
        }
    }
}

impl Drop for Emptied<'_> {
    fn drop(&mut self) {
        let Some((above, name)) = &self.above else { return };
        let error = match rustix::fs::unlinkat(&above.fd, name, AtFlags::REMOVEDIR) {
            // Not empty: somebody adds to it; the next pass sees it.
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY) => return,
            Err(Errno::BUSY) => Error::Mounted { path: self.path.to_owned() },
            Err(e) => Error::Io { doing: "remove", path: self.path.to_owned(), source: e.into() },
        };
        let _ = self.failed.set(error);
    }
}

/// Threads that remove files side by side: each removal may wait for the disk.
struct Helpers<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    queue: Option<SyncSender<Batch<'env>>>,
}

struct Batch<'a> {
    at: Arc<Emptied<'a>>,
    names: Vec<CString>,
}

impl Batch<'_> {
    fn remove(self) {
        for name in &self.names {
            // What became a directory meanwhile is seen by the next pass.
            if self.at.failed.get().is_none()
                && let Err(error) = self.at.unlink(name)
            {
                let _ = self.at.failed.set(error);
            }
        }
    }
}

impl<'env> Helpers<'_, 'env> {
    /// Takes the names of `frame` over.
    fn take(&mut self, frame: &mut Frame<'env>) {
        if frame.names.is_empty() {
            return;
        }
        let batch = Batch { at: Arc::clone(&frame.emptied), names: std::mem::take(&mut frame.names) };
        let scope = self.scope;
        // No thread could be started.
        if let Err(SendError(batch)) = self.queue.get_or_insert_with(|| start(scope)).send(batch) {
            batch.remove();
        }
    }
}

fn start<'scope, 'env>(scope: &'scope Scope<'scope, 'env>) -> SyncSender<Batch<'env>> {
    let (sender, receiver) = sync_channel::<Batch<'_>>(BATCHES_MAX);
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..HELPERS {
        let receiver = Arc::clone(&receiver);
        let next = move || receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let help = move || std::iter::repeat_with(&next).map_while(Result::ok).for_each(Batch::remove);
        let thread = Builder::new().name("remove".to_owned()).stack_size(STACK_BYTES);
        if thread.spawn_scoped(scope, help).is_err() {
            break;
        }
    }
    sender
}

/// The directory, made readable and writable if it is ours and isn't; none if it is gone.
fn open_writable(at: BorrowedFd<'_>, name: &CStr, path: &Path) -> Result<Option<OwnedFd>, Error> {
    let full = || path.join(OsStr::from_bytes(name.to_bytes()));
    match open_child(at, name) {
        Ok(fd) => {
            // Without write and search permission its entries can't be removed (a user without root only).
            if rustix::fs::accessat(
                &fd,
                ".",
                rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
                AtFlags::EACCESS,
            ) == Err(Errno::ACCESS)
            {
                rustix::fs::fchmod(&fd, Mode::RWXU).at("set the mode of", full())?;
            }
            Ok(Some(fd))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::XDEV) => Err(Error::Mounted { path: full() }),
        Err(Errno::ACCESS) => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let handle =
                rustix::fs::openat(at, name, flags, Mode::empty()).at("open the directory", full())?;
            // By the descriptor: fchmodat(2) would follow a symlink that took the directory's place.
            let link = format!("/proc/thread-self/fd/{}", handle.as_raw_fd());
            rustix::fs::chmod(link, Mode::RWXU).at("set the mode of", full())?;
            open_child(at, name).map(Some).at("open the directory", full())
        }
        Err(e) => Err(e).at("open the directory", full()),
    }
}
