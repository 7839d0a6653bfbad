//! Attacks of the past (CVE-2014-9356, -9357, -6407; CVE-2024-25621; CVE-2025-47290; whiteout tricks; bombs): each must
//! end inside the layer or in a typed error, with the host's marker untouched and nothing left behind.

use std::fs;
use std::io::Read;

use crate::testing::{Head, Tar, World};
use crate::{EntryProblem, Error, Limits, TarError};

fn refused(world: &World, tar: Tar) -> EntryProblem {
    let result = world.unpack(tar, None);
    world.assert_clean();
    match result {
        Err(Error::Entry { problem, .. }) => problem,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn names_that_lead_out() {
    let world = World::new();
    for name in ["../marker", "a/../../marker", "..", "./../x", "a/b/../c"] {
        assert_eq!(refused(&world, Tar::default().file(name, "evil")), EntryProblem::DotDot, "{name}");
    }
    let marker = world.marker();
    let (dir, _) = world.unpacked(Tar::default().file(marker.to_str().unwrap(), "inside"), None);
    assert_eq!(fs::read_to_string(dir.join(marker.strip_prefix("/").unwrap())).unwrap(), "inside");
    world.assert_clean();
}

#[test]
fn symlinks_that_lead_out() {
    let world = World::new();
    let outside = world.temp.path().to_str().unwrap().to_owned();
    let up = "../".repeat(20) + &outside;
    for target in [outside.as_str(), up.as_str()] {
        let tar = Tar::default().symlink("a", target).file("a/marker", "evil").dir("a/new");
        let (dir, _) = world.unpacked(tar, None);
        // Followed inside the layer, as the kernel would in a container.
        assert_eq!(fs::read_to_string(dir.join(&outside[1..]).join("marker")).unwrap(), "evil");
        assert!(dir.join("a").is_symlink());
        world.assert_clean();
        // The same over two layers: the link is below, the file above.
        let (_, below) = world.unpacked(Tar::default().symlink("b", target), None);
        let (dir, _) = world.unpacked(Tar::default().file("b/marker", "evil"), Some(&below));
        assert_eq!(fs::read_to_string(dir.join(&outside[1..]).join("marker")).unwrap(), "evil");
        world.assert_clean();
    }
    let looping = Tar::default().symlink("x", "y").symlink("y", "x").file("x/f", "");
    assert_eq!(refused(&world, looping), EntryProblem::Loop);
    let growing = Tar::default().symlink("x", "x/x/x/x").file("x/f", "");
    assert_eq!(refused(&world, growing), EntryProblem::Loop);
}

#[test]
fn the_last_component_is_never_followed() {
    let world = World::new();
    let marker = world.marker();
    let marker = marker.to_str().unwrap();
    let tar =
        Tar::default().symlink("f", marker).file("f", "evil").symlink("d", "/etc").dir("d").file("d/x", "in");
    let (dir, _) = world.unpacked(tar, None);
    assert!(dir.join("f").symlink_metadata().unwrap().is_file());
    assert!(dir.join("d").symlink_metadata().unwrap().is_dir());
    assert_eq!(fs::read_to_string(dir.join("d/x")).unwrap(), "in");
    world.assert_clean();
}

#[test]
fn hard_links_reach_nothing_outside() {
    let world = World::new();
    let marker = world.marker();
    let marker = marker.to_str().unwrap();
    let tar = Tar::default().hardlink("x", marker);
    assert!(matches!(refused(&world, tar), EntryProblem::NoTarget(_)));
    assert_eq!(refused(&world, Tar::default().hardlink("x", "../../marker")), EntryProblem::DotDot);
    assert!(matches!(refused(&world, Tar::default().dir("d").hardlink("x", "d")), EntryProblem::NoTarget(_)));
    assert!(matches!(refused(&world, Tar::default().hardlink("x", "/")), EntryProblem::NoTarget(_)));
    // A link to a symlink is that symlink; writing to the name replaces it.
    let tar = Tar::default().symlink("s", marker).hardlink("h", "s").file("h", "evil");
    let (dir, _) = world.unpacked(tar, None);
    assert!(dir.join("s").is_symlink());
    assert!(dir.join("h").symlink_metadata().unwrap().is_file());
    // A link to itself keeps the file.
    let (dir, _) = world.unpacked(Tar::default().file("a", "kept").hardlink("a", "./a"), None);
    assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), "kept");
    world.assert_clean();
}

