//! `run`: what the process sees of itself, and what the caller sees of it.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::{BUSYBOX, Host, busybox_files};

#[test]
fn hello_needs_nothing_but_the_binary() {
    let host = Host::new();
    let said = host.run(["run", "--rm", "hello"]);
    said.success().check(!said.stdout.is_empty(), "it says nothing");
}

#[test]
fn both_streams_and_the_exit_code_come_through() {
    let host = Host::with_busybox();
    let ran = host.shell("echo out; echo err >&2; exit 42");
    ran.exits(42).stdout_is("out").check(ran.errors() == "err\n", "stderr isn't the app's");
}

#[test]
fn the_image_may_come_without_a_command() {
    let host = Host::new();
    host.import("bare", busybox_files().bytes());
    host.run(["run", "--rm", "bare"]).fails(125).stderr_has("command");
}

#[test]
fn a_signal_is_told_as_128_and_its_number() {
    let host = Host::with_busybox();
    host.shell_with(&["--init"], "kill -KILL $$").exits(137);
    host.shell_with(&["--init"], "kill -TERM $$").exits(143);
}

#[test]
fn a_program_that_is_missing_or_no_program_has_docker_s_codes() {
    let host = Host::with_busybox();
    let check = |program: &str, code: i32, word: &str| {
        host.run(["run", "--rm", BUSYBOX, program]).fails(code).stderr_has(word);
    };
    check("no-such-program", 127, "no-such-program");
    check("/no/such/program", 127, "/no/such/program");
    check("/etc/passwd", 126, "/etc/passwd");
    check("/etc", 126, "/etc");
}

