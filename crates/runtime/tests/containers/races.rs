//! Races, each played at the moment that matters: a process of ours comes to a stage and plays the attacker's part itself.

use std::cell::Cell;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use corten_runtime::{StartError, Step};
use corten_sys::mount::{attach, new_detached};
use rustix::fs::{Mode, OFlags};
use rustix::mount::MountAttrFlags;

use crate::Case;
use crate::world::{World, mount, shell};

pub const CASES: &[Case] = &[
    ("races::a_target_that_is_swapped", a_target_that_is_swapped),
    ("races::a_parent_of_a_target_that_is_swapped", a_parent_of_a_target_that_is_swapped),
    ("races::a_subpath_that_is_swapped", a_subpath_that_is_swapped),
    ("races::a_kernel_parameter_that_is_covered", a_kernel_parameter_that_is_covered),
    ("races::whoever_enters_is_undumpable", whoever_enters_is_undumpable),
];

fn open(path: &Path) -> std::os::fd::OwnedFd {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

/// What of the host is seen in the container if a mount went astray.
fn is_untouched(outside: &Path) {
    assert_eq!(fs::read_dir(outside).unwrap().count(), 0, "something was made outside");
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!table.contains(outside.to_str().unwrap()), "a mount was made outside");
}

/// A volume that others have too, with a directory in it that is mounted on; `swap` is played when that was found.
fn with_target(volume: &Path, target: &str, swap: impl Fn() + 'static) -> World {
    let mut world = World::new().without_userns();
    world.spec.mounts.push(mount("/data", "bind", volume.to_str().unwrap(), "rbind"));
    world.spec.mounts.push(mount(target, "tmpfs", "tmpfs", "mode=711"));
    // The volume's own target comes first.
    let found = Cell::new(0);
    let wanted = world.spec.mounts.iter().filter(|m| !is_kernels(&m.destination)).count();
    let act = move || {
        found.set(found.get() + 1);
        if found.get() == wanted {
            swap();
        }
    };
    world.at = Some(("child: target", Box::new(act)));
    world
}

fn is_kernels(target: &str) -> bool {
    ["/proc", "/sys", "/dev"].iter().any(|top| Path::new(target).starts_with(top))
}

/// CVE-2021-30465: between the look for a target and the mount on it, it becomes a link to a directory of the host.
fn a_target_that_is_swapped() {
    let (outside, volume) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(volume.path().join("swap")).unwrap();
    let (inside, link) = (open(volume.path()), outside.path().to_owned());
    let mut world = with_target(volume.path(), "/data/swap", move || {
        rustix::fs::renameat(&inside, "swap", &inside, "away").unwrap();
        rustix::fs::symlinkat(&link, &inside, "swap").unwrap();
    });
    // What was found got the mount, wherever it is by now.
    let output = world.sh("stat -c %a /data/away; readlink /data/swap | wc -l");
    assert_eq!(output.out, "711\n1\n", "{output:?}");
    is_untouched(outside.path());
}

/// CVE-2024-45310: the same with the directory that the target is in.
fn a_parent_of_a_target_that_is_swapped() {
    let (outside, volume) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(volume.path().join("swap")).unwrap();
    let (inside, link) = (open(volume.path()), outside.path().to_owned());
    let mut world = with_target(volume.path(), "/data/swap/new", move || {
        rustix::fs::renameat(&inside, "swap", &inside, "away").unwrap();
        rustix::fs::symlinkat(&link, &inside, "swap").unwrap();
    });
    let output = world.sh("stat -c %a /data/away/new");
    assert_eq!(output.out, "711\n", "{output:?}");
    is_untouched(outside.path());
}

/// A part of a volume is opened before the container's other mounts: what becomes of its path later doesn't count.
fn a_subpath_that_is_swapped() {
    let (outside, volume) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("secret"), "").unwrap();
    fs::create_dir_all(volume.path().join("a/part")).unwrap();
    fs::write(volume.path().join("a/part/own"), "").unwrap();
    symlink(outside.path(), volume.path().join("link")).unwrap();
    let mut world = World::new().without_userns();
    let options = "rbind,subpath=a/part";
    world.spec.mounts.push(mount("/part", "bind", volume.path().to_str().unwrap(), options));
    let inside = open(volume.path());
    let swap = move || {
        let _ = rustix::fs::renameat(&inside, "a", &inside, "away");
        let _ = rustix::fs::symlinkat("link", &inside, "a");
    };
    world.at = Some(("child: target", Box::new(swap)));
    let output = world.sh("ls /part");
    assert_eq!(output.out, "own\n", "{output:?}");
    // And by the time of the next start the path leads out: there is nothing below the volume.
    let error = world.error();
    assert!(matches!(error, StartError::Step { step: Step::BindSource, .. }), "{error}");
}

/// CVE-2025-52881: a tmpfs over /proc/sys takes no write that was meant for the kernel, and it fails aloud.
fn a_kernel_parameter_that_is_covered() {
    let mut world = World::new().without_userns();
    world.spec.linux.sysctl.insert("net.ipv4.ip_forward".into(), "1".into());
    assert_eq!(world.sh("cat /proc/sys/net/ipv4/ip_forward").out, "1\n");
    let cover = || {
        // The container's root isn't the process's own yet: the file system with that proc is looked for among what
        // the process has open.
        let net = (3..64).find_map(|fd| {
            let path = format!("/proc/self/fd/{fd}/sys/net/ipv4");
            rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()
        });
        let none = MountAttrFlags::empty();
        let cover = new_detached("tmpfs", Some("tmpfs"), &[], none).unwrap();
        let file = rustix::fs::openat(&cover, "ip_forward", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR);
        drop(file.unwrap());
        attach(cover.as_fd(), net.expect("the container's own proc is open").as_fd()).unwrap();
    };
    world.at = Some(("child: sysctls", Box::new(cover)));
    let error = world.error();
    assert!(matches!(error, StartError::Step { step: Step::Sysctl, .. }), "{error}");
}

/// CVE-2016-9962: as soon as a process is among the container's, nobody there may look into it. In the host's user
/// namespace, where the kernel doesn't see to that by itself.
fn whoever_enters_is_undumpable() {
    let mut world = World::new().without_userns();
    let sleeper = world.sleeper();
    let look = || {
        let now = rustix::process::dumpable_behavior().unwrap();
        assert_eq!(now, rustix::process::DumpableBehavior::NotDumpable, "it can be looked into");
    };
    world.at = Some(("exec: entered", Box::new(look)));
    assert_eq!(world.exec(&sleeper, &shell("exit 7")).unwrap().code, 7);
}
