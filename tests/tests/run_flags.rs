//! The flags of `run` and `create` that few containers need: each does something, and says what it can't do.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs;
use std::path::Path;

use corten_tests::{Account, BUSYBOX, Host, groups_of};
use serde_json::json;

#[test]
fn only_the_streams_that_are_attached_are_seen() {
    let host = Host::with_busybox();
    let script = "echo out; echo err >&2; exit 3";
    let only = |stream: &str| host.run(["run", "--rm", "--attach", stream, BUSYBOX, "sh", "-c", script]);
    only("stdout").exits(3).stdout_is("out").quiet();
    let ran = only("STDERR");
    ran.exits(3).stdout_is("").check(ran.errors() == "err\n", "stderr isn't the app's");
    let both = ["run", "--rm", "-a", "stdout", "-a", "stderr", BUSYBOX, "sh", "-c", script];
    host.run(both).exits(3).stdout_is("out").stderr_has("err");
    only("stdlog").fails(125).stderr_has("valid streams are STDIN, STDOUT and STDERR");
    host.run(["run", "-d", "--attach", "stdout", BUSYBOX])
        .fails(125)
        .stderr_has("conflicting options: cannot specify both --attach and --detach");
    host.run(["create", "--name", "one", "--attach", "stderr", "-i", BUSYBOX]).success();
    let config = host.inspect("one")["Config"].clone();
    let attached =
        ["AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce"].map(|key| config[key].clone());
    assert_eq!(attached, [json!(true), json!(false), json!(true), json!(true)]);
}

#[test]
fn who_only_gives_input_gets_the_id_and_leaves() {
    let host = Host::with_busybox();
    let run = ["run", "-i", "--attach", "stdin", "--name", "one", BUSYBOX, "sh", "-c", "cat; exit 4"];
    let ran = host.call(run).stdin("through\n").output();
    ran.success().stdout_is(host.inspect("one")["Id"].as_str().unwrap());
    host.wait_status("one", "exited");
    host.run(["logs", "one"]).success().stdout_is("through");
    assert_eq!(host.inspect("one")["State"]["ExitCode"], 4);
}

#[test]
fn annotations_are_kept() {
    let host = Host::with_busybox();
    host.run(["create", "--name", "one", "--annotation", "a=b=c", "--annotation", "d", BUSYBOX]).success();
    assert_eq!(host.inspect("one")["HostConfig"]["Annotations"], json!({ "a": "b=c", "d": "" }));
    host.run(["run", "--annotation", "=x", BUSYBOX]).fails(125).stderr_has("the name is empty");
}

#[test]
fn the_id_is_written_to_a_file_that_was_not_there() {
    let host = Host::with_busybox();
    let path = host.path().join("id").to_string_lossy().into_owned();
    host.run(["run", "--name", "one", "--cidfile", &path, BUSYBOX, "true"]).success();
    let inspected = host.inspect("one");
    assert_eq!(fs::read_to_string(&path).unwrap(), inspected["Id"].as_str().unwrap());
    assert_eq!(inspected["HostConfig"]["ContainerIDFile"], path.as_str());
    let text =
        format!("container ID file found, make sure the other container isn't running or delete {path}");
    host.run(["create", "--cidfile", &path, BUSYBOX]).fails(125).stderr_has(&text);
    fs::remove_file(&path).unwrap();
    host.run(["run", "--pull", "never", "--cidfile", &path, "no-such-image"]).fails(125);
    host.run(["run", "--cidfile", &path, "--sysctl", "x", BUSYBOX]).fails(125);
    assert!(!Path::new(&path).exists(), "no container, no file");
    // The container is there; only its program isn't.
    host.run(["run", "--name", "two", "--cidfile", &path, BUSYBOX, "/no/such/program"]).fails(127);
    assert_eq!(fs::read_to_string(&path).unwrap(), host.inspect("two")["Id"].as_str().unwrap());
    host.run(["run", "--cidfile", "/no/such/dir/id", BUSYBOX]).fails(125).stderr_has("/no/such/dir/id");
}

#[test]
fn a_domain_name_is_the_kernel_s_and_stands_in_hosts() {
    let host = Host::with_busybox();
    let flags = ["--hostname", "web", "--domainname", "corp.example"];
    let script = "cat /proc/sys/kernel/domainname; hostname; grep web /etc/hosts";
    host.shell_with(&flags, script).success().stdout_is("corp.example\nweb\n127.0.0.1\tweb.corp.example web");
    host.run(["create", "--name", "one", "--domainname", "d", BUSYBOX]).success();
    assert_eq!(host.inspect("one")["Config"]["Domainname"], "d");
    host.shell_with(&["--domainname", "a b"], "true").fails(125).stderr_has("invalid domain name `a b`");
    host.shell_with(&["--uts", "host", "--domainname", "d"], "true").fails(125).stderr_has("--uts host");
}

