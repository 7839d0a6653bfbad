//! `--format` and `--filter` of the commands that list and inspect.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::{BUSYBOX, Host, busybox_files};

/// Three containers: `one` was never started, `two` ended with 3, `web` runs.
fn three() -> Host {
    let host = Host::with_busybox();
    host.run(["create", "--name", "one", "-l", "tier=db", BUSYBOX, "true"]).success();
    host.run(["run", "--name", "two", "-l", "tier=app", "-l", "x", BUSYBOX, "sh", "-c", "exit 3"]).exits(3);
    host.run(["volume", "create", "data"]).success();
    host.start(["--name", "web", "-l", "tier=web", "-v", "data:/srv", BUSYBOX, "sleep", "1000"]);
    host
}

#[test]
fn ps_prints_what_a_template_says() {
    let host = three();
    let check = |flags: &[&str], expected: &str| {
        let words = ["ps"].iter().chain(flags);
        host.run(words).success().stdout_is(expected);
    };
    check(&["-a", "--format", "{{.Names}} {{.State}}"], "web running\ntwo exited\none created");
    check(
        &["--format", "{{.Label \"tier\"}}|{{.Mounts}}|{{.LocalVolumes}}|{{.Networks}}"],
        "web|data|1|none",
    );
    check(&["-a", "--format", "{{range split .Names \"w\"}}<{{.}}>{{end}}"], "<><eb>\n<t><o>\n<one>");
    check(
        &["-a", "--format", "table {{.Names}}\\t{{.Label \"a.tier\"}}\\t{{upper .State}}"],
        "NAMES     tier      STATE\nweb                 RUNNING\ntwo                 EXITED\none                 CREATED",
    );
    check(&["--format", "{{if .Nothing}}x{{end}}", "-q"], host.run(["ps", "-q"]).text().trim());
    let json = host.run(["ps", "--format", "json"]);
    let row: serde_json::Value = serde_json::from_str(&json.text()).unwrap();
    assert_eq!(row["Names"], "web");
    assert_eq!(row["Size"], "0B");
    assert_eq!(row["Networks"], "none");
    assert_eq!(row["Command"], "\"sleep 1000\"");
}

#[test]
fn ps_tells_sizes_when_asked() {
    let host = Host::with_busybox();
    let write = "dd if=/dev/zero of=/big bs=1M count=2";
    host.run(["run", "--name", "one", BUSYBOX, "sh", "-c", write]).success();
    host.run(["ps", "-a", "-s"]).success().stdout_has("SIZE").stdout_has("2.1MB (virtual ");
    host.run(["ps", "-a", "--format", "{{.Size}}"]).success().stdout_has("2.1MB (virtual ");
    let written = host.run(["inspect", "-s", "-f", "{{.SizeRw}} {{gt .SizeRootFs .SizeRw}}", "one"]);
    written.success().stdout_has(" true");
    host.run(["inspect", "-f", "{{.SizeRw}}", "one"]).success().stdout_is("<nil>");
}

#[test]
fn an_error_shows_the_place() {
    let host = three();
    let wrong = host.run(["ps", "--format", "{{.ID}} {{upper}}"]);
    wrong
        .refuses()
        .stderr_has("template at line 1, column 11")
        .stderr_has("  {{.ID}} {{upper}}\n            ^");
    host.run(["ps", "--format", "{{.Nonsense}}"])
        .fails(1)
        .stderr_has("can't evaluate field Nonsense in type *formatter.ContainerContext");
    // What can't be parsed is 64 where one object is printed, as with Docker.
    host.run(["inspect", "-f", "{{.Name", "web"]).fails(64).stderr_has("unclosed action");
    host.run(["inspect", "-f", "{{.Nonsense}}", "web"]).fails(1).stderr_has("map has no entry for key");
    host.run(["version", "-f", "{{nonsense}}"]).fails(64).stderr_has("function \"nonsense\" not defined");
}

