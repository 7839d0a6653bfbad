//! Namespaces: shared ones, the host's, and a start without root.

use std::fs;
use std::os::fd::OwnedFd;

use corten_runtime::spec::{IdMapping, NsKind};
use corten_runtime::{External, Join, StartError, Step};
use rustix::fs::{Mode, OFlags};

use crate::Case;
use crate::world::{Sleeper, World, mount};

pub const CASES: &[Case] = &[
    ("namespaces::maps_and_loopback", maps_and_loopback),
    ("namespaces::a_sandbox_is_joined", a_sandbox_is_joined),
    ("namespaces::a_network_of_another_user_namespace", a_network_of_another_user_namespace),
    ("namespaces::pids_of_another_container", pids_of_another_container),
    ("namespaces::a_join_by_path", a_join_by_path),
    ("namespaces::the_hosts_network_and_pids", the_hosts_network_and_pids),
    ("namespaces::a_failed_join_leaves_nothing", a_failed_join_leaves_nothing),
    ("namespaces::rootless_with_one_id", rootless_with_one_id),
    ("namespaces::rootless_as_another_user", rootless_as_another_user),
];

/// Run by other cases in a process of their own.
pub const INNER: &[Case] = &[("namespaces::another_user", another_user)];

fn link(pid: &str, name: &str) -> String {
    fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap().to_str().unwrap().to_owned()
}

fn maps_and_loopback() {
    let mut world = World::new();
    let sleeper = world.sleeper();
    let pid = sleeper.0.pid.to_string();
    for name in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        assert_ne!(link(&pid, name), link("self", name), "{name}");
    }
    let map = fs::read_to_string(format!("/proc/{pid}/gid_map")).unwrap();
    assert_eq!(map.split_ascii_whitespace().collect::<Vec<_>>(), ["0", "1500000000", "65536"]);
    let output = World::new().sh("ip addr show lo | grep -c 127.0.0.1; ip link | grep -c UP");
    assert_eq!(output.out, "1\n1\n", "{output:?}");
}

fn ns(sleeper: &Sleeper, kind: NsKind) -> Join {
    let path = format!("/proc/{}/ns/{}", sleeper.0.pid, kind.word());
    let fd: OwnedFd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    Join { kind, fd }
}

fn a_sandbox_is_joined() {
    let mut first = World::new();
    first.spec.hostname = "first".into();
    let holder = first.sleeper();
    let mut second = World::new();
    let kinds = [NsKind::Net, NsKind::User, NsKind::Ipc, NsKind::Uts];
    second.join = kinds.map(|kind| ns(&holder, kind)).into();
    second.spec.process.args = ["sleep", "1000"].map(String::from).to_vec();
    let sleeper = second.sleeper();
    for kind in kinds {
        assert_eq!(
            link(&sleeper.0.pid.to_string(), kind.word()),
            link(&holder.0.pid.to_string(), kind.word())
        );
        assert!(sleeper.0.external.contains(&External::Namespace(kind)));
    }
    assert_ne!(link(&sleeper.0.pid.to_string(), "pid"), link(&holder.0.pid.to_string(), "pid"));
    drop(sleeper);
    second.join = kinds.map(|kind| ns(&holder, kind)).into();
    let output = second.sh("hostname; echo $$; id -u; stat -c %u /srv /dev/null; ls -d /sys/class/net/lo; nc -l -p 80 & ls /dev/pts");
    assert!(output.out.starts_with("first\n1\n0\n0\n0\n/sys/class/net/lo\n"), "{output:?}");
}

fn a_network_of_another_user_namespace() {
    let mut first = World::new();
    let holder = first.sleeper();
    let mut second = World::new();
    second.join = vec![ns(&holder, NsKind::Net)];
    let output = second
        .sh("id -u; ls -d /sys/class/net; touch /sys/x 2>/dev/null || echo ro; readlink /proc/self/ns/net");
    let net = link(&holder.0.pid.to_string(), "net");
    assert_eq!(output.out, format!("0\n/sys/class/net\nro\n{net}\n"), "{output:?}");
}

fn pids_of_another_container() {
    let mut first = World::new();
    let holder = first.sleeper();
    let mut second = World::new();
    second.join = vec![ns(&holder, NsKind::User), ns(&holder, NsKind::Pid)];
    let output = second.sh("cat /proc/1/cmdline | grep -c sleep; test $$ = 1 || echo other");
    assert_eq!(output.out, "1\nother\n", "{output:?}");
}

