//! What the host lacks: `info` names it, `system setup` mends it. The machine's own /etc is not touched.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use corten_tests::{Account, Host};

/// A command with a copy of /etc in the place of the real one, and what it said.
fn with_own_etc(host: &Host, words: &str, input: &str) -> (i32, String) {
    let etc = host.path().join("etc");
    if !etc.exists() {
        std::fs::create_dir(&etc).unwrap();
        for file in ["passwd", "group", "subuid", "subgid"] {
            std::fs::copy(format!("/etc/{file}"), etc.join(file)).unwrap();
        }
    }
    let script = format!("mount --bind {} /etc && exec {} {words}", etc.display(), host.binary().display());
    let mut child = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .env("CORTEN_ROOT", host.data_root())
        .env("CORTEN_RUN_ROOT", host.run_root())
        .env_remove("SUDO_USER")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who asks nothing reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let said = child.wait_with_output().unwrap();
    (said.status.code().unwrap(), String::from_utf8([said.stdout, said.stderr].concat()).unwrap())
}

fn subordinate(host: &Host, file: &str, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(host.path().join("etc").join(file)).unwrap();
    text.lines().filter(|line| line.starts_with(&format!("{name}:"))).map(str::to_owned).collect()
}

#[test]
fn ids_of_a_user_are_shown_asked_for_and_added_once() {
    let host = Host::new();
    let account = Account::with_one_id();
    let name = account.name();
    let setup =
        |flags: &str, input: &str| with_own_etc(&host, &format!("system setup --user {name} {flags}"), input);
    let (code, shown) = setup("--check", "");
    assert_eq!(code, 1, "{shown}");
    for file in ["subuid", "subgid"] {
        assert!(shown.contains(&format!("* {name} has no ids in /etc/{file}")), "{shown}");
        assert!(shown.contains(&format!("to /etc/{file}\n    undo: remove the line `{name}:")), "{shown}");
        assert_eq!(subordinate(&host, file, name), [""; 0]);
    }
    let (code, refused) = setup("", "n\n");
    assert!(code == 1 && refused.ends_with("[y/N] "), "{refused}");
    assert_eq!(subordinate(&host, "subuid", name), [""; 0]);
    let (_, done) = setup("--yes", "");
    assert!(done.contains("\ndone: add the line"), "{done}");
    let ids = subordinate(&host, "subuid", name);
    assert!(ids.len() == 1 && ids[0].ends_with(":65536"), "{ids:?}");
    assert_eq!(subordinate(&host, "subgid", name), ids);
    let (_, again) = setup("--yes", "");
    assert!(!again.contains("has no ids"), "{again}");
    assert_eq!(subordinate(&host, "subuid", name), ids);
}

#[test]
fn a_place_for_the_configuration_is_made() {
    let host = Host::new();
    let (_, done) = with_own_etc(&host, "system setup --user root", "y\n");
    assert!(done.contains("would make the directory /etc/corten\n    undo: remove /etc/corten"), "{done}");
    assert!(done.contains("done: make the directory /etc/corten"), "{done}");
    assert!(host.path().join("etc/corten").is_dir());
    let (_, again) = with_own_etc(&host, "system setup --user root", "");
    assert!(!again.contains("/etc/corten"), "{again}");
}

#[test]
fn an_ordinary_user_is_told_what_root_has_to_do() {
    let account = Account::with_one_id();
    let host = Host::of(&account);
    let name = account.name();
    let shown = host.run(["system", "setup"]);
    shown.exits(1).stdout_has(&format!("Only root can do it: sudo corten system setup --user {name}"));
    let info = host.run(["info"]);
    info.success().stdout_has("\nMissing:\n").stdout_has(&format!("{name} has no ids in /etc/subuid"));
    info.stdout_has("`corten system setup` shows it").stdout_has(" Rootless: true\n");
    let missing = host.run(["info", "-f", "{{len .Missing}}"]).success().text();
    assert!(missing.parse::<usize>().unwrap() >= 2, "{missing}");
    host.run(["system", "setup", "--user", "nobody-of-that-name"]).fails(1).stderr_has("no such user");
}

#[test]
fn the_fields_that_scripts_ask_for() {
    let host = Host::with_busybox();
    let check = |command: &str, format: &str, expected: &str| {
        host.run([command, "--format", format]).success().stdout_is(expected);
    };
    let os = std::fs::read_to_string("/etc/os-release").unwrap();
    let os =
        os.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap().trim_matches('"').to_owned();
    check("info", "{{.ServerVersion}} {{.Driver}} {{.LoggingDriver}}", "0.1.0 overlay json-file");
    check("info", "{{.OperatingSystem}}|{{.OSType}}", &format!("{os}|linux"));
    check("info", "{{.Containers}} {{.ContainersRunning}} {{.Images}}", "0 0 1");
    check("info", "{{gt .NCPU 0}} {{gt .MemTotal 1000000}} {{.ClientInfo.Context}}", "true true default");
    check(
        "info",
        "{{.Swarm.LocalNodeState}} {{.DefaultRuntime}} {{.LiveRestoreEnabled}}",
        "inactive corten true",
    );
    check("info", "{{if eq .CgroupVersion \"1\" \"2\"}}fine{{end}}", "fine");
    check("info", "{{join .Plugins.Volume \",\"}} {{.Name}}", &format!("local {}", hostname()));
    check("info", "{{.DockerRootDir}}", host.data_root().to_str().unwrap());
    check("version", "{{.Server.Version}} {{.Client.Version}} {{.Server.Os}}", "0.1.0 0.1.0 linux");
    // The name in Go, and the one in JSON.
    check("version", "{{.Client.APIVersion}}", "1.51");
    check("version", "{{.Client.ApiVersion}} {{.Server.ApiVersion}}", "1.51 1.51");
    let text = host.run(["version"]);
    text.success()
        .stdout_has("Client: Corten\n Version:           0.1.0\n")
        .stdout_has("\nServer: Corten\n Engine:\n");
    let text = host.run(["info"]);
    text.success()
        .stdout_has("Client:\n Version: ")
        .stdout_has("\n\nServer:\n Containers: 0\n  Running: 0\n");
    text.stdout_has("\n Kernel Features:\n  idmapped layers and volumes: yes\n");
    host.run(["info", "-f", "{{.Nothing}}"]).fails(1).stderr_has("Nothing");
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned()
}