#[test]
fn groups_are_added_by_name_and_by_number() {
    let host = Host::with_busybox();
    let added = ["--group-add", "staff", "--group-add", "4242"];
    host.shell_with(&added, "id -G").success().stdout_is("0 50 4242");
    host.shell_with(&[&added[..], &["-u", "1000:1000"]].concat(), "id -G")
        .success()
        .stdout_is("1000 50 4242");
    let id = host.start([&["--name", "one"][..], &added, &[BUSYBOX, "sleep", "1000"]].concat());
    host.run(["exec", &id, "id", "-G"]).success().stdout_is("0 50 4242");
    host.run(["exec", "-u", "7:7", &id, "id", "-G"]).success().stdout_is("7 50 4242");
    assert_eq!(host.inspect("one")["HostConfig"]["GroupAdd"], json!(["staff", "4242"]));
    host.shell_with(&["--group-add", "nobodys"], "true").unsuccessful().stderr_has("nobodys");
    host.shell_with(&["--group-add", "a:b"], "true").fails(125).stderr_has("invalid group `a:b`");
}

#[test]
fn a_rule_opens_a_device() {
    let host = Host::with_busybox();
    // FUSE, which no container gets by itself; in a user namespace of its own it could not make the node.
    let script = "mknod /tmp/fuse c 10 229 && exec 3<>/tmp/fuse && echo open";
    let open = |flags: &[&str]| host.shell_with(&[&["--userns", "host"], flags].concat(), script);
    open(&[]).unsuccessful().stderr_has("not permitted");
    open(&["--device-cgroup-rule", "c 10:229 rw"]).success().stdout_is("open");
    open(&["--device-cgroup-rule", "c 10:* rw"]).success().stdout_is("open");
    open(&["--device-cgroup-rule", "b 10:229 rw"]).unsuccessful();
    host.run(["create", "--name", "one", "--device-cgroup-rule", "a 7:* rwm", BUSYBOX]).success();
    assert_eq!(host.inspect("one")["HostConfig"]["DeviceCgroupRules"], json!(["a 7:* rwm"]));
    open(&["--device-cgroup-rule", "c 1 r"]).fails(125).stderr_has("invalid device cgroup format");
}

#[test]
fn a_parent_group_holds_its_containers() {
    let host = Host::with_busybox();
    let parent = format!("team-{}", std::process::id());
    let flags = ["--cgroup-parent", &format!("/{parent}/a"), "--name", "one"];
    let id = host.start([&flags[..], &[BUSYBOX, "sleep", "1000"]].concat());
    let groups = groups_of(std::slice::from_ref(&id));
    let below = format!("corten/{parent}/a/{id}");
    assert!(!groups.is_empty() && groups.iter().all(|g| g.to_string_lossy().contains(&below)), "{groups:?}");
    assert_eq!(host.inspect("one")["HostConfig"]["CgroupParent"], format!("/{parent}/a"));
    host.run(["top", "one"]).success().stdout_has("sleep");
    host.run(["stats", "--no-stream", "one"]).success().stdout_has("one");
    // A keeper that takes over finds the group, and so does whoever tidies up.
    corten_tests::kill_and_wait(host.keeper("one"));
    host.run(["ps"]).success().stdout_has("one");
    host.run(["rm", "-f", "one"]).success();
    assert_eq!(groups_of(&[id]), Vec::<std::path::PathBuf>::new());
    for group in groups {
        // The parents are whoever's who named them: they stay.
        let team = group.parent().unwrap();
        let _ = fs::remove_dir(team).and_then(|()| fs::remove_dir(team.parent().unwrap()));
    }
    for bad in ["../x", "/", "a b", "keeper"] {
        host.shell_with(&["--cgroup-parent", bad], "true").fails(125).stderr_has("invalid cgroup parent");
    }
}

#[test]
fn logs_of_each_driver() {
    let host = Host::with_busybox();
    let start = |name: &str, flags: &[&str]| {
        let words = [&["run", "--name", name][..], flags, &[BUSYBOX, "echo", "hi"]].concat();
        host.run(words).success().stdout_is("hi");
        host.inspect(name)
    };
    let plain = start("plain", &[]);
    assert_eq!(plain["HostConfig"]["LogConfig"], json!({ "Type": "json-file", "Config": {} }));
    let none = start("none", &["--log-driver", "none"]);
    assert_eq!((&none["HostConfig"]["LogConfig"]["Type"], &none["LogPath"]), (&json!("none"), &json!("")));
    host.run(["logs", "none"]).refuses().stderr_has("configured logging driver does not support reading");
    let local = start("local", &["--log-driver", "local", "--log-opt", "max-size=1m"]);
    assert_eq!(local["HostConfig"]["LogConfig"], json!({ "Type": "local", "Config": { "max-size": "1m" } }));
    host.run(["logs", "local"]).success().stdout_is("hi");
    host.shell_with(&["--log-driver", "syslog"], "true").fails(125).stderr_has("not built yet");
    host.shell_with(&["--log-driver", "papyrus"], "true").fails(125).stderr_has("not found");
}

