//! What comes out is what went in: kinds, owners, modes, times, attributes, holes, ids; and whiteouts as overlay wants.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use corten_model::Digest;
use sha2::{Digest as _, Sha256};

use crate::testing::{Head, Tar, World, names};
use crate::{Limits, chain_id};

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 1024];
    let length = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

fn is_whiteout(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|m| m.file_type().is_char_device() && m.rdev() == 0)
}

#[test]
fn every_kind_with_its_attributes() {
    let world = World::new();
    // cap_net_raw=ep, version 2.
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let tar = Tar::default()
        .entry(&Head { mode: 0o751, uid: 3, gid: 4, mtime: 5, ..Head::new("./", b'5') }, b"")
        .entry(&Head { mode: 0o2775, uid: 1000, gid: 1001, mtime: 77, ..Head::new("dir/", b'5') }, b"")
        .pax(&[("mtime", b"1234567890.123456789"), ("SCHILY.xattr.user.note", b"a\0b")])
        .entry(&Head { mode: 0o4755, uid: 70_000, gid: 7, ..Head::new("dir/suid", b'0') }, b"data")
        .pax(&[
            ("SCHILY.xattr.security.capability", &capability),
            ("SCHILY.xattr.security.selinux", b"label"),
        ])
        .entry(&Head { mode: 0o755, ..Head::new("dir/cap", b'0') }, b"x")
        .entry(&Head { uid: 5, link: b"suid", ..Head::new("dir/link", b'2') }, b"")
        .hardlink("dir/hard", "/dir/suid")
        .entry(&Head { device: (1, 3), mode: 0o666, ..Head::new("null", b'3') }, b"")
        .entry(&Head { device: (7, 9), mode: 0o660, gid: 6, ..Head::new("loop", b'4') }, b"")
        .entry(&Head { mode: 0o622, ..Head::new("fifo", b'6') }, b"")
        .pax(&[("GNU.sparse.size", b"1000000"), ("GNU.sparse.map", b"500000,3")])
        .file("sparse", "abc");
    let unpacked = world.unpack(tar, None).unwrap();
    let dir = world.store.layers().dir(&unpacked.chain_id);
    let meta = |name: &str| dir.join(name).symlink_metadata().unwrap();
    let check = |name: &str, mode: u32, uid: u32, gid: u32| {
        let m = meta(name);
        assert_eq!((m.mode() & 0o7777, m.uid(), m.gid()), (mode, uid, gid), "{name}");
    };
    check(".", 0o751, 3, 4);
    check("dir", 0o2775, 1000, 1001);
    check("dir/suid", 0o4755, 70_000, 7);
    check("dir/link", 0o777, 5, 0);
    check("null", 0o666, 0, 0);
    check("loop", 0o660, 0, 6);
    check("fifo", 0o622, 0, 0);
    assert_eq!((meta(".").mtime(), meta("dir").mtime()), (5, 77));
    assert_eq!((meta("dir/suid").mtime(), meta("dir/suid").mtime_nsec()), (1_234_567_890, 123_456_789));
    assert_eq!(meta("dir/hard").ino(), meta("dir/suid").ino());
    assert_eq!(fs::read_link(dir.join("dir/link")).unwrap(), Path::new("suid"));
    assert_eq!((meta("null").rdev(), meta("loop").rdev()), (libc_dev(1, 3), libc_dev(7, 9)));
    assert!(meta("fifo").file_type().is_fifo());
    assert_eq!(xattr(&dir.join("dir/suid"), "user.note").unwrap(), b"a\0b");
    assert_eq!(xattr(&dir.join("dir/cap"), "security.capability").unwrap(), capability);
    assert_eq!(xattr(&dir.join("dir/cap"), "security.selinux"), None);
    let sparse = fs::read(dir.join("sparse")).unwrap();
    assert_eq!((sparse.len(), &sparse[499_999..500_004]), (1_000_000, &b"\0abc\0"[..]));
    assert!(meta("sparse").blocks() < 100);
    assert_eq!((unpacked.high_ids.as_slice(), unpacked.size_bytes), (&[70_000][..], 4 + 1 + 1_000_000));
}

