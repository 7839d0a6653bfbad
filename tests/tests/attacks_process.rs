//! Known attacks on the processes of a container engine: its binary, its descriptors, its capabilities, its pids.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs;
use std::process::Command;

use corten_tests::{BUSYBOX, Host, busybox_files, processes_of, wait_until};

/// Looks at every process it can see, and writes into the executable of those that aren't busybox, now and later.
const OVERWRITE: &str = r#"
    echo hunting
    while :; do
        for p in /proc/[0-9]*; do
            exe=$(readlink $p/exe 2>/dev/null) || continue
            [ "$exe" = /bin/busybox ] && continue
            [ -z "$exe" ] && continue
            # In a subshell: a redirection of exec that fails would end the hunter.
            ( exec 9<$p/exe
              echo caught $exe
              for i in 1 2 3 4 5 6 7 8 9 10; do printf X 1<>/proc/self/fd/9 && echo overwritten; done ) 2>/dev/null
        done
    done"#;

#[test]
fn the_binary_is_not_overwritten_through_proc_self_exe() {
    // CVE-2019-5736. On the host's user namespace root inside is root, so file permissions guard nothing.
    let host = Host::with_busybox().with_own_binary();
    let before = fs::read(host.binary()).unwrap();
    for flags in [&["--userns", "host"][..], &["--privileged"], &[]] {
        let words = ["--name", "hunter"].iter().chain(flags).chain(&[BUSYBOX, "sh", "-c", OVERWRITE]);
        host.start(words);
        host.wait_logs("hunter", "hunting");
        for _ in 0..30 {
            host.run(["exec", "hunter", "true"]).success();
        }
        host.run(["rm", "-f", "hunter"]).success();
        assert!(fs::read(host.binary()).unwrap() == before, "the host's binary has changed with {flags:?}");
    }
}

#[test]
fn an_interpreter_of_proc_self_exe_is_not_the_host_s_binary() {
    // CVE-2019-5736, the other way in: the image asks for our own executable as interpreter.
    let host = Host::new().with_own_binary();
    let tar = busybox_files().file("me", 0o755, b"#!/proc/self/exe\n").symlink("me2", "/proc/self/exe");
    host.import("evil", tar.bytes());
    let before = fs::read(host.binary()).unwrap();
    for (program, flags) in
        [("/me", &["--userns", "host"][..]), ("/me2", &["--userns", "host"]), ("/me", &[])]
    {
        let words = [&["run", "--rm"], flags, &["evil", program]].concat();
        host.run(words).unsuccessful();
    }
    assert!(fs::read(host.binary()).unwrap() == before);
}

#[test]
fn no_descriptor_of_ours_is_open_inside() {
    // CVE-2024-21626.
    let host = Host::with_busybox();
    let list = "ls /proc/$$/fd; true";
    host.shell(list).success().stdout_is("0\n1\n2");
    host.shell_with(&["-i"], list).success().stdout_is("0\n1\n2");
    host.shell_with(&["--init"], list).success().stdout_is("0\n1\n2");
    host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    host.run(["exec", "one", "sh", "-c", list]).success().stdout_is("0\n1\n2");
    host.run(["exec", "one", "ls", "/proc/1/fd"]).success().stdout_is("0\n1\n2");
    // The reaper can't be looked into from inside.
    host.start(["--name", "two", "--init", BUSYBOX, "sleep", "1000"]);
    host.run(["exec", "two", "ls", "/proc/1/fd"]).unsuccessful().stderr_has("Permission denied");
}

#[test]
fn a_working_directory_in_proc_self_fd_leads_nowhere() {
    // CVE-2024-21626: the host's marker is reached if the directory is outside of the root.
    let host = Host::with_busybox();
    let marker = host.file("marker", "reached");
    host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    let climb = format!("../../../../../../../..{marker}");
    for number in 3..20 {
        let dir = format!("/proc/self/fd/{number}");
        let run = host.run(["run", "--rm", "-w", &dir, BUSYBOX, "cat", &climb]);
        run.unsuccessful().stdout_lacks("reached");
        let exec = host.run(["exec", "-w", &dir, "one", "cat", &climb]);
        exec.unsuccessful().stdout_lacks("reached");
    }
}

