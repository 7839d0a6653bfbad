//! Trees that containers leave behind.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, XattrFlags};

use super::{Hands, copy, remove, usage};
use crate::error::Error;

fn open(path: &Path) -> std::os::fd::OwnedFd {
    rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap()
}

/// `depth` directories, one in the other: far more than a path can name.
fn deep(top: &Path, depth: usize) {
    let mut at = open(top);
    for _ in 0..depth {
        rustix::fs::mkdirat(&at, "deeper", Mode::RWXU).unwrap();
        at = rustix::fs::openat(&at, "deeper", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
}

#[test]
fn deep_and_closed_trees_are_measured_and_removed() {
    let temp = tempfile::tempdir().unwrap();
    let top = temp.path().join("top");
    fs::create_dir(&top).unwrap();
    let flat = usage(&top).unwrap();
    deep(&top, 10_000);
    fs::create_dir(top.join("closed")).unwrap();
    fs::write(top.join("closed/f"), "x").unwrap();
    fs::set_permissions(top.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    assert!(usage(&top).unwrap() >= flat * 10_000);
    remove(&top, Hands::Many).unwrap();
    assert!(!top.exists());
    remove(&top, Hands::Many).unwrap();
    remove(&temp.path().join("a/b"), Hands::One).unwrap();
}

#[test]
fn large_trees_are_removed_by_many_hands() {
    let temp = tempfile::tempdir().unwrap();
    let top = temp.path().join("top");
    let fill = || {
        for number in 0..3000 {
            let dir = top.join(format!("d{}/x", number / 100));
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join(format!("f{number}")), "x").unwrap();
            fs::write(top.join(format!("f{number}")), "x").unwrap();
        }
        deep(&top.join("d7"), 200);
    };
    for hands in [Hands::One, Hands::Many] {
        fill();
        remove(&top, hands).unwrap();
        assert!(!top.exists(), "{hands:?}");
    }
    // What a helper can't remove is told.
    fill();
    let (mounted, file) = (top.join("d29/x/f2999"), temp.path().join("file"));
    fs::write(&file, "kept").unwrap();
    rustix::mount::mount_bind(&file, &mounted).unwrap();
    let result = remove(&top, Hands::Many);
    rustix::mount::unmount(&mounted, rustix::mount::UnmountFlags::DETACH).unwrap();
    assert!(matches!(result, Err(Error::Mounted { .. })), "{result:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    remove(&top, Hands::Many).unwrap();
}

#[test]
fn symlinks_and_mounts_are_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    let (top, outside) = (temp.path().join("top"), temp.path().join("outside"));
    for dir in [&top, &outside, &top.join("mount")] {
        fs::create_dir(dir).unwrap();
    }
    fs::write(outside.join("kept"), "x").unwrap();
    symlink(&outside, top.join("link")).unwrap();
    rustix::mount::mount_bind(&outside, top.join("mount")).unwrap();
    let result = remove(&top, Hands::Many);
    rustix::mount::unmount(top.join("mount"), rustix::mount::UnmountFlags::DETACH).unwrap();
    assert!(matches!(result, Err(Error::Mounted { .. })), "{result:?}");
    remove(&top, Hands::Many).unwrap();
    assert!(outside.join("kept").exists());
    symlink(&outside, &top).unwrap();
    remove(&top, Hands::Many).unwrap();
    assert!(outside.join("kept").exists() && !top.is_symlink());
}

#[test]
fn hard_links_count_once() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("a"), vec![1; 1 << 20]).unwrap();
    let one = usage(temp.path()).unwrap();
    fs::hard_link(temp.path().join("a"), temp.path().join("b")).unwrap();
    assert_eq!(usage(temp.path()).unwrap(), one);
    assert_eq!(usage(&temp.path().join("none")).unwrap(), 0);
}

#[test]
fn a_copy_has_everything() {
    let temp = tempfile::tempdir().unwrap();
    let (image, volume) = (temp.path().join("image"), temp.path().join("volume"));
    fs::create_dir_all(image.join("data/sub")).unwrap();
    fs::create_dir(&volume).unwrap();
    let data = image.join("data");
    fs::write(data.join("f"), "text").unwrap();
    rustix::fs::chownat(
        CWD,
        data.join("f"),
        Some(Uid::from_raw(7)),
        Some(Gid::from_raw(8)),
        AtFlags::empty(),
    )
    .unwrap();
    fs::set_permissions(data.join("f"), fs::Permissions::from_mode(0o4711)).unwrap();
    rustix::fs::setxattr(data.join("f"), "user.note", b"n", XattrFlags::empty()).unwrap();
    fs::hard_link(data.join("f"), data.join("sub/hard")).unwrap();
    symlink("/etc/shadow", data.join("link")).unwrap();
    let big = fs::File::create(data.join("holes")).unwrap();
    big.set_len(1 << 40).unwrap();
    std::os::unix::fs::FileExt::write_at(&big, b"end", (1 << 40) - 3).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o1777)).unwrap();
    let past = rustix::fs::Timespec { tv_sec: 5, tv_nsec: 6 };
    let times = rustix::fs::Timestamps { last_access: past, last_modification: past };
    rustix::fs::utimensat(CWD, &data, &times, AtFlags::empty()).unwrap();
    symlink("/data", image.join("alias")).unwrap();
    assert!(copy(open(&image).as_fd(), Path::new("/alias"), open(&volume).as_fd()).unwrap());
    let file = volume.join("f").metadata().unwrap();
    assert_eq!((file.mode() & 0o7777, file.uid(), file.gid()), (0o4711, 7, 8));
    assert_eq!(file.ino(), volume.join("sub/hard").metadata().unwrap().ino());
    let mut note = [0; 8];
    assert_eq!(rustix::fs::getxattr(volume.join("f"), "user.note", &mut note).unwrap(), 1);
    assert_eq!(fs::read_link(volume.join("link")).unwrap(), Path::new("/etc/shadow"));
    let holes = volume.join("holes").metadata().unwrap();
    assert!(holes.len() == 1 << 40 && holes.blocks() < 100);
    let top = volume.metadata().unwrap();
    assert_eq!((top.mode() & 0o7777, top.mtime(), top.mtime_nsec()), (0o1777, 5, 6));
}

#[test]
fn a_copy_cannot_leave_its_root() {
    let temp = tempfile::tempdir().unwrap();
    let (image, volume) = (temp.path().join("image"), temp.path().join("volume"));
    for dir in [&image, &volume, &temp.path().join("etc")] {
        fs::create_dir(dir).unwrap();
    }
    fs::write(temp.path().join("etc/secret"), "x").unwrap();
    symlink("../etc", image.join("up")).unwrap();
    let (from, to) = (open(&image), open(&volume));
    for sub in ["/../../../etc", "../etc", "up", "none", "/up/../../etc"] {
        assert!(!copy(from.as_fd(), Path::new(sub), to.as_fd()).unwrap(), "{sub}");
    }
    fs::write(image.join("file"), "").unwrap();
    assert!(!copy(from.as_fd(), Path::new("file"), to.as_fd()).unwrap());
    deep(&image, 300);
    assert!(matches!(copy(from.as_fd(), Path::new("/"), to.as_fd()), Err(Error::TooDeep { .. })));
    assert_eq!(fs::read_dir(temp.path().join("etc")).unwrap().count(), 1);
}
