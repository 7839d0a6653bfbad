//! Changes made through a real overlay, listed and made into layers.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use rustix::fs::CWD;
use rustix::mount::{MoveMountFlags, UnmountFlags};

use super::*;
use crate::Limits;
use crate::snapshot::Snapshot;
use crate::testing::{Tar, World, names};
use corten_model::Digest;

/// A container on an image, mounted as long as it lives.
struct Container {
    world: World,
    chain: Digest,
    layers: Vec<PathBuf>,
    root: PathBuf,
}

impl Container {
    fn new() -> Self {
        let world = World::new();
        let base = Tar::default()
            .dir("dir/")
            .file("dir/a", "a")
            .file("dir/b", "b")
            .dir("dir/sub/")
            .file("dir/sub/deep", "deep")
            .dir("gone/")
            .file("gone/x", "x")
            .file("file", "file")
            .file("touched", "same")
            .dir("kept/")
            .file("kept/old", "old")
            .dir("empty/");
        let (_, below) = world.unpacked(base, None);
        let (_, chain) = world.unpacked(Tar::default().file("upper-layer", "u"), Some(&below));
        let layers = world.store.layers().chain(&chain).unwrap();
        let dir = world.temp.path().join("store/containers/c");
        let mut lowers = layers.clone();
        lowers.push(world.store.skeleton());
        let snapshot = Snapshot { lowers, dir, volatile: false, rootless: false, read_only: false };
        snapshot.prepare().unwrap();
        let root = world.temp.path().join("store/containers/mounted");
        fs::create_dir(&root).unwrap();
        let mount = snapshot.mount(None).unwrap();
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(&mount, "", CWD, &root, flags).unwrap();
        Self { world, chain, layers, root }
    }

    fn upper(&self) -> Upper {
        let dir = self.world.temp.path().join("store/containers/c/upper");
        Upper { dir: Some(dir), lowers: self.layers.clone() }
    }

    /// The changes as `diff` prints them.
    fn changes(&self) -> Vec<String> {
        let mut lowers = self.layers.clone();
        lowers.push(self.world.store.skeleton());
        let letter = |kind| match kind {
            ChangeKind::Added => 'A',
            ChangeKind::Modified => 'C',
            ChangeKind::Deleted => 'D',
        };
        let all = changes(&self.upper().dir.unwrap(), &lowers, false).unwrap();
        all.into_iter().map(|c| format!("{} /{}", letter(c.kind), c.path.display())).collect()
    }

    fn commit(&self) -> Digest {
        commit(&self.world.store, &self.upper(), &self.chain, &Limits::default()).unwrap().chain_id
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.root, UnmountFlags::DETACH).unwrap();
    }
}

fn change_everything(root: &Path) {
    fs::write(root.join("dir/a"), "changed").unwrap();
    fs::remove_file(root.join("dir/b")).unwrap();
    fs::write(root.join("dir/sub/new"), "new").unwrap();
    fs::remove_dir_all(root.join("gone")).unwrap();
    fs::set_permissions(root.join("file"), fs::Permissions::from_mode(0o4711)).unwrap();
    // Copied up, then left as it was.
    fs::OpenOptions::new().write(true).open(root.join("touched")).unwrap();
    fs::remove_dir_all(root.join("kept")).unwrap();
    fs::create_dir(root.join("kept")).unwrap();
    fs::write(root.join("kept/new"), "").unwrap();
    fs::remove_dir(root.join("empty")).unwrap();
    fs::write(root.join("empty"), "a file now").unwrap();
    fs::create_dir_all(root.join("fresh/below")).unwrap();
    symlink("nowhere", root.join("fresh/below/link")).unwrap();
    fs::hard_link(root.join("dir/a"), root.join("fresh/hard")).unwrap();
    fs::write(root.join("etc/hosts"), "").unwrap();
    rustix::fs::mknodat(CWD, root.join("fresh/socket"), FileType::Socket, rustix::fs::Mode::RUSR, 0).unwrap();
}

