//! `system df` and the prune commands: what takes the disk, and what nobody uses.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::process::Command;

use corten_tests::{Account, BUSYBOX, Host, busybox_files};

/// du(1)'s bytes of the data root.
fn du(host: &Host) -> u64 {
    let output = Command::new("du").args(["-s", "-B1"]).arg(host.data_root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

/// A store with some of everything, and whether `df` finds every byte of it.
fn adds_up(host: &Host) {
    host.import("one", busybox_files().file("big", 0o644, &[1; 300_000]).bytes());
    host.run(["run", "--name", "wrote", BUSYBOX, "sh", "-c", "head -c 200000 /dev/zero >/x; echo logged"])
        .success();
    host.run([
        "run",
        "--name",
        "kept",
        "-v",
        "data:/data",
        BUSYBOX,
        "sh",
        "-c",
        "head -c 90000 /dev/zero >/data/x",
    ])
    .success();
    host.start(["--name", "runs", BUSYBOX, "sleep", "1000"]);
    let listed = host.run(["system", "df", "--verbose", "--format", "json"]);
    listed.success();
    let found = listed.json();
    let total = found["TotalBytes"].as_u64().unwrap();
    // The database's log grows by what `df` itself looks up.
    let difference = total.abs_diff(du(host));
    assert!(difference <= 64 << 10, "df says {total}, du differs by {difference}: {found}");
    let sum: u64 = found["Rest"].as_array().unwrap().iter().map(|r| r["Bytes"].as_u64().unwrap()).sum();
    assert!(sum > 0 && sum < total);
    for name in ["wrote", "kept", "runs"] {
        let containers = found["Containers"].as_array().unwrap();
        assert!(containers.iter().any(|c| c["Names"] == name), "{name}");
    }
    assert!(found["Volumes"][0]["Size"].as_str().unwrap().ends_with("kB"), "{}", found["Volumes"][0]);
    host.run(["system", "df"]).success().stdout_has("RECLAIMABLE").stdout_has("Local Volumes   1");
    host.run(["system", "df", "-v"]).success().stdout_has("Images space usage:").stdout_has("Database");
    host.run(["system", "df", "--format", "{{.Type}}: {{.TotalCount}}"])
        .success()
        .stdout_is("Images: 2\nContainers: 3\nLocal Volumes: 1\nBuild Cache: 0");
}

#[test]
fn df_names_every_byte() {
    adds_up(&Host::with_busybox());
}

#[test]
fn df_names_every_byte_of_an_ordinary_user() {
    let account = Account::with_subordinate_ids();
    let host = Host::of(&account);
    host.import_busybox();
    adds_up(&host);
}

#[test]
fn stopped_containers_go_and_running_ones_stay() {
    let host = Host::with_busybox();
    host.start(["--name", "runs", BUSYBOX, "sleep", "1000"]);
    host.run([
        "run",
        "--name",
        "ended",
        "--label",
        "keep=no",
        BUSYBOX,
        "sh",
        "-c",
        "head -c 100000 /dev/zero >/x",
    ])
    .success();
    host.run(["run", "--name", "other", BUSYBOX, "true"]).success();
    let asked = host.call(["container", "prune"]).stdin("n\n").output();
    asked.success().stdout_has("WARNING! This will remove all stopped containers.").stdout_has("[y/N]");
    host.run(["container", "prune", "-f", "--filter", "until=1h"])
        .success()
        .stdout_is("Total reclaimed space: 0B");
    let pruned = host.run(["container", "prune", "--force", "--filter", "label=keep=no"]);
    pruned.success().stdout_has("Deleted Containers:").stdout_has("kB");
    assert_eq!(host.run(["ps", "-a", "--format", "{{.Names}}"]).lines(), ["other", "runs"]);
    host.call(["container", "prune"]).stdin("y\n").output().success().stdout_has("Deleted Containers:");
    assert_eq!(host.run(["ps", "-a", "--format", "{{.Names}}"]).lines(), ["runs"]);
    host.run(["container", "prune", "--filter", "what=ever"]).refuses().stderr_has("filter");
}

#[test]
fn volumes_without_a_container_go() {
    let host = Host::with_busybox();
    host.run(["create", "--name", "one", "-v", "used:/a", "-v", "/anonymous", BUSYBOX]).success();
    host.run(["volume", "create", "--label", "a=b", "named"]).success();
    let unnamed = host.run(["volume", "create"]).text();
    host.run(["volume", "prune", "--force"]).success().stdout_has(&unnamed);
    assert_eq!(host.run(["volume", "ls", "-q"]).lines().len(), 3);
    host.run(["volume", "prune", "--force", "--all", "--filter", "label!=a"]).success();
    assert_eq!(host.run(["volume", "ls", "-q"]).lines().len(), 3);
    host.run(["volume", "prune", "--force", "--all"]).success().stdout_has("named");
    assert_eq!(host.run(["volume", "ls", "-q"]).lines().len(), 2);
    host.run(["volume", "prune", "-f", "--filter", "until=1h"]).refuses();
}

#[test]
fn images_without_a_name_or_a_container_go() {
    let host = Host::with_busybox();
    host.import("app", busybox_files().file("v1", 0o644, &[1; 100_000]).bytes());
    host.import("app", busybox_files().file("v2", 0o644, b"2").bytes());
    host.run(["create", "--name", "one", BUSYBOX]).success();
    let pruned = host.run(["image", "prune", "--force"]);
    pruned.success().stdout_has("deleted: sha256:").stdout_has("MB");
    host.run(["run", "--rm", "app", "cat", "/v2"]).success().stdout_is("2");
    host.call(["image", "prune", "-a"])
        .stdin("")
        .output()
        .success()
        .stdout_has("without at least one container");
    host.run(["image", "prune", "--all", "--force", "--filter", "label=none"])
        .success()
        .stdout_is("Total reclaimed space: 0B");
    host.run(["image", "prune", "--all", "--force"]).success().stdout_has("untagged: app:latest");
    assert_eq!(host.run(["images", "--format", "{{.Repository}}"]).lines(), [BUSYBOX]);
    host.is_clean();
}

#[test]
fn everything_that_nobody_uses_goes() {
    let host = Host::with_busybox();
    host.run(["run", "--name", "ended", "-v", "/anonymous", "-v", "named:/n", BUSYBOX, "true"]).success();
    host.run(["system", "prune", "--volumes", "-f", "--filter", "until=1h"]).refuses().stderr_has("until");
    host.call(["system", "prune"]).stdin("no\n").output().success().stdout_has("- all dangling images");
    let pruned = host.run(["system", "prune", "--all", "--force", "--volumes"]);
    pruned
        .success()
        .stdout_has("Deleted Containers:")
        .stdout_has("Deleted Volumes:")
        .stdout_has("Deleted Images:");
    assert!(host.run(["ps", "-aq"]).lines().is_empty());
    assert!(host.run(["images", "-aq"]).lines().is_empty());
    assert_eq!(host.run(["volume", "ls", "-q"]).lines(), ["named"]);
    host.is_clean();
}
