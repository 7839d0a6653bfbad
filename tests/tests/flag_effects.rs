//! What a flag is typed for shows: those flags that no other test has a reason to type.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs;

use corten_tests::{BUSYBOX, Host, busybox_files, groups_of, wait_until};
use rustix::process::Signal;
use serde_json::json;

/// The first block device of the machine, if it has one.
fn block_device() -> Option<String> {
    let names = fs::read_dir("/sys/block").unwrap().flatten().map(|entry| entry.file_name());
    let path = |name: std::ffi::OsString| format!("/dev/{}", name.to_string_lossy());
    names.map(path).find(|path| fs::metadata(path).is_ok())
}

#[test]
fn signals_stay_with_a_client_that_keeps_them() {
    let host = Host::with_busybox();
    let script = "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done";
    let run = ["run", "--name", "one", "--sig-proxy=false", BUSYBOX, "sh", "-c", script];
    let session = host.call(run).spawn();
    session.wait_stdout("up");
    session.signal(Signal::TERM);
    session.finish().exits(143);
    assert_eq!(host.status("one"), "running");
    // It is attached when it shows what was written after it came.
    let attach = |flag: &str, word: &str| {
        let session = host.call(["attach", flag, "one"]).spawn();
        wait_until("it is attached", || {
            host.run(["exec", "one", "sh", "-c", &format!("echo {word} > /proc/1/fd/1")]).success();
            String::from_utf8_lossy(&session.so_far()).contains(word).then_some(())
        });
        session.signal(Signal::TERM);
        session
    };
    attach("--sig-proxy=false", "kept").finish().exits(143);
    assert_eq!(host.status("one"), "running");
    attach("--sig-proxy=true", "sent").finish().exits(9);
}

#[test]
fn detach_keys_of_an_exec_and_of_a_start() {
    let host = Host::with_busybox();
    host.run(["create", "-it", "--name", "one", BUSYBOX, "sh"]).success();
    let mut started = host.call(["start", "-ai", "--detach-keys", "ctrl-x,x", "one"]).terminal();
    started.wait("#").keys("\x18x");
    started.finish().success();
    assert_eq!(host.status("one"), "running");
    let mut exec = host.call(["exec", "-it", "--detach-keys", "ctrl-x,y", "one", "sh"]).terminal();
    exec.wait("#").keys("\x18y");
    exec.finish().success();
    assert_eq!(host.status("one"), "running");
}

#[test]
fn limits_of_rates_and_of_real_time_are_kept() {
    let host = Host::with_busybox();
    let real_time =
        ["--cpu-rt-period", "1000000", "--cpu-rt-runtime", "0", "--oom-kill-disable", "-m", "64m"];
    host.run([&["create", "--name", "one"][..], &real_time, &[BUSYBOX]].concat()).success();
    let config = host.inspect("one")["HostConfig"].clone();
    assert_eq!((&config["CpuRealtimePeriod"], &config["OomKillDisable"]), (&json!(1_000_000), &json!(true)));
    host.run(["create", "--cpu-rt-period", "1000", "--cpu-rt-runtime", "2000", BUSYBOX]).fails(125);
    let device = block_device().expect("a machine has a block device");
    let rates = [format!("{device}:100"), format!("{device}:1mb")];
    let flags = [
        "create",
        "--name",
        "two",
        "--device-read-iops",
        &rates[0],
        "--device-write-bps",
        &rates[1],
        BUSYBOX,
    ];
    host.run(flags).success();
    let config = host.inspect("two")["HostConfig"].clone();
    assert_eq!(config["BlkioDeviceReadIOps"], json!([{ "Path": device, "Rate": 100 }]));
    assert_eq!(config["BlkioDeviceWriteBps"], json!([{ "Path": device, "Rate": 1 << 20 }]));
}

#[test]
fn every_limit_can_be_another_one() {
    let host = Host::with_busybox();
    let id = host.start(["--name", "one", "-m", "64m", BUSYBOX, "sleep", "1000"]);
    let update =
        |flags: &[&str]| drop(host.run([&["update"][..], flags, &["one"]].concat()).success().clone());
    update(&["--memory-swap", "128m", "--memory-reservation", "32m"]);
    update(&["--cpu-period", "50000", "--cpu-quota", "20000", "--cpuset-mems", "0"]);
    let config = host.inspect("one")["HostConfig"].clone();
    assert_eq!((&config["MemorySwap"], &config["MemoryReservation"]), (&json!(128 << 20), &json!(32 << 20)));
    assert_eq!((&config["CpuPeriod"], &config["CpuQuota"]), (&json!(50_000), &json!(20_000)));
    assert_eq!(config["CpusetMems"], "0");
    let groups = groups_of(&[id]);
    let read = |names: [&str; 2]| {
        let found = groups.iter().find_map(|g| names.iter().find_map(|n| fs::read_to_string(g.join(n)).ok()));
        found.unwrap_or_else(|| panic!("none of {names:?}")).trim().to_owned()
    };
    assert_eq!(read(["memory.soft_limit_in_bytes", "memory.low"]), (32 << 20).to_string());
    assert!(["20000", "20000 50000"].contains(&read(["cpu.cfs_quota_us", "cpu.max"]).as_str()));
    host.run(["create", "--name", "two", BUSYBOX]).success();
    host.run([
        "update",
        "--blkio-weight",
        "500",
        "--cpu-rt-period",
        "1000000",
        "--cpu-rt-runtime",
        "10",
        "two",
    ])
    .success();
    let config = host.inspect("two")["HostConfig"].clone();
    let kept = (&config["BlkioWeight"], &config["CpuRealtimePeriod"], &config["CpuRealtimeRuntime"]);
    assert_eq!(kept, (&json!(500), &json!(1_000_000), &json!(10)));
}

#[test]
fn what_lists_tell_on_demand() {
    let host = Host::with_busybox();
    host.run(["create", "--name", "old", BUSYBOX]).success();
    host.run(["create", "--name", "new", BUSYBOX]).success();
    host.run(["ps", "--latest", "--format", "{{.Names}}"]).success().stdout_is("new");
    let sized = host.run(["container", "inspect", "--size", "old"]).success().json();
    assert!(sized[0]["SizeRootFs"].as_u64() > Some(0) && host.inspect("old")["SizeRootFs"].is_null());
    host.call(["import", "--message", "m", "-", "app"]).stdin(busybox_files().bytes()).output().success();
    let sizes = |flag: &str| host.run(["history", flag, "--format", "{{.Size}}", "app"]).success().text();
    assert!(sizes("--human=false").parse::<u64>().is_ok() && sizes("--human=true").ends_with('B'));
    host.run(["images"]).success().stdout_lacks("DIGEST");
    host.run(["images", "--digests"]).success().stdout_has("DIGEST");
}

#[test]
fn a_platform_to_pull_has_to_be_one() {
    let host = Host::new();
    host.run(["pull", "--platform", "a/b/c/d", "hello"]).fails(125).stderr_has("--platform");
}

#[test]
fn a_restart_sends_the_signal_that_was_asked_for() {
    let host = Host::with_busybox();
    let script = "trap 'echo told; exit 0' USR1; trap '' TERM; echo up; while :; do sleep 0.05; done";
    host.start(["--name", "one", BUSYBOX, "sh", "-c", script]);
    host.wait_logs("one", "up");
    host.run(["restart", "--signal", "USR1", "one"]).success();
    wait_until("it was told", || host.run(["logs", "one"]).text().starts_with("up\ntold\nup").then_some(()));
}
