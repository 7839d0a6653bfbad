//! Any bytes as a manifest, an index or a config.
#![no_main]

#[path = "../../crates/images/tests/fuzz/documents.rs"]
mod documents;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    documents::document(bytes);
});
