//! A mount namespace of its own for the time of one closure.
//!
//! Owns the way there and back for the calling thread. For kernels that can only make a mount from attached ones:
//! what is attached in the closure is never seen by the host, and is gone with the namespace.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::MountPropagationFlags;
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

/// Runs `work` with a private copy of the mounts, then returns this thread to where it was.
///
/// The thread's working directory and root are kept by setns(2) only if they are `/` of the namespace: callers use
/// absolute paths and descriptors. Errors are those of the way there; if the way back fails the process can't go on
/// safely with the wrong mounts, so that is returned in place of the result.
pub fn with_private_mounts<T>(work: impl FnOnce() -> T) -> io::Result<T> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let home: OwnedFd = rustix::fs::openat(CWD, "/proc/thread-self/ns/mnt", flags, Mode::empty())?;
    let dir: OwnedFd =
        rustix::fs::openat(CWD, ".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    // SAFETY: only NEWNS (and with it this thread's own fs struct) is unshared; no memory or fd table is, so every
    // Rust object stays valid.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS)? };
    let result =
        rustix::mount::mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
            .map(|()| work());
    rustix::thread::move_into_link_name_space(home.as_fd(), Some(LinkNameSpaceType::Mount))?;
    // setns(2) puts the working directory on the namespace's root.
    rustix::process::fchdir(&dir)?;
    Ok(result?)
}
