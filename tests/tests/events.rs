//! Events: what is told, filtered, followed, and that nothing is lost or doubled when processes are killed.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::{BUSYBOX, Host, Session, processes_of, wait_until};
use rustix::process::{Pid, Signal, kill_process};

/// `events` of all that happened until now, one word each.
fn past(host: &Host, flags: &[&str]) -> Vec<String> {
    let words = ["events", "--since", "0", "--until", "0s", "--format", "{{.Action}}"];
    host.run(words.iter().chain(flags)).success().lines()
}

/// A follower that has everything in place: it tells what happened before, too.
fn follow(host: &Host, flags: &[&str]) -> Session {
    let words = ["events", "--since", "0", "--format", "{{.Action}} {{.Actor.ID}}"];
    let session = host.call(words.iter().chain(flags)).spawn();
    session.wait_stdout("import");
    session
}

#[test]
fn a_life_is_told_in_its_order() {
    let host = Host::with_busybox();
    host.start(["--name", "one", "--label", "tier=front", BUSYBOX, "sleep", "1000"]);
    host.run(["exec", "one", "true"]).success();
    host.run(["rename", "one", "two"]).success();
    host.run(["update", "--pids-limit", "40", "two"]).success();
    host.run(["stop", "--time", "0", "two"]).success();
    host.run(["rm", "two"]).success();
    let told = past(&host, &["--filter", "type=container"]);
    let expected = [
        "create",
        "start",
        "rename",
        "update",
        "exec_start",
        "exec_die",
        "kill",
        "kill",
        "die",
        "stop",
        "destroy",
    ];
    let mut sorted: (Vec<_>, Vec<_>) = (told.clone(), expected.map(str::to_owned).into());
    sorted.0.sort();
    sorted.1.sort();
    assert_eq!(sorted.0, sorted.1, "{told:?}");
    let at = |action: &str| told.iter().position(|a| a == action).unwrap();
    assert!(at("create") < at("start") && at("start") < at("die") && at("die") < at("destroy"), "{told:?}");
    let labelled = past(&host, &["--filter", "label=tier=front", "--filter", "event=die"]);
    assert_eq!(labelled, ["die"]);
    assert!(past(&host, &["--filter", "label=tier=back"]).is_empty());
    assert_eq!(past(&host, &["--filter", "type=image"]), ["import"]);
    let all = host.run(["events", "--since", "0", "--until", "0s", "--format", "json"]);
    for line in all.success().lines() {
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(event["timeNano"].as_i64().unwrap() > 0 && event["scope"] == "local", "{event}");
    }
}

#[test]
fn a_follower_is_woken_by_what_nobody_asks_about() {
    let host = Host::with_busybox();
    let follower = follow(&host, &[]);
    // Its end is seen by its keeper alone: no command comes after it.
    let id = host.start([BUSYBOX, "sh", "-c", "sleep 0.2; exit 3"]);
    follower.wait_stdout(&format!("start {id}"));
    follower.wait_stdout(&format!("die {id}"));
    host.run(["volume", "create", "data"]).success();
    follower.wait_stdout("create data");
    follower.signal(Signal::INT);
    let _ = follower.finish();
}

#[test]
fn an_end_in_the_future_is_waited_for() {
    let host = Host::with_busybox();
    let until = std::time::SystemTime::now() + std::time::Duration::from_secs(1);
    let until = until.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let until = format!("{}.{:03}", until / 1000, until % 1000);
    host.run(["events", "--since", "0", "--until", &until]).success().stdout_has("image import");
    assert!(
        std::time::SystemTime::now()
            > std::time::UNIX_EPOCH
                + std::time::Duration::from_millis(until.replace('.', "").parse().unwrap())
    );
}

#[test]
fn killed_keepers_and_commands_lose_and_double_nothing() {
    let host = Host::with_busybox();
    let follower = follow(&host, &["--filter", "type=container", "--filter", "type=image"]);
    let mut ids = Vec::new();
    for round in 0..6 {
        let id = host.start([BUSYBOX, "sleep", "1000"]);
        if round % 2 == 0 {
            for (pid, what) in processes_of(host.path()) {
                if what.contains("corten-keeper") {
                    let _ = kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL);
                }
            }
        }
        let killed = host.call(["rm", "--force", &id]).spawn();
        if round % 3 == 0 {
            killed.signal(Signal::KILL);
        }
        let _ = killed.finish();
        ids.push(id);
    }
    for id in &ids {
        let gone = || host.run(["rm", "--force", id]).code == 0 && host.run(["inspect", id]).code != 0;
        wait_until("it is removed", || gone().then_some(()));
        follower.wait_stdout(&format!("destroy {id}"));
    }
    follower.signal(Signal::INT);
    let followed: Vec<String> = follower.finish().lines();
    let words = ["events", "--since", "0", "--until", "0s", "--format", "{{.Action}} {{.Actor.ID}}"];
    let read = host.run(words).success().lines();
    assert_eq!(followed, read, "who followed saw what is kept, in its order");
    for id in &ids {
        for action in ["create", "start", "die", "destroy"] {
            let told = read.iter().filter(|line| **line == format!("{action} {id}")).count();
            assert_eq!(told, 1, "{action} {id} in {read:#?}");
        }
    }
}

#[test]
fn what_can_t_be_asked() {
    let host = Host::new();
    host.run(["events", "--filter", "colour=blue"]).refuses().stderr_has("there are `container`");
    host.run(["events", "--since", "yesterday"]).refuses().stderr_has("yesterday");
}
