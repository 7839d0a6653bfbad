//! The `/dev/shm` of a running container, for one that shares its IPC namespace.
//!
//! A mount of another mount namespace can be cloned only from inside: a process of its own enters it, undumpable, and
//! sends the clone back. Symlinks on the way are refused: whoever has power in that container may have put them there.

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use corten_sys::mount;
use corten_sys::path::Root;
use corten_sys::process::exit_now;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{ThreadNameSpaceType, UnshareFlags};

use crate::channel::{Channel, Word};
use crate::newborn::{self, Roles, hide};
use crate::step::{Failure, Step, at, at_io};

/// Where it is, in every container.
pub const PATH: &str = "/dev/shm";

/// A detached clone of the mount at `/dev/shm` of the container whose first process is `pidfd`.
///
/// The calling process is single-threaded.
pub fn shm_of(pidfd: BorrowedFd<'_>, rootless: bool) -> Result<OwnedFd, Failure> {
    let main = |channel: &Channel| {
        hide()?;
        let mut namespaces = ThreadNameSpaceType::MOUNT;
        // Without root's powers those over the container's mounts come with its user namespace.
        namespaces.set(ThreadNameSpaceType::USER, rootless);
        rustix::thread::move_into_thread_name_spaces(pidfd, namespaces).map_err(at(Step::Join, "mnt"))?;
        let root = Root::open(Path::new("/")).map_err(at_io(Step::BindSource, PATH))?;
        let place = root.open_plain(Path::new(PATH), OFlags::PATH, Mode::empty());
        let place = place.map_err(at_io(Step::BindSource, PATH))?;
        let clone = mount::clone_fd(place.as_fd(), false).map_err(at(Step::BindSource, PATH))?;
        channel.send(Word::Pieces, &[], &[clone.as_fd()])?;
        exit_now(0)
    };
    type NoJoin = fn(&Channel, bool) -> Result<(), Failure>;
    let main: &dyn Fn(&Channel) -> Result<Infallible, Failure> = &main;
    let (_child, channel) =
        newborn::spawn(UnshareFlags::empty(), None, Roles { join: None::<NoJoin>, main })?;
    let unclear = || Failure::new(Step::Talk, PATH, Errno::PROTO);
    let message = channel.receive_in_time()?.ok_or_else(unclear)?;
    match message.word {
        Word::Pieces => message.fds.into_iter().next().ok_or_else(unclear),
        Word::Failed => Err(Failure::decode(&message.bytes).ok_or_else(unclear)?),
        _ => Err(unclear()),
    }
}
