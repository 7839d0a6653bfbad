//! Volumes by name: create, ls, inspect, rm.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::{BUSYBOX, Host};

#[test]
fn made_listed_inspected_removed() {
    let host = Host::with_busybox();
    host.run(["volume", "create", "--label", "a=b", "data"]).success().stdout_is("data");
    host.run(["volume", "create", "data"]).success().stdout_is("data");
    host.run(["volume", "ls"]).success().stdout_has("VOLUME NAME").stdout_has("data");
    host.run(["volume", "ls", "--quiet"]).success().stdout_is("data");
    let inspected = host.run(["volume", "inspect", "data"]);
    inspected.success();
    let one = &inspected.json()[0];
    assert_eq!(one["Name"], "data");
    assert_eq!(one["Driver"], "local");
    assert_eq!(one["Labels"]["a"], "b");
    let place = one["Mountpoint"].as_str().unwrap();
    assert!(
        place.starts_with(host.data_root().to_str().unwrap()) && std::path::Path::new(place).is_dir(),
        "{place}"
    );
    host.run(["volume", "rm", "data"]).success().stdout_is("data");
    host.run(["volume", "inspect", "data"]).refuses().stderr_has("data");
    host.run(["volume", "rm", "data"]).refuses().stderr_has("data");
    host.run(["volume", "rm", "--force", "data"]).success();
    host.is_clean();
}

#[test]
fn without_a_name_it_gets_one() {
    let host = Host::new();
    let made = host.run(["volume", "create"]);
    made.success().check(made.text().len() == 64, "that is no id");
}

#[test]
fn one_in_use_stays() {
    let host = Host::with_busybox();
    host.run(["create", "--name", "one", "-v", "data:/data", BUSYBOX]).success();
    host.run(["volume", "rm", "data"]).refuses().stderr_has("data");
    host.run(["rm", "one"]).success();
    host.run(["volume", "rm", "data"]).success();
}

#[test]
fn two_containers_see_the_same_files() {
    let host = Host::with_busybox();
    host.start(["--name", "writer", "-v", "shared:/data", BUSYBOX, "sleep", "1000"]);
    host.run(["exec", "writer", "sh", "-c", "echo from writer > /data/x; chown 1000:1000 /data/x"]).success();
    let read =
        host.shell_with(&["-v", "shared:/data:ro"], "cat /data/x; stat -c '%u %g' /data/x; touch /data/y");
    read.exits(1).stdout_is("from writer\n1000 1000").stderr_has("Read-only");
}

#[test]
fn bad_names_are_refused() {
    let host = Host::new();
    for bad in ["../x", "a b", "/x", ".x"] {
        let refused = host.run(["volume", "create", bad]);
        refused.check(refused.code != 0, "it was taken");
    }
}
