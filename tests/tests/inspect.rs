//! What can be asked: inspect, info, version, help.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::{BUSYBOX, Host};

#[test]
fn inspect_has_docker_s_shape() {
    let host = Host::with_busybox();
    let id = host.start([
        "--name",
        "web",
        "-e",
        "A=1",
        "--hostname",
        "box",
        "-w",
        "/tmp",
        BUSYBOX,
        "sleep",
        "1000",
    ]);
    let one = host.inspect("web");
    assert_eq!(one["Id"], id.as_str());
    assert_eq!(one["Name"], "/web");
    assert_eq!(one["Path"], "sleep");
    assert_eq!(one["Args"][0], "1000");
    assert_eq!(one["State"]["Running"], true);
    assert_eq!(one["State"]["ExitCode"], 0);
    assert_eq!(one["Config"]["Hostname"], "box");
    assert_eq!(one["Config"]["WorkingDir"], "/tmp");
    assert_eq!(one["Config"]["Image"], BUSYBOX);
    assert!(one["Config"]["Env"].as_array().unwrap().iter().any(|e| e == "A=1"));
    assert!(one["Image"].as_str().unwrap().starts_with("sha256:"));
    for time in ["Created", "StartedAt"] {
        let value = if time == "Created" { &one[time] } else { &one["State"][time] };
        assert!(value.as_str().unwrap().starts_with("20"), "{time}: {value}");
    }
    let pid = one["State"]["Pid"].as_u64().unwrap();
    let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert_eq!(comm.trim(), "sleep");
}

#[test]
fn inspect_takes_several_and_a_template() {
    let host = Host::with_busybox();
    host.run(["create", "--name", "one", BUSYBOX]).success();
    host.run(["create", "--name", "two", BUSYBOX]).success();
    let both = host.run(["inspect", "one", "two"]);
    both.success();
    assert_eq!(both.json().as_array().unwrap().len(), 2);
    let format = ["inspect", "--format", "{{.Name}} {{.State.Status}}", "one", "two"];
    host.run(format).success().stdout_is("/one created\n/two created");
    host.run(["inspect", "-f", "{{json .State.Running}}", "one"]).success().stdout_is("false");
    host.run(["inspect", "one", "nobody"]).refuses().stderr_has("nobody");
}

#[test]
fn inspect_finds_images_and_volumes_too() {
    let host = Host::with_busybox();
    let image = host.inspect(BUSYBOX);
    assert_eq!(image["RepoTags"][0], "busybox:latest");
    assert_eq!(image["Os"], "linux");
    host.run(["volume", "create", "data"]).success();
    assert_eq!(host.inspect("data")["Name"], "data");
    // One kind only, where it is asked for.
    host.run(["image", "inspect", BUSYBOX]).success().stdout_has("RepoTags");
    host.run(["container", "inspect", BUSYBOX]).refuses().stderr_has(BUSYBOX);
    host.run(["create", "--name", "one", BUSYBOX]).success();
    host.run(["container", "inspect", "one"]).success().stdout_has("\"/one\"");
    host.run(["image", "inspect", "one"]).refuses();
}

#[test]
fn info_tells_the_machine_and_the_store() {
    let host = Host::with_busybox();
    host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    host.run(["create", BUSYBOX]).success();
    let info = host.run(["info"]);
    info.success().stdout_has(host.data_root().to_str().unwrap());
    let json = host.run(["info", "--format", "{{json .}}"]);
    json.success();
    let json = json.json();
    assert_eq!(json["Containers"], 2);
    assert_eq!(json["ContainersRunning"], 1);
    assert_eq!(json["Images"], 1);
    assert!(json["CgroupVersion"].is_string(), "{json}");
}

#[test]
fn version_and_help_need_no_store() {
    let host = Host::new();
    host.run(["version"]).success().stdout_has("0.1.0");
    host.run(["--version"]).success().stdout_has("0.1.0");
    for words in [
        &["--help"][..],
        &["help"],
        &["run", "--help"],
        &["volume", "--help"],
        &["volume", "create", "--help"],
    ] {
        let help = host.run(words);
        help.success().check(help.stdout.len() > 100, "that is little help");
    }
    assert!(!host.data_root().exists(), "nothing was made to say that");
}

#[test]
fn what_was_mistyped_is_named_with_what_was_meant() {
    let host = Host::new();
    host.run(["rnu"]).unsuccessful().stderr_has("rnu").stderr_has("hint: ").stderr_has("run");
    host.run(["run", "--nmae", "x", "y"]).fails(125).stderr_has("--nmae").stderr_has("--name");
    host.run(["volume", "crate"]).unsuccessful().stderr_has("crate");
    host.run(["run"]).fails(125).stderr_has("IMAGE");
    host.run(["run", "--publish", "80:80", "x"]).fails(125).stderr_has("--publish");
}
