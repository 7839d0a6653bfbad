//! What a hostile image or a process of the container tries. Each name says what must not happen.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use corten_runtime::{StartError, Stdio, Step};
use rustix::fs::{Mode, mkfifoat};

use crate::Case;
use crate::world::{World, mount, shell};

pub const CASES: &[Case] = &[
    ("attacks::our_binary_as_the_interpreter", our_binary_as_the_interpreter),
    ("attacks::a_working_directory_outside", a_working_directory_outside),
    ("attacks::no_descriptor_leaks", no_descriptor_leaks),
    ("attacks::proc_or_sys_as_a_symlink", proc_or_sys_as_a_symlink),
    ("attacks::a_volume_into_proc", a_volume_into_proc),
    ("attacks::targets_lead_outside", targets_lead_outside),
    ("attacks::a_device_as_the_mask", a_device_as_the_mask),
    ("attacks::a_device_that_is_swapped_before_the_masks", a_device_that_is_swapped_before_the_masks),
    ("attacks::a_false_terminal", a_false_terminal),
    ("attacks::a_console_that_is_swapped", a_console_that_is_swapped),
    ("attacks::passwd_that_hangs", passwd_that_hangs),
    ("attacks::a_dumpable_exec", a_dumpable_exec),
    ("attacks::kernel_ways_out", kernel_ways_out),
    ("attacks::odd_files_as_targets", odd_files_as_targets),
    ("attacks::targets_that_move", targets_that_move),
];

fn step(error: &StartError) -> Option<Step> {
    match error {
        StartError::Step { step, .. } => Some(*step),
        _ => None,
    }
}

fn executable(world: &World, name: &str, text: &str) {
    let path = world.root().join("bin").join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
}

/// CVE-2019-5736.
fn our_binary_as_the_interpreter() {
    let mut world = World::new();
    executable(&world, "script", "#!/proc/self/exe\n");
    executable(&world, "script2", "#!/bin/script\n");
    symlink("/proc/self/exe", world.root().join("bin/link")).unwrap();
    for program in ["script", "script2", "link", "/proc/self/exe", "/proc/1/exe"] {
        world.spec.process.args = vec![program.into()];
        let error = world.error();
        assert_eq!((step(&error), error.exit_code()), (Some(Step::FindProgram), 126), "{program}: {error}");
        let sleeper = world.sleeper();
        let mut process = shell("");
        process.args = vec![program.into()];
        if program != "/proc/1/exe" {
            assert_eq!(world.exec(&sleeper, &process).unwrap_err().exit_code(), 126, "{program}");
        }
    }
}

/// CVE-2024-21626.
fn a_working_directory_outside() {
    let leaked = rustix::fs::open("/", rustix::fs::OFlags::RDONLY, Mode::empty()).unwrap();
    let mut world = World::new();
    symlink("/proc/self/fd/3", world.root().join("srv/link")).unwrap();
    let sleeper = world.sleeper();
    world.spec.process.args = vec!["true".into()];
    let paths: Vec<String> = (0..20)
        .map(|n| format!("/proc/self/fd/{n}"))
        .chain(["/srv/link", "/proc/self/cwd", "/proc/self/root", "/proc/1/root"].map(String::from))
        .collect();
    for cwd in paths {
        let mut process = shell("true");
        process.cwd = cwd.clone();
        assert_eq!(step(&world.exec(&sleeper, &process).unwrap_err()), Some(Step::Cwd), "exec {cwd}");
    }
    drop(sleeper);
    for number in 0..20 {
        world.spec.process.cwd = format!("/proc/self/fd/{number}/..");
        assert_eq!(step(&world.error()), Some(Step::Cwd), "run {number}");
    }
    drop(leaked);
}

fn no_descriptor_leaks() {
    let leaked = rustix::fs::open("/", rustix::fs::OFlags::RDONLY, Mode::empty()).unwrap();
    for init in [false, true] {
        let mut world = World::new();
        world.init = init;
        world.spec.process.args = ["ls", "/proc/self/fd"].map(String::from).to_vec();
        assert_eq!(world.run().unwrap().out, "0\n1\n2\n3\n", "the fourth is ls's own");
    }
    drop(leaked);
}

