//! Crashes at every named step, played by a child that ends there, and what a check makes of them.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use super::*;
use crate::archive::{Extraction, Owners, Selection, extract, write_tree};
use crate::testing::{Tar, World, rerun};
use crate::{Limits, steps};

const STOP: &str = "CORTEN_TEST_STOP_AT";

fn archive() -> Vec<u8> {
    Tar::default().dir("d").file("d/f", "x").end()
}

/// The child's side: does everything that has steps, and ends without any clean-up at the wanted one.
#[test]
fn until_a_step() {
    let Ok(text) = std::env::var(STOP) else { return };
    assert!(steps::listen(|step| {
        if std::env::var(STOP).unwrap().split_once('@').unwrap().0 == step {
            println!("stopped");
            std::process::abort();
        }
    }));
    let root = text.split_once('@').unwrap().1;
    let store = Store::open(Path::new(root), false).unwrap();
    let _writing = store.writing().unwrap();
    store.layers().unpack(&mut archive().as_slice(), None, &Limits::default()).unwrap();
    store.blobs().put(b"{}").unwrap();
    store.volumes().create(&VolumeId::from_bytes([7; 32])).unwrap();
    let top = corten_sys::path::Root::open(Path::new(root)).unwrap();
    let all = Selection { path: "blobs".into(), name: b"blobs".to_vec(), follow: false };
    let mut tar = Vec::new();
    write_tree(&top, &all, &mut tar).unwrap();
    let path = Path::new("layers/.tmp-copy").to_owned();
    let into = Extraction { path, stream: false, owners: Owners::Kept };
    extract(&top, &into, &mut tar.as_slice()).unwrap();
    let mut trash = crate::Trash::new(&store).unwrap();
    trash.take(&store, &crate::Garbage::find(&store, &Live::default()).unwrap()).unwrap();
    drop(trash);
}

#[test]
fn a_crash_at_any_step_leaves_litter_at_most() {
    for step in steps::STEPS {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("store");
        let variable = format!("{step}@{}", root.display());
        let output = rerun("check::tests::until_a_step", &["env"], (STOP, &variable));
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains("stopped"), "{step}: {text}");
        let store = Store::open(&root, false).unwrap();
        let found = check(&store, &Live::default(), true).unwrap();
        assert!(found.iter().all(|f| f.repaired), "{step}: {found:?}");
        assert_eq!(check(&store, &Live::default(), false).unwrap(), [], "{step}");
        // And everything works again.
        let unpacked = store.layers().unpack(&mut archive().as_slice(), None, &Limits::default()).unwrap();
        assert_eq!(fs::read_to_string(store.layers().dir(&unpacked.chain_id).join("d/f")).unwrap(), "x");
    }
}

#[test]
fn rows_and_disk_are_compared() {
    let world = World::new();
    let store = &world.store;
    let chain = store.layers().unpack(&mut archive().as_slice(), None, &Limits::default()).unwrap().chain_id;
    let blob = store.blobs().put(b"{}").unwrap();
    let (volume, full) = (VolumeId::from_bytes([1; 32]), VolumeId::from_bytes([2; 32]));
    for id in [&volume, &full] {
        store.volumes().create(id).unwrap();
    }
    fs::write(store.volume_data(&full).join("data"), "precious").unwrap();
    let container = ContainerId::from_bytes([3; 32]);
    fs::create_dir(store.container_dir(&container)).unwrap();
    let mut live = Live::default();
    live.layers.insert(chain.clone());
    live.blobs.insert(blob.clone());
    live.volumes.extend([volume.clone(), full.clone()]);
    live.containers.insert(container.clone());
    assert_eq!(check(store, &live, true).unwrap(), []);
    // Everything is somebody's: nothing was removed. Now nothing is.
    let found = check(store, &Live::default(), false).unwrap();
    let count = |problem| found.iter().filter(|f| f.problem == problem).count();
    assert_eq!((count(Problem::NoRow), count(Problem::DataWithoutRow), found.len()), (4, 1, 5));
    assert!(found.iter().all(|f| !f.repaired));
    check(store, &Live::default(), true).unwrap();
    assert!(store.volume_data(&full).join("data").exists());
    let found = check(store, &live, false).unwrap();
    assert_eq!(found.iter().filter(|f| f.problem == Problem::Missing).count(), 3);
    fs::write(store.root().join("layers/stranger"), "").unwrap();
    fs::write(store.blobs().path(&blob), "damage").unwrap();
    let found = check(store, &live, true).unwrap();
    let count = |problem| found.iter().filter(|f| f.problem == problem).count();
    assert_eq!((count(Problem::Foreign), count(Problem::Damaged)), (1, 1));
    assert!(store.root().join("layers/stranger").exists());
}

