//! Cloning a young process of ours to be another personality, where spawning the binary would cost more than all that
//! follows.
//!
//! The C library asks the processor about its caches at each exec of a static program. In a virtual machine every
//! one of these questions leaves it: half a millisecond. A clone of a process that has done no more than read its
//! arguments saves that and is as small as a spawned one. What makes a fat parent a bad one to fork (a heap, threads,
//! SQLite's locks) is refused here: only a process that said at its start that it is young is cloned, and only
//! while it has one thread and never opened a database.
//!
//! What a clone keeps that a spawned process lacks is taken away: descriptors, signals, session, arguments and
//! environment as others see them. Its executable stays the file that was started: see [`crate::spawn`] for whom that
//! is not good enough.

use std::ffi::{CStr, c_char, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use rustix::io::Errno;

use crate::process::{database_was_opened, exit_now, reset_signals};
use crate::spawn::{FIRST_PASSED_FD, take_passed};

static YOUNG: AtomicBool = AtomicBool::new(false);
/// The kernel's own strings: arguments and environment, which others see in /proc.
static ARGUMENTS: AtomicPtr<*const c_char> = AtomicPtr::new(std::ptr::null_mut());
static ENVIRONMENT: AtomicPtr<*const c_char> = AtomicPtr::new(std::ptr::null_mut());

/// Run before main with what main gets in C; the standard library finds its arguments in the same way.
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE: extern "C" fn(libc::c_int, *mut *const c_char, *mut *const c_char) = note;

extern "C" fn note(_: libc::c_int, arguments: *mut *const c_char, environment: *mut *const c_char) {
    ARGUMENTS.store(arguments, Ordering::Relaxed);
    ENVIRONMENT.store(environment, Ordering::Relaxed);
}

/// The clone's stack, and how much of its parent's it gives back.
const STACK_BYTES: usize = 1 << 20;
const GUARD_BYTES: usize = PAGE_BYTES;
const PAGE_BYTES: usize = 4 << 10;

/// Links of /proc/self/task besides the threads: itself and its parent.
const OTHER_LINKS: i128 = 2;

/// Says that this process is a command at its start: it may be cloned until it opens a database or makes a thread.
pub fn declare() {
    YOUNG.store(true, Ordering::SeqCst);
}

/// Whether this process may be cloned.
pub fn is_young() -> bool {
    YOUNG.load(Ordering::SeqCst) && !database_was_opened() && is_single_threaded()
}

fn is_single_threaded() -> bool {
    // Without proc it isn't known, which is a no.
    rustix::fs::stat("/proc/self/task").is_ok_and(|stat| i128::from(stat.st_nlink) == OTHER_LINKS + 1)
}

/// Clones this process: the child runs `main` on a small stack of its own, in a session of its own, with standard
/// streams on /dev/null, no blocked signals, `pass` as its only other descriptor, and ends with what `main` returns.
///
/// # Panics
/// If this process isn't young any more: that is a fault of the caller's order.
pub fn clone_self(name: &'static CStr, pass: BorrowedFd<'_>, main: fn(OwnedFd) -> u8) -> Result<i32, Errno> {
    assert!(is_young(), "a process that isn't young is cloned");
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    let null = rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty())?;
    let stack = Stack::new()?;
    let mut birth = Birth { name, main, null: null.as_raw_fd(), pass: pass.as_raw_fd() };
    // SAFETY: without CLONE_VM the child runs on copies of all memory: of `birth` too, which it reads before it gives
    // this stack back. The new stack is writable, large enough, and grows down from its end.
    let pid = unsafe { libc::clone(be_born, stack.end(), libc::SIGCHLD, (&raw mut birth).cast()) };
    // The child has its own copy of the stack.
    if pid < 0 { Err(crate::process::last_errno()) } else { Ok(pid) }
}

/// What the child needs.
struct Birth {
    name: &'static CStr,
    main: fn(OwnedFd) -> u8,
    null: RawFd,
    pass: RawFd,
}

extern "C" fn be_born(birth: *mut c_void) -> libc::c_int {
    // A panic must not unwind into the C library's frame.
    let guard = ExitOnDrop;
    crate::process::note_forked();
    // SAFETY: `clone_self` gave a pointer to its `birth`, of which this process has a copy that nothing changes.
    let Birth { name, main, null, pass } = unsafe { birth.cast::<Birth>().read() };
    let code = match become_other(name, null, pass) {
        Ok(socket) => main(socket),
        // Its caller sees a hang-up.
        Err(_) => 1,
    };
    std::mem::forget(guard);
    exit_now(code)
}

/// Memory for a stack: the frames of the command that was cloned are large, and would be the clone's for its life.
struct Stack(*mut c_void);

