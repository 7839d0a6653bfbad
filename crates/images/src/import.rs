//! `import`: a tar archive of a root file system becomes an image of one layer.

use std::io::Read;

use corten_model::image::{History, ImageConfig, ImageDefaults, RootFs};
use corten_model::platform::Platform;
use corten_storage::{Store, Unpacked, decompress_within};

use crate::{Error, Layer, Stored, Unpack, changes, manifest, remarks};

/// How the image of an imported tree looks.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Instructions of a Dockerfile, as `--change` takes them.
    pub changes: Vec<String>,
    /// A remark for the history; `None` says where it came from.
    pub message: Option<String>,
    /// When, RFC 3339.
    pub created: String,
    /// What its programs run on.
    pub platform: Option<Platform>,
}

/// Unpacks `tar`, plain or compressed, and writes its config and manifest. The caller holds `Store::writing` until the
/// rows are committed.
pub fn import(
    store: &Store,
    unpack: &dyn Unpack,
    tar: &mut dyn Read,
    options: &ImportOptions,
) -> Result<Stored, Error> {
    let mut defaults = ImageDefaults::default();
    // First, because a typing error should not cost the unpacking of gigabytes.
    changes::apply(&mut defaults, &options.changes)?;
    let mut plain = decompress_within(tar, unpack.expansion()).map_err(Error::Decompress)?;
    let unpacked = unpack.unpack(&mut plain, None, None).map_err(Error::Unpack)?;
    let history = History {
        created: Some(options.created.clone()),
        comment: Some(options.message.clone().unwrap_or_else(|| "Imported from -".to_owned())),
        ..History::default()
    };
    let platform = options.platform.clone().unwrap_or_else(Platform::host);
    one_layer(store, unpacked, platform, defaults, options.created.clone(), history)
}

/// The image of one unpacked layer.
pub(crate) fn one_layer(
    store: &Store,
    unpacked: Unpacked,
    platform: Platform,
    defaults: ImageDefaults,
    created: String,
    history: History,
) -> Result<Stored, Error> {
    let config = ImageConfig {
        created: Some(created),
        variant: platform.variant.or_else(|| (platform.architecture == "arm64").then(|| "v8".to_owned())),
        architecture: platform.architecture,
        os: platform.os,
        config: defaults,
        rootfs: RootFs { kind: "layers".to_owned(), diff_ids: vec![unpacked.diff_id.clone()] },
        history: vec![history],
        ..ImageConfig::default()
    };
    let warnings = remarks(&unpacked);
    let high_ids = unpacked.high_ids;
    let layer =
        Layer { diff_id: unpacked.diff_id, chain_id: unpacked.chain_id, size_bytes: unpacked.size_bytes };
    let bytes = serde_json::to_vec(&config).expect("strings, numbers and sorted maps");
    let layers = vec![(layer, unpacked.tar_bytes)];
    let stored = manifest::store(store, config, &bytes, None, layers, high_ids)?;
    Ok(Stored { warnings, ..stored })
}
