//! What a spawned process enters before it works: a new user namespace, or that of a running container.
//!
//! In a container's user namespace it has the rights of the container's root and no others, so even a path that led out
//! of the container would lead to nothing that it may touch. Of the container's mounts it takes descriptors and goes back
//! to mounts of its own: /proc and everything else that it opens by name are the host's.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::MountPropagationFlags;
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use crate::keeper;

/// Where the work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "enter", rename_all = "kebab-case")]
pub(crate) enum Enter {
    /// In a new user namespace with the user's whole map.
    NewUser,
    /// Among mounts of its own, as root.
    OwnMounts,
    /// In the namespaces of a running container; `user`: it has a user namespace.
    Container { pid: i32, ticks: u64, user: bool },
}

/// A running container's file system.
pub(super) struct Seen {
    /// With everything that is mounted in it.
    pub root: OwnedFd,
    /// Without.
    pub alone: OwnedFd,
}

/// Enters. After [`Enter::NewUser`] the maps are still to be written.
pub(super) fn enter(wanted: Enter) -> io::Result<Option<Seen>> {
    match wanted {
        Enter::NewUser => {
            // The mount namespace is for looking at an image through an overlay.
            corten_sys::process::unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
            Ok(None)
        }
        Enter::OwnMounts => own_mounts().map(|()| None),
        Enter::Container { pid, ticks, user } => {
            // Tools in a container that shares the host's pids could trace us there, and reach what we have open.
            corten_sys::prctl::set_undumpable()?;
            let open = |kind: &str| {
                let path = format!("/proc/{pid}/ns/{kind}");
                rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            };
            let userns = if user { Some(open("user")?) } else { None };
            let mounts = open("mnt")?;
            // Still the process that was meant: so were its namespaces.
            keeper::open_process(pid, ticks)?;
            if let Some(userns) = &userns {
                move_into_link_name_space(userns.as_fd(), Some(LinkNameSpaceType::User))?;
                become_root()?;
                corten_sys::prctl::set_undumpable()?;
            }
            own_mounts()?;
            look(&mounts).map(Some)
        }
    }
}

/// The user namespace's root.
pub(super) fn become_root() -> io::Result<()> {
    let root = rustix::fs::Uid::ROOT;
    rustix::thread::set_thread_res_uid(root, root, root)?;
    let group = rustix::fs::Gid::ROOT;
    Ok(rustix::thread::set_thread_res_gid(group, group, group)?)
}

/// What is mounted here from now on is seen by nobody else.
fn own_mounts() -> io::Result<()> {
    corten_sys::process::unshare(UnshareFlags::NEWNS)?;
    Ok(rustix::mount::mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?)
}

/// Takes descriptors of the root in the mount namespace `mounts`, and comes back.
fn look(mounts: &OwnedFd) -> io::Result<Seen> {
    let home = rustix::fs::openat(CWD, "/proc/self/ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    move_into_link_name_space(mounts.as_fd(), Some(LinkNameSpaceType::Mount))?;
    let seen = take_root();
    move_into_link_name_space(home.as_fd(), Some(LinkNameSpaceType::Mount))?;
    seen
}

fn take_root() -> io::Result<Seen> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, "/", flags, Mode::empty())?;
    let alone = corten_sys::mount::clone_fd(root.as_fd(), false)?;
    Ok(Seen { root, alone })
}