fn libc_dev(major: u32, minor: u32) -> u64 {
    rustix::fs::makedev(major, minor)
}

#[test]
fn ids_are_of_the_whole_stream() {
    let world = World::new();
    let mut bytes = Tar::default().file("a", "b").end();
    bytes.extend([0; 9000]);
    bytes.extend(b"trailing");
    let layers = world.store.layers();
    let one = layers.unpack(&mut bytes.as_slice(), None, &Limits::default()).unwrap();
    assert_eq!(one.diff_id, Digest::from_sha256(Sha256::digest(&bytes).into()));
    assert_eq!((&one.chain_id, one.tar_bytes), (&one.diff_id, bytes.len() as u64));
    let two = layers.unpack(&mut bytes.as_slice(), Some(&one.chain_id), &Limits::default()).unwrap();
    assert_eq!(two.diff_id, one.diff_id);
    let text = format!("{} {}", one.diff_id, two.diff_id);
    assert_eq!(two.chain_id, Digest::from_sha256(Sha256::digest(text).into()));
    assert_eq!(two.chain_id, chain_id(Some(&one.chain_id), &two.diff_id));
    let chain = layers.chain(&two.chain_id).unwrap();
    assert_eq!(chain, [layers.dir(&two.chain_id), layers.dir(&one.chain_id)]);
    // The same again changes nothing.
    assert_eq!(layers.unpack(&mut bytes.as_slice(), None, &Limits::default()).unwrap(), one);
    assert_eq!(layers.list().unwrap().len(), 2);
    let absent = Digest::from_sha256([1; 32]);
    assert!(layers.unpack(&mut bytes.as_slice(), Some(&absent), &Limits::default()).is_err());
    layers.remove(&two.chain_id).unwrap();
    layers.remove(&two.chain_id).unwrap();
    assert_eq!(layers.list().unwrap(), [one.chain_id]);
    world.assert_clean();
}

#[test]
fn later_entries_replace_earlier_ones() {
    let world = World::new();
    let tar = Tar::default()
        .dir("a")
        .file("a/x", "1")
        .file("a", "file")
        .file("a", "again")
        .dir("b")
        .file("b/x", "1")
        .symlink("b", "nowhere")
        .dir("b")
        .file("b/y", "2")
        .entry(&Head { mode: 0o700, mtime: 9, ..Head::new("b", b'5') }, b"")
        .file("c/d/e", "implied");
    let (dir, _) = world.unpacked(tar, None);
    assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), "again");
    assert_eq!(names(&dir.join("b")), ["y"]);
    let b = dir.join("b").metadata().unwrap();
    assert_eq!((b.mode() & 0o7777, b.mtime()), (0o700, 9));
    assert_eq!(dir.join("c/d").metadata().unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn whiteouts_hide_what_is_below_and_only_that() {
    let world = World::new();
    let base = Tar::default()
        .file("gone", "")
        .dir("d")
        .file("d/gone", "")
        .file("d/kept", "")
        .dir("o")
        .file("o/old", "")
        .dir("again")
        .file("again/old", "")
        .dir("late")
        .file("late/old", "")
        .dir("swap")
        .file("swap/old", "");
    let (base_dir, base) = world.unpacked(base, None);
    let top = Tar::default()
        .file(".wh.gone", "")
        .file("d/.wh.gone", "")
        .file(".wh.never-was", "")
        .dir("o")
        .file("o/new", "")
        .file("o/.wh..wh..opq", "")
        .file(".wh.again", "")
        .dir("again")
        .file("again/new", "")
        .dir("late")
        .file("late/new", "")
        .file(".wh.late", "")
        .file("swap", "")
        .dir("swap")
        .file("swap/new", "")
        .file("own", "")
        .file(".wh.own", "");
    let (dir, chain) = world.unpacked(top, Some(&base));
    assert!(is_whiteout(&dir.join("gone")) && is_whiteout(&dir.join("d/gone")));
    assert!(dir.join("never-was").symlink_metadata().is_err());
    for opaque in ["o", "again", "late", "swap"] {
        assert_eq!(
            xattr(&dir.join(opaque), "trusted.overlay.opaque").as_deref(),
            Some(&b"y"[..]),
            "{opaque}"
        );
    }
    assert_eq!(xattr(&dir.join("d"), "trusted.overlay.opaque"), None);
    // The kernel agrees.
    let view = crate::snapshot::view(&world.store.layers().chain(&chain).unwrap(), false).unwrap();
    let list = |path: &str| {
        let at =
            rustix::fs::openat(&view, path, rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
        let entries =
            rustix::fs::Dir::new(at).unwrap().map(|e| e.unwrap().file_name().to_str().unwrap().to_owned());
        let mut names: Vec<_> = entries.filter(|n| n != "." && n != "..").collect();
        names.sort();
        names
    };
    assert_eq!(list("."), ["again", "d", "late", "o", "own", "swap"]);
    assert_eq!(list("d"), ["kept"]);
    for replaced in ["o", "again", "late", "swap"] {
        assert_eq!(list(replaced), ["new"], "{replaced}");
    }
    // In a lowest layer there is nothing to hide.
    let (dir, _) =
        world.unpacked(Tar::default().file("x/.wh.y", "").file("x/.wh..wh..opq", "").file("z", ""), None);
    assert_eq!(names(&dir), ["z"]);
    assert_eq!(names(&base_dir).len(), 6);
}

#[test]
fn an_opaque_root_hides_everything() {
    let world = World::new();
    let (_, base) = world.unpacked(Tar::default().file("a", "").dir("b"), None);
    let (dir, _) = world.unpacked(Tar::default().file(".wh..wh..opq", "").file("a", "new"), Some(&base));
    assert_eq!(names(&dir), ["a", "b"]);
    assert!(is_whiteout(&dir.join("b")));
    assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), "new");
}