#[test]
fn a_directory_that_becomes_a_symlink_mid_way() {
    let world = World::new();
    let outside = world.temp.path().to_str().unwrap();
    let before = world.temp.path().metadata().unwrap().modified().unwrap();
    let tar =
        Tar::default().dir("d").file("d/a", "1").symlink("d", outside).file("d/marker", "evil").dir("d/b");
    let (dir, _) = world.unpacked(tar, None);
    // Times of directories come last: not those of what the link names.
    assert_eq!(world.temp.path().metadata().unwrap().modified().unwrap(), before);
    assert!(dir.join("d").is_symlink());
    assert_eq!(fs::read_to_string(dir.join(&outside[1..]).join("marker")).unwrap(), "evil");
    world.assert_clean();
}

#[test]
fn whiteout_tricks() {
    let world = World::new();
    let (_, base) =
        world.unpacked(Tar::default().dir("d").file("d/f", "").symlink("l", "/d").file("g", ""), None);
    for name in [".wh.", ".wh..", ".wh...", "d/.wh..", ".wh.d/x", "d/.wh..."] {
        let result = world.unpack(Tar::default().file(name, ""), Some(&base));
        assert!(
            matches!(result, Err(Error::Entry { problem: EntryProblem::Whiteout, .. })),
            "{name}: {result:?}"
        );
    }
    let result = world.unpack(Tar::default().file("../.wh.marker", ""), Some(&base));
    assert!(matches!(result, Err(Error::Entry { problem: EntryProblem::DotDot, .. })));
    let outside = world.temp.path().to_str().unwrap();
    let tar = Tar::default().symlink("out", outside).file("out/.wh.marker", "").file("out/.wh..wh..opq", "");
    world.unpack(tar, Some(&base)).unwrap();
    for ignored in [".wh..wh.plnk/1.2", ".wh..wh.aufs", "d/.wh..wh.x"] {
        let (dir, _) = world.unpacked(Tar::default().file("x", ignored).file(ignored, ""), Some(&base));
        assert_eq!(crate::testing::names(&dir), ["x"]);
    }
    world.assert_clean();
}

#[test]
fn marks_of_overlay_and_devices() {
    let world = World::new();
    for name in [
        "trusted.overlay.redirect",
        "trusted.overlay.opaque",
        "trusted.x",
        "user.overlay.redirect",
        "user.overlay.opaque",
        "system.foo",
        "nonsense",
        "",
    ] {
        let tar = Tar::default().pax(&[(&format!("SCHILY.xattr.{name}"), b"/etc")]).dir("d");
        assert_eq!(refused(&world, tar), EntryProblem::Xattr(name.into()));
        let tar = Tar::default().pax(&[(&format!("SCHILY.xattr.{name}"), b"/etc")]).dir("./");
        assert_eq!(refused(&world, tar), EntryProblem::Xattr(name.into()));
    }
    assert_eq!(refused(&world, Tar::default().entry(&Head::new("w", b'3'), b"")), EntryProblem::ZeroDevice);
    assert_eq!(refused(&world, Tar::default().file("./", "")), EntryProblem::Root);
}

