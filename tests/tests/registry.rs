//! Registries as people use them: logging in and out, searching, lists of manifests.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::os::unix::fs::PermissionsExt as _;

use corten_tests::registry::{Fault, INDEX, LAYER, Login, Registry, Setup, When};
use corten_tests::{Call, Host};

/// A command with a directory of logins of its own.
fn call(host: &Host, words: &[&str]) -> Call {
    host.call(words).env("DOCKER_CONFIG", &host.directory("docker")).env_remove("REGISTRY_AUTH_FILE")
}

fn logins(host: &Host) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(host.path().join("docker/config.json")).unwrap()).unwrap()
}

fn closed(login: Login) -> Registry {
    Registry::with(Setup { login, ..Setup::default() })
}

#[test]
fn a_login_is_verified_and_kept_and_forgotten() {
    let host = Host::new();
    let registry = closed(Login::basic("me", "hunter2"));
    let name = registry.host();
    let login = ["login", "-u", "me", "--password-stdin", &name];
    let said = call(&host, &login).stdin("wrong\n").output();
    said.fails(1).stderr_has(&format!("error: {name}: unauthorized: incorrect username or password"));
    assert!(!host.path().join("docker/config.json").exists());
    let said = call(&host, &login).stdin("hunter2\n").output();
    said.success().stdout_is("Login Succeeded");
    let file = host.path().join("docker/config.json");
    said.stderr_has(&format!("WARNING! Your credentials are stored unencrypted in '{}'.", file.display()));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(logins(&host)["auths"][&name]["auth"].is_string());
    call(&host, &["login", &name]).output().success().stdout_has("[Username: me]").stdout_has("Succeeded");
    let warned = call(&host, &["login", "-u", "me", "-p", "hunter2", &name]).output();
    warned.success().stderr_has("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
    call(&host, &["logout", &name])
        .output()
        .success()
        .stdout_is(&format!("Removing login credentials for {name}"));
    call(&host, &["logout", &name]).output().success().stdout_is(&format!("Not logged in to {name}"));
    call(&host, &["logout"]).output().success().stdout_is("Not logged in to https://index.docker.io/v1/");
    assert!(logins(&host)["auths"].as_object().unwrap().is_empty());
}

#[test]
fn a_token_is_kept_in_the_passwords_place_and_a_program_may_keep_it() {
    let host = Host::new();
    let registry = closed(Login::bearer("me", "hunter2"));
    let name = registry.host();
    let login = ["login", "-u", "me", "--password-stdin", &name];
    call(&host, &login).stdin("hunter2").output().success();
    let kept = logins(&host);
    assert!(kept["auths"][&name]["identitytoken"].as_str().unwrap().starts_with("identity-"));
    let programs = host.directory("programs");
    let program = format!("{programs}/docker-credential-box");
    let keep = format!("#!/bin/sh\ncat >{programs}/kept\n[ \"$1\" = store ] || cat {programs}/kept\n");
    std::fs::write(&program, keep).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    host.file("docker/config.json", r#"{"credsStore":"box"}"#);
    let path = format!("{programs}:/usr/bin:/bin");
    let said = call(&host, &login).stdin("hunter2").env("PATH", &path).output();
    said.success().check(!said.errors().contains("unencrypted"), "nothing is in the clear");
    let text = std::fs::read_to_string(host.path().join("docker/config.json")).unwrap();
    assert!(!text.contains("identity-") && text.contains(&name), "{text}");
    assert!(std::fs::read_to_string(format!("{programs}/kept")).unwrap().contains("identity-"));
    call(&host, &["login", &name]).env("PATH", "/usr/bin:/bin").output().fails(1).stderr_has("is not there");
}

#[test]
fn mistakes_at_a_login_are_dockers() {
    let host = Host::new();
    let check = |words: &[&str], expected: &str| {
        call(&host, words).output().fails(1).stderr_has(expected);
    };
    check(
        &["login", "-p", "x", "--password-stdin", "-u", "me"],
        "--password and --password-stdin are mutually exclusive",
    );
    check(&["login", "--password-stdin"], "Must provide --username with --password-stdin");
    check(&["login", "-u", "me", "127.0.0.1:1"], "Cannot perform an interactive login from a non TTY device");
    check(&["login", "-u", "me", "-p", "x", "r.example/team"], "an address of a registry has no path");
    let said = call(&host, &["login", "-u", "me", "--password-stdin", "127.0.0.1:1"]).stdin("x").output();
    said.fails(1).stderr_has("cannot talk to 127.0.0.1:1");
}

#[test]
fn what_is_typed_for_a_password_is_not_shown() {
    let host = Host::new();
    let registry = closed(Login::basic("me", "hunter2"));
    let name = registry.host();
    let mut terminal = call(&host, &["login", &name]).terminal();
    terminal.wait("Username: ").keys("me\n").wait("Password: ").keys("hunter2\n").wait("Login Succeeded");
    let ended = terminal.finish();
    ended.success().check(!ended.text().contains("hunter2"), "the password was shown");
    assert!(!terminal.is_raw());
    // Who gives up gets the terminal back as it was.
    call(&host, &["logout", &name]).output().success();
    let mut terminal = call(&host, &["login", "-u", "me", &name]).terminal();
    terminal.wait("Password: ").keys("\x03");
    terminal.finish().exits(130);
    assert!(terminal.echoes());
}

#[test]
fn a_search_in_an_index_and_in_a_list_of_names() {
    let host = Host::new();
    let registry = Registry::new();
    let name = registry.host();
    let results = serde_json::json!({ "results": [
        { "name": "few", "description": "A few\nstars", "star_count": 3, "is_official": false, "is_automated": false },
        { "name": "many", "description": "Many", "star_count": 300, "is_official": true, "is_automated": false },
    ]});
    let index = Fault::Answer {
        status: 200,
        headers: vec![("Content-Type".into(), "application/json".into())],
        body: results.to_string().into_bytes(),
    };
    registry.fail(When::target("/v1/search"), index, 4);
    let term = format!("{name}/busy");
    let said = call(&host, &["search", &term]).output();
    said.success().stdout_has("NAME").stdout_has("DESCRIPTION").stdout_has("[OK]").stdout_has("A few stars");
    assert!(said.text().find("many") < said.text().find("few"), "most stars first");
    let format = ["search", "--format", "{{.Name}} {{.StarCount}}", "--filter", "stars=10", &term];
    call(&host, &format).output().success().stdout_is(&format!("{name}/many 300"));
    let official = ["search", "--filter", "is-official=false", "--format", "{{.Name}}", &term];
    call(&host, &official).output().success().stdout_is(&format!("{name}/few"));
    let asked = registry.seen_with("GET", "/v1/search").pop().unwrap();
    assert_eq!((asked.query("q"), asked.query("n")), (vec!["busy".into()], vec!["25".into()]));
    call(&host, &["search", "--limit", "1", "--no-trunc", &term]).output().success().stdout_has("few");
    // Without an index there is the list of repositories.
    registry.put_manifest("team/busybox", Some("1"), INDEX, b"{}");
    registry.put_manifest("team/other", Some("1"), INDEX, b"{}");
    let names = ["search", "--format", "{{.Name}}", &term];
    call(&host, &names).output().success().stdout_is(&format!("{name}/team/busybox"));
    call(&host, &["search", "--limit", "101", "x"])
        .output()
        .exits(125)
        .stderr_has("outside the range of [1, 100]");
    call(&host, &["search", "--filter", "stars=x", "x"]).output().fails(1).stderr_has("a number of stars");
}

#[test]
fn a_list_of_manifests_is_made_annotated_pushed_and_forgotten() {
    let host = Host::new();
    let registry = Registry::new();
    let name = registry.host();
    let config = |architecture: &str| format!(r#"{{"architecture":"{architecture}","os":"linux"}}"#);
    for architecture in ["amd64", "arm"] {
        let repository = format!("app-{architecture}");
        registry.put_image(&repository, Some("1"), config(architecture).as_bytes(), &[(LAYER, b"layer")]);
    }
    let (list, one, two) =
        (format!("{name}/app:1"), format!("{name}/app-amd64:1"), format!("{name}/app-arm:1"));
    let run = |words: &[&str]| call(&host, words).output();
    run(&["manifest", "create", &list, &one]).success().stdout_is(&format!("Created manifest list {list}"));
    run(&["manifest", "create", &list, &two])
        .fails(1)
        .stderr_has("refusing to amend an existing manifest list");
    run(&["manifest", "create", "--amend", &list, &two]).success();
    run(&["manifest", "annotate", &list, &two, "--variant", "v7", "--os-features", "a,b"]).success();
    run(&["manifest", "annotate", &list, &two, "--os", "linux", "--arch", "arm", "--os-version", "1.2"])
        .success();
    run(&["manifest", "annotate", &list, "other:1", "--variant", "v7"])
        .fails(1)
        .stderr_has("does not exist in");
    let shown = run(&["manifest", "inspect", &list]).success().json();
    assert_eq!(shown["manifests"][0]["platform"]["architecture"], "amd64");
    assert_eq!(shown["manifests"][1]["platform"]["variant"], "v7");
    assert_eq!(shown["manifests"][1]["platform"]["os.features"][1], "b");
    assert_eq!(shown["manifests"][1]["platform"]["os.version"], "1.2");
    let entry = run(&["manifest", "inspect", "--verbose", &list, &two]).success().json();
    assert_eq!(entry["Ref"], two);
    assert_eq!(entry["OCIManifest"]["layers"][0]["size"], 5);

    let pushed = run(&["manifest", "push", "--purge", &list]);
    pushed.success();
    let digest = pushed.text().lines().last().unwrap().to_owned();
    let (media_type, index) = registry.manifest("app", "1").unwrap();
    assert_eq!((media_type.as_str(), corten_tests::registry::digest(&index)), (INDEX, digest));
    assert_eq!(registry.tags("app"), ["1"]);
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let below = index["manifests"][1]["digest"].as_str().unwrap();
    assert!(registry.manifest("app", below).is_some());
    run(&["manifest", "rm", &list]).fails(1).stderr_has("No such manifest: ");
    run(&["manifest", "push", &list]).fails(1).stderr_has("hint: `corten manifest create");

    // What is at the registry.
    let there = run(&["manifest", "inspect", &list]);
    assert_eq!(there.success().json(), index);
    assert_eq!(run(&["manifest", "inspect", "-v", &list]).success().json().as_array().unwrap().len(), 2);
    run(&["manifest", "inspect", &one]).success().stdout_has("\n\t\"config\": {");
    run(&["manifest", "create", &format!("{name}/x"), &list]).fails(1).stderr_has("is a manifest list");
    let unknown = format!("{name}/app:2");
    run(&["manifest", "inspect", &unknown]).fails(1).stderr_has("not found: manifest unknown");
    run(&["manifest", "create", "--insecure", &list, &one]).success();
    run(&["manifest", "rm", &list]).success().stdout_is("");
}

#[test]
fn registries_are_configured() {
    let host = Host::new();
    let (registry, mirror) = (Registry::new(), Registry::new());
    mirror.put_image("hub/app", Some("1"), b"{}", &[]);
    let name = registry.host();
    let image = format!("{name}/app:1");
    let with = |text: &str, words: &[&str]| {
        let file = host.file("config.toml", text);
        call(&host, &[&["--config", &file], words].concat()).output()
    };
    let mirrors = format!("[registries]\nmirrors = ['{name}=http://{}/hub']\n", mirror.host());
    with(&mirrors, &["manifest", "inspect", &image]).success().stdout_has("schemaVersion");
    with(&format!("registries.blocked = ['{name}']"), &["manifest", "inspect", &image])
        .fails(1)
        .stderr_has("is blocked by the configuration");
    let rewrite = format!("registries.rewrites = ['r.example/x={}/hub']", mirror.host());
    with(&rewrite, &["manifest", "inspect", "r.example/x/app:1"]).success();
    with("registries.mirrors = ['x']", &["config", "check"]).fails(1).stderr_has("REGISTRY=ADDRESS");
    host.file("config.toml", "");
    // A proxy of the environment isn't asked for what is on this machine.
    let said = call(&host, &["manifest", "inspect", &format!("{}/hub/app:1", mirror.host())])
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .output();
    said.success();
    let said = call(&host, &["manifest", "inspect", "r.example/x"])
        .env("https_proxy", "http://127.0.0.1:1")
        .output();
    said.fails(1).stderr_has("cannot talk to r.example").stderr_has("refused");
}