impl Stack {
    fn new() -> Result<Self, Errno> {
        use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::STACK;
        // SAFETY: a new mapping at a place that the kernel chooses; its first page, nobody's yet, becomes the guard.
        unsafe {
            let start = mmap_anonymous(std::ptr::null_mut(), STACK_BYTES, access, flags)?;
            let stack = Self(start);
            mprotect(start, GUARD_BYTES, MprotectFlags::empty())?;
            Ok(stack)
        }
    }

    fn end(&self) -> *mut c_void {
        // SAFETY: one byte behind the mapping, which is as long as this.
        unsafe { self.0.add(STACK_BYTES) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and nothing of this process runs on it.
        let _ = unsafe { rustix::mm::munmap(self.0, STACK_BYTES) };
    }
}

struct ExitOnDrop;

impl Drop for ExitOnDrop {
    fn drop(&mut self) {
        exit_now(1)
    }
}

/// Takes away what a spawned process wouldn't have.
fn become_other(name: &CStr, null: RawFd, pass: RawFd) -> Result<OwnedFd, Errno> {
    rename(name);
    leave_first_stack();
    rustix::process::setsid()?;
    for fd in 0..FIRST_PASSED_FD {
        duplicate(null, fd)?;
    }
    duplicate(pass, FIRST_PASSED_FD)?;
    crate::prctl::close_from(FIRST_PASSED_FD as u32 + 1)?;
    reset_signals();
    crate::process::ignore_pipe_signal();
    take_passed(0).map_err(|_| Errno::BADF)
}

fn duplicate(from: i32, to: i32) -> Result<(), Errno> {
    // Where both are the same, dup2 would leave it as it is, to be closed at the next exec: take_passed sets that anyway.
    // SAFETY: this process owns all its descriptors alone, and nothing uses the one that is replaced any more.
    if unsafe { libc::dup2(from, to) } < 0 { Err(crate::process::last_errno()) } else { Ok(()) }
}

/// Gives back the stack on which the cloned process was: what lies below the kernel's list of arguments.
fn leave_first_stack() {
    let top = ARGUMENTS.load(Ordering::Relaxed) as usize / PAGE_BYTES * PAGE_BYTES;
    let Some(start) = top.checked_sub(STACK_BYTES) else { return };
    // SAFETY: this process runs on a stack of its own, and nothing of the frames there is used by what it runs: their
    // destructors never do. The kernel keeps a mebibyte below a stack free of other mappings.
    let _ =
        unsafe { rustix::mm::madvise(start as *mut c_void, STACK_BYTES, rustix::mm::Advice::LinuxDontNeed) };
}

/// What others see as its command line; the environment, which may hold secrets of the caller's, goes.
fn rename(name: &CStr) {
    // SAFETY: the process is a clone's only thread, and what it runs from here on reads no environment.
    unsafe { libc::clearenv() };
    let shown = shown_strings();
    let Some(size) = shown.len().checked_sub(1) else { return };
    let text = name.to_bytes();
    let length = text.len().min(size);
    shown.fill(0);
    shown[..length].copy_from_slice(&text[..length]);
}

/// The strings of the arguments and the environment, which lie one behind the other.
fn shown_strings() -> &'static mut [u8] {
    let lists = [ARGUMENTS.load(Ordering::Relaxed), ENVIRONMENT.load(Ordering::Relaxed)];
    let (mut start, mut end): (*const c_char, *const c_char) = (std::ptr::null(), std::ptr::null());
    for list in lists.into_iter().filter(|list| !list.is_null()) {
        let mut at = 0;
        // SAFETY: both lists are the kernel's, which end with a null pointer, and so are the strings, each with its
        // NUL. Only what lies right behind the string before is taken. Nobody else has a reference to any of it: the
        // standard library copies what it gives out.
        unsafe {
            while !(*list.add(at)).is_null() {
                let string = *list.add(at);
                if start.is_null() {
                    start = string;
                } else if string != end {
                    break;
                }
                end = string.add(CStr::from_ptr(string).to_bytes_with_nul().len());
                at += 1;
            }
        }
    }
    if start.is_null() {
        return &mut [];
    }
    // SAFETY: see above; the memory is writable and stays for the life of the process.
    unsafe { std::slice::from_raw_parts_mut(start.cast_mut().cast(), end.offset_from(start) as usize) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_or_without_a_word_is_not_young() {
        assert!(!is_young());
        declare();
        // The test harness has threads.
        assert!(!is_young());
    }

    #[test]
    fn the_arguments_and_the_environment_lie_together() {
        let shown: &[u8] = shown_strings();
        let mut strings = shown.split(|byte| *byte == 0);
        for argument in std::env::args() {
            assert_eq!(strings.next(), Some(argument.as_bytes()));
        }
        let variables = strings.filter(|string| string.contains(&b'=')).count();
        assert!(variables >= 1, "no variable");
    }
}
