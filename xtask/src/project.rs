//! Where things are: the root of the work tree and what the build leaves in it.

use std::path::{Path, PathBuf};

/// The root of the work tree this xtask was built from.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask is a directory of the work tree").to_path_buf()
}

/// Where cargo builds.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The static binary that `dist` makes and every test drives.
pub fn binary() -> PathBuf {
    target().join("dist/corten")
}