#[test]
fn no_inheritable_capabilities() {
    // CVE-2022-24769, CVE-2022-29162.
    let host = Host::with_busybox();
    let ask = "grep -E '^Cap(Inh|Amb):' /proc/self/status | tr -d '\\t\\n'";
    let none = "CapInh:0000000000000000CapAmb:0000000000000000";
    host.shell(ask).success().stdout_is(none);
    host.shell_with(&["--privileged"], ask).success().stdout_is(none);
    host.shell_with(&["-u", "app"], ask).success().stdout_is(none);
    host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    host.run(["exec", "one", "sh", "-c", ask]).success().stdout_is(none);
    host.run(["exec", "--privileged", "one", "sh", "-c", ask]).success().stdout_is(none);
}

#[test]
fn a_process_that_enters_can_not_be_looked_into() {
    // CVE-2016-9962: the entering process still has the engine's memory and descriptors before it executes.
    let host = Host::with_busybox();
    let spy = r#"
        echo watching
        while :; do
            for p in /proc/[0-9]*; do
                exe=$(readlink $p/exe 2>/dev/null) || continue
                [ "$exe" = /bin/busybox ] && continue
                ls $p/fd/0 >/dev/null 2>&1 && echo looked into $exe
                head -c 1 $p/environ >/dev/null 2>&1 && echo read $exe
            done
        done"#;
    for flags in [&[][..], &["--userns", "host"]] {
        host.start(["--name", "spy"].iter().chain(flags).chain(&[BUSYBOX, "sh", "-c", spy]));
        host.wait_logs("spy", "watching");
        for _ in 0..50 {
            host.run(["exec", "spy", "true"]).success();
        }
        host.run(["logs", "spy"]).stdout_lacks("looked").stdout_lacks("read");
        host.run(["rm", "-f", "spy"]).success();
    }
}

#[test]
fn a_numeric_user_is_a_number() {
    // CVE-2016-3697: an image's user may be called by a number.
    let host = Host::new();
    let tar = busybox_files().file("etc/passwd", 0o644, b"root:x:0:0::/:/bin/sh\n1000:x:0:0::/:/bin/sh\n");
    host.import("odd", tar.bytes());
    host.run(["run", "--rm", "-u", "1000", "odd", "id", "-u"]).success().stdout_is("1000");
    host.run(["run", "--rm", "-u", "1000:1000", "odd", "id", "-u"]).success().stdout_is("1000");
}

#[test]
fn a_user_has_its_groups_and_no_others() {
    // CVE-2022-36109.
    let host = Host::with_busybox();
    host.run(["run", "--rm", "-u", "app", BUSYBOX, "id", "-G"]).success().stdout_is("1000 29 50");
    host.run(["run", "--rm", "-u", "nobody", BUSYBOX, "id", "-G"]).success().stdout_is("65534");
    host.run(["run", "--rm", BUSYBOX, "id", "-G"]).success().stdout_is("0");
    host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    host.run(["exec", "-u", "app", "one", "id", "-G"]).success().stdout_is("1000 29 50");
}

