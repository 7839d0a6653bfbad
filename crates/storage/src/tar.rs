//! Reading tar archives as strangers make them: ustar, PAX, GNU long names, base-256 numbers, sparse files.
//!
//! Owns the way from bytes to [`Entry`]: everything is bounded by [`Limits`], nothing touches the file system, and
//! a name is bytes, not yet a safe path. Every byte of the stream is hashed, trailing padding included, because a
//! layer's diff id is the digest of all of it. Unknown entry types and GNU multi-volume archives are errors.

mod feed;
mod header;
mod pax;
mod source;
mod sparse;

use std::io;
use std::path::Path;

use crate::limits::Limits;
pub(crate) use feed::{Feed, overlapped};
use header::{BLOCK, Block, Flavor};
use pax::Records;
pub(crate) use source::Source;
pub(crate) use sparse::Segment;

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The reader failed: I/O, or bad compressed data.
    #[error("cannot read the archive after {at} bytes")]
    Read {
        /// Bytes of the plain archive that came before.
        at: u64,
        /// The reader's error.
        #[source]
        source: io::Error,
    },
    /// The archive has no bytes at all.
    #[error("the archive is empty")]
    Empty,
    /// The stream ends inside an entry.
    #[error("the archive ends early, after {at} bytes")]
    Truncated {
        /// Bytes of the plain archive that were there.
        at: u64,
    },
    /// A header block that no tar program writes.
    #[error("not a tar header at byte {at}: {why}")]
    Header {
        /// Where the block starts.
        at: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A PAX header that can't be parsed.
    #[error("bad PAX header before byte {at}: {why}")]
    Pax {
        /// Where the header ends.
        at: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A kind of entry that is not built.
    #[error("entry `{entry}` has the unsupported type `{kind}`")]
    Type {
        /// The entry's name.
        entry: String,
        /// The type flag.
        kind: char,
    },
    /// The file that rebuilds the archive can't be written.
    #[error("cannot write the layer's recipe")]
    Recipe(#[source] io::Error),
    /// The threads that hash and unpack can't be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// A limit was reached.
    #[error("the archive has more than {max} {what}")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// The limit.
        max: u64,
    },
}

/// Bytes of PAX records that hold for all entries: they are kept, and copied for each entry.
const GLOBAL_BYTES_MAX: u64 = 64 << 10;

/// What an entry makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file with data.
    File,
    /// Another name for an earlier file.
    Hardlink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A directory.
    Dir,
    /// A named pipe.
    Fifo,
}

/// One entry; a file's data follows in the stream.
#[derive(Debug)]
pub(crate) struct Entry {
    pub path: Vec<u8>,
    pub link: Vec<u8>,
    pub kind: EntryKind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime_s: i64,
    pub mtime_ns: u32,
    /// The file's size when it is unpacked.
    pub size: u64,
    pub device: (u32, u32),
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the data goes in a sparse file; none: from 0 on.
    pub sparse: Option<Vec<Segment>>,
}

/// A tar archive being read.
pub(crate) struct Archive<'r> {
    source: Source<'r>,
    limits: Limits,
    global: Records,
    entries: u64,
    /// Bytes of the current entry's data that are not taken yet, and the padding behind them.
    data_left: u64,
    padding: u64,
}

impl<'r> Archive<'r> {
    pub fn new(source: Source<'r>, limits: Limits) -> Self {
        Self { source, limits, global: Records::default(), entries: 0, data_left: 0, padding: 0 }
    }

