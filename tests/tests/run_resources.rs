//! Limits of a container's control group, seen to hold.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::{BUSYBOX, Host, groups_of};

/// A file of the container's group in the hierarchy that has it.
fn group_file(id: &str, names: &[&str]) -> String {
    let groups = groups_of(&[id.to_owned()]);
    let read =
        |group: &std::path::PathBuf| names.iter().find_map(|n| std::fs::read_to_string(group.join(n)).ok());
    let found = groups.iter().find_map(read);
    found.unwrap_or_else(|| panic!("none of {names:?} in {groups:?}")).trim().to_owned()
}

#[test]
fn limits_reach_the_kernel() {
    let host = Host::with_busybox();
    let flags = [
        "--memory",
        "64m",
        "--memory-swap",
        "64m",
        "--cpus",
        "0.5",
        "--cpuset-cpus",
        "0",
        "--pids-limit",
        "50",
    ];
    let id = host.start(flags.into_iter().chain([BUSYBOX, "sleep", "1000"]));
    assert_eq!(group_file(&id, &["memory.limit_in_bytes", "memory.max"]), (64 << 20).to_string());
    assert_eq!(group_file(&id, &["pids.max"]), "50");
    assert_eq!(group_file(&id, &["cpuset.cpus"]), "0");
    let quota = group_file(&id, &["cpu.cfs_quota_us", "cpu.max"]);
    assert!(quota.starts_with("50000"), "{quota}");
    let config = &host.inspect(&id)["HostConfig"];
    assert_eq!(config["Memory"], 64 << 20);
    assert_eq!(config["NanoCpus"], 500_000_000);
    assert_eq!(config["PidsLimit"], 50);
    assert_eq!(config["CpusetCpus"], "0");
}

#[test]
fn weights_reservations_and_periods_reach_the_kernel() {
    let host = Host::with_busybox();
    let flags = [
        "--cpu-shares=512",
        "--cpu-period=50000",
        "--cpu-quota=20000",
        "--cpuset-mems=0",
        "--memory=64m",
        "--memory-reservation=32m",
        "--oom-score-adj=500",
    ];
    let id = host.start(flags.into_iter().chain([BUSYBOX, "sleep", "1000"]));
    assert_eq!(group_file(&id, &["cpuset.mems"]), "0");
    assert_eq!(group_file(&id, &["memory.soft_limit_in_bytes", "memory.low"]), (32 << 20).to_string());
    let quota = group_file(&id, &["cpu.cfs_quota_us", "cpu.max"]);
    assert!(quota.starts_with("20000"), "{quota}");
    let shares = group_file(&id, &["cpu.shares", "cpu.weight"]);
    assert!(["512", "59"].contains(&shares.as_str()), "{shares}");
    host.run(["exec", &id, "cat", "/proc/1/oom_score_adj"]).success().stdout_is("500");
    let config = &host.inspect(&id)["HostConfig"];
    assert_eq!((&config["CpuShares"], &config["CpuQuota"]), (&512.into(), &20_000.into()));
    assert_eq!((&config["MemoryReservation"], &config["OomScoreAdj"]), (&(32 << 20).into(), &500.into()));
}

#[test]
fn rates_name_a_block_device() {
    let host = Host::with_busybox();
    let check = |flag: &str, value: &str, word: &str| {
        host.run(["run", "--rm", flag, value, BUSYBOX, "true"]).fails(125).stderr_has(word);
    };
    check("--device-read-bps", "/dev/null:1mb", "not a block device");
    check("--device-write-iops", "/dev/no-such-disk:10", "no-such-disk");
    check("--device-read-bps", "/dev/null", "/dev/NAME:RATE");
    check("--blkio-weight-device", "/dev/null:5", "10 to 1000");
    check("--blkio-weight", "5", "10 to 1000");
    check("--memory-swappiness", "101", "0 to 100");
    check("--cpu-quota", "10", "1000");
    check("--oom-score-adj", "1001", "1000");
    host.run(["run", "--rm", "--cpus=1", "--cpu-quota=5000", BUSYBOX, "true"])
        .fails(125)
        .stderr_has("use one or the other");
}

#[test]
fn too_much_memory_is_killed_and_said() {
    let host = Host::with_busybox();
    let bomb = "x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo alive";
    let flags =
        ["run", "--name", "bomb", "--memory", "32m", "--memory-swap", "32m", BUSYBOX, "sh", "-c", bomb];
    let ran = host.run(flags);
    ran.stdout_lacks("alive").check(ran.code != 0, "it got what it wanted");
    let state = &host.inspect("bomb")["State"];
    assert_eq!(state["OOMKilled"], true, "{state}");
}

#[test]
fn a_limit_of_processes_holds() {
    let host = Host::with_busybox();
    let script = "for i in $(seq 40); do sleep 1000 & done; echo started";
    let ran = host.shell_with(&["--pids-limit", "20"], script);
    ran.stderr_has("fork").check(ran.code != 0, "it started them all");
}

#[test]
fn shared_memory_has_a_size() {
    let host = Host::with_busybox();
    host.shell("df -k /dev/shm | tail -n 1 | awk '{print $2}'").success().stdout_is("65536");
    let ask = "df -k /dev/shm | tail -n 1 | awk '{print $2}'";
    host.shell_with(&["--shm-size", "8m"], ask).success().stdout_is("8192");
}

#[test]
fn senseless_limits_are_refused() {
    let host = Host::with_busybox();
    let check = |flag: &str, value: &str, word: &str| {
        host.run(["run", "--rm", flag, value, BUSYBOX, "true"]).fails(125).stderr_has(word);
    };
    check("--memory", "1k", "6 MiB");
    check("--memory", "lots", "lots");
    check("--memory-swap", "64m", "--memory");
    check("--cpus", "1000", "1000");
    check("--cpus", "-1", "-1");
    check("--cpuset-cpus", "4000", "4000");
    check("--pids-limit", "many", "many");
    check("--shm-size", "-3", "-3");
}
