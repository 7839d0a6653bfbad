//! Orders of a stream, and what is left when a load fails.

use corten_storage::archive::{Entry, Kind, Writer};
use serde_json::json;

use super::*;
use crate::digest_of;

fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    for (name, bytes) in files {
        let entry = Entry { size: bytes.len() as u64, ..Entry::new(name.as_bytes(), Kind::File, 0o644) };
        tar.append(&entry).unwrap();
        tar.data(bytes).unwrap();
    }
    tar.finish().unwrap()
}

/// The files of a layout with one image of two layers, the documents last.
fn layout() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut blob = |media_type: &str, bytes: Vec<u8>| {
        let digest = digest_of(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        files.push((format!("blobs/sha256/{}", digest.hex()), bytes));
        descriptor
    };
    let layers: Vec<_> = ["a", "b"]
        .map(|name| blob("application/vnd.oci.image.layer.v1.tar", tar(&[(name.into(), b"x".to_vec())])))
        .into();
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer["digest"].clone()).collect();
    let config =
        json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = blob(crate::document::CONFIG_TYPE, config.to_string().into_bytes());
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
    let mut manifest = blob(crate::MANIFEST_TYPE, manifest.to_string().into_bytes());
    manifest["annotations"] = json!({(REF_ANNOTATION): "me/app:1"});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    files.push(("index.json".into(), index.to_string().into_bytes()));
    files
}

struct World {
    _temp: tempfile::TempDir,
    store: Store,
}

impl World {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(&temp.path().join("s"), false).unwrap();
        Self { _temp: temp, store }
    }

    fn load(&self, bytes: &[u8]) -> Result<Loaded, Error> {
        let options = LoadOptions { platforms: Vec::new(), cancelled: &|| false };
        let layers = self.store.layers();
        load(&self.store, &layers, Input::Stream(&mut &bytes[..]), &options)
    }
}

#[test]
fn any_order_gives_the_same() {
    let files = layout();
    let mut reversed = files.clone();
    reversed.reverse();
    let mut documents_first = files.clone();
    documents_first.sort_by_key(|(_, bytes)| bytes.first() != Some(&b'{'));
    for order in [files, reversed, documents_first] {
        let world = World::new();
        let loaded = world.load(&tar(&order)).unwrap();
        assert_eq!(loaded.images.len(), 1);
        assert_eq!(loaded.images[0].layers.len(), 2);
        assert_eq!(world.store.layers().list().unwrap().len(), 2);
        assert_eq!(loaded.targets[0].names[0].to_string(), "docker.io/me/app:1");
        world.load(&tar(&order)).unwrap();
    }
}

#[test]
fn a_failure_leaves_no_blob() {
    let mut files = layout();
    files.sort_by_key(|(_, bytes)| bytes.first() != Some(&b'{'));
    let last = files.last_mut().unwrap();
    last.1[0] ^= 1;
    let world = World::new();
    let error = world.load(&tar(&files)).unwrap_err();
    let Error::Layer { source, .. } = error else { panic!("{error}") };
    assert!(source.to_string().contains("have the digest"), "{source}");
    assert!(world.store.blobs().list().unwrap().is_empty());
}
