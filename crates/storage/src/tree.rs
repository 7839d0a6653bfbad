//! Whole directory trees: removing, copying, measuring. By descriptors, without recursion, never through a symlink.
//!
//! Trees come from containers: deeper than any path the kernel takes, unreadable, changing while they are read.

mod attributes;
mod copy;
mod remove;
mod usage;
mod walk;

pub(crate) use attributes::{copy_own_attributes, is_portable, proc_path, read_xattr, xattrs};
pub use copy::copy;
pub(crate) use copy::{copy_node, kind_of};
pub use remove::{Hands, remove};
pub use usage::usage;
pub(crate) use walk::{Mounts, Next, Node, is_kernels_own, walk};

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// The directory `name` in `at`, for reading; a symlink or a mount point is an error.
fn open_child(at: impl AsFd, name: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    rustix::fs::openat2(at, name, flags, Mode::empty(), how)
}

#[cfg(test)]
mod tests;
