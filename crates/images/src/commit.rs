//! `commit`: an image and one layer more.

use corten_model::image::{History, ImageConfig, ImageDefaults};
use corten_storage::{Store, Unpacked};

use crate::{Error, Layer, Stored, manifest};

/// How the image looks that is made of a container.
#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    /// What its containers get.
    pub defaults: ImageDefaults,
    /// Who made it.
    pub author: Option<String>,
    /// A remark for the history.
    pub message: Option<String>,
    /// What ran, for the history.
    pub created_by: Option<String>,
    /// When, RFC 3339.
    pub created: String,
}

/// The image that the container came from.
#[derive(Debug, Clone)]
pub struct Parent {
    /// Its config.
    pub config: ImageConfig,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
    /// Ids above 65,535 in them.
    pub high_ids: Vec<u32>,
}

/// Writes config and manifest of `parent` with the layer `unpacked` on top. The caller holds `Store::writing` until the
/// rows are committed.
pub fn commit(
    store: &Store,
    parent: Parent,
    unpacked: Unpacked,
    options: CommitOptions,
) -> Result<Stored, Error> {
    let mut config = parent.config;
    config.created = Some(options.created.clone());
    config.author = options.author.clone();
    config.config = options.defaults;
    config.rootfs.diff_ids.push(unpacked.diff_id.clone());
    config.history.push(History {
        created: Some(options.created),
        created_by: options.created_by,
        author: options.author,
        comment: options.message,
        empty_layer: false,
    });
    let mut layers = Vec::new();
    for layer in parent.layers {
        let info = store.layers().info(&layer.chain_id).map_err(Error::LayerInfo)?;
        layers.push((layer, info.unpacked.tar_bytes));
    }
    let mut high_ids = parent.high_ids;
    high_ids.extend(unpacked.high_ids);
    high_ids.sort_unstable();
    high_ids.dedup();
    let layer =
        Layer { diff_id: unpacked.diff_id, chain_id: unpacked.chain_id, size_bytes: unpacked.size_bytes };
    layers.push((layer, unpacked.tar_bytes));
    let bytes = serde_json::to_vec(&config).expect("strings, numbers and sorted maps");
    manifest::store(store, config, &bytes, None, layers, high_ids)
}
