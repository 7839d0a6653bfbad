//! Architectures: the kernel's mark of each, the names that profiles use, and the numbers of system calls.
//!
//! A processor that runs 64-bit programs runs 32-bit ones too, under other numbers: a filter that knew only
//! one set would be passed by the other. 32-bit ARM has no table here: its programs are killed under a
//! filter.

use std::str::FromStr;

use super::Error;

/// An architecture whose system calls a filter can judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arch {
    X86_64,
    I386,
    Aarch64,
}

/// The bit that marks a call of the x32 ABI, which shares x86_64's mark and nothing else.
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// i386's `socketcall(2)`: the numbers of its first argument, from linux/net.h.
const SOCKETCALL: [&str; 20] = [
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];

/// i386's `ipc(2)`: the numbers of its first argument, from linux/ipc.h.
const IPC: [(&str, u32); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

impl Arch {
    /// The one that this program was built for.
    pub(super) fn native() -> Result<Arch, Error> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Arch::X86_64),
            "x86" => Ok(Arch::I386),
            "aarch64" => Ok(Arch::Aarch64),
            other => Err(Error::Architecture(other)),
        }
    }

    /// `AUDIT_ARCH_*`, as `seccomp_data.arch` has it.
    pub(super) fn audit(self) -> u32 {
        match self {
            Arch::X86_64 => 0xc000_003e,
            Arch::I386 => 0x4000_0003,
            Arch::Aarch64 => 0xc000_00b7,
        }
    }

    /// libseccomp's name.
    pub(super) fn scmp(self) -> &'static str {
        match self {
            Arch::X86_64 => "SCMP_ARCH_X86_64",
            Arch::I386 => "SCMP_ARCH_X86",
            Arch::Aarch64 => "SCMP_ARCH_AARCH64",
        }
    }

    pub(super) fn from_scmp(name: &str) -> Option<Arch> {
        [Arch::X86_64, Arch::I386, Arch::Aarch64].into_iter().find(|a| a.scmp() == name)
    }

    /// The name in `includes.arches` and `excludes.arches`.
    pub(super) fn docker(self) -> &'static str {
        match self {
            Arch::X86_64 => "amd64",
            Arch::I386 => "x86",
            Arch::Aarch64 => "arm64",
        }
    }

    /// Whether arguments of system calls are 32 bits wide.
    pub(super) fn is_32_bit(self) -> bool {
        self == Arch::I386
    }

    /// The number of a system call; none if this architecture, or the table, doesn't have it.
    pub(super) fn number(self, name: &str) -> Option<u32> {
        match self {
            Arch::X86_64 => syscalls::x86_64::Sysno::from_str(name).ok().map(|n| n as u32),
            Arch::I386 => syscalls::x86::Sysno::from_str(name).ok().map(|n| n as u32),
            Arch::Aarch64 => syscalls::aarch64::Sysno::from_str(name).ok().map(|n| n as u32),
        }
    }

    /// The other way into the same call: the name of a multiplexer, and the number in its first argument.
    pub(super) fn multiplexed(self, name: &str) -> Option<(&'static str, u32)> {
        if self != Arch::I386 {
            return None;
        }
        let socket = SOCKETCALL.iter().position(|n| *n == name).map(|i| ("socketcall", i as u32 + 1));
        socket.or_else(|| IPC.iter().find(|(n, _)| *n == name).map(|(_, call)| ("ipc", *call)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_each_architecture() {
        let check = |name, expected: [Option<u32>; 3]| {
            assert_eq!([Arch::X86_64, Arch::I386, Arch::Aarch64].map(|a| a.number(name)), expected, "{name}");
        };
        check("read", [Some(0), Some(3), Some(63)]);
        check("openat2", [Some(437), Some(437), Some(437)]);
        check("chown32", [None, Some(212), None]);
        check("open", [Some(2), Some(5), None]);
        check("no_such_call", [None, None, None]);
    }

    #[test]
    fn only_i386_multiplexes() {
        assert_eq!(Arch::I386.multiplexed("socket"), Some(("socketcall", 1)));
        assert_eq!(Arch::I386.multiplexed("sendmmsg"), Some(("socketcall", 20)));
        assert_eq!(Arch::I386.multiplexed("shmat"), Some(("ipc", 21)));
        assert_eq!(Arch::I386.multiplexed("read"), None);
        assert_eq!(Arch::X86_64.multiplexed("socket"), None);
    }
}
