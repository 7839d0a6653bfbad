//! What was unpacked comes back bit for bit, or not at all.

use std::fs;
use std::io::Read;

use corten_model::{Digest, Kind};
use proptest::prelude::*;

use super::*;
use crate::blobs::sha256;
use crate::testing::{GNU, Head, Tar, USTAR, World, block, names, seal};
use crate::{Error, Limits};

const V7: &[u8; 8] = &[0; 8];
const NAMES: [&str; 9] = ["a", "b", "c", "d/", "d/a", "./d/e/a", "d/e/b", "/usr/x", "n.n"];

fn rebuilt(world: &World, chain: &Digest) -> std::io::Result<Vec<u8>> {
    let mut tar = world.store.layers().tar(chain).unwrap();
    let mut bytes = Vec::new();
    tar.read_to_end(&mut bytes)?;
    assert_eq!(bytes.len() as u64, tar.len());
    Ok(bytes)
}

/// Unpacks `bytes` as they are and compares what the recipe makes of it.
fn same(world: &World, bytes: &[u8], parent: Option<&Digest>) -> Digest {
    let unpacked = world.store.layers().unpack(&mut &bytes[..], parent, &Limits::default()).unwrap();
    let again = rebuilt(world, &unpacked.chain_id).unwrap();
    assert!(again == bytes, "{} bytes in, {} out", bytes.len(), again.len());
    unpacked.chain_id
}

/// One step in making an archive.
#[derive(Debug, Clone)]
enum Step {
    File { name: usize, magic: usize, length: usize, padding: u8 },
    Dir(usize),
    Symlink(usize, usize),
    Hardlink(usize, usize),
    Node(usize, u8),
    LongGnu(usize, usize),
    Pax { name: usize, length: usize, long: usize },
    Global,
    Label,
    Whiteout(usize, usize),
    Opaque,
    OldSparse(usize, bool),
    PaxSparse(usize, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..NAMES.len();
    prop_oneof![
        4 => (name.clone(), 0..3usize, 0..3000usize, any::<u8>())
            .prop_map(|(name, magic, length, padding)| Step::File { name, magic, length, padding }),
        2 => name.clone().prop_map(Step::Dir),
        1 => (name.clone(), name.clone()).prop_map(|(a, b)| Step::Symlink(a, b)),
        2 => (name.clone(), name.clone()).prop_map(|(a, b)| Step::Hardlink(a, b)),
        1 => (name.clone(), prop_oneof![Just(b'3'), Just(b'4'), Just(b'6')]).prop_map(|(n, k)| Step::Node(n, k)),
        1 => (name.clone(), 0..400usize).prop_map(|(n, l)| Step::LongGnu(n, l)),
        1 => (name.clone(), 0..700usize, 0..200usize)
            .prop_map(|(name, length, long)| Step::Pax { name, length, long }),
        1 => Just(Step::Global),
        1 => Just(Step::Label),
        1 => (name.clone(), 0..1500usize).prop_map(|(n, l)| Step::Whiteout(n, l)),
        1 => Just(Step::Opaque),
        1 => (name.clone(), any::<bool>()).prop_map(|(n, e)| Step::OldSparse(n, e)),
        1 => (name, 0..3u8).prop_map(|(n, v)| Step::PaxSparse(n, v)),
    ]
}

fn octal(block: &mut [u8; 512], at: usize, value: u64) {
    block[at..at + 11].copy_from_slice(format!("{value:011o}").as_bytes());
}

fn file(name: &usize) -> &'static str {
    NAMES[*name].trim_end_matches('/')
}

/// The directories of a name, so that nothing else is in their place when it comes.
fn with_parents(mut tar: Tar, name: &str) -> Tar {
    for dir in ["d/", "d/e/", "usr/"] {
        let plain = name.trim_start_matches("./").trim_start_matches('/');
        if plain.starts_with(dir) && plain.len() > dir.len() {
            tar = tar.dir(dir);
        }
    }
    tar
}

