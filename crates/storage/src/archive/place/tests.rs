//! Docker's rules for `cp`, from one directory to another, and archives that want more than that.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;
use crate::archive::{Extraction, Owners, Selection, extract, write_tree};
use crate::error::EntryProblem;
use crate::testing::{Tar, names};

struct World {
    temp: tempfile::TempDir,
}

impl World {
    /// `from` has a file, a directory and links; `to` a file, a directory and a link to that.
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        for dir in ["from/dir/sub", "to/dir", "outside"] {
            fs::create_dir_all(temp.path().join(dir)).unwrap();
        }
        for (name, content) in [("from/file", "file"), ("from/dir/a", "a"), ("from/dir/sub/b", "b")] {
            fs::write(temp.path().join(name), content).unwrap();
        }
        fs::write(temp.path().join("to/file"), "old").unwrap();
        symlink("dir", temp.path().join("to/link")).unwrap();
        symlink("file", temp.path().join("from/link")).unwrap();
        symlink("/new", temp.path().join("to/dangling")).unwrap();
        Self { temp }
    }

    fn root(&self, name: &str) -> Root {
        Root::open(&self.temp.path().join(name)).unwrap()
    }

    fn copy(&self, from: &str, name: &str, to: &str) -> Result<(), Error> {
        let mut tar = Vec::new();
        let follow = from == "link" && name == "followed";
        let name = if follow { "link" } else { name };
        let selection = Selection { path: from.into(), name: name.as_bytes().to_vec(), follow };
        write_tree(&self.root("from"), &selection, &mut tar)?;
        let owners = Owners::Own { trusted: true };
        let wanted = Extraction { path: to.into(), stream: false, owners };
        extract(&self.root("to"), &wanted, &mut tar.as_slice())
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.temp.path().join("to").join(path)).unwrap()
    }
}

#[test]
fn a_file_goes_where_docker_puts_it() {
    for (to, expected) in [
        ("new", "new"),
        ("file", "file"),
        ("dir", "dir/file"),
        ("dir/", "dir/file"),
        ("link", "dir/file"),
        ("/dir/../dir/.", "dir/file"),
        ("dangling", "new"),
    ] {
        let world = World::new();
        world.copy("file", "file", to).unwrap();
        assert_eq!(world.read(expected), "file", "{to}");
    }
    let world = World::new();
    assert!(matches!(world.copy("file", "file", "new/"), Err(Error::NoDirectory { .. })));
    for missing in ["no/new", "file/x", "file/"] {
        let error = world.copy("file", "file", missing).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{missing}: {error:?}");
    }
    world.copy("link", "link", "new").unwrap();
    assert_eq!(fs::read_link(world.temp.path().join("to/new")).unwrap(), Path::new("file"));
    world.copy("link", "followed", "dir").unwrap();
    assert_eq!(world.read("dir/link"), "file");
}

#[test]
fn a_directory_goes_where_docker_puts_it() {
    for (name, to, expected) in [
        ("dir", "new", "new/sub/b"),
        ("dir", "new/", "new/sub/b"),
        ("dir", "dir", "dir/dir/sub/b"),
        ("dir", "link/", "dir/dir/sub/b"),
        ("", "dir", "dir/sub/b"),
        ("", "new", "new/sub/b"),
    ] {
        let world = World::new();
        world.copy("dir", name, to).unwrap();
        assert_eq!(world.read(expected), "b", "{name} {to}");
    }
    let world = World::new();
    assert!(matches!(world.copy("dir", "dir", "file"), Err(Error::OverFile { .. })));
    fs::write(world.temp.path().join("to/dir/dir"), "").unwrap();
    let error = world.copy("dir", "dir", "dir").unwrap_err();
    assert!(matches!(error, Error::Entry { problem: EntryProblem::OverFile, .. }), "{error:?}");
}

#[test]
fn a_directory_that_is_there_keeps_what_it_is() {
    let world = World::new();
    let to = world.temp.path().join("to/dir");
    fs::set_permissions(&to, fs::Permissions::from_mode(0o711)).unwrap();
    fs::set_permissions(world.temp.path().join("from/dir"), fs::Permissions::from_mode(0o700)).unwrap();
    world.copy("dir", "", "dir").unwrap();
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o7777, 0o711);
    assert_eq!(names(&to), ["a", "sub"]);
}

fn stream(world: &World, tar: Tar, to: &str, owners: Owners) -> Result<(), Error> {
    let wanted = Extraction { path: to.into(), stream: true, owners };
    extract(&world.root("to"), &wanted, &mut tar.end().as_slice())
}

#[test]
fn archives_of_strangers_lead_nowhere() {
    let world = World::new();
    let outside = world.temp.path().join("outside");
    let target = outside.to_str().unwrap();
    let own = Owners::Own { trusted: false };
    let climbing = stream(&world, Tar::default().file("../x", "x"), "dir", own);
    assert!(matches!(climbing, Err(Error::Entry { problem: EntryProblem::DotDot, .. })));
    // A link of the archive is resolved in the root, where there is no such directory.
    let through = Tar::default().symlink("l", target).file("l/x", "x");
    stream(&world, through, "dir", own).unwrap();
    // Not a stream: what was packed has no symlink among its directories.
    let wanted = Extraction { path: "dir".into(), stream: false, owners: own };
    let packed = Tar::default().dir("top").symlink("top/l", target).file("top/l/x", "x").end();
    assert!(extract(&world.root("to"), &wanted, &mut packed.as_slice()).is_err());
    let other = Tar::default().dir("top").file("file", "x").end();
    let error = extract(&world.root("to"), &wanted, &mut other.as_slice()).unwrap_err();
    assert!(matches!(error, Error::Entry { problem: EntryProblem::NotBelow, .. }), "{error:?}");
    let hard = Tar::default().hardlink("hard", "../../outside/secret");
    assert!(stream(&world, hard, "dir", own).is_err());
    assert_eq!(names(&outside), [""; 0]);
    let device = Tar::default()
        .entry(&crate::testing::Head { device: (1, 3), ..crate::testing::Head::new("null", b'3') }, b"");
    let error = stream(&world, device.clone(), "dir", own).unwrap_err();
    assert!(matches!(error, Error::Entry { problem: EntryProblem::DeviceCopied, .. }), "{error:?}");
    stream(&world, device, "dir", Owners::Kept).unwrap();
}

#[test]
fn owners_and_set_id_bits() {
    let world = World::new();
    let head =
        crate::testing::Head { mode: 0o6755, uid: 1000, gid: 1000, ..crate::testing::Head::new("f", b'0') };
    let roots = crate::testing::Head { uid: 0, gid: 0, ..head.clone() };
    let check = |head: &crate::testing::Head<'_>, owners, expected: (u32, u32)| {
        stream(&world, Tar::default().entry(head, b"x"), "dir", owners).unwrap();
        let stat = fs::metadata(world.temp.path().join("to/dir/f")).unwrap();
        assert_eq!((stat.uid(), stat.mode() & 0o7777), expected);
    };
    check(&head, Owners::Kept, (1000, 0o6755));
    check(&head, Owners::Own { trusted: true }, (0, 0o755));
    check(&roots, Owners::Own { trusted: true }, (0, 0o6755));
    check(&roots, Owners::Own { trusted: false }, (0, 0o755));
}
