//! Following a recipe: the archive of a layer as a stream.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use corten_model::Digest;
use corten_sys::path::Root;
use rustix::fs::{FileType, Mode, OFlags};
use sha2::{Digest as _, Sha256};
use zstd::stream::read::Decoder;

use super::{END, FILE, LITERAL, MAGIC, MORE, RECIPE, REPLACED, WINDOW_LOG, name};
use crate::error::{At, Error};
use crate::layers::{LayerInfo, TREE};

/// Bytes of operations decompressed at once.
const BUFFER_BYTES: usize = 64 << 10;
/// Bytes of a path: no archive brings a longer one into a layer, and the kernel takes no longer one.
const PATH_BYTES_MAX: u64 = 4096;

type Operations = BufReader<Decoder<'static, BufReader<File>>>;

/// The exact bytes of a layer's plain archive. The last read compares their digest with the layer's diff id: a stream
/// that ends without an error is the archive.
pub struct LayerTar {
    operations: Operations,
    tree: Root,
    replaced: Option<Root>,
    chain: Digest,
    diff_id: Digest,
    len: u64,
    made: u64,
    hash: Sha256,
    piece: Piece,
    file: Option<(PathBuf, File)>,
}

/// What is being copied out.
enum Piece {
    /// The next operation is to be read.
    None,
    /// Bytes of the recipe that are left.
    Literal(u64),
    /// Where in the open file, and bytes that are left.
    File(u64, u64),
    /// All was right.
    Done,
    /// A read failed; none after it may look like a good end.
    Failed,
}

