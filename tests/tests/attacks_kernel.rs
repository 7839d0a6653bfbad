//! The kernel's doors that a container has no business at: what seccomp and capabilities answer there.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::{BUSYBOX, Host, busybox_files, probe};

const EPERM: i32 = 1;
const ENOSYS: i32 = 38;
const CLONE_NEWUSER: u32 = 0x1000_0000;

/// System calls that Docker's default profile keeps from an ordinary container: name, number, arguments, errno.
const REFUSED: [(&str, u32, [u32; 3], i32); 53] = [
    ("ustat", 136, [0; 3], EPERM),
    ("sysfs", 139, [1, 0, 0], EPERM),
    ("uselib", 134, [0; 3], EPERM),
    ("vhangup", 153, [0; 3], EPERM),
    ("pivot_root", 155, [0; 3], EPERM),
    ("_sysctl", 156, [0; 3], EPERM),
    ("acct", 163, [0; 3], EPERM),
    ("settimeofday", 164, [0; 3], EPERM),
    ("mount", 165, [0; 3], EPERM),
    ("umount2", 166, [0; 3], EPERM),
    ("swapon", 167, [0; 3], EPERM),
    ("swapoff", 168, [0; 3], EPERM),
    ("reboot", 169, [0; 3], EPERM),
    ("sethostname", 170, [0; 3], EPERM),
    ("setdomainname", 171, [0; 3], EPERM),
    ("iopl", 172, [3, 0, 0], EPERM),
    ("ioperm", 173, [0, 1, 1], EPERM),
    ("create_module", 174, [0; 3], EPERM),
    ("init_module", 175, [0; 3], EPERM),
    ("delete_module", 176, [0; 3], EPERM),
    ("get_kernel_syms", 177, [0; 3], EPERM),
    ("query_module", 178, [0; 3], EPERM),
    ("quotactl", 179, [0; 3], EPERM),
    ("nfsservctl", 180, [0; 3], EPERM),
    ("syslog", 103, [3, 0, 0], EPERM),
    ("clock_settime", 227, [0; 3], EPERM),
    ("lookup_dcookie", 212, [0; 3], EPERM),
    ("kexec_load", 246, [0; 3], EPERM),
    ("add_key", 248, [0; 3], EPERM),
    ("request_key", 249, [0; 3], EPERM),
    ("keyctl", 250, [0; 3], EPERM),
    ("unshare", 272, [CLONE_NEWUSER, 0, 0], EPERM),
    ("clone", 56, [CLONE_NEWUSER | 17, 0, 0], EPERM),
    ("move_pages", 279, [0; 3], EPERM),
    ("perf_event_open", 298, [0; 3], EPERM),
    ("fanotify_init", 300, [0; 3], EPERM),
    ("open_by_handle_at", 304, [0; 3], EPERM),
    ("setns", 308, [0; 3], EPERM),
    ("kcmp", 312, [0; 3], EPERM),
    ("finit_module", 313, [0; 3], EPERM),
    ("kexec_file_load", 320, [0; 3], EPERM),
    ("bpf", 321, [0; 3], EPERM),
    ("userfaultfd", 323, [0; 3], EPERM),
    ("io_uring_setup", 425, [1, 0, 0], EPERM),
    ("io_uring_enter", 426, [0; 3], EPERM),
    ("io_uring_register", 427, [0; 3], EPERM),
    ("open_tree", 428, [0; 3], EPERM),
    ("move_mount", 429, [0; 3], EPERM),
    ("fsopen", 430, [0; 3], EPERM),
    ("fsconfig", 431, [0; 3], EPERM),
    ("fsmount", 432, [0; 3], EPERM),
    ("fspick", 433, [0; 3], EPERM),
    // Programs fall back to clone, whose arguments a filter can see.
    ("clone3", 435, [0; 3], ENOSYS),
];

/// An image with one program for each of these calls.
fn image(host: &Host, calls: &[(&str, u32, [u32; 3], i32)]) {
    let mut tar = busybox_files().directory("probe/", 0o755);
    for (name, number, arguments, _) in calls {
        tar = tar.file(&format!("probe/{name}"), 0o755, &probe(*number, *arguments));
    }
    host.import("probes", tar.bytes());
}

/// Runs them all and compares.
fn check(host: &Host, flags: &[&str], calls: &[(&str, u32, [u32; 3], i32)]) {
    let script = "for p in /probe/*; do $p; echo ${p##*/} $?; done";
    let ran = host.run(["run", "--rm"].iter().chain(flags).chain(&["probes", "sh", "-c", script]));
    ran.success();
    let got = ran.lines();
    let wrong: Vec<String> = calls
        .iter()
        .filter(|(name, _, _, errno)| !got.contains(&format!("{name} {errno}")))
        .map(|(name, _, _, errno)| {
            let line = got.iter().find(|l| l.split(' ').next() == Some(name));
            format!("{name}: expected {errno}, got {line:?}")
        })
        .collect();
    assert!(wrong.is_empty(), "{flags:?}\n{}", wrong.join("\n"));
}

#[test]
fn the_default_profile_refuses_what_docker_s_refuses() {
    let host = Host::new();
    image(&host, &REFUSED);
    check(&host, &[], &REFUSED);
    check(&host, &["--userns", "host"], &REFUSED);
    check(&host, &["--init"], &REFUSED);
    check(&host, &["-u", "app"], &REFUSED);
}

#[test]
fn it_lets_through_what_programs_need() {
    let host = Host::new();
    // getpid, sched_yield, getrandom(null, 0), membarrier(query), landlock_create_ruleset(version), futex_waitv(null)
    let allowed = [
        ("getpid", 39, [0; 3], 0),
        ("sched_yield", 24, [0; 3], 0),
        ("getrandom", 318, [0; 3], 0),
        ("membarrier", 324, [0; 3], 0),
        ("futex_waitv", 449, [0; 3], 22),
        ("close_range", 436, [100, 200, 0], 0),
        ("pidfd_open", 434, [0; 3], 22),
        ("unknown", 100_000, [0; 3], ENOSYS),
    ];
    image(&host, &allowed);
    check(&host, &[], &allowed);
}

#[test]
fn exec_is_under_the_same_filter() {
    let host = Host::new();
    image(&host, &REFUSED);
    host.start(["--name", "one", "probes", "sleep", "1000"]);
    for (name, _, _, errno) in REFUSED {
        host.run(["exec", "one", &format!("/probe/{name}")]).exits(errno);
    }
}

#[test]
fn a_capability_opens_what_it_is_for() {
    let host = Host::new();
    let calls = [("sethostname", 170, [0; 3], 0), ("bpf", 321, [100, 0, 0], 22)];
    image(&host, &calls);
    check(&host, &["--cap-add", "SYS_ADMIN"], &calls);
}

#[test]
fn namespaces_and_mounts_are_refused_to_tools_too() {
    // CVE-2022-0185, CVE-2022-0492.
    let host = Host::with_busybox();
    let script = "unshare -U true 2>&1; mkdir /m; mount -t tmpfs none /m 2>&1; mount -t cgroup -o memory none /m 2>&1; echo end";
    let ran = host.shell(script);
    ran.success().stdout_has("end");
    let refused = ran.text().to_lowercase().matches("permi").count();
    ran.check(refused == 3, "not all three were refused");
    host.run(["run", "--rm", BUSYBOX, "dmesg"]).unsuccessful();
    let clock = host.run(["run", "--rm", BUSYBOX, "date", "-s", "2020-01-01 00:00:00"]);
    clock.check(clock.errors().contains("not permitted"), "the clock can be set");
}
