//! `--volumes-from`, and what the first use of a volume puts into it.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs;

use corten_tests::tar::Tar;
use corten_tests::{BUSYBOX, Host};
use serde_json::json;

#[test]
fn another_containers_mounts_running_stopped_and_in_a_chain() {
    let host = Host::with_busybox();
    let data = host.directory("data");
    fs::write(format!("{data}/f"), "bound").unwrap();
    let bind = format!("{data}:/bound:ro");
    host.run([
        "run",
        "--name",
        "first",
        "-v",
        "named:/named",
        "-v",
        "/anon",
        "-v",
        &bind,
        BUSYBOX,
        "sh",
        "-c",
        "echo named > /named/f; echo anon > /anon/f",
    ])
    .success();
    // Of a stopped one, in the mode that each has there.
    host.run([
        "run",
        "--name",
        "second",
        "--volumes-from",
        "first",
        BUSYBOX,
        "sh",
        "-c",
        "cat /named/f /anon/f /bound/f; echo more >> /anon/f; touch /bound/x",
    ])
    .exits(1)
    .stdout_is("named\nanon\nbound")
    .stderr_has("Read-only");
    // Of one that has them from another, all read-only.
    host.run([
        "run",
        "--name",
        "third",
        "--volumes-from",
        "second:ro",
        BUSYBOX,
        "sh",
        "-c",
        "cat /anon/f; touch /named/x",
    ])
    .exits(1)
    .stdout_is("anon\nmore")
    .stderr_has("Read-only");
    assert_eq!(host.inspect("third")["HostConfig"]["VolumesFrom"], json!(["second:ro"]));
    let names: Vec<_> =
        host.inspect("third")["Mounts"].as_array().unwrap().iter().map(|m| m["RW"].clone()).collect();
    assert_eq!(names, [false, false, false]);
    // Counted: the anonymous volume stays until the last of them goes.
    host.run(["rm", "--volumes", "first"]).success();
    host.run(["volume", "rm", "named"]).refuses().stderr_has("in use");
    assert_eq!(host.run(["volume", "ls", "--quiet"]).lines().len(), 2);
    host.run(["start", "--attach", "second"]).exits(1).stdout_has("anon\nmore");
    host.run(["rm", "--volumes", "second", "third"]).success();
    host.run(["volume", "ls", "--quiet"]).success().stdout_is("named");
}

#[test]
fn of_several_the_later_and_what_is_typed_win() {
    let host = Host::with_busybox();
    for name in ["one", "two"] {
        let volumes = [format!("{name}:/a"), format!("{name}:/b"), format!("{name}:/c")];
        let script = format!("echo {name} > /a/f");
        let flags = volumes.iter().flat_map(|volume| ["-v", volume]);
        host.run(["run", "--name", name].into_iter().chain(flags).chain([BUSYBOX, "sh", "-c", &script]))
            .success();
    }
    host.shell_with(&["-v", "own:/b"], "echo own > /b/f").success();
    let from =
        ["--volumes-from", "one", "--volumes-from", "two", "-v", "own:/b", "-v", "/c", "--tmpfs", "/a"];
    host.shell_with(&from, "ls /a; cat /b/f /c/f").success().stdout_is("own\ntwo");
    host.run(["rm", "one"]).success();
    host.run(["run", "--rm", "--volumes-from", "one", BUSYBOX, "true"])
        .fails(125)
        .stderr_has("no such container: `one`");
}

#[test]
fn an_image_s_own_volumes_give_way() {
    let host = Host::new();
    let import = ["import", "--change", "VOLUME /data", "-", "db"];
    host.call(import).stdin(corten_tests::busybox_files().bytes()).output().success();
    host.run(["run", "--name", "first", "db", "sh", "-c", "echo kept > /data/f"]).success();
    host.run(["run", "--rm", "--volumes-from", "first", "db", "cat", "/data/f"]).success().stdout_is("kept");
    assert_eq!(host.run(["volume", "ls", "--quiet"]).lines().len(), 1);
}

/// An image with a directory of somebody's at /data, files of all kinds in it.
fn filled(host: &Host) {
    let tar = Tar::new()
        .directory("data", 0o750)
        .file_of("data/f", 0o640, b"content", 1000, 1001)
        .symlink("data/link", "f")
        .hard_link("data/hard", "data/f");
    host.import("layer", tar.bytes());
    let script = "chown 1000:1001 /data; chmod 2750 /data; touch /data/cap; chmod 4755 /data/cap";
    host.run([
        "run",
        "--name",
        "made",
        "--mount",
        "type=image,source=layer,target=/layer",
        BUSYBOX,
        "sh",
        "-c",
        &format!("cp -a /layer/data /data; {script}"),
    ])
    .success();
    host.run(["commit", "made", "filled"]).success();
    host.run(["rm", "made"]).success();
}

#[test]
fn the_first_use_copies_everything_and_only_once() {
    let host = Host::with_busybox();
    filled(&host);
    let look =
        "stat -c '%a %u:%g' /v /v/f /v/cap; cat /v/f; readlink /v/link; test /v/f -ef /v/hard && echo same";
    let expected = "2750 1000:1001\n640 1000:1001\n4755 0:1001\ncontentf\nsame";
    // A new one, one that is there and empty, one without a name.
    host.run(["volume", "create", "empty"]).success();
    for volume in ["new:/data", "empty:/data"] {
        host.run(["run", "--rm", "-v", volume, "filled", "true"]).success();
        let name = volume.split(':').next().unwrap();
        host.shell_with(&["-v", &format!("{name}:/v")], look).success().stdout_is(expected);
    }
    host.run(["run", "--rm", "-v", "/data", "filled", "cat", "/data/f"]).success().stdout_is("content");
    // One that has something keeps just that.
    host.shell_with(&["-v", "full:/v"], "echo mine > /v/mine").success();
    host.run(["run", "--rm", "-v", "full:/data", "filled", "ls", "/data"]).success().stdout_is("mine");
    for (flag, value) in
        [("-v", "no:/data:nocopy"), ("--mount", "type=volume,source=no,target=/data,volume-nocopy")]
    {
        host.run(["run", "--rm", flag, value, "filled", "ls", "/data"]).success().stdout_is("");
    }
    // What a running container has is not replaced below it.
    host.run(["volume", "create", "busy"]).success();
    host.start(["--name", "has", "-v", "busy:/v", BUSYBOX, "sleep", "1000"]);
    host.run(["run", "--rm", "-v", "busy:/data", "filled", "touch", "/data/late"]).success();
    host.run(["exec", "has", "ls", "/v"]).success().stdout_is("late");
}
