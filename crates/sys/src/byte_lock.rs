//! Locks on single bytes of a file, which belong to the open file: fcntl(2)'s F_OFD_SETLK, which rustix lacks.
//!
//! They and the older kind, which belongs to a process, exclude each other; but closing another descriptor of the same
//! file takes none of these away.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

/// Takes a shared lock on the byte at `offset`, as long as the open file lives. Doesn't wait. `false`: somebody has it
/// exclusively.
pub fn share(file: BorrowedFd<'_>, offset: i64) -> Result<bool, Errno> {
    let lock = libc::flock {
        l_type: libc::F_RDLCK as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: offset,
        l_len: 1,
        l_pid: 0,
    };
    // SAFETY: the structure is the one that this command reads, and lives through the call.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) } {
        0 => Ok(true),
        _ => match crate::process::last_errno() {
            Errno::AGAIN | Errno::ACCESS => Ok(false),
            errno => Err(errno),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn many_may_share_a_byte_that_nobody_writes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || std::fs::File::options().read(true).write(true).open(file.path()).unwrap();
        let (first, second) = (open(), open());
        assert_eq!(share(first.as_fd(), 128), Ok(true));
        assert_eq!(share(second.as_fd(), 128), Ok(true));
        let only_writes = std::fs::File::options().write(true).open(file.path()).unwrap();
        assert_eq!(
            share(only_writes.as_fd(), 128),
            Err(Errno::BADF),
            "a shared lock needs the right to read"
        );
    }
}
