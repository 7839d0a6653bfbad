//! `import`: a tar archive of a root file system becomes an image of one layer.

use std::io::Read;

use corten_model::image::{HOST_ARCHITECTURE, History, ImageConfig, ImageDefaults, RootFs};
use corten_storage::{Store, Unpacked, decompress};

use crate::{Error, Layer, Stored, Unpack, changes, manifest};

/// How the image of an imported tree looks.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Instructions of a Dockerfile, as `--change` takes them.
    pub changes: Vec<String>,
    /// A remark for the history; `None` says where it came from.
    pub message: Option<String>,
    /// When, RFC 3339.
    pub created: String,
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
    let mut plain = decompress(tar).map_err(Error::Decompress)?;
    let unpacked = unpack.unpack(&mut plain, None).map_err(Error::Unpack)?;
    let history = History {
        created: Some(options.created.clone()),
        comment: Some(options.message.clone().unwrap_or_else(|| "Imported from -".to_owned())),
        ..History::default()
    };
    one_layer(store, unpacked, defaults, options.created.clone(), history)
}

/// The image of one unpacked layer.
pub(crate) fn one_layer(
    store: &Store,
    unpacked: Unpacked,
    defaults: ImageDefaults,
    created: String,
    history: History,
) -> Result<Stored, Error> {
    let config = ImageConfig {
        created: Some(created),
        architecture: HOST_ARCHITECTURE.to_owned(),
        os: "linux".to_owned(),
        variant: (HOST_ARCHITECTURE == "arm64").then(|| "v8".to_owned()),
        config: defaults,
        rootfs: RootFs { kind: "layers".to_owned(), diff_ids: vec![unpacked.diff_id.clone()] },
        history: vec![history],
        ..ImageConfig::default()
    };
    let mut warnings = Vec::new();
    if unpacked.squashed_owners > 0 {
        warnings.push(format!(
            "{} files have owners that this user has no subordinate ids for: they belong to root in the image",
            unpacked.squashed_owners
        ));
    }
    if unpacked.skipped_devices > 0 {
        warnings.push(format!(
            "{} devices in /dev were left out: only root can make them",
            unpacked.skipped_devices
        ));
    }
    let high_ids = unpacked.high_ids;
    let layer =
        Layer { diff_id: unpacked.diff_id, chain_id: unpacked.chain_id, size_bytes: unpacked.size_bytes };
    manifest::store(store, config, vec![(layer, unpacked.tar_bytes)], high_ids, warnings)
}
