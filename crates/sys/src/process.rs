//! clone3(2) as a fork into namespaces, execve(2), signal dispositions, and the law that no process forks with
//! an open database.
//!
//! A forked child here shares nothing with its parent but copies of its memory and file descriptors. The caller
//! is single-threaded: a lock that another thread holds at the moment of the fork is never released in the
//! child. Nothing here waits: pidfds and waitid are rustix's.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use rustix::thread::UnshareFlags;

// libc's constant is too narrow for its value.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

static DATABASE_OPENED: AtomicBool = AtomicBool::new(false);
static FORKED: AtomicBool = AtomicBool::new(false);

/// Notes that this process opens, or has opened, an SQLite database.
pub fn note_database_open() {
    DATABASE_OPENED.store(true, Ordering::SeqCst);
}

/// Whether this process may open an SQLite database: it wasn't made by [`clone3`]. SQLite keeps its POSIX locks in
/// process-global state, and a forked child believes that it holds locks which the kernel gave to its parent: the
/// file gets corrupted. So a forked child opens none, and a process with an open one isn't forked.
pub fn database_may_open() -> bool {
    !FORKED.load(Ordering::SeqCst)
}

/// Whether this process, or the one that it was forked from, ever opened an SQLite database.
pub fn database_was_opened() -> bool {
    DATABASE_OPENED.load(Ordering::SeqCst)
}

/// Notes that this process was forked.
pub(crate) fn note_forked() {
    FORKED.store(true, Ordering::SeqCst);
}

/// What a child is born into.
#[derive(Debug, Clone, Copy)]
pub struct CloneInto<'a> {
    /// Namespaces that are made new for it.
    pub namespaces: UnshareFlags,
    /// It becomes a child of the caller's parent, with the exit signal that the caller has.
    pub sibling: bool,
    /// A directory of cgroup version 2 that it is born in.
    pub cgroup: Option<BorrowedFd<'a>>,
}

/// Which side of the fork this is.
#[derive(Debug)]
pub enum Forked {
    /// The new process.
    Child,
    /// The caller; the number is one of its own pid namespace.
    Parent {
        /// The child's pid.
        pid: i32,
        /// The child, for good: the number may be used again, this not.
        pidfd: OwnedFd,
    },
}

#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Forks the calling, single-threaded process.
///
/// # Panics
/// If a database was ever opened in this process (see [`database_may_open`]): that is a fault of the caller's order.
pub fn clone3(into: CloneInto<'_>) -> Result<Forked, Errno> {
    assert!(!database_was_opened(), "a process that opened a database forks: SQLite's locks would be lost");
    let mut pidfd: libc::c_int = -1;
    let mut arguments = CloneArgs {
        flags: u64::from(into.namespaces.bits()) | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        // With CLONE_PARENT the kernel takes the caller's own exit signal and refuses another.
        exit_signal: if into.sibling { 0 } else { libc::SIGCHLD as u64 },
        ..CloneArgs::default()
    };
    if into.sibling {
        arguments.flags |= libc::CLONE_PARENT as u64;
    }
    if let Some(cgroup) = into.cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: without CLONE_VM the child runs on copies of the memory and of this stack; no pointer but `pidfd`
    // is given, and that lives here. The structure has the size that is told.
    let result =
        unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, std::mem::size_of::<CloneArgs>()) };
    match result {
        0 => {
            note_forked();
            Ok(Forked::Child)
        }
        pid if pid > 0 => {
            // SAFETY: the kernel put a new descriptor there that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Forked::Parent { pid: pid as i32, pidfd })
        }
        _ => Err(last_errno()),
    }
}

/// Makes new namespaces for the calling, single-threaded process.
pub fn unshare(namespaces: UnshareFlags) -> Result<(), Errno> {
    // SAFETY: CLONE_FILES, the only flag that can pull descriptors from under another thread, is masked out.
    unsafe { rustix::thread::unshare_unsafe(namespaces - UnshareFlags::FILES) }
}

