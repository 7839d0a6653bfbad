//! bpf(2): the device programs of control groups, nothing else.
//!
//! Loads a `BPF_PROG_TYPE_CGROUP_DEVICE` program and attaches it to a cgroup v2 directory. What the program
//! says is decided elsewhere. Attaching always allows several programs in a group: a group above may have its
//! own (systemd's `DeviceAllow=`), and each of them has to agree before a device opens.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

/// The longest program that the kernel takes from somebody without CAP_BPF; ours are far below.
pub const INSTRUCTIONS_MAX: usize = 4096;
/// How many programs of one group are looked at; the kernel itself allows 64.
pub const ATTACHED_MAX: usize = 64;

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_DETACH: libc::c_int = 9;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const PROG_QUERY: libc::c_int = 16;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const CGROUP_DEVICE: u32 = 6;
const F_ALLOW_MULTI: u32 = 1 << 1;
const F_REPLACE: u32 = 1 << 2;

/// One instruction of extended BPF: `struct bpf_insn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// The operation.
    pub code: u8,
    /// The destination register in the low four bits, the source register in the high four.
    pub registers: u8,
    /// The offset of a jump, in instructions, or of a memory access, in bytes.
    pub offset: i16,
    /// The constant of the operation.
    pub immediate: i32,
}

#[repr(C)]
#[derive(Default)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

#[repr(C)]
#[derive(Default)]
struct Attach {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
}

#[repr(C)]
#[derive(Default)]
struct Query {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
}

#[repr(C)]
#[derive(Default)]
struct ById {
    prog_id: u32,
    next_id: u32,
    open_flags: u32,
}

/// # Safety
/// Every pointer stored in `attributes` is valid for what `command` reads and writes through it.
unsafe fn bpf<T>(command: libc::c_int, attributes: &mut T) -> Result<libc::c_long, Errno> {
    // SAFETY: the kernel reads (and for queries writes) exactly the given size of `attributes`; the caller
    // answers for the pointers inside.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>()) };
    if result >= 0 {
        return Ok(result);
    }
    Err(Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)))
}

fn raw(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd() as u32
}

/// Loads a device program. EPERM: no CAP_BPF (or CAP_SYS_ADMIN) in the first user namespace.
pub fn load_device_program(program: &[Instruction]) -> Result<OwnedFd, Errno> {
    if program.is_empty() || program.len() > INSTRUCTIONS_MAX {
        return Err(Errno::INVAL);
    }
    let mut load = Load {
        prog_type: PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: program.len() as u32,
        insns: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        prog_name: *b"corten_devices\0\0",
        ..Load::default()
    };
    // SAFETY: the instructions and the license live through the call and are only read; there is no log
    // buffer.
    let fd = unsafe { bpf(PROG_LOAD, &mut load) }?;
    // SAFETY: a successful BPF_PROG_LOAD returns a new descriptor (close-on-exec) that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Attaches `program` to the cgroup v2 directory `group`, in the place of `replaced` if that is given.
pub fn attach_device_program(
    group: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    replaced: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    let mut attach = Attach {
        target_fd: raw(group),
        attach_bpf_fd: raw(program),
        attach_type: CGROUP_DEVICE,
        attach_flags: F_ALLOW_MULTI | if replaced.is_some() { F_REPLACE } else { 0 },
        replace_bpf_fd: replaced.map_or(0, raw),
    };
    // SAFETY: the structure holds no pointers.
    unsafe { bpf(PROG_ATTACH, &mut attach) }.map(drop)
}

/// Takes `program` off the cgroup v2 directory `group`.
pub fn detach_device_program(group: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut detach = Attach {
        target_fd: raw(group),
        attach_bpf_fd: raw(program),
        attach_type: CGROUP_DEVICE,
        ..Attach::default()
    };
    // SAFETY: the structure holds no pointers.
    unsafe { bpf(PROG_DETACH, &mut detach) }.map(drop)
}

/// The programs attached to `group` itself, not to groups above it.
pub fn device_programs(group: BorrowedFd<'_>) -> Result<Vec<OwnedFd>, Errno> {
    let mut ids = [0u32; ATTACHED_MAX];
    let mut query = Query {
        target_fd: raw(group),
        attach_type: CGROUP_DEVICE,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: ids.len() as u32,
        ..Query::default()
    };
    // SAFETY: `prog_ids` points to `prog_cnt` numbers that live through the call.
    unsafe { bpf(PROG_QUERY, &mut query) }?;
    ids.iter().take(query.prog_cnt as usize).map(|id| program_by_id(*id)).collect()
}

fn program_by_id(id: u32) -> Result<OwnedFd, Errno> {
    let mut by_id = ById { prog_id: id, ..ById::default() };
    // SAFETY: the structure holds no pointers.
    let fd = unsafe { bpf(PROG_GET_FD_BY_ID, &mut by_id) }?;
    // SAFETY: a successful call returns a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Replaces whatever programs `group` itself has by `program`.
///
/// The first is exchanged in one step, so that at no moment the group is without one.
pub fn set_device_program(group: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), Errno> {
    let old = device_programs(group)?;
    attach_device_program(group, program, old.first().map(OwnedFd::as_fd))?;
    old.iter().skip(1).try_for_each(|extra| detach_device_program(group, extra.as_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_takes_a_program_and_refuses_nonsense() {
        let op = |code, registers, immediate| Instruction { code, registers, offset: 0, immediate };
        let allow = [op(0xb7, 0, 1), op(0x95, 0, 0)];
        let missing = |r: Result<OwnedFd, Errno>| r.map(drop);
        assert_eq!(missing(load_device_program(&allow)), Ok(()));
        assert_eq!(missing(load_device_program(&allow[1..])), Err(Errno::ACCESS), "r0 was never set");
        assert_eq!(missing(load_device_program(&[])), Err(Errno::INVAL));
    }
}
