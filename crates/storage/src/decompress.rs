//! What a stream is compressed with, by its first bytes, and the plain stream.

use std::io::{BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use crate::error::Error;

/// Compressed bytes read at once.
const BUFFER_BYTES: usize = 128 << 10;
/// Bytes that tell the formats apart.
const MAGIC_BYTES: usize = 6;

/// The plain bytes of `reader`: gzip is unpacked, what has no known mark is passed on as it is.
pub fn decompress<'r>(mut reader: impl Read + 'r) -> Result<Box<dyn Read + 'r>, Error> {
    let mut start = Vec::with_capacity(MAGIC_BYTES);
    reader.by_ref().take(MAGIC_BYTES as u64).read_to_end(&mut start).map_err(Error::Sniff)?;
    let format = match start.as_slice() {
        [0x1f, 0x8b, ..] => None,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some("zstd"),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Some("xz"),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41] => Some("bzip2"),
        [0x04, 0x22, 0x4d, 0x18, ..] => Some("lz4"),
        [0x1f, 0x9d, ..] => Some("compress"),
        _ => return Ok(Box::new(Cursor::new(start).chain(reader))),
    };
    match format {
        Some(format) => Err(Error::Compression(format)),
        // Several members one after another are one stream (RFC 1952, pigz, bgzip).
        None => {
            let whole = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(start).chain(reader));
            Ok(Box::new(MultiGzDecoder::new(whole)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use corten_model::Kind;
    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        decompress(bytes).unwrap().read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn formats_are_told_apart() {
        assert_eq!(read(b"").unwrap(), b"");
        assert_eq!(read(b"ab").unwrap(), b"ab");
        assert_eq!(read(&[gzip(b"one"), gzip(b"two")].concat()).unwrap(), b"onetwo");
        let cut = gzip(&[7; 1000]);
        assert!(read(&cut[..cut.len() - 4]).is_err());
        for magic in [&[0x28, 0xb5, 0x2f, 0xfd, 0, 0][..], b"\xfd7zXZ\0", b"BZh91A"] {
            let error = decompress(magic).err().unwrap();
            assert_eq!(error.kind(), Kind::Unsupported);
        }
    }
}
