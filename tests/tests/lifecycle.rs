//! A container's life: create, start, stop, kill, wait, rm, ps.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::time::{Duration, Instant};

use corten_tests::{BUSYBOX, Host, wait_until};

#[test]
fn created_started_stopped_removed() {
    let host = Host::with_busybox();
    let id = host.run(["create", "--name", "one", BUSYBOX, "sleep", "1000"]);
    id.success();
    assert_eq!(host.status("one"), "created");
    host.run(["start", "one"]).success().stdout_is("one");
    assert_eq!(host.status("one"), "running");
    host.run(["stop", "--time", "0", "one"]).success().stdout_is("one");
    assert_eq!(host.status("one"), "exited");
    host.run(["start", &id.text()]).success();
    assert_eq!(host.status("one"), "running");
    host.run(["rm", "--force", "one"]).success().stdout_is("one");
    host.run(["inspect", "one"]).refuses().stderr_has("one");
}

#[test]
fn what_it_wrote_is_there_at_the_next_start() {
    let host = Host::with_busybox();
    host.run(["run", "--name", "one", BUSYBOX, "sh", "-c", "echo x >> /count; wc -l < /count"])
        .success()
        .stdout_is("1");
    host.run(["start", "--attach", "one"]).success().stdout_is("2");
    host.run(["start", "-a", "one"]).success().stdout_is("3");
}

#[test]
fn start_attached_has_the_app_s_exit_code() {
    let host = Host::with_busybox();
    host.run(["create", "--name", "one", BUSYBOX, "sh", "-c", "echo hi; exit 5"]).success();
    host.run(["start", "-a", "one"]).exits(5).stdout_is("hi");
    host.run(["create", "--name", "two", "-i", BUSYBOX, "cat"]).success();
    host.call(["start", "-ai", "two"]).stdin("through").output().success().stdout_is("through");
    host.run(["create", "--name", "three", BUSYBOX, "no-such-program"]).success();
    host.run(["start", "three"]).unsuccessful().stderr_has("no-such-program").stderr_has("error: ");
}

#[test]
fn stop_asks_first_and_kills_then() {
    let host = Host::with_busybox();
    let polite = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    host.start(["--name", "polite", BUSYBOX, "sh", "-c", polite]);
    host.wait_logs("polite", "ready");
    host.run(["stop", "polite"]).success();
    assert_eq!(host.inspect("polite")["State"]["ExitCode"], 7);
    host.run(["logs", "polite"]).stdout_has("bye");

    let deaf = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    host.start(["--name", "deaf", BUSYBOX, "sh", "-c", deaf]);
    host.wait_logs("deaf", "ready");
    let began = Instant::now();
    host.run(["stop", "--time", "1", "deaf"]).success();
    assert!(began.elapsed() >= Duration::from_secs(1), "it waits the second");
    assert!(began.elapsed() < Duration::from_secs(4), "and not much longer: {:?}", began.elapsed());
    assert_eq!(host.inspect("deaf")["State"]["ExitCode"], 137);
}

#[test]
fn the_signal_and_time_of_stop_are_the_container_s() {
    let host = Host::with_busybox();
    let script = "trap 'exit 8' USR1; echo ready; while :; do sleep 0.05; done";
    host.start(["--name", "one", "--stop-signal", "USR1", BUSYBOX, "sh", "-c", script]);
    host.wait_logs("one", "ready");
    host.run(["stop", "one"]).success();
    assert_eq!(host.inspect("one")["State"]["ExitCode"], 8);

    let deaf = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    host.start(["--name", "two", "--stop-timeout", "1", BUSYBOX, "sh", "-c", deaf]);
    host.wait_logs("two", "ready");
    let began = Instant::now();
    host.run(["stop", "two"]).success();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    host.run(["create", "--stop-signal", "NOSUCH", BUSYBOX]).fails(125).stderr_has("NOSUCH");
}

#[test]
fn stopping_what_stands_still_is_no_error() {
    let host = Host::with_busybox();
    host.run(["run", "--name", "one", BUSYBOX, "true"]).success();
    host.run(["stop", "one"]).success().stdout_is("one");
    host.run(["kill", "one"]).refuses().stderr_has("one");
}

#[test]
fn kill_sends_any_signal() {
    let host = Host::with_busybox();
    let script = "trap 'echo got it' HUP; echo ready; while :; do sleep 0.05; done";
    host.start(["--name", "one", BUSYBOX, "sh", "-c", script]);
    host.wait_logs("one", "ready");
    host.run(["kill", "--signal", "HUP", "one"]).success().stdout_is("one");
    host.wait_logs("one", "got it");
    host.run(["kill", "-s", "9", "one"]).success();
    host.wait_status("one", "exited");
    assert_eq!(host.inspect("one")["State"]["ExitCode"], 137);
    host.start(["--name", "two", BUSYBOX, "sleep", "1000"]);
    host.run(["kill", "two"]).success();
    host.run(["wait", "two"]).success().stdout_is("137");
    host.run(["kill", "--signal", "FOO", "two"]).unsuccessful().stderr_has("FOO");
}

