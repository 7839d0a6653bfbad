//! Known attacks on copies between a container and the host.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use corten_tests::{BUSYBOX, Host, busybox_files, wait_until};
use rustix::process::{Pid, Signal, kill_process};

/// A child of this process that has stopped itself: the one that works in the container.
fn stopped_child(parent: u32) -> Option<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    let fits = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let rest = stat.rsplit(')').next().unwrap_or_default().trim_start().to_owned();
        let mut words = rest.split(' ');
        words.next() == Some("T") && words.next() == Some(&parent.to_string())
    };
    pids.into_iter().find(fits)
}

fn go_on(pid: u32) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::CONT).unwrap();
}

/// Ways from a container to `dir` of the host, if links were followed there.
fn links(dir: &str) -> [String; 3] {
    [dir.to_owned(), format!("../../../../../../../..{dir}"), format!("/proc/1/root{dir}")]
}

#[test]
fn a_copy_follows_no_link_out_of_the_container() {
    // CVE-2018-15664, CVE-2021-41089, at rest.
    for flags in [&[][..], &["--userns", "host"]] {
        for running in [true, false] {
            let host = Host::with_busybox();
            let outside = host.directory("outside");
            let secret = host.file("outside/secret", "of the host");
            fs::set_permissions(&secret, fs::Permissions::from_mode(0o604)).unwrap();
            let script: String =
                links(&outside).iter().enumerate().map(|(n, to)| format!("ln -s {to} /l{n}; ")).collect();
            let end = if running { "echo ready; exec sleep 1000" } else { "echo ready" };
            let words = ["run", "-d", "--name", "one"].iter().chain(flags);
            let script = format!("{script}{end}");
            host.run(words.chain(&[BUSYBOX, "sh", "-c", &script])).success();
            host.wait_logs("one", "ready");
            if !running {
                host.wait_status("one", "exited");
            }
            let file = host.file("file", "new");
            for n in 0..3 {
                host.run(["cp", &format!("one:/l{n}/secret"), "got"]).refuses();
                host.run(["cp", "-L", &format!("one:/l{n}"), "got"]).refuses();
                host.run(["cp", "-a", &file, &format!("one:/l{n}/secret")]).refuses();
                host.run(["cp", &file, &format!("one:/l{n}/made")]).refuses();
            }
            assert!(!host.path().join("got").exists());
            for n in 0..3 {
                let tar = corten_tests::tar::Tar::new().file(&format!("l{n}/made"), 0o777, b"x").bytes();
                // Made inside the container, or refused.
                let _ = host.call(["cp", "-", "one:/"]).stdin(tar).output();
            }
            assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "{flags:?} {running}");
            assert_eq!(fs::read_to_string(&secret).unwrap(), "of the host");
            assert_eq!(fs::metadata(&secret).unwrap().mode() & 0o777, 0o604);
        }
    }
}

#[test]
fn a_directory_that_is_swapped_meanwhile_leads_nowhere() {
    // CVE-2018-15664, as the race: between finding the path and using it.
    let host = Host::with_busybox();
    let outside = host.directory("outside");
    let secret = host.file("outside/secret", "of the host");
    host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    let setup = format!(
        "mkdir -p /a/dir; echo inside > /a/dir/secret; ln -s {outside} /a/link; ln -s ../../../../../../../..{outside} /a/climb"
    );
    for link in ["link", "climb"] {
        let (swap, back) = (
            format!("mv /a/dir /a/spare; mv /a/{link} /a/dir"),
            format!("mv /a/dir /a/{link}; mv /a/spare /a/dir"),
        );
        let exec = |script: &str| {
            host.run(["exec", "one", "sh", "-c", script]).success();
        };
        if link == "link" {
            exec(&setup);
        }
        for out in ["one:/a/dir", "one:/a/dir/secret", "one:/a"] {
            let copy = host.call(["cp", out, "got"]).env("CORTEN_STOP_AT", "copy.found").spawn();
            let pid = wait_until("the copy stops", || stopped_child(copy.pid()));
            exec(&swap);
            go_on(pid);
            let _ = copy.finish();
            exec(&back);
            let found = std::process::Command::new("grep")
                .args(["-r", "of the host"])
                .arg(host.path().join("got"))
                .output();
            assert!(found.unwrap().stdout.is_empty(), "{out} through {link}");
            let _ = fs::remove_dir_all(host.path().join("got"));
            let _ = fs::remove_file(host.path().join("got"));
        }
        let file = host.file("file", "new");
        for into in ["one:/a/dir", "one:/a/dir/secret", "one:/a/dir/made"] {
            let copy = host.call(["cp", &file, into]).env("CORTEN_STOP_AT", "copy.placed").spawn();
            let pid = wait_until("the copy stops", || stopped_child(copy.pid()));
            exec(&swap);
            go_on(pid);
            let _ = copy.finish();
            exec(&back);
            assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "{into} through {link}");
            assert_eq!(fs::read_to_string(&secret).unwrap(), "of the host");
        }
    }
}

