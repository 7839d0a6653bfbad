//! `cp`: Docker's rules for paths, owners, and what is mounted.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use corten_tests::{Account, BUSYBOX, Host, wait_until};

/// A container called `one`, running or made only.
fn with_container(running: bool, flags: &[&str]) -> Host {
    let host = Host::with_busybox();
    container(&host, running, flags);
    host
}

fn container(host: &Host, running: bool, flags: &[&str]) {
    let verb: &[&str] = if running { &["run", "-d"] } else { &["create"] };
    let words = verb.iter().chain(&["--name", "one"]).chain(flags).chain(&[BUSYBOX, "sleep", "1000"]);
    host.run(words).success();
}

/// What `one` has at a path: read in it, or in a copy of it.
fn read(host: &Host, running: bool, path: &str) -> String {
    let script = format!("cat {path}");
    if running {
        return host.run(["exec", "one", "sh", "-c", &script]).text();
    }
    let id = host.run(["commit", "one"]).success().text();
    host.run(["run", "--rm", &id, "sh", "-c", &script]).text()
}

fn tree(host: &Host) {
    let dir = host.directory("from/dir/sub");
    fs::write(format!("{dir}/b"), "b").unwrap();
    let top = host.path().join("from");
    fs::write(top.join("dir/a"), "a").unwrap();
    fs::write(top.join("file"), "file").unwrap();
    fs::write(top.join("odd:name"), "odd").unwrap();
    symlink("file", top.join("link")).unwrap();
    fs::set_permissions(top.join("file"), fs::Permissions::from_mode(0o640)).unwrap();
}

#[test]
fn into_a_container_by_docker_s_rules() {
    for running in [true, false] {
        let host = with_container(running, &[]);
        tree(&host);
        let cp = |from: &str, to: &str| host.run(["cp", from, &format!("one:{to}")]);
        let is = |path: &str, content: &str| assert_eq!(read(&host, running, path), content, "{path}");
        // A file.
        cp("from/file", "/new").success().quiet();
        is("/new", "file");
        cp("./from/odd:name", "new").success();
        is("/new", "odd");
        cp("from/file", "/tmp").success();
        cp("from/link", "/tmp/").success();
        is("/tmp/link", "file");
        cp("from/file", "/absent/").refuses().stderr_has("/absent/");
        cp("from/file", "/absent/file").refuses();
        cp("from/file", "/etc/passwd/file").refuses();
        cp("from/nothing", "/tmp").refuses().stderr_has("nothing");
        // A directory.
        cp("from/dir", "/made").success();
        is("/made/sub/b", "b");
        cp("from/dir", "/made").success();
        is("/made/dir/sub/b", "b");
        cp("from/dir/.", "/tmp").success();
        is("/tmp/sub/b", "b");
        cp("from/dir", "/etc/passwd").refuses().stderr_has("/etc/passwd");
        // What a link stands for.
        host.run(["cp", "-L", "from/link", "one:/followed"]).success();
        host.run(["container", "cp", "--follow-link", "from/link", "one:/tmp"]).success();
        let script =
            "[ -L /tmp/link ] && echo link; [ -L /followed ] && echo link; stat -c '%u:%g %a' /followed";
        if running {
            host.run(["exec", "one", "sh", "-c", script]).success().stdout_is("0:0 640");
        }
        host.run(["cp", "from/file", "nobody:/x"]).refuses().stderr_has("nobody");
        host.run(["cp", "one:/a", "one:/b"]).refuses();
        host.run(["cp", "a", "b"]).refuses();
    }
}

#[test]
fn out_of_a_container_by_docker_s_rules() {
    for running in [true, false] {
        let host = with_container(running, &[]);
        tree(&host);
        host.run(["cp", "from/.", "one:/from"]).success();
        let to = host.directory("to");
        fs::write(format!("{to}/old"), "old").unwrap();
        let cp = |from: &str, to: &str| host.run(["cp", &format!("one:{from}"), to]);
        let is = |path: &str, content: &str| {
            assert_eq!(fs::read_to_string(Path::new(&to).join(path)).unwrap(), content, "{path}");
        };
        cp("/from/file", "to/new").success().quiet();
        is("new", "file");
        cp("from/file", "to/old").success();
        is("old", "file");
        cp("/from/file", &to).success();
        is("file", "file");
        cp("/from/file", "to/absent/").refuses().stderr_has("to/absent/");
        cp("/from/file", "absent/file").refuses();
        cp("/from/dir", "to/made").success();
        is("made/sub/b", "b");
        cp("/from/dir/", "to/made").success();
        is("made/dir/a", "a");
        cp("/from/dir/.", "to").success();
        is("sub/b", "b");
        cp("/from/dir", "to/old").refuses().stderr_has("old");
        cp("/from/nothing", "to").refuses().stderr_has("nothing");
        cp("/from/file/", "to").refuses();
        cp("/from/link", "to/link").success();
        assert_eq!(fs::read_link(format!("{to}/link")).unwrap(), Path::new("file"));
        host.run(["cp", "-qL", "one:/from/link", "to/followed"]).success();
        is("followed", "file");
        // It belongs to whoever asked, with its mode.
        let stat = fs::metadata(format!("{to}/new")).unwrap();
        assert_eq!((stat.uid(), stat.gid(), stat.mode() & 0o7777), (0, 0, 0o640));
    }
}

