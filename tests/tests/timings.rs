//! `--timings` against what the kernel saw: each stage ends between the system calls that bound it.
//!
//! Where a process was when is asked of strace, whose clock is another one. There has to be one difference between both
//! clocks with which every stage falls between its calls. How long anything takes doesn't matter: a busy machine is
//! as good as a quiet one.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::process::Command;

use corten_tests::{BUSYBOX, Host};

/// What rounding may add up to over all stages, in milliseconds.
const ROUNDING_MS: f64 = 0.1;

/// A stage, its number among those of that name, and the calls before and after its end: who made them, and a part of
/// their text. The first one that fits is meant; after the end of the call before it.
struct Bounds {
    stage: &'static str,
    number: usize,
    after: (Who, &'static str),
    before: (Who, &'static str),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Command,
    Keeper,
    App,
}

const fn bounds(
    stage: &'static str,
    number: usize,
    after: (Who, &'static str),
    before: (Who, &'static str),
) -> Bounds {
    Bounds { stage, number, after, before }
}

use Who::{App, Command as Cli, Keeper};

const RUN: [Bounds; 15] = [
    bounds("store open", 0, (Cli, "unfolded\""), (Cli, "socketpair(")),
    bounds("keeper made", 0, (Cli, "clone("), (Cli, r#"\"op\":\"prepare\""#)),
    bounds("database open", 0, (Cli, "corten.db-wal\", O_RDWR"), (Cli, "/etc/subuid")),
    bounds("plan", 0, (Cli, r#"\"op\":\"start\""#), (Cli, "pwrite64(")),
    bounds("container row", 0, (Cli, "pwrite64("), (Cli, r#"\"op\":\"go\""#)),
    bounds("keeper: cgroup, socket, pipes", 0, (Keeper, "listen("), (Keeper, "/upper\"")),
    bounds("keeper: writable layer", 0, (Keeper, "/work\""), (Keeper, "clone3(")),
    bounds("cloned", 0, (Keeper, "clone3("), (Keeper, "/uid_map\"")),
    bounds("mapped", 0, (Keeper, "/gid_map\""), (Keeper, "/ns/user\"")),
    bounds("rootfs", 0, (Keeper, "FSCONFIG_CMD_CREATE"), (Keeper, "mknodat(")),
    bounds("devices", 0, (Keeper, "\"urandom\""), (Keeper, "/tasks\"")),
    bounds("keeper: started", 0, (App, "execve("), (Keeper, r#"\"e\":\"started\""#)),
    bounds("keeper: journalled", 0, (Keeper, r#"\"e\":\"started\""#), (Keeper, r#"\"re\":\"started\""#)),
    bounds("exited", 0, (App, "exit_group("), (Cli, "unlink(")),
    bounds("finished", 0, (Cli, r#"\"op\":\"settled\""#), (Cli, "exit_group(")),
];

/// One call: when it began, in milliseconds of strace's clock.
struct Call {
    pid: u32,
    began_ms: f64,
    text: String,
}

fn calls(record: &str) -> Vec<Call> {
    let parse = |line: &str| {
        let (pid, rest) = line.split_once(' ')?;
        let (time, text) = rest.trim_start().split_once(' ')?;
        let began_ms = time.parse::<f64>().ok()? * 1000.0;
        // What goes on after an interruption began before.
        let begins = !text.starts_with("<...");
        begins.then(|| Some(Call { pid: pid.parse().ok()?, began_ms, text: text.to_owned() }))?
    };
    record.lines().filter_map(parse).collect()
}

/// When each stage ended, in milliseconds since the command was called.
fn stages(errors: &str) -> Vec<(String, f64)> {
    let mut at_ms = 0.0;
    let lines = errors.lines().filter_map(|line| line.strip_prefix("timing: ")?.strip_suffix(" ms"));
    let parsed = lines.map(|line| {
        let (name, took) = line.rsplit_once(' ').unwrap();
        at_ms += took.parse::<f64>().unwrap();
        (name.trim().to_owned(), at_ms)
    });
    parsed.collect()
}

#[test]
fn every_stage_ends_between_the_calls_that_bound_it() {
    let host = Host::with_busybox();
    host.run(["run", "--rm", "--network", "none", BUSYBOX, "true"]).success();
    let record = host.path().join("record");
    let ran = Command::new("strace")
        .args(["-f", "-qq", "-ttt", "-s", "200", "-e", "signal=none", "-o"])
        .arg(&record)
        .arg(host.binary())
        .args(["--timings", "run", "--rm", "--network", "none", BUSYBOX, "true"])
        .env_clear()
        .env("CORTEN_ROOT", host.data_root())
        .env("CORTEN_RUN_ROOT", host.run_root())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{errors}");
    let stages = stages(&errors);
    let calls = calls(&std::fs::read_to_string(&record).unwrap());
    let pid_of =
        |part: &str| calls.iter().find(|call| call.text.contains(part)).map(|call| call.pid).unwrap();
    let pid = |who| match who {
        Who::Command => calls[0].pid,
        Who::Keeper => pid_of("listen("),
        Who::App => pid_of("execve(\"/bin/true\""),
    };
    let began = |(who, part): (Who, &str), from: usize| {
        let mine = calls.iter().enumerate().skip(from);
        let mut found = mine.filter(|(_, call)| call.pid == pid(who) && call.text.contains(part));
        let (index, call) = found.next().unwrap_or_else(|| panic!("{who:?} made no call with {part}"));
        (index, call.began_ms)
    };
    let (mut least, mut most) = ((f64::MIN, ""), (f64::MAX, ""));
    for bounds in &RUN {
        let mut named = stages.iter().filter(|(name, _)| name == bounds.stage);
        let Some((_, at_ms)) = named.nth(bounds.number) else { panic!("no {} in {errors}", bounds.stage) };
        let (index, after_ms) = began(bounds.after, 0);
        let (_, before_ms) = began(bounds.before, index);
        if after_ms - at_ms > least.0 {
            least = (after_ms - at_ms, bounds.stage);
        }
        if before_ms - at_ms < most.0 {
            most = (before_ms - at_ms, bounds.stage);
        }
    }
    let late = least.0 - most.0;
    let (early, other) = (least.1, most.1);
    assert!(
        late <= ROUNDING_MS,
        "`{early}` comes too early or `{other}` too late, by {late:.3} ms:\n{errors}"
    );
}
