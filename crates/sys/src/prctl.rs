//! prctl(2) and close_range(2): what a process says of itself before it becomes another program.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Signal};

use crate::process::last_errno;

/// No other process without CAP_SYS_PTRACE in the user namespace that this memory was made in can trace this
/// one, read its memory or open its `/proc/<pid>/{exe,fd,root}`; the files of `/proc/<pid>` belong to root.
/// Lost at execve, and set anew by the kernel when ids change: set it again then.
pub fn set_undumpable() -> Result<(), Errno> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// This process is killed when the thread that forked it ends. The kernel forgets it when ids change or
/// capabilities grow.
pub fn die_with_parent() -> Result<(), Errno> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
}

/// Undoes [`die_with_parent`], which would live on through execve.
pub fn outlive_parent() -> Result<(), Errno> {
    rustix::process::set_parent_process_death_signal(None)
}

/// Every descriptor from `first` on is closed by the next execve (Linux 5.11).
pub fn close_on_exec_from(first: u32) -> Result<(), Errno> {
    close_range(first, libc::CLOSE_RANGE_CLOEXEC)
}

/// Closes every descriptor from `first` on, whoever owns it: only for a forked child that uses none of them
/// again and ends by [`crate::process::exit_now`].
pub fn close_from(first: u32) -> Result<(), Errno> {
    close_range(first, 0)
}

fn close_range(first: u32, flags: libc::c_uint) -> Result<(), Errno> {
    // SAFETY: no memory is given. That owners of the descriptors find them closed is the documented contract.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, flags) };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::{FdFlags, fcntl_getfd};

    #[test]
    fn descriptors_are_marked() {
        let file =
            rustix::fs::open("/dev/null", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
        assert_eq!(fcntl_getfd(&file), Ok(FdFlags::empty()));
        close_on_exec_from(3).unwrap();
        assert_eq!(fcntl_getfd(&file), Ok(FdFlags::CLOEXEC));
    }
}