#[test]
fn missing_parents_and_link_targets_come_from_below() {
    let world = World::new();
    let base = Tar::default()
        .entry(&Head { mode: 0o711, ..Head::new("./", b'5') }, b"")
        .entry(&Head { mode: 0o700, uid: 42, mtime: 99, ..Head::new("secret", b'5') }, b"")
        .dir("usr")
        .dir("usr/lib")
        .symlink("lib", "usr/lib")
        .entry(&Head { uid: 8, mode: 0o4711, ..Head::new("tool", b'0') }, b"tool");
    let (_, base) = world.unpacked(base, None);
    let (_, middle) = world.unpacked(Tar::default().file("other", ""), Some(&base));
    let top = Tar::default().file("secret/key", "k").file("lib/x.so", "so").hardlink("alias", "tool");
    let (dir, _) = world.unpacked(top, Some(&middle));
    let secret = dir.join("secret").metadata().unwrap();
    assert_eq!((secret.mode() & 0o7777, secret.uid(), secret.mtime()), (0o700, 42, 99));
    assert_eq!(dir.metadata().unwrap().mode() & 0o7777, 0o711);
    assert!(!dir.join("lib").exists());
    assert_eq!(fs::read_to_string(dir.join("usr/lib/x.so")).unwrap(), "so");
    let (tool, alias) = (dir.join("tool").metadata().unwrap(), dir.join("alias").metadata().unwrap());
    assert_eq!(tool.ino(), alias.ino());
    assert_eq!((tool.mode() & 0o7777, tool.uid(), tool.len()), (0o4711, 8, 4));
}

#[test]
fn two_at_once_make_one_layer() {
    let world = World::new();
    let bytes = (0..200).fold(Tar::default(), |tar, n| tar.file(&format!("f{n}"), "x")).end();
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    world.store.layers().unpack(&mut bytes.as_slice(), None, &Limits::default()).unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(results.iter().all(|r| *r == results[0]));
    assert_eq!(world.store.layers().list().unwrap().len(), 1);
    world.assert_clean();
}
