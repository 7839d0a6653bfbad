//! `-t`: terminals inside, and the person's own terminal outside.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::{BUSYBOX, Host, wait_until};
use rustix::process::Signal;

#[test]
fn it_is_a_terminal_of_its_own() {
    let host = Host::with_busybox();
    let mut terminal = host.call(["run", "-it", "--rm", BUSYBOX, "sh"]).terminal();
    terminal
        .wait("#")
        .keys("tty; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo all three\n")
        .wait("all three\r\n");
    terminal.keys("exit 7\n");
    terminal.finish().exits(7).stdout_has("/dev/");
    assert!(!terminal.is_raw(), "the person's terminal is as it was");
}

#[test]
fn the_person_s_terminal_is_raw_meanwhile() {
    let host = Host::with_busybox();
    let mut terminal = host.call(["run", "-it", "--rm", BUSYBOX, "sh"]).terminal();
    terminal.wait("#");
    assert!(terminal.is_raw());
    // Control-C goes to the app inside, not to the client.
    terminal.keys("sleep 1000\n").wait("sleep 1000");
    wait_until("the interrupted sleep ends", || {
        terminal.keys("\x03");
        terminal.screen().matches("# ").count().ge(&2).then_some(())
    });
    terminal.keys("exit\n");
    let _ = terminal.finish();
    assert!(!terminal.is_raw());
}

#[test]
fn the_size_is_passed_on_at_the_start_and_at_each_change() {
    let host = Host::with_busybox();
    let mut terminal = host.call(["run", "-it", "--rm", BUSYBOX, "sh"]).terminal();
    terminal.wait("#").resize(31, 97);
    wait_until("the new size is inside", || {
        terminal.keys("stty size\n");
        terminal.screen().contains("31 97\r\n").then_some(())
    });
    terminal.keys("exit\n");
    terminal.finish().success();
    let mut first = host.call(["run", "-it", "--rm", BUSYBOX, "stty", "size"]).terminal();
    first.finish().success().stdout_has("24 80");
}

#[test]
fn without_i_the_keys_stay_outside() {
    let host = Host::with_busybox();
    let ran = host.call(["run", "-t", "--rm", BUSYBOX, "sh", "-c", "tty; echo err >&2"]).output();
    ran.success().stdout_has("/dev/").stdout_has("\r\nerr").quiet();
}

#[test]
fn it_wants_a_terminal_where_it_reads_keys() {
    let host = Host::with_busybox();
    host.run(["run", "-it", "--rm", BUSYBOX, "true"]).unsuccessful().stderr_has("TTY");
}

#[test]
fn the_detach_keys_leave_it_running() {
    let host = Host::with_busybox();
    let mut terminal = host.call(["run", "-it", "--name", "one", BUSYBOX, "sh"]).terminal();
    terminal.wait("#").keys("\x10\x11");
    terminal.finish().success();
    assert!(!terminal.is_raw());
    assert_eq!(host.status("one"), "running");

    let mut again = host.call(["attach", "--detach-keys", "ctrl-x,x", "one"]).terminal();
    wait_until("the shell answers", || {
        again.keys("echo an${X}swer\n");
        again.screen().contains("answer\r\n").then_some(())
    });
    // A beginning that goes on otherwise was meant for the app.
    again.keys("\x10x").keys("\x15\x18x");
    again.finish().success();
    assert_eq!(host.status("one"), "running");
}

#[test]
fn exec_has_terminals_too() {
    let host = Host::with_busybox();
    host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    let mut terminal = host.call(["exec", "-it", "one", "sh"]).terminal();
    terminal.wait("#").resize(40, 120);
    wait_until("the new size is inside", || {
        terminal.keys("stty size\n");
        terminal.screen().contains("40 120\r\n").then_some(())
    });
    terminal.keys("exit 9\n");
    terminal.finish().exits(9);
    assert!(!terminal.is_raw());
}

#[test]
fn a_client_that_is_terminated_leaves_the_terminal_as_it_was() {
    let host = Host::with_busybox();
    let mut terminal = host.call(["run", "-it", "--name", "one", BUSYBOX, "sh"]).terminal();
    terminal.wait("#");
    terminal.signal(Signal::HUP);
    let _ = terminal.finish();
    assert!(!terminal.is_raw());
}

#[test]
fn when_the_container_is_killed_the_terminal_is_as_it_was() {
    let host = Host::with_busybox();
    let mut terminal = host.call(["run", "-it", "--name", "one", BUSYBOX, "sh"]).terminal();
    terminal.wait("#");
    host.run(["kill", "one"]).success();
    terminal.finish().exits(137);
    assert!(!terminal.is_raw());
}

#[test]
fn a_detached_terminal_is_logged_and_can_be_joined() {
    let host = Host::with_busybox();
    host.start(["-t", "-i", "--name", "one", BUSYBOX, "sh", "-c", "echo hi; cat"]);
    host.wait_logs("one", "hi");
    let mut terminal = host.call(["attach", "one"]).terminal();
    // Before that the person's terminal echoes by itself, and takes Control-Q for its own.
    wait_until("it is attached", || terminal.is_raw().then_some(()));
    wait_until("it echoes", || {
        terminal.keys("x\n");
        terminal.screen().contains("x\r\nx\r\n").then_some(())
    });
    terminal.keys("\x10\x11");
    terminal.finish().success();
    assert_eq!(host.status("one"), "running");
}

#[test]
fn colours_are_for_people_who_see_them() {
    let host = Host::new();
    let said = |variables: &[(&str, &str)]| {
        let call = host.call(["rm", "nothing"]);
        let call = variables.iter().fold(call, |call, (key, value)| call.env(key, value));
        call.terminal().finish().exits(1).text()
    };
    let colours = said(&[]);
    assert!(colours.contains("\x1b[1;31merror:\x1b[0m cannot remove container `nothing`"), "{colours}");
    assert!(colours.contains("\x1b[36mhint:\x1b[0m `corten ps -a` lists them"), "{colours}");
    for plain in [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "")] {
        let said = said(&[plain]);
        assert!(said.contains("error: cannot remove") && !said.contains('\x1b'), "{plain:?}: {said}");
    }
    assert!(said(&[("NO_COLOR", "")]).contains('\x1b'), "an empty one says nothing");
    host.run(["rm", "nothing"]).fails(1).stderr_lacks("\x1b");
}

#[test]
fn help_is_folded_to_the_width_and_a_pipe_gets_it_as_it_is() {
    let host = Host::new();
    let longest = |text: &str| text.lines().map(|line| line.trim_end().chars().count()).max().unwrap();
    for words in [&["run", "--help"][..], &["--help"], &["config", "--help"], &["system", "setup", "--help"]]
    {
        let screen = host.call(words).terminal().finish().exits(0).text();
        assert!(longest(&screen) <= 80, "{screen}");
        let pipe = host.run(words).success().text();
        let same = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(same(&screen), same(&pipe));
    }
    assert!(longest(&host.run(["run", "--help"]).text()) > 80);
}
