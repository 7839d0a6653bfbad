//! Work that nobody should wait for, in a small process of its own.

use std::io;
use std::path::{Path, PathBuf};

/// The name under which the binary is spawned to fold the database's log.
pub const PERSONALITY: &str = "corten-janitor";
/// The environment variable with the data root.
const DATA: &str = "CORTEN_ROOT";

/// Starts folding the write-ahead log of the database below `data`; nobody waits for it.
pub fn spawn_checkpoint(data: &Path) -> io::Result<()> {
    let data = data.to_str().ok_or(io::ErrorKind::InvalidInput)?;
    corten_sys::spawn::spawn_self(PERSONALITY, &[], &[(DATA, data.to_owned())]).map(drop)
}

/// The main function of that process.
pub fn main(data: Option<PathBuf>) -> u8 {
    // A checkpoint that fails is made by the next one.
    data.is_none_or(|data| crate::db::checkpoint(&data).is_err()).into()
}
