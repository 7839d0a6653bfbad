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
