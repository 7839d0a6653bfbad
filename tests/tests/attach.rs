//! `attach`: several at a container's streams, and leaving without ending it.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::{BUSYBOX, Host};
use rustix::process::Signal;

const ECHO: &str = "echo ready; while read line; do echo \"got $line\"; done; echo end";

#[test]
fn what_is_typed_arrives_and_what_is_said_returns() {
    let host = Host::with_busybox();
    host.start(["-i", "--name", "one", BUSYBOX, "sh", "-c", ECHO]);
    let mut session = host.call(["attach", "one"]).spawn();
    session.write("one\n").wait_stdout("got one");
    session.write("two\n").wait_stdout("got two");
    session.close_stdin();
    session.finish().success().stdout_has("end");
}

#[test]
fn several_see_the_same() {
    let host = Host::with_busybox();
    host.start(["-i", "--name", "one", BUSYBOX, "sh", "-c", ECHO]);
    let watching: Vec<_> = (0..4).map(|_| host.call(["attach", "--no-stdin", "one"]).spawn()).collect();
    let mut typing = host.call(["attach", "one"]).spawn();
    // Each is there once it has seen a line; lines before that are not repeated.
    for (n, session) in watching.iter().enumerate() {
        let line = format!("line {n}");
        typing.write(format!("{line}\n"));
        typing.wait_stdout(&format!("got {line}"));
        corten_tests::wait_until("everyone is attached", || {
            typing.write("again\n");
            let seen = String::from_utf8_lossy(&session.so_far()).contains("got again");
            seen.then_some(())
        });
    }
    typing.write("for all\n");
    for session in &watching {
        session.wait_stdout("got for all");
    }
    typing.close_stdin();
    typing.finish().success();
    for session in watching {
        session.finish().success().stdout_has("end");
    }
}

#[test]
fn a_reader_that_stopped_reading_holds_nobody_up() {
    let host = Host::with_busybox();
    host.start([
        "-i",
        "--name",
        "one",
        BUSYBOX,
        "sh",
        "-c",
        "while read line && [ $line != go ]; do echo got $line; done; \
         yes $(printf %01000d 1) | head -c 4000000; echo; echo finished; sleep 1000",
    ]);
    let stuck = host.call(["attach", "--no-stdin", "one"]).spawn();
    let mut other = host.call(["attach", "one"]).spawn();
    // Stopped before it is attached, it might hold the database.
    corten_tests::wait_until("it is attached", || {
        other.write("again\n");
        String::from_utf8_lossy(&stuck.so_far()).contains("got again").then_some(())
    });
    corten_tests::wait_until("it is stopped", || {
        stuck.signal(Signal::STOP);
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", stuck.pid())).ok()?;
        stat.contains(") T ").then_some(())
    });
    other.write("go\n");
    corten_tests::wait_until("the app comes to its end", || {
        host.run(["logs", "--tail", "1", "one"]).text().contains("finished").then_some(())
    });
    stuck.signal(Signal::KILL);
    host.run(["kill", "one"]).success();
    let _ = other.finish();
}

#[test]
fn the_end_has_the_app_s_exit_code() {
    let host = Host::with_busybox();
    host.start(["-i", "--name", "one", BUSYBOX, "sh", "-c", "read line; exit 6"]);
    let mut session = host.call(["attach", "one"]).spawn();
    session.write("x\n");
    session.finish().exits(6);
    host.run(["attach", "one"]).refuses().stderr_has("one");
    host.run(["attach", "nobody"]).refuses().stderr_has("nobody");
}

#[test]
fn signals_of_the_client_are_passed_on() {
    let host = Host::with_busybox();
    let script = "trap 'echo term; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let session = host.call(["run", "--name", "one", BUSYBOX, "sh", "-c", script]).spawn();
    session.wait_stdout("ready");
    session.signal(Signal::TERM);
    session.finish().exits(5).stdout_has("term");
}

#[test]
fn a_client_that_is_killed_harms_no_container() {
    let host = Host::with_busybox();
    let script = "while :; do echo tick; sleep 0.05; done";
    let session = host.call(["run", "-i", "--name", "one", BUSYBOX, "sh", "-c", script]).spawn();
    session.wait_stdout("tick");
    session.signal(Signal::KILL);
    session.finish().exits(137);
    assert_eq!(host.status("one"), "running");
    let again = host.call(["attach", "--no-stdin", "one"]).spawn();
    again.wait_stdout("tick");
    host.run(["stop", "--time", "0", "one"]).success();
    again.finish().exits(137);
}
