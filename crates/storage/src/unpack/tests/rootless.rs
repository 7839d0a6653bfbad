//! Unpacking as the root of a user namespace with one id: a child process in `unshare -Ur`.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::snapshot::Snapshot;
use crate::testing::{Head, Tar, names, rerun};
use crate::{EntryProblem, Error, Limits, Store};

const ROOT: &str = "CORTEN_TEST_ROOTLESS_ROOT";

#[test]
fn a_user_namespace_with_one_id() {
    let temp = tempfile::tempdir().unwrap();
    let wrapper = ["unshare", "--user", "--map-root-user", "--mount"];
    let root = temp.path().to_str().unwrap();
    let output = rerun("unpack::tests::rootless::inside", &wrapper, (ROOT, root));
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("inside: done"), "{text}");
}

/// The child's side; nothing without its variable.
#[test]
fn inside() {
    let Ok(root) = std::env::var(ROOT) else { return };
    let store = Store::open(&Path::new(&root).join("store"), true).unwrap();
    let layers = store.layers();
    let unpack = |tar: Tar, parent| layers.unpack(&mut tar.end().as_slice(), parent, &Limits::default());
    let device = Head { device: (1, 3), ..Head::new("x/null", b'3') };
    let error = unpack(Tar::default().entry(&device, b""), None).unwrap_err();
    assert!(matches!(&error, Error::Entry { entry, problem: EntryProblem::Device } if entry == "x/null"));
    let base = Tar::default()
        .dir("d")
        .file("d/gone", "")
        .dir("o")
        .file("o/old", "")
        .entry(&Head { name: b"dev/null", ..device }, b"")
        .entry(&Head { uid: 1000, mode: 0o4755, ..Head::new("suid", b'0') }, b"x");
    let base = unpack(base, None).unwrap();
    assert_eq!((base.squashed_owners, base.skipped_devices, base.high_ids.len()), (1, 1, 0));
    let suid = layers.dir(&base.chain_id).join("suid").metadata().unwrap();
    assert_eq!((suid.uid(), suid.mode() & 0o7777), (0, 0o755));
    let top = Tar::default().file("d/.wh.gone", "").file("o/.wh..wh..opq", "").file("o/new", "");
    let top = unpack(top, Some(&base.chain_id)).unwrap();
    let third = unpack(Tar::default().file("d/third", ""), Some(&top.chain_id)).unwrap();
    let dir = store.root().join("containers/c");
    let lowers = layers.chain(&third.chain_id).unwrap();
    let snapshot = Snapshot { lowers, dir, volatile: true, rootless: true, read_only: false };
    snapshot.prepare().unwrap();
    let mount = snapshot.mount(None).unwrap();
    let merged = Path::new(&root).join("merged");
    std::fs::create_dir(&merged).unwrap();
    let flags = rustix::mount::MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(&mount, "", rustix::fs::CWD, &merged, flags).unwrap();
    assert_eq!(
        (names(&merged.join("d")), names(&merged.join("o"))),
        (vec!["third".into()], vec!["new".to_owned()])
    );
    std::fs::remove_file(merged.join("d/third")).unwrap();
    std::fs::write(merged.join("o/mine"), "").unwrap();
    assert!(names(&merged.join("d")).is_empty());
    println!("inside: done");
}
