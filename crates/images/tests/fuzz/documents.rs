//! What must hold of any bytes given as a manifest, an index or a config; also called by `fuzz/`, for runs without an
//! end.

use corten_images::{Index, Manifest, parse};
use corten_model::image::ImageConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Either a typed error, or a document that is the same after it was written and read again. Says whether it is one.
pub fn document(bytes: &[u8]) -> bool {
    let manifest = round_trip::<Manifest>(bytes);
    let index = round_trip::<Index>(bytes);
    let config = round_trip::<ImageConfig>(bytes);
    manifest || index || config
}

fn round_trip<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> bool {
    match parse::<T>("document", bytes) {
        Err(error) => {
            let _ = (error.kind(), error.hint());
            assert!(!error.to_string().is_empty());
            false
        }
        Ok(document) => {
            let written = serde_json::to_vec(&document).expect("what was read can be written");
            assert_eq!(parse::<T>("document", &written).expect("what was written can be read"), document);
            true
        }
    }
}
