//! Archives as real programs and attackers write them.

use sha2::Digest as _;

use super::*;
use crate::testing::{GNU, Head, Tar, block, seal};

type Seen = (String, EntryKind, u64, Option<Vec<(u64, u64)>>, Vec<u8>);

fn read_with(bytes: &[u8], limits: &Limits) -> Result<Vec<Seen>, TarError> {
    let mut reader = bytes;
    let (seen, hash) = overlapped(&mut reader, true, |feed| {
        let mut archive = Archive::new(Source::new(feed, limits.stream_bytes, None), limits.clone());
        let mut seen = Vec::new();
        while let Some(entry) = archive.next()? {
            let mut data = Vec::new();
            while archive.data_left() > 0 {
                data.extend_from_slice(archive.data(7)?);
            }
            let map = entry.sparse.map(|map| map.iter().map(|s| (s.offset, s.length)).collect());
            seen.push((String::from_utf8_lossy(&entry.path).into_owned(), entry.kind, entry.size, map, data));
        }
        archive.into_source().finish()?;
        Ok(seen)
    });
    assert_eq!(hash.expect("it was read to its end")[..], sha2::Sha256::digest(bytes)[..]);
    seen
}

fn read(bytes: &[u8]) -> Result<Vec<Seen>, TarError> {
    read_with(bytes, &Limits::default())
}

#[test]
fn names_of_every_length() {
    let long = "d/".repeat(90) + "file";
    let tar = Tar::default()
        .file("a", "xyz")
        .entry(&Head { magic: GNU, ..Head::new("././@LongLink", b'L') }, &[long.as_bytes(), b"\0"].concat())
        .entry(&Head { magic: GNU, ..Head::new("cut", b'0') }, b"1")
        .pax(&[("path", long.as_bytes())])
        .file("cut", "2");
    let seen = read(&tar.end()).unwrap();
    let names: Vec<_> = seen.iter().map(|s| (s.0.as_str(), s.4.as_slice())).collect();
    assert_eq!(names, [("a", &b"xyz"[..]), (&long, b"1"), (&long, b"2")]);
}

#[test]
fn a_prefix_and_an_old_directory() {
    let mut with_prefix = block(&Head::new("name", b'0'), 0);
    with_prefix[345..350].copy_from_slice(b"a/b/c");
    seal(&mut with_prefix);
    let old = block(&Head { magic: b"\0\0\0\0\0\0\0\0", ..Head::new("dir/", 0) }, 0);
    let seen = read(&Tar::default().raw(&with_prefix).raw(&old).end()).unwrap();
    assert_eq!((seen[0].0.as_str(), seen[0].1), ("a/b/c/name", EntryKind::File));
    assert_eq!((seen[1].0.as_str(), seen[1].1), ("dir/", EntryKind::Dir));
}

#[test]
fn sparse_files_of_every_version() {
    let expected = |seen: &Seen, name: &str| {
        assert_eq!(seen.0, name);
        assert_eq!(
            (seen.2, seen.3.as_deref(), seen.4.as_slice()),
            (1000, Some(&[(10, 2), (900, 3)][..]), &b"abcde"[..])
        );
    };
    // Old GNU.
    let mut old = block(&Head { magic: GNU, ..Head::new("old", b'S') }, 5);
    for (at, value) in [(386, 10), (398, 2), (410, 900), (422, 3), (483, 1000)] {
        old[at..at + 11].copy_from_slice(format!("{value:011o}").as_bytes());
    }
    seal(&mut old);
    let mut data = b"abcde".to_vec();
    data.resize(512, 0);
    expected(&read(&Tar::default().raw(&old).raw(&data).end()).unwrap()[0], "old");
    // PAX 0.0, 0.1, 1.0.
    let zero = Tar::default().pax(&[
        ("GNU.sparse.size", b"1000"),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.offset", b"10"),
        ("GNU.sparse.numbytes", b"2"),
        ("GNU.sparse.offset", b"900"),
        ("GNU.sparse.numbytes", b"3"),
    ]);
    expected(&read(&zero.file("p00", "abcde").end()).unwrap()[0], "p00");
    let one = Tar::default().pax(&[
        ("GNU.sparse.size", b"1000"),
        ("GNU.sparse.name", b"p01"),
        ("GNU.sparse.map", b"10,2,900,3"),
    ]);
    expected(&read(&one.file("GNUSparseFile.0/x", "abcde").end()).unwrap()[0], "p01");
    let mut body = b"2\n10\n2\n900\n3\n".to_vec();
    body.resize(512, 0);
    body.extend(b"abcde");
    let newest = Tar::default().pax(&[
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"p10"),
        ("GNU.sparse.realsize", b"1000"),
    ]);
    let tar = newest.entry(&Head::new("x", b'0'), &body).file("next", "n");
    let seen = read(&tar.end()).unwrap();
    let data = &seen[0];
    assert_eq!((data.2, data.3.as_deref()), (1000, Some(&[(10, 2), (900, 3)][..])));
    assert_eq!(data.4, b"abcde");
    assert_eq!(seen[1].0, "next");
}

