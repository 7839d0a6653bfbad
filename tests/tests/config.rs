//! The configuration: what a file says holds, what it says wrongly is told with its line.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::tar::Tar;
use corten_tests::{Account, BUSYBOX, Host, Output, wait_until};

/// A command with a configuration of its own.
fn with(host: &Host, text: &str, words: &[&str]) -> Output {
    let file = host.file("config.toml", text);
    host.call(["--config", &file].iter().chain(words)).output()
}

#[test]
fn a_key_is_set_got_explained_and_unset() {
    let host = Host::new();
    let file = host.path().join("new/config.toml").display().to_string();
    let run = |words: &[&str]| host.call(words).env("CORTEN_CONFIG", &file).output();
    run(&["config", "get", "log.max_size"]).fails(1).stderr_has(&file);
    run(&["config", "set", "log.max_size", "20m"]).success().stdout_is("");
    run(&["config", "get", "log.max_size"]).success().stdout_is("20m");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "[log]\nmax_size = \"20m\"\n");
    let explained = run(&["config", "explain", "log.max_size"]);
    explained.success();
    for line in
        ["  Value:   \"20m\"\n", "  Default: \"10m\"\n", "  May be:  a size from 4k to 1t\n", "keeper"]
    {
        explained.stdout_has(line);
    }
    explained.stdout_has(&format!("  From:    {file}:2\n"));
    let shown = run(&["config", "show", "--changed"]);
    shown.success().stdout_has("\nlog.max_size = \"20m\" ").stdout_has(&format!("# {file}:2"));
    run(&["config", "set", "container.env", "A=b", "C=d"]).success();
    run(&["config", "get", "container.env"]).success().stdout_is("A=b\nC=d");
    run(&["config", "check"]).success().stdout_is("correct");
    run(&["config", "unset", "log.max_size"]).success();
    run(&["config", "get", "log.max_size"]).success().stdout_is("10m");
    let root = host.data_root().display().to_string();
    run(&["config", "explain", "root"])
        .success()
        .stdout_has(&root)
        .stdout_has("environment variable CORTEN_ROOT");
    run(&["--root", "/x", "config", "show"]).success().stdout_has("root = \"/x\"").stdout_has("# --root");
}

#[test]
fn mistakes_are_told_with_their_line_and_their_nearest_key() {
    let host = Host::new();
    let file = host.path().join("config.toml").display().to_string();
    let text = "[log]\nmax_sise = 1\nmax_files = 0\n";
    let said = with(&host, text, &["config", "check"]);
    let expected = format!(
        "error: {file}:2: unknown configuration key `log.max_sise`\nhint: did you mean `log.max_size`?\n\
         error: {file}:3: `log.max_files`: 0 is out of range: a number from 1 to 1000\n\
         hint: see `corten config explain log.max_files`\n"
    );
    said.exits(1).check(said.errors() == expected, &expected);
    with(&host, text, &["run", "--rm", "hello"]).fails(125).stderr_has("config.toml:2");
    with(&host, "", &["config", "get", "log.size"])
        .fails(1)
        .stderr_has("unknown configuration key `log.size`");
    with(&host, "", &["config", "set", "log.max_files", "many"])
        .fails(1)
        .stderr_has("a number from 1 to 1000");
    with(&host, "", &["config", "set", "frob", "1"]).fails(1).stderr_has("hint: `corten config show`");
    with(&host, "a = [", &["config", "check"]).fails(1).stderr_has("config.toml:1: ");
}

#[test]
fn containers_get_what_is_configured() {
    let host = Host::with_busybox();
    let text = "[container]\nshm_size = '1m'\npids_limit = 77\nulimits = ['nofile=123:456']\nenv = ['PROXY=a', 'B=c']\n\
                no_new_privileges = true\nstop_timeout = 0\n";
    let script = "df -k /dev/shm | tail -n1 | awk '{print $2}'; ulimit -n; echo $PROXY $B; grep NoNewPrivs /proc/self/status";
    let ran = with(&host, text, &["run", "--rm", "-e", "B=d", BUSYBOX, "sh", "-c", script]);
    ran.success().stdout_is("1024\n123\na d\nNoNewPrivs:\t1");
    let file = host.path().join("config.toml").display().to_string();
    let id = host.start([
        "--name",
        "stubborn",
        BUSYBOX,
        "sh",
        "-c",
        "trap '' TERM; echo up; sleep 1000 & wait; wait",
    ]);
    host.wait_logs(&id, "up");
    // With the built-in ten seconds this would not end in time.
    let within = std::time::Duration::from_secs(8);
    host.call(["stop", "stubborn"]).env("CORTEN_CONFIG", &file).within(within).output().success();
    let made = with(&host, text, &["create", BUSYBOX]);
    assert_eq!(host.inspect(&made.success().text())["HostConfig"]["PidsLimit"], 77);
}

#[test]
fn logs_layers_and_ids_obey_the_configuration() {
    let host = Host::with_busybox();
    let text = "log = { max_size = '4k', max_files = 2 }\nuserns.range = '3000000000-3000065535'\nlayers.max_entries = 3\n";
    let script = "cat /proc/self/uid_map; i=0; while [ $i -lt 4000 ]; do echo line $i; i=$((i+1)); done";
    let ran = with(&host, text, &["run", BUSYBOX, "sh", "-c", script]);
    ran.success();
    let map: Vec<String> = ran.lines()[0].split_whitespace().map(str::to_owned).collect();
    assert_eq!(map, ["0", "3000000000", "65536"]);
    let id = host.run(["ps", "-aq", "--no-trunc"]).text();
    let dir = host.data_root().join("containers").join(&id);
    let logs = std::fs::read_dir(dir).unwrap().flatten().map(|e| e.file_name().into_string().unwrap());
    assert_eq!(logs.filter(|name| name.contains(".log")).count(), 2);
    let file = host.path().join("config.toml").display().to_string();
    let refused = host.call(["--config", &file, "import", "-", "big"]);
    refused.stdin(corten_tests::busybox_files().bytes()).output().fails(1).stderr_has("3");
}

