//! Restart policies: who is started again, how often, and what ends it.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs;

use corten_tests::{Account, BUSYBOX, Host, groups_of, wait_until};
use serde_json::json;

/// Ends with 5 when it is told to, and says when it begins.
const OBEYS: &str = "trap 'exit 5' USR1; echo up; while :; do sleep 0.05; done";

/// Waits until it was started again so often, and runs.
#[track_caller]
fn wait_restarts(host: &Host, target: &str, count: u64) {
    wait_until(&format!("{target} was started again {count} times"), || {
        let inspected = host.inspect(target);
        let runs = inspected["State"]["Status"] == "running";
        (runs && inspected["RestartCount"].as_u64() >= Some(count)).then_some(())
    });
}

#[test]
fn a_failure_is_tried_again_so_many_times() {
    let host = Host::with_busybox();
    let script = "echo try; exit 3";
    let id = host.start(["--name", "one", "--restart", "on-failure:2", BUSYBOX, "sh", "-c", script]);
    host.wait_status("one", "exited");
    let inspected = host.inspect("one");
    assert_eq!((&inspected["RestartCount"], &inspected["State"]["ExitCode"]), (&json!(2), &json!(3)));
    let policy = json!({ "Name": "on-failure", "MaximumRetryCount": 2 });
    assert_eq!(inspected["HostConfig"]["RestartPolicy"], policy);
    host.run(["logs", "one"]).success().stdout_is("try\ntry\ntry");
    let told = host.run(["events", "--since", "1h", "--until", "0s", "--format", "{{.Action}}"]);
    assert_eq!(told.lines().iter().filter(|action| *action == "die").count(), 3);
    assert_eq!(told.lines().iter().filter(|action| *action == "start").count(), 3);
    assert!(groups_of(&[id]).is_empty());
    // What ended well is left alone, and so is one without a policy.
    host.run(["run", "--name", "well", "--restart", "on-failure", BUSYBOX, "true"]).success();
    host.run(["run", "--name", "no", "--restart", "no", BUSYBOX, "false"]).exits(1);
    for name in ["well", "no"] {
        assert_eq!((host.status(name).as_str(), &host.inspect(name)["RestartCount"]), ("exited", &json!(0)));
    }
}

#[test]
fn one_that_always_runs_is_ended_by_a_stop() {
    let host = Host::with_busybox();
    let script = "test -e /once && exec sleep 1000; touch /once; exit 0";
    let flags = ["--name", "one", "--restart", "always", "--memory", "64m", "--stop-timeout", "0"];
    let id = host.start([&flags[..], &[BUSYBOX, "sh", "-c", script]].concat());
    wait_restarts(&host, "one", 1);
    host.run(["exec", "one", "true"]).success();
    let limit = |group: &std::path::PathBuf| {
        ["memory.limit_in_bytes", "memory.max"]
            .iter()
            .find_map(|name| fs::read_to_string(group.join(name)).ok())
    };
    let limits: Vec<String> = groups_of(std::slice::from_ref(&id)).iter().filter_map(limit).collect();
    assert!(limits.iter().any(|text| text.trim() == (64 << 20).to_string()), "{limits:?}");
    host.run(["stop", "one"]).success();
    assert_eq!(host.status("one"), "exited");
    assert!(groups_of(&[id]).is_empty());
    host.run(["start", "one"]).success();
    assert_eq!(host.inspect("one")["RestartCount"], 0, "somebody started it");
    host.run(["kill", "one"]).success();
    assert_eq!(host.status("one"), "exited");
    host.is_clean();
}

#[test]
fn while_it_waits_it_is_restarting() {
    let host = Host::with_busybox();
    host.start(["--name", "one", "--restart", "unless-stopped", BUSYBOX, "sh", "-c", "exit 7"]);
    // The pauses double: the one after the sixth start again is 6.4 s long.
    wait_until("it waits for a while", || {
        let inspected = host.inspect("one");
        let waits = inspected["State"]["Restarting"] == true;
        (waits && inspected["RestartCount"].as_u64() >= Some(7)).then_some(())
    });
    host.run(["ps"]).success().stdout_has("Restarting (7) ");
    host.run(["ps", "--filter", "status=restarting", "--format", "{{.Names}}"]).success().stdout_is("one");
    host.run(["exec", "one", "true"]).unsuccessful().stderr_has("is restarting");
    host.run(["pause", "one"]).refuses().stderr_has("is restarting");
    host.run(["stop", "one"]).success();
    let state = host.inspect("one")["State"].clone();
    assert_eq!((&state["Status"], &state["ExitCode"]), (&json!("exited"), &json!(7)));
    host.is_clean();
}

#[test]
fn who_is_attached_leaves_with_the_first_end() {
    let host = Host::with_busybox();
    let script = "echo hi; exit 4";
    host.run(["run", "--name", "one", "--restart", "on-failure:1", BUSYBOX, "sh", "-c", script])
        .exits(4)
        .stdout_is("hi");
    host.wait_status("one", "exited");
    host.run(["logs", "one"]).success().stdout_is("hi\nhi");
}