#[test]
fn bombs_end_early() {
    let world = World::new();
    let limits = Limits {
        entries: 1000,
        stream_bytes: 1 << 20,
        content_bytes: 1 << 30,
        depth: 100,
        ..Limits::default()
    };
    let check = |tar: Vec<u8>, expected: &str| {
        let error = world.store.layers().unpack(&mut tar.as_slice(), None, &limits).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        world.assert_clean();
    };
    let many = (0..1001).fold(Tar::default(), |tar, n| tar.file(&n.to_string(), ""));
    check(many.end(), "entries");
    let deep = "a/".repeat(500);
    check(Tar::default().pax(&[("path", deep.as_bytes())]).dir("x").end(), "nested deeper");
    // Each entry implies directories of its own, or a long way through symlinks.
    let wide = (0..30).fold(Tar::default(), |tar, n| tar.file(&format!("{n}/{}x", "d/".repeat(40)), ""));
    check(wide.end(), "more than 1000 entries");
    let way = (0..40).fold(Tar::default().dir("e"), |tar, n| {
        let next = if n == 39 { "e".to_owned() } else { format!("l{}", n + 1) };
        tar.symlink(&format!("l{n}"), &format!("{}{next}", "e/../".repeat(15)))
    });
    let through = (0..40).fold(way, |tar, n| tar.file(&format!("l0/f{n}"), "").file(&format!("g{n}"), ""));
    check(through.end(), "steps through symlinks");
    let sparse = Tar::default().pax(&[("GNU.sparse.size", b"1099511627776"), ("GNU.sparse.map", b"")]);
    check(sparse.file("f", "").end(), "bytes of files");
    let mut endless = Tar::default().file("a", "").0;
    endless.resize(2 << 20, 0);
    check(endless, "bytes");
    let inflated = zstd::encode_all(std::io::repeat(0).take(1 << 28), 1).unwrap();
    assert!(inflated.len() < 100_000);
    let head = crate::testing::block(&Head::new("z", b'0'), 1 << 28);
    let bomb = [zstd::encode_all(&head[..], 1).unwrap(), inflated].concat();
    let mut bomb = crate::decompress(bomb.as_slice()).unwrap();
    let error = world.store.layers().unpack(&mut bomb, None, &limits).unwrap_err();
    assert!(matches!(error, Error::Tar(TarError::Limit { what: "bytes", .. })), "{error}");
    world.assert_clean();
    // Ten gigabytes of zeros out of a few kilobytes, through the same limit.
    let head = crate::testing::block(&Head::new("z", b'0'), (1 << 33) - 1);
    let mut zeros = head.chain(std::io::repeat(0));
    let error = world.store.layers().unpack(&mut zeros, None, &limits).unwrap_err();
    assert!(matches!(error, Error::Tar(TarError::Limit { .. })), "{error}");
    world.assert_clean();
}

#[test]
fn a_file_is_no_parent() {
    let world = World::new();
    let problem = refused(&world, Tar::default().file("a", "").file("a/b", ""));
    assert_eq!(problem, EntryProblem::NotADirectory("a".into()));
}

#[test]
fn a_truncated_stream_leaves_nothing() {
    let world = World::new();
    let tar = Tar::default().dir("d").file("d/a", &"x".repeat(100_000)).0;
    let error = world.store.layers().unpack(&mut &tar[..50_000], None, &Limits::default()).unwrap_err();
    assert!(matches!(error, Error::Tar(TarError::Truncated { .. })));
    assert_eq!(error.kind(), corten_model::Kind::Invalid);
    world.assert_clean();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    std::io::Write::write_all(&mut gzip, &tar).unwrap();
    for packed in [gzip.finish().unwrap(), zstd::encode_all(tar.as_slice(), 1).unwrap()] {
        for cut in [20, packed.len() / 2, packed.len() - 1] {
            let mut plain = crate::decompress(&packed[..cut]).unwrap();
            let error = world.store.layers().unpack(&mut plain, None, &Limits::default()).unwrap_err();
            assert!(matches!(error, Error::Tar(TarError::Read { .. })), "{error:?}");
            assert_eq!(error.kind(), corten_model::Kind::Invalid);
            world.assert_clean();
        }
    }
    assert!(world.store.layers().list().unwrap().is_empty());
}

