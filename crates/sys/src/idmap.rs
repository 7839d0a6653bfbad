//! Attributes of detached mounts: mount_setattr(2) for idmaps and read-only.
//!
//! Owns the calls on a whole mount behind a descriptor. The mount must be detached (open_tree with
//! `OPEN_TREE_CLONE`), and for an idmap not idmapped yet on a file system that supports it (5.12 for ext4, 5.15 for
//! btrfs and xfs, 6.3 for tmpfs).

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Shows `mount_fd`'s files with the ids that `userns` maps them to: what is 0 on disk is that namespace's root.
///
/// EINVAL: the file system or an old kernel can't, or the mount is attached or idmapped already. EPERM: the file
/// system belongs to another user namespace than the caller rules.
pub fn set_idmap(mount_fd: BorrowedFd<'_>, userns: BorrowedFd<'_>, recursive: bool) -> io::Result<()> {
    let attr = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: userns.as_raw_fd() as u64,
    };
    set(mount_fd, &attr, recursive)
}

/// Makes the one mount behind `mount_fd` read-only, whatever its file system allows.
pub fn set_read_only(mount_fd: BorrowedFd<'_>) -> io::Result<()> {
    let attr =
        libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    set(mount_fd, &attr, false)
}

fn set(mount_fd: BorrowedFd<'_>, attr: &libc::mount_attr, recursive: bool) -> io::Result<()> {
    const EMPTY: &CStr = c"";
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string, `attr` lives through the call and its exact size is passed; the kernel
    // only reads both.
    let code = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount_fd.as_raw_fd(),
            EMPTY.as_ptr(),
            flags,
            std::ptr::from_ref(attr),
            size_of::<libc::mount_attr>(),
        )
    };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
