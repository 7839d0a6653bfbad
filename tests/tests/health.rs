//! Health checks: what they make of a container's state, and who is told.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::{Account, BUSYBOX, Host, busybox_files, wait_until};
use serde_json::{Value, json};

/// Waits until its health is this one, and gives back all that is known of it.
#[track_caller]
fn wait_health(host: &Host, target: &str, status: &str) -> Value {
    wait_until(&format!("{target} is {status}"), || {
        let health = host.inspect(target)["State"]["Health"].clone();
        (health["Status"] == status).then_some(health)
    })
}

#[test]
fn a_check_that_fails_and_then_succeeds() {
    let host = Host::with_busybox();
    let check = "echo looking; test -e /ok";
    let flags =
        ["--name", "one", "--health-cmd", check, "--health-interval", "50ms", "--health-retries", "2"];
    host.start([&flags[..], &[BUSYBOX, "sleep", "1000"]].concat());
    let health = wait_health(&host, "one", "unhealthy");
    assert!(health["FailingStreak"].as_u64() >= Some(2), "{health}");
    let log = health["Log"].as_array().unwrap();
    assert!(
        (2..=5).contains(&log.len()) && log[0]["ExitCode"] == 1 && log[0]["Output"] == "looking\n",
        "{health}"
    );
    assert!(log[0]["Start"].as_str() < log[0]["End"].as_str());
    host.run(["ps"]).success().stdout_has("(unhealthy)");
    host.run(["exec", "one", "touch", "/ok"]).success();
    let health = wait_health(&host, "one", "healthy");
    assert_eq!(health["FailingStreak"], 0);
    host.run(["ps"]).success().stdout_has("(healthy)");
    host.run(["ps", "--filter", "health=healthy", "--format", "{{.Names}}"]).success().stdout_is("one");
    host.run(["ps", "-q", "--filter", "health=none"]).success().stdout_is("");
    let told = host.run(["events", "--since", "1h", "--until", "0s", "--format", "{{.Action}}"]);
    let told = told.lines();
    let place =
        |action: &str| told.iter().position(|a| a == action).unwrap_or_else(|| panic!("{action}: {told:?}"));
    assert!(place("health_status: unhealthy") < place("health_status: healthy"));
    assert_eq!(told.iter().filter(|action| action.starts_with("exec_start")).count(), 1, "{told:?}");
    host.run(["stop", "--time", "0", "one"]).success();
    assert_eq!(host.inspect("one")["State"]["Health"]["Status"], "unhealthy", "nobody checks any more");
}

#[test]
fn before_the_first_check_it_is_starting() {
    let host = Host::with_busybox();
    let flags =
        ["--name", "one", "--health-cmd", "true", "--health-interval", "1h", "--health-timeout", "7s"];
    host.start([&flags[..], &[BUSYBOX, "sleep", "1000"]].concat());
    host.run(["ps"]).success().stdout_has("(health: starting)");
    host.run(["ps", "--filter", "health=starting", "--format", "{{.Names}}"]).success().stdout_is("one");
    let inspected = host.inspect("one");
    assert_eq!(inspected["State"]["Health"], json!({ "Status": "starting", "FailingStreak": 0, "Log": [] }));
    let asked = json!({ "Test": ["CMD-SHELL", "true"], "Interval": 3_600_000_000_000_u64, "Timeout": 7_000_000_000_u64 });
    assert_eq!(inspected["Config"]["Healthcheck"], asked);
}

#[test]
fn one_that_takes_too_long_is_ended() {
    let host = Host::with_busybox();
    let flags = ["--name", "one", "--health-cmd", "echo half; sleep 1000", "--health-interval", "50ms"];
    let more = ["--health-timeout", "300ms", "--health-retries", "1", BUSYBOX, "sleep", "1000"];
    host.start([&flags[..], &more].concat());
    let health = wait_health(&host, "one", "unhealthy");
    let result = &health["Log"][0];
    assert_eq!(result["ExitCode"], -1);
    assert!(
        result["Output"].as_str().unwrap().starts_with("Health check exceeded timeout (300ms)"),
        "{result}"
    );
}