#[test]
fn changes_are_those_that_docker_names() {
    let container = Container::new();
    assert_eq!(container.changes(), [""; 0]);
    change_everything(&container.root);
    let expected = [
        "C /dir",
        "C /dir/a",
        "D /dir/b",
        "C /dir/sub",
        "A /dir/sub/new",
        "C /empty",
        "C /file",
        "A /fresh",
        "A /fresh/below",
        "A /fresh/below/link",
        "A /fresh/hard",
        "A /fresh/socket",
        "D /gone",
        "C /kept",
        "A /kept/new",
        "D /kept/old",
    ];
    assert_eq!(container.changes(), expected);
}

/// What a tree looks like: kind, mode, owner, time, content of every file.
fn shape(root: &Path) -> Vec<String> {
    let mut shape = Vec::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(dir) = todo.pop() {
        for name in names(&root.join(&dir)) {
            let path = dir.join(name);
            let full = root.join(&path);
            let stat = full.symlink_metadata().unwrap();
            let content = if stat.is_file() { fs::read_to_string(&full).unwrap() } else { String::new() };
            let link =
                if stat.is_symlink() { format!("{:?}", fs::read_link(&full).unwrap()) } else { content };
            // Sockets are in no archive, and the mount places not the container's.
            if path.ends_with("socket") || path.starts_with("etc") {
                continue;
            }
            let time = (stat.mtime(), stat.mtime_nsec());
            shape.push(format!("{} {:o} {} {time:?} {link}", path.display(), stat.mode(), stat.uid()));
            if stat.is_dir() {
                todo.push(path);
            }
        }
    }
    shape.sort();
    shape
}

#[test]
fn a_committed_layer_shows_what_the_container_showed() {
    let container = Container::new();
    change_everything(&container.root);
    let chain = container.commit();
    let layers = container.world.store.layers();
    let view = crate::snapshot::view(&layers.chain(&chain).unwrap(), false).unwrap();
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&view));
    // The skeleton's directories are the container's only.
    let ours: Vec<_> = shape(&container.root)
        .into_iter()
        .filter(|line| !["dev ", "proc ", "sys "].iter().any(|dir| line.starts_with(dir)))
        .collect();
    assert_eq!(shape(Path::new(&path)), ours);
    let hard = fs::metadata(format!("{path}/fresh/hard")).unwrap();
    assert_eq!(hard.nlink(), 2);
    let info = layers.info(&chain).unwrap();
    assert_eq!(info.parent.as_ref(), Some(&container.chain));
    container.world.assert_clean();
}

#[test]
fn a_committed_layer_s_archive_can_be_rebuilt() {
    let container = Container::new();
    change_everything(&container.root);
    let chain = container.commit();
    let mut written = Vec::new();
    write_layer(&container.upper(), false, &mut written).unwrap();
    let mut rebuilt = Vec::new();
    let mut tar = container.world.store.layers().tar(&chain).unwrap();
    std::io::Read::read_to_end(&mut tar, &mut rebuilt).unwrap();
    assert!(rebuilt == written, "{} and {} bytes", rebuilt.len(), written.len());
}