#[test]
fn a_seccomp_profile_of_the_configuration() {
    let host = Host::with_busybox();
    let profile = host.file(
        "profile.json",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}"#,
    );
    let text = format!("container.seccomp_profile = '{profile}'");
    let run = |flags: &[&str]| {
        let words = [&["run", "--rm"], flags, &[BUSYBOX, "mkdir", "/x"]].concat();
        with(&host, &text, &words)
    };
    run(&[]).unsuccessful().stderr_has("Operation not supported");
    run(&["--security-opt", "seccomp=builtin"]).success();
    run(&["--privileged"]).success();
}

#[test]
fn a_root_of_the_configuration_and_drop_ins() {
    let host = Host::new();
    let dir = host.directory("etc");
    std::fs::create_dir(host.path().join("etc/config.d")).unwrap();
    let root = host.path().join("elsewhere").display().to_string();
    std::fs::write(host.path().join("etc/config.toml"), "root = '/nowhere'\nlog.max_files = 4\n").unwrap();
    std::fs::write(host.path().join("etc/config.d/10.toml"), format!("root = '{root}'\n")).unwrap();
    let run = |words: &[&str]| host.call(words).env("CORTEN_CONFIG", &dir).env_remove("CORTEN_ROOT").output();
    run(&["images"]).success();
    assert!(std::path::Path::new(&root).join("version").exists());
    run(&["config", "explain", "root"]).success().stdout_has("etc/config.d/10.toml:1");
    run(&["config", "set", "root", "/third"])
        .success()
        .stderr_has("config.d/10.toml:1 goes before this file");
}

#[test]
fn dockers_file_is_taken_over() {
    let host = Host::new();
    let docker = host
        .file("daemon.json", r#"{"log-opts": {"max-size": "5m"}, "live-restore": true, "dns": ["1.1.1.1"]}"#);
    let file = host.path().join("config.toml").display().to_string();
    let import = |words: &[&str]| {
        host.call(["--config", &file].iter().chain(words).chain(&[docker.as_str()])).output()
    };
    import(&["config", "import", "--dry-run"])
        .success()
        .stdout_has("log.max_size = \"5m\"  # log-opts.max-size");
    assert!(!std::path::Path::new(&file).exists());
    let said = import(&["config", "import"]);
    said.success().stdout_has("# live-restore: containers always outlive the command that started them");
    said.stdout_has("# dns: containers get the host's resolvers");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "[log]\nmax_size = \"5m\"\n");
    let bad = host.file("daemon.json", "[1]");
    host.run(["config", "import", &bad]).fails(1).stderr_has("is not Docker's daemon.json");
    host.run(["config", "import", "/no/such"]).fails(1).stderr_has("/no/such");
}

#[test]
fn an_ordinary_user_has_a_file_of_its_own() {
    let account = Account::with_one_id();
    let host = Host::of(&account);
    host.run(["config", "set", "log.max_files", "9"]).success();
    let file = host.path().join("home/.config/corten/config.toml");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "[log]\nmax_files = 9\n");
    host.call(["config", "get", "log.max_files"])
        .env("XDG_CONFIG_HOME", "/no/such")
        .output()
        .success()
        .stdout_is("3");
}

#[test]
fn an_init_by_default() {
    let host = Host::new();
    host.run(["config", "set", "container.init", "true"]).success();
    let check = |flags: &[&str], expected: &str| {
        let words = [&["create", "--name", "one"], flags, &["hello"]].concat();
        host.run(words).success();
        host.run(["inspect", "-f", "{{json .HostConfig.Init}}", "one"]).success().stdout_is(expected);
        host.run(["rm", "one"]).success();
    };
    check(&[], "true");
    check(&["--init=false"], "false");
    check(&["--init"], "true");
    host.run(["config", "unset", "container.init"]).success();
    check(&[], "null");
}

#[test]
fn old_events_go_when_the_log_is_folded() {
    let host = Host::with_busybox();
    host.run(["config", "set", "events.max_count", "100"]).success();
    let events = || host.run(["events", "--since", "10h", "--until", "0s"]).success().lines();
    let first = events()[0].clone();
    // A process that nobody waits for does it, when the log is long enough.
    wait_until("the first one is gone", || {
        (0..30).for_each(|_| drop(host.run(["tag", BUSYBOX, "again"]).success().text()));
        (events()[0] != first).then_some(())
    });
    assert!(events().len() >= 100);
    host.run(["config", "explain", "events.max_count"]).success().stdout_has("folds the database's log");
}

#[test]
fn images_without_a_name_go_when_the_configuration_says() {
    let host = Host::new();
    let import = |content: &str| host.import("app", Tar::new().file("x", 0o644, content.as_bytes()).bytes());
    let images = || host.run(["images", "-aq"]).success().lines().len();
    host.run(["config", "set", "gc.automatic", "false"]).success();
    host.run(["config", "set", "gc.unnamed_days", "0"]).success();
    import("1");
    import("2");
    host.run(["ps"]).success();
    assert_eq!(images(), 2, "nobody is to collect");
    host.run(["config", "unset", "gc.automatic"]).success();
    import("3");
    wait_until("only the one with a name is left", || {
        host.run(["tag", "app", "other"]).success();
        (images() == 1).then_some(())
    });
}
