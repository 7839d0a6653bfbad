//! How much of everything one layer may have: a bomb ends in a typed error, with little memory and nothing left.

use serde::{Deserialize, Serialize};

use crate::decompress::WINDOW_BYTES_MAX;

/// Bounds on a layer that is unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Headers of any kind in the archive.
    pub entries: u64,
    /// Bytes of the plain archive, padding included.
    pub stream_bytes: u64,
    /// Bytes of all files, the holes of sparse ones included: a hole costs nothing until somebody copies it.
    pub content_bytes: u64,
    /// Bytes of a name or a link's target; openat2(2) takes no more than 4,095.
    pub path_bytes: u64,
    /// Components of a name.
    pub depth: u32,
    /// Bytes of one PAX header.
    pub pax_bytes: u64,
    /// Files with data that later entries of the same archive replace: each is kept for the archive's rebuild.
    pub replaced: u64,
    /// Bytes of an extended attribute's name or value; the kernel takes 65,536.
    pub xattr_bytes: u64,
    /// How it may be compressed.
    pub expansion: Expansion,
}

/// Bounds on a compressed stream, of a layer or of an archive of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expansion {
    /// Plain bytes for each compressed one. Zeros come to 1,030 for gzip, and to tens of thousands for the others; programs
    /// and texts to ten.
    pub ratio: u64,
    /// Plain bytes up to which nobody asks for the ratio.
    pub free_bytes: u64,
    /// Plain bytes that a decoder may look back on, which is the memory that it takes: `zstd --long` and `xz -9` want
    /// [`WINDOW_BYTES_MAX`](crate::WINDOW_BYTES_MAX).
    pub window_bytes: u64,
}

impl Default for Expansion {
    fn default() -> Self {
        Self { ratio: 1000, free_bytes: 1 << 30, window_bytes: WINDOW_BYTES_MAX }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 1_000_000,
            stream_bytes: 64 << 30,
            content_bytes: 64 << 30,
            path_bytes: 4095,
            depth: 1024,
            pax_bytes: 1 << 20,
            replaced: 100_000,
            xattr_bytes: 64 << 10,
            expansion: Expansion::default(),
        }
    }
}
