//! What a stream is compressed with, by its first bytes, and the plain stream.
//!
//! Every decoder's memory is bounded: a stream that wants a larger window is an error, not an allocation. A stream of
//! which much more comes out than goes in is a bomb, and ends as an error too. Streams of several members, frames or
//! blocks one after another are one stream.

use std::cell::Cell;
use std::io::{self, BufReader, Cursor, Read};
use std::rc::Rc;

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use crate::error::Error;
use crate::limits::Expansion;

/// Compressed bytes read at once.
const BUFFER_BYTES: usize = 128 << 10;
/// Bytes that tell the formats apart.
const MAGIC_BYTES: usize = 6;
/// Plain bytes that zstd and xz may look back on unless it is configured otherwise: what `zstd --long` and `xz -9` write.
pub const WINDOW_BYTES_MAX: u64 = 128 << 20;

/// The plain bytes of `reader`: gzip, zstd, xz and bzip2 are unpacked, what has no known mark is passed on as it is.
pub fn decompress<'r>(reader: impl Read + 'r) -> Result<Box<dyn Read + 'r>, Error> {
    decompress_within(reader, Expansion::default())
}

/// The same within other bounds.
pub fn decompress_within<'r>(
    mut reader: impl Read + 'r,
    bounds: Expansion,
) -> Result<Box<dyn Read + 'r>, Error> {
    let mut start = Vec::with_capacity(MAGIC_BYTES);
    reader.by_ref().take(MAGIC_BYTES as u64).read_to_end(&mut start).map_err(Error::Sniff)?;
    let mut magic = [0; MAGIC_BYTES];
    magic[..start.len()].copy_from_slice(&start);
    let taken = Rc::new(Cell::new(0));
    let counted = Counted { reader: Cursor::new(start).chain(reader), taken: Rc::clone(&taken) };
    let whole = BufReader::with_capacity(BUFFER_BYTES, counted);
    let measure = Measure { bounds, taken, made: 0 };
    Ok(match magic {
        [0x1f, 0x8b, ..] => Named::new("gzip", measure, MultiGzDecoder::new(whole)),
        // The second is a skippable frame, which may come first.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(whole).map_err(Error::Sniff)?;
            decoder.window_log_max(bounds.window_bytes.max(1).ilog2()).map_err(Error::Sniff)?;
            Named::new("zstd", measure, decoder)
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            let stream = Stream::new_stream_decoder(bounds.window_bytes, CONCATENATED);
            Named::new(
                "xz",
                measure,
                XzDecoder::new_stream(whole, stream.map_err(|e| Error::Sniff(e.into()))?),
            )
        }
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41] => {
            Named::new("bzip2", measure, MultiBzDecoder::new(whole))
        }
        [0x04, 0x22, 0x4d, 0x18, ..] => return Err(Error::Compression("lz4")),
        [0x1f, 0x9d, ..] => return Err(Error::Compression("compress")),
        _ => Box::new(whole),
    })
}

/// A decoder whose own errors say which format is broken.
struct Named<R> {
    format: &'static str,
    measure: Measure,
    decoder: R,
}

impl<'r, R: Read + 'r> Named<R> {
    #[expect(clippy::new_ret_no_self, reason = "only ever used behind the box")]
    fn new(format: &'static str, measure: Measure, decoder: R) -> Box<dyn Read + 'r> {
        Box::new(Self { format, measure, decoder })
    }
}

impl<R: Read> Read for Named<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(buffer).map_err(|e| match e.kind() {
            // The decoders' own; what the stream below says has other kinds and is passed on.
            io::ErrorKind::Other
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidData
            | io::ErrorKind::OutOfMemory => {
                io::Error::new(io::ErrorKind::InvalidData, format!("bad {} data: {e}", self.format))
            }
            _ => e,
        });
        read.and_then(|count| self.measure.note(count).map(|()| count))
    }
}

/// Counts the compressed bytes that were read.
struct Counted<R> {
    reader: R,
    taken: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.taken.set(self.taken.get() + count as u64);
        Ok(count)
    }
}

/// What goes in and what comes out.
struct Measure {
    bounds: Expansion,
    taken: Rc<Cell<u64>>,
    made: u64,
}

impl Measure {
    fn note(&mut self, count: usize) -> io::Result<()> {
        self.made += count as u64;
        let Expansion { ratio, free_bytes, .. } = self.bounds;
        if self.made <= free_bytes || self.made / ratio.max(1) <= self.taken.get() {
            return Ok(());
        }
        let why = format!(
            "more than {ratio} times as many bytes come out of it as go in, beyond {free_bytes}: it looks like a bomb \
             (`layers.max_ratio`)"
        );
        Err(io::Error::new(io::ErrorKind::InvalidData, why))
    }
}

#[cfg(test)]
mod tests;
