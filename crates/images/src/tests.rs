//! Images made from archives, read back from a real store.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::process::{Command, Stdio};

use corten_model::Kind;
use corten_storage::{Store, check};

use crate::*;
use corten_storage::archive::{END, Entry, Kind as EntryKind, header, padding};

fn store() -> (tempfile::TempDir, Store) {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(&temp.path().join("store"), false).unwrap();
    (temp, store)
}

fn archive() -> Vec<u8> {
    let long = "long/".repeat(40) + "näme";
    let mut tar = Vec::new();
    let mut add = |entry: Entry<'_>, data: &[u8]| {
        tar.extend(header(&Entry { size: data.len() as u64, ..entry }));
        tar.extend(data);
        tar.extend(padding(data.len() as u64));
    };
    add(Entry { mode: 0o711, ..Entry::new(b".", EntryKind::Dir, 0) }, b"");
    add(Entry { mtime_s: -2, mtime_ns: 5, ..Entry::new(b"past", EntryKind::File, 0o600) }, b"data");
    add(
        Entry {
            uid: 3_000_000,
            gid: 4,
            xattrs: &[(b"user.a", b"1\n2")],
            ..Entry::new(long.as_bytes(), EntryKind::File, 0o4755)
        },
        b"x",
    );
    add(Entry { link: b"past", ..Entry::new(b"hard", EntryKind::Hardlink, 0) }, b"");
    add(Entry { link: long.as_bytes(), ..Entry::new(b"soft", EntryKind::Symlink, 0o777) }, b"");
    add(Entry { device: (5, 6), ..Entry::new(b"char", EntryKind::Char, 0o600) }, b"");
    add(Entry::new(b"fifo", EntryKind::Fifo, 0o600), b"");
    tar.extend(END);
    tar
}

fn options(changes: &[&str]) -> ImportOptions {
    let changes = changes.iter().map(|c| (*c).to_owned()).collect();
    ImportOptions { changes, message: None, created: "2026-01-02T03:04:05Z".to_owned(), platform: None }
}

#[test]
fn an_import_is_exact_and_always_the_same() {
    let (_temp, store) = store();
    let bytes = archive();
    let options = options(&["CMD [\"/x\"]", "ENV A=b"]);
    let image = import(&store, &store.layers(), &mut bytes.as_slice(), &options).unwrap();
    let config = store.blobs().get(&image.id).unwrap();
    assert_eq!(serde_json::from_slice::<ImageConfig>(&config).unwrap(), image.config);
    assert_eq!(image.config.config.cmd.as_deref(), Some(&["/x".to_owned()][..]));
    assert_eq!(image.config.rootfs.diff_ids, [image.layers[0].diff_id.clone()]);
    assert_eq!(image.config.history[0].comment.as_deref(), Some("Imported from -"));
    let manifest: Manifest = serde_json::from_slice(&store.blobs().get(&image.manifest).unwrap()).unwrap();
    assert_eq!((&manifest.config.digest, manifest.config.size), (&image.id, config.len() as u64));
    assert_eq!(
        (&manifest.layers[0].digest, manifest.layers[0].size),
        (&image.layers[0].diff_id, bytes.len() as u64)
    );
    assert_eq!((image.size_bytes, image.high_ids.as_slice()), (5, &[3_000_000][..]));
    assert_eq!(import(&store, &store.layers(), &mut bytes.as_slice(), &options).unwrap(), image);
    let dir = store.layers().dir(&image.layers[0].chain_id);
    let long = dir.join("long/".repeat(40) + "näme").metadata().unwrap();
    assert_eq!((long.uid(), long.gid(), long.mode() & 0o7777), (3_000_000, 4, 0o4755));
    let past = dir.join("past").metadata().unwrap();
    assert_eq!((past.mtime(), past.mtime_nsec(), past.nlink()), (-2, 5, 2));
    assert!(dir.join("fifo").metadata().unwrap().file_type().is_fifo());
    let live = check::Live {
        layers: [image.layers[0].chain_id.clone()].into(),
        blobs: [image.id.clone(), image.manifest.clone()].into(),
        ..check::Live::default()
    };
    assert_eq!(check(&store, &live, false).unwrap(), []);
}

#[test]
fn tar_agrees_with_what_is_written() {
    let mut tar =
        Command::new("tar").args(["-tvf", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    tar.stdin.take().unwrap().write_all(&archive()).unwrap();
    let output = tar.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    for part in ["-rwsr-xr-x 3000000/4", "hard link to past", "soft -> long/long", "5,6 ", "prw------- 0/0"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_compressed_archive_has_the_same_id() {
    let (temp, store) = store();
    let plain = temp.path().join("a.tar");
    fs::write(&plain, archive()).unwrap();
    let one = import(&store, &store.layers(), &mut File::open(&plain).unwrap(), &options(&[])).unwrap();
    assert!(Command::new("gzip").arg(&plain).status().unwrap().success());
    let packed = plain.with_extension("tar.gz");
    let two = import(&store, &store.layers(), &mut File::open(&packed).unwrap(), &options(&[])).unwrap();
    assert_eq!(one, two);
    let bytes = fs::read(&packed).unwrap();
    let error = import(&store, &store.layers(), &mut &bytes[..bytes.len() - 20], &options(&[])).unwrap_err();
    assert!(matches!(error, Error::Unpack(_)));
    let error =
        import(&store, &store.layers(), &mut &b"\x04\x22\x4d\x18xxxx"[..], &options(&[])).unwrap_err();
    assert_eq!((error.kind(), error.hint().is_some()), (Kind::Unsupported, true));
    assert_eq!(store.layers().list().unwrap().len(), 1);
}

#[test]
fn a_typing_error_costs_no_unpacking() {
    struct Never;
    impl Unpack for Never {
        fn unpack(
            &self,
            _: &mut dyn Read,
            _: Option<&Digest>,
            _: Option<&Digest>,
        ) -> Result<Unpacked, UnpackError> {
            panic!("unpacked");
        }
    }
    let (_temp, store) = store();
    let error = import(&store, &Never, &mut &b""[..], &options(&["CDM x"])).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("CDM x"));
    assert_eq!(
        import(&store, &store.layers(), &mut &b""[..], &options(&[])).unwrap_err().kind(),
        Kind::Invalid
    );
}

#[test]
fn the_hello_image_depends_on_the_binary_alone() {
    let (temp, one) = store();
    let (_temp, two) = self::store();
    let program = temp.path().join("program");
    fs::write(&program, vec![7; 12_345]).unwrap();
    let mut file = File::open(&program).unwrap();
    let image = hello(&one, &one.layers(), &mut file).unwrap();
    assert_eq!(hello(&two, &two.layers(), &mut file).unwrap(), image);
    let dir = one.layers().dir(&image.layers[0].chain_id);
    let hello = dir.join("corten-hello").metadata().unwrap();
    assert_eq!((hello.len(), hello.mode() & 0o7777, hello.mtime()), (12_345, 0o755, 0));
    assert_eq!(dir.join("tmp").metadata().unwrap().mode() & 0o7777, 0o1777);
    assert_eq!(image.config.config.entrypoint.as_deref(), Some(&["/corten-hello".to_owned()][..]));
    for dir_name in ["dev", "proc", "sys", "etc"] {
        assert!(dir.join(dir_name).is_dir());
    }
    assert!(fs::read_to_string(dir.join("etc/passwd")).unwrap().starts_with("root:x:0:0:"));
}