/// CVE-2019-16884, CVE-2023-28642.
fn proc_or_sys_as_a_symlink() {
    for (name, target) in [("proc", "/srv"), ("sys", "srv"), ("dev", "/srv"), ("proc", "/proc"), ("sys", "/")]
    {
        let mut world = World::new();
        fs::remove_dir(world.root().join(name)).unwrap();
        symlink(target, world.root().join(name)).unwrap();
        let error = world.error();
        assert_eq!(step(&error), Some(Step::MountTarget), "{name} → {target}: {error}");
        world.fallbacks.attached_mounts = true;
        assert_eq!(step(&world.error()), Some(Step::MountTarget), "{name} → {target}");
    }
}

/// CVE-2019-16884, CVE-2023-27561.
fn a_volume_into_proc() {
    for target in ["/proc", "/proc/sys", "/proc/1", "/proc/self/attr", "/sys"] {
        let mut world = World::new();
        world.spec.mounts.push(mount(target, "bind", "/tmp", "rbind"));
        assert!(matches!(world.error(), StartError::Spec(_)), "{target}");
    }
    for target in ["/proc", "/proc/sys", "../proc/self", "/sys/kernel", "/proc/self/cwd"] {
        let mut world = World::new();
        symlink(target, world.root().join("data")).unwrap();
        world.spec.mounts.push(mount("/data", "tmpfs", "tmpfs", ""));
        let error = world.error();
        assert_eq!(step(&error), Some(Step::MountTarget), "{target}: {error}");
    }
}

/// CVE-2021-30465, CVE-2024-45310.
fn targets_lead_outside() {
    let outside = tempfile::tempdir().unwrap();
    let path = outside.path().to_str().unwrap();
    let up = format!("../../../../../../../..{path}");
    for (number, link) in [path, &up, &format!("{path}/deeper/still")].into_iter().enumerate() {
        let mut world = World::new();
        symlink(link, world.root().join("data")).unwrap();
        world.spec.mounts.push(mount("/data", "tmpfs", "tmpfs", ""));
        world.spec.mounts.push(mount("/data/file", "bind", "/etc/hostname", "bind"));
        let output = world.sh("ls /data");
        assert_eq!(output.out, "file\n", "{number}: {output:?}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "{number}");
    }
}

/// CVE-2025-31133: what masks isn't the container's `/dev/null`.
fn a_device_as_the_mask() {
    let mut world = World::new();
    world.spec.mounts.retain(|m| !m.destination.starts_with("/dev"));
    symlink("/proc/sysrq-trigger", world.root().join("dev/null")).unwrap();
    let output = world.sh("cat /proc/interrupts | wc -c; stat -c %t:%T /proc/interrupts");
    assert_eq!(output.out, "0\n1:3\n", "{output:?}");
}

/// A world whose `/dev` is a directory that somebody else may write to: at `stage`, `name` in it becomes a link.
fn with_shared_dev(stage: &'static str, name: &'static str, link: &'static str) -> World {
    // In the host's user namespace the child may do it itself.
    let mut world = World::new().without_userns();
    world.spec.mounts.retain(|m| !m.destination.starts_with("/dev"));
    let dev = world.dir.path().join("dev");
    for dir in [dev.clone(), dev.join("pts")] {
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, PermissionsExt::from_mode(0o777)).unwrap();
    }
    world.spec.mounts.push(mount("/dev", "bind", dev.to_str().unwrap(), "rbind"));
    // By descriptor: the child has its root attached over the way to it.
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    let dev = rustix::fs::open(&dev, flags, Mode::empty()).unwrap();
    let swap = move || {
        rustix::fs::unlinkat(&dev, name, rustix::fs::AtFlags::empty()).unwrap();
        rustix::fs::symlinkat(link, &dev, name).unwrap();
    };
    world.at = Some((stage, Box::new(swap)));
    world
}

