//! Owner, mode, extended attributes and times, from one file to another.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

/// Bytes of a list of names or of one value: the kernel's own limits.
const XATTR_BYTES_MAX: usize = 64 << 10;

/// Sets `name` in `to` to what `stat` says, after the extended attributes of `from`'s `from_name`.
pub(super) fn copy_attributes(
    stat: &Stat,
    from: (BorrowedFd<'_>, &OsStr),
    to: (BorrowedFd<'_>, &OsStr),
) -> io::Result<()> {
    let (at, name) = to;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::chownat(at, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        // After chown, which clears setuid; the tree that is written to is still ours alone.
        rustix::fs::chmodat(at, name, Mode::from_raw_mode(stat.st_mode & 0o7777), AtFlags::empty())?;
    }
    copy_xattrs(&proc_path(from.0, from.1), &proc_path(at, name))?;
    let times = times(stat);
    rustix::fs::utimensat(at, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

/// Sets the attributes of one open directory to those of another, which had `stat`.
pub(crate) fn copy_own_attributes(stat: &Stat, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    let here = OsStr::new(".");
    copy_attributes(stat, (from, here), (to, here))
}

pub(super) fn times(stat: &Stat) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime, tv_nsec: stat.st_atime_nsec as _ },
        last_modification: Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ },
    }
}

/// A path to `name` in an open directory: the calls for extended attributes take no directory before 6.13.
pub(crate) fn proc_path(at: BorrowedFd<'_>, name: &OsStr) -> PathBuf {
    PathBuf::from(format!("/proc/thread-self/fd/{}", at.as_raw_fd())).join(name)
}

/// Whether an extended attribute belongs to the file and means the same elsewhere: the host's policy labels its own
/// files, and overlay's marks mean nothing outside their layer.
pub(crate) fn is_portable(name: &[u8]) -> bool {
    let label = [
        &b"security.selinux"[..],
        b"security.SMACK64",
        b"security.apparmor",
        b"security.ima",
        b"security.evm",
        b"security.sehash",
    ];
    let user = name.starts_with(b"user.") && !name.starts_with(b"user.overlay.");
    let security = name.starts_with(b"security.") && !label.contains(&name);
    user || security || name.starts_with(b"system.posix_acl_")
}

/// The portable extended attributes of `path`, a [`proc_path`], sorted by name.
pub(crate) fn xattrs(path: &Path) -> io::Result<Vec<(CString, Vec<u8>)>> {
    let size = match rustix::fs::llistxattr_query(path) {
        Ok(0) | Err(Errno::NOTSUP) => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = vec![0; size.min(XATTR_BYTES_MAX)];
    let length = rustix::fs::llistxattr(path, &mut names[..])?;
    let mut all = Vec::new();
    for name in names[..length].split_inclusive(|b| *b == 0) {
        let name = CStr::from_bytes_with_nul(name).map_err(|_| Errno::INVAL)?;
        if is_portable(name.to_bytes())
            && let Some(value) = read_xattr(path, name)?
        {
            all.push((name.to_owned(), value));
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// One extended attribute of `path`, a [`proc_path`]; none if it isn't there.
pub(crate) fn read_xattr(path: &Path, name: &CStr) -> io::Result<Option<Vec<u8>>> {
    let read = || {
        let size = rustix::fs::lgetxattr_query(path, name)?;
        let mut value = vec![0; size.min(XATTR_BYTES_MAX)];
        let length = if size == 0 { 0 } else { rustix::fs::lgetxattr(path, name, &mut value[..])? };
        value.truncate(length);
        Ok(Some(value))
    };
    match read() {
        // EOVERFLOW: capabilities that count in another user namespace only.
        Err(Errno::NODATA | Errno::NOTSUP | Errno::OVERFLOW) => Ok(None),
        other => other.map_err(io::Error::from),
    }
}

fn copy_xattrs(from: &Path, to: &Path) -> io::Result<()> {
    for (name, value) in xattrs(from)? {
        rustix::fs::lsetxattr(to, name.as_c_str(), &value, XattrFlags::empty())?;
    }
    Ok(())
}

pub(super) fn os(name: &CStr) -> &OsStr {
    OsStr::from_bytes(name.to_bytes())
}
