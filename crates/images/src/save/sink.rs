//! Where saved images go: a tar archive, or a directory.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use corten_storage::archive::{Entry, Kind, Writer};

/// Bytes copied at once.
const CHUNK_BYTES: usize = 128 << 10;

/// Takes files one after another.
pub trait Sink {
    /// A directory.
    fn directory(&mut self, name: &str) -> io::Result<()>;
    /// A file of exactly `size` bytes, which `data` must have and no more.
    fn file(&mut self, name: &str, size: u64, data: &mut dyn Read) -> io::Result<()>;
}

/// A tar archive: root's files, at the epoch.
pub struct ArchiveSink<W: Write>(Writer<W>);

impl<W: Write> ArchiveSink<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self(Writer::new(out))
    }

    /// Ends the archive.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Sink for ArchiveSink<W> {
    fn directory(&mut self, name: &str) -> io::Result<()> {
        self.0.append(&Entry::new(name.as_bytes(), Kind::Dir, 0o755))
    }

    fn file(&mut self, name: &str, size: u64, data: &mut dyn Read) -> io::Result<()> {
        self.0.append(&Entry { size, ..Entry::new(name.as_bytes(), Kind::File, 0o644) })?;
        self.0.copy(data)?;
        ends(data)
    }
}

/// A directory of its own.
pub struct DirectorySink(PathBuf);

impl DirectorySink {
    /// Fills the directory at `path`, which is empty.
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Sink for DirectorySink {
    fn directory(&mut self, name: &str) -> io::Result<()> {
        DirBuilder::new().mode(0o755).create(self.0.join(name))
    }

    fn file(&mut self, name: &str, size: u64, data: &mut dyn Read) -> io::Result<()> {
        let mut file = File::options().write(true).create_new(true).mode(0o644).open(self.0.join(name))?;
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut left = size;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            let count = data.read(&mut buffer[..want])?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            file.write_all(&buffer[..count])?;
            left -= count as u64;
        }
        ends(data)?;
        file.sync_all()
    }
}

/// Sees the end of `data`: a layer's archive says only there that it was whole.
fn ends(data: &mut dyn Read) -> io::Result<()> {
    match data.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "more bytes than there should be")),
    }
}
