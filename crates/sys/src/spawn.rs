//! Spawning our own binary with chosen file descriptors.
//!
//! posix_spawn shares the parent's memory until exec: nothing of a fat or threaded parent (heap, SQLite's locks) is
//! inherited, and it costs the same however large the parent is.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

/// The descriptor under which a spawned personality finds its first passed descriptor; the others follow.
pub const FIRST_PASSED_FD: i32 = 3;
/// Descriptors that are only needed until exec live here, above those that are passed.
const SCRATCH_FD_MIN: i32 = 64;

/// Our own binary as a read-only file: what a container could reach of it can't be opened for writing
/// (CVE-2019-5736). Needs CAP_SYS_ADMIN; others get the plain file, which the kernel keeps from being written
/// while it runs.
pub fn own_binary() -> io::Result<OwnedFd> {
    let fd = match crate::mount::clone_read_only("/proc/self/exe") {
        Ok(fd) => fd,
        Err(_) => rustix::fs::open("/proc/self/exe", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?,
    };
    Ok(rustix::io::fcntl_dupfd_cloexec(&fd, SCRATCH_FD_MIN)?)
}

/// Spawns our own binary as `name` in a session of its own: standard streams on /dev/null, no blocked signals, `pass`
/// as descriptors 3 and up, nothing else open, an empty environment but for `environment`.
pub fn spawn_self(name: &str, pass: &[BorrowedFd<'_>], environment: &[(&str, String)]) -> io::Result<i32> {
    let binary = own_binary()?;
    let path = CString::new(format!("/proc/self/fd/{}", binary.as_raw_fd())).expect("a number has no NUL");
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let name = CString::new(name).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut argv = [name.as_ptr().cast_mut(), std::ptr::null_mut()];
    let environment: Vec<CString> = environment
        .iter()
        .map(|(key, value)| {
            CString::new(format!("{key}={value}")).map_err(|_| io::ErrorKind::InvalidInput.into())
        })
        .collect::<io::Result<_>>()?;
    let mut envp: Vec<*mut libc::c_char> = environment.iter().map(|e| e.as_ptr().cast_mut()).collect();
    envp.push(std::ptr::null_mut());

    let mut actions = Actions::new()?;
    for fd in 0..FIRST_PASSED_FD {
        actions.duplicate(null.as_fd(), fd)?;
    }
    // A source may have the number that an earlier one is duplicated to: move all of them out of the way first.
    let moved: Vec<OwnedFd> = pass
        .iter()
        .map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, SCRATCH_FD_MIN))
        .collect::<Result<_, _>>()?;
    for (fd, target) in moved.iter().zip(FIRST_PASSED_FD..) {
        actions.duplicate(fd.as_fd(), target)?;
    }
    let attributes = Attributes::new()?;
    let mut pid = 0;
    // SAFETY: every pointer is to a live, NUL-terminated object; argv and envp end with a null pointer.
    let code = unsafe {
        libc::posix_spawn(
            &mut pid,
            path.as_ptr(),
            &actions.0,
            &attributes.0,
            argv.as_mut_ptr(),
            envp.as_mut_ptr(),
        )
    };
    check(code)?;
    Ok(pid)
}

/// posix_spawn's functions return the error instead of setting errno.
fn check(code: libc::c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new() -> io::Result<Self> {
        let mut actions = std::mem::MaybeUninit::uninit();
        // SAFETY: init writes the whole object before it is read.
        unsafe {
            check(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
            Ok(Self(actions.assume_init()))
        }
    }

    fn duplicate(&mut self, fd: BorrowedFd<'_>, target: i32) -> io::Result<()> {
        // SAFETY: self.0 was initialised by new.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(&mut self.0, fd.as_raw_fd(), target) })
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: self.0 was initialised by new and is not used again.
        unsafe { libc::posix_spawn_file_actions_destroy(&mut self.0) };
    }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    /// A session of its own, no signal blocked, all at their default.
    fn new() -> io::Result<Self> {
        let mut attributes = std::mem::MaybeUninit::uninit();
        // SAFETY: init writes the whole object before it is read; the sets are written before they are passed.
        unsafe {
            check(libc::posix_spawnattr_init(attributes.as_mut_ptr()))?;
            let mut attributes = Self(attributes.assume_init());
            let mut none = std::mem::zeroed();
            let mut all = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::sigfillset(&mut all);
            check(libc::posix_spawnattr_setsigmask(&mut attributes.0, &none))?;
            check(libc::posix_spawnattr_setsigdefault(&mut attributes.0, &all))?;
            let flags = (libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF) as libc::c_short;
            check(libc::posix_spawnattr_setflags(&mut attributes.0, flags | libc::POSIX_SPAWN_SETSID))?;
            Ok(attributes)
        }
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: self.0 was initialised by new and is not used again.
        unsafe { libc::posix_spawnattr_destroy(&mut self.0) };
    }
}

/// The `index`th descriptor that [`spawn_self`] passed to this process. Each may be taken once.
pub fn take_passed(index: i32) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor was passed to this process for this purpose, and nothing else in it owns it; fcntl fails
    // on a number that isn't open.
    unsafe {
        let borrowed = BorrowedFd::borrow_raw(FIRST_PASSED_FD + index);
        rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC)?;
        Ok(<OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(FIRST_PASSED_FD + index))
    }
}
