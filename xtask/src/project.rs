//! Where things are: the root of the work tree and what the build leaves in it.

use std::path::PathBuf;

/// The root of the work tree that cargo runs this xtask for, else of the one it was built from: a work tree may have begun with
/// a copy of another one's build, and would build and check that one.
pub fn root() -> PathBuf {
    let ran_for =
        std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).filter(|dir| dir.ends_with("xtask"));
    let here = ran_for.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
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
