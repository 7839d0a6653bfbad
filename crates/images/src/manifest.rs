//! Config and manifest of an image become blobs: as they came where they came from somebody, else as we write them.

use corten_model::Digest;
use corten_model::image::ImageConfig;
use corten_storage::Store;

use crate::document::{CONFIG_TYPE, Descriptor, LAYER_TYPE, MANIFEST_TYPE, Manifest};
use crate::{Error, Layer, Stored};

/// The manifest of an image whose layers are plain archives of so many bytes. Struct fields and sorted maps only, so
/// equal images have equal bytes.
pub(crate) fn plain(id: &Digest, config_bytes: u64, layers: &[(Digest, u64)]) -> Manifest {
    Manifest {
        schema_version: 2,
        media_type: MANIFEST_TYPE.to_owned(),
        config: Descriptor::new(CONFIG_TYPE, id, config_bytes),
        layers: layers.iter().map(|(diff_id, tar)| Descriptor::new(LAYER_TYPE, diff_id, *tar)).collect(),
        annotations: Default::default(),
    }
}

/// As [`store`], of layers that are unpacked: each its diff id and its chain id.
pub(crate) fn of_layers(
    store: &Store,
    config: ImageConfig,
    config_bytes: &[u8],
    given: Option<(&str, &[u8])>,
    unpacked: impl Iterator<Item = (Digest, Digest)>,
) -> Result<Stored, Error> {
    let mut layers = Vec::new();
    let mut high_ids = Vec::new();
    for (diff_id, chain_id) in unpacked {
        let info = store.layers().info(&chain_id).map_err(Error::LayerInfo)?;
        high_ids.extend(info.unpacked.high_ids);
        let layer = Layer { diff_id, chain_id, size_bytes: info.unpacked.size_bytes };
        layers.push((layer, info.unpacked.tar_bytes));
    }
    high_ids.sort_unstable();
    high_ids.dedup();
    self::store(store, config, config_bytes, given, layers, high_ids)
}

/// Keeps the exact bytes of a config, and of the manifest that it came with (`given`: media type and bytes), or of the
/// plain one. `layers` come with the bytes of their plain archives.
pub(crate) fn store(
    store: &Store,
    config: ImageConfig,
    config_bytes: &[u8],
    given: Option<(&str, &[u8])>,
    layers: Vec<(Layer, u64)>,
    high_ids: Vec<u32>,
) -> Result<Stored, Error> {
    let blobs = store.blobs();
    let id = blobs.put(config_bytes).map_err(|source| Error::Blob { what: "config", source })?;
    let made;
    let (media_type, bytes) = match given {
        Some(given) => given,
        None => {
            let sizes: Vec<_> = layers.iter().map(|(layer, tar)| (layer.diff_id.clone(), *tar)).collect();
            let manifest = plain(&id, config_bytes.len() as u64, &sizes);
            made = serde_json::to_vec(&manifest).expect("strings and numbers");
            (MANIFEST_TYPE, &made[..])
        }
    };
    let manifest = blobs.put(bytes).map_err(|source| Error::Blob { what: "manifest", source })?;
    let layers: Vec<_> = layers.into_iter().map(|(layer, _)| layer).collect();
    let size_bytes = layers.iter().map(|l| l.size_bytes).sum();
    let media_type = media_type.to_owned();
    Ok(Stored { id, manifest, media_type, config, layers, size_bytes, high_ids, warnings: Vec::new() })
}
