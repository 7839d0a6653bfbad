//! Known attacks in archives: names, links and devices that lead out of the directory they are unpacked in.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs;

use corten_tests::tar::Tar;
use corten_tests::{Host, busybox_files};

/// Imports, and whatever came of it, the host's directory `target` is as it was.
fn check(name: &str, make: impl Fn(&str) -> Tar) {
    let host = Host::new();
    let target = host.directory("target");
    fs::write(format!("{target}/precious"), "as it was").unwrap();
    let imported = host.call(["import", "-", "evil"]).stdin(make(&target).bytes()).output();
    if imported.code == 0 {
        let _ = host.run(["run", "--rm", "evil", "true"]);
    } else {
        imported.refuses();
        host.is_clean();
    }
    let left: Vec<_> = fs::read_dir(&target).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["precious"], "{name}");
    assert_eq!(fs::read_to_string(format!("{target}/precious")).unwrap(), "as it was", "{name}");
}

#[test]
fn names_that_climb_or_begin_at_the_root() {
    check("climbing", |t| busybox_files().file(&format!("../../../../../../../..{t}/new"), 0o644, b"x"));
    check("absolute", |t| busybox_files().file(&format!("{t}/new"), 0o644, b"x"));
    check("through the middle", |t| {
        busybox_files().file(&format!("etc/../../../../../../..{t}/new"), 0o644, b"x")
    });
}

#[test]
fn files_through_links() {
    check("absolute link", |t| busybox_files().symlink("a", t).file("a/new", 0o644, b"x"));
    check("climbing link", |t| {
        busybox_files().symlink("a", &format!("../../../../../..{t}")).file("a/new", 0o644, b"x")
    });
    check("link to a link", |t| busybox_files().symlink("a", t).symlink("b", "a").file("b/new", 0o644, b"x"));
    check("a link to a file", |t| {
        busybox_files().symlink("a", &format!("{t}/precious")).file("a", 0o644, b"changed")
    });
    check("a directory over a link", |t| {
        busybox_files().symlink("a", t).directory("a", 0o777).file("a/new", 0o644, b"x")
    });
}

#[test]
fn hard_links_to_files_outside() {
    check("absolute", |t| {
        busybox_files().hard_link("a", &format!("{t}/precious")).file("a", 0o644, b"changed")
    });
    check("climbing", |t| {
        busybox_files()
            .hard_link("a", &format!("../../../../../../..{t}/precious"))
            .file("a", 0o644, b"changed")
    });
    check("through a link", |t| {
        busybox_files().symlink("l", t).hard_link("a", "l/precious").file("a", 0o644, b"changed")
    });
    let host = Host::new();
    let before = fs::metadata("/etc/shadow").map(|m| std::os::unix::fs::MetadataExt::nlink(&m)).unwrap();
    let _ =
        host.call(["import", "-", "x"]).stdin(busybox_files().hard_link("a", "/etc/shadow").bytes()).output();
    assert_eq!(
        fs::metadata("/etc/shadow").map(|m| std::os::unix::fs::MetadataExt::nlink(&m)).unwrap(),
        before
    );
}

#[test]
fn whiteouts_remove_nothing_outside() {
    check("of a file through a link", |t| busybox_files().symlink("a", t).file("a/.wh.precious", 0o644, b""));
    check("of a directory's content through a link", |t| {
        busybox_files().symlink("a", t).file("a/.wh..wh..opq", 0o644, b"")
    });
    check("that climbs", |t| busybox_files().file(&format!("../../../../../..{t}/.wh.precious"), 0o644, b""));
    check("of the parent", |_| busybox_files().file(".wh...", 0o644, b""));
    check("of the directory itself", |_| busybox_files().file(".wh..", 0o644, b""));
    check("of nothing", |_| busybox_files().file(".wh.", 0o644, b""));
}

#[test]
fn a_device_in_an_archive_opens_nothing() {
    let host = Host::new();
    let tar = busybox_files().character_device("mem", 1, 1).character_device("kmsg", 1, 11);
    let imported = host.call(["import", "-", "odd"]).stdin(tar.bytes()).output();
    if imported.code != 0 {
        imported.refuses();
        return;
    }
    for flags in [&[][..], &["--userns", "host"]] {
        let words = ["run", "--rm"].iter().chain(flags).chain(&[
            "odd",
            "sh",
            "-c",
            "head -c 1 /mem || head -c 1 /kmsg",
        ]);
        host.run(words).unsuccessful();
    }
}

#[test]
fn a_bomb_of_entries_in_depth_is_survived() {
    let host = Host::new();
    let mut tar = Tar::new();
    let mut path = String::new();
    while path.len() < 90 {
        path.push_str("d/");
        tar = tar.directory(&path, 0o755);
    }
    for n in 0..20_000 {
        tar = tar.file(&format!("f{n}"), 0o644, b"");
    }
    host.call(["import", "-", "many"]).stdin(tar.bytes()).output().success();
}
