//! What can be changed and seen of a container that runs: rename, restart, update, top, port, stats.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::{Account, BUSYBOX, Host, groups_of, wait_until};

/// A file of the container's groups.
fn group_file(id: &str, names: &[&str]) -> String {
    let groups = groups_of(&[id.to_owned()]);
    let read =
        |group: &std::path::PathBuf| names.iter().find_map(|n| std::fs::read_to_string(group.join(n)).ok());
    groups
        .iter()
        .find_map(read)
        .unwrap_or_else(|| panic!("none of {names:?} in {groups:?}"))
        .trim()
        .to_owned()
}

#[test]
fn a_name_is_changed_in_any_state() {
    let host = Host::with_busybox();
    let id = host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    host.run(["create", "--name", "other", BUSYBOX]).success();
    host.run(["rename", "one", "two"]).success();
    assert_eq!(host.inspect("two")["Id"], id.as_str());
    host.run(["exec", "two", "true"]).success();
    host.run(["exec", "one", "true"]).unsuccessful().stderr_has("one");
    host.run(["rename", "two", "other"]).refuses().stderr_has("the name `other` is in use");
    host.run(["rename", "two", "two"]).refuses().stderr_has("has this name already");
    host.run(["rename", "two", "a/b"]).unsuccessful();
    host.run(["rename", "nobody", "x"]).refuses().stderr_has("nobody");
    host.run(["stop", "--time", "0", "two"]).success();
    host.run(["container", "rename", &id[..12], "three"]).success();
    host.run(["run", "--rm", "--name", "one", BUSYBOX, "true"]).success();
}

#[test]
fn a_restart_is_an_end_and_a_start() {
    let host = Host::with_busybox();
    let script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    host.start(["--name", "one", BUSYBOX, "sh", "-c", script]);
    host.wait_logs("one", "up");
    let before = host.inspect("one")["State"]["Pid"].clone();
    host.run(["restart", "one"]).success().stdout_is("one");
    assert_eq!(host.status("one"), "running");
    assert_ne!(host.inspect("one")["State"]["Pid"], before);
    host.run(["logs", "one"]).success().stdout_has("bye");
    host.run(["stop", "--time", "0", "one"]).success();
    host.run(["restart", "--time", "0", "one", "nobody"]).refuses().stdout_is("one").stderr_has("nobody");
    assert_eq!(host.status("one"), "running");
}

#[test]
fn a_container_that_removes_itself_outlives_a_restart() {
    let host = Host::with_busybox();
    let id = host.start(["--rm", "--name", "one", BUSYBOX, "sh", "-c", "echo x >> /count; sleep 1000"]);
    host.run(["restart", "--time", "0", "one"]).success();
    assert_eq!(host.inspect("one")["Id"], id.as_str());
    wait_until("it has counted twice", || {
        (host.run(["exec", "one", "cat", "/count"]).success().text() == "x\nx").then_some(())
    });
    host.run(["stop", "--time", "0", "one"]).success();
    host.run(["inspect", "one"]).refuses();
}

#[test]
fn limits_change_while_it_runs_and_stay() {
    let host = Host::with_busybox();
    let id = host.start(["--name", "one", "--memory", "64m", "--cpus", "0.5", BUSYBOX, "sleep", "1000"]);
    let flags = ["--memory=128m", "--cpu-shares=512", "--pids-limit=30", "--cpuset-cpus=0"];
    host.run(["update"].iter().chain(&flags).chain(&["one"])).success().stdout_is("one");
    let check = |id: &str| {
        assert_eq!(group_file(id, &["memory.limit_in_bytes", "memory.max"]), (128 << 20).to_string());
        assert_eq!(group_file(id, &["pids.max"]), "30");
        assert_eq!(group_file(id, &["cpuset.cpus"]), "0");
        let quota = group_file(id, &["cpu.cfs_quota_us", "cpu.max"]);
        assert!(quota.starts_with("50000"), "what isn't named stays: {quota}");
    };
    check(&id);
    let config = &host.inspect("one")["HostConfig"];
    assert_eq!((&config["Memory"], &config["PidsLimit"]), (&(128 << 20).into(), &30.into()));
    host.run(["restart", "--time", "0", "one"]).success();
    check(&id);
    host.run(["stop", "--time", "0", "one"]).success();
    host.run(["update", "--memory", "256m", "one"]).success();
    host.run(["start", "one"]).success();
    assert_eq!(group_file(&id, &["memory.limit_in_bytes", "memory.max"]), (256 << 20).to_string());
}

#[test]
fn limits_that_can_t_be_change_nothing() {
    let host = Host::with_busybox();
    let id = host.start(["--name", "one", "--memory", "64m", BUSYBOX, "sleep", "1000"]);
    host.run(["update", "--memory", "1m", "one"]).refuses().stderr_has("6 MiB");
    host.run(["update", "one"]).refuses().stderr_has("nothing to change");
    host.run(["update", "--kernel-memory", "1m", "one"]).unsuccessful().stderr_has("--kernel-memory");
    host.run(["update", "--pids-limit", "7", "--cpuset-cpus", "4000", "one"]).refuses();
    assert_ne!(group_file(&id, &["pids.max"]), "7", "what was set before the refusal goes back");
    assert_eq!(host.inspect("one")["HostConfig"]["Memory"], 64 << 20);
    assert_ne!(host.inspect("one")["HostConfig"]["PidsLimit"], 7);
}

