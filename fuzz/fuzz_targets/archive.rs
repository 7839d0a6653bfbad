//! Any bytes as an archive, in a store in memory.
#![no_main]

#[path = "../../crates/storage/tests/fuzz/archive.rs"]
mod archive;

use std::sync::OnceLock;

static ARENA: OnceLock<(tempfile::TempDir, archive::Arena)> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (_temp, arena) = ARENA.get_or_init(|| {
        let temp = tempfile::tempdir_in("/dev/shm").expect("/dev/shm is there");
        let arena = archive::Arena::new(temp.path(), include_bytes!("../corpus/archive/base.tar.zst"));
        (temp, arena)
    });
    arena.archive(bytes);
});