#[test]
fn wait_tells_exit_codes() {
    let host = Host::with_busybox();
    host.start(["--name", "one", "-i", BUSYBOX, "sh", "-c", "read line; exit 4"]);
    let waiting = host.call(["wait", "one"]).spawn();
    assert!(!waiting.has_ended());
    host.run(["kill", "--signal", "KILL", "one"]).success();
    waiting.finish().success().stdout_is("137");
    host.run(["run", "--name", "two", BUSYBOX, "sh", "-c", "exit 6"]).exits(6);
    host.run(["wait", "one", "two"]).success().stdout_is("137\n6");
    host.run(["wait", "nobody"]).refuses().stderr_has("nobody");
}

#[test]
fn rm_wants_force_for_what_runs() {
    let host = Host::with_busybox();
    host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    host.run(["rm", "one"]).refuses().stderr_has("running");
    assert_eq!(host.status("one"), "running");
    host.run(["rm", "-f", "one"]).success();
    host.run(["rm", "one"]).refuses().stderr_has("one");
    host.run(["rm", "-f", "one"]).success();
}

#[test]
fn several_at_once_and_the_rest_goes_on() {
    let host = Host::with_busybox();
    for name in ["one", "two", "three"] {
        host.run(["create", "--name", name, BUSYBOX, "sleep", "1000"]).success();
    }
    host.run(["start", "one", "two"]).success().stdout_is("one\ntwo");
    host.run(["stop", "--time", "0", "one", "two"]).success();
    host.run(["rm", "one", "nobody", "three"]).unsuccessful().stdout_is("one\nthree").stderr_has("nobody");
    host.run(["ps", "-a", "--format", "{{.Names}}"]).success().stdout_is("two");
}

#[test]
fn targets_are_names_ids_or_unique_beginnings_of_ids() {
    let host = Host::with_busybox();
    let id = host.run(["create", "--name", "one", BUSYBOX]).text();
    for target in [id.as_str(), &id[..12], &id[..4], "one"] {
        assert_eq!(host.inspect(target)["Id"], id.as_str(), "{target}");
    }
    let others: Vec<String> = (0..17).map(|_| host.run(["create", BUSYBOX]).text()).collect();
    let twice = others
        .iter()
        .find(|o| others.iter().any(|p| p != *o && p[..1] == o[..1]))
        .expect("17 ids, 16 digits");
    host.run(["inspect", &twice[..1]]).refuses();
}

#[test]
fn names_are_unique_and_free_again_after_rm() {
    let host = Host::with_busybox();
    host.run(["create", "--name", "one", BUSYBOX]).success();
    host.run(["create", "--name", "one", BUSYBOX]).fails(125).stderr_has("one");
    host.run(["run", "--name", "one", BUSYBOX, "true"]).fails(125).stderr_has("one");
    host.run(["rm", "one"]).success();
    host.run(["run", "--name", "one", "--rm", BUSYBOX, "true"]).success();
    host.run(["run", "--name", "one", "--rm", BUSYBOX, "true"]).success();
    for bad in ["-x", "a b", "a/b", "é", ""] {
        host.run(["create", "--name", bad, BUSYBOX]).fails(125);
    }
}

#[test]
fn when_the_exit_code_is_told_the_name_is_free() {
    let host = Host::with_busybox();
    for _ in 0..20 {
        host.run(["run", "--rm", "--name", "same", BUSYBOX, "true"]).success();
    }
}

#[test]
fn ps_shows_what_runs_and_with_all_the_rest() {
    let host = Host::with_busybox();
    host.start(["--name", "runs", BUSYBOX, "sleep", "1000"]);
    host.run(["run", "--name", "ended", BUSYBOX, "sh", "-c", "exit 3"]).exits(3);
    host.run(["create", "--name", "new", BUSYBOX]).success();
    let ps = host.run(["ps"]);
    ps.success().stdout_has("CONTAINER ID").stdout_has("IMAGE").stdout_has("NAMES").stdout_has("Up ");
    ps.stdout_has("runs").stdout_lacks("ended").stdout_lacks("new");
    let all = host.run(["ps", "--all"]);
    all.success().stdout_has("Exited (3)").stdout_has("Created").stdout_has("runs");
    assert_eq!(host.run(["ps", "-aq"]).lines().len(), 3);
    assert!(host.run(["ps", "-q"]).text().len() == 12);
    assert!(host.run(["ps", "-q", "--no-trunc"]).text().len() == 64);
}

