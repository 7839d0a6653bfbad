//! Crashes: a process of ours is killed at a named step, and the next command tells the truth.
//!
//! `CORTEN_STOP_AT` makes the process that comes to a step stop itself there (crates/engine/src/steps.rs lists the
//! steps); the test finds it stopped and kills it, alone or with the others.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs;

use corten_tests::{BUSYBOX, Host, groups_of, kill, processes_of, state_of, wait_stopped, wait_until};
use rustix::process::Signal;

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Victim {
    /// The process that came to the step.
    Stopped,
    /// Every process of ours.
    Everybody,
}

/// Runs a container up to `step`, kills, and looks at what is left.
fn check(step: &str, flags: &[&str], command: &[&str], victim: Victim) {
    let host = Host::with_busybox();
    let words = ["run", "--name", "one"].iter().chain(flags).chain(&[BUSYBOX]).chain(command);
    let session = host.call(words).env("CORTEN_STOP_AT", step).spawn();
    let what = format!("{step} {flags:?} {victim:?}");
    let pid = wait_stopped(&host, &what);
    host.note_containers();
    let mut killed = vec![pid];
    if victim == Victim::Everybody {
        killed.push(session.pid());
        // Processes of the container itself live on: they aren't ours.
        let ours = processes_of(host.path()).into_iter().filter(|(_, what)| what.contains("corten"));
        killed.extend(ours.map(|(pid, _)| pid));
    }
    for pid in &killed {
        kill(*pid);
    }
    // A killed process holds its locks until the kernel comes to end it.
    wait_until("they are dead", || {
        killed.iter().all(|pid| state_of(*pid).is_none_or(|state| state == 'Z')).then_some(())
    });
    let _ = session.finish();
    tells_the_truth(&host, &what);
    host.run(["system", "check", "--repair"]).success();
    host.is_clean();
    host.run(["rm", "--force", "one"]).success();
    host.run(["run", "--rm", "--name", "one", BUSYBOX, "echo", "again"]).success().stdout_is("again");
    host.is_clean();
}

/// What `ps` says of the container is what the kernel says.
fn tells_the_truth(host: &Host, what: &str) {
    let listed = host.run(["ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.State}}"]);
    listed.success();
    for line in listed.lines() {
        let (id, state) = line.split_once(' ').expect("two words");
        let groups = groups_of(&[id.to_owned()]);
        let alive = || {
            let pids = groups.iter().filter_map(|g| fs::read_to_string(g.join("cgroup.procs")).ok());
            pids.flat_map(|p| p.lines().map(str::to_owned).collect::<Vec<_>>()).next()
        };
        if state == "running" {
            assert!(alive().is_some(), "{what}: it is said to run, and no process is in its groups");
        } else {
            // One that ended may take a moment to be reaped.
            wait_until(&format!("{what}: {state}, so no process is in its groups"), || {
                alive().is_none().then_some(())
            });
        }
    }
}

#[test]
fn the_client_is_killed_where_the_keeper_works_and_no_row_is_there() {
    check("cli.planned", &[], &["true"], Victim::Stopped);
    check("cli.planned", &["--rm"], &["sleep", "1000"], Victim::Everybody);
}

#[test]
fn the_client_is_killed_where_it_has_created() {
    check("cli.created", &[], &["true"], Victim::Stopped);
    check("cli.created", &["--rm"], &["sleep", "1000"], Victim::Everybody);
}

#[test]
fn the_keeper_is_killed_where_it_has_prepared() {
    check("keeper.prepared", &[], &["true"], Victim::Stopped);
    check("keeper.prepared", &["-d"], &["sleep", "1000"], Victim::Everybody);
}

#[test]
fn the_keeper_is_killed_where_it_has_received() {
    check("keeper.received", &[], &["true"], Victim::Stopped);
    check("keeper.received", &["--rm"], &["sleep", "1000"], Victim::Everybody);
}

#[test]
fn the_keeper_is_killed_where_it_has_started_the_app() {
    check("keeper.started", &[], &["sleep", "1000"], Victim::Stopped);
    check("keeper.started", &["--rm"], &["sleep", "1000"], Victim::Everybody);
}

