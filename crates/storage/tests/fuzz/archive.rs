//! What must hold of any bytes given to the archive reader; also called by `fuzz/`, for runs without an end.

use std::fs;
use std::io::Read;
use std::path::Path;

use corten_model::Digest;
use corten_storage::{Limits, Store, decompress};

/// A store that archives are unpacked into, on top of nothing and of a layer with something in it.
pub struct Arena {
    store: Store,
    base: Digest,
}

impl Arena {
    /// In the empty directory `root`; `base` is an honest archive.
    pub fn new(root: &Path, base: &[u8]) -> Self {
        let store = Store::open(&root.join("store"), false).expect("an empty directory takes a store");
        let limits = Limits::default();
        let mut plain = decompress(base).expect("the base is honest");
        let base = store.layers().unpack(&mut plain, None, &limits).expect("the base is honest").chain_id;
        Self { store, base }
    }

    /// Either a typed error that leaves nothing, or a layer that gives back the same bytes. Says whether it is a layer.
    pub fn archive(&self, bytes: &[u8]) -> bool {
        let limits = Limits {
            entries: 500,
            stream_bytes: 1 << 20,
            content_bytes: 4 << 20,
            replaced: 100,
            ..Limits::default()
        };
        let layers = self.store.layers();
        let mut fine = false;
        for parent in [None, Some(&self.base)] {
            let result = decompress(bytes).and_then(|mut plain| layers.unpack(&mut plain, parent, &limits));
            match result {
                Err(error) => {
                    let _ = (error.kind(), error.hint());
                    assert!(!error.to_string().is_empty());
                }
                Ok(unpacked) => {
                    fine = true;
                    let (mut plain, mut again) = (Vec::new(), Vec::new());
                    let read = decompress(bytes).map(|mut r| r.read_to_end(&mut plain).is_ok());
                    assert!(read.expect("it was read a moment ago"));
                    let mut tar = layers.tar(&unpacked.chain_id).expect("it was unpacked a moment ago");
                    tar.read_to_end(&mut again).expect("nobody changed the layer");
                    assert!(plain == again, "the rebuilt archive differs");
                    if unpacked.chain_id != self.base {
                        layers.remove(&unpacked.chain_id).expect("nobody uses it");
                    }
                }
            }
            let left: Vec<_> = fs::read_dir(self.store.root().join("layers"))
                .expect("the store has layers")
                .map(|entry| entry.expect("the directory is ours").file_name())
                .collect();
            assert_eq!(left, [self.base.hex()], "something is left");
        }
        fine
    }
}