    /// Back to the source, when all entries are read.
    pub fn into_source(self) -> Source<'r> {
        self.source
    }

    /// The next entry; the rest of the last one's data is skipped.
    pub fn next(&mut self) -> Result<Option<Entry>, TarError> {
        self.skip_data()?;
        let mut local: Option<Records> = None;
        let (mut long_name, mut long_link) = (None, None);
        loop {
            let Some(block) = self.header()? else {
                if local.is_some() || long_name.is_some() || long_link.is_some() {
                    return Err(TarError::Truncated { at: self.source.taken() });
                }
                return Ok(None);
            };
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(TarError::Limit { what: "entries", max: self.limits.entries });
            }
            match block.kind() {
                b'x' | b'X' => local = Some(self.records(&block)?),
                b'g' => {
                    let records = self.records(&block)?;
                    self.global.merge(records);
                    if self.global.bytes() > GLOBAL_BYTES_MAX {
                        let what = "bytes in global PAX headers";
                        return Err(TarError::Limit { what, max: GLOBAL_BYTES_MAX });
                    }
                }
                b'L' => long_name = Some(self.long(&block)?),
                b'K' => long_link = Some(self.long(&block)?),
                // A volume label names the tape, not a file.
                b'V' => {
                    self.begin_data(block.size().map_err(|why| self.bad(why))?)?;
                    self.skip_data()?;
                }
                _ => {
                    let records = self.global.with(local.take());
                    return self.entry(&block, &records, long_name, long_link).map(Some);
                }
            }
        }
    }

    /// The next piece of the current entry's data, at most `max` bytes; empty at its end.
    pub fn data(&mut self, max: u64) -> Result<&[u8], TarError> {
        let want = self.data_left.min(max);
        if want == 0 {
            return Ok(&[]);
        }
        let chunk = self.source.take_some(want)?;
        self.data_left -= chunk.len() as u64;
        Ok(chunk)
    }

    /// The same for what goes into a file, followed by [`Archive::record_piece`].
    pub fn content(&mut self, max: u64) -> Result<&[u8], TarError> {
        let want = self.data_left.min(max);
        if want == 0 {
            return Ok(&[]);
        }
        let chunk = self.source.take_content(want)?;
        self.data_left -= chunk.len() as u64;
        Ok(chunk)
    }

    /// `length` bytes of content, the last that were taken, are now in the file at `path` from `offset` on.
    pub fn record_piece(&mut self, path: &Path, turn: u32, offset: u64, length: u64) -> Result<(), TarError> {
        self.source.record_piece(path, turn, offset, length)
    }

    /// Bytes of the plain archive handed out so far.
    pub fn taken(&self) -> u64 {
        self.source.taken()
    }

    /// Bytes of the current file's data that are still in the stream.
    pub fn data_left(&self) -> u64 {
        self.data_left
    }

    fn skip_data(&mut self) -> Result<(), TarError> {
        self.source.skip(self.data_left + self.padding)?;
        (self.data_left, self.padding) = (0, 0);
        Ok(())
    }

    fn begin_data(&mut self, size: u64) -> Result<(), TarError> {
        if size > self.limits.stream_bytes {
            return Err(TarError::Limit { what: "bytes", max: self.limits.stream_bytes });
        }
        self.data_left = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
        Ok(())
    }

    fn bad(&self, why: &'static str) -> TarError {
        TarError::Header { at: self.source.taken() - BLOCK as u64, why }
    }

    fn bad_pax(&self, why: &'static str) -> TarError {
        TarError::Pax { at: self.source.taken(), why }
    }

    /// The next header block; `None` at two zero blocks or at the end of the stream, which some writers leave bare.
    fn header(&mut self) -> Result<Option<Block>, TarError> {
        let Some(block) = self.source.block()? else {
            return if self.source.taken() == 0 { Err(TarError::Empty) } else { Ok(None) };
        };
        if block.is_zero() {
            return match self.source.block()? {
                Some(next) if !next.is_zero() => Err(self.bad("data after the end mark")),
                _ => Ok(None),
            };
        }
        block.check().map_err(|why| self.bad(why))?;
        Ok(Some(block))
    }

    /// The payload of a header that describes the next one.
    fn payload(&mut self, block: &Block, max: u64, what: &'static str) -> Result<Vec<u8>, TarError> {
        let size = block.size().map_err(|why| self.bad(why))?;
        if size > max {
            return Err(TarError::Limit { what, max });
        }
        self.begin_data(size)?;
        let mut bytes = Vec::with_capacity(size as usize);
        while self.data_left > 0 {
            let chunk = self.data(u64::MAX)?;
            bytes.extend_from_slice(chunk);
        }
        self.skip_data()?;
        Ok(bytes)
    }

    fn records(&mut self, block: &Block) -> Result<Records, TarError> {
        let bytes = self.payload(block, self.limits.pax_bytes, "bytes in a PAX header")?;
        Records::parse(&bytes).map_err(|why| self.bad_pax(why))
    }

    fn long(&mut self, block: &Block) -> Result<Vec<u8>, TarError> {
        let mut name = self.payload(block, self.limits.path_bytes + 1, "bytes in a name")?;
        let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
        name.truncate(end);
        Ok(name)
    }

    fn entry(
        &mut self,
        block: &Block,
        records: &Records,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> Result<Entry, TarError> {
        let path = match (records.get("path"), long_name) {
            (Some(path), _) => path.to_vec(),
            (None, Some(path)) => path,
            (None, None) => block.name(),
        };
        let link = match (records.get("linkpath"), long_link) {
            (Some(link), _) => link.to_vec(),
            (None, Some(link)) => link,
            (None, None) => block.link(),
        };
        let kind = match (block.kind(), path.ends_with(b"/")) {
            // Before POSIX, a directory was a file whose name ends with a slash.
            (0, true) => EntryKind::Dir,
            (b'0' | 0 | b'7' | b'S', _) => EntryKind::File,
            (b'1', _) => EntryKind::Hardlink,
            (b'2', _) => EntryKind::Symlink,
            (b'3', _) => EntryKind::Char,
            (b'4', _) => EntryKind::Block,
            (b'5' | b'D', _) => EntryKind::Dir,
            (b'6', _) => EntryKind::Fifo,
            (other, _) => {
                let entry = String::from_utf8_lossy(&path).into_owned();
                return Err(TarError::Type { entry, kind: char::from(other) });
            }
        };
        let size = match records.number("size").map_err(|why| self.bad_pax(why))? {
            Some(size) => size,
            None => block.size().map_err(|why| self.bad(why))?,
        };
        // Links, devices and directories may say a size (old writers do) but have no data; GNU's `D` has a list of
        // names that nobody needs.
        let data = if kind == EntryKind::File || block.kind() == b'D' { size } else { 0 };
        let mut entry = self.metadata(block, records, kind)?;
        (entry.path, entry.link, entry.kind) = (path, link, kind);
        let block_sparse = block.kind() == b'S' && block.flavor() == Flavor::Gnu;
        if block.kind() == b'S' && !block_sparse {
            return Err(self.bad("a sparse file without GNU's header"));
        }
        let extended = if block_sparse { Some(self.old_sparse(block)?) } else { None };
        self.begin_data(data)?;
        entry.size = data;
        match extended {
            Some((map, real)) => self.set_sparse(&mut entry, map, real)?,
            None if kind == EntryKind::File => self.pax_sparse(&mut entry, records)?,
            None => {}
        }
        if entry.path.len() as u64 > self.limits.path_bytes
            || entry.link.len() as u64 > self.limits.path_bytes
        {
            return Err(TarError::Limit { what: "bytes in a name", max: self.limits.path_bytes });
        }
        Ok(entry)
    }

    /// Owner, mode, times, device numbers and extended attributes.
    fn metadata(&self, block: &Block, records: &Records, kind: EntryKind) -> Result<Entry, TarError> {
        let id = |key: &str, field: Result<u64, &'static str>| -> Result<u32, TarError> {
            let id = match records.number(key).map_err(|why| self.bad_pax(why))? {
                Some(id) => id,
                None => field.map_err(|why| self.bad(why))?,
            };
            // 4,294,967,295 tells chown(2) to change nothing.
            u32::try_from(id).ok().filter(|id| *id != u32::MAX).ok_or_else(|| self.bad("an id above 32 bits"))
        };
        let (mtime_s, mtime_ns) = match records.time("mtime").map_err(|why| self.bad_pax(why))? {
            Some(time) => time,
            None => (block.mtime().map_err(|why| self.bad(why))?, 0),
        };
        let device = match kind {
            EntryKind::Char | EntryKind::Block => block.device().map_err(|why| self.bad(why))?,
            _ => (0, 0),
        };
        let (uid, gid) = (id("uid", block.uid())?, id("gid", block.gid())?);
        let mode = block.mode().map_err(|why| self.bad(why))? as u32 & 0o7777;
        let xattrs = records.xattrs();
        let biggest = xattrs.iter().map(|(name, value)| name.len().max(value.len())).max().unwrap_or(0);
        if biggest as u64 > self.limits.xattr_bytes {
            return Err(TarError::Limit {
                what: "bytes in an extended attribute",
                max: self.limits.xattr_bytes,
            });
        }
        Ok(Entry {
            path: Vec::new(),
            link: Vec::new(),
            kind,
            mode,
            uid,
            gid,
            mtime_s,
            mtime_ns,
            size: 0,
            device,
            xattrs,
            sparse: None,
        })
    }
}

#[cfg(test)]
mod tests;