#[test]
fn archives_in_and_out() {
    for running in [true, false] {
        let host = with_container(running, &[]);
        tree(&host);
        host.run(["cp", "from/dir", "one:/dir"]).success();
        let tar = host.run(["cp", "one:/dir", "-"]).success().stdout.clone();
        let other = corten_tests::tar::Tar::new().file_of("below/deep/x", 0o644, b"x", 7, 8).bytes();
        host.call(["cp", "-", "one:/tmp"]).stdin(tar.clone()).output().success();
        assert_eq!(read(&host, running, "/tmp/dir/sub/b"), "b");
        host.call(["cp", "-", "one:/tmp"]).stdin(other.clone()).output().success();
        host.call(["cp", "-a", "-", "one:/home"]).stdin(other).output().success();
        let owner = |path: &str| {
            let text = host.run(["cp", &format!("one:{path}"), "-"]).success().stdout.clone();
            String::from_utf8_lossy(&text[108..123]).replace('\0', " ")
        };
        assert_eq!(owner("/tmp/below/deep/x"), "0000000 0000000");
        assert_eq!(owner("/home/below/deep/x"), "0000007 0000010");
        host.call(["cp", "-", "one:/etc/passwd"]).stdin(tar.clone()).output().refuses();
        host.call(["cp", "-", "one:/absent"]).stdin(tar).output().refuses().stderr_has("/absent");
        host.call(["cp", "-", "one:/tmp"])
            .stdin("no archive, but long enough to be taken for one".repeat(20))
            .output()
            .refuses();
        host.run(["cp", "one:/nothing", "-"]).refuses().stderr_has("nothing");
    }
}

#[test]
fn owners_are_kept_if_asked_for() {
    for flags in [&[][..], &["--userns", "host"]] {
        for running in [true, false] {
            let host = with_container(running, flags);
            let file = host.file("file", "x");
            std::os::unix::fs::chown(&file, Some(1000), Some(50)).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o4755)).unwrap();
            host.run(["cp", "-a", &file, "one:/kept"]).success();
            host.run(["cp", &file, "one:/given"]).success();
            host.run(["cp", "--archive", "one:/kept", "kept"]).success();
            host.run(["cp", "one:/kept", "mine"]).success();
            let stat = |name: &str| {
                let stat = fs::metadata(host.path().join(name)).unwrap();
                (stat.uid(), stat.gid(), stat.mode() & 0o7777)
            };
            assert_eq!(stat("kept"), (1000, 50, 0o4755), "{flags:?} {running}");
            // Another owner's set-id bit is nobody's.
            assert_eq!(stat("mine"), (0, 0, 0o755), "{flags:?} {running}");
            host.run(["cp", "-a", "one:/given", "given"]).success();
            assert_eq!(stat("given"), (0, 0, 0o755), "{flags:?} {running}");
        }
    }
}

#[test]
fn volumes_and_binds_are_part_of_it() {
    for running in [true, false] {
        let host = Host::with_busybox();
        let bound = host.directory("bound");
        let single = host.file("single", "long content of it");
        let (bind, ro) = (format!("{bound}:/mnt/bound"), format!("{bound}:/mnt/ro:ro"));
        let one = format!("{single}:/mnt/single");
        container(
            &host,
            running,
            &["-v", "data:/data", "-v", &bind, "-v", &ro, "-v", &one, "-v", "other:/o:ro"],
        );
        let file = host.file("file", "x");
        host.run(["cp", &file, "one:/data/new"]).success();
        host.shell_with(&["-v", "data:/data"], "cat /data/new; stat -c %u /data/new")
            .success()
            .stdout_is("x0");
        host.run(["cp", &file, "one:/mnt/bound"]).success();
        let stat = fs::metadata(format!("{bound}/file")).unwrap();
        assert_eq!((stat.uid(), stat.len()), (0, 1));
        host.run(["cp", "one:/mnt/ro/file", "back"]).success();
        host.run(["cp", &file, "one:/mnt/ro/new"]).refuses().stderr_has("ead-only");
        host.run(["cp", &file, "one:/o/new"]).refuses().stderr_has("ead-only");
        // A file that is mounted by itself is written, not replaced.
        host.run(["cp", &file, "one:/mnt/single"]).success();
        assert_eq!(fs::read_to_string(&single).unwrap(), "x");
        host.run(["cp", "one:/mnt", "mnt"]).success();
        assert_eq!(fs::read_to_string(host.path().join("mnt/bound/file")).unwrap(), "x");
    }
}