/// Replaces the program of this process; returns only if that fails.
pub fn execve(path: &CStr, arguments: &[CString], environment: &[CString]) -> Errno {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(arguments), pointers(environment));
    // SAFETY: both arrays end with a null pointer, and the strings they point to outlive the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    last_errno()
}

/// Ends this process at once: no destructor, no buffer is run or flushed. For forked children.
pub fn exit_now(code: u8) -> ! {
    // SAFETY: _exit has no precondition.
    unsafe { libc::_exit(i32::from(code)) }
}

/// Gives every signal its default disposition and blocks none: an ignored SIGPIPE of ours, or an ignored SIGHUP
/// of whoever started us, would live on through execve.
pub fn reset_signals() {
    // The kernel's own structure, all zero: SIG_DFL, no flags, an empty mask. Not by the C library, which keeps two
    // signals to itself and leaves them ignored if they were.
    let default = [0u64; 4];
    for signal in 1..=64 {
        // SAFETY: `default` lives through the call and is as large as the kernel's structure, whose mask has 8
        // bytes. SIGKILL and SIGSTOP are refused, which is right.
        unsafe {
            let old = std::ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), old, size_of::<u64>())
        };
    }
    // SAFETY: the set is made by sigemptyset before it is read.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Ignores SIGPIPE, as the standard library does for each program of ours: a write says that nobody reads.
pub fn ignore_pipe_signal() {
    // SAFETY: to ignore a signal runs no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Blocks every signal that can be blocked, for a process that takes them with [`wait_signal`].
pub fn block_signals() {
    // SAFETY: the set is made by sigfillset before it is read.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
    }
}

/// A signal that [`wait_signal`] took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The signal's number.
    pub number: i32,
    /// It was made by the kernel, not sent by a process.
    pub from_kernel: bool,
}

/// Waits for one of the blocked signals and takes it.
pub fn wait_signal() -> Taken {
    // SAFETY: both structures are plain data that the calls fill before they are read.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        let mut info: libc::siginfo_t = std::mem::zeroed();
        loop {
            let number = libc::sigwaitinfo(&raw const all, &raw mut info);
            if number > 0 {
                return Taken { number, from_kernel: info.si_code > 0 };
            }
        }
    }
}

/// Sends a signal by its number: rustix's type lacks the real-time ones. A negative `pid` is a process group.
pub fn send_signal(pid: i32, number: i32) -> Result<(), Errno> {
    // SAFETY: kill has no memory precondition.
    if unsafe { libc::kill(pid, number) } == 0 { Ok(()) } else { Err(last_errno()) }
}

/// The clock tick at which a process started, from field 22 of the text of `/proc/<pid>/stat`.
pub fn start_time_ticks(stat: &str) -> Option<u64> {
    // The second field, the command's name, may hold spaces and parentheses: count from its end.
    let rest = &stat[stat.rfind(')')? + 1..];
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

pub(crate) fn last_errno() -> Errno {
    Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_a_hostile_name() {
        let stat = "7 (a) R 1 (b) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 9 9";
        assert_eq!(start_time_ticks(stat), Some(4242));
        assert_eq!(start_time_ticks("7 a"), None);
        assert_eq!(start_time_ticks("7 (a) S"), None);
    }

    #[test]
    fn a_forked_child_may_not_open_a_database() {
        // Nothing in the child allocates or locks: other threads of the test harness may hold a lock.
        let into = CloneInto { namespaces: UnshareFlags::empty(), sibling: false, cgroup: None };
        match clone3(into).unwrap() {
            Forked::Child => exit_now(u8::from(database_may_open())),
            Forked::Parent { pidfd, .. } => {
                use std::os::fd::AsFd;
                let id = rustix::process::WaitId::PidFd(pidfd.as_fd());
                let status = rustix::process::waitid(id, rustix::process::WaitIdOptions::EXITED).unwrap();
                assert_eq!(status.unwrap().exit_status(), Some(0));
            }
        }
        assert!(database_may_open());
    }
}
