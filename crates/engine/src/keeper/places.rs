//! The run directory of one container: its keeper's socket, its lock, its pipes.
//!
//! ```text
//! <run>/c/<short id>/lock   held (flock) by the keeper while it is responsible for the container
//!                    sock   where it listens from before the start until the exit is journalled
//!                    out    FIFO: standard output; the container's side holds it open for reading too
//!                    err    FIFO: standard error
//! ```
//! Sockets are addressed through a descriptor of the directory: a unix socket's path has 108 bytes.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use corten_model::ContainerId;
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// How often the lock may turn out to be of a directory that was just removed.
const LOCK_TRIES: u32 = 100;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// The run directory of a container.
pub fn directory(run: &Path, id: &ContainerId) -> PathBuf {
    run.join("c").join(id.short())
}

fn open_dir(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn address(dir: &OwnedFd) -> rustix::io::Result<SocketAddrUnix> {
    SocketAddrUnix::new(format!("/proc/self/fd/{}/sock", dir.as_raw_fd()))
}

/// Takes the lock, waiting for a keeper that is tearing down. The directory is there afterwards.
pub fn lock(run: &Path, id: &ContainerId) -> io::Result<File> {
    let dir = directory(run, id);
    for _ in 0..LOCK_TRIES {
        match std::fs::create_dir(&dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => std::fs::create_dir_all(&dir)?,
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        let path = dir.join("lock");
        let file = match File::options().write(true).create(true).truncate(false).open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        file.lock()?;
        // The holder before us may have removed the directory together with this file.
        if is_same_file(&file, &path) {
            return Ok(file);
        }
    }
    Err(io::Error::other("the run directory vanishes again and again"))
}

/// Whether somebody holds the lock.
pub fn is_locked(run: &Path, id: &ContainerId) -> bool {
    match File::open(directory(run, id).join("lock")) {
        Ok(file) => file.try_lock_shared().is_err(),
        Err(_) => false,
    }
}

fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Makes the keeper's listening socket; one that a dead keeper left is replaced. Only the lock's holder calls this.
pub fn listen(run: &Path, id: &ContainerId) -> io::Result<OwnedFd> {
    let dir = directory(run, id);
    let _ = std::fs::remove_file(dir.join("sock"));
    let dir = open_dir(&dir)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &address(&dir)?)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Connects to the keeper; `None` if no keeper listens.
pub fn connect(run: &Path, id: &ContainerId) -> io::Result<Option<OwnedFd>> {
    use rustix::io::Errno;
    let dir = match open_dir(&directory(run, id)) {
        Err(Errno::NOENT) => return Ok(None),
        other => other?,
    };
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    match rustix::net::connect(&socket, &address(&dir)?) {
        Ok(()) => Ok(Some(socket)),
        Err(Errno::NOENT | Errno::CONNREFUSED) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Which pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pipe {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Pipe {
    fn path(self, run: &Path, id: &ContainerId) -> PathBuf {
        directory(run, id).join(if self == Pipe::Out { "out" } else { "err" })
    }
}

/// Makes one of the FIFOs, open to whoever has a descriptor of it: an app that runs as another user reopens
/// /dev/stdout. Nobody else reaches it, the run root is closed.
pub fn make_pipe(run: &Path, id: &ContainerId, pipe: Pipe) -> io::Result<()> {
    let path = pipe.path(run, id);
    let _ = std::fs::remove_file(&path);
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::from_raw_mode(0o666))?;
    rustix::fs::chmod(&path, Mode::from_raw_mode(0o666))?;
    Ok(())
}

/// The keeper's end: it never blocks.
pub fn open_reader(run: &Path, id: &ContainerId, pipe: Pipe) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(pipe.path(run, id), flags, Mode::empty())?)
}

/// The container's end: open for reading too, so that nobody gets SIGPIPE when a keeper dies.
pub fn open_writer(run: &Path, id: &ContainerId, pipe: Pipe) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(pipe.path(run, id), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)
}

/// Takes the socket away: nobody reaches the keeper any more.
pub fn close(run: &Path, id: &ContainerId) {
    let _ = std::fs::remove_file(directory(run, id).join("sock"));
}

/// Removes the run directory. The lock's file goes last: whoever waits for it sees that it is gone.
pub fn remove(run: &Path, id: &ContainerId) {
    let dir = directory(run, id);
    let lock = dir.join("lock");
    // What a crash left out isn't there; a new keeper may have made the directory again.
    for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten().filter(|e| e.path() != lock) {
        let _ = std::fs::remove_file(entry.path());
    }
    let _ = std::fs::remove_file(lock);
    let _ = std::fs::remove_dir(dir);
}

/// A pipe for standard input, or for an exec's output: (reading end, writing end).
pub fn plain_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::fs::fchmod(&reader, Mode::from_raw_mode(0o666))?;
    Ok((reader, writer))
}

/// Makes reads and writes of our end return at once.
pub fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    Ok(rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keeper_is_reached_while_it_listens_and_not_after() {
        let run = tempfile::tempdir().unwrap();
        let deep = run.path().join("d".repeat(120));
        let id = ContainerId::from_bytes([1; 32]);
        assert!(connect(&deep, &id).unwrap().is_none());
        let held = lock(&deep, &id).unwrap();
        assert!(is_locked(&deep, &id));
        let listener = listen(&deep, &id).unwrap();
        assert!(connect(&deep, &id).unwrap().is_some());
        drop(listener);
        assert!(connect(&deep, &id).unwrap().is_none());
        remove(&deep, &id);
        drop(held);
        assert!(!is_locked(&deep, &id) && !directory(&deep, &id).exists());
    }

    #[test]
    fn who_waited_for_a_lock_that_was_removed_gets_the_new_one() {
        let run = tempfile::tempdir().unwrap();
        let id = ContainerId::from_bytes([2; 32]);
        let held = lock(run.path(), &id).unwrap();
        let waiter = {
            let (run, id) = (run.path().to_owned(), id.clone());
            std::thread::spawn(move || lock(&run, &id).map(drop).map(|()| directory(&run, &id).exists()))
        };
        remove(run.path(), &id);
        drop(held);
        assert!(waiter.join().unwrap().unwrap());
    }
}
