//! Giving memory back that a process used on its way to long waiting.

use rustix::mm::{Advice, madvise};

/// How far below the current frame the stack is given back. The kernel keeps a mebibyte below a stack free of other
/// mappings: nothing else is in reach.
const STACK_BYTES: usize = 256 << 10;
/// What is left below the current frame for the calls that give back the rest.
const KEPT_BYTES: usize = 4 << 10;
const PAGE_BYTES: usize = 4 << 10;

unsafe extern "C" {
    /// Where the linker put the first byte of the program, and the first one behind its code.
    static __executable_start: u8;
    static etext: u8;
}

/// Gives back what the heap has free, the program's own code and constants, which come back from the page cache when
/// they are used again, and what the stack of the first thread doesn't use any more. Only for processes
/// with one thread: any other does nothing.
pub fn give_back() {
    if rustix::thread::gettid() != rustix::process::getpid() {
        return;
    }
    // SAFETY: it returns free chunks to the kernel; nothing that is in use moves.
    unsafe { libc::malloc_trim(0) };
    let (first, behind) = (&raw const __executable_start as usize, &raw const etext as usize);
    let length = behind.saturating_sub(first) / PAGE_BYTES * PAGE_BYTES;
    // SAFETY: what lies there is mapped from the file and never written: it reads the same afterwards.
    let _ = unsafe { madvise(first as *mut std::ffi::c_void, length, Advice::LinuxDontNeed) };
    let here = 0u8;
    let end = (&raw const here as usize - KEPT_BYTES) / PAGE_BYTES * PAGE_BYTES;
    let start = (end - STACK_BYTES) as *mut std::ffi::c_void;
    // SAFETY: it is the first thread's own stack below this frame and its callees': no live value is there. What isn't
    // mapped is reported, after what is mapped was given back: that error is of no interest.
    let _ = unsafe { madvise(start, STACK_BYTES, Advice::LinuxDontNeed) };
}