#[test]
fn what_somebody_is_making_is_no_litter() {
    let world = World::new();
    let layers = world.store.root().join("layers");
    let making = crate::temp::TempDir::new(&layers).unwrap();
    fs::create_dir(layers.join(".tmp-1-1")).unwrap();
    let found = check(&world.store, &Live::default(), true).unwrap();
    assert_eq!(found.len(), 1);
    assert!(making.path().exists() && !layers.join(".tmp-1-1").exists());
}

#[test]
fn a_volume_is_filled_once() {
    let world = World::new();
    let image = world.temp.path().join("image");
    fs::create_dir_all(image.join("srv")).unwrap();
    fs::write(image.join("srv/f"), "1").unwrap();
    let fd = fs::File::open(&image).unwrap();
    let (volumes, id) = (world.store.volumes(), VolumeId::from_bytes([4; 32]));
    let data = volumes.create(&id).unwrap();
    assert!(!volumes.fill(&id, fd.as_fd(), Path::new("/none")).unwrap());
    assert!(volumes.fill(&id, fd.as_fd(), Path::new("/srv")).unwrap());
    fs::write(data.join("f"), "2").unwrap();
    assert!(!volumes.fill(&id, fd.as_fd(), Path::new("/srv")).unwrap());
    assert_eq!(fs::read_to_string(data.join("f")).unwrap(), "2");
    volumes.remove(&id).unwrap();
    volumes.remove(&id).unwrap();
    assert!(!data.exists());
}

/// A container that is starting may have the directory mounted already.
#[test]
fn a_volume_that_is_there_keeps_its_directory() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let world = World::new();
    let image = world.temp.path().join("image");
    fs::create_dir_all(image.join("srv/d")).unwrap();
    fs::write(image.join("srv/f"), "1").unwrap();
    fs::create_dir(image.join("bare")).unwrap();
    for name in ["srv", "bare"] {
        fs::set_permissions(image.join(name), fs::Permissions::from_mode(0o2750)).unwrap();
    }
    let fd = fs::File::open(&image).unwrap();
    for (number, from) in [(5, "/srv"), (6, "/bare")] {
        let (volumes, id) = (world.store.volumes(), VolumeId::from_bytes([number; 32]));
        let data = volumes.create(&id).unwrap();
        let before = fs::metadata(&data).unwrap().ino();
        assert!(!volumes.fill_in_place(&id, fd.as_fd(), Path::new("/none")).unwrap());
        assert!(volumes.fill_in_place(&id, fd.as_fd(), Path::new(from)).unwrap());
        let after = fs::metadata(&data).unwrap();
        assert_eq!((after.ino(), after.mode() & 0o7777), (before, 0o2750), "{from}");
        assert_eq!(data.join("d").is_dir() && data.join("f").is_file(), from == "/srv");
        fs::write(data.join("own"), "").unwrap();
        assert!(!volumes.fill_in_place(&id, fd.as_fd(), Path::new("/srv")).unwrap());
        assert_eq!(fs::read_dir(world.store.volume_data(&id).parent().unwrap()).unwrap().count(), 1);
    }
}
