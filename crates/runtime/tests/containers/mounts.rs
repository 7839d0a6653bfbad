//! What a container sees of file systems.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use corten_runtime::spec::Device;
use corten_runtime::{External, Fallbacks};
use corten_sys::mount::{attach, new_detached};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountAttrFlags, MountPropagationFlags, UnmountFlags, unmount};
use std::os::fd::AsFd;

use crate::Case;
use crate::world::{FIRST_ID, World, mount};

pub const CASES: &[Case] = &[
    ("mounts::nothing_in_the_hosts_namespace", nothing_in_the_hosts_namespace),
    ("mounts::the_fallback_of_older_kernels", the_fallback_of_older_kernels),
    ("mounts::an_overlay_is_assembled_detached", an_overlay_is_assembled_detached),
    ("mounts::propagation", propagation),
    ("mounts::masked_and_read_only_paths", masked_and_read_only_paths),
    ("mounts::the_root_read_only", the_root_read_only),
    ("mounts::binds", binds),
    ("mounts::binds_without_userns", binds_without_userns),
    ("mounts::a_recursive_bind_with_a_stranger_below", a_recursive_bind_with_a_stranger_below),
    ("mounts::a_read_only_bind_is_so_below", a_read_only_bind_is_so_below),
    ("mounts::a_missing_source", a_missing_source),
    ("mounts::missing_targets_are_made", missing_targets_are_made),
    ("mounts::devices", devices),
    ("mounts::cgroups_are_seen_read_only", cgroups_are_seen_read_only),
    ("mounts::sysctls", sysctls),
    ("mounts::owners_are_the_containers", owners_are_the_containers),
];

fn table() -> usize {
    fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count()
}

fn nothing_in_the_hosts_namespace() {
    // A host as systemd makes it, in a mount namespace of this process: what travels would be seen.
    corten_sys::process::unshare(rustix::thread::UnshareFlags::NEWNS).unwrap();
    let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", shared).unwrap();
    let before = table();
    for mut world in [World::new(), World::new().without_userns()] {
        let sleeper = world.sleeper();
        assert_eq!(table(), before);
        let inside = fs::read_to_string(format!("/proc/{}/mountinfo", sleeper.0.pid)).unwrap();
        let points: Vec<&str> = inside.lines().map(|l| l.split(' ').nth(4).unwrap()).collect();
        assert_eq!(points.iter().filter(|p| **p == "/").count(), 1, "the host's root is gone: {inside}");
        let tied = inside.lines().find(|l| l.contains(" shared:") || l.contains(" master:"));
        assert_eq!(tied.filter(|l| !l.contains(" / / ")), None, "a mount is tied to the host's");
        drop(sleeper);
        assert_eq!(table(), before);
    }
}

fn the_fallback_of_older_kernels() {
    let mut world = World::new();
    world.fallbacks = Fallbacks { attached_mounts: true, single_idmaps: true, join_cgroup: true };
    world.spec.mounts.push(mount("/data", "bind", world.dir.path().to_str().unwrap(), "rbind,ro"));
    let output = world.sh("ls /data; touch /data/x; cat /proc/interrupts | wc -c; ls /sys/firmware | wc -l");
    assert_eq!(output.out, "empty\nroot\n0\n0\n", "{output:?}");
    let mut world = World::new().without_userns();
    world.fallbacks.attached_mounts = true;
    assert_eq!(world.sh("ls /dev/pts /dev/null").code, 0);
}

