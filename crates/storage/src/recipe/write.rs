//! Writing a recipe while its archive is unpacked.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use zstd::stream::write::Encoder;
use zstd::zstd_safe::CParameter;

use super::{END, FILE, LITERAL, MAGIC, MORE, WINDOW_LOG};

/// Level 1 makes a hundredth of an ordinary layer of its headers; more costs time for little.
const LEVEL: i32 = 1;
/// Bytes of literals kept before they become one operation: a header and its padding usually do.
const LITERAL_BYTES: usize = 32 << 10;

/// One recipe being written.
pub(crate) struct Recorder {
    out: Encoder<'static, BufWriter<File>>,
    literal: Vec<u8>,
    /// The last file named, and its turn.
    last: Option<(PathBuf, u32)>,
}

impl Recorder {
    /// Writes to the empty `file`.
    pub fn new(file: File) -> io::Result<Self> {
        let mut file = BufWriter::new(file);
        file.write_all(&MAGIC)?;
        let mut out = Encoder::new(file, LEVEL)?;
        out.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
        out.include_checksum(true)?;
        Ok(Self { out, literal: Vec::with_capacity(LITERAL_BYTES), last: None })
    }

    /// These bytes come next.
    pub fn literal(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = LITERAL_BYTES - self.literal.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.literal.extend_from_slice(now);
            bytes = later;
            if self.literal.len() == LITERAL_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// `length` bytes at `offset` of the file at `path` come next.
    pub fn piece(&mut self, path: &Path, turn: u32, offset: u64, length: u64) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        self.flush()?;
        if self.last.as_ref().is_some_and(|(last, at)| last == path && *at == turn) {
            self.out.write_all(&[MORE])?;
        } else {
            let name = path.as_os_str().as_bytes();
            self.out.write_all(&[FILE])?;
            self.number(name.len() as u64)?;
            self.out.write_all(name)?;
            self.number(u64::from(turn))?;
            self.last = Some((path.to_owned(), turn));
        }
        self.number(offset)?;
        self.number(length)
    }

    /// The archive is complete.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.out.write_all(&[END])?;
        self.out.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.literal.is_empty() {
            return Ok(());
        }
        self.out.write_all(&[LITERAL])?;
        self.number(self.literal.len() as u64)?;
        self.out.write_all(&self.literal)?;
        self.literal.clear();
        Ok(())
    }

    fn number(&mut self, mut value: u64) -> io::Result<()> {
        let (mut bytes, mut length) = ([0; 10], 0);
        loop {
            bytes[length] = (value & 0x7f) as u8;
            value >>= 7;
            length += 1;
            if value == 0 {
                return self.out.write_all(&bytes[..length]);
            }
            bytes[length - 1] |= 0x80;
        }
    }
}