/// CVE-2025-31133 as a race: the null device is there until the moment before the masks.
fn a_device_that_is_swapped_before_the_masks() {
    let mut world = with_shared_dev("child: masks", "null", "/proc/sysrq-trigger");
    let null = rustix::fs::makedev(1, 3);
    let (path, mode) = (world.dir.path().join("dev/null"), Mode::from_raw_mode(0o666));
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::CharacterDevice, mode, null).unwrap();
    let output = world.sh("readlink /dev/null; cat /proc/interrupts | wc -c; stat -c %t:%T /proc/interrupts");
    assert_eq!(output.out, "/proc/sysrq-trigger\n0\n1:3\n", "{output:?}");
}

/// CVE-2025-52565 as a race: the console's place becomes a link to what the terminal would lie over.
fn a_console_that_is_swapped() {
    let mut world = with_shared_dev("child: console", "console", "/proc/sys/kernel/core_pattern");
    fs::write(world.dir.path().join("dev/console"), "").unwrap();
    let options = "newinstance,ptmxmode=0666,mode=0620";
    world.spec.mounts.push(mount("/dev/pts", "devpts", "devpts", options));
    world.spec.process.terminal = true;
    world.spec.process.args = vec!["true".into()];
    let error = world.launch(Stdio::Terminal).unwrap_err();
    assert_eq!(step(&error), Some(Step::Terminal), "{error}");
    assert!(
        fs::symlink_metadata(world.dir.path().join("dev/console")).unwrap().is_symlink(),
        "it was swapped"
    );
}

/// CVE-2025-52565.
fn a_false_terminal() {
    for (name, target) in [("ptmx", "/proc/sysrq-trigger"), ("ptmx", "/etc/passwd")] {
        let mut world = World::new();
        world.spec.mounts.retain(|m| m.destination != "/dev/pts");
        world.spec.mounts.push(mount("/dev/pts", "tmpfs", "tmpfs", ""));
        let dir = world.dir.path().join("pts");
        fs::create_dir(&dir).unwrap();
        symlink(target, dir.join(name)).unwrap();
        world.spec.mounts.last_mut().unwrap().kind = "bind".into();
        world.spec.mounts.last_mut().unwrap().source = dir.to_str().unwrap().into();
        world.spec.process.terminal = true;
        world.spec.process.args = vec!["true".into()];
        let error = world.launch(Stdio::Terminal).unwrap_err();
        assert_eq!(step(&error), Some(Step::Terminal), "{error}");
        fs::remove_file(dir.join(name)).unwrap();
        fs::write(dir.join(name), "").unwrap();
        let error = world.launch(Stdio::Terminal).unwrap_err();
        assert!(error.to_string().ends_with("it is not of a devpts"), "{error}");
    }
}

/// CVE-2024-9676.
fn passwd_that_hangs() {
    let mut world = World::new();
    world.spec.process.user.name = Some("web".parse().unwrap());
    let passwd = world.root().join("etc/passwd");
    fs::remove_file(&passwd).unwrap();
    for target in ["/dev/zero", "/proc/kmsg", "/dev/random"] {
        symlink(target, &passwd).unwrap();
        assert_eq!(step(&world.error()), Some(Step::User), "{target}");
        fs::remove_file(&passwd).unwrap();
    }
    mkfifoat(rustix::fs::CWD, &passwd, Mode::from_raw_mode(0o666)).unwrap();
    let is_refused = |world: &mut World, what: &str| {
        let error = world.error();
        assert_eq!(step(&error), Some(Step::User), "{what}: {error}");
        // Not that it was read, and had no such user.
        assert!(error.to_string().ends_with("it is not a regular file"), "{what}: {error}");
    };
    is_refused(&mut world, "a pipe");
    // One that somebody writes to has the user, and would be read.
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    let pipe = rustix::fs::open(&passwd, flags, Mode::empty()).unwrap();
    rustix::io::write(&pipe, b"web:x:33:33:web:/:/bin/sh\n").unwrap();
    is_refused(&mut world, "a pipe with the user in it");
    fs::remove_file(&passwd).unwrap();
    let zero = rustix::fs::makedev(1, 5);
    let device = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(rustix::fs::CWD, &passwd, device, Mode::from_raw_mode(0o666), zero).unwrap();
    is_refused(&mut world, "a device");
}

