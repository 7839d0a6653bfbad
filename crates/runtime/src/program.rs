//! Finding the program in the container, and refusing one that is our own binary in disguise.

use std::ffi::CString;
use std::fs::File;
use std::os::unix::fs::FileExt;

use rustix::fs::{Access, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::step::{Failure, Step, at};

/// Where a program is looked for if the environment has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Scripts that are interpreted by scripts: the kernel's own limit.
const INTERPRETERS_MAX: usize = 5;
/// How much of a script's first line the kernel reads.
const LINE_BYTES_MAX: usize = 256;
const PATH_BYTES_MAX: usize = 4096;
const PROGRAM_HEADERS_MAX: usize = 64;

/// The program `name` as execve takes it. Root and working directory are the container's, ids the user's.
pub fn find(name: &str, environment: &[String]) -> Result<CString, Failure> {
    if name.contains('/') {
        return usable(name).map_err(|(errno, why)| Failure::because(Step::FindProgram, name, errno, why));
    }
    let path = environment.iter().rev().find_map(|v| v.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    let mut worst = (Errno::NOENT, "it is not in PATH");
    // A relative entry would be a trap in whatever the working directory is.
    for dir in path.split(':').filter(|d| d.starts_with('/')) {
        match usable(&format!("{dir}/{name}")) {
            Ok(found) => return Ok(found),
            Err((Errno::NOENT | Errno::NOTDIR, _)) => {}
            Err(other) => worst = other,
        }
    }
    Err(Failure::because(Step::FindProgram, name, worst.0, worst.1))
}

fn usable(path: &str) -> Result<CString, (Errno, &'static str)> {
    let stat = rustix::fs::stat(path).map_err(|errno| (errno, ""))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err((Errno::ACCESS, "it is a directory")),
        _ => return Err((Errno::ACCESS, "it is not a regular file")),
    }
    rustix::fs::access(path, Access::EXEC_OK).map_err(|errno| (errno, "it is not executable"))?;
    CString::new(path).map_err(|_| (Errno::INVAL, "its name has a NUL"))
}

/// Refuses a program that leads, itself or by an interpreter, through a magic link of proc: `/proc/self/exe` is still
/// our own binary at that moment, and would run inside the container where it can be reached (CVE-2019-5736).
///
/// The image's author wins a race against this by swapping the file; what then stands is that our binary isn't
/// writable for the container's ids, and the keeper runs from a read-only mount of it.
pub fn refuse_magic(path: &CString) -> Result<(), Failure> {
    let mut path = path.to_string_lossy().into_owned();
    for _ in 0..INTERPRETERS_MAX {
        let how = ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match rustix::fs::openat2(CWD, path.as_str(), flags, Mode::empty(), how) {
            Ok(file) => File::from(file),
            Err(Errno::LOOP) => {
                let why = "it leads through a magic link of /proc";
                return Err(Failure::because(Step::FindProgram, path, Errno::ACCESS, why));
            }
            // Executable but not readable, or gone: execve will know.
            Err(_) => return Ok(()),
        };
        match interpreter(&file) {
            Some(next) => path = next,
            None => return Ok(()),
        }
    }
    Err(at(Step::FindProgram, path)(Errno::LOOP))
}

/// The interpreter that a script or an ELF file names.
fn interpreter(file: &File) -> Option<String> {
    let mut head = [0u8; LINE_BYTES_MAX];
    let length = file.read_at(&mut head, 0).ok()?;
    let head = &head[..length];
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|b| *b == b'\n').next()?;
        let words = line.split(|b| matches!(b, b' ' | b'\t' | 0));
        let word = words.into_iter().find(|w| !w.is_empty())?;
        return Some(String::from_utf8_lossy(word).into_owned());
    }
    elf_interpreter(file, head)
}

/// What differs between 32 and 64 bits: where the header tells of program headers, and where those tell of
/// their content.
struct Layout {
    table: usize,
    entry_size: usize,
    count: usize,
    offset: usize,
    size: usize,
    wide: bool,
}

const ELF32: Layout = Layout { table: 28, entry_size: 42, count: 44, offset: 4, size: 16, wide: false };
const ELF64: Layout = Layout { table: 32, entry_size: 54, count: 56, offset: 8, size: 32, wide: true };
const PT_INTERP: u64 = 3;
const ENTRY_BYTES_MAX: usize = 64;

