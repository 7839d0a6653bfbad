//! Known attacks with files: symbolic links where we mount or make something, and stores that others may read.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use corten_tests::{BUSYBOX, Host, busybox_files};

#[test]
fn masks_do_not_trust_the_image_s_dev_null() {
    // CVE-2025-31133.
    let host = Host::new();
    let tar = busybox_files().symlink("dev/null", "/proc/sysrq-trigger").symlink("dev/full", "/etc/passwd");
    host.import("odd", tar.bytes());
    let script = "stat -c %t:%T /dev/null; cat /proc/kcore | wc -c; cat /proc/keys | wc -c; ls /proc/scsi /sys/firmware | wc -l";
    let ran = host.run(["run", "--rm", "odd", "sh", "-c", script]);
    ran.stdout_has("1:3\n0\n0");
}

#[test]
fn the_console_is_not_made_through_a_link_of_the_image() {
    // CVE-2025-52565.
    let host = Host::new();
    let tar = busybox_files()
        .symlink("dev/console", "/etc/target")
        .symlink("dev/pts", "/etc")
        .symlink("dev/ptmx", "/etc/x");
    host.import("odd", tar.bytes());
    let script = "[ -L /dev/console ] && echo link; stat -c %F /dev/console; ls /etc | tr '\\n' ' '";
    let mut terminal = host.call(["run", "-it", "--rm", "odd", "sh", "-c", script]).terminal();
    terminal.finish().success().stdout_has("character").stdout_lacks("link").stdout_lacks("target");
}

#[test]
fn nothing_is_mounted_over_proc() {
    // CVE-2019-16884, CVE-2023-28642, CVE-2025-52881: what we write there would go elsewhere.
    let host = Host::with_busybox();
    let dir = host.directory("dir");
    for target in ["/proc", "/proc/self", "/proc/self/attr", "/proc/sys", "/proc/sys/kernel", "/proc/1/fd"] {
        host.run(["run", "--rm", "-v", &format!("{dir}:{target}"), BUSYBOX, "true"])
            .fails(125)
            .stderr_has("/proc");
        host.run(["run", "--rm", "--tmpfs", target, BUSYBOX, "true"]).fails(125).stderr_has("/proc");
        host.run(["run", "--rm", "-v", target, BUSYBOX, "true"]).fails(125).stderr_has("/proc");
    }
    let import = ["import", "-c", "VOLUME /proc", "-", "odd"];
    let made = host.call(import).stdin(busybox_files().bytes()).output();
    if made.code == 0 {
        host.run(["run", "--rm", "odd", "true"]).fails(125).stderr_has("/proc");
    }
}

/// The masks hold: fails the test if they can be seen around.
fn masked_or_refused(host: &Host, words: &[&str]) {
    let script = "stat -f -c %T /proc; cat /proc/kcore | wc -c; [ -w /proc/sysrq-trigger ] && echo writable";
    let ran = host.run(words.iter().chain(&["sh", "-c", script]));
    if ran.code == 125 {
        ran.fails(125);
    } else {
        ran.stdout_has("proc\n0").stdout_lacks("writable");
    }
}

#[test]
fn a_proc_or_sys_that_is_a_link_is_no_way_around_the_masks() {
    // CVE-2019-19921, CVE-2023-27561.
    let host = Host::new();
    let base = || {
        // The same files without the two directories.
        corten_tests::tar::Tar::new().directory("bin/", 0o755)
    };
    let busybox = fs::read("/usr/bin/busybox").or_else(|_| fs::read("/bin/busybox")).unwrap();
    let with = |tar: corten_tests::tar::Tar| {
        let mut tar = tar.file("bin/busybox", 0o755, &busybox);
        for applet in ["sh", "stat", "cat", "wc", "ls"] {
            tar = tar.symlink(&format!("bin/{applet}"), "busybox");
        }
        tar.bytes()
    };
    host.import("proc", with(base().directory("elsewhere/", 0o755).symlink("proc", "/elsewhere")));
    host.import("sys", with(base().directory("elsewhere/", 0o755).symlink("sys", "elsewhere")));
    host.import("out", with(base().symlink("proc", "../../../../../../tmp").symlink("sys", "/")));
    for image in ["proc", "sys", "out"] {
        masked_or_refused(&host, &["run", "--rm", image]);
    }
}

#[test]
fn a_volume_over_a_link_to_proc_is_no_way_either() {
    let host = Host::new();
    host.import("odd", busybox_files().symlink("p", "/proc").symlink("q", "proc/sys").bytes());
    for volume in ["v:/p", "v:/q", "v:/p/sys"] {
        masked_or_refused(&host, &["run", "--rm", "-v", volume, "odd"]);
    }
}

#[test]
fn a_mount_s_target_is_resolved_inside() {
    // CVE-2021-30465, CVE-2024-45310: neither a mount nor a directory for one appears on the host.
    let host = Host::with_busybox();
    let (target, source) = (host.directory("target"), host.directory("source"));
    fs::write(format!("{source}/mark"), "inside").unwrap();
    let links = format!(
        "ln -s {target} /data/absolute; ln -s ../../../../../../../..{target} /data/climbing; ln -s / /data/root"
    );
    host.shell_with(&["-v", "shared:/data"], &links).success();
    for link in ["absolute", "climbing", "root"] {
        let mount = format!("{source}:/data/{link}/new");
        let ran =
            host.shell_with(&["-v", "shared:/data", "-v", &mount], &format!("cat /data/{link}/new/mark"));
        if ran.code == 0 {
            ran.stdout_is("inside");
        } else {
            ran.fails(125);
        }
        assert_eq!(
            fs::read_dir(&target).unwrap().count(),
            0,
            "something was made on the host through {link}"
        );
    }
    assert!(!fs::exists("/new").unwrap(), "something was made in the host's root");
}

