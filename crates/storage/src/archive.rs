//! Writing tar archives that depend on nothing but what is put in: POSIX headers, PAX only where a field is too small.
//!
//! Owns the bytes: [`header`] gives what comes before an entry's data, [`padding`] what comes after it, [`END`] ends the
//! archive, and [`Writer`] keeps that order. No clock, no names of users, nothing of the host. `pack.rs` makes entries of
//! files of a tree that others change meanwhile, `extract.rs` files of entries, and `place.rs` says where `cp` finds and
//! puts them. Sparse files are written as plain bytes: no reader of layers can be trusted to know more.

mod extract;
mod pack;
mod place;

use std::io::{self, Read, Write};

pub use crate::tar::EntryKind as Kind;
pub use extract::{Extraction, Owners, extract};
pub(crate) use pack::Packer;
pub use pack::{Selection, write_tree};

/// Bytes of a block.
pub const BLOCK: usize = 512;
/// The end of an archive: two empty blocks.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// One entry.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Relative, without `./`; a directory's trailing slash is added.
    pub path: &'a [u8],
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time in seconds.
    pub mtime_s: i64,
    /// And nanoseconds.
    pub mtime_ns: u32,
    /// Bytes of data that follow; 0 unless a file.
    pub size: u64,
    /// A link's target.
    pub link: &'a [u8],
    /// A device's major and minor number.
    pub device: (u32, u32),
    /// Extended attributes, in the order in which they are written.
    pub xattrs: &'a [(&'a [u8], &'a [u8])],
}

impl<'a> Entry<'a> {
    /// Root's, at time 0, without anything else.
    pub fn new(path: &'a [u8], kind: Kind, mode: u32) -> Self {
        Self {
            path,
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime_s: 0,
            mtime_ns: 0,
            size: 0,
            link: b"",
            device: (0, 0),
            xattrs: &[],
        }
    }
}

/// Bytes of data that are held at once.
const CHUNK_BYTES: usize = 128 << 10;

/// An archive being written to `out`.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    /// Bytes of data that the last entry still wants, and what follows them.
    left: u64,
    padding: &'static [u8],
    chunk: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// An empty archive.
    pub fn new(out: W) -> Self {
        Self { out, left: 0, padding: &[], chunk: Vec::new() }
    }

    /// Begins an entry; as many bytes of [`Writer::data`] as it says must follow.
    pub fn append(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        self.check_complete()?;
        self.out.write_all(&header(entry))?;
        self.left = entry.size;
        self.padding = padding(entry.size);
        Ok(())
    }

    /// Some of the last entry's data.
    pub fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left =
            left.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "more data than announced"))?;
        self.out.write_all(bytes)?;
        if self.left == 0 {
            self.out.write_all(std::mem::take(&mut self.padding))?;
        }
        Ok(())
    }

    /// All of the last entry's data; what `from` has beyond it is left there. `UnexpectedEof`: it has less.
    pub fn copy(&mut self, from: &mut dyn Read) -> io::Result<()> {
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.resize(CHUNK_BYTES, 0);
        while self.left > 0 {
            let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
            match from.read(&mut chunk[..want]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.data(&chunk[..count])?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.chunk = chunk;
        Ok(())
    }

    /// Ends the archive.
    pub fn finish(mut self) -> io::Result<W> {
        self.check_complete()?;
        self.out.write_all(&END)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn check_complete(&self) -> io::Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidInput, "less data than announced"))
    }
}

/// What fills `size` bytes of data up to a block.
pub fn padding(size: u64) -> &'static [u8] {
    &END[..(size.wrapping_neg() % BLOCK as u64) as usize]
}

/// The blocks before the data of `entry`.
pub fn header(entry: &Entry<'_>) -> Vec<u8> {
    let mut path = entry.path.to_vec();
    if entry.kind == Kind::Dir && !path.ends_with(b"/") {
        path.push(b'/');
    }
    let mut records = Vec::new();
    if path.len() > 100 || !path.is_ascii() {
        record(&mut records, b"path", &path);
    }
    if entry.link.len() > 100 || !entry.link.is_ascii() {
        record(&mut records, b"linkpath", entry.link);
    }
    for (name, value, digits) in
        [("size", entry.size, 11), ("uid", entry.uid.into(), 7), ("gid", entry.gid.into(), 7)]
    {
        if value >> (3 * digits) != 0 {
            record(&mut records, name.as_bytes(), value.to_string().as_bytes());
        }
    }
    if entry.mtime_ns != 0 || !(0..1 << 33).contains(&entry.mtime_s) {
        record(&mut records, b"mtime", time(entry.mtime_s, entry.mtime_ns).as_bytes());
    }
    for (name, value) in entry.xattrs {
        record(&mut records, &[b"SCHILY.xattr.", *name].concat(), value);
    }
    let mut out = Vec::new();
    if !records.is_empty() {
        let pax = Entry { size: records.len() as u64, ..Entry::new(b"PaxHeaders/0", Kind::File, 0o644) };
        out.extend(block(&pax, pax.path, b'x'));
        out.extend(&records);
        out.extend(padding(records.len() as u64));
    }
    let flag = match entry.kind {
        Kind::File => b'0',
        Kind::Hardlink => b'1',
        Kind::Symlink => b'2',
        Kind::Char => b'3',
        Kind::Block => b'4',
        Kind::Dir => b'5',
        Kind::Fifo => b'6',
    };
    out.extend(block(entry, &path, flag));
    out
}

fn block(entry: &Entry<'_>, path: &[u8], flag: u8) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut text = |at: usize, bytes: &[u8]| {
        // What doesn't fit stands in full in a PAX record.
        let bytes = &bytes[..bytes.len().min(100)];
        block[at..at + bytes.len()].copy_from_slice(bytes);
    };
    text(0, path);
    text(157, entry.link);
    text(257, b"ustar\x0000");
    let mut octal = |at: usize, digits: usize, value: u64| {
        let value = if value >> (3 * digits) == 0 { value } else { 0 };
        text(at, format!("{value:0digits$o}").as_bytes());
    };
    octal(100, 7, u64::from(entry.mode & 0o7777));
    octal(108, 7, entry.uid.into());
    octal(116, 7, entry.gid.into());
    octal(124, 11, entry.size);
    octal(136, 11, u64::try_from(entry.mtime_s).unwrap_or(0));
    octal(329, 7, entry.device.0.into());
    octal(337, 7, entry.device.1.into());
    block[156] = flag;
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// `<length> <key>=<value>\n`, where the length counts its own digits.
fn record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend(format!("{length} ").as_bytes());
    out.extend(key);
    out.push(b'=');
    out.extend(value);
    out.push(b'\n');
}

/// Decimal seconds with nine digits behind the point; nanoseconds count up from `seconds`, also before 1970.
fn time(seconds: i64, nanos: u32) -> String {
    match (seconds, nanos) {
        (seconds, 0) => seconds.to_string(),
        (seconds, nanos) if seconds >= 0 => format!("{seconds}.{nanos:09}"),
        (-1, nanos) => format!("-0.{:09}", 1_000_000_000 - nanos),
        (seconds, nanos) => format!("{}.{:09}", seconds + 1, 1_000_000_000 - nanos),
    }
}

#[cfg(test)]
mod tests;