#[test]
fn processes_are_listed_without_the_container_s_help() {
    let host = Host::with_busybox();
    // A `ps` of the container that would tell lies, and leave a mark.
    let script = "echo 'touch /lied; echo LIES' > /bin/ps; sleep 1000 & sleep 1001";
    host.start(["--name", "one", BUSYBOX, "sh", "-c", script]);
    let top = corten_tests::wait_until("both run", || {
        let top = host.run(["top", "one"]);
        (top.text().contains("sleep 1000") && top.text().contains("sleep 1001")).then_some(top)
    });
    top.success().stdout_has("UID").stdout_has("CMD").stdout_has("root");
    let pid = host.inspect("one")["State"]["Pid"].to_string();
    let columns = host.run(["top", "one", "-o", "pid,ppid,comm"]);
    columns.success().check(columns.lines()[0].split_whitespace().eq(["PID", "PPID", "COMMAND"]), "columns");
    columns.stdout_has(&pid);
    host.run(["container", "top", "one", "aux"]).success().stdout_has("%MEM");
    host.run(["top", "one", "-o", "shoe"]).refuses().stderr_has("the columns are");
    host.run(["exec", "one", "test", "-e", "/lied"]).unsuccessful();
    host.run(["stop", "--time", "0", "one"]).success();
    host.run(["top", "one"]).refuses().stderr_has("not running");
}

#[test]
fn usage_is_measured() {
    let host = Host::with_busybox();
    let busy = host.start(["--name", "busy", "--memory", "64m", BUSYBOX, "sh", "-c", "while :; do :; done"]);
    host.run(["create", "--name", "idle", BUSYBOX]).success();
    let stats = host.run(["stats", "--no-stream"]);
    stats.success().stdout_has("MEM USAGE / LIMIT").stdout_has("/ 64MiB").stdout_lacks("idle");
    let format = "{{.Name}} {{.CPUPerc}} {{.PIDs}}";
    let line = host.run(["stats", "--no-stream", "--format", format, &busy]).success().text();
    let words: Vec<&str> = line.split_whitespace().collect();
    let cpu: f64 = words[1].trim_end_matches('%').parse().unwrap();
    assert!(words[0] == "busy" && cpu > 0.5 && words[2] != "0", "{line}");
    host.run(["stats", "--no-stream", "--all", "--no-trunc"]).success().stdout_has("idle").stdout_has(&busy);
    host.run(["container", "stats", "--no-stream", "nobody"]).refuses().stderr_has("nobody");
}

#[test]
fn no_port_is_published() {
    let host = Host::with_busybox();
    host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    host.run(["port", "one"]).success().stdout_is("");
    host.run(["container", "port", "one", "80"])
        .refuses()
        .stderr_has("no public port '80/tcp' published for one");
    host.run(["port", "one", "http"]).unsuccessful().stderr_has("53/udp");
    host.run(["port", "nobody"]).refuses().stderr_has("nobody");
}

#[test]
fn an_ordinary_user_sees_processes_and_usage() {
    let account = Account::with_subordinate_ids();
    let host = Host::of(&account);
    host.import_busybox();
    host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    host.run(["top", "one"]).success().stdout_has("sleep 1000").stdout_has("root");
    host.run(["stats", "--no-stream"]).success().stdout_has("one");
    host.run(["restart", "--time", "0", "one"]).success();
    host.run(["rename", "one", "two"]).success();
    assert_eq!(host.status("two"), "running");
}

#[test]
fn a_pause_stands_still_until_it_is_ended() {
    let host = Host::with_busybox();
    let count = "n=0; while :; do n=$((n+1)); echo $n > /count; sleep 0.01; done";
    host.start(["--name", "one", BUSYBOX, "sh", "-c", count]);
    host.run(["pause", "one"]).success().stdout_is("one");
    assert_eq!(host.status("one"), "paused");
    host.run(["ps"]).success().stdout_has("(Paused)");
    let counted = || host.run(["cp", "one:/count", "-"]).success().stdout.clone();
    assert_eq!(counted(), counted(), "it stands still");
    host.run(["exec", "one", "true"]).unsuccessful().stderr_has("paused");
    host.run(["pause", "one"]).refuses().stderr_has("paused");
    host.run(["container", "unpause", "one"]).success();
    assert_eq!(host.status("one"), "running");
    host.run(["unpause", "one"]).refuses().stderr_has("not paused");
    host.run(["pause", "one"]).success();
    host.run(["stop", "--time", "0", "one"]).success();
    assert_eq!(host.status("one"), "exited");
    host.run(["container", "pause", "one"]).refuses().stderr_has("not running");
}