/// A mount that was made anew takes all others before it is attached; one that was cloned doesn't.
fn an_overlay_is_assembled_detached() {
    for mut world in [World::new(), World::new().without_userns()] {
        for attached_mounts in [false, true] {
            world.overlay = true;
            world.fallbacks.attached_mounts = attached_mounts;
            let script =
                "ls -d /dev/pts/ptmx /sys/fs/cgroup/memory; cat /proc/interrupts | wc -c; touch /proc/sys/x";
            let output = world.sh(script);
            assert_eq!(output.out, "/dev/pts/ptmx\n/sys/fs/cgroup/memory\n0\n", "{output:?}");
            world.spec.process.terminal = true;
            world.spec.process.args = vec!["tty".into()];
            let mut started = world.launch(corten_runtime::Stdio::Terminal).unwrap();
            let text = crate::world::read_terminal(started.terminal.take().unwrap());
            assert_eq!(text, "/dev/pts/0\r\n");
            crate::world::wait(&started.pidfd);
            world.spec.process.terminal = false;
        }
    }
}

fn propagation() {
    let mut world = World::new();
    let source = source(&world);
    fs::create_dir(format!("{source}/late")).unwrap();
    let _shared = Mounted::new(source.clone(), "tmpfs");
    fs::create_dir(format!("{source}/late")).unwrap();
    rustix::mount::mount_change(source.as_str(), MountPropagationFlags::SHARED).unwrap();
    world.spec.mounts.push(mount("/slave", "bind", &source, "rbind,rslave"));
    world.spec.mounts.push(mount("/private", "bind", &source, "rbind"));
    let sleeper = world.sleeper();
    let _late = Mounted::new(format!("{source}/late"), "tmpfs");
    fs::write(format!("{source}/late/x"), "").unwrap();
    let output = world.exec(&sleeper, &crate::world::shell("ls /slave/late /private/late")).unwrap();
    assert_eq!(output.out, "/private/late:\n\n/slave/late:\nx\n", "{output:?}");
}

fn masked_and_read_only_paths() {
    for mut world in [World::new(), World::new().without_userns()] {
        let output = world.sh(
            "cat /proc/interrupts /proc/keys /proc/timer_list 2>/dev/null | wc -c; ls /proc/acpi /sys/firmware | grep -v : | wc -l; \
             touch /sys/firmware/x /proc/acpi/x; echo b > /proc/sysrq-trigger; \
             echo 1 > /proc/sys/kernel/domainname; echo x > /proc/irq/default_smp_affinity; true",
        );
        assert!(output.out.starts_with("0\n"), "{output:?}");
        let refused = output.err.lines().filter(|l| l.contains("ead-only file system")).count();
        assert!(refused >= 4, "{output:?}");
    }
}

fn the_root_read_only() {
    let mut world = World::new();
    world.spec.root.readonly = true;
    world.spec.process.cwd = "/srv".into();
    let output = world.sh("touch /x 2>/dev/null || echo no; touch /dev/shm/x /dev/x && echo yes; pwd");
    assert_eq!(output.out, "no\nyes\n/srv\n", "{output:?}");
    assert!(!world.root().join("x").exists());
}

fn source(world: &World) -> String {
    let source = world.dir.path().join("source");
    fs::create_dir_all(source.join("sub")).unwrap();
    fs::write(source.join("file"), "content\n").unwrap();
    source.to_str().unwrap().to_owned()
}

fn binds() {
    let mut world = World::new();
    let source = source(&world);
    chown(format!("{source}/file"), Some(33), Some(44)).unwrap();
    world.spec.mounts.push(mount("/data", "bind", &source, "rbind"));
    world.spec.mounts.push(mount("/etc/one", "bind", &format!("{source}/file"), "bind,ro"));
    world.spec.mounts.push(mount("/none", "bind", &source, "rbind,nosuid,nodev,noexec"));
    let output = world.sh("cat /data/file /etc/one; stat -c '%u:%g' /data/file /data; touch /data/made; \
         touch /etc/one 2>/dev/null || echo ro; grep -c ' /none .*nosuid,nodev,noexec' /proc/self/mountinfo");
    assert_eq!(output.out, "content\ncontent\n33:44\n0:0\nro\n1\n", "{output:?}");
    assert_eq!(output.warnings, Vec::<String>::new());
    let made = fs::metadata(format!("{source}/made")).unwrap();
    assert_eq!((made.uid(), made.gid()), (0, 0), "owners on disk are plain");
    let sleeper = world.sleeper();
    let expected = External::Bind { source, destination: "/data".into() };
    assert!(sleeper.0.external.contains(&expected), "{:?}", sleeper.0.external);
}

