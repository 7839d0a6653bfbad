//! Which namespaces a container has for itself and which it shares.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::{BUSYBOX, Host};

/// The namespace of our own process.
fn ours(kind: &str) -> String {
    std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().to_string_lossy().into_owned()
}

/// The namespace of a container made with `flags`.
fn theirs(host: &Host, flags: &[&str], kind: &str) -> String {
    let ran = host.shell_with(flags, &format!("readlink /proc/self/ns/{kind}"));
    ran.success();
    ran.text()
}

#[test]
fn every_namespace_is_its_own_unless_asked() {
    let host = Host::with_busybox();
    let check = |kind: &str, flags: &[&str]| {
        assert_ne!(theirs(&host, &[], kind), ours(kind), "{kind}");
        assert_eq!(theirs(&host, flags, kind), ours(kind), "{kind} {flags:?}");
    };
    check("net", &["--network", "host"]);
    check("pid", &["--pid", "host"]);
    check("ipc", &["--ipc", "host"]);
    check("uts", &["--uts", "host"]);
    check("user", &["--userns", "host"]);
    check("cgroup", &["--cgroupns", "host"]);
    assert_ne!(theirs(&host, &["--privileged"], "mnt"), ours("mnt"));
}

#[test]
fn without_a_network_there_is_loopback_and_nothing_else() {
    let host = Host::with_busybox();
    let ran = host
        .shell_with(&["--network", "none"], "ls /sys/class/net; ip addr show lo | grep -c 'inet 127.0.0.1'");
    ran.success().stdout_is("lo\n1");
}

#[test]
fn containers_share_what_they_are_told_to() {
    let host = Host::with_busybox();
    host.start(["--name", "one", "--ipc", "shareable", BUSYBOX, "sleep", "1000"]);
    let of_a = |kind: &str| {
        let link = std::fs::read_link(format!("/proc/{}/ns/{kind}", host.pid("one"))).unwrap();
        link.to_string_lossy().into_owned()
    };
    assert_eq!(theirs(&host, &["--network", "container:one"], "net"), of_a("net"));
    assert_eq!(theirs(&host, &["--pid", "container:one"], "pid"), of_a("pid"));
    assert_eq!(theirs(&host, &["--ipc", "container:one"], "ipc"), of_a("ipc"));
    let seen = host.shell_with(&["--pid", "container:one"], "ps -o args | grep -c '[s]leep 1000'");
    seen.success().stdout_is("1");
    host.shell_with(&["--network", "container:one"], "ip link show lo | grep -c UP").success().stdout_is("1");
}

#[test]
fn a_private_ipc_namespace_is_not_shared() {
    let host = Host::with_busybox();
    host.start(["--name", "one", "--ipc", "private", BUSYBOX, "sleep", "1000"]);
    host.run(["run", "--rm", "--ipc", "container:one", BUSYBOX, "true"]).fails(125).stderr_has("shareable");
}

#[test]
fn shared_memory_is_shared_with_its_files() {
    let host = Host::with_busybox();
    let flags = ["--name", "one", "--ipc", "shareable", "--shm-size", "1m"];
    host.start(flags.iter().chain(&[BUSYBOX, "sh", "-c", "echo hi > /dev/shm/x; echo done; sleep 1000"]));
    host.wait_logs("one", "done");
    let script = "cat /dev/shm/x; echo more >> /dev/shm/x; df -k /dev/shm | tail -n 1 | awk '{print $2}'";
    host.shell_with(&["--ipc", "container:one"], script).success().stdout_is("hi\n1024");
    host.run(["exec", "one", "cat", "/dev/shm/x"]).success().stdout_is("hi\nmore");
    // One that joined it shares it on.
    host.start(["--name", "two", "--ipc", "container:one", BUSYBOX, "sleep", "1000"]);
    host.shell_with(&["--ipc", "container:two"], "head -n 1 /dev/shm/x").success().stdout_is("hi");
    host.shell_with(&["--network", "container:one"], "ls /dev/shm").success().stdout_is("");
    host.shell_with(&["--ipc", "container:one", "--tmpfs", "/dev/shm"], "ls /dev/shm")
        .success()
        .stdout_is("");
    let mine = std::fs::metadata("/dev/shm").unwrap();
    let device = std::os::unix::fs::MetadataExt::dev(&mine).to_string();
    host.shell_with(&["--ipc", "host"], "stat -c %d /dev/shm").success().stdout_is(&device);
}

#[test]
fn a_symlink_in_place_of_shared_memory_leads_nowhere() {
    let host = Host::with_busybox();
    let script = "umount /dev/shm && rmdir /dev/shm && ln -s / /dev/shm && echo done; sleep 1000";
    let flags = ["--name", "one", "--ipc", "shareable", "--cap-add", "SYS_ADMIN"];
    host.start(flags.iter().chain(&["--security-opt", "seccomp=unconfined", BUSYBOX, "sh", "-c", script]));
    host.wait_logs("one", "done");
    host.run(["run", "--rm", "--ipc", "container:one", BUSYBOX, "ls", "/dev/shm"])
        .fails(125)
        .stderr_has("/dev/shm");
}

