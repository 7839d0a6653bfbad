//! Programs of one system call, made byte by byte: what they do can't be wrapped, retried or refused by a C library.
//!
//! x86-64 only, as the machine code in it.

/// A static ELF executable that makes one system call with these arguments and exits with the errno it got (0 if
/// it was let through and went well).
pub fn probe(number: u32, arguments: [u32; 3]) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let mut code = Vec::new();
    // mov edi, esi, edx: writing the lower half clears the upper.
    for (register, value) in [0xbf, 0xbe, 0xba].into_iter().zip(arguments) {
        code.push(register);
        code.extend_from_slice(&value.to_le_bytes());
    }
    // xor r10d, r10d; xor r8d, r8d; xor r9d, r9d
    code.extend_from_slice(&[0x45, 0x31, 0xd2, 0x45, 0x31, 0xc0, 0x45, 0x31, 0xc9]);
    // mov eax, number; syscall
    code.push(0xb8);
    code.extend_from_slice(&number.to_le_bytes());
    code.extend_from_slice(&[0x0f, 0x05]);
    // A result above zero (an id, a descriptor) is success: xor edi, edi; test eax, eax; jns over; mov edi, eax; neg edi
    code.extend_from_slice(&[0x31, 0xff, 0x85, 0xc0, 0x79, 0x04, 0x89, 0xc7, 0xf7, 0xdf]);
    // mov eax, exit_group; syscall
    code.extend_from_slice(&[0xb8, 231, 0, 0, 0, 0x0f, 0x05]);

    let size = HEADERS + code.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let mut put = |bytes: &[u8]| file.extend_from_slice(bytes);
    // An executable for x86-64, version 1, entry after the headers, one program header at 64, no sections.
    put(&2u16.to_le_bytes());
    put(&62u16.to_le_bytes());
    put(&1u32.to_le_bytes());
    for word in [BASE + HEADERS, 64, 0] {
        put(&word.to_le_bytes());
    }
    put(&0u32.to_le_bytes());
    for half in [64u16, 56, 1, 0, 0, 0] {
        put(&half.to_le_bytes());
    }
    // PT_LOAD, readable and executable: the whole file.
    put(&1u32.to_le_bytes());
    put(&5u32.to_le_bytes());
    for word in [0, BASE, BASE, size, size, 0x1000] {
        put(&word.to_le_bytes());
    }
    put(&code);
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn check(number: u32, arguments: [u32; 3], expected: i32) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("probe");
        std::fs::write(&path, probe(number, arguments)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(std::process::Command::new(&path).status().unwrap().code(), Some(expected), "{number}");
    }

    #[test]
    fn the_exit_code_is_the_errno() {
        // getpid; close(-1) is EBADF; a number nobody has is ENOSYS.
        check(39, [0; 3], 0);
        check(3, [u32::MAX, 0, 0], 9);
        check(100_000, [0; 3], 38);
    }
}