fn binds_without_userns() {
    let mut world = World::new().without_userns();
    let source = source(&world);
    world.spec.mounts.push(mount("/data", "bind", &source, "rbind,ro"));
    let output = world.sh("cat /data/file; touch /data/x 2>/dev/null || echo ro");
    assert_eq!(output.out, "content\nro\n", "{output:?}");
}

/// A file system of the host below `path`, gone with the value.
struct Mounted(String);

impl Mounted {
    fn new(path: String, fstype: &str) -> Self {
        let none = MountAttrFlags::empty();
        let mount = new_detached(fstype, Some(fstype), &[], none).unwrap();
        let target = rustix::fs::open(&path, OFlags::PATH, Mode::empty()).unwrap();
        attach(mount.as_fd(), target.as_fd()).unwrap();
        Self(path)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = unmount(self.0.as_str(), UnmountFlags::DETACH);
    }
}

fn a_recursive_bind_with_a_stranger_below() {
    for single_idmaps in [false, true] {
        let mut world = World::new();
        world.fallbacks.single_idmaps = single_idmaps;
        let source = source(&world);
        fs::create_dir(format!("{source}/tmpfs")).unwrap();
        let _proc = Mounted::new(format!("{source}/sub"), "proc");
        let _tmpfs = Mounted::new(format!("{source}/tmpfs"), "tmpfs");
        fs::create_dir(format!("{source}/tmpfs/deeper")).unwrap();
        let _deeper = Mounted::new(format!("{source}/tmpfs/deeper"), "tmpfs");
        fs::write(format!("{source}/tmpfs/deeper/x"), "deep\n").unwrap();
        world.spec.mounts.push(mount("/data", "bind", &source, "rbind,ro"));
        let output =
            world.sh("stat -c %u /data/file /data/tmpfs /data/tmpfs/deeper/x; cat /data/tmpfs/deeper/x; \
             test -e /data/sub/self && echo proc; \
             for d in /data /data/tmpfs /data/tmpfs/deeper; do touch $d/y 2>/dev/null || echo ro; done");
        assert_eq!(output.out, "0\n0\n0\ndeep\nproc\nro\nro\nro\n", "{output:?}");
        assert_eq!(output.warnings.len(), 1, "{output:?}");
        assert!(output.warnings[0].contains("/sub"), "{output:?}");
    }
}

fn a_read_only_bind_is_so_below() {
    let mut world = World::new();
    let source = source(&world);
    let _below = Mounted::new(format!("{source}/sub"), "tmpfs");
    world.spec.mounts.push(mount("/data", "bind", &source, "rbind,ro"));
    world.spec.mounts.push(mount("/alone", "bind", &source, "bind"));
    let output = world.sh("touch /data/sub/x 2>/dev/null || echo ro; touch /alone/sub/x && echo rw");
    assert_eq!(output.out, "ro\nrw\n", "{output:?}");
    assert!(
        Path::new(&format!("{source}/sub")).metadata().unwrap().mode() & 0o1000 != 0,
        "the tmpfs hides it"
    );
}

fn a_missing_source() {
    let mut world = World::new();
    world.spec.mounts.push(mount("/data", "bind", "/does/not/exist", "rbind"));
    let error = world.error();
    assert_eq!(error.to_string(), "cannot open the source of the bind mount `/does/not/exist`");
    assert_eq!((error.kind(), error.exit_code()), (corten_model::Kind::NotFound, 125));
}