#[test]
fn the_environment_is_the_image_s_and_what_was_asked_for() {
    let host = Host::with_busybox();
    let ran = host
        .call(["run", "--rm", "-e", "A=1", "-e", "FROM_HERE", "--env", "C=x=y", BUSYBOX, "env"])
        .env("FROM_HERE", "yes")
        .env("SECRET", "no")
        .output();
    ran.success().stdout_has("A=1").stdout_has("FROM_HERE=yes").stdout_has("C=x=y").stdout_lacks("SECRET");
    ran.stdout_has("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .stdout_has("HOME=/root");
    ran.stdout_lacks("CORTEN_");
}

#[test]
fn the_image_s_defaults_are_used_and_overridden() {
    let host = Host::new();
    let import = [
        "import",
        "--change",
        "ENTRYPOINT [\"echo\"]",
        "--change",
        "CMD [\"from\", \"cmd\"]",
        "--change",
        "ENV GREETING=hi",
        "--change",
        "WORKDIR /home",
        "--change",
        "USER app",
        "-",
        "app",
    ];
    host.call(import).stdin(busybox_files().bytes()).output().success();
    host.run(["run", "--rm", "app"]).success().stdout_is("from cmd");
    host.run(["run", "--rm", "app", "other"]).success().stdout_is("other");
    let overridden = ["run", "--rm", "--entrypoint", "sh", "app", "-c", "id -un; pwd; echo $GREETING"];
    host.run(overridden).success().stdout_is("app\n/home\nhi");
    let all = ["run", "--rm", "-u", "0", "-w", "/", "-e", "GREETING=ho", "--entrypoint", "sh", "app"];
    let all = all.into_iter().chain(["-c", "id -u; pwd; echo $GREETING"]);
    host.run(all).success().stdout_is("0\n/\nho");
    // Without the image's entrypoint its arguments mean nothing.
    host.run(["run", "--rm", "--entrypoint", "pwd", "app"]).success().stdout_is("/home");
}

#[test]
fn a_working_directory_is_made_where_it_is_missing() {
    let host = Host::with_busybox();
    host.run(["run", "--rm", "-w", "/new/place", BUSYBOX, "pwd"]).success().stdout_is("/new/place");
    host.run(["run", "--rm", "--workdir", "relative", BUSYBOX, "pwd"]).fails(125).stderr_has("relative");
}

#[test]
fn users_are_names_or_numbers_of_the_image() {
    let host = Host::with_busybox();
    let check = |user: &str, expected: &str| {
        let said = host.run([
            "run",
            "--rm",
            "-u",
            user,
            BUSYBOX,
            "sh",
            "-c",
            "echo $(id -u) $(id -g) $(id -G) $HOME",
        ]);
        said.success().stdout_is(expected);
    };
    check("0", "0 0 0 /root");
    check("app", "1000 1000 1000 29 50 /home/app");
    check("1000", "1000 1000 1000 29 50 /home/app");
    check("app:staff", "1000 50 50 /home/app");
    check("1000:1000", "1000 1000 1000 /home/app");
    check("4321:1234", "4321 1234 1234 /");
    host.run(["run", "--rm", "-u", "nobody-here", BUSYBOX, "true"]).fails(125).stderr_has("nobody-here");
    host.run(["run", "--rm", "-u", "app:no-group", BUSYBOX, "true"]).fails(125).stderr_has("no-group");
}

#[test]
fn a_hostname_is_given_or_the_short_id() {
    let host = Host::with_busybox();
    host.run(["run", "--rm", "--hostname", "box", BUSYBOX, "hostname"]).success().stdout_is("box");
    let id = host.start(["--name", "named", BUSYBOX, "sleep", "1000"]);
    host.run(["exec", "named", "hostname"]).success().stdout_is(&id[..12]);
}

#[test]
fn nothing_is_left_with_rm_and_everything_without() {
    let host = Host::with_busybox();
    host.run(["run", "--rm", "--name", "short", BUSYBOX, "true"]).success();
    host.run(["ps", "-aq"]).success().stdout_is("");
    host.run(["run", "--name", "long", BUSYBOX, "sh", "-c", "exit 3"]).exits(3);
    assert_eq!(host.inspect("long")["State"]["ExitCode"], 3);
    assert_eq!(host.status("long"), "exited");
}

#[test]
fn a_failed_start_leaves_nothing_with_rm() {
    let host = Host::with_busybox();
    host.run(["run", "--rm", BUSYBOX, "no-such-program"]).fails(127);
    host.run(["ps", "-aq"]).success().stdout_is("");
}

#[test]
fn detached_it_prints_its_id_and_goes_on() {
    let host = Host::with_busybox();
    let id = host.start(["--name", "web", BUSYBOX, "sleep", "1000"]);
    assert_eq!(host.inspect("web")["Id"], id.as_str());
    assert_eq!(host.status("web"), "running");
    host.run(["stop", "--time", "0", "web"]).success().stdout_is("web");
    assert_eq!(host.status("web"), "exited");
}

#[test]
fn init_is_a_reaper_in_front_of_the_app() {
    let host = Host::with_busybox();
    // The orphan ends under PID 1, which has to reap it; the shell waits for that by looking at /proc.
    let script = "echo pid $$
        sh -c 'sh -c \"echo \\$\\$ > /tmp/orphan\" &' ; sleep 0.1
        for i in 1 2 3 4 5 6 7 8 9 10; do [ -e /proc/$(cat /tmp/orphan) ] || { echo reaped; exit 5; }; sleep 0.2; done
        echo zombie";
    let ran = host.shell_with(&["--init"], script);
    ran.exits(5).stdout_has("reaped").stdout_lacks("pid 1\n");
    host.shell("echo $$").success().stdout_is("1");
}

#[test]
fn init_passes_signals_on() {
    let host = Host::with_busybox();
    let script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done";
    host.start(["--init", "--name", "one", BUSYBOX, "sh", "-c", script]);
    host.wait_logs("one", "ready");
    host.run(["stop", "one"]).success();
    assert_eq!(host.inspect("one")["State"]["ExitCode"], 9);
}

#[test]
fn labels_are_kept() {
    let host = Host::with_busybox();
    host.run(["create", "--name", "one", "--label", "tier=web", "--label", "bare", BUSYBOX, "true"])
        .success();
    let labels = &host.inspect("one")["Config"]["Labels"];
    assert_eq!(labels["tier"], "web");
    assert_eq!(labels["bare"], "");
}

#[test]
fn flags_end_where_the_image_begins() {
    let host = Host::with_busybox();
    host.run(["run", "--rm", BUSYBOX, "echo", "--rm", "-e", "--name=x"])
        .success()
        .stdout_is("--rm -e --name=x");
    host.run(["run", "--rm", "--", BUSYBOX, "echo", "-n"]).success();
}

#[test]
fn flags_may_be_joined_as_docker_lets_them() {
    let host = Host::with_busybox();
    let ran = host.call(["run", "-i", "--rm", "-eA=1", "--env=B=2", BUSYBOX, "sh", "-c", "cat; echo $A$B"]);
    ran.stdin("in\n").output().success().stdout_is("in\n12");
    let mut terminal = host.call(["run", "-it", "--rm", BUSYBOX, "tty"]).terminal();
    terminal.finish().success().stdout_has("/dev/");
}

#[test]
fn roots_may_be_given_as_flags() {
    let host = Host::new();
    let (root, run_root) = (host.data_root(), host.run_root());
    let roots = ["--root", root.to_str().unwrap(), "--run-root", run_root.to_str().unwrap()];
    let call = |words: &[&str]| {
        host.call(roots.iter().chain(words)).env_remove("CORTEN_ROOT").env_remove("CORTEN_RUN_ROOT").output()
    };
    call(&["run", "--name", "here", "hello"]).success();
    assert_eq!(host.status("here"), "exited");
}