fn data(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

fn add(tar: Tar, step: &Step) -> Tar {
    match step {
        Step::File { name, magic, length, padding } => {
            let head = Head { magic: [V7, USTAR, GNU][*magic], ..Head::new(file(name), b'0') };
            let mut tar =
                with_parents(tar, file(name)).raw(&block(&head, *length as u64)).raw(&data(*length));
            tar.0.resize(tar.0.len().next_multiple_of(512), *padding);
            tar
        }
        Step::Dir(name) => with_parents(tar, NAMES[*name]).dir(NAMES[*name]),
        Step::Symlink(name, target) => with_parents(tar, file(name)).symlink(file(name), NAMES[*target]),
        Step::Hardlink(name, target) => {
            let (name, target) = (file(name), file(target));
            if target.contains(&format!("{name}/")) || name.contains(&format!("{target}/")) {
                return tar;
            }
            let tar = with_parents(with_parents(tar, name), target).file(target, "linked");
            tar.hardlink(name, target)
        }
        Step::Node(name, kind) => {
            with_parents(tar, file(name)).entry(&Head { device: (1, 3), ..Head::new(file(name), *kind) }, b"")
        }
        Step::LongGnu(..) | Step::Pax { .. } => add_long(tar, step),
        Step::OldSparse(..) | Step::PaxSparse(..) => add_sparse(tar, step),
        Step::Global => tar.entry(&Head::new("g", b'g'), b"17 comment=12345\n"),
        Step::Label => tar.entry(&Head { magic: GNU, ..Head::new("volume", b'V') }, b""),
        Step::Whiteout(name, length) => {
            let name = file(name);
            let (parent, last) = name.rsplit_once('/').unwrap_or(("", name));
            with_parents(tar, name).entry(&Head::new(&format!("{parent}/.wh.{last}"), b'0'), &data(*length))
        }
        Step::Opaque => tar.dir("d").file("d/.wh..wh..opq", "why not").file("d/.wh..wh.plnk", "aufs"),
    }
}

fn add_long(tar: Tar, step: &Step) -> Tar {
    match step {
        Step::LongGnu(name, length) => {
            let long = format!("{}{}", file(name), "x".repeat(*length % 200));
            with_parents(tar, file(name))
                .entry(
                    &Head { magic: GNU, ..Head::new("././@LongLink", b'L') },
                    &[long.as_bytes(), b"\0"].concat(),
                )
                .entry(&Head { magic: GNU, ..Head::new("cut", b'0') }, &data(*length))
        }
        Step::Pax { name, length, long } => {
            let path = format!("{}{}", file(name), "y".repeat(*long));
            let records: [(&str, &[u8]); 4] = [
                ("mtime", b"12345.678900001"),
                ("SCHILY.xattr.user.a", b"1\n2"),
                ("comment", b"\xff\0"),
                ("path", path.as_bytes()),
            ];
            with_parents(tar, file(name)).pax(&records).file("cut", &"z".repeat(*length))
        }
        _ => unreachable!("the caller's choice"),
    }
}

fn add_sparse(tar: Tar, step: &Step) -> Tar {
    match step {
        Step::OldSparse(name, extended) => {
            let mut head = block(&Head { magic: GNU, ..Head::new(file(name), b'S') }, 5);
            octal(&mut head, 386, 10);
            octal(&mut head, 398, 2);
            octal(&mut head, 483, 2_000_000);
            let mut more = [0; 512];
            let third: &mut [u8; 512] = if *extended { &mut more } else { &mut head };
            let at = if *extended { 0 } else { 410 };
            octal(third, at, 900_000);
            octal(third, at + 12, 3);
            head[482] = u8::from(*extended);
            seal(&mut head);
            let tar = with_parents(tar, file(name)).raw(&head);
            let mut tar = if *extended { tar.raw(&more) } else { tar }.raw(b"abcde");
            tar.0.resize(tar.0.len().next_multiple_of(512), 0);
            tar
        }
        Step::PaxSparse(name, version) => {
            let name = file(name);
            let tar = with_parents(tar, name);
            let size = ("GNU.sparse.realsize", &b"1000"[..]);
            match version {
                0 => {
                    let piece = |offset: &'static [u8], length: &'static [u8]| {
                        [("GNU.sparse.offset", offset), ("GNU.sparse.numbytes", length)]
                    };
                    tar.pax(&[&[size][..], &piece(b"10", b"2"), &piece(b"900", b"3")].concat())
                        .file(name, "abcde")
                }
                1 => tar.pax(&[size, ("GNU.sparse.map", b"10,2,900,3")]).file(name, "abcde"),
                _ => {
                    let mut body = b"2\n10\n2\n900\n3\n".to_vec();
                    body.resize(512, 0);
                    body.extend(b"abcde");
                    tar.pax(&[
                        size,
                        ("GNU.sparse.major", b"1"),
                        ("GNU.sparse.minor", b"0"),
                        ("GNU.sparse.name", name.as_bytes()),
                    ])
                    .entry(&Head::new("x", b'0'), &body)
                }
            }
        }
        _ => unreachable!("the caller's choice"),
    }
}

fn tail() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(vec![]),
        Just(vec![0; 512]),
        Just(vec![0; 1024]),
        Just(vec![0; 10_240]),
        proptest::collection::vec(any::<u8>(), 0..3000)
            .prop_map(|garbage| [&[0; 1024][..], &garbage].concat()),
        (100_000..900_000usize).prop_map(|zeros| vec![0; zeros]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn random_archives_come_back_bit_for_bit(
        steps in proptest::collection::vec(step(), 1..24),
        tail in tail(),
        cut in any::<bool>(),
    ) {
        let world = World::new();
        let mut bytes = steps.iter().fold(Tar::default(), add).raw(&tail).0;
        prop_assume!(!bytes.is_empty());
        // Some writers leave out the last padding.
        if cut && tail.is_empty() && bytes.len() % 512 == 0 {
            bytes.extend([0; 512]);
        }
        let below = same(&world, &bytes, None);
        // On top of itself, where whiteouts and hard links find something below.
        same(&world, &bytes, Some(&below));
        world.assert_clean();
    }
}

#[test]
fn what_later_entries_replace_is_kept() {
    let world = World::new();
    let deep = "d/".repeat(200);
    let mut tar = Tar::default()
        .file("a", "first")
        .hardlink("kept", "a")
        .file("a", "second")
        .dir("a")
        .file("a/x", "in a directory")
        .file("a", "third")
        .file(&format!("{}f", &deep[..90]), "deep down")
        .pax(&[("path", format!("{deep}f").as_bytes())])
        .file("cut", "deeper");
    for n in 0..80 {
        tar = tar.file(&format!("d/d/f{n}"), "one of many").dir(&format!("d/d/e{n}"));
    }
    tar = tar.file("d", "now a file").symlink("d", "a").file("d", "at last");
    let chain = same(&world, &tar.end(), None);
    let dir = world.store.layers().dir(&chain);
    assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), "third");
    assert_eq!(fs::read_to_string(dir.join("kept")).unwrap(), "first");
    assert_eq!(fs::read_to_string(dir.join("d")).unwrap(), "at last");
    assert_eq!(names(&dir), ["a", "d", "kept"]);
    let kept = names(&dir.parent().unwrap().join(REPLACED));
    assert_eq!(kept.len(), 3 + 2 + 80 + 1);
}

