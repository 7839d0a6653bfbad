//! What a layer's files don't say of the archive that they came from, so that it can be written again bit for bit.
//!
//! ```text
//! recipe:  magic and version (8 bytes), then one zstd frame of operations:
//!   0x00                                           the end
//!   0x01  length, bytes                            these bytes: headers, padding, what was skipped, what follows the end
//!   0x02  length, path, turn, offset, length       this piece of the file at `path` below fs/
//!   0x03  offset, length                           another piece of the same file
//! ```
//! Numbers are little-endian base 128. Files are kept once: their data is read from the layer's tree. A file that a
//! later entry of the same archive replaced is kept in `replaced/` beside the tree, by its path and its *turn*: how
//! many files had been replaced under that path before ([`Replaced`]). Nothing is held in memory on either way, and
//! nothing here is trusted: the layer's diff id proves each rebuilt archive.

mod read;
mod write;

pub use read::LayerTar;
pub(crate) use write::Recorder;

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use corten_model::Digest;
use sha2::{Digest as _, Sha256};

/// The recipe's name in a layer's directory.
pub(crate) const RECIPE: &str = "recipe";
/// The directory of replaced files, there only if there are some.
pub(crate) const REPLACED: &str = "replaced";
/// What a recipe begins with; the last byte is its version.
const MAGIC: [u8; 8] = *b"ctnrecp\x01";
/// Windows of the compressed operations, as a power of two: what the writer's level uses, and all that a reader takes.
const WINDOW_LOG: u32 = 20;

const END: u8 = 0;
const LITERAL: u8 = 1;
const FILE: u8 = 2;
const MORE: u8 = 3;

/// How often files were replaced under each path, while a layer is unpacked.
#[derive(Debug, Default)]
pub(crate) struct Replaced {
    turns: HashMap<[u8; 32], u32>,
}

impl Replaced {
    /// The turn of the file that is at `path` now.
    pub fn turn(&self, path: &Path) -> u32 {
        // Asked for every file, while nearly no archive replaces one.
        if self.turns.is_empty() { 0 } else { self.turns.get(&key(path)).copied().unwrap_or(0) }
    }

    /// The file at `path` goes: the name under which it is kept.
    pub fn next(&mut self, path: &Path) -> OsString {
        let turn = self.turns.entry(key(path)).or_insert(0);
        *turn += 1;
        name(path, *turn - 1)
    }
}

fn key(path: &Path) -> [u8; 32] {
    Sha256::digest(path.as_os_str().as_bytes()).into()
}

/// Where a replaced file is kept: paths are longer than names may be, and hold slashes.
fn name(path: &Path, turn: u32) -> OsString {
    OsString::from(format!("{}-{turn}", Digest::from_sha256(key(path)).hex()))
}

#[cfg(test)]
mod tests;