fn a_join_by_path() {
    let mut first = World::new().without_userns();
    let holder = first.sleeper();
    let mut second = World::new().without_userns();
    let path = format!("/proc/{}/ns/net", holder.0.pid);
    second.spec.linux.namespaces.iter_mut().find(|n| n.kind == NsKind::Net).unwrap().path = path;
    let output = second.sh("readlink /proc/self/ns/net");
    assert_eq!(output.out.trim(), link(&holder.0.pid.to_string(), "net"));
}

fn the_hosts_network_and_pids() {
    for mut world in [World::new(), World::new().without_userns()] {
        world.spec.linux.namespaces.retain(|n| !matches!(n.kind, NsKind::Net | NsKind::Pid));
        let output = world.sh("readlink /proc/self/ns/net /proc/self/ns/pid; for n in net pid; do readlink /proc/self/ns/$n; done; ls /sys/kernel >/dev/null && echo sys; cat /proc/interrupts | wc -c");
        let expected = format!("{}\n{}\nsys\n0\n", link("self", "net"), link("self", "pid"));
        assert_eq!(output.out, expected, "{output:?}");
        let hosts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!hosts.contains("corten"), "nothing came back to the host");
    }
}

fn a_failed_join_leaves_nothing() {
    let mut world = World::new();
    let file = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    world.join = vec![Join { kind: NsKind::Net, fd: file }];
    let error = world.error();
    assert!(matches!(error, StartError::Step { step: Step::Join, .. }), "{error:?}");
    assert_eq!(error.to_string(), "cannot join the namespace `net`");
}

/// The paths of a caller without root: here root itself with its own id, so that no other user is needed.
fn rootless_with_one_id() {
    let mut world = rootless(0);
    let source = world.dir.path().join("root/srv");
    world.spec.mounts.push(mount("/data", "bind", source.to_str().unwrap(), "rbind,ro"));
    let output = world.sh(
        "cat /proc/self/setgroups; id -u; echo x > /dev/null; head -c 2 /dev/zero | wc -c; ls /data; \
         touch /data/x 2>/dev/null || echo ro; mkdir /sys/fs/cgroup/x 2>/dev/null || echo no; echo y > /dev/stdout",
    );
    assert_eq!(output.out, "deny\n0\n2\nro\nno\ny\n", "{output:?}");
    world.fallbacks.attached_mounts = true;
    assert_eq!(world.sh("echo x > /dev/null; ls /dev/pts/ptmx").out, "/dev/pts/ptmx\n");
    world.spec.process.user.additional_gids = vec![0];
    let sleeper = world.sleeper();
    assert_eq!(world.exec(&sleeper, &crate::world::shell("id -u; echo z")).unwrap().out, "0\nz\n");
}

fn rootless(id: u32) -> World {
    let mut world = World::new();
    world.rootless = true;
    let one = vec![IdMapping { container_id: 0, host_id: id, size: 1 }];
    world.spec.linux.uid_mappings = one.clone();
    world.spec.linux.gid_mappings = one;
    world.spec.mounts.retain(|m| m.kind != "cgroup");
    world
}

const SOMEBODY: u32 = 54_321;

fn rootless_as_another_user() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let binary = dir.path().join("containers-copy");
    fs::copy("/proc/self/exe", &binary).unwrap();
    fs::set_permissions(&binary, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let id = SOMEBODY.to_string();
    let output = std::process::Command::new("setpriv")
        .args(["--reuid", &id, "--regid", &id, "--clear-groups", binary.to_str().unwrap()])
        .args(["--alone", "namespaces::another_user"])
        .env_remove("TMPDIR")
        .current_dir("/")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn another_user() {
    let mut world = rootless(SOMEBODY);
    let output =
        world.sh("id -u; hostname; echo x > /dev/null; touch /srv/made; ip link | grep -c UP; echo $$");
    assert_eq!(output.out, "0\nbox\n1\n1\n", "{output:?}");
    assert!(world.root().join("srv/made").exists());
    world.spec.process.oom_score_adj = Some(700);
    let output = world.sh("cat /proc/self/oom_score_adj; mkdir /sys/fs/cgroup/x 2>/dev/null || echo no");
    assert_eq!(output.out, "700\nno\n", "{output:?}");
    let sleeper = world.sleeper();
    let mut process = crate::world::shell("id -u; hostname; cat /proc/self/oom_score_adj");
    process.oom_score_adj = Some(800);
    let output = world.exec(&sleeper, &process).unwrap();
    assert_eq!(output.out, "0\nbox\n800\n", "{output:?}");
    drop(sleeper);
    world.spec.linux.uid_mappings.push(IdMapping { container_id: 1, host_id: 900_000, size: 10 });
    assert!(matches!(world.error(), StartError::MapHelper { program: "newuidmap", .. }));
}