#[test]
fn files_through_symlinked_directories() {
    let world = World::new();
    let tar = Tar::default().dir("usr").dir("usr/lib").symlink("lib", "usr/lib").file("lib/x", "x");
    let below = same(&world, &tar.end(), None);
    // Here the link is only below, and the directory is made in this layer.
    same(&world, &Tar::default().file("lib/y", "y").hardlink("z", "lib/x").end(), Some(&below));
}

#[test]
fn a_changed_file_is_noticed() {
    let world = World::new();
    let tar = Tar::default().file("a", &"x".repeat(9000)).file("b", &"y".repeat(9000));
    let chain = same(&world, &tar.clone().end(), None);
    let dir = world.store.layers().dir(&chain);
    let check = |path: Option<&str>| {
        let error = rebuilt(&world, &chain).unwrap_err();
        let inner = error.into_inner().unwrap().downcast::<Error>().unwrap();
        let expected = path.map(std::path::PathBuf::from);
        assert!(matches!(&*inner, Error::LayerChanged { path, .. } if *path == expected), "{inner:?}");
        assert_eq!(inner.kind(), Kind::Internal);
        assert!(inner.hint().is_some());
    };
    fs::write(dir.join("a"), "x".repeat(8999) + "!").unwrap();
    check(None);
    fs::write(dir.join("a"), "x".repeat(8999)).unwrap();
    check(Some("a"));
    fs::remove_file(dir.join("a")).unwrap();
    check(Some("a"));
    // A link to bytes that would even be right.
    fs::write(world.temp.path().join("marker"), "x".repeat(9000)).unwrap();
    std::os::unix::fs::symlink(world.temp.path().join("marker"), dir.join("a")).unwrap();
    check(Some("a"));
    fs::remove_file(dir.join("a")).unwrap();
    fs::create_dir(dir.join("a")).unwrap();
    check(Some("a"));
    fs::remove_dir(dir.join("a")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        dir.join("a"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    check(Some("a"));
    fs::remove_file(dir.join("a")).unwrap();
    fs::write(dir.join("a"), "x".repeat(9000)).unwrap();
    rebuilt(&world, &chain).unwrap();
}

#[test]
fn a_damaged_recipe_is_an_error_whatever_is_in_it() {
    let world = World::new();
    let tar = Tar::default().file("a", &"x".repeat(9000)).file("b", "y");
    let plain = tar.end();
    let chain = same(&world, &plain, None);
    let path = world.store.layers().place(&chain).join(RECIPE);
    let whole = fs::read(&path).unwrap();
    let read = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let tar = world.store.layers().tar(&chain).map_err(std::io::Error::other)?;
        // A reader that goes on after an error never gets a good end.
        let mut tar = tar;
        let first = tar.read_to_end(&mut bytes);
        if first.is_err() {
            assert!(tar.read(&mut [0; 8]).is_err());
        }
        first.map(|_| bytes)
    };
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(read().is_err(), "cut at {length}");
    }
    for at in 0..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= 1 << (at % 8);
        fs::write(&path, &broken).unwrap();
        // A bit that nobody looks at may change; the bytes may not.
        if let Ok(bytes) = read() {
            assert!(bytes == plain, "bit of byte {at}");
        }
    }
    // Recipes that are sound in form but lie.
    let lie = |operations: &[u8]| {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(zstd::encode_all(operations, 1).unwrap());
        fs::write(&path, &bytes).unwrap();
        let error = read().unwrap_err();
        format!("{:?}", error.into_inner())
    };
    assert!(lie(&[END]).contains("LayerChanged"));
    assert!(lie(&[9]).contains("unknown operation"));
    assert!(lie(&[MORE, 0, 1]).contains("a piece of no file"));
    assert!(lie(&[FILE, 1, b'a', 0, 0, 1, LITERAL, 0, END, 0]).contains("follows its end"));
    assert!(lie(&[FILE, 0xff, 0xff, 0xff, 1]).contains("too long"));
    assert!(
        lie(&[LITERAL, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]).contains("64 bits")
    );
    for path in ["../layer.json", "/etc/passwd", "../../../../etc/passwd"] {
        let mut operations = vec![FILE, path.len() as u8];
        operations.extend(path.as_bytes());
        operations.extend([0, 0, 1, END]);
        assert!(lie(&operations).contains("LayerChanged"), "{path}");
    }
    let forever: Vec<u8> = [[FILE, 1, b'a', 0, 0, 0xff, 0x7f].as_slice(); 9].concat();
    assert!(lie(&forever).contains("LayerChanged"));
    fs::write(&path, &whole).unwrap();
    read().unwrap();
}

