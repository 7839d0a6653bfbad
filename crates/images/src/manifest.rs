//! OCI manifests (image-spec, manifest.md), as far as we write them.

use corten_model::Digest;
use corten_model::image::ImageConfig;
use corten_storage::Store;
use serde::{Deserialize, Serialize};

use crate::{Error, Layer, Stored};

/// Media type of a manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of a config.
pub const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of a plain layer.
pub const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";

/// A blob by type, digest and size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Of its bytes.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
}

/// A manifest of one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// [`MANIFEST_TYPE`].
    pub media_type: String,
    /// The config.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
}

/// Writes config and manifest; `layers` come with the bytes of their plain archives and their highest id.
pub(crate) fn store(
    store: &Store,
    config: ImageConfig,
    layers: Vec<(Layer, u64)>,
    high_ids: Vec<u32>,
    warnings: Vec<String>,
) -> Result<Stored, Error> {
    // Struct fields and sorted maps only, so equal images have equal bytes.
    let bytes = serde_json::to_vec(&config).expect("strings, numbers and sorted maps");
    let blobs = store.blobs();
    let id = blobs.put(&bytes).map_err(|source| Error::Blob { what: "config", source })?;
    let descriptor = |media_type: &str, digest: &Digest, size| Descriptor {
        media_type: media_type.to_owned(),
        digest: digest.clone(),
        size,
    };
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST_TYPE.to_owned(),
        config: descriptor(CONFIG_TYPE, &id, bytes.len() as u64),
        layers: layers.iter().map(|(layer, tar)| descriptor(LAYER_TYPE, &layer.diff_id, *tar)).collect(),
    };
    let bytes = serde_json::to_vec(&manifest).expect("strings and numbers");
    let manifest = blobs.put(&bytes).map_err(|source| Error::Blob { what: "manifest", source })?;
    let layers: Vec<_> = layers.into_iter().map(|(layer, _)| layer).collect();
    let size_bytes = layers.iter().map(|l| l.size_bytes).sum();
    Ok(Stored { id, manifest, config, layers, size_bytes, high_ids, warnings })
}
