//! For this crate's tests: archives written byte by byte, so that they can be as wrong as an attacker's, and a store.

use std::path::PathBuf;
use std::process::{Command, Output};

use corten_model::Digest;

use crate::{Error, Limits, Store, Unpacked};

/// An archive under construction.
#[derive(Default, Clone)]
pub(crate) struct Tar(pub Vec<u8>);

/// The fields of a header that tests set.
#[derive(Clone)]
pub(crate) struct Head<'a> {
    pub name: &'a [u8],
    pub kind: u8,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: u64,
    pub link: &'a [u8],
    pub device: (u32, u32),
    pub magic: &'a [u8; 8],
}

pub(crate) const USTAR: &[u8; 8] = b"ustar\x0000";
pub(crate) const GNU: &[u8; 8] = b"ustar  \0";

impl<'a> Head<'a> {
    pub fn new(name: &'a str, kind: u8) -> Self {
        let mode = if kind == b'5' { 0o755 } else { 0o644 };
        let (link, device) = (&b""[..], (0, 0));
        Self {
            name: name.as_bytes(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: 1_000_000,
            link,
            device,
            magic: USTAR,
        }
    }
}

pub(crate) fn block(head: &Head<'_>, size: u64) -> [u8; 512] {
    let mut block = [0; 512];
    block[..head.name.len()].copy_from_slice(head.name);
    block[157..157 + head.link.len()].copy_from_slice(head.link);
    block[257..265].copy_from_slice(head.magic);
    for (at, digits, value) in [
        (100, 7, u64::from(head.mode)),
        (108, 7, u64::from(head.uid)),
        (116, 7, u64::from(head.gid)),
        (124, 11, size),
        (136, 11, head.mtime),
        (329, 7, u64::from(head.device.0)),
        (337, 7, u64::from(head.device.1)),
    ] {
        block[at..at + digits].copy_from_slice(format!("{value:0digits$o}").as_bytes());
    }
    block[156] = head.kind;
    seal(&mut block);
    block
}

/// Sets the checksum.
pub(crate) fn seal(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

impl Tar {
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub fn entry(self, head: &Head<'_>, data: &[u8]) -> Self {
        let mut tar = self.raw(&block(head, data.len() as u64)).raw(data);
        tar.0.resize(tar.0.len().next_multiple_of(512), 0);
        tar
    }

    pub fn file(self, name: &str, data: &str) -> Self {
        self.entry(&Head::new(name, b'0'), data.as_bytes())
    }

    pub fn dir(self, name: &str) -> Self {
        self.entry(&Head::new(name, b'5'), b"")
    }

    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(&Head { link: target.as_bytes(), ..Head::new(name, b'2') }, b"")
    }

    pub fn hardlink(self, name: &str, target: &str) -> Self {
        self.entry(&Head { link: target.as_bytes(), ..Head::new(name, b'1') }, b"")
    }

    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut bytes = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            bytes.extend(format!("{length} {key}=").as_bytes());
            bytes.extend(*value);
            bytes.push(b'\n');
        }
        self.entry(&Head::new("pax", b'x'), &bytes)
    }

    pub fn end(self) -> Vec<u8> {
        self.raw(&[0; 1024]).0
    }
}

/// A store in a directory of its own, with a file outside of it that nobody may touch.
pub(crate) struct World {
    pub temp: tempfile::TempDir,
    pub store: Store,
}

impl World {
    pub fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("marker"), "untouched").unwrap();
        let store = Store::open(&temp.path().join("store"), false).unwrap();
        Self { temp, store }
    }

    pub fn marker(&self) -> PathBuf {
        self.temp.path().join("marker")
    }

    pub fn unpack(&self, tar: Tar, parent: Option<&Digest>) -> Result<Unpacked, Error> {
        self.store.layers().unpack(&mut tar.end().as_slice(), parent, &Limits::default())
    }

    pub fn unpacked(&self, tar: Tar, parent: Option<&Digest>) -> (PathBuf, Digest) {
        let chain = self.unpack(tar, parent).unwrap().chain_id;
        (self.store.layers().dir(&chain), chain)
    }

    /// Nothing outside the store changed, and nothing is left of what failed.
    pub fn assert_clean(&self) {
        assert_eq!(std::fs::read_to_string(self.marker()).unwrap(), "untouched");
        let outside: Vec<_> = names(self.temp.path());
        assert_eq!(outside, ["marker", "store"]);
        assert!(!names(&self.store.root().join("layers")).iter().any(|n| n.starts_with(".tmp-")));
    }
}

pub(crate) fn names(directory: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Runs one test of this binary in a process of its own, through `wrapper`.
pub(crate) fn rerun(test: &str, wrapper: &[&str], variable: (&str, &str)) -> Output {
    let mut words = wrapper.to_vec();
    let this = std::env::current_exe().unwrap();
    words.push(this.to_str().unwrap());
    Command::new(words[0])
        .args(&words[1..])
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(variable.0, variable.1)
        .output()
        .unwrap()
}
