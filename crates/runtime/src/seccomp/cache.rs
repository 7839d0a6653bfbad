//! Compiled filters on disk: compiling Docker's profile takes longer than starting a container.
//!
//! A file holds everything the filter depends on, the profile's text included, and is used only if all of it
//! is equal: the hash in its name finds the file, and is trusted for nothing else. A file that others could
//! have written, that is cut short or has a flipped bit, is as good as absent. Problems are not reported: the
//! filter is then compiled.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use corten_sys::seccomp::{Flags, INSTRUCTIONS_MAX, Instruction};
use rustix::fs::{FileType, Mode, OFlags};

use super::Filter;

/// Counts up with every change of what the compiler makes of a profile.
const COMPILER_VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"CORTENcB";
const HEADER_BYTES: usize = 64;
const INSTRUCTION_BYTES: usize = 8;
/// Above so many files the directory is emptied before the next one is written.
const FILES_MAX: usize = 64;
const CHUNK_BYTES: usize = 4096;

/// What a compiled filter depends on.
pub(super) struct Key<'a> {
    pub(super) profile: &'a str,
    pub(super) caps: u64,
    pub(super) kernel: (u32, u32),
    pub(super) arch: u32,
}

impl Key<'_> {
    fn path(&self, dir: &Path) -> PathBuf {
        let mut hash = Fnv::default();
        hash.add(&self.header(Flags::NONE, 0, 0)[..HEADER_BYTES - 24]);
        hash.add(self.profile.as_bytes());
        dir.join(format!("{:032x}.bpf", hash.0))
    }

    /// 40 bytes that tell the key, then 24 that tell the filter.
    fn header(&self, flags: Flags, instructions: u32, checksum: u128) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[0..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&COMPILER_VERSION.to_le_bytes());
        header[12..16].copy_from_slice(&self.arch.to_le_bytes());
        header[16..24].copy_from_slice(&self.caps.to_le_bytes());
        header[24..28].copy_from_slice(&self.kernel.0.to_le_bytes());
        header[28..32].copy_from_slice(&self.kernel.1.to_le_bytes());
        header[32..40].copy_from_slice(&(self.profile.len() as u64).to_le_bytes());
        header[40..44].copy_from_slice(&flags.bits().to_le_bytes());
        header[44..48].copy_from_slice(&instructions.to_le_bytes());
        header[48..64].copy_from_slice(&checksum.to_le_bytes());
        header
    }
}

/// The filter, if there is a file for exactly this key that only we can have written.
pub(super) fn load(dir: &Path, key: &Key<'_>) -> Option<Filter> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(key.path(dir), flags, Mode::empty()).ok()?);
    let stat = rustix::fs::fstat(&file).ok()?;
    let ours = FileType::from_raw_mode(stat.st_mode).is_file()
        && stat.st_uid == rustix::process::geteuid().as_raw()
        && stat.st_mode & 0o022 == 0;
    if !ours {
        return None;
    }
    let mut header = [0; HEADER_BYTES];
    file.read_exact(&mut header).ok()?;
    let number = |at: usize| Some(u32::from_le_bytes(header[at..at + 4].try_into().ok()?));
    let (flags, instructions) = (Flags::from_bits(number(40)?)?, number(44)?);
    let checksum = u128::from_le_bytes(header[48..64].try_into().ok()?);
    let length = (instructions as usize).checked_mul(INSTRUCTION_BYTES)?;
    let size = HEADER_BYTES + key.profile.len() + length;
    if instructions == 0
        || instructions as usize > INSTRUCTIONS_MAX
        || header != key.header(flags, instructions, checksum)
        || stat.st_size as u64 != size as u64
        || !same_text(&mut file, key.profile.as_bytes())
    {
        return None;
    }
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes).ok()?;
    let program: Vec<Instruction> = bytes.chunks_exact(INSTRUCTION_BYTES).map(decode).collect();
    (sum(flags, &bytes) == checksum).then_some(Filter { program, flags })
}

/// Compares in pieces: the process that starts containers has no room for a second copy of the profile.
fn same_text(file: &mut File, text: &[u8]) -> bool {
    let mut chunk = [0; CHUNK_BYTES];
    text.chunks(CHUNK_BYTES).all(|part| {
        let buffer = &mut chunk[..part.len()];
        file.read_exact(buffer).is_ok() && buffer == part
    })
}

/// Keeps `filter` for the next time; two who do this at once write the same.
pub(super) fn store(dir: &Path, key: &Key<'_>, filter: &Filter) {
    // Whatever fails here fails again or not the next time; the filter itself is in the caller's hands.
    let _ = try_store(dir, key, filter);
}

