//! How much of everything one layer may have: a bomb ends in a typed error, with little memory and nothing left.

use serde::{Deserialize, Serialize};

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
        }
    }
}