#[test]
fn another_policy_counts_from_now_on() {
    let host = Host::with_busybox();
    host.start(["--name", "one", BUSYBOX, "sh", "-c", OBEYS]);
    host.wait_logs("one", "up");
    host.run(["update", "--restart", "on-failure:9", "one"]).success();
    let policy = json!({ "Name": "on-failure", "MaximumRetryCount": 9 });
    assert_eq!(host.inspect("one")["HostConfig"]["RestartPolicy"], policy);
    host.run(["kill", "-s", "USR1", "one"]).success();
    wait_restarts(&host, "one", 1);
    host.wait_logs("one", "up\nup");
    host.run(["update", "--restart", "no", "one"]).success();
    host.run(["kill", "-s", "USR1", "one"]).success();
    host.wait_status("one", "exited");
    assert_eq!(host.inspect("one")["RestartCount"], 1);
    host.start(["--name", "two", "--rm", BUSYBOX, "sleep", "1000"]);
    host.run(["update", "--restart", "always", "two"])
        .refuses()
        .stderr_has("conflicting options")
        .stderr_has("--rm");
    host.run(["update", "--restart", "sometimes", "one"]).fails(125).stderr_has("unknown policy");
}

#[test]
fn a_keeper_that_takes_over_knows_the_policy() {
    let host = Host::with_busybox();
    host.start(["--name", "one", "--restart", "always", BUSYBOX, "sh", "-c", OBEYS]);
    host.wait_logs("one", "up");
    corten_tests::kill_and_wait(host.keeper("one"));
    host.run(["ps"]).success().stdout_has("one");
    host.run(["kill", "-s", "USR1", "one"]).success();
    wait_restarts(&host, "one", 1);
    host.wait_logs("one", "up\nup");
    host.run(["exec", "one", "true"]).success();
}

#[test]
fn a_keeper_that_was_killed_while_it_waited_is_told() {
    let host = Host::with_busybox();
    host.start(["--name", "one", "--restart", "always", BUSYBOX, "sh", "-c", OBEYS]);
    host.wait_logs("one", "up");
    let keeper = host.keeper("one");
    // It stands still, so that it can't start anything again, and then it is gone.
    host.run(["kill", "-s", "USR1", "one"]).success();
    wait_until("it was started again or waits", || {
        (host.inspect("one")["RestartCount"].as_u64() >= Some(1)).then_some(())
    });
    corten_tests::kill_and_wait(keeper);
    wait_until("its state is honest", || {
        let state = host.inspect("one")["State"].clone();
        (state["Status"] == "running" && state["Pid"].as_u64() > Some(0) || state["Status"] == "exited")
            .then_some(())
    });
}

#[test]
fn a_start_that_fails_ends_it_and_says_why() {
    let host = Host::with_busybox();
    let data = host.directory("data");
    let flags = ["--name", "one", "--restart", "always", "--mount"];
    let mount = format!("type=bind,source={data},target=/data");
    host.start([&flags[..], &[&mount, BUSYBOX, "sh", "-c", OBEYS]].concat());
    host.wait_logs("one", "up");
    fs::remove_dir(&data).unwrap();
    host.run(["kill", "-s", "USR1", "one"]).success();
    host.wait_status("one", "exited");
    let error = host.inspect("one")["State"]["Error"].as_str().unwrap().to_owned();
    assert!(error.contains("start it again") && error.contains("/data"), "{error}");
    host.is_clean();
}

#[test]
fn policies_that_can_t_be() {
    let host = Host::with_busybox();
    let refuse = |policy: &str, text: &str| {
        host.run(["run", "--restart", policy, BUSYBOX]).fails(125).stderr_has(text);
    };
    refuse("sometimes", "unknown policy");
    refuse("always:3", "maximum retry count can only be used with `on-failure`");
    refuse("on-failure:x", "maximum retry count must be an integer");
    refuse("on-failure:-1", "maximum retry count cannot be negative");
    refuse(":3", "no policy provided before colon");
    host.run(["run", "--rm", "--restart", "always", BUSYBOX])
        .fails(125)
        .stderr_has("conflicting options: --restart and --rm");
}

#[test]
fn an_ordinary_user_has_policies_too() {
    let account = Account::with_subordinate_ids();
    let host = Host::of(&account);
    host.import_busybox();
    host.start(["--name", "one", "--restart", "always", BUSYBOX, "sh", "-c", OBEYS]);
    host.wait_logs("one", "up");
    host.run(["kill", "-s", "USR1", "one"]).success();
    wait_restarts(&host, "one", 1);
    host.run(["stop", "--time", "0", "one"]).success();
    assert_eq!(host.status("one"), "exited");
}