#[test]
fn names_as_long_as_the_kernel_takes_them() {
    let world = World::new();
    let long = "n".repeat(204) + "/";
    let pax = |path: &str| Tar::default().pax(&[("path", path.as_bytes())]);
    let (dir, _) = world.unpacked(
        pax(&long.repeat(19))
            .dir("x")
            .pax(&[("path", (long.repeat(19) + &"f".repeat(200)).as_bytes())])
            .file("x", "in"),
        None,
    );
    let root = corten_sys::path::Root::open(&dir).unwrap();
    let path = long.repeat(19) + &"f".repeat(200);
    root.open_plain(path.as_ref(), rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
    let check = |tar: Tar, expected: &str| {
        let error = world.unpack(tar, None).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.kind(), corten_model::Kind::Invalid);
        world.assert_clean();
    };
    check(pax(&long.repeat(20)).dir("x"), "more than 4095 bytes in a name");
    check(pax(&"a/".repeat(10_000)).dir("x"), "more than 4095 bytes in a name");
    check(pax(&"a/".repeat(2000)).dir("x"), "nested deeper than 1024");
    // A short name that a symlink makes long.
    let around = Tar::default().pax(&[("linkpath", long.repeat(19).as_bytes())]).symlink("s", "x");
    let below = format!("s/{}", "g".repeat(210));
    check(around.pax(&[("path", below.as_bytes())]).file("x", ""), "more than 4095 bytes in a path");
}

#[test]
fn files_replaced_without_end() {
    let world = World::new();
    let limits = Limits { replaced: 50, ..Limits::default() };
    let tar = (0..52).fold(Tar::default(), |tar, n| tar.file("same", &n.to_string()));
    let error = world.store.layers().unpack(&mut tar.end().as_slice(), None, &limits).unwrap_err();
    assert!(error.to_string().contains("more than 50 replaced files"), "{error}");
    world.assert_clean();
}

const MEMORY_ROOT: &str = "CORTEN_TEST_MEMORY_ROOT";

#[test]
fn memory_does_not_grow_with_the_archive() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().to_str().unwrap();
    let output = crate::testing::rerun("unpack::tests::hostile::in_little_memory", &[], (MEMORY_ROOT, root));
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("memory: done"), "{text}");
}

/// The child's side; nothing without its variable.
#[test]
fn in_little_memory() {
    let Ok(root) = std::env::var(MEMORY_ROOT) else { return };
    let store = crate::Store::open(&std::path::Path::new(&root).join("store"), false).unwrap();
    // Directories with names of 150 bytes, marks of aufs that make nothing, and a few megabytes of data, without the
    // archive itself in memory.
    let entries = (0..150_000u32).map(|n| match n {
        0..3_000 => Tar::default().pax(&[("path", format!("{n:0150}").as_bytes())]).dir("x").0,
        _ => Tar::default().file(&format!(".wh..wh.{n}"), "").0,
    });
    struct Stream<I>(I, Vec<u8>, usize);
    impl<I: Iterator<Item = Vec<u8>>> Read for Stream<I> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.2 == self.1.len() {
                (self.1, self.2) = (self.0.next().unwrap_or_default(), 0);
            }
            let count = buffer.len().min(self.1.len() - self.2);
            buffer[..count].copy_from_slice(&self.1[self.2..self.2 + count]);
            self.2 += count;
            Ok(count)
        }
    }
    let limits = Limits { entries: 1_000_000, ..Limits::default() };
    let mut stream = Stream(entries, Vec::new(), 0);
    let unpacked = store.layers().unpack(&mut stream, None, &limits).unwrap();
    let mut tar = store.layers().tar(&unpacked.chain_id).unwrap();
    assert_eq!(std::io::copy(&mut tar, &mut std::io::sink()).unwrap(), unpacked.tar_bytes);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim();
    let peak_kb: u64 = peak.strip_suffix(" kB").unwrap().parse().unwrap();
    assert!(peak_kb < 48 << 10, "{peak_kb} kB");
    println!("memory: done");
}
