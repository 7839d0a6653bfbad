//! Making a child process in other namespaces, and getting rid of it if its start fails.
//!
//! With namespaces to join there are two forks: a process that joins them, and its sibling made from there, who
//! becomes the caller's child. One fork can't do it: a pid namespace is joined only by children, and what is made
//! new must belong to the user namespace that was joined.

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::AssertUnwindSafe;

use corten_sys::prctl;
use corten_sys::process::{CloneInto, Forked, clone3, exit_now};
use rustix::io::Errno;
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use rustix::thread::UnshareFlags;

use crate::channel::{Channel, Word};
use crate::step::{Failure, Step, at};

/// The exit status of a child that failed; nobody but the parent, who knows more, sees it.
const FAILED_STATUS: u8 = 125;

/// A child that hasn't become its program yet: dropped, it is killed and reaped.
#[derive(Debug)]
pub struct Newborn {
    pid: i32,
    pidfd: Option<OwnedFd>,
    in_cgroup: bool,
}

impl Newborn {
    /// Its pid, for `/proc`: it isn't used again before the child is reaped.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// It was born in the cgroup that was given.
    pub fn in_cgroup(&self) -> bool {
        self.in_cgroup
    }

    /// The start succeeded: from here on it is the caller's.
    pub fn release(mut self) -> OwnedFd {
        self.pidfd.take().expect("taken only here and in drop")
    }
}

impl Drop for Newborn {
    fn drop(&mut self) {
        if let Some(pidfd) = self.pidfd.take() {
            // An error here means that it is gone already, which is what is wanted.
            let _ = pidfd_send_signal(&pidfd, Signal::KILL);
            let _ = reap(pidfd.as_fd());
        }
    }
}

fn reap(pidfd: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED)).map(|_| ())
}

/// What the two processes do.
pub struct Roles<J, M> {
    /// Joins namespaces, in a process of its own; `None` if there are none. Is told whether it was born
    /// in the cgroup, and hides itself first.
    pub join: Option<J>,
    /// Becomes the program; returns only if it failed.
    pub main: M,
}

/// Makes the child. `namespaces` are new for it, `cgroup` is a directory of version 2 that it is born in.
pub fn spawn<J, M>(
    namespaces: UnshareFlags,
    cgroup: Option<BorrowedFd<'_>>,
    roles: Roles<J, M>,
) -> Result<(Newborn, Channel), Failure>
where
    J: FnOnce(&Channel, bool) -> Result<(), Failure>,
    M: FnOnce(&Channel) -> Result<Infallible, Failure>,
{
    let (ours, theirs) = Channel::pair()?;
    let Roles { join, main } = roles;
    let direct = join.is_none();
    // With two forks the first one enters the cgroup: it still has the caller's rights.
    let first = if direct { namespaces } else { UnshareFlags::empty() };
    let into = |cgroup| CloneInto { namespaces: first, sibling: false, cgroup };
    let (forked, in_cgroup) = match (clone3(into(cgroup)), cgroup) {
        // Not delegated, frozen, or a kernel without it: it will write itself into the group.
        (Err(_), Some(_)) => (clone3(into(None)), false),
        (forked, _) => (forked, cgroup.is_some()),
    };
    match forked.map_err(at(Step::Clone, ""))? {
        Forked::Child => {
            // While the child holds the parent's end too, it would never hear that the parent died.
            drop(ours);
            in_child(&theirs, |channel| match join {
                None => main(channel),
                Some(join) => {
                    join(channel, in_cgroup)?;
                    give_birth(CloneInto { namespaces, sibling: true, cgroup: None }, channel, main)
                }
            })
        }
        Forked::Parent { pid, pidfd } => {
            drop(theirs);
            let first = Newborn { pid, pidfd: Some(pidfd), in_cgroup };
            if direct {
                return Ok((first, ours));
            }
            let (born, its_pidfd) = await_birth(&ours)?;
            let born = Newborn { pid: born, pidfd: Some(its_pidfd), in_cgroup };
            let pidfd = first.release();
            reap(pidfd.as_fd()).map_err(at(Step::Clone, ""))?;
            Ok((born, ours))
        }
    }
}

/// Ties this process's life to its parent's and hides it from tracers: before anything of a container is joined
/// (CVE-2016-9962).
pub fn hide() -> Result<(), Failure> {
    prctl::die_with_parent().map_err(at(Step::Prepare, ""))?;
    prctl::set_undumpable().map_err(at(Step::Prepare, ""))
}

fn give_birth<M>(into: CloneInto<'_>, channel: &Channel, main: M) -> Result<Infallible, Failure>
where
    M: FnOnce(&Channel) -> Result<Infallible, Failure>,
{
    match clone3(into).map_err(at(Step::Clone, ""))? {
        Forked::Child => main(channel),
        Forked::Parent { pid, pidfd } => {
            channel.send(Word::Born, &pid.to_le_bytes(), &[pidfd.as_fd()])?;
            exit_now(0)
        }
    }
}

fn await_birth(channel: &Channel) -> Result<(i32, OwnedFd), Failure> {
    let message = channel.receive_in_time()?.ok_or_else(|| Failure::new(Step::Clone, "", Errno::PIPE))?;
    let pid = message.bytes.first_chunk::<4>().map(|b| i32::from_le_bytes(*b));
    match (message.word, pid, message.fds.into_iter().next()) {
        (Word::Born, Some(pid), Some(pidfd)) => Ok((pid, pidfd)),
        (Word::Failed, ..) => Err(Failure::decode(&message.bytes).unwrap_or_else(garbled)),
        _ => Err(garbled()),
    }
}

/// A message that makes no sense.
pub fn garbled() -> Failure {
    Failure::new(Step::Talk, "", Errno::PROTO)
}

/// Runs `work` and never returns: a child must not run the parent's destructors or its main.
fn in_child(channel: &Channel, work: impl FnOnce(&Channel) -> Result<Infallible, Failure>) -> ! {
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| work(channel)));
    let failure = match outcome {
        Ok(Err(failure)) => failure,
        Ok(Ok(never)) => match never {},
        Err(_) => Failure::because(Step::Prepare, "", Errno::NOTRECOVERABLE, "the process panicked"),
    };
    // If the parent is gone there is nobody to tell.
    let _ = channel.send(Word::Failed, &failure.encode(), &[]);
    exit_now(FAILED_STATUS)
}