fn missing_targets_are_made() {
    let mut world = World::new();
    let source = source(&world);
    symlink("/run/made/resolv.conf", world.root().join("etc/resolv.conf")).unwrap();
    symlink("../../../../../../opt", world.root().join("srv/up")).unwrap();
    world.spec.mounts.push(mount("/a/b/c", "bind", &source, "rbind"));
    world.spec.mounts.push(mount("/etc/resolv.conf", "bind", &format!("{source}/file"), "bind"));
    world.spec.mounts.push(mount("/srv/up/x", "tmpfs", "tmpfs", "mode=700"));
    let output = world.sh("cat /a/b/c/file /etc/resolv.conf; stat -c %a /opt/x; ls -d /run/made");
    assert_eq!(output.out, "content\ncontent\n700\n/run/made\n", "{output:?}");
    assert!(world.root().join("opt/x").is_dir() && !Path::new("/opt/x").exists());
}

fn devices() {
    for mut world in [World::new(), World::new().without_userns()] {
        world.spec.linux.devices = vec![Device {
            path: "/dev/deep/zero".into(),
            kind: "c".into(),
            major: 1,
            minor: 5,
            file_mode: Some(0o640),
            uid: Some(33),
            gid: Some(44),
        }];
        let output = world.sh(
            "stat -c '%n %a %u %t:%T' /dev/null /dev/full /dev/deep/zero /dev/tty; head -c 4 /dev/urandom | wc -c; \
             head -c 3 /dev/deep/zero | wc -c; echo x > /dev/null; for l in fd ptmx stderr; do readlink /dev/$l; done; \
             ls -d /dev/shm /dev/mqueue /dev/pts/ptmx; ls /dev | wc -l",
        );
        let expected = "/dev/null 666 0 1:3\n/dev/full 666 0 1:7\n/dev/deep/zero 640 33 1:5\n/dev/tty 666 0 5:0\n4\n3\n\
            /proc/self/fd\npts/ptmx\n/proc/self/fd/2\n/dev/mqueue\n/dev/pts/ptmx\n/dev/shm\n16\n";
        assert_eq!(output.out, expected, "{output:?}");
    }
}

fn cgroups_are_seen_read_only() {
    for mut world in [World::new(), World::new().without_userns()] {
        let output = world.sh(
            "grep -c '^1$' /sys/fs/cgroup/memory/tasks; grep -c '^0$' /sys/fs/cgroup/memory/tasks; \
             for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/x 2>/dev/null && echo made; done; \
             echo 0 > /sys/fs/cgroup/memory/memory.limit_in_bytes",
        );
        // A process of the host would be seen as 0.
        assert_eq!(output.out, "1\n0\n", "its own group, and nothing that can be written: {output:?}");
        assert!(output.err.contains("ead-only"), "{output:?}");
    }
}

fn sysctls() {
    let mut world = World::new();
    for (key, value) in [("net.ipv4.ip_forward", "1"), ("net/ipv4/conf/lo/accept_local", "1")] {
        world.spec.linux.sysctl.insert(key.into(), value.into());
    }
    let output = world.sh("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/lo/accept_local");
    assert_eq!(output.out, "1\n1\n", "{output:?}");
    world.spec.linux.sysctl.insert("net.does.not.exist".into(), "1".into());
    let error = world.error();
    assert_eq!(error.to_string(), "cannot set the kernel parameter `net.does.not.exist`");
}

fn owners_are_the_containers() {
    let mut world = World::new();
    fs::set_permissions(world.root().join("srv"), PermissionsExt::from_mode(0o700)).unwrap();
    let output = world.sh("touch /srv/x; stat -L -c '%u' /srv/x /proc/1; cat /proc/self/uid_map");
    assert!(output.out.starts_with("0\n0\n"), "{output:?}");
    assert!(output.out.contains(&FIRST_ID.to_string()), "{output:?}");
    assert_eq!(fs::metadata(world.root().join("srv/x")).unwrap().uid(), 0, "plain on disk");
}
