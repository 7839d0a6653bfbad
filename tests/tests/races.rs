//! Several commands at once on one container: each gets an answer that fits what happened, and nothing is left.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::{BUSYBOX, Host};

/// Commands at once.
const COMMANDS: usize = 4;

#[test]
fn starts_at_once_start_it_once() {
    let host = Host::with_busybox();
    host.run(["create", "--name", "one", BUSYBOX, "sh", "-c", "echo ran; sleep 1000"]).success();
    let starts: Vec<_> = (0..COMMANDS).map(|_| host.call(["start", "one"]).spawn()).collect();
    for start in starts {
        start.finish().exits(0);
    }
    host.wait_logs("one", "ran");
    host.run(["kill", "one"]).success();
    let log = host.run(["logs", "one"]);
    assert_eq!(log.success().text().matches("ran").count(), 1);
}

#[test]
fn one_of_those_who_want_a_name_gets_it() {
    let host = Host::with_busybox();
    let creates: Vec<_> =
        (0..COMMANDS).map(|_| host.call(["create", "--name", "one", BUSYBOX, "true"]).spawn()).collect();
    let ended: Vec<_> = creates.into_iter().map(|create| create.finish().code).collect();
    assert_eq!(ended.iter().filter(|code| **code == 0).count(), 1, "{ended:?}");
    assert!(ended.iter().all(|code| matches!(code, 0 | 125)), "{ended:?}");
}

#[test]
fn a_volume_that_several_make_at_once_is_one() {
    let host = Host::with_busybox();
    let write = |n: usize| format!("echo {n} >> /data/all");
    let runs: Vec<_> = (0..COMMANDS)
        .map(|n| host.call(["run", "--rm", "-v", "shared:/data", BUSYBOX, "sh", "-c", &write(n)]).spawn())
        .collect();
    for run in runs {
        run.finish().exits(0);
    }
    let lines = host.run(["run", "--rm", "-v", "shared:/data", BUSYBOX, "wc", "-l", "/data/all"]);
    lines.success().stdout_has(&COMMANDS.to_string());
}

#[test]
fn a_removal_meets_a_start() {
    let host = Host::with_busybox();
    for _ in 0..5 {
        host.run(["create", "--name", "one", BUSYBOX, "sleep", "1000"]).success();
        let start = host.call(["start", "one"]).spawn();
        let remove = host.call(["rm", "--force", "one"]).spawn();
        let _ = start.finish();
        remove.finish().exits(0);
        host.run(["inspect", "one"]).refuses();
    }
}