#[test]
fn an_ended_container_is_noticed_by_ps() {
    let host = Host::with_busybox();
    host.start(["--name", "one", BUSYBOX, "sh", "-c", "exit 9"]);
    wait_until("ps says how it ended", || host.run(["ps", "-a"]).text().contains("Exited (9)").then_some(()));
}

#[test]
fn a_hundred_in_a_row() {
    let host = Host::with_busybox();
    for n in 0..100 {
        host.run(["run", "--rm", BUSYBOX, "sh", "-c", &format!("exit {}", n % 50)]).exits(n % 50);
    }
    host.run(["ps", "-aq"]).stdout_is("");
}

#[test]
fn many_at_the_same_time() {
    let host = Host::with_busybox();
    let sessions: Vec<_> = (0..20)
        .map(|n| host.call(["run", "--rm", BUSYBOX, "sh", "-c", &format!("echo {n}; exit {n}")]).spawn())
        .collect();
    for (n, session) in sessions.into_iter().enumerate() {
        session.finish().exits(n as i32).stdout_is(&n.to_string());
    }
    host.run(["ps", "-aq"]).stdout_is("");
}

#[test]
fn a_detached_container_that_removes_itself_needs_no_other_command() {
    let host = Host::with_busybox();
    let id = host.start(["--rm", "-v", "/data", BUSYBOX, "sh", "-c", "echo x > /data/x; sleep 0.3"]);
    let volumes = host.data_root().join("volumes");
    assert_eq!(volumes.read_dir().unwrap().count(), 1);
    let container = host.data_root().join("containers").join(id);
    wait_until("its bytes are gone, and its anonymous volume's", || {
        (!container.exists() && volumes.read_dir().unwrap().count() == 0).then_some(())
    });
    let marks = host.run_root().join("unfolded");
    wait_until("nothing is left to fold", || (marks.read_dir().unwrap().count() == 0).then_some(()));
    host.run(["ps", "-aq"]).success().stdout_is("");
}

#[test]
fn a_killed_client_s_container_removes_itself_too() {
    let host = Host::with_busybox();
    let session = host.call(["run", "--rm", BUSYBOX, "sleep", "1"]).spawn();
    let containers = host.data_root().join("containers");
    wait_until("it is there", || (containers.read_dir().ok()?.count() == 1).then_some(()));
    wait_until("it runs", || (host.run(["ps", "-q"]).lines().len() == 1).then_some(()));
    session.signal(rustix::process::Signal::KILL);
    session.finish().exits(137);
    wait_until("its bytes are gone", || (containers.read_dir().unwrap().count() == 0).then_some(()));
}

/// Not while it goes through the hands of one process only: stopping takes as long as what is stopped.
#[test]
fn a_container_that_does_not_die_keeps_nobody_else_waiting() {
    let host = Host::with_busybox();
    let id = host.start(["--name", "one", BUSYBOX, "sh", "-c", "sleep 1000 & echo ready; wait"]);
    host.wait_logs("one", "ready");
    let main = host.pid("one");
    let groups = corten_tests::groups_of(std::slice::from_ref(&id));
    let Some(freezer) = groups.iter().find(|g| g.to_string_lossy().contains("/freezer/")) else {
        // On version 2 the kernel kills what is frozen, too: nothing can be made to hang.
        assert!(groups.iter().any(|g| g.join("cgroup.kill").exists()), "{groups:?}");
        return;
    };
    // A process in a frozen group of its own can be killed by nobody.
    let frozen = freezer.join("frozen");
    std::fs::create_dir(&frozen).unwrap();
    let pids = std::fs::read_to_string(freezer.join("cgroup.procs")).unwrap();
    let child = pids.lines().find(|pid| *pid != main.to_string()).unwrap();
    std::fs::write(frozen.join("cgroup.procs"), child).unwrap();
    std::fs::write(frozen.join("freezer.state"), "FROZEN").unwrap();
    let stopping = host.call(["stop", "--time", "0", "one"]).spawn();
    wait_until("its first process is killed", || {
        (std::fs::read_link(format!("/proc/{main}/exe")).is_err()).then_some(())
    });
    let began = Instant::now();
    host.run(["exec", "one", "true"]).unsuccessful();
    host.inspect("one");
    assert!(began.elapsed() < Duration::from_secs(3), "its keeper answers: {:?}", began.elapsed());
    assert!(!stopping.has_ended());
    std::fs::write(frozen.join("freezer.state"), "THAWED").unwrap();
    stopping.finish().success();
    assert_eq!(host.inspect("one")["State"]["ExitCode"], 137);
}
