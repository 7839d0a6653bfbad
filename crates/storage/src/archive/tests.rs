//! Archives written here, read by ourselves and by tar.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::process::{Command, Stdio};

use super::*;
use crate::tar::{Archive, Feed, Source};
use crate::{Error, Limits};

#[test]
fn records_count_themselves() {
    let mut out = Vec::new();
    record(&mut out, b"path", b"x");
    record(&mut out, b"k", &[b'v'; 92]);
    assert_eq!(&out[..9], b"9 path=x\n");
    assert_eq!(&out[9..13], b"98 k");
    let mut out = Vec::new();
    record(&mut out, b"k", &[b'v'; 94]);
    assert_eq!(&out[..5], b"101 k");
    assert_eq!(out.len(), 101);
}

#[test]
fn times_before_1970() {
    assert_eq!(time(1, 5), "1.000000005");
    assert_eq!(time(-2, 750_000_000), "-1.250000000");
    assert_eq!(time(-1, 750_000_000), "-0.250000000");
    assert_eq!(time(-3, 0), "-3");
}

/// Every kind of entry, with what needs PAX records.
fn archive() -> Vec<u8> {
    let long = "long/".repeat(40) + "näme";
    let mut writer = Writer::new(Vec::new());
    writer.append(&Entry { mtime_s: 7, ..Entry::new(b"dir", Kind::Dir, 0o1777) }).unwrap();
    let xattrs: &[(&[u8], &[u8])] = &[(b"user.a", b"1\n2\0")];
    let file = Entry::new(long.as_bytes(), Kind::File, 0o4755);
    let (uid, gid) = (3_000_000_000, 1 << 21);
    let file = Entry { uid, gid, mtime_s: -2, mtime_ns: 5, size: 600, xattrs, ..file };
    writer.append(&file).unwrap();
    writer.copy(&mut [b'x'; 700].as_slice()).unwrap();
    writer.append(&Entry { link: long.as_bytes(), ..Entry::new(b"hard", Kind::Hardlink, 0o644) }).unwrap();
    writer.append(&Entry { link: "ü".as_bytes(), ..Entry::new(b"soft", Kind::Symlink, 0o777) }).unwrap();
    writer.append(&Entry { device: (259, 1 << 19), ..Entry::new(b"dev", Kind::Block, 0o600) }).unwrap();
    writer.append(&Entry { device: (5, 6), ..Entry::new(b"char", Kind::Char, 0o600) }).unwrap();
    writer.append(&Entry::new(b"fifo", Kind::Fifo, 0o600)).unwrap();
    writer.finish().unwrap()
}

#[test]
fn what_is_written_is_read_back() {
    let bytes = archive();
    assert_eq!(bytes, archive());
    let mut reader = bytes.as_slice();
    let mut archive = Archive::new(Source::new(Feed::Reader(&mut reader), 1 << 20, None), Limits::default());
    let mut seen = Vec::new();
    while let Some(entry) = archive.next().unwrap() {
        seen.push((String::from_utf8(entry.path.clone()).unwrap(), entry.kind));
        match entry.kind {
            Kind::Dir => assert_eq!((entry.mode, entry.mtime_s, entry.mtime_ns), (0o1777, 7, 0)),
            Kind::File => {
                assert_eq!((entry.mode, entry.uid, entry.gid), (0o4755, 3_000_000_000, 1 << 21));
                assert_eq!((entry.mtime_s, entry.mtime_ns, entry.size), (-2, 5, 600));
                assert_eq!(entry.xattrs, [(b"user.a".to_vec(), b"1\n2\0".to_vec())]);
                assert_eq!(archive.data(u64::MAX).unwrap()[0], b'x');
            }
            Kind::Hardlink => assert_eq!(entry.link, ("long/".repeat(40) + "näme").as_bytes()),
            Kind::Symlink => assert_eq!(entry.link, "ü".as_bytes()),
            Kind::Block => assert_eq!(entry.device, (259, 1 << 19)),
            Kind::Char => assert_eq!(entry.device, (5, 6)),
            Kind::Fifo => assert_eq!(entry.mode, 0o600),
        }
    }
    let kinds: Vec<_> = seen.iter().map(|(_, kind)| *kind).collect();
    let all = [Kind::Dir, Kind::File, Kind::Hardlink, Kind::Symlink, Kind::Block, Kind::Char, Kind::Fifo];
    assert_eq!(kinds, all);
    assert_eq!(seen[0].0, "dir/");
}

#[test]
fn tar_understands_it() {
    let temp = tempfile::tempdir().unwrap();
    let mut tar = Command::new("tar")
        .args(["--numeric-owner", "--xattrs", "-xpf", "-", "-C"])
        .arg(temp.path())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    tar.stdin.take().unwrap().write_all(&archive()).unwrap();
    assert!(tar.wait().unwrap().success());
    let file = temp.path().join("long/".repeat(40) + "näme").symlink_metadata().unwrap();
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o7777), (3_000_000_000, 1 << 21, 0o4755));
    assert_eq!((file.mtime(), file.mtime_nsec(), file.len(), file.nlink()), (-2, 5, 600, 2));
    let device = temp.path().join("dev").symlink_metadata().unwrap();
    assert!(device.file_type().is_block_device());
    assert_eq!(device.rdev(), rustix::fs::makedev(259, 1 << 19));
}

#[test]
fn an_entry_gets_what_it_announced() {
    let file = |size| Entry { size, ..Entry::new(b"f", Kind::File, 0o644) };
    let mut writer = Writer::new(Vec::new());
    writer.append(&file(3)).unwrap();
    assert!(writer.append(&file(0)).is_err(), "the first one isn't complete");
    assert!(writer.data(b"1234").is_err());
    let mut writer = Writer::new(Vec::new());
    writer.append(&file(3)).unwrap();
    let short = writer.copy(&mut b"12".as_slice()).unwrap_err();
    assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
    assert!(writer.finish().is_err());
    let full = Error::WriteArchive(io::ErrorKind::StorageFull.into());
    assert_eq!(full.kind(), corten_model::Kind::Unavailable);
}
