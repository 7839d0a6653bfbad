//! seccomp(2): loading a classic BPF program as the filter of the calling thread.
//!
//! What the program should say is decided elsewhere; this file owns the instruction's layout, the limits that
//! the kernel sets on a program, and the one system call.

use rustix::io::Errno;

/// The longest program that the kernel takes (`BPF_MAXINSNS`).
pub const INSTRUCTIONS_MAX: usize = 4096;

const SET_MODE_FILTER: libc::c_uint = 1;

/// One instruction of classic BPF: `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// The operation.
    pub code: u16,
    /// How many instructions a jump skips if its condition holds.
    pub jump_true: u8,
    /// How many it skips if not.
    pub jump_false: u8,
    /// The constant of the operation.
    pub k: u32,
}

/// Flags of `SECCOMP_SET_MODE_FILTER`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);
    /// Every action but ALLOW is written to the audit log.
    pub const LOG: Flags = Flags(1 << 1);
    /// The mitigation of speculative store bypass isn't switched on with the filter.
    pub const SPEC_ALLOW: Flags = Flags(1 << 2);

    /// The bits as seccomp(2) takes them.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// The flags of these bits; unknown ones make it `None`.
    pub fn from_bits(bits: u32) -> Option<Self> {
        (bits & !(Self::LOG.0 | Self::SPEC_ALLOW.0) == 0).then_some(Self(bits))
    }

    /// Both sets together.
    #[must_use]
    pub fn union(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

#[repr(C)]
struct Program {
    length: libc::c_ushort,
    filter: *const Instruction,
}

/// Makes `program` a filter of the calling thread, for good; what it forks and executes inherits it.
///
/// The caller has `no_new_privs` set or CAP_SYS_ADMIN in its user namespace, else EACCES. EINVAL: the
/// kernel's checker refuses the program, or it is longer than [`INSTRUCTIONS_MAX`].
pub fn load(program: &[Instruction], flags: Flags) -> Result<(), Errno> {
    if program.is_empty() || program.len() > INSTRUCTIONS_MAX {
        return Err(Errno::INVAL);
    }
    let argument = Program { length: program.len() as libc::c_ushort, filter: program.as_ptr() };
    // SAFETY: `argument` and the instructions it points to live through the call; the kernel copies both and
    // checks every instruction, so no program can make it misbehave. The layout is that of `struct
    // sock_fprog`.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, flags.bits(), &raw const argument) };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

fn last_errno() -> Errno {
    let code = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
    Errno::from_raw_os_error(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `if nr == getpriority return ERRNO(77) else ALLOW`: a call that nothing in the test harness needs.
    fn deny_getpriority() -> Vec<Instruction> {
        let op = |code, jump_true, jump_false, k| Instruction { code, jump_true, jump_false, k };
        vec![
            op(0x20, 0, 0, 0),
            op(0x15, 0, 1, libc::SYS_getpriority as u32),
            op(0x06, 0, 0, 0x0005_0000 | 77),
            op(0x06, 0, 0, 0x7fff_0000),
        ]
    }

    #[test]
    fn a_loaded_filter_holds_for_its_thread() {
        let errno = std::thread::spawn(|| {
            rustix::thread::set_no_new_privs(true).unwrap();
            load(&deny_getpriority(), Flags::NONE).unwrap();
            rustix::process::getpriority_process(None).unwrap_err().raw_os_error()
        })
        .join()
        .unwrap();
        assert_eq!(errno, 77);
        assert!(rustix::process::getpriority_process(None).is_ok(), "the filter is not of other threads");
    }

    #[test]
    fn a_wrong_program_is_refused() {
        let falls_off = [Instruction { code: 0x20, jump_true: 0, jump_false: 0, k: 0 }];
        let check = |program: &[Instruction]| {
            let program = program.to_vec();
            std::thread::spawn(move || {
                rustix::thread::set_no_new_privs(true).unwrap();
                load(&program, Flags::NONE)
            })
            .join()
            .unwrap()
        };
        assert_eq!(check(&falls_off), Err(Errno::INVAL));
        assert_eq!(check(&[]), Err(Errno::INVAL));
        let long = vec![Instruction { code: 0x06, jump_true: 0, jump_false: 0, k: 0 }; INSTRUCTIONS_MAX + 1];
        assert_eq!(check(&long), Err(Errno::INVAL));
    }

    #[test]
    fn flags_keep_their_bits() {
        let both = Flags::LOG.union(Flags::SPEC_ALLOW);
        assert_eq!(Flags::from_bits(both.bits()), Some(both));
        assert_eq!(Flags::from_bits(1 << 5), None);
    }
}