#[test]
fn log_options_set_size_count_and_what_is_told() {
    let host = Host::with_busybox();
    let flags = ["--log-opt", "max-size=4k", "--log-opt", "max-file=2"];
    let script = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done";
    let words = [&["run", "--name", "one"][..], &flags, &[BUSYBOX, "sh", "-c", script]].concat();
    host.run(words).success();
    let newest = host.inspect("one")["LogPath"].as_str().unwrap().to_owned();
    assert!(fs::metadata(&newest).unwrap().len() <= 4096);
    assert!(Path::new(&format!("{newest}.1")).exists() && !Path::new(&format!("{newest}.2")).exists());
    let told = ["--log-opt", "tag={{.Name}}", "--log-opt", "labels=tier", "--log-opt", "env-regex=^APP"];
    let more = ["-l", "tier=front", "-e", "APP_A=1", "-e", "B=2", BUSYBOX, "echo", "hi"];
    host.run([&["run", "--name", "two"][..], &told, &more].concat()).success();
    host.run(["logs", "--details", "two"]).success().stdout_is("APP_A=1,tag=two,tier=front hi");
    host.run(["logs", "two"]).success().stdout_is("hi");
    let refuse = |option: &str, text: &str| {
        host.shell_with(&["--log-opt", option], "true").fails(125).stderr_has(text);
    };
    refuse("colour=red", "unknown log opt 'colour' for json-file log driver");
    refuse("max-size=much", "max-size=much");
    refuse("max-file=0", "max-file cannot be less than 1");
    refuse("tag={{.Nmae}}", "is none of");
    refuse("compress=true", "not built yet");
    host.shell_with(&["--log-driver", "none", "--log-opt", "max-size=1m"], "true")
        .fails(125)
        .stderr_has("invalid logging opts for driver none");
}

#[test]
fn servers_of_names_and_hosts_are_written() {
    let host = Host::with_busybox();
    let flags = [
        "--dns",
        "10.9.8.7",
        "--dns",
        "fe80::1",
        "--dns-search",
        "a.example",
        "--dns-search",
        "b.example",
        "--dns-option",
        "ndots:3",
        "--dns-opt",
        "debug",
        "--add-host",
        "db:10.0.0.5",
        "--add-host",
        "v6=[::5]",
    ];
    let said = host.shell_with(&flags, "cat /etc/resolv.conf; tail -n 2 /etc/hosts");
    let resolv = "search a.example b.example\nnameserver 10.9.8.7\nnameserver fe80::1\noptions ndots:3 debug";
    said.success().stdout_is(&format!("{resolv}\n10.0.0.5\tdb\n::5\tv6"));
    host.run([&["create", "--name", "one"][..], &flags, &[BUSYBOX]].concat()).success();
    let config = host.inspect("one")["HostConfig"].clone();
    assert_eq!(config["Dns"], json!(["10.9.8.7", "fe80::1"]));
    assert_eq!(
        (&config["DnsSearch"], &config["DnsOptions"]),
        (&json!(["a.example", "b.example"]), &json!(["ndots:3", "debug"]))
    );
    assert_eq!(config["ExtraHosts"], json!(["db:10.0.0.5", "v6:::5"]));
    // With the host's network, the host's files are what is changed.
    let flags = ["--network", "host", "--dns", "10.9.8.7", "--add-host", "db:10.0.0.5"];
    let said =
        host.shell_with(&flags, "grep -v '^#' /etc/resolv.conf | grep nameserver; grep 10.0.0.5 /etc/hosts");
    said.success().stdout_is("nameserver 10.9.8.7\n10.0.0.5\tdb");
    let refuse = |flag: &str, value: &str, text: &str| {
        host.shell_with(&[flag, value], "true").fails(125).stderr_has(text);
    };
    refuse("--dns", "dns.example", "IP address is not correctly formatted");
    refuse("--dns-search", "a..b", "not a valid domain");
    refuse("--dns-option", "a b", "it is one word");
    refuse("--add-host", "db", "bad format for add-host");
    refuse("--add-host", "db:1.2", "invalid IP address in add-host");
    refuse("--add-host", "db:host-gateway", "bridge");
    host.run(["create", "--name", "two", "--network", "container:one", "--dns", "1.2.3.4", BUSYBOX])
        .fails(125)
        .stderr_has("conflicting options: dns and the container type network mode");
}