fn elf_interpreter(file: &File, head: &[u8]) -> Option<String> {
    let layout = match (head.strip_prefix(b"\x7fELF")?.first()?, head.get(5)?) {
        (1, 1) => ELF32,
        (2, 1) => ELF64,
        _ => return None,
    };
    let word = if layout.wide { 8 } else { 4 };
    let table = number(head, layout.table, word)?;
    let entry_size = number(head, layout.entry_size, 2)? as usize;
    let count = number(head, layout.count, 2)? as usize;
    for index in 0..count.min(PROGRAM_HEADERS_MAX) {
        let mut entry = [0u8; ENTRY_BYTES_MAX];
        let place = table.checked_add((index * entry_size) as u64)?;
        let length = file.read_at(&mut entry, place).ok()?;
        let entry = &entry[..length];
        if number(entry, 0, 4)? == PT_INTERP {
            let size = number(entry, layout.size, word)?.min(PATH_BYTES_MAX as u64) as usize;
            let mut path = vec![0; size];
            let length = file.read_at(&mut path, number(entry, layout.offset, word)?).ok()?;
            let path = path[..length].split(|b| *b == 0).next()?;
            return Some(String::from_utf8_lossy(path).into_owned());
        }
    }
    None
}

/// A little-endian number of `width` bytes.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + width)?;
    Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn script(dir: &std::path::Path, name: &str, text: &[u8]) -> CString {
        let path = dir.join(name);
        let mut file = File::create(&path).unwrap();
        file.write_all(text).unwrap();
        file.set_permissions(PermissionsExt::from_mode(0o755)).unwrap();
        CString::new(path.to_str().unwrap()).unwrap()
    }

    #[test]
    fn programs_are_found_along_the_path() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().to_str().unwrap();
        script(temp.path(), "tool", b"#!/bin/sh\n");
        std::fs::write(temp.path().join("data"), "").unwrap();
        let environment = vec![format!("PATH=relative:/nowhere:{dir}")];
        let check = |name: &str, expected: Result<(), Errno>| {
            assert_eq!(find(name, &environment).map(drop).map_err(|f| f.errno), expected, "{name}");
        };
        check("tool", Ok(()));
        check("missing", Err(Errno::NOENT));
        check("data", Err(Errno::ACCESS));
        check("/", Err(Errno::ACCESS));
        check("/dev/null", Err(Errno::ACCESS));
        check("/etc/passwd/x", Err(Errno::NOTDIR));
    }

    #[test]
    fn interpreters_are_read() {
        let temp = tempfile::tempdir().unwrap();
        let check = |text: &[u8], expected: Option<&str>| {
            let path = script(temp.path(), "x", text);
            let file = File::open(path.to_str().unwrap()).unwrap();
            assert_eq!(interpreter(&file).as_deref(), expected);
        };
        check(b"#!  /bin/sh -e\n", Some("/bin/sh"));
        check(b"#!/bin/sh", Some("/bin/sh"));
        check(b"#!\n", None);
        check(b"", None);
        check(b"\x7fELF\x02\x01", None);
        let shell = File::open("/bin/sh").unwrap();
        assert!(interpreter(&shell).unwrap().contains("ld-linux"), "a dynamic program names its loader");
    }

    #[test]
    fn our_own_binary_is_refused_in_every_disguise() {
        let temp = tempfile::tempdir().unwrap();
        let refused = |path: &CString| refuse_magic(path).map_err(|f| f.errno);
        let first = script(temp.path(), "first", b"#!/proc/self/exe\n");
        let second = script(temp.path(), "second", format!("#!{}\n", first.to_str().unwrap()).as_bytes());
        let link = temp.path().join("link");
        symlink("/proc/self/exe", &link).unwrap();
        let link = CString::new(link.to_str().unwrap()).unwrap();
        let mut elf = vec![0u8; 64 + 56];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = 1;
        elf[64] = 3;
        elf[64 + 8] = 120;
        elf[64 + 32] = 15;
        elf.extend_from_slice(b"/proc/self/exe\0");
        let loader = script(temp.path(), "loader", &elf);
        for path in [&first, &second, &link, &loader] {
            assert_eq!(refused(path), Err(Errno::ACCESS), "{path:?}");
        }
        let endless = script(temp.path(), "endless", b"");
        script(temp.path(), "endless", format!("#!{}\n", endless.to_str().unwrap()).as_bytes());
        assert_eq!(refused(&endless), Err(Errno::LOOP));
        assert_eq!(refused(&c"/bin/sh".into()), Ok(()));
    }
}