impl LayerTar {
    /// Opens the recipe in the layer's directory `place`.
    pub(crate) fn open(place: &Path, info: &LayerInfo) -> Result<Self, Error> {
        let chain = info.unpacked.chain_id.clone();
        let path = place.join(RECIPE);
        let mut file = BufReader::new(File::open(&path).at("open", &path)?);
        let mut magic = [0; MAGIC.len()];
        file.read_exact(&mut magic).at("read", &path)?;
        if magic[..MAGIC.len() - 1] != MAGIC[..MAGIC.len() - 1] {
            let source = io::Error::new(io::ErrorKind::InvalidData, "it doesn't begin as one");
            return Err(Error::RecipeDamaged { chain, source });
        }
        let (found, known) = (u32::from(magic[MAGIC.len() - 1]), u32::from(MAGIC[MAGIC.len() - 1]));
        if found != known {
            return Err(Error::LayerNewer { chain, found, known });
        }
        let mut decoder = Decoder::with_buffer(file).at("read", &path)?.single_frame();
        decoder.window_log_max(WINDOW_LOG).at("read", &path)?;
        let (tree, replaced) = (place.join(TREE), place.join(REPLACED));
        let replaced = match Root::open(&replaced) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            other => Some(other.at("open the directory", &replaced)?),
        };
        Ok(Self {
            operations: BufReader::with_capacity(BUFFER_BYTES, decoder),
            tree: Root::open(&tree).at("open the directory", &tree)?,
            replaced,
            chain,
            diff_id: info.unpacked.diff_id.clone(),
            len: info.unpacked.tar_bytes,
            made: 0,
            hash: Sha256::new(),
            piece: Piece::None,
            file: None,
        })
    }

    /// Bytes of the archive.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the archive has no bytes, which none has.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One operation.
    fn next(&mut self) -> io::Result<()> {
        let mut operation = [0];
        self.operations.read_exact(&mut operation)?;
        self.piece = match operation[0] {
            END => {
                self.finish()?;
                Piece::Done
            }
            LITERAL => left_of(self.number()?, Piece::Literal),
            FILE => {
                self.open_file()?;
                self.file_piece()?
            }
            MORE => self.file_piece()?,
            _ => return Err(damaged("an unknown operation")),
        };
        Ok(())
    }

    fn file_piece(&mut self) -> io::Result<Piece> {
        let (offset, length) = (self.number()?, self.number()?);
        Ok(left_of(length, |left| Piece::File(offset, left)))
    }

    fn open_file(&mut self) -> io::Result<()> {
        let length = self.number()?;
        if length > PATH_BYTES_MAX {
            return Err(damaged("a path that is too long"));
        }
        let mut path = vec![0; length as usize];
        self.operations.read_exact(&mut path)?;
        let path = PathBuf::from(std::ffi::OsString::from_vec(path));
        let turn = u32::try_from(self.number()?).map_err(|_| damaged("a turn above 32 bits"))?;
        // Below the layer's own directories and never through a symlink, whatever the recipe says.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut found = Err(io::ErrorKind::NotFound.into());
        if let Some(replaced) = &self.replaced {
            found = replaced.open_plain(Path::new(&name(&path, turn)), flags, Mode::empty());
        }
        if found.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
            found = self.tree.open_plain(&path, flags, Mode::empty());
        }
        let Ok(fd) = found else { return Err(self.changed(&path)) };
        if FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) != FileType::RegularFile {
            return Err(self.changed(&path));
        }
        self.file = Some((path, File::from(fd)));
        Ok(())
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut value = 0u64;
        for shift in (0..u64::BITS).step_by(7) {
            let mut byte = [0];
            self.operations.read_exact(&mut byte)?;
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(damaged("a number above 64 bits"))
    }

    /// Bytes of the current piece; 0 only for an empty `buffer`.
    fn copy(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len() as u64;
        match self.piece {
            Piece::Literal(left) => {
                let count = self.operations.read(&mut buffer[..left.min(room) as usize])?;
                if count == 0 && room > 0 {
                    return Err(damaged("it ends early"));
                }
                self.piece = left_of(left - count as u64, Piece::Literal);
                Ok(count)
            }
            Piece::File(offset, left) => {
                let Some((path, file)) = &self.file else { return Err(damaged("a piece of no file")) };
                let count = file.read_at(&mut buffer[..left.min(room) as usize], offset)?;
                if count == 0 && room > 0 {
                    return Err(self.changed(path));
                }
                let offset = offset + count as u64;
                self.piece = left_of(left - count as u64, |left| Piece::File(offset, left));
                Ok(count)
            }
            Piece::None | Piece::Done | Piece::Failed => Ok(0),
        }
    }

    fn some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while matches!(self.piece, Piece::None) {
            self.next()?;
        }
        if matches!(self.piece, Piece::Failed) {
            return Err(damaged("an earlier read failed"));
        }
        let count = self.copy(buffer)?;
        self.made += count as u64;
        if self.made > self.len {
            return Err(damaged("it makes more than the archive had"));
        }
        self.hash.update(&buffer[..count]);
        Ok(count)
    }

    fn finish(&mut self) -> io::Result<()> {
        // The frame's own checksum comes behind the last operation.
        if !self.operations.fill_buf()?.is_empty() {
            return Err(damaged("something follows its end"));
        }
        let hash = std::mem::take(&mut self.hash);
        if self.made != self.len || Digest::from_sha256(hash.finalize().into()) != self.diff_id {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                Error::LayerChanged { chain: self.chain.clone(), path: None },
            ));
        }
        Ok(())
    }

    fn changed(&self, path: &Path) -> io::Error {
        let error = Error::LayerChanged { chain: self.chain.clone(), path: Some(path.to_owned()) };
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

fn damaged(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn left_of(left: u64, piece: impl FnOnce(u64) -> Piece) -> Piece {
    if left == 0 { Piece::None } else { piece(left) }
}

impl Read for LayerTar {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.some(buffer).map_err(|source| {
            self.piece = Piece::Failed;
            let kind = source.kind();
            // Ours already, or the recipe can't be followed.
            if source.get_ref().is_some_and(|inner| inner.is::<Error>()) {
                return source;
            }
            io::Error::new(kind, Error::RecipeDamaged { chain: self.chain.clone(), source })
        })
    }
}