#[test]
fn maps_that_lie_are_refused() {
    for map in
        ["10,2,900", "900,3,10,2", "10,2,999,3", "10,2,900,4", "18446744073709551615,2,1,3", "x,1", "-1,5"]
    {
        let tar = Tar::default().pax(&[("GNU.sparse.size", b"1000"), ("GNU.sparse.map", map.as_bytes())]);
        assert!(matches!(read(&tar.file("f", "abcde").end()), Err(TarError::Pax { .. })), "{map}");
    }
}

#[test]
fn what_is_no_archive_is_an_error() {
    assert!(matches!(read(b""), Err(TarError::Empty)));
    assert!(matches!(read(&[7; 511]), Err(TarError::Truncated { .. })));
    assert!(matches!(read(&[7; 512]), Err(TarError::Header { .. })));
    let whole = Tar::default().file("a", &"x".repeat(2000)).end();
    assert!(matches!(read(&whole[..1500]), Err(TarError::Truncated { at: 1500 })));
    let mut flipped = whole.clone();
    flipped[3] ^= 1;
    assert!(matches!(read(&flipped), Err(TarError::Header { why: "wrong checksum", .. })));
    let after = Tar::default().raw(&[0; 512]).file("a", "");
    assert!(matches!(read(&after.end()), Err(TarError::Header { .. })));
    let lonely = Tar::default().pax(&[("path", b"x")]);
    assert!(matches!(read(&lonely.end()), Err(TarError::Truncated { .. })));
    assert!(matches!(
        read(&Tar::default().entry(&Head::new("m", b'M'), b"").end()),
        Err(TarError::Type { kind: 'M', .. })
    ));
    let big_id = Tar::default().pax(&[("uid", b"4294967295")]).file("a", "");
    assert!(read(&big_id.end()).is_err());
    assert!(read(&Tar::default().pax(&[("path", b"a\0b")]).file("a", "").end()).is_err());
}

#[test]
fn ends_and_paddings_of_every_sort() {
    for tail in [0, 512, 1024, 10_240, 1_000_000] {
        let tar = Tar::default().file("a", "b").raw(&vec![0; tail]);
        assert_eq!(read(&tar.0).unwrap().len(), 1, "{tail}");
    }
    assert_eq!(read(&[0; 1024]).unwrap().len(), 0);
    // What stands behind the end is part of the stream, not of the archive.
    assert_eq!(read(&Tar::default().file("a", "b").raw(&[0; 1024]).raw(b"garbage").0).unwrap().len(), 1);
}

#[test]
fn limits_hold() {
    let limits =
        Limits { entries: 3, path_bytes: 200, pax_bytes: 600, xattr_bytes: 100, ..Limits::default() };
    let check = |tar: Tar, what: &str| match read_with(&tar.end(), &limits) {
        Err(TarError::Limit { what: got, .. }) => assert_eq!(got, what),
        other => panic!("{what}: {other:?}"),
    };
    check(Tar::default().file("a", "").file("b", "").file("c", "").file("d", ""), "entries");
    check(Tar::default().pax(&[("comment", &[b'x'; 700])]).file("a", ""), "bytes in a PAX header");
    check(Tar::default().pax(&[("path", &[b'x'; 300])]).file("a", ""), "bytes in a name");
    check(Tar::default().entry(&Head::new("l", b'L'), &[b'x'; 300]).file("a", ""), "bytes in a name");
    check(
        Tar::default().pax(&[("SCHILY.xattr.user.a", &[b'x'; 300])]).file("a", ""),
        "bytes in an extended attribute",
    );
    let global = (0..3).fold(Tar::default(), |tar, n| {
        let value = format!("{:05} k{n}={}\n", 30_000, "x".repeat(30_000 - 10));
        tar.entry(&Head::new("g", b'g'), value.as_bytes())
    });
    let error = read(&global.file("a", "").end()).unwrap_err();
    assert!(matches!(error, TarError::Limit { what: "bytes in global PAX headers", .. }), "{error:?}");
    // A header may claim any size: nothing is allocated for it.
    let huge = Tar::default().raw(&block(&Head::new("x", b'x'), (1 << 33) - 1));
    check(huge, "bytes in a PAX header");
    let huge = Tar::default().raw(&block(&Head::new("x", b'0'), (1 << 33) - 1));
    assert!(matches!(read(&huge.0), Err(TarError::Truncated { .. })));
    let small = Limits { stream_bytes: 4096, ..Limits::default() };
    let bomb = Tar::default().file("a", "b").raw(&[0; 8192]);
    assert!(matches!(read_with(&bomb.0, &small), Err(TarError::Limit { what: "bytes", .. })));
}