#[test]
fn a_mount_s_target_that_is_swapped_meanwhile_stays_inside() {
    // CVE-2021-30465, as a race: one container swaps a directory for a link while others mount there.
    let host = Host::with_busybox();
    let (target, source) = (host.directory("target"), host.directory("source"));
    let swap = format!(
        "mkdir -p /data/dir; ln -s ../../../../../../../..{target} /data/link; echo swapping
        while :; do mv /data/dir /data/spare; mv /data/link /data/dir; mv /data/dir /data/link; mv /data/spare /data/dir; done"
    );
    host.start(["--name", "swapper", "-v", "shared:/data", BUSYBOX, "sh", "-c", &swap]);
    host.wait_logs("swapper", "swapping");
    let mount = format!("{source}:/data/dir/new");
    for _ in 0..60 {
        let ran = host.run(["run", "--rm", "-v", "shared:/data", "-v", &mount, BUSYBOX, "true"]);
        ran.check(ran.code == 0 || ran.code == 125, "neither well nor refused");
        assert_eq!(fs::read_dir(&target).unwrap().count(), 0, "something was made on the host");
    }
}

#[test]
fn the_first_use_of_a_volume_copies_nothing_from_outside() {
    // CVE-2022-23648 and its kind: the image's directory is a link.
    let host = Host::new();
    let secret = host.file("secret", "of the host");
    let dir = host.path().display().to_string();
    let tar =
        busybox_files().symlink("absolute", &dir).symlink("climbing", &format!("../../../../../..{dir}"));
    host.import("odd", tar.bytes());
    for path in ["/absolute", "/climbing"] {
        let ran =
            host.run(["run", "--rm", "-v", &format!("v{}:{path}", path.len()), "odd", "ls", "-A", path]);
        ran.stdout_lacks("secret");
    }
    assert_eq!(fs::read_to_string(secret).unwrap(), "of the host");
    let climbing = ["import", "-c", "VOLUME /../../../etc", "-", "climber"];
    let made = host.call(climbing).stdin(busybox_files().bytes()).output();
    if made.code == 0 {
        let ran = host.run(["run", "--rm", "climber", "cat", "/etc/passwd"]);
        ran.check(ran.code == 125 || !ran.text().contains("sshd"), "the host's /etc was copied");
    }
}

#[test]
fn files_of_the_engine_in_the_container_are_not_written_through_links() {
    // /etc/hostname, /etc/hosts and /etc/resolv.conf of an image may point anywhere.
    let host = Host::new();
    let precious = host.file("precious", "as it was");
    let climb = format!("../../../../../../../..{precious}");
    let tar = busybox_files()
        .symlink("etc/hostname", &climb)
        .symlink("etc/hosts", &precious)
        .symlink("etc/resolv.conf", &climb);
    host.import("odd", tar.bytes());
    let _ = host.run(["run", "--rm", "--hostname", "x", "odd", "true"]);
    assert_eq!(fs::read_to_string(&precious).unwrap(), "as it was");
}

#[test]
fn the_store_is_closed_to_other_users() {
    // CVE-2021-41091, CVE-2021-41103: a setuid program in a layer would be everybody's.
    let host = Host::new();
    let tar = busybox_files().file("suid", 0o4755, b"#!/bin/sh\n");
    host.import("suid", tar.bytes());
    host.start(["--name", "one", "-v", "data:/data", "suid", "sleep", "1000"]);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert!(matches!(mode(&host.data_root()), 0o700 | 0o710), "{:o}", mode(&host.data_root()));
    assert!(matches!(mode(&host.run_root()), 0o700 | 0o710 | 0o711), "{:o}", mode(&host.run_root()));
    for root in [host.data_root(), host.run_root()] {
        let look = Command::new("ls").arg("-R").arg(&root).uid(65534).gid(65534).output().unwrap();
        assert!(look.stdout.is_empty(), "{}", String::from_utf8_lossy(&look.stdout));
    }
}

#[test]
fn a_control_group_is_not_writable_inside() {
    // CVE-2023-25809, and CVE-2022-0492's release_agent.
    let host = Host::with_busybox();
    let script = "mkdir /sys/fs/cgroup/x 2>/dev/null && echo made
        for f in $(find /sys/fs/cgroup -maxdepth 2 -name release_agent -o -maxdepth 2 -name cgroup.procs 2>/dev/null); do
            echo 1 2>/dev/null > $f && echo wrote $f
        done; echo looked";
    host.shell(script).success().stdout_is("looked");
    host.shell_with(&["--cgroupns", "host"], script).success().stdout_is("looked");
    // Where root inside is root, only the mount is in the way.
    host.shell_with(&["--userns", "host"], script).success().stdout_is("looked");
}

#[test]
fn devices_of_the_host_are_out_of_reach() {
    let host = Host::with_busybox();
    let script = "mknod /dev/sda b 254 0 2>/dev/null; head -c 1 /dev/sda 2>/dev/null && echo disk
        mknod /tmp/mem c 1 1 2>/dev/null; head -c 1 /tmp/mem 2>/dev/null && echo memory
        mknod /tmp/kmsg c 1 11 2>/dev/null; head -c 1 /tmp/kmsg 2>/dev/null && echo log
        echo x 2>/dev/null > /proc/sysrq-trigger && echo sysrq
        echo x 2>/dev/null > /proc/sys/kernel/core_pattern && echo pattern
        echo looked";
    host.shell(script).success().stdout_is("looked");
    host.shell_with(&["--userns", "host"], script).success().stdout_is("looked");
}
