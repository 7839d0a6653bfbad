//! Rootless: the same commands as an ordinary user.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs;
use std::os::unix::fs::MetadataExt;

use corten_tests::{Account, BUSYBOX, Host, busybox_files, processes_of};

fn with_busybox(account: &Account) -> Host {
    let host = Host::of(account);
    host.import_busybox();
    host
}

#[test]
fn hello_runs() {
    let account = Account::with_subordinate_ids();
    let host = Host::of(&account);
    host.run(["run", "--rm", "hello"]).success();
}

#[test]
fn root_inside_is_the_user_outside() {
    let account = Account::with_subordinate_ids();
    let host = with_busybox(&account);
    host.shell("id -u; cat /proc/self/uid_map | wc -l").success().stdout_is("0\n2");
    let data = host.directory("data");
    account.give(data.as_ref());
    host.shell_with(&["-v", &format!("{data}:/data")], "touch /data/x").success();
    let owner = fs::metadata(format!("{data}/x")).unwrap();
    assert_eq!((owner.uid(), owner.gid()), account.ids());
    host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    let uid = fs::metadata(format!("/proc/{}", host.pid("one"))).unwrap().uid();
    assert_eq!(uid, account.ids().0);
}

#[test]
fn files_of_other_ids_are_kept() {
    let account = Account::with_subordinate_ids();
    let host = Host::of(&account);
    host.import("ids", busybox_files().file_of("data", 0o640, b"x", 1000, 50).bytes());
    host.run(["run", "--rm", "ids", "stat", "-c", "%u %g", "/data"]).success().stdout_is("1000 50");
    host.run(["run", "--rm", "-u", "app", "ids", "id", "-u"]).success().stdout_is("1000");
    host.run(["run", "--rm", "ids", "sh", "-c", "chown 7:8 /data && stat -c '%u %g' /data"])
        .success()
        .stdout_is("7 8");
}

#[test]
fn the_whole_life_of_a_container() {
    let account = Account::with_subordinate_ids();
    let host = with_busybox(&account);
    let script = "trap 'exit 4' TERM; echo ready; while :; do sleep 0.05; done";
    host.start(["--name", "web", "-v", "data:/data", BUSYBOX, "sh", "-c", script]);
    host.wait_logs("web", "ready");
    host.run(["exec", "web", "sh", "-c", "echo x > /data/x; hostname"]).success();
    host.run(["ps"]).success().stdout_has("web");
    host.run(["stop", "web"]).success();
    assert_eq!(host.inspect("web")["State"]["ExitCode"], 4);
    host.run(["start", "web"]).success();
    host.run(["rm", "-f", "web"]).success();
    host.shell_with(&["-v", "data:/data"], "cat /data/x").success().stdout_is("x");
    host.run(["volume", "rm", "data"]).success();
    host.run(["rmi", BUSYBOX]).success();
    host.is_clean();
}

#[test]
fn streams_terminals_and_exit_codes() {
    let account = Account::with_subordinate_ids();
    let host = with_busybox(&account);
    host.shell("echo out; echo err >&2; exit 3").exits(3).stdout_is("out").stderr_has("err");
    host.call(["run", "-i", "--rm", BUSYBOX, "cat"]).stdin("through").output().success().stdout_is("through");
    host.run(["run", "--rm", BUSYBOX, "no-such-program"]).fails(127);
}

#[test]
fn a_namespace_of_its_own_for_everything() {
    let account = Account::with_subordinate_ids();
    let host = with_busybox(&account);
    host.shell("ls /sys/class/net; hostname; ps -o pid | wc -l").success().stdout_has("lo");
    host.shell_with(&["--hostname", "box"], "hostname").success().stdout_is("box");
    host.shell_with(&["--network", "host"], "readlink /proc/self/ns/net")
        .success()
        .stdout_is(fs::read_link("/proc/self/ns/net").unwrap().to_str().unwrap());
}

#[test]
fn control_groups_can_not_be_written() {
    // CVE-2023-25809.
    let account = Account::with_subordinate_ids();
    let host = with_busybox(&account);
    for flags in [&[][..], &["--cgroupns", "host"]] {
        host.shell_with(flags, "mkdir /sys/fs/cgroup/x 2>/dev/null && echo made; echo end")
            .success()
            .stdout_is("end");
    }
}

#[test]
fn the_host_is_out_of_reach() {
    let account = Account::with_subordinate_ids();
    let host = with_busybox(&account);
    let marker = host.file("marker", "of root");
    std::os::unix::fs::chown(&marker, Some(0), Some(0)).unwrap();
    fs::set_permissions(&marker, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let dir = host.path().display().to_string();
    host.shell_with(&["-v", &format!("{dir}:/host")], "cat /host/marker").unsuccessful();
    host.run(["run", "--rm", "--privileged", "-v", &format!("{dir}:/host"), BUSYBOX, "cat", "/host/marker"])
        .unsuccessful();
}

#[test]
fn limits_that_can_not_be_had_are_said() {
    let account = Account::with_subordinate_ids();
    let host = with_busybox(&account);
    let ran = host.run(["run", "--rm", "--memory", "64m", BUSYBOX, "true"]);
    // Where the groups are delegated they are kept; where not, that is said.
    ran.success()
        .check(ran.stderr.is_empty() || ran.errors().starts_with("warning: "), "neither kept nor said");
}

#[test]
fn one_single_id_is_enough() {
    let account = Account::with_one_id();
    let host = with_busybox(&account);
    let ran = host.shell("id -u; echo x > /x; cat /x");
    ran.success().stdout_is("0\nx").stderr_has("warning: ");
    host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    host.run(["exec", "one", "id", "-u"]).success().stdout_is("0");
    host.run(["stop", "--time", "0", "one"]).success();
    host.run(["run", "--rm", "-u", "1000", BUSYBOX, "true"]).fails(125).stderr_has("1000");
}

#[test]
fn nothing_of_ours_runs_as_root() {
    let account = Account::with_subordinate_ids();
    let host = with_busybox(&account);
    host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    for (pid, what) in processes_of(host.path()) {
        let uid = fs::metadata(format!("/proc/{pid}")).map(|m| m.uid());
        // A process that isn't dumpable belongs to root in /proc, so its status is what counts.
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find(|l| l.starts_with("Uid:")).unwrap_or_default().to_owned();
        assert!(!line.split_whitespace().skip(1).any(|id| id == "0"), "{what} is root: {line} {uid:?}");
    }
}

#[test]
fn the_store_is_in_the_user_s_own_places() {
    let account = Account::with_subordinate_ids();
    let host = with_busybox(&account);
    assert!(host.data_root().join("corten.db").exists());
    assert!(host.run_root().exists());
    let mode = fs::metadata(host.data_root()).unwrap().mode() & 0o777;
    assert!(matches!(mode, 0o700 | 0o710 | 0o711), "{mode:o}");
}

#[test]
fn roots_and_users_stores_do_not_meet() {
    let account = Account::with_subordinate_ids();
    let host = with_busybox(&account);
    let root = Host::new();
    root.run(["images", "-q"]).success().stdout_is("");
    host.run(["create", "--name", "mine", BUSYBOX]).success();
    root.run(["inspect", "mine"]).refuses();
}