#[test]
fn attributes_and_capabilities_are_changes_and_stay() {
    let container = Container::new();
    // cap_net_raw, permitted.
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let set = |path: &str, name: &str, value: &[u8]| {
        let path = container.root.join(path);
        rustix::fs::setxattr(path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
    };
    set("touched", "security.capability", &capability);
    set("dir/a", "user.colour", b"blue");
    // Like Docker, which looks at capabilities alone.
    assert_eq!(container.changes(), ["C /touched"]);
    let chain = container.commit();
    let layer = container.world.store.layers().dir(&chain);
    let get = |path: &str, name: &CStr| tree::read_xattr(&layer.join(path), name).unwrap();
    assert_eq!(get("touched", c"security.capability").as_deref(), Some(&capability[..]));
    assert_eq!(get("dir/a", c"user.colour").as_deref(), Some(&b"blue"[..]));
}

#[test]
fn marks_of_newer_kernels_are_read() {
    let world = World::new();
    let (_, chain) = world.unpacked(Tar::default().dir("d/").file("d/a", "a").file("d/b", "b"), None);
    let lowers = world.store.layers().chain(&chain).unwrap();
    let upper = world.temp.path().join("store/containers/upper");
    fs::create_dir_all(upper.join("d")).unwrap();
    fs::write(upper.join("d/a"), "").unwrap();
    let set = |path: &str, name: &str, value: &[u8]| {
        rustix::fs::setxattr(upper.join(path), name, value, rustix::fs::XattrFlags::empty()).unwrap();
    };
    set("d", "trusted.overlay.opaque", b"x");
    set("d/a", "trusted.overlay.whiteout", b"");
    let all = changes(&upper, &lowers, false).unwrap();
    let all: Vec<_> = all.iter().map(|c| (c.kind, c.path.to_str().unwrap())).collect();
    assert_eq!(all, [(ChangeKind::Modified, "d"), (ChangeKind::Deleted, "d/a")]);
    let mut tar = Vec::new();
    write_layer(&Upper { dir: Some(upper), lowers }, false, &mut tar).unwrap();
    let text = String::from_utf8_lossy(&tar);
    assert!(text.contains("d/.wh.a\0") && !text.contains(".wh..wh..opq"));
}

#[test]
fn a_layer_s_archive_depends_on_the_files_alone() {
    let archive = || {
        let container = Container::new();
        let root = &container.root;
        for name in ["one", "two", "three"] {
            fs::write(root.join(name), name).unwrap();
        }
        fs::remove_file(root.join("file")).unwrap();
        fs::remove_dir_all(root.join("kept")).unwrap();
        fs::create_dir(root.join("kept")).unwrap();
        fs::create_dir(root.join("plain")).unwrap();
        let time = rustix::fs::Timespec { tv_sec: 1_000, tv_nsec: 7 };
        for name in ["one", "two", "three", "kept", "plain"] {
            let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
            rustix::fs::utimensat(CWD, root.join(name), &times, rustix::fs::AtFlags::empty()).unwrap();
        }
        let mut out = Vec::new();
        write_layer(&container.upper(), false, &mut out).unwrap();
        out
    };
    let first = archive();
    assert_eq!(first, archive());
    let text = String::from_utf8_lossy(&first);
    let at = |name: &str| text.find(name).unwrap_or_else(|| panic!("{name} is missing"));
    assert!(at(".wh.file\0") < at("kept/\0"));
    assert!(at("kept/\0") < at("kept/.wh..wh..opq\0"));
    assert!(at("kept/.wh..wh..opq\0") < at("one\0"));
    assert!(!text.contains("plain/.wh."), "nothing is hidden below a new directory");
    assert!(!text.contains("upper-layer"));
}

#[test]
fn a_container_that_never_started_is_an_empty_layer() {
    let container = Container::new();
    let mut out = Vec::new();
    write_layer(&Upper { dir: None, ..container.upper() }, false, &mut out).unwrap();
    assert_eq!(out, [0; 1024]);
    assert_eq!(container.changes(), [""; 0]);
    container.commit();
}

#[test]
fn names_that_would_be_marks_are_refused() {
    let container = Container::new();
    fs::write(container.root.join("dir/.wh.a"), "").unwrap();
    let error = commit(&container.world.store, &container.upper(), &container.chain, &Limits::default());
    assert!(matches!(error, Err(Error::MarkName { path }) if path == Path::new("dir/.wh.a")));
    container.world.assert_clean();
}

#[test]
fn a_layer_of_an_archive_that_ended_early_is_never_made() {
    let container = Container::new();
    let upper = Upper { dir: Some(container.root.join("none")), ..container.upper() };
    let before = names(&container.world.store.root().join("layers"));
    let error = commit(&container.world.store, &upper, &container.chain, &Limits::default()).unwrap_err();
    assert!(matches!(error, Error::Io { doing: "open the directory", .. }), "{error:?}");
    assert_eq!(names(&container.world.store.root().join("layers")), before);
    container.world.assert_clean();
}
