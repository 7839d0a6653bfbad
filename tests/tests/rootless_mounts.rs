//! What an ordinary user mounts into containers, and what the kernel keeps for root.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::tar::Tar;
use corten_tests::{Account, BUSYBOX, Host};

#[test]
fn parts_of_volumes_and_images() {
    let account = Account::with_subordinate_ids();
    let host = Host::of(&account);
    host.import_busybox();
    host.import("tools", Tar::new().directory("bin", 0o755).file("bin/tool", 0o755, b"x").bytes());
    host.shell_with(
        &["-v", "vol:/v"],
        "mkdir -p /v/a/b; echo hi > /v/a/b/f; ln -s / /v/root; chown 7 /v/a/b/f",
    )
    .success();
    let part = "type=volume,source=vol,target=/m,volume-subpath=a/b";
    host.shell_with(&["--mount", part], "cat /m/f; stat -c %u /m/f; touch /m/made")
        .success()
        .stdout_is("hi\n7");
    let out = "type=volume,source=vol,target=/m,volume-subpath=root/etc";
    host.run(["run", "--rm", "--mount", out, BUSYBOX, "true"]).fails(125);
    let image = "type=image,source=tools,target=/opt";
    host.shell_with(&["--mount", image], "ls /opt/bin; touch /opt/x").exits(1).stdout_is("tool");
    let image = "type=image,source=tools,target=/opt,image-subpath=bin";
    host.shell_with(&["--mount", image], "ls /opt").success().stdout_is("tool");
    host.run(["create", "--name", "one", "--mount", part, BUSYBOX]).success();
    host.run(["run", "--rm", "--volumes-from", "one:ro", BUSYBOX, "ls", "/m"]).success().stdout_is("f\nmade");
    host.run(["cp", "one:/m/f", "-"]).success();
}

#[test]
fn volumes_in_memory_and_in_directories() {
    let account = Account::with_subordinate_ids();
    let host = Host::of(&account);
    host.import_busybox();
    let options = ["-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m"];
    host.run(["volume", "create"].iter().chain(&options).chain(&["memory"])).success();
    host.shell_with(&["-v", "memory:/d"], "df -k /d | tail -n 1 | awk '{print $2}'")
        .success()
        .stdout_is("1024");
    let data = host.directory("data");
    account.give(data.as_ref());
    let device = format!("device={data}");
    host.run(["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", &device, "own"]).success();
    host.shell_with(&["-v", "own:/d"], "touch /d/x").success();
    assert!(std::path::Path::new(&data).join("x").exists());
}

#[test]
fn what_only_root_may() {
    let account = Account::with_subordinate_ids();
    let host = Host::of(&account);
    host.import_busybox();
    let data = host.directory("data");
    account.give(data.as_ref());
    for flags in [
        ["-v".to_owned(), format!("{data}:/d:idmap")],
        ["--mount".to_owned(), format!("type=bind,source={data},target=/d,uid=7")],
    ] {
        host.run(["run", "--rm", &flags[0], &flags[1], BUSYBOX, "true"])
            .fails(125)
            .stderr_has("without root");
    }
    let options = ["-o", "type=ext4", "-o", "device=/dev/nothing"];
    host.run(["volume", "create"].iter().chain(&options).chain(&["disk"])).success();
    host.run(["run", "--rm", "-v", "disk:/d", BUSYBOX, "true"])
        .fails(125)
        .stderr_has("/d (ext4, /dev/nothing)");
}
