//! The run directory of one container: its keeper's socket, its lock, its pipes.
//!
//! ```text
//! <run>/c/<short id>/lock   held (flock) by the keeper while it is responsible for the container; its whole id
//!                    sock   where it listens from before the start until the exit is journalled
//!                    out    FIFO: standard output; the container's side holds it open for reading too
//!                    err    FIFO: standard error
//! ```
//! Sockets are addressed through a descriptor of the directory: a unix socket's path has 108 bytes.

use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use corten_model::ContainerId;
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::protocol::{self, Kind, Reply, Request};

/// How long a lock is waited for whose holder is about to let it go or to say that it keeps it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks at a lock whose holder has no socket: it holds it for a moment, or is tearing down.
const LOCK_PAUSE: Duration = Duration::from_millis(2);
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
///
/// `None`: a keeper holds it whose container runs. Waiting for that one would be waiting for the container's end, and
/// start it once more then.
pub fn lock(run: &Path, id: &ContainerId) -> io::Result<Option<File>> {
    let give_up = Instant::now() + LOCK_TIMEOUT;
    loop {
        match try_lock(run, id)? {
            Attempt::Locked(file) => return Ok(Some(file)),
            Attempt::Gone => {}
            Attempt::Held => match ask_holder(run, id)? {
                Holder::Runs => return Ok(None),
                Holder::Ends => std::thread::sleep(LOCK_PAUSE),
            },
        }
        if Instant::now() > give_up {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

/// What came of one try to take the lock.
#[derive(Debug)]
pub enum Attempt {
    /// It is ours.
    Locked(File),
    /// Somebody has it.
    Held,
    /// Its directory was removed under us.
    Gone,
}

/// Takes the lock if nobody has it. The directory is there afterwards.
pub fn try_lock(run: &Path, id: &ContainerId) -> io::Result<Attempt> {
    let dir = directory(run, id);
    match std::fs::create_dir(&dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => std::fs::create_dir_all(&dir)?,
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    let path = dir.join("lock");
    let file = match File::options().write(true).create(true).truncate(false).open(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Attempt::Gone),
        other => other?,
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(Attempt::Held),
        Err(TryLockError::Error(e)) => Err(e),
        // The holder before us may have removed the directory together with this file.
        Ok(()) if is_same_file(&file, &path) => Ok(Attempt::Locked(file)),
        Ok(()) => Ok(Attempt::Gone),
    }
}

/// What the holder of a lock says of itself.
#[derive(Debug, PartialEq, Eq)]
enum Holder {
    /// It looks after a running container.
    Runs,
    /// It ends, its start failed, or it never was a keeper.
    Ends,
}

/// Asks the keeper that holds the lock; one that is starting answers when it knows how that went.
fn ask_holder(run: &Path, id: &ContainerId) -> io::Result<Holder> {
    let Some(socket) = connect(run, id)? else { return Ok(Holder::Ends) };
    rustix::net::sockopt::set_socket_timeout(
        &socket,
        rustix::net::sockopt::Timeout::Recv,
        Some(LOCK_TIMEOUT),
    )?;
    let mut frame = Vec::new();
    protocol::push_json(&mut frame, Kind::Request, &Request::Wait);
    if protocol::send_all(socket.as_fd(), &frame).is_err() {
        return Ok(Holder::Ends);
    }
    match protocol::receive_frame(&socket) {
        Ok(Some((Some(Kind::Reply), payload))) => match serde_json::from_slice(&payload) {
            Ok(Reply::Attached { .. }) => Ok(Holder::Runs),
            _ => Ok(Holder::Ends),
        },
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(Holder::Ends),
    }
}

/// Writes into the lock that we hold for which container that is: directories know twelve digits of its id.
pub fn own(lock: &File, id: &ContainerId) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    lock.write_all_at(id.as_str().as_bytes(), 0)
}

/// The container for which the lock in the directory of `id` was last taken by a keeper.
pub fn owner(run: &Path, id: &ContainerId) -> Option<ContainerId> {
    use std::os::unix::fs::FileExt;
    let mut text = [0; corten_model::id::ID_LEN];
    File::open(directory(run, id).join("lock")).ok()?.read_exact_at(&mut text, 0).ok()?;
    std::str::from_utf8(&text).ok()?.parse().ok()
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
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
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
        let held = lock(&deep, &id).unwrap().unwrap();
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
        let held = lock(run.path(), &id).unwrap().unwrap();
        let waiter = {
            let (run, id) = (run.path().to_owned(), id.clone());
            std::thread::spawn(move || {
                lock(&run, &id).map(|held| held.is_some() && directory(&run, &id).exists())
            })
        };
        remove(run.path(), &id);
        drop(held);
        assert!(waiter.join().unwrap().unwrap());
    }

    #[test]
    fn the_lock_of_a_running_container_is_not_waited_for() {
        let run = tempfile::tempdir().unwrap();
        let id = ContainerId::from_bytes([3; 32]);
        let _held = lock(run.path(), &id).unwrap().unwrap();
        let listener = listen(run.path(), &id).unwrap();
        let second = {
            let (run, id) = (run.path().to_owned(), id.clone());
            std::thread::spawn(move || lock(&run, &id).map(|held| held.is_some()))
        };
        let mut waiting = [rustix::event::PollFd::new(&listener, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut waiting, None).unwrap();
        let caller = rustix::net::accept(&listener).unwrap();
        let (kind, payload) = protocol::receive_frame(&caller).unwrap().unwrap();
        assert_eq!((kind, payload.as_slice()), (Some(Kind::Request), br#"{"op":"wait"}"#.as_slice()));
        let mut frame = Vec::new();
        protocol::push_json(&mut frame, Kind::Reply, &Reply::Attached { terminal: false });
        protocol::send_all(caller.as_fd(), &frame).unwrap();
        assert!(!second.join().unwrap().unwrap());
    }
}