#[test]
fn inspect_templates_that_people_use() {
    let host = Host::with_busybox();
    let limits = ["--memory", "64m", "-e", "A=1", "-l", "a.b=c", "-v", "data:/srv:ro"];
    host.start(["--name", "web"].iter().chain(&limits).chain(&[BUSYBOX, "sleep", "1000"]));
    let check = |format: &str, expected: &str| {
        host.run(["inspect", "-f", format, "web"]).success().stdout_is(expected);
    };
    check("{{.Name}} {{.Path}} {{.Args}} {{.RestartCount}}", "/web sleep [1000] 0");
    check("{{.State.Status}} {{.State.Running}} {{.State.Health}}", "running true <nil>");
    check("{{gt .State.Pid 1}} {{len .ID}}", "true 64");
    check("{{len .Id}}", "64");
    check(
        "{{.HostConfig.Memory}} {{.HostConfig.Binds}} {{.HostConfig.RestartPolicy.Name}}",
        "67108864 [data:/srv:ro] no",
    );
    check("{{index .Config.Labels \"a.b\"}} {{.Config.Labels.nothing}}", "c <no value>");
    check("{{range .Config.Env}}{{if eq (slice . 0 2) \"A=\"}}{{.}}{{end}}{{end}}", "A=1");
    check("{{range .Mounts}}{{.Type}}:{{.Name}}:{{.Destination}}:{{.RW}}{{end}}", "volume:data:/srv:false");
    check("{{json .Config.Cmd}} {{join .Config.Cmd \" \"}}", "[\"sleep\",\"1000\"] sleep 1000");
    check("{{range $name, $net := .NetworkSettings.Networks}}{{$name}}={{$net.IPAddress}};{{end}}", "none=;");
    check(
        "[{{.NetworkSettings.IPAddress}}] {{.GraphDriver.Name}} {{json .NetworkSettings.Ports}}",
        "[] overlay {}",
    );
    check("{{with .Config.Healthcheck}}{{.Test}}{{else}}none{{end}}", "none");
    check("{{.Config.ExposedPorts}} {{printf \"%-6s|\" .Config.Image}}", &format!("map[] {BUSYBOX:<6}|"));
    let json = host.run(["inspect", "--format", "json", "web"]);
    json.success().check(json.text().starts_with("{\"Id\":\""), "fields are not in Docker's order");
    let image =
        host.run(["image", "inspect", "-f", "{{.Os}} {{.Config.Cmd}} {{len .RootFS.Layers}}", BUSYBOX]);
    image.success().stdout_has("linux ");
    host.run(["volume", "inspect", "-f", "{{.Name}} {{.Driver}}", "data"]).success().stdout_is("data local");
    let some = host.run(["inspect", "-f", "{{.Name}}", "nobody", "web"]);
    some.fails(1).stdout_is("/web").stderr_has("nobody");
    host.run(["inspect", "--type", "image", "web"]).fails(1).stdout_is("[]").stderr_has("web");
}

#[test]
fn ps_filters() {
    let host = three();
    let check = |filters: &[&str], expected: &str| {
        let flags = filters.iter().flat_map(|filter| ["-f", *filter]);
        let words = ["ps", "-a", "--format", "{{.Names}}"].into_iter().chain(flags);
        let listed = host.run(words);
        listed.success().check(listed.lines().join(" ") == expected, &format!("{filters:?}: not {expected}"));
    };
    check(&["status=running"], "web");
    check(&["status=exited", "status=created"], "two one");
    check(&["status=exited", "label=tier=db"], "");
    check(&["name=^o"], "one");
    check(&["name=o"], "two one");
    check(&["name=^/web$"], "web");
    check(&["label=tier"], "web two one");
    check(&["label=tier", "label=x"], "two");
    check(&["label=tier=web"], "web");
    check(&["label!=x"], "web one");
    check(&["exited=3"], "two");
    check(&["exited=0"], "");
    check(&["before=web"], "two one");
    check(&["since=one"], "web two");
    check(&["since=one", "before=web"], "two");
    check(&["volume=data"], "web");
    check(&["volume=/srv"], "web");
    check(&["volume=/else"], "");
    check(&["network=none"], "web two one");
    check(&["network=bridge"], "");
    check(&[&format!("ancestor={BUSYBOX}")], "web two one");
    check(&["ancestor=nothing"], "");
    check(&["health=none"], "web two one");
    check(&["health=healthy"], "");
    check(&["publish=80"], "");
    check(&["is-task=true"], "");
    check(&["is-task=false", "isolation=default"], "web two one");
    let id = host.inspect("two")["Id"].as_str().unwrap().to_owned();
    check(&[&format!("id={}", &id[..12])], "two");
    host.run(["ps", "-q", "-f", "exited=3"]).success().stdout_is("");
    host.run(["ps", "--format", "{{.Names}}", "-f", "status=created"]).success().stdout_is("one");
    host.run(["ps", "-n", "1", "--format", "{{.Names}}", "-f", "status=exited"]).success().stdout_is("two");
    for (bad, why) in [
        ("color=red", "`ancestor`"),
        ("name", "no `=`"),
        ("status=asleep", "status"),
        ("since=nobody", "nobody"),
    ] {
        host.run(["ps", "-f", bad]).fails(1).stderr_has(why);
    }
}

