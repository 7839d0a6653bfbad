//! What a container may do: capabilities, privileges, masks, devices, limits of a process.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::{BUSYBOX, Host};

/// The capability sets of a process, as hexadecimal numbers.
fn capabilities(host: &Host, flags: &[&str], set: &str) -> u64 {
    let ran = host.shell_with(flags, &format!("sed -n 's/^{set}:\\t//p' /proc/self/status"));
    ran.success();
    u64::from_str_radix(&ran.text(), 16).expect("a set is a hexadecimal number")
}

const DEFAULT: u64 = 0xa804_25fb;
const CHOWN: u64 = 1;
const MKNOD: u64 = 1 << 27;
const NET_ADMIN: u64 = 1 << 12;

#[test]
fn capabilities_are_docker_s_with_changes() {
    let host = Host::with_busybox();
    let check = |flags: &[&str], expected: u64| {
        assert_eq!(capabilities(&host, flags, "CapEff"), expected, "{flags:?}");
        assert_eq!(capabilities(&host, flags, "CapBnd"), expected, "{flags:?}");
    };
    check(&[], DEFAULT);
    check(&["--cap-drop", "ALL"], 0);
    check(&["--cap-drop", "all", "--cap-add", "chown"], CHOWN);
    check(&["--cap-drop", "MKNOD"], DEFAULT & !MKNOD);
    check(&["--cap-add", "CAP_NET_ADMIN"], DEFAULT | NET_ADMIN);
    host.run(["run", "--rm", "--cap-add", "FLY", BUSYBOX, "true"]).fails(125).stderr_has("FLY");
}

#[test]
fn an_ordinary_user_has_no_effective_capabilities() {
    let host = Host::with_busybox();
    assert_eq!(capabilities(&host, &["-u", "app"], "CapEff"), 0);
    assert_eq!(capabilities(&host, &["-u", "app"], "CapBnd"), DEFAULT);
}

#[test]
fn privileged_has_everything_and_says_why_it_is_on_the_host() {
    let host = Host::with_busybox();
    let script =
        "mount -t tmpfs none /mnt 2>/dev/null || { mkdir /mnt; mount -t tmpfs none /mnt; } && echo mounted
        grep Seccomp: /proc/self/status; cat /proc/self/uid_map";
    let ran = host.shell_with(&["--privileged"], script);
    ran.success().stdout_has("mounted").stdout_has("Seccomp:\t0").stdout_has("4294967295");
    host.run(["create", "--name", "priv", "--privileged", BUSYBOX, "true"]).success();
    assert_eq!(host.inspect("priv")["HostConfig"]["Privileged"], true);
    assert!(host.run(["inspect", "priv"]).text().contains("--privileged"), "inspect says why");
    let both = host.run(["run", "--rm", "--privileged", "--userns", "auto", BUSYBOX, "true"]);
    both.fails(125).stderr_has("--privileged");
}

