//! Pulls from a registry in memory: what arrives, what is resumed, what is refused.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Mutex;

use corten_model::platform::Platform;
use corten_storage::archive::{Entry, Kind, Writer};
use serde_json::{Value, json};

use super::*;
use crate::document::{CONFIG_TYPE, INDEX_TYPE, LAYER_TYPE, MANIFEST_TYPE};
use crate::registry;
use crate::{digest_of, transfer};

/// Blobs and documents by digest, documents also by tag.
#[derive(Default)]
struct Memory {
    documents: HashMap<String, (String, Vec<u8>)>,
    blobs: HashMap<Digest, Vec<u8>>,
    /// A blob's stream breaks after so many bytes, once.
    breaks: Mutex<HashMap<Digest, usize>>,
    /// From where each blob was asked for.
    asked: Mutex<Vec<(Digest, u64)>>,
}

impl Remote for Memory {
    fn manifest(&self, at: &At) -> Result<Document, registry::Error> {
        let (media_type, bytes) = &self.documents[&at.to_string()];
        let (media_type, bytes) = (media_type.clone(), bytes.clone());
        Ok(Document { digest: digest_of(&bytes), bytes, media_type })
    }

    fn blob(&self, blob: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send + '_>, registry::Error> {
        self.asked.lock().unwrap().push((blob.digest.clone(), offset));
        let bytes = &self.blobs[&blob.digest][offset as usize..];
        match self.breaks.lock().unwrap().remove(&blob.digest) {
            Some(count) => Ok(Box::new(bytes[..count].chain(Broken))),
            None => Ok(Box::new(bytes)),
        }
    }
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl Memory {
    fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = digest_of(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        self.blobs.insert(digest, bytes);
        descriptor
    }

    fn document(&mut self, tag: Option<&str>, media_type: &str, value: &Value) -> Value {
        let bytes = value.to_string().into_bytes();
        let digest = digest_of(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        let names = tag.map(str::to_owned).into_iter().chain([digest.to_string()]);
        for name in names {
            self.documents.insert(name, (media_type.to_owned(), bytes.clone()));
        }
        descriptor
    }

    /// An image with a layer of each name.
    fn image(&mut self, tag: Option<&str>, architecture: &str, names: &[&str]) -> Value {
        let layers: Vec<Value> = names.iter().map(|name| self.blob(LAYER_TYPE, tar(name))).collect();
        let diff_ids: Vec<Value> = layers.iter().map(|layer| layer["digest"].clone()).collect();
        let config = json!({"architecture": architecture, "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = self.blob(CONFIG_TYPE, config.to_string().into_bytes());
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": layers});
        self.document(tag, MANIFEST_TYPE, &manifest)
    }

    fn asked(&self) -> Vec<(Digest, u64)> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn tar(name: &str) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    tar.append(&Entry { size: 1, ..Entry::new(name.as_bytes(), Kind::File, 0o644) }).unwrap();
    tar.data(b"x").unwrap();
    tar.finish().unwrap()
}

struct World {
    _temp: tempfile::TempDir,
    store: Store,
    memory: Memory,
    cancel: Cancel,
}

impl World {
    fn new(memory: Memory) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(&temp.path().join("s"), false).unwrap();
        Self { _temp: temp, store, memory, cancel: Cancel::new() }
    }

    fn pull(&self, platforms: &[&str]) -> Result<Pulled, TransferError> {
        let platforms: Vec<Platform> = platforms.iter().map(|p| p.parse().unwrap()).collect();
        let options = PullOptions {
            platforms: &platforms,
            machine: &"linux/amd64/v3".parse().unwrap(),
            downloads: 3,
            keep_blobs: false,
            progress: &(),
            cancel: &self.cancel,
            hold: &|_| Ok(()),
        };
        pull(&self.store, &self.store.layers(), &self.memory, &At::Tag("latest".into()), &options)
    }

    fn layers(&self) -> usize {
        self.store.layers().list().unwrap().len()
    }
}

#[test]
fn layers_in_order_each_once() {
    let mut memory = Memory::default();
    // The same layer twice, as empty ones are.
    memory.image(Some("latest"), "amd64", &["a", "b", "a", "c", "d"]);
    let world = World::new(memory);
    let pulled = world.pull(&[]).unwrap();
    assert_eq!(pulled.loaded.images[0].layers.len(), 5);
    assert_eq!((world.layers(), pulled.blobs.len()), (5, 5));
    assert!(world.store.blobs().exists(&pulled.digest));
    // Four blobs and the config.
    assert_eq!(world.memory.asked().len(), 5);
    world.pull(&[]).unwrap();
    assert!(world.memory.asked().is_empty());
    assert_eq!(present(&world.store, &pulled.digest, &[], &Platform::host()), Some(vec![pulled.digest]));
}

#[test]
fn the_best_platform_of_an_index_and_others_beside_it() {
    let mut memory = Memory::default();
    let mut of = |architecture: &str, variant: Option<&str>, name: &str| {
        let mut manifest = memory.image(None, architecture, &[name]);
        manifest["platform"] = json!({"os": "linux", "architecture": architecture, "variant": variant});
        manifest
    };
    let manifests = [
        of("arm64", Some("v8"), "arm"),
        of("amd64", None, "plain"),
        of("amd64", Some("v3"), "three"),
        of("amd64", Some("v4"), "four"),
    ];
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    memory.document(Some("latest"), INDEX_TYPE, &index);
    let world = World::new(memory);
    let digest = |n: usize| manifests[n]["digest"].as_str().unwrap().to_owned();
    let pulled = world.pull(&[]).unwrap();
    assert_eq!(pulled.loaded.images[0].manifest.to_string(), digest(2));
    assert_eq!(pulled.loaded.indexes[0].below.len(), 1);
    let both = world.pull(&["linux/arm64", "linux/amd64"]).unwrap();
    let found: Vec<String> = both.loaded.images.iter().map(|image| image.manifest.to_string()).collect();
    assert_eq!(found, [digest(0), digest(1)]);
    let below: Vec<usize> = both.loaded.indexes[0].below.iter().map(|(position, _)| *position).collect();
    assert_eq!(below, [0, 1]);
    let missing = world.pull(&["linux/s390x"]).unwrap_err();
    assert!(missing.to_string().contains("only for linux/arm64/v8"), "{missing}");
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let mut memory = Memory::default();
    memory.image(Some("latest"), "amd64", &["a"]);
    let layer = digest_of(&tar("a"));
    memory.breaks.lock().unwrap().insert(layer.clone(), 700);
    let world = World::new(memory);
    let error = world.pull(&[]).unwrap_err();
    assert!(matches!(error, TransferError::Read { .. }), "{error:?}");
    assert_eq!((world.store.partial_bytes(&layer), world.layers()), (700, 0));
    world.memory.asked();
    world.pull(&[]).unwrap();
    assert_eq!(world.memory.asked().last(), Some(&(layer.clone(), 700)));
    assert!(world.store.partial(&layer).unwrap().unwrap().size_bytes().unwrap() == 0);
}

#[test]
fn what_was_left_and_is_wrong_is_fetched_anew() {
    let mut memory = Memory::default();
    memory.image(Some("latest"), "amd64", &["a"]);
    let layer = digest_of(&tar("a"));
    let world = World::new(memory);
    let partial = world.store.partial(&layer).unwrap().unwrap();
    partial.write_at(&[7; 600], 0).unwrap();
    drop(partial);
    world.pull(&[]).unwrap();
    let offsets: Vec<u64> =
        world.memory.asked().iter().filter(|(d, _)| *d == layer).map(|(_, at)| *at).collect();
    assert_eq!(offsets, [600, 0]);
}

#[test]
fn other_bytes_are_named_and_thrown_away() {
    let mut memory = Memory::default();
    memory.image(Some("latest"), "amd64", &["a", "b"]);
    let layer = digest_of(&tar("b"));
    memory.blobs.get_mut(&layer).unwrap()[0] ^= 1;
    let world = World::new(memory);
    let error = world.pull(&[]).unwrap_err();
    assert!(error.to_string().contains(layer.as_str()), "{error}");
    assert_eq!(world.store.partial_bytes(&layer), 0);
    // The layer below it is whole.
    assert_eq!(world.layers(), 1);
}

#[test]
fn what_is_no_image_is_refused() {
    let check = |media_type: &str, document: Value, says: &str| {
        let mut memory = Memory::default();
        memory.document(Some("latest"), media_type, &document);
        let error = World::new(memory).pull(&[]).unwrap_err();
        let told = format!("{error}");
        assert!(told.contains(says), "{told}");
    };
    let config = json!({"mediaType": "application/vnd.example.chart", "digest": digest_of(b"{}"), "size": 2});
    let chart = json!({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": []});
    check(MANIFEST_TYPE, chart, "an artifact of the type application/vnd.example.chart");
    let both = json!({"schemaVersion": 2, "manifests": [], "layers": [], "config": config});
    check(MANIFEST_TYPE, both, "whether it is an index or a manifest");
    let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []});
    check(MANIFEST_TYPE, index, "not there for");
    check("text/html", json!({"hello": 1}), "text/html");
}

#[test]
fn whoever_gave_up_is_told_so() {
    let mut memory = Memory::default();
    memory.image(Some("latest"), "amd64", &["a"]);
    let world = World::new(memory);
    world.cancel.cancel();
    assert!(matches!(world.pull(&[]), Err(TransferError::Cancelled)));
}

#[test]
fn two_pulls_of_the_same_share_the_work() {
    let mut memory = Memory::default();
    memory.image(Some("latest"), "amd64", &["a", "b", "c", "d", "e"]);
    let world = World::new(memory);
    std::thread::scope(|scope| {
        let one = scope.spawn(|| world.pull(&[]).map(drop));
        let two = scope.spawn(|| world.pull(&[]).map(drop));
        assert!(one.join().unwrap().is_ok() && two.join().unwrap().is_ok());
    });
    assert_eq!(world.layers(), 5);
    let _: &dyn transfer::Progress = &();
}