#[test]
fn images_filters() {
    let host = Host::with_busybox();
    let import = ["import", "-c", "LABEL tier=web", "-c", "EXPOSE 80/tcp", "-", "app:1"];
    host.call(import).stdin(busybox_files().file("x", 0o644, b"x").bytes()).output().success();
    host.call(["import", "-"]).stdin(busybox_files().file("y", 0o644, b"y").bytes()).output().success();
    let check = |filters: &[&str], expected: &[&str]| {
        let flags = filters.iter().flat_map(|filter| ["-f", *filter]);
        let words = ["images", "--format", "{{.Repository}}:{{.Tag}}"].into_iter().chain(flags);
        let mut lines = host.run(words).success().lines();
        lines.sort();
        assert_eq!(lines, expected, "{filters:?}");
    };
    let busybox = format!("{BUSYBOX}:latest");
    check(&[], &["app:1", &busybox]);
    check(&["label=tier"], &["app:1"]);
    check(&["label=tier=db"], &[]);
    check(&["dangling=true"], &["<none>:<none>"]);
    check(&["dangling=false"], &["app:1", &busybox]);
    check(&["reference=a*"], &["app:1"]);
    check(&["reference=*:latest"], &[&busybox]);
    check(&["until=1h"], &[]);
    host.run(["create", "--name", "app", "app:1", "true"]).success();
    let exposing = |port: &str| host.run(["ps", "-aq", "-f", &format!("expose={port}")]).lines().len();
    assert_eq!((exposing("80"), exposing("79-81/tcp"), exposing("80/udp")), (1, 1, 0));
    host.run(["images", "-f", "color=red"]).fails(1).stderr_has("`dangling`");
    let json = host.run(["images", "--format", "json", "app"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json.text()).unwrap()["Repository"], "app");
    host.run(["images", "--format", "table {{.Repository}}\\t{{.Tag}}", "app"])
        .success()
        .stdout_is("REPOSITORY   TAG\napp          1");
}

#[test]
fn volume_filters_and_formats() {
    let host = three();
    host.run(["volume", "create", "--label", "tier=db", "spare"]).success();
    let check = |flags: &[&str], expected: &str| {
        let words = ["volume", "ls"].iter().chain(flags);
        host.run(words).success().stdout_is(expected);
    };
    check(&["-q", "-f", "dangling=true"], "spare");
    check(&["-q", "-f", "dangling=0"], "data");
    check(&["-q", "-f", "label=tier=db"], "spare");
    check(&["-q", "-f", "name=^d"], "data");
    check(&["-q", "-f", "driver=nfs"], "");
    check(&["--format", "{{.Name}}={{.Label \"tier\"}}"], "data=\nspare=db");
    check(&["--format", "table {{.Name}}"], "VOLUME NAME\ndata\nspare");
    host.run(["volume", "ls", "-f", "size=1"]).fails(1).stderr_has("`dangling`");
}

#[test]
fn hostile_templates_are_refused() {
    let host = three();
    for bomb in [
        "{{range 9223372036854775807}}{{end}}",
        "{{range 1000}}{{printf \"%1000000d\" 1}}{{end}}",
        "{{define \"t\"}}{{template \"t\" .}}{{end}}{{template \"t\" .}}",
    ] {
        host.run(["ps", "--format", bomb]).fails(1).stderr_has("more than");
    }
}