/// CVE-2016-9962: root of the container can't look into a process that is entering it.
fn a_dumpable_exec() {
    let mut world = World::new();
    let caps = corten_model::capability::CapSet::ALL.iter().collect::<Vec<_>>();
    let set = world.spec.process.capabilities.as_mut().unwrap();
    (set.bounding, set.permitted, set.effective) = (caps.clone(), caps.clone(), caps);
    let script = "while true; do for p in /proc/[0-9]*; do test $p = /proc/1 || test $p = /proc/$$ || \
        { l=$(readlink $p/exe) && case $l in */containers-*) echo $l > /srv/seen;; esac; }; done; done 2>/dev/null";
    world.spec.process.args = ["sh", "-c", script].map(String::from).to_vec();
    let (stdio, _out, _err) = crate::world::streams();
    let watcher = crate::world::Sleeper(world.launch(stdio).unwrap());
    for _ in 0..50 {
        assert_eq!(world.exec(&watcher, &shell("true")).unwrap().code, 0);
    }
    assert!(
        !world.root().join("srv/seen").exists(),
        "{:?}",
        fs::read_to_string(world.root().join("srv/seen"))
    );
}

/// CVE-2022-0492 and others: what Docker's filter and the missing capabilities forbid.
fn kernel_ways_out() {
    let mut world = World::new();
    let caps = corten_model::capability::CapSet::DEFAULT;
    let profile = corten_runtime::seccomp::default_profile();
    world.seccomp = Some(corten_runtime::seccomp::filter(None, profile, caps, (6, 0)).unwrap());
    let output = world.sh(
        "unshare -U true || echo 1; unshare -m true || echo 2; mount -t tmpfs x /tmp || echo 3; \
         mknod /tmp/sda b 8 0 || echo 4; echo x > /sys/fs/cgroup/memory/release_agent || echo 5; \
         mount -o remount,rw /proc/sys || echo 6; cat /proc/interrupts | wc -c; dd if=/dev/mem count=1 || echo 7",
    );
    assert_eq!(output.out, "1\n2\n3\n4\n5\n6\n0\n7\n", "{output:?}");
}

fn odd_files_as_targets() {
    let mut world = World::new();
    mkfifoat(rustix::fs::CWD, world.root().join("pipe"), Mode::from_raw_mode(0o666)).unwrap();
    symlink("loop", world.root().join("loop")).unwrap();
    fs::write(world.root().join("file"), "").unwrap();
    for target in ["/pipe", "/loop", "/file", "/file/below"] {
        world.spec.mounts.push(mount(target, "tmpfs", "tmpfs", ""));
        let found = step(&world.error());
        assert!(matches!(found, Some(Step::MountTarget | Step::Attach)), "{target}: {found:?}");
        world.spec.mounts.pop();
    }
}

/// CVE-2021-30465 as a race: another process swaps a directory of a shared volume for a symlink while mounts are
/// made below it.
fn targets_that_move() {
    let outside = tempfile::tempdir().unwrap();
    let volume = tempfile::tempdir().unwrap();
    let (dir, link) = (volume.path().join("swap"), volume.path().join("link"));
    fs::create_dir(&dir).unwrap();
    symlink(outside.path(), &link).unwrap();
    let script = "while true; do mv -T swap a; mv -T link swap; mv -T swap link; mv -T a swap; done";
    let mut swapper =
        std::process::Command::new("sh").args(["-c", script]).current_dir(volume.path()).spawn().unwrap();
    let mut world = World::new();
    world.spec.mounts.push(mount("/data", "bind", volume.path().to_str().unwrap(), "rbind"));
    world.spec.mounts.push(mount("/data/swap/x", "bind", "/etc/hostname", "bind"));
    world.spec.process.args = vec!["true".into()];
    for _ in 0..40 {
        match world.run() {
            Ok(output) => assert_eq!(output.code, 0),
            Err(error) => assert!(matches!(step(&error), Some(Step::MountTarget | Step::Attach)), "{error}"),
        }
    }
    swapper.kill().unwrap();
    swapper.wait().unwrap();
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "an inode was made outside");
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!table.contains(outside.path().to_str().unwrap()), "a mount was made outside");
}
