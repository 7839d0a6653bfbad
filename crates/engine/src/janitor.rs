//! Work that nobody should wait for, in a small process of its own.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::Settings;
use crate::{Engine, Roots};

/// The name under which the binary is spawned for it.
pub const PERSONALITY: &str = "corten-janitor";
/// The environment variable with the data root.
const DATA: &str = "CORTEN_ROOT";
/// The environment variable with the run root; without it only the log is folded.
const RUN: &str = "CORTEN_RUN_ROOT";

/// Starts folding the write-ahead log of the database below `data`; nobody waits for it.
pub fn spawn_checkpoint(data: &Path) -> io::Result<()> {
    spawn(&[(DATA, data)])
}

/// Starts folding what keepers journalled, which takes away `--rm` containers that ended: a keeper speaks no SQL, and
/// nobody else may come for days.
pub fn spawn_fold(data: &Path, run: &Path) -> io::Result<()> {
    spawn(&[(DATA, data), (RUN, run)])
}

fn spawn(paths: &[(&'static str, &Path)]) -> io::Result<()> {
    let text = |(name, path): &(&'static str, &Path)| Some((*name, path.to_str()?.to_owned()));
    let environment: Option<Vec<_>> = paths.iter().map(text).collect();
    let environment = environment.ok_or(io::ErrorKind::InvalidInput)?;
    corten_sys::spawn::spawn_self(PERSONALITY, &[], &environment).map(drop)
}

/// The main function of that process.
pub fn main(data: Option<PathBuf>, run: Option<PathBuf>) -> u8 {
    // What fails here is done by the next command.
    let done = match (data, run) {
        (Some(data), Some(run)) => Engine::open(Roots { data, run }, Settings::without_files())
            .and_then(|mut engine| engine.fold_marked())
            .is_ok(),
        (Some(data), None) => crate::db::checkpoint(&data).is_ok(),
        (None, _) => false,
    };
    (!done).into()
}