#[test]
fn a_read_only_root_is_refused_and_the_kernel_s_files_too() {
    for running in [true, false] {
        let host = with_container(running, &["--read-only", "-v", "data:/data"]);
        let file = host.file("file", "x");
        host.run(["cp", &file, "one:/new"]).refuses().stderr_has("ead-only");
        host.run(["cp", &file, "one:/data/new"]).success();
        host.run(["cp", "one:/etc/passwd", "passwd"]).success();
    }
    let host = with_container(true, &["--tmpfs", "/scratch"]);
    let file = host.file("file", "x");
    host.run(["cp", "one:/proc/self/status", "status"]).refuses();
    host.run(["cp", "one:/sys", "sys"]).refuses().stderr_has("kernel");
    host.run(["cp", &file, "one:/proc/sys/kernel/hostname"]).refuses();
    host.run(["cp", &file, "one:/scratch"]).success();
    host.run(["exec", "one", "cat", "/scratch/file"]).success().stdout_is("x");
    host.run(["cp", "one:/", "all"]).success();
    assert!(!host.path().join("all/proc/1").exists() && host.path().join("all/bin/sh").is_symlink());
}

#[test]
fn a_terminal_is_told_and_gets_no_archive() {
    let host = with_container(false, &[]);
    let file = host.file("file", "x");
    let terminal = |words: &[&str]| host.call(words).terminal().finish();
    terminal(&["cp", &file, "one:/new"])
        .success()
        .stdout_has("Successfully copied")
        .stdout_has("to one:/new");
    terminal(&["cp", "--quiet", &file, "one:/new"]).success().stdout_is("");
    terminal(&["cp", "one:/new", "back"]).success().stdout_has("to back");
    terminal(&["cp", "one:/new", "-"]).unsuccessful();
}

#[test]
fn a_start_waits_for_a_copy_and_finds_it() {
    let host = with_container(false, &[]);
    let file = host.file("file", "x");
    let copy = host.call(["cp", &file, "one:/new"]).env("CORTEN_STOP_AT", "copy.placed").spawn();
    let pid = wait_until("the process in the container stops itself", || stopped(&host));
    let start = host.call(["start", "one"]).spawn();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid as i32).unwrap(),
        rustix::process::Signal::CONT,
    )
    .unwrap();
    copy.finish().success();
    start.finish().success();
    host.run(["exec", "one", "cat", "/new"]).success().stdout_is("x");
}

/// A process of this host that has stopped itself.
fn stopped(host: &Host) -> Option<u32> {
    let is_stopped = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
    };
    corten_tests::processes_of(host.path()).into_iter().map(|(pid, _)| pid).find(|pid| is_stopped(*pid))
}

#[test]
fn rootless_copies_both_ways() {
    let account = Account::with_subordinate_ids();
    for running in [true, false] {
        let host = Host::of(&account);
        host.import_busybox();
        container(&host, running, &["-v", "data:/data"]);
        let file = host.file("home/file", "x");
        account.give(file.as_ref());
        host.run(["cp", &file, "one:/new"]).success();
        host.run(["cp", &file, "one:/data/new"]).success();
        host.shell_with(&["-v", "data:/data"], "cat /data/new; stat -c %u /data/new")
            .success()
            .stdout_is("x0");
        let tar = corten_tests::tar::Tar::new().file_of("of-seven", 0o640, b"seven", 7, 8).bytes();
        host.call(["cp", "-a", "-", "one:/tmp"]).stdin(tar).output().success();
        let home = host.path().join("home");
        let to = home.join("back").to_string_lossy().into_owned();
        host.run(["cp", "one:/tmp", &to]).success();
        let stat = fs::metadata(home.join("back/of-seven")).unwrap();
        assert_eq!((stat.uid(), stat.gid(), stat.mode() & 0o777), (account.ids().0, account.ids().1, 0o640));
        // Owners that the user may not give.
        host.run(["cp", "-a", "one:/tmp", &format!("{to}2")]).refuses();
        host.run(["cp", &file, "one:/absent/"]).refuses();
    }
}