#[test]
fn who_comes_back_finds_the_namespaces_that_others_hold_for_it() {
    let host = Host::with_busybox();
    let namespace = |name: &str, kind: &str| {
        let link = std::fs::read_link(format!("/proc/{}/ns/{kind}", host.pid(name))).unwrap();
        link.to_string_lossy().into_owned()
    };
    host.start(["--name", "one", "--ipc", "shareable", BUSYBOX, "sleep", "1000"]);
    let joins = ["--network", "container:one", "--ipc", "container:one"];
    host.start(["--name", "two"].iter().chain(&joins).chain(&[BUSYBOX, "sleep", "1000"]));
    let before = ["user", "net", "ipc"].map(|kind| namespace("one", kind));
    host.run(["exec", "two", "touch", "/dev/shm/kept"]).success();
    host.run(["stop", "-t", "0", "one"]).success();
    host.run(["start", "one"]).success();
    assert_eq!(["user", "net", "ipc"].map(|kind| namespace("one", kind)), before);
    assert_eq!(["user", "net", "ipc"].map(|kind| namespace("two", kind)), before);
    host.run(["exec", "one", "ls", "/dev/shm"]).success().stdout_is("kept");
    // A network of its own in the same sandbox is none of the first one's.
    host.start(["--name", "three", "--ipc", "container:one", BUSYBOX, "sleep", "1000"]);
    host.start(["--name", "four", "--network", "container:three", BUSYBOX, "sleep", "1000"]);
    host.run(["rm", "-f", "two"]).success();
    host.run(["stop", "-t", "0", "one"]).success();
    host.run(["start", "one"]).success();
    assert_ne!(namespace("one", "net"), namespace("four", "net"));
    assert_eq!(namespace("one", "ipc"), namespace("three", "ipc"));
    host.run(["rm", "-f", "one", "three", "four"]).success();
}

#[test]
fn who_to_share_with_has_to_run() {
    let host = Host::with_busybox();
    host.run(["create", "--name", "stopped", BUSYBOX, "true"]).success();
    for flag in ["--network", "--pid", "--ipc"] {
        host.run(["run", "--rm", flag, "container:stopped", BUSYBOX, "true"])
            .fails(125)
            .stderr_has("stopped");
        host.run(["run", "--rm", flag, "container:nobody", BUSYBOX, "true"]).fails(125).stderr_has("nobody");
    }
}

#[test]
fn a_host_network_needs_no_sysfs_of_its_own() {
    let host = Host::with_busybox();
    host.shell_with(&["--network", "host"], "ls /sys/class/net | grep -c lo").success().stdout_is("1");
    host.shell_with(&["--network", "host"], "hostname; cat /proc/net/dev | grep -c lo:")
        .success()
        .stdout_has("1");
}

#[test]
fn a_hostname_on_the_host_s_uts_is_refused() {
    let host = Host::with_busybox();
    host.run(["run", "--rm", "--uts", "host", "--hostname", "x", BUSYBOX, "true"])
        .fails(125)
        .stderr_has("hostname");
}

#[test]
fn the_container_s_own_group_is_the_root_of_its_cgroup_namespace() {
    let host = Host::with_busybox();
    let ran = host.shell("grep -v ':/$' /proc/self/cgroup | wc -l");
    ran.success().stdout_is("0");
}

#[test]
fn unknown_modes_are_refused() {
    let host = Host::with_busybox();
    for flag in ["--network", "--pid", "--ipc", "--uts", "--userns", "--cgroupns"] {
        host.run(["run", "--rm", flag, "nonsense", BUSYBOX, "true"]).fails(125).stderr_has("nonsense");
    }
}

#[test]
fn host_ids_are_taken_for_every_store_while_a_container_runs() {
    use rustix::fs::{FlockOperation, flock};
    let host = Host::with_busybox();
    host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    let base = host.inspect("one")["Sandbox"]["HostIds"]["First"].clone();
    let path = format!("/run/corten-ids/{base}");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata("/run/corten-ids").unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);
    let file = std::fs::File::open(&path).unwrap();
    let is_held = || {
        let held = flock(&file, FlockOperation::NonBlockingLockExclusive).is_err();
        flock(&file, FlockOperation::Unlock).unwrap();
        held
    };
    assert!(is_held(), "its keeper holds {path}");
    let noted = std::fs::read_to_string(&path).unwrap();
    assert_eq!(noted.split(' ').next(), Some(host.pid("one").to_string().as_str()), "{noted}");
    host.run(["rm", "-f", "one"]).success();
    corten_tests::wait_until("its keeper lets them go", || (!is_held()).then_some(()));
}