#[test]
fn exposed_ports_are_noted() {
    let host = Host::with_busybox();
    host.run(["create", "--name", "one", "--expose", "80", "--expose", "90-91/udp", BUSYBOX]).success();
    let ports = json!({ "80/tcp": {}, "90/udp": {}, "91/udp": {} });
    assert_eq!(host.inspect("one")["Config"]["ExposedPorts"], ports);
    host.run(["ps", "-a", "--filter", "expose=91/udp", "--format", "{{.Names}}"]).success().stdout_is("one");
    host.run(["ps", "-a", "-q", "--filter", "expose=92/udp"]).success().stdout_is("");
    host.shell_with(&["--expose", "80:80"], "true").fails(125).stderr_has("invalid port format for --expose");
    host.shell_with(&["--expose", "9-1"], "true").fails(125).stderr_has("invalid range format for --expose");
}

#[test]
fn isolation_has_one_value() {
    let host = Host::with_busybox();
    host.run(["create", "--name", "one", "--isolation", "default", BUSYBOX]).success();
    assert_eq!(host.inspect("one")["HostConfig"]["Isolation"], "default");
    host.shell_with(&["--isolation", "hyperv"], "true")
        .fails(125)
        .stderr_has("linux only supports `default`");
}

#[test]
fn files_of_variables_and_labels_are_docker_s() {
    let host = Host::with_busybox();
    let file = host.file("env", "\u{feff}# first\nA=1\n\n  B= x # y\nFROM_HERE\nNOWHERE\nC=\n");
    let ran =
        host.call(["run", "--rm", "--env-file", &file, BUSYBOX, "env"]).env("FROM_HERE", "yes").output();
    ran.success()
        .stdout_has("A=1\n")
        .stdout_has("B= x # y\n")
        .stdout_has("FROM_HERE=yes\n")
        .stdout_has("C=\n");
    ran.stdout_lacks("NOWHERE").stdout_lacks("first");
    let bad = host.file("bad", "A=1\nB C=2\n");
    let at = format!("{bad}:2");
    host.run(["run", "--env-file", &bad, BUSYBOX]).fails(125).stderr_has(&at).stderr_has("B C=2");
    host.run(["exec", "--env-file", &bad, "x", "true"]).fails(125).stderr_has(&at);
    let labels = host.file("labels", "a=b\nnothing\n# c=d\n");
    host.run(["create", "--name", "one", "--label-file", &labels, BUSYBOX]).success();
    assert_eq!(host.inspect("one")["Config"]["Labels"], json!({ "a": "b" }));
    host.run(["create", "--label-file", &host.file("empty", "=x\n"), BUSYBOX])
        .fails(125)
        .stderr_has("empty:1");
    host.run(["create", "--env-file", "/no/such", BUSYBOX]).fails(125).stderr_has("/no/such");
}

#[test]
fn what_can_t_be_says_why() {
    let host = Host::with_busybox();
    let refuse = |flag: &str, value: &str, text: &str| {
        host.run(["run", flag, value, BUSYBOX])
            .fails(125)
            .stderr_has(&format!("unsupported flag `{flag}`"))
            .stderr_has(text);
    };
    refuse("--storage-opt", "size=1g", "quotas");
    refuse("--cpu-count", "1", "windows");
    refuse("--cpu-percent", "1", "windows");
    refuse("--io-maxbandwidth", "1", "windows");
    refuse("--io-maxiops", "1", "windows");
    refuse("--kernel-memory", "1m", "kernel");
    refuse("--ip", "1.2.3.4", "bridge");
    refuse("--mac-address", "02:42:ac:11:00:02", "bridge");
    refuse("--link", "x", "bridge");
    refuse("--publish", "80:80", "bridge");
}

#[test]
fn an_ordinary_user_has_them_too() {
    let account = Account::with_subordinate_ids();
    let host = Host::of(&account);
    host.import_busybox();
    let flags = [
        "--domainname",
        "d.example",
        "--group-add",
        "staff",
        "--dns",
        "10.9.8.7",
        "--add-host",
        "db:10.0.0.5",
    ];
    let script = "cat /proc/sys/kernel/domainname; id -G; cat /etc/resolv.conf; tail -n 1 /etc/hosts";
    let said = "d.example\n0 50\nnameserver 10.9.8.7\n10.0.0.5\tdb";
    host.shell_with(&flags, script).success().stdout_is(said);
    let path = host.path().join("home/id").to_string_lossy().into_owned();
    host.run(["run", "--log-driver", "none", "--cidfile", &path, "--name", "one", BUSYBOX, "true"]).success();
    assert_eq!(fs::read_to_string(&path).unwrap(), host.inspect("one")["Id"].as_str().unwrap());
    host.run(["logs", "one"]).refuses();
}
