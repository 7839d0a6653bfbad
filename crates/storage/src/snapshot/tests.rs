//! Containers' file systems on real overlays, with and without a user namespace, by both ways.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{MoveMountFlags, UnmountFlags};

use super::*;
use crate::testing::{Head, Tar, World, names};

/// First id of the tests' user namespace on the host.
const HOST_ID: u32 = 200_000;
const WAYS: [Way; 2] = [Way::Descriptors, Way::Paths];

/// A process in a user namespace with ids 0 to 65,535.
struct Namespace {
    child: Child,
    fd: OwnedFd,
}

impl Namespace {
    fn new() -> Self {
        let mut child = Command::new("unshare")
            .args(["--user", "sh", "-c", "echo ready; read line"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let proc = PathBuf::from(format!("/proc/{}", child.id()));
        for map in ["uid_map", "gid_map"] {
            fs::write(proc.join(map), format!("0 {HOST_ID} 65536\n")).unwrap();
        }
        let fd = rustix::fs::openat(CWD, proc.join("ns/user"), OFlags::RDONLY, Mode::empty()).unwrap();
        Self { child, fd }
    }

    /// Runs a shell script as its root.
    fn run(&self, dir: &Path, script: &str) -> String {
        let user = format!("--user=/proc/{}/ns/user", self.child.id());
        let output = Command::new("nsenter")
            .args([&user, "--setuid=0", "--setgid=0", "sh", "-ec", script])
            .current_dir(dir)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

/// A mount attached to a directory for as long as the test looks at it.
struct Attached(PathBuf);

impl Attached {
    fn new(world: &World, name: &str, mount: OwnedFd) -> Self {
        let path = world.temp.path().join(name);
        fs::create_dir(&path).unwrap();
        rustix::mount::move_mount(&mount, "", CWD, &path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).unwrap();
        Self(path)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.0, UnmountFlags::DETACH).unwrap();
    }
}

fn image(world: &World) -> Vec<PathBuf> {
    let base = Tar::default()
        .entry(&Head { mode: 0o751, ..Head::new("./", b'5') }, b"")
        .file("gone", "")
        .entry(&Head { uid: 33, gid: 34, ..Head::new("theirs", b'0') }, b"t")
        .dir("d")
        .file("d/f", "");
    let (_, base) = world.unpacked(base, None);
    let (_, top) = world.unpacked(Tar::default().file("d/.wh.f", "").file("d/g", ""), Some(&base));
    world.store.layers().chain(&top).unwrap()
}

fn snapshot(world: &World, name: &str) -> Snapshot {
    let dir = world.store.root().join("containers").join(name);
    Snapshot { lowers: image(world), dir, volatile: false, rootless: false, read_only: false }
}

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 64];
    let length = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

#[test]
fn a_container_sees_its_image_and_writes_apart() {
    let world = World::new();
    for (n, way) in WAYS.into_iter().enumerate() {
        let snapshot = snapshot(&world, &format!("c{n}"));
        snapshot.prepare().unwrap();
        snapshot.prepare().unwrap();
        let at = Attached::new(&world, &format!("m{n}"), snapshot.mount_by(way, None).unwrap());
        assert_eq!(at.0.metadata().unwrap().mode() & 0o7777, 0o751, "{way:?}");
        assert_eq!(
            (names(&at.0), names(&at.0.join("d"))),
            (vec!["d".into(), "gone".into(), "theirs".into()], vec!["g".to_owned()])
        );
        fs::remove_file(at.0.join("gone")).unwrap();
        fs::write(at.0.join("theirs"), "changed").unwrap();
        drop(at);
        // The container's own files are there at its next start.
        let at = Attached::new(&world, &format!("n{n}"), snapshot.mount_by(way, None).unwrap());
        assert_eq!(fs::read_to_string(at.0.join("theirs")).unwrap(), "changed");
        assert!(!at.0.join("gone").exists());
        assert_eq!(fs::read_to_string(snapshot.lowers[1].join("theirs")).unwrap(), "t");
    }
}

#[test]
fn a_user_namespace_leaves_plain_ids_on_disk() {
    let world = World::new();
    let namespace = Namespace::new();
    for (n, way) in WAYS.into_iter().enumerate() {
        let snapshot = snapshot(&world, &format!("c{n}"));
        snapshot.prepare().unwrap();
        let before = rustix::thread::capabilities(None).unwrap();
        let mount = snapshot.mount_by(way, Some(namespace.fd.as_fd())).unwrap();
        assert_eq!(rustix::thread::capabilities(None).unwrap(), before);
        let at = Attached::new(&world, &format!("m{n}"), mount);
        // Seen from the host the ids are shifted, inside they are the image's.
        assert_eq!(at.0.join("theirs").metadata().unwrap().uid(), HOST_ID + 33);
        let script = "stat -c '%u %g' . theirs; echo new > new; mkdir -p x/y; rm gone; rm -r d; mkdir d; \
                      chown 1000:1001 new; cp /bin/true cap; /usr/sbin/setcap cap_net_raw+ep cap; \
                      chmod 4755 theirs; chown 5 theirs; /usr/sbin/getcap cap";
        let seen = namespace.run(&at.0, script);
        assert_eq!(seen.lines().collect::<Vec<_>>(), ["0 0", "33 34", "cap cap_net_raw=ep"], "{way:?}");
        let upper = snapshot.dir.join("upper");
        let owner = |name: &str| {
            let meta = upper.join(name).symlink_metadata().unwrap();
            (meta.uid(), meta.gid())
        };
        assert_eq!((owner("."), owner("x/y"), owner("cap")), ((0, 0), (0, 0), (0, 0)), "{way:?}");
        assert_eq!((owner("new"), owner("theirs")), ((1000, 1001), (5, 34)), "{way:?}");
        let gone = upper.join("gone").symlink_metadata().unwrap();
        assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
        assert_eq!(xattr(&upper.join("d"), "trusted.overlay.opaque").as_deref(), Some(&b"y"[..]));
        let capability = xattr(&upper.join("cap"), "security.capability").unwrap();
        // Version 2 has no root id; version 3's is the last number, and on disk it is the plain 0.
        assert!(capability.len() == 20 || capability[20..] == [0; 4], "{way:?}: {capability:?}");
        assert_eq!(snapshot.lowers[1].join("theirs").metadata().unwrap().uid(), 33);
        drop(at);
        let again = snapshot.mount_by(way, Some(namespace.fd.as_fd())).unwrap();
        let at = Attached::new(&world, &format!("n{n}"), again);
        assert_eq!(
            namespace.run(&at.0, "stat -c '%u %g' new; /usr/sbin/getcap cap"),
            "1000 1001\ncap cap_net_raw=ep\n"
        );
    }
}

#[test]
fn layers_alone_are_read_only() {
    let world = World::new();
    let namespace = Namespace::new();
    let both = image(&world);
    let mut count = 0;
    for lowers in [both.clone(), both[1..].to_vec()] {
        for way in WAYS {
            for userns in [None, Some(namespace.fd.as_fd())] {
                count += 1;
                let dir = world.store.root().join("containers/never-made");
                let snapshot = Snapshot {
                    lowers: lowers.clone(),
                    dir,
                    volatile: true,
                    rootless: false,
                    read_only: true,
                };
                let at = Attached::new(&world, &format!("m{count}"), snapshot.mount_by(way, userns).unwrap());
                let expected = userns.map_or(33, |_| HOST_ID + 33);
                assert_eq!(at.0.join("theirs").metadata().unwrap().uid(), expected, "{way:?}");
                let error = fs::write(at.0.join("x"), "").unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem, "{way:?}");
            }
        }
    }
    assert!(!world.store.root().join("containers/never-made").exists());
}

#[test]
fn volatile_is_said_and_many_layers_fit() {
    let world = World::new();
    let mut chain = world.unpacked(Tar::default().file("f0", ""), None).1;
    for n in 1..crate::LAYERS_MAX {
        chain = world.unpacked(Tar::default().file(&format!("f{n}"), ""), Some(&chain)).1;
    }
    let error = world.unpack(Tar::default().file("more", ""), Some(&chain)).unwrap_err();
    assert!(matches!(error, Error::TooManyLayers { .. }));
    let lowers = world.store.layers().chain(&chain).unwrap();
    for (n, way) in WAYS.into_iter().enumerate() {
        let dir = world.store.root().join("containers").join(n.to_string());
        let snapshot =
            Snapshot { lowers: lowers.clone(), dir, volatile: true, rootless: false, read_only: false };
        snapshot.prepare().unwrap();
        let at = Attached::new(&world, &format!("m{n}"), snapshot.mount_by(way, None).unwrap());
        assert_eq!(names(&at.0).len(), crate::LAYERS_MAX, "{way:?}");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let line = mounts.lines().find(|l| l.contains(at.0.to_str().unwrap())).unwrap();
        for word in ["volatile", "redirect_dir=nofollow"] {
            assert!(line.contains(word), "{way:?}: {line}");
        }
    }
}

#[test]
fn what_cannot_be_mounted_is_explained() {
    let world = World::new();
    let snapshot = snapshot(&world, "c");
    let error = snapshot.mount(None).unwrap_err();
    assert!(error.to_string().contains("containers/c"), "{error}");
    let mut missing = snapshot.clone();
    missing.lowers.insert(0, world.store.root().join("layers/none/fs"));
    assert!(missing.prepare().is_err());
}