#[test]
fn an_odd_passwd_of_the_image_neither_hangs_nor_leads_out() {
    // CVE-2024-9676.
    let host = Host::new();
    let base = busybox_files;
    host.import("zero", base().symlink("etc/passwd", "/dev/zero").bytes());
    host.import("fifo", base().fifo("etc/passwd").bytes());
    host.import("out", base().symlink("etc/passwd", "../../../../../../etc/passwd").bytes());
    host.import("big", base().file("etc/passwd", 0o644, &vec![b'x'; 20 << 20]).bytes());
    for image in ["zero", "fifo", "out", "big"] {
        let asked = host.call(["run", "--rm", "-u", "games", image, "id"]);
        asked.within(std::time::Duration::from_secs(10)).output().unsuccessful();
        // By number no file is needed. (Not `id`: it looks the name up itself.)
        let by_number = host.call(["run", "--rm", "-u", "5:5", image, "grep", "Uid:", "/proc/self/status"]);
        by_number.within(std::time::Duration::from_secs(10)).output().success().stdout_has("5\t5\t5\t5");
    }
}

#[test]
fn a_pid_that_somebody_else_has_now_is_left_alone() {
    // The keeper is gone, the app is gone, and its pid belongs to a stranger.
    let host = Host::with_busybox();
    for round in 0..20 {
        let name = format!("a{round}");
        host.start(["--name", &name, BUSYBOX, "sleep", "1000"]);
        let (pid, keeper) = (host.pid(&name), host.keeper(&name));
        for victim in [keeper, pid] {
            let killed = rustix::process::Pid::from_raw(victim as i32).expect("pids are positive");
            rustix::process::kill_process(killed, rustix::process::Signal::KILL).unwrap();
        }
        wait_until("both are gone", || (!fs::exists(format!("/proc/{pid}")).unwrap()).then_some(()));
        fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).unwrap();
        let mut stranger = Command::new("sleep").arg("1000").spawn().unwrap();
        if stranger.id() != pid {
            // Another process of this machine was faster.
            stranger.kill().unwrap();
            stranger.wait().unwrap();
            host.run(["rm", "-f", &name]).success();
            continue;
        }
        let _ = host.run(["kill", &name]);
        let _ = host.run(["exec", &name, "true"]);
        let _ = host.run(["stop", "--time", "0", &name]);
        host.run(["rm", "-f", &name]).success();
        let alive = stranger.try_wait().unwrap().is_none();
        stranger.kill().unwrap();
        stranger.wait().unwrap();
        assert!(alive, "the stranger was killed");
        return;
    }
    panic!("no stranger ever got the pid");
}

#[test]
fn a_container_that_has_ended_is_not_entered() {
    let host = Host::with_busybox();
    host.run(["run", "--name", "one", BUSYBOX, "true"]).success();
    host.run(["exec", "one", "true"]).refuses().stderr_has("not running");
    host.run(["kill", "one"]).refuses();
}

#[test]
fn no_socket_of_ours_is_abstract() {
    // CVE-2020-15257: a container on the host's network could talk to it.
    let host = Host::with_busybox();
    host.start(["--name", "other", BUSYBOX, "sleep", "1000"]);
    let ran = host.shell_with(&["--network", "host"], "grep -i corten /proc/net/unix | grep @");
    ran.exits(1).stdout_is("");
}

#[test]
fn a_fork_bomb_is_bounded_and_ended() {
    let host = Host::with_busybox();
    host.start([
        "--name",
        "bomb",
        "--pids-limit",
        "64",
        BUSYBOX,
        "sh",
        "-c",
        "bomb() { bomb | bomb & }; bomb; sleep 1000",
    ]);
    wait_until("the limit is reached", || {
        let keeper_children = host.run(["logs", "bomb"]);
        keeper_children.errors().contains("fork").then_some(())
    });
    host.shell("echo others run").success().stdout_is("others run");
    host.run(["rm", "-f", "bomb"]).success();
    wait_until("every process of it is gone", || processes_of(host.path()).is_empty().then_some(()));
}

#[test]
fn many_open_files_are_bounded() {
    let host = Host::with_busybox();
    let script =
        "i=3; while [ $i -lt 200 ]; do eval \"exec $i</dev/null\" || exit 9; i=$((i+1)); done; echo all";
    host.shell_with(&["--ulimit", "nofile=64:64"], script).stdout_lacks("all");
}