#[test]
fn an_older_layer_says_so_and_the_same_archive_mends_it() {
    let world = World::new();
    let tar = Tar::default().file("a", "1").file("a", "2").end();
    let chain = same(&world, &tar, None);
    let place = world.store.layers().place(&chain);
    fs::remove_file(place.join(RECIPE)).unwrap();
    fs::remove_dir_all(place.join(REPLACED)).unwrap();
    let json = fs::read_to_string(place.join("layer.json")).unwrap();
    fs::write(place.join("layer.json"), json.replace("\"version\":2", "\"version\":1")).unwrap();
    let error = world.store.layers().tar(&chain).err().unwrap();
    assert!(matches!(error, Error::NoRecipe(_)));
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.hint().is_some());
    same(&world, &tar, None);
    assert_eq!(names(&place), ["fs", "layer.json", RECIPE, REPLACED]);
    world.assert_clean();
}

#[test]
fn a_check_notices_a_missing_recipe() {
    let world = World::new();
    let chain = same(&world, &Tar::default().file("a", "1").end(), None);
    let live = crate::Live { layers: [chain.clone()].into(), ..crate::Live::default() };
    assert_eq!(crate::check(&world.store, &live, false).unwrap(), []);
    fs::remove_file(world.store.layers().place(&chain).join(RECIPE)).unwrap();
    let found = crate::check(&world.store, &live, false).unwrap();
    assert!(matches!(found.as_slice(), [only] if only.problem == crate::Problem::Damaged), "{found:?}");
}

#[test]
fn another_archive_than_expected_leaves_nothing() {
    let world = World::new();
    let layers = world.store.layers();
    let bytes = Tar::default().file("a", "b").end();
    let right = sha256(&bytes);
    let wrong = sha256(b"");
    let error = layers.unpack_expecting(&mut &bytes[..], &wrong, None, &Limits::default()).unwrap_err();
    assert!(
        matches!(&error, Error::WrongDiffId { expected, found } if *expected == wrong && *found == right)
    );
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(layers.list().unwrap().is_empty());
    world.assert_clean();
    let unpacked = layers.unpack_expecting(&mut &bytes[..], &right, None, &Limits::default()).unwrap();
    assert_eq!(rebuilt(&world, &unpacked.chain_id).unwrap(), bytes);
}
