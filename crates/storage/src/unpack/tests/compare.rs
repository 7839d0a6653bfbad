//! What GNU tar makes of an archive is what Corten makes of it, in each format that GNU tar writes.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::Limits;
use crate::testing::World;

fn run(words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// One line for everything below `root`, sorted: kind and mode, owners, size, time, target or content, attributes.
fn listing(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(path) = todo.pop() {
        let meta = path.symlink_metadata().unwrap();
        let detail = if meta.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            String::new()
        } else if meta.is_symlink() {
            fs::read_link(&path).unwrap().display().to_string()
        } else if meta.is_file() {
            let hash = Sha256::digest(fs::read(&path).unwrap());
            format!("{} bytes {hash:x?} {} links", meta.len(), meta.nlink())
        } else {
            format!("device {:x}", meta.rdev())
        };
        let mut value = [0; 256];
        let note =
            rustix::fs::lgetxattr(&path, "user.note", &mut value[..]).ok().map(|n| value[..n].to_vec());
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let ids = (meta.uid(), meta.gid());
        let time = (meta.mtime(), meta.mtime_nsec());
        lines.push(format!("{name} {:o} {ids:?} {time:?} {detail} {note:?}", meta.mode()));
    }
    lines.sort();
    lines
}

/// A tree with everything in it that a format of 1979 can say, and more.
fn make_tree(root: &Path, format: &str) {
    let modern = !matches!(format, "v7" | "ustar");
    let at = |name: &str| root.join(name);
    fs::create_dir_all(at("d/e")).unwrap();
    fs::write(at("d/file"), "x".repeat(70_000)).unwrap();
    fs::write(at("d/empty"), "").unwrap();
    fs::write(at("d/e/suid"), "s").unwrap();
    fs::hard_link(at("d/file"), at("d/e/hard")).unwrap();
    std::os::unix::fs::symlink("../d/file", at("d/link")).unwrap();
    if format != "v7" {
        run(&["mkfifo", at("d/fifo").to_str().unwrap()]);
    }
    std::os::unix::fs::chown(at("d/e/suid"), Some(1234), Some(4321)).unwrap();
    if modern {
        run(&["mknod", at("d/null").to_str().unwrap(), "c", "1", "3"]);
        run(&["mknod", at("d/block").to_str().unwrap(), "b", "7", "300"]);
        fs::write(at(&"long-name-".repeat(20)), "long").unwrap();
        let deep = at(&format!("{}deep", "a-directory-of-some-length/".repeat(9)));
        fs::create_dir_all(&deep).unwrap();
        std::os::unix::fs::symlink("t".repeat(180), deep.join("far")).unwrap();
        std::os::unix::fs::chown(at("d/empty"), Some(100_000), Some(3_000_000)).unwrap();
        let mut sparse = File::create(at("sparse")).unwrap();
        for n in 0..30u64 {
            sparse.seek(SeekFrom::Start(n * 1_000_000)).unwrap();
            sparse.write_all(&[n as u8 + 1; 4096]).unwrap();
        }
        sparse.set_len(40_000_000).unwrap();
    }
    fs::set_permissions(at("d/e/suid"), fs::Permissions::from_mode(0o6755)).unwrap();
    fs::set_permissions(at("d/e"), fs::Permissions::from_mode(0o1775)).unwrap();
    let (note, flags) = (b"a\0b", rustix::fs::XattrFlags::empty());
    rustix::fs::lsetxattr(at("d/file"), "user.note", note, flags).unwrap();
    run(&["touch", "-h", "-d", "2001-02-03 04:05:06.789012345", at("d/link").to_str().unwrap()]);
    run(&["touch", "-d", "1960-01-01 00:00:00", at("d/empty").to_str().unwrap()]);
    run(&["touch", "-d", "2020-02-02 02:02:02.5", at("d/e").to_str().unwrap()]);
}

#[test]
fn the_same_as_gnu_tar_in_every_format() {
    let formats: [(&str, &[&str]); 7] = [
        ("v7", &["--format=v7"]),
        ("ustar", &["--format=ustar"]),
        ("oldgnu", &["--format=oldgnu", "--sparse"]),
        ("gnu", &["--format=gnu", "--sparse"]),
        ("pax 0.0", &["--format=posix", "--sparse", "--sparse-version=0.0", "--xattrs"]),
        ("pax 0.1", &["--format=posix", "--sparse", "--sparse-version=0.1", "--xattrs"]),
        ("pax 1.0", &["--format=posix", "--sparse", "--sparse-version=1.0", "--xattrs"]),
    ];
    let world = World::new();
    let temp = tempfile::tempdir().unwrap();
    for (name, words) in formats {
        let modern = !matches!(name, "v7" | "ustar");
        let (from, to) = (temp.path().join(format!("{name} in")), temp.path().join(format!("{name} out")));
        fs::create_dir(&to).unwrap();
        make_tree(&from, name);
        if !modern {
            // What these formats can't say: times before 1970.
            run(&["touch", "-d", "@5", from.join("d/empty").to_str().unwrap()]);
        }
        let tar = temp.path().join("archive.tar");
        let tar_path = tar.to_str().unwrap();
        let create = ["tar", "-cf", tar_path, "-C", from.to_str().unwrap()];
        run(&[&create[..], words, &["."]].concat());
        run(&["tar", "-xpf", tar_path, "--xattrs", "--xattrs-include=*", "-C", to.to_str().unwrap()]);
        let unpacked =
            world.store.layers().unpack(&mut File::open(&tar).unwrap(), None, &Limits::default()).unwrap();
        let ours = listing(&world.store.layers().dir(&unpacked.chain_id));
        assert_eq!(ours, listing(&to), "{name}");
        if name.starts_with("pax") {
            assert_eq!(ours, listing(&from), "{name}");
        }
        let sparse = world.store.layers().dir(&unpacked.chain_id).join("sparse");
        assert!(!modern || sparse.metadata().unwrap().blocks() < 2000, "{name}");
        let mut again = Vec::new();
        world.store.layers().tar(&unpacked.chain_id).unwrap().read_to_end(&mut again).unwrap();
        assert!(again == fs::read(&tar).unwrap(), "{name}");
    }
    world.assert_clean();
}