fn try_store(dir: &Path, key: &Key<'_>, filter: &Filter) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    make_room(dir)?;
    let program: Vec<u8> = filter.program.iter().flat_map(encode).collect();
    let header = key.header(filter.flags, filter.program.len() as u32, sum(filter.flags, &program));
    let path = key.path(dir);
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    // One that a process with our number left behind when it was killed.
    let _ = fs::remove_file(&temporary);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(&temporary, flags, Mode::RUSR | Mode::WUSR)?);
    let written = [&header[..], key.profile.as_bytes(), &program].iter().try_for_each(|b| file.write_all(b));
    let renamed = written.and_then(|()| fs::rename(&temporary, &path));
    if renamed.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    renamed
}

fn make_room(dir: &Path) -> std::io::Result<()> {
    let ours = |path: &PathBuf| path.extension().is_some_and(|e| e == "bpf" || e == "tmp");
    let files: Vec<PathBuf> = fs::read_dir(dir)?.flatten().map(|e| e.path()).filter(ours).collect();
    if files.len() >= FILES_MAX {
        files.iter().try_for_each(fs::remove_file)?;
    }
    Ok(())
}

fn encode(i: &Instruction) -> [u8; INSTRUCTION_BYTES] {
    let (code, k) = (i.code.to_le_bytes(), i.k.to_le_bytes());
    [code[0], code[1], i.jump_true, i.jump_false, k[0], k[1], k[2], k[3]]
}

fn decode(b: &[u8]) -> Instruction {
    Instruction {
        code: u16::from_le_bytes([b[0], b[1]]),
        jump_true: b[2],
        jump_false: b[3],
        k: u32::from_le_bytes([b[4], b[5], b[6], b[7]]),
    }
}

fn sum(flags: Flags, program: &[u8]) -> u128 {
    let mut hash = Fnv::default();
    hash.add(&flags.bits().to_le_bytes());
    hash.add(program);
    hash.0
}

/// FNV-1a with 128 bits: the same in every build, which the standard library's hasher isn't.
struct Fnv(u128);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    const KEY: Key<'static> = Key { profile: "{ a profile }", caps: 5, kernel: (6, 1), arch: 7 };

    fn example() -> Filter {
        let ret = |k| Instruction { code: 6, jump_true: 1, jump_false: 2, k };
        Filter { program: vec![ret(0x7fff_0000), ret(0x0005_0001)], flags: Flags::LOG }
    }

    fn stored() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        try_store(dir.path(), &KEY, &example()).unwrap();
        let path = KEY.path(dir.path());
        (dir, path)
    }

    #[test]
    fn the_hash_is_fnv() {
        let mut hash = Fnv::default();
        hash.add(b"foobar");
        assert_eq!(hash.0, 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18);
    }

    #[test]
    fn what_was_stored_comes_back_for_the_same_key_only() {
        let (dir, _) = stored();
        assert_eq!(load(dir.path(), &KEY), Some(example()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
        for other in [
            Key { profile: "{ b profile }", ..KEY },
            Key { caps: 4, ..KEY },
            Key { kernel: (6, 2), ..KEY },
            Key { arch: 8, ..KEY },
        ] {
            assert_eq!(load(dir.path(), &other), None);
        }
    }

    #[test]
    fn a_file_of_another_key_under_our_name_is_not_taken() {
        let (dir, path) = stored();
        let other = Key { profile: "{ c profile }", ..KEY };
        try_store(dir.path(), &other, &example()).unwrap();
        fs::rename(other.path(dir.path()), path).unwrap();
        assert_eq!(load(dir.path(), &KEY), None);
    }

    #[test]
    fn every_damage_makes_it_absent() {
        let (dir, path) = stored();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&path, &bytes).unwrap();
            assert_eq!(load(dir.path(), &KEY), None, "flipped bit in byte {at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(load(dir.path(), &KEY), None, "cut at {at}");
        }
        fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
        assert_eq!(load(dir.path(), &KEY), None, "one byte more");
        fs::write(&path, &whole).unwrap();
        assert_eq!(load(dir.path(), &KEY), Some(example()));
    }

    #[test]
    fn a_file_that_others_can_write_is_not_trusted() {
        let (dir, path) = stored();
        for mode in [0o620, 0o602, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(load(dir.path(), &KEY), None, "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&path, Some(12345), None).unwrap();
        assert_eq!(load(dir.path(), &KEY), None, "another owner");
        chown(&path, Some(0), None).unwrap();
        fs::rename(&path, dir.path().join("elsewhere")).unwrap();
        symlink("elsewhere", &path).unwrap();
        assert_eq!(load(dir.path(), &KEY), None, "a symlink");
    }

    #[test]
    fn the_directory_does_not_grow_without_end() {
        let dir = tempfile::tempdir().unwrap();
        for caps in 0..3 * FILES_MAX as u64 {
            try_store(dir.path(), &Key { caps, ..KEY }, &example()).unwrap();
        }
        assert!(fs::read_dir(dir.path()).unwrap().count() <= FILES_MAX);
    }
}
