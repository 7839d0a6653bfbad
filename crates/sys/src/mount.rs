//! mount_setattr(2), which rustix lacks, and short forms of the mount API as it is used here: everything by
//! file descriptor, nothing by a path that could be swapped.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
};

use crate::process::last_errno;

const EMPTY: &CStr = c"";

/// What mount_setattr(2) changes.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    /// Attributes that are set.
    pub set: MountAttrFlags,
    /// Attributes that are cleared; the kernel clears before it sets.
    pub clear: MountAttrFlags,
    /// The propagation, if it is changed.
    pub propagation: Option<MountPropagationFlags>,
    /// A user namespace by which the mount is idmapped; only for a detached mount that isn't idmapped yet.
    pub idmap: Option<BorrowedFd<'a>>,
    /// The mounts below too: all of them or, if one can't, none.
    pub recursive: bool,
}

impl Default for Attributes<'_> {
    fn default() -> Self {
        let none = MountAttrFlags::empty();
        Self { set: none, clear: none, propagation: None, idmap: None, recursive: false }
    }
}

impl Attributes<'_> {
    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.clear.is_empty() && self.propagation.is_none() && self.idmap.is_none()
    }
}

#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Changes the mount that `mount` is the root of (Linux 5.12).
pub fn set_attributes(mount: BorrowedFd<'_>, attributes: Attributes<'_>) -> Result<(), Errno> {
    let mut set = attributes.set;
    let mut clear = attributes.clear;
    if set.intersects(
        MountAttrFlags::MOUNT_ATTR_NOATIME
            | MountAttrFlags::MOUNT_ATTR_STRICTATIME
            | MountAttrFlags::MOUNT_ATTR__ATIME,
    ) {
        // The three ways of atime are one field: the kernel refuses to set it without clearing it whole.
        clear |= MountAttrFlags::MOUNT_ATTR__ATIME;
    }
    if attributes.idmap.is_some() {
        set |= MountAttrFlags::MOUNT_ATTR_IDMAP;
    }
    let argument = MountAttr {
        attr_set: u64::from(set.bits()),
        attr_clr: u64::from(clear.bits()),
        propagation: attributes.propagation.map_or(0, |p| u64::from(p.bits())),
        userns_fd: attributes.idmap.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    let flags = libc::AT_EMPTY_PATH | if attributes.recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a C string, the structure has the size that is told, both live through the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            EMPTY.as_ptr(),
            flags,
            &raw const argument,
            std::mem::size_of::<MountAttr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

/// One parameter of a file system: a flag, or a key with its value.
pub type Parameter<'a> = (&'a str, Option<&'a str>);

/// Makes a new instance of a file system and returns its detached mount.
pub fn new_detached(
    fstype: &str,
    source: Option<&str>,
    parameters: &[Parameter<'_>],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Errno> {
    let context = rustix::mount::fsopen(fstype, FsOpenFlags::FSOPEN_CLOEXEC)?;
    if let Some(source) = source {
        rustix::mount::fsconfig_set_string(context.as_fd(), "source", source)?;
    }
    for (key, value) in parameters {
        match value {
            Some(value) => rustix::mount::fsconfig_set_string(context.as_fd(), *key, *value)?,
            None => rustix::mount::fsconfig_set_flag(context.as_fd(), *key)?,
        }
    }
    rustix::mount::fsconfig_create(context.as_fd())?;
    rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// A detached copy of the mount at `path`, or with `recursive` of the whole tree below it.
pub fn clone_path(path: &str, recursive: bool) -> Result<OwnedFd, Errno> {
    rustix::mount::open_tree(rustix::fs::CWD, path, clone_flags(recursive))
}

/// A detached copy of the mount at `path` that can't be written to.
pub fn clone_read_only(path: &str) -> Result<OwnedFd, Errno> {
    let mount = clone_path(path, false)?;
    let read_only = Attributes { set: MountAttrFlags::MOUNT_ATTR_RDONLY, ..Attributes::default() };
    set_attributes(mount.as_fd(), read_only)?;
    Ok(mount)
}

/// A detached copy of what `fd` refers to.
pub fn clone_fd(fd: BorrowedFd<'_>, recursive: bool) -> Result<OwnedFd, Errno> {
    rustix::mount::open_tree(fd, EMPTY, clone_flags(recursive) | OpenTreeFlags::AT_EMPTY_PATH)
}

fn clone_flags(recursive: bool) -> OpenTreeFlags {
    let base = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive { base | OpenTreeFlags::AT_RECURSIVE } else { base }
}

/// Attaches the detached `mount` on what `target` refers to, whatever its name is by now.
pub fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, EMPTY, target, EMPTY, flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Mode, OFlags};

    #[test]
    fn a_detached_tmpfs_becomes_read_only() {
        let mount =
            new_detached("tmpfs", Some("tmpfs"), &[("mode", Some("0755"))], MountAttrFlags::empty()).unwrap();
        let create = || {
            rustix::fs::openat(&mount, "file", OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR)
        };
        assert!(create().is_ok());
        let read_only = Attributes {
            set: MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOATIME,
            ..Attributes::default()
        };
        set_attributes(mount.as_fd(), read_only).unwrap();
        assert_eq!(create().unwrap_err(), Errno::ROFS);
    }

    #[test]
    fn a_wrong_parameter_is_an_error() {
        let result = new_detached("tmpfs", None, &[("size", Some("many"))], MountAttrFlags::empty());
        assert_eq!(result.unwrap_err(), Errno::INVAL);
    }
}