#[test]
fn a_program_that_is_missing_and_output_without_end() {
    let host = Host::new();
    let check = "HEALTHCHECK --interval=50ms --retries=1 CMD [\"/no/such/program\"]";
    host.call(["import", "--change", check, "-", "app"]).stdin(busybox_files().bytes()).output().success();
    host.start(["--name", "one", "app", "sleep", "1000"]);
    let health = wait_health(&host, "one", "unhealthy");
    assert!(health["Log"][0]["Output"].as_str().unwrap().contains("/no/such/program"), "{health}");
    let flags = ["--name", "two", "--health-cmd", "yes | head -c 100000", "--health-interval", "50ms"];
    host.start([&flags[..], &["app", "sleep", "1000"]].concat());
    let health = wait_health(&host, "two", "healthy");
    let output = health["Log"][0]["Output"].as_str().unwrap();
    assert!(output.len() == 4096 + 3 && output.ends_with("..."), "{}", output.len());
}

#[test]
fn the_image_s_check_is_used_completed_and_switched_off() {
    let host = Host::new();
    let check = "HEALTHCHECK --interval=50ms CMD test ! -e /bad";
    host.call(["import", "--change", check, "-", "app"]).stdin(busybox_files().bytes()).output().success();
    host.start(["--name", "one", "app", "sleep", "1000"]);
    wait_health(&host, "one", "healthy");
    host.run(["create", "--name", "two", "--health-retries", "9", "app", "true"]).success();
    let merged = host.inspect("two")["Config"]["Healthcheck"].clone();
    assert_eq!((&merged["Interval"], &merged["Retries"]), (&json!(50_000_000), &json!(9)));
    assert_eq!(merged["Test"][0], "CMD-SHELL");
    host.start(["--name", "three", "--no-healthcheck", "app", "sleep", "1000"]);
    let inspected = host.inspect("three");
    assert_eq!(inspected["Config"]["Healthcheck"]["Test"], json!(["NONE"]));
    assert!(inspected["State"]["Health"].is_null());
    host.run(["ps", "--filter", "health=none", "--format", "{{.Names}}"]).success().stdout_is("three");
}

#[test]
fn failures_while_it_starts_do_not_count() {
    let host = Host::with_busybox();
    let flags =
        ["--name", "one", "--health-cmd", "exit 1", "--health-interval", "1h", "--health-retries", "1"];
    let starts = ["--health-start-period", "1h", "--health-start-interval", "50ms"];
    host.start([&flags[..], &starts, &[BUSYBOX, "sleep", "1000"]].concat());
    let health = wait_until("it was checked a few times", || {
        let health = host.inspect("one")["State"]["Health"].clone();
        (health["Log"].as_array().map(Vec::len) == Some(5)).then_some(health)
    });
    assert_eq!((&health["Status"], &health["FailingStreak"]), (&json!("starting"), &json!(0)));
}

#[test]
fn a_keeper_that_takes_over_goes_on_checking() {
    let host = Host::with_busybox();
    let flags = [
        "--name",
        "one",
        "--health-cmd",
        "test -e /ok",
        "--health-interval",
        "50ms",
        "--health-retries",
        "1",
    ];
    host.start([&flags[..], &[BUSYBOX, "sleep", "1000"]].concat());
    wait_health(&host, "one", "unhealthy");
    corten_tests::kill_and_wait(host.keeper("one"));
    host.run(["exec", "one", "touch", "/ok"]).success();
    wait_health(&host, "one", "healthy");
}

#[test]
fn settings_that_can_t_be() {
    let host = Host::with_busybox();
    let refuse = |flag: &str, value: &str, text: &str| {
        host.run(["run", flag, value, BUSYBOX]).fails(125).stderr_has(text);
    };
    refuse("--health-interval", "-1s", "cannot be negative");
    refuse("--health-interval", "1us", "cannot be less than 1ms");
    refuse("--health-timeout", "5", "a unit is missing");
    refuse("--health-start-period", "x", "--health-start-period");
    refuse("--health-start-interval", "-1s", "cannot be negative");
    refuse("--health-retries", "-1", "cannot be negative");
    host.run(["run", "--no-healthcheck", "--health-cmd", "true", BUSYBOX])
        .fails(125)
        .stderr_has("--no-healthcheck conflicts with --health-* options");
}

#[test]
fn an_ordinary_user_s_containers_are_checked_too() {
    let account = Account::with_subordinate_ids();
    let host = Host::of(&account);
    host.import_busybox();
    let flags = ["--name", "one", "--health-cmd", "true", "--health-interval", "50ms"];
    host.start([&flags[..], &[BUSYBOX, "sleep", "1000"]].concat());
    wait_health(&host, "one", "healthy");
}
