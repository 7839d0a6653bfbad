//! What is saved is loaded again and saved the same, without any row between.

use corten_storage::Store;

use super::*;
use crate::{ImportOptions, Input, LoadOptions, Loaded, Stored, import, load};

fn store() -> (tempfile::TempDir, Store) {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(&temp.path().join("s"), false).unwrap();
    (temp, store)
}

fn imported(store: &Store) -> Stored {
    use corten_storage::archive::{Entry, Kind, Writer};
    let mut tar = Writer::new(Vec::new());
    tar.append(&Entry::new(b"d", Kind::Dir, 0o755)).unwrap();
    tar.append(&Entry { size: 3, ..Entry::new(b"d/f", Kind::File, 0o600) }).unwrap();
    tar.data(b"abc").unwrap();
    let bytes = tar.finish().unwrap();
    let options = ImportOptions { created: "2024-01-01T00:00:00Z".into(), ..ImportOptions::default() };
    import(store, &store.layers(), &mut &bytes[..], &options).unwrap()
}

fn item(stored: &Stored, names: &[&str]) -> Item {
    let image = Image {
        id: stored.id.clone(),
        manifest: stored.manifest.clone(),
        platform: Platform::host(),
        layers: stored.layers.clone(),
    };
    Item { names: names.iter().map(|name| name.parse().unwrap()).collect(), node: Node::Image(image) }
}

fn saved(store: &Store, items: &[Item], format: Format) -> Vec<u8> {
    let mut sink = ArchiveSink::new(Vec::new());
    save(store, &store.layers(), items, format, &mut sink, &|| false).unwrap();
    sink.finish().unwrap()
}

fn loaded(store: &Store, bytes: &[u8]) -> Loaded {
    let options = LoadOptions { platforms: Vec::new(), cancelled: &|| false };
    load(store, &store.layers(), Input::Stream(&mut &bytes[..]), &options).unwrap()
}

#[test]
fn saved_loaded_saved() {
    let (_temp, here) = store();
    let stored = imported(&here);
    for format in [Format::Docker, Format::Oci, Format::DockerArchive] {
        let first = saved(&here, &[item(&stored, &["me/app:1", "me/app:2"])], format);
        let (_temp, there) = store();
        let loaded = loaded(&there, &first);
        assert_eq!(loaded.targets.len(), 1, "{format:?}");
        assert_eq!(loaded.images[0].id, stored.id, "{format:?}");
        assert_eq!(loaded.images[0].manifest, stored.manifest, "{format:?}");
        let names: Vec<String> = loaded.targets[0].names.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["docker.io/me/app:1", "docker.io/me/app:2"], "{format:?}");
        let again = saved(&there, &[item(&loaded.images[0], &["me/app:1", "me/app:2"])], format);
        assert!(first == again, "{format:?}");
    }
}

#[test]
fn giving_up_is_an_error() {
    let (_temp, here) = store();
    let stored = imported(&here);
    let items = [item(&stored, &["a"])];
    let mut sink = ArchiveSink::new(Vec::new());
    let error = save(&here, &here.layers(), &items, Format::Docker, &mut sink, &|| true).unwrap_err();
    assert!(matches!(error, Error::Cancelled));
}