#[test]
fn powers_that_need_the_host_s_user_namespace_get_it() {
    let host = Host::with_busybox();
    let map = |flags: &[&str]| {
        let ran = host.shell_with(flags, "cat /proc/self/uid_map");
        ran.success();
        ran.text().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(map(&["--cap-add", "SYS_TIME"]), ["0", "0", "4294967295"]);
    assert_eq!(map(&["--userns", "host"]), ["0", "0", "4294967295"]);
    let own = map(&[]);
    assert_eq!((own[0].as_str(), own[2].as_str()), ("0", "65536"));
    assert_ne!(own[1], "0");
}

#[test]
fn two_containers_have_different_ids_on_the_host() {
    let host = Host::with_busybox();
    host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    host.start(["--name", "two", BUSYBOX, "sleep", "1000"]);
    let map = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/{}/uid_map", host.pid(name))).unwrap();
        text.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_ne!(map("one"), map("two"));
}

#[test]
fn security_options() {
    let host = Host::with_busybox();
    let status = "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status";
    host.shell(status).success().stdout_is("NoNewPrivs:\t0\nSeccomp:\t2");
    host.shell_with(&["--security-opt", "no-new-privileges"], status).stdout_has("NoNewPrivs:\t1");
    host.shell_with(&["--security-opt", "seccomp=unconfined"], status).stdout_has("Seccomp:\t0");
    let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":30}]}"#;
    let option = format!("seccomp={}", host.file("profile.json", profile));
    let ran = host.shell_with(&["--security-opt", &option], "mkdir /tmp/x");
    ran.exits(1).stderr_has("Read-only file system");
    let masked = "cat /proc/kcore 2>/dev/null | head -c 1 | wc -c; echo x 2>/dev/null > /proc/sys/kernel/hostname || echo ro";
    host.shell_with(
        &["--security-opt", "systempaths=unconfined"],
        "grep -c ' /proc/' /proc/self/mountinfo || true",
    )
    .success()
    .stdout_is("0");
    host.shell(masked).success().stdout_is("0\nro");
    host.run(["run", "--rm", "--security-opt", "seccomp=/no/such/file", BUSYBOX, "true"]).fails(125);
    let broken = format!("seccomp={}", host.file("broken.json", "{"));
    host.run(["run", "--rm", "--security-opt", &broken, BUSYBOX, "true"])
        .fails(125)
        .stderr_has("broken.json");
}

#[test]
fn a_read_only_root_has_writable_places_where_asked() {
    let host = Host::with_busybox();
    let script = "touch /x 2>&1; touch /tmp/x && echo tmp; touch /dev/shm/x && echo shm";
    let ran = host.shell_with(&["--read-only", "--tmpfs", "/tmp"], script);
    ran.success().stdout_is("touch: /x: Read-only file system\ntmp\nshm");
}

#[test]
fn sysctls_of_its_own_namespaces_are_set() {
    let host = Host::with_busybox();
    let read = "cat /proc/sys/net/ipv4/ip_forward";
    host.shell_with(&["--sysctl", "net.ipv4.ip_forward=1"], read).success().stdout_is("1");
    let refused = host.run(["run", "--rm", "--sysctl", "vm.swappiness=1", BUSYBOX, "true"]);
    refused.fails(125).stderr_has("vm.swappiness");
    let missing = host.run(["run", "--rm", "--sysctl", "net.ipv4.no_such=1", BUSYBOX, "true"]);
    missing.fails(125).stderr_has("net.ipv4.no_such");
}

#[test]
fn devices_are_few_and_more_on_request() {
    let host = Host::with_busybox();
    let ran = host.shell("ls /dev; echo x > /dev/null && head -c 3 /dev/zero | wc -c");
    ran.success().stdout_has("null").stdout_has("urandom").stdout_has("3").stdout_lacks("kmsg");
    // The kernel's log is in no default; without `w` even root may not open it for writing.
    let node = host.path().join("node").display().to_string();
    assert!(std::process::Command::new("mknod").args([&node, "c", "1", "11"]).status().unwrap().success());
    let write = ": > /dev/log-node && echo wrote";
    host.shell_with(&["--device", &format!("{node}:/dev/log-node")], write).success().stdout_is("wrote");
    host.shell_with(&["--device", &format!("{node}:/dev/log-node:r")], write)
        .unsuccessful()
        .stdout_lacks("wrote");
    host.run(["run", "--rm", "--device", "/dev/no-such", BUSYBOX, "true"])
        .fails(125)
        .stderr_has("/dev/no-such");
    host.run(["run", "--rm", "--device", "/dev/zero:/dev/z:q", BUSYBOX, "true"]).fails(125);
}

#[test]
fn ulimits() {
    let host = Host::with_busybox();
    let check = |flag: &str, ask: &str, expected: &str| {
        host.shell_with(&["--ulimit", flag], ask).success().stdout_is(expected);
    };
    check("nofile=64:128", "ulimit -Sn; ulimit -Hn", "64\n128");
    check("core=0", "ulimit -c", "0");
    host.run(["run", "--rm", "--ulimit", "nosuch=1", BUSYBOX, "true"]).fails(125).stderr_has("nosuch");
    host.run(["run", "--rm", "--ulimit", "nofile=2:1", BUSYBOX, "true"]).fails(125).stderr_has("nofile");
}
