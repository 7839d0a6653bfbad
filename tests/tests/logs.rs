//! Logs: what the app wrote, as it wrote it, and never more than was agreed.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs;
use std::path::PathBuf;

use corten_tests::{BUSYBOX, Host, wait_until};

/// The log files of the only container, the oldest last.
fn log_files(host: &Host, id: &str) -> Vec<PathBuf> {
    let dir = host.data_root().join("containers").join(id);
    let mut found: Vec<PathBuf> = fs::read_dir(&dir)
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.file_name().unwrap().to_string_lossy().contains("log"))
        .collect();
    found.sort();
    found
}

#[test]
fn both_streams_are_kept_apart() {
    let host = Host::with_busybox();
    host.run(["run", "--name", "one", BUSYBOX, "sh", "-c", "echo out; echo err >&2"]).success();
    let logs = host.run(["logs", "one"]);
    logs.success().stdout_is("out").check(logs.errors() == "err\n", "stderr isn't the app's");
}

#[test]
fn the_file_is_docker_s_json() {
    let host = Host::with_busybox();
    host.run(["run", "--name", "one", BUSYBOX, "printf", "one\\ntwo \"x\"\\t\\001\\n"]).success();
    let id = host.inspect("one")["Id"].as_str().unwrap().to_owned();
    let path = host.inspect("one")["LogPath"].as_str().unwrap().to_owned();
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(lines[0]["log"], "one\n");
    assert_eq!(lines[1]["log"], "two \"x\"\t\u{1}\n");
    assert_eq!(lines[0]["stream"], "stdout");
    assert!(lines[0]["time"].as_str().unwrap().ends_with('Z'));
    assert!(log_files(&host, &id).contains(&PathBuf::from(path)));
}

#[test]
fn tail_since_until_and_timestamps() {
    let host = Host::with_busybox();
    let script = "echo one; echo two; sleep 1.2; echo three";
    host.run(["run", "--name", "one", BUSYBOX, "sh", "-c", script]).success();
    host.run(["logs", "--tail", "2", "one"]).success().stdout_is("two\nthree");
    host.run(["logs", "-n", "0", "one"]).success().stdout_is("");
    host.run(["logs", "--tail", "all", "one"]).success().stdout_is("one\ntwo\nthree");
    let stamped = host.run(["logs", "--timestamps", "one"]);
    stamped.success();
    let first = stamped.lines()[0].clone();
    let (time, rest) = first.split_once(' ').unwrap();
    assert_eq!(rest, "one");
    let third = stamped.lines()[2].split_once(' ').unwrap().0.to_owned();
    assert!(time.starts_with("20") && time.ends_with('Z') && time < third.as_str(), "{time} {third}");
    host.run(["logs", "--since", &third, "one"]).success().stdout_is("three");
    host.run(["logs", "--until", time, "one"]).success().stdout_is("one");
    host.run(["logs", "--since", "10m", "one"]).success().stdout_is("one\ntwo\nthree");
    host.run(["logs", "--since", "sometime", "one"]).unsuccessful().stderr_has("sometime");
    host.run(["logs", "--tail", "many", "one"]).unsuccessful().stderr_has("many");
    host.run(["logs", "nobody"]).refuses().stderr_has("nobody");
}

#[test]
fn follow_goes_on_until_the_end() {
    let host = Host::with_busybox();
    host.start([
        "--name",
        "one",
        "-i",
        BUSYBOX,
        "sh",
        "-c",
        "echo first; while [ ! -e /go ]; do sleep 0.05; done; echo last",
    ]);
    let following = host.call(["logs", "--follow", "one"]).spawn();
    following.wait_stdout("first");
    host.run(["exec", "one", "touch", "/go"]).success();
    following.wait_stdout("last");
    following.finish().success().stdout_is("first\nlast");
}

#[test]
fn follow_wakes_for_each_line_and_ends_when_the_container_is_removed() {
    let host = Host::with_busybox();
    let script = "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.05; done";
    host.start(["--name", "one", BUSYBOX, "sh", "-c", script]);
    let following = host.call(["logs", "-f", "--tail", "1", "one"]).spawn();
    following.wait_stdout("line 20");
    host.run(["rm", "-f", "one"]).success();
    let _ = following.finish();
}

#[test]
fn a_line_without_an_end_is_kept() {
    let host = Host::with_busybox();
    host.run(["run", "--name", "one", BUSYBOX, "printf", "no end"]).success().stdout_is("no end");
    let logs = host.run(["logs", "one"]);
    logs.success();
    assert_eq!(logs.stdout, b"no end");
}

#[test]
fn bytes_that_are_no_text_do_not_break_the_file() {
    let host = Host::with_busybox();
    host.run(["run", "--name", "one", BUSYBOX, "printf", "\\377\\376bad\\n\\033[31mred\\n"]).success();
    let path = host.inspect("one")["LogPath"].as_str().unwrap().to_owned();
    for line in fs::read_to_string(path).unwrap().lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("every line is JSON");
    }
    host.run(["logs", "one"]).success().stdout_has("bad").stdout_has("red");
}

#[test]
fn heavy_logs_are_rotated_and_bounded() {
    const MIB: u64 = 1 << 20;
    let host = Host::with_busybox();
    let script = "yes 'a line that is repeated until the log is full' | head -c 52428800";
    let id = host.start(["--name", "one", BUSYBOX, "sh", "-c", script]);
    host.wait_status("one", "exited");
    let files = log_files(&host, &id);
    let total: u64 = files.iter().map(|f| fs::metadata(f).unwrap().len()).sum();
    assert!(total <= 31 * MIB, "{} MiB in {files:?}", total / MIB);
    assert!(files.len() <= 3, "{files:?}");
    assert!(total >= 10 * MIB, "and not much less: {total}");
    let logs = host.run(["logs", "one"]);
    logs.success().check(logs.stdout.len() as u64 > 5 * MIB, "the newest are there");
    host.run(["logs", "--tail", "1", "one"]).success().stdout_has("a line that is");
}

#[test]
fn heavy_a_line_of_any_length_costs_no_memory() {
    let host = Host::with_busybox();
    let id = host.start([
        "--name",
        "one",
        BUSYBOX,
        "sh",
        "-c",
        "head -c 67108864 /dev/zero | tr '\\0' x; echo; sleep 1000",
    ]);
    wait_until("the long line is through", || {
        let size: u64 = log_files(&host, &id).iter().map(|f| fs::metadata(f).unwrap().len()).sum();
        (size > 8 << 20).then_some(())
    });
    let keeper = host.keeper("one");
    let status = fs::read_to_string(format!("/proc/{keeper}/status")).unwrap();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak_kib < 32 << 10, "the keeper grew to {peak_kib} KiB");
}