#[test]
fn a_copy_runs_nothing_of_the_container() {
    // CVE-2019-14271: what resolves names there would load the container's libraries.
    let host = Host::new();
    let mark = host.path().join("mark");
    let program = format!("#!/bin/sh\ntouch {}\ntouch /ran\n", mark.display());
    let mut tar = busybox_files().file("etc/nsswitch.conf", 0o644, b"passwd: evil\ngroup: evil\n");
    for name in ["bin/tar", "usr/bin/tar", "lib/libnss_evil.so.2", "lib/x86_64-linux-gnu/libnss_files.so.2"] {
        tar = tar.file(name, 0o755, program.as_bytes());
    }
    host.import("odd", tar.bytes());
    host.start(["--name", "one", "odd", "sleep", "1000"]);
    let file = host.file("file", "x");
    std::os::unix::fs::chown(&file, Some(1000), Some(1000)).unwrap();
    host.run(["cp", "-a", &file, "one:/file"]).success();
    host.run(["cp", "-a", "one:/file", "back"]).success();
    host.run(["cp", "one:/etc", "etc"]).success();
    host.run(["export", "-o", "all.tar", "one"]).success();
    assert!(!mark.exists());
    host.run(["exec", "one", "ls", "/ran"]).unsuccessful();
}

#[test]
fn what_comes_out_of_a_container_stays_where_it_was_sent() {
    let host = Host::with_busybox();
    let outside = host.directory("outside");
    let script = format!("mkdir /d; ln -s {outside} /d/sub; mkfifo /d/pipe; echo ready; sleep 1000");
    host.start(["--name", "one", BUSYBOX, "sh", "-c", &script]);
    host.wait_logs("one", "ready");
    host.run(["cp", "one:/d", "d"]).success();
    assert!(host.path().join("d/sub").is_symlink());
    // A directory over the link of an earlier copy is refused, and nothing is written through it.
    host.run(["exec", "one", "sh", "-c", "rm /d/sub; mkdir /d/sub; echo x > /d/sub/x"]).success();
    host.run(["cp", "one:/d/.", "d"]).refuses().stderr_has("sub");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    // A device of a container is no device of the host unless that is asked for.
    host.start([
        "--name",
        "two",
        "--userns",
        "host",
        BUSYBOX,
        "sh",
        "-c",
        "mknod /null c 1 3; echo ready; sleep 1000",
    ]);
    host.wait_logs("two", "ready");
    host.run(["cp", "two:/null", "null"]).refuses().stderr_has("-a");
    assert!(!host.path().join("null").exists());
}

#[test]
fn an_export_follows_no_link_and_a_swap_changes_nothing() {
    // CVE-2023-0778's kind.
    let host = Host::with_busybox();
    let outside = host.directory("outside");
    host.file("outside/secret", "of the host");
    host.start([
        "--name",
        "one",
        BUSYBOX,
        "sh",
        "-c",
        "mkdir -p /a/dir; echo inside > /a/dir/secret; sleep 1000",
    ]);
    let swap = format!("ln -s ../../../../../../..{outside} /a/link; mv /a/dir /a/spare; mv /a/link /a/dir");
    let export = host.call(["export", "one"]).env("CORTEN_STOP_AT", "copy.found").spawn();
    let pid = wait_until("the export stops", || stopped_child(export.pid()));
    host.run(["exec", "one", "sh", "-c", &swap]).success();
    go_on(pid);
    let written = export.finish();
    written.success();
    let text = String::from_utf8_lossy(&written.stdout);
    assert!(text.contains("inside") && !text.contains("of the host"));
}