#[test]
fn the_keeper_is_killed_where_it_has_journalled() {
    check("keeper.journalled", &[], &["sleep", "1000"], Victim::Stopped);
    check("keeper.journalled", &["-d"], &["sleep", "1000"], Victim::Everybody);
}

#[test]
fn the_client_is_killed_where_it_knows_of_the_start() {
    check("cli.started", &[], &["sleep", "1000"], Victim::Stopped);
    check("cli.started", &["-d"], &["sleep", "1000"], Victim::Everybody);
}

#[test]
fn the_keeper_is_killed_where_the_app_has_ended() {
    check("keeper.exited", &[], &["true"], Victim::Stopped);
    check("keeper.exited", &["--rm"], &["true"], Victim::Everybody);
}

#[test]
fn the_keeper_is_killed_where_it_has_reported() {
    check("keeper.reported", &[], &["true"], Victim::Stopped);
    check("keeper.reported", &["--rm"], &["true"], Victim::Everybody);
}

#[test]
fn the_keeper_is_killed_where_all_is_torn_down() {
    check("keeper.torn-down", &[], &["true"], Victim::Stopped);
    check("keeper.torn-down", &["--rm"], &["true"], Victim::Everybody);
}

#[test]
fn the_client_is_killed_where_it_has_removed() {
    check("cli.removed", &["--rm"], &["true"], Victim::Stopped);
    check("cli.removed", &["--rm"], &["true"], Victim::Everybody);
}

#[test]
fn a_keeper_that_is_killed_takes_no_app_along() {
    let host = Host::with_busybox();
    let script = "n=0; while :; do n=$((n+1)); echo tick $n; sleep 0.05; done";
    host.start(["--name", "one", BUSYBOX, "sh", "-c", script]);
    host.wait_logs("one", "tick 2");
    let (app, keeper) = (host.pid("one"), host.keeper("one"));
    kill(keeper);
    wait_until("the keeper is gone", || (!fs::exists(format!("/proc/{keeper}")).unwrap()).then_some(()));
    tells_the_truth(&host, "after the keeper's death");
    if host.status("one") == "running" {
        assert!(fs::exists(format!("/proc/{app}")).unwrap());
    }
    host.run(["rm", "--force", "one"]).success();
    wait_until("the app is gone", || (!fs::exists(format!("/proc/{app}")).unwrap()).then_some(()));
}

#[test]
fn an_app_that_is_killed_from_outside_is_noticed() {
    let host = Host::with_busybox();
    host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    kill(host.pid("one"));
    host.run(["wait", "one"]).success().stdout_is("137");
    assert_eq!(host.status("one"), "exited");
}

#[test]
fn an_import_that_is_killed_leaves_what_check_repairs() {
    let host = Host::with_busybox();
    let mut session = host.call(["import", "-", "half"]).spawn();
    let tar = corten_tests::busybox_files().bytes();
    session.write(&tar[..tar.len() / 2]);
    wait_until("it has begun to unpack", || {
        let layers = fs::read_dir(host.data_root().join("layers")).ok()?;
        (layers.count() > 1).then_some(())
    });
    session.signal(Signal::KILL);
    session.finish().exits(137);
    host.run(["images", "-q"]).success();
    host.run(["system", "check", "--repair"]).success();
    host.is_clean();
    host.run(["run", "--rm", BUSYBOX, "true"]).success();
}

#[test]
fn check_does_not_take_what_is_just_going_for_lost() {
    let host = Host::with_busybox();
    for _ in 0..10 {
        host.run(["run", "--rm", BUSYBOX, "true"]).success();
        host.run(["system", "check"]).success();
    }
}

#[test]
fn check_finds_and_repairs_what_does_not_belong() {
    let host = Host::with_busybox();
    let stray = host.data_root().join("containers").join("f".repeat(64));
    fs::create_dir_all(stray.join("upper")).unwrap();
    host.run(["system", "check"]).unsuccessful().stdout_has(&"f".repeat(12));
    host.run(["system", "check", "--repair"]).success();
    assert!(!stray.exists());
    host.is_clean();
}
