//! What a pidfd can do beyond rustix: any signal by number, and the exit code of a process that is not our child.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// struct pidfd_info of include/uapi/linux/pidfd.h in its first published size.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup_id: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// PIDFD_INFO_EXIT: the wait status of a process that was reaped (Linux 6.15).
const WANT_EXIT: u64 = 1 << 3;
/// _IOWR(0xFF, 11, 64 bytes)
const PIDFD_GET_INFO: libc::c_ulong =
    (3 << 30) | ((std::mem::size_of::<Info>() as libc::c_ulong) << 16) | (0xFF << 8) | 11;

/// The exit code (128 + signal for a killed one) of a process that ended and was reaped by its parent, whoever that is.
/// `None`: it isn't reaped yet, or the kernel is older than 6.15.
pub fn exit_code_of_ended(pidfd: BorrowedFd<'_>) -> io::Result<Option<u8>> {
    let mut info = Info { mask: WANT_EXIT, ..Info::default() };
    // SAFETY: the request number carries the size of `info`, which lives through the call.
    let code = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &mut info) };
    if code != 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::ESRCH | libc::EINVAL | libc::ENOTTY) => Ok(None),
            _ => Err(error),
        };
    }
    if info.mask & WANT_EXIT == 0 {
        return Ok(None);
    }
    let status = info.exit_code;
    let by_signal = status & 0x7f;
    Ok(Some(if by_signal != 0 { 128 + by_signal as u8 } else { (status >> 8) as u8 }))
}

/// Sends a signal by its number, 1 to 64, to the process that the pidfd stands for.
pub fn send_signal(pidfd: BorrowedFd<'_>, number: i32) -> io::Result<()> {
    // SAFETY: plain numbers and a null siginfo.
    let code = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), number, std::ptr::null::<()>(), 0)
    };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::process::Command;

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    #[test]
    fn the_code_of_a_reaped_process_is_known_to_who_held_its_pidfd() {
        let mut child = Command::new("sh")
            .args(["-c", "read x; exit 7"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        assert_eq!(super::exit_code_of_ended(pidfd.as_fd()).unwrap(), None);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(super::exit_code_of_ended(pidfd.as_fd()).unwrap(), Some(7));
    }
}
