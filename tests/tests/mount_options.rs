//! Every option of `-v`, `--mount` and `--tmpfs`: what the container sees of it, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use corten_tests::tar::Tar;
use corten_tests::{BUSYBOX, Host};

/// Runs mount(8) or umount(8).
fn host_command(program: &str, args: &[&str]) {
    assert!(Command::new(program).args(args).status().unwrap().success(), "{program} {args:?}");
}

/// A tmpfs of the host, gone with the value.
struct Mounted(String);

impl Mounted {
    fn new(path: String) -> Self {
        host_command("mount", &["-t", "tmpfs", "none", &path]);
        Self(path)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--recursive", "--lazy", &self.0]).status();
    }
}

#[test]
fn what_lies_below_a_read_only_bind() {
    let host = Host::with_busybox();
    let data = host.directory("data/sub");
    let _below = Mounted::new(data);
    let source = host.path().join("data").display().to_string();
    let check = |options: &str, expected: &str| {
        let mount = format!("type=bind,source={source},target=/data,{options}");
        let script = "for d in /data /data/sub; do touch $d/x 2>/dev/null && echo rw || echo ro; done";
        host.shell_with(&["--mount", &mount], script).success().stdout_is(expected);
    };
    check("readonly", "ro\nro");
    check("readonly,bind-recursive=readonly", "ro\nro");
    check("readonly,bind-recursive=writable", "ro\nrw");
    check("consistency=cached", "rw\nrw");
    let mount = format!("type=bind,source={source},target=/data,bind-recursive=disabled");
    host.shell_with(&["--mount", &mount], "grep -c ' /data' /proc/self/mountinfo").success().stdout_is("1");
    host.shell_with(&["-v", &format!("{source}:/data:rro,cached")], "touch /data/sub/x")
        .exits(1)
        .stderr_has("Read-only file system");
}

#[test]
fn mounts_travel_as_they_were_asked_to() {
    let host = Host::with_busybox();
    let data = host.directory("data");
    let _own = Mounted::new(data.clone());
    host_command("mount", &["--make-private", &data]);
    for word in ["shared", "rslave"] {
        host.run(["run", "--rm", "-v", &format!("{data}:/d:{word}"), BUSYBOX, "true"])
            .fails(125)
            .stderr_has("which is not shared")
            .stderr_has("mount --make-shared");
    }
    host_command("mount", &["--make-shared", &data]);
    host.directory("data/late");
    let slave = format!("{data}:/slave:rslave");
    let private = format!("{data}:/private");
    let shared = format!("{data}:/shared:rshared");
    host.start([
        "--name",
        "one",
        "--privileged",
        "-v",
        &slave,
        "-v",
        &private,
        "-v",
        &shared,
        BUSYBOX,
        "sleep",
        "1000",
    ]);
    let _late = Mounted::new(format!("{data}/late"));
    fs::write(format!("{data}/late/x"), "").unwrap();
    host.run(["exec", "one", "sh", "-c", "ls /slave/late /private/late /shared/late"])
        .success()
        .stdout_is("/private/late:\n\n/shared/late:\nx\n\n/slave/late:\nx");
    // And the other way: only through the shared one.
    host.directory("data/back");
    let script =
        "mount -t tmpfs none /shared/back && touch /shared/back/y && mount -t tmpfs none /slave/back";
    host.run(["exec", "one", "sh", "-c", script]).success();
    assert!(Path::new(&format!("{data}/back/y")).exists());
    assert_eq!(host.inspect("one")["Mounts"][2]["Propagation"], "rshared");
}

#[test]
fn files_are_shown_as_another_owners() {
    let host = Host::with_busybox();
    let data = host.directory("data");
    chown(&data, Some(1000), Some(1001)).unwrap();
    fs::write(format!("{data}/a"), "").unwrap();
    chown(format!("{data}/a"), Some(1000), Some(1001)).unwrap();
    let owner = |name: &str| fs::metadata(format!("{data}/{name}")).map(|m| (m.uid(), m.gid())).unwrap();
    let check = |options: &str, flags: &[&str], expected: &str, made: (u32, u32)| {
        let mount = format!("type=bind,source={data},target=/d,{options}");
        let flags = [flags, &["--mount", &mount]].concat();
        host.shell_with(&flags, "stat -c %u:%g /d/a; touch /d/made").success().stdout_is(expected);
        assert_eq!(owner("made"), made, "{options}");
        fs::remove_file(format!("{data}/made")).unwrap();
    };
    check("idmap", &[], "0:0", (1000, 1001));
    check("uid=7,gid=8", &["--user", "7:8"], "7:8", (1000, 1001));
    check("uid=7", &["--user", "7:1001"], "7:1001", (1000, 1001));
    // Also in the host's user namespace.
    check("idmap", &["--userns", "host"], "0:0", (1000, 1001));
    let short = format!("{data}:/d:idmap,ro");
    host.shell_with(&["-v", &short], "stat -c %u:%g /d").success().stdout_is("0:0");
    host.shell_with(&["--mount", "type=volume,source=own,target=/d,uid=33", "--user", "33"], "touch /d/x")
        .success();
    host.shell_with(&["-v", "own:/d"], "stat -c %u /d/x").success().stdout_is("0");
    // What can't map owners says so, and nothing starts.
    host.run(["run", "--rm", "-v", "/proc:/d:idmap", BUSYBOX, "true"])
        .fails(125)
        .stderr_has("can't show files as another owner's");
}

#[test]
fn words_that_mean_nothing_here_are_taken() {
    let host = Host::with_busybox();
    let data = host.directory("data");
    for mode in ["z", "Z,ro", "delegated", "consistent,rw", "private"] {
        host.shell_with(&["-v", &format!("{data}:/d:{mode}")], "true").success();
    }
    host.shell_with(
        &["-v", "vol:/d:z", "--volumes-from", &host.start(["-v", "other:/o", BUSYBOX, "true"])],
        "ls /d /o",
    )
    .success();
}

#[test]
fn relative_sources_are_of_where_the_caller_is() {
    let host = Host::with_busybox();
    fs::write(format!("{}/f", host.directory("here/below")), "found").unwrap();
    for flags in [["-v", "./here:/d"], ["--mount", "type=bind,source=./here/../here,target=/d"]] {
        host.shell_with(&flags, "cat /d/below/f").success().stdout_is("found");
    }
    host.shell_with(&["--mount", "type=bind,source=./new,target=/d,bind-create-src"], "touch /d/x").success();
    assert!(host.path().join("new/x").exists());
    // A comma in a path: the field is quoted.
    let comma = host.directory("a,b");
    host.shell_with(&["--mount", &format!("type=bind,\"source={comma}\",target=/d")], "touch /d/x").success();
    assert!(Path::new(&comma).join("x").exists());
}

#[test]
fn a_part_of_a_volume() {
    let host = Host::with_busybox();
    host.shell_with(
        &["-v", "vol:/v"],
        "mkdir -p /v/a/b; echo hi > /v/a/b/f; ln -s a/b /v/link; ln -s / /v/root",
    )
    .success();
    let mount = |subpath: &str| format!("type=volume,source=vol,target=/m,volume-subpath={subpath}");
    host.shell_with(&["--mount", &mount("a/b")], "cat /m/f; touch /m/made").success().stdout_is("hi");
    host.shell_with(&["--mount", &mount("a/b/f")], "cat /m").success().stdout_is("hi");
    host.shell_with(&["--mount", &mount("link")], "ls /m").success().stdout_is("f\nmade");
    let read_only = format!("{},readonly", mount("a"));
    host.shell_with(&["--mount", &read_only], "touch /m/x").exits(1).stderr_has("Read-only");
    host.run(["run", "--rm", "--mount", &mount("nothing"), BUSYBOX, "true"]).fails(125).stderr_has("nothing");
    // Also for who copies out of it while it is stopped.
    host.run(["create", "--name", "stopped", "--mount", &mount("a/b"), BUSYBOX]).success();
    host.run(["cp", "stopped:/m/f", "-"]).success();
    host.run(["cp", "stopped:/m/a", "-"]).refuses();
    assert_eq!(host.inspect("stopped")["HostConfig"]["Mounts"][0]["VolumeOptions"]["Subpath"], "a/b");
}

/// A symlink in a volume that leads out of it, absolute or by dots, shows nothing of the host.
#[test]
fn a_subpath_leads_nowhere_outside() {
    let host = Host::with_busybox();
    fs::write(host.path().join("secret"), "of the host").unwrap();
    let outside = host.path().display().to_string();
    let script = format!(
        "ln -s {outside} /v/absolute; ln -s ../../../../../../../../{outside} /v/dots; ln -s /proc/1/root /v/magic; \
         mkdir /v/d; ln -s /proc/self/fd /v/d/fd"
    );
    host.shell_with(&["-v", "vol:/v"], &script).success();
    for subpath in ["absolute", "dots", "absolute/secret", "magic", "d/fd", "magic/etc"] {
        let mount = format!("type=volume,source=vol,target=/m,volume-subpath={subpath}");
        host.run(["run", "--rm", "--mount", &mount, BUSYBOX, "true"]).fails(125).stderr_lacks("of the host");
    }
    let mount = "type=volume,source=vol,target=/m,volume-subpath=../..";
    host.run(["run", "--rm", "--mount", mount, BUSYBOX, "true"]).fails(125).stderr_has("leads out");
}

#[test]
fn a_volume_has_labels_options_and_one_driver() {
    let host = Host::with_busybox();
    let mount = "type=volume,source=vol,target=/m,volume-label=a=b,volume-driver=local";
    host.shell_with(&["--mount", mount], "true").success();
    let inspected = host.run(["volume", "inspect", "vol"]).json();
    assert_eq!(inspected[0]["Labels"]["a"], "b");
    for flags in [["--volume-driver", "rexray"], ["--mount", "type=volume,target=/m,volume-driver=rexray"]] {
        host.run(["run", "--rm", "-v", "x:/x", flags[0], flags[1], BUSYBOX, "true"])
            .fails(125)
            .stderr_has("rexray");
    }
    host.run(["volume", "create", "--driver", "rexray", "v"]).refuses().stderr_has("rexray");
    host.shell_with(&["--volume-driver", "local", "-v", "x:/x"], "true").success();
}

#[test]
fn a_volume_that_is_a_directory_of_the_host() {
    let host = Host::with_busybox();
    let data = host.directory("data");
    let device = format!("device={data}");
    let create = ["volume", "create", "-o", "type=none", "--opt", &device, "-o", "o=bind,noexec", "vol"];
    host.run(create).success().stdout_is("vol");
    assert_eq!(host.run(["volume", "inspect", "vol"]).json()[0]["Options"]["o"], "bind,noexec");
    host.shell_with(&["-v", "vol:/d"], "touch /d/x; grep -c ' /d .*nodev.*noexec' /proc/self/mountinfo")
        .success()
        .stdout_is("1");
    assert!(Path::new(&data).join("x").exists());
    host.shell_with(&["-v", "vol:/d:ro"], "touch /d/y").exits(1).stderr_has("Read-only");
    // What is below belongs to the host: it stays.
    host.run(["volume", "rm", "vol"]).success();
    assert!(Path::new(&data).join("x").exists());
    let gone = format!(
        "type=volume,source=gone,target=/d,volume-opt=type=none,volume-opt=o=bind,volume-opt=device={data}/gone"
    );
    host.run(["run", "--rm", "--mount", &gone, BUSYBOX, "true"]).fails(125).stderr_has("gone");
}

#[test]
fn a_volume_in_memory() {
    let host = Host::with_busybox();
    let options = ["-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,uid=1000"];
    host.run(["volume", "create"].iter().chain(&options).chain(&["vol"])).success();
    host.shell_with(&["-v", "vol:/d"], "df -k /d | tail -n 1 | awk '{print $2}'; stat -c %u /d; touch /d/x")
        .success()
        .stdout_is("1024\n1000");
    host.start(["--name", "one", "-v", "vol:/d", BUSYBOX, "sleep", "1000"]);
    host.run(["run", "--rm", "-v", "vol:/d", BUSYBOX, "true"])
        .fails(125)
        .stderr_has("in use")
        .stderr_has("one");
}

#[test]
fn options_of_volumes_that_make_no_sense() {
    let host = Host::new();
    let check = |options: &[&str], word: &str| {
        let flags = options.iter().flat_map(|option| ["-o", option]);
        host.run(["volume", "create"].into_iter().chain(flags).chain(["v"])).refuses().stderr_has(word);
    };
    check(&["tpye=tmpfs"], "did you mean `type`?");
    check(&["type=tmpfs"], "device");
    check(&["o=bind"], "device");
    check(&["type=none", "device=relative", "o=bind"], "absolute");
    check(&["size=10m"], "quotas");
    check(&["type"], "KEY=VALUE");
    host.run(["volume", "inspect", "v"]).refuses();
}

#[test]
fn an_image_s_files() {
    let host = Host::with_busybox();
    host.import(
        "tools",
        Tar::new().directory("bin", 0o755).file("bin/tool", 0o755, b"#!/bin/sh\necho tool\n").bytes(),
    );
    let mount = "type=image,source=tools,target=/opt";
    host.shell_with(&["--mount", mount], "cat /opt/bin/tool; touch /opt/x")
        .exits(1)
        .stdout_has("echo tool")
        .stderr_has("Read-only");
    let part = "type=image,source=tools,target=/opt/tools,image-subpath=bin";
    host.shell_with(&["--mount", part, "--userns", "host"], "ls /opt/tools").success().stdout_is("tool");
    host.run(["create", "--name", "holds", "--mount", part, BUSYBOX]).success();
    let inspected = host.inspect("holds");
    assert_eq!(inspected["Mounts"][0]["Type"], "image");
    assert_eq!(inspected["Mounts"][0]["Name"], "tools");
    assert_eq!(inspected["Mounts"][0]["RW"], false);
    // It stays as long as a container mounts it.
    host.run(["rmi", "tools"]).refuses().stderr_has("holds");
    host.run(["image", "prune", "--all", "--force"]).success();
    host.run(["start", "--attach", "holds"]).success();
    host.run(["cp", "holds:/opt/tools/tool", "-"]).success();
    host.run(["rm", "holds"]).success();
    host.run(["rmi", "tools"]).success();
    host.run(["run", "--rm", "--mount", mount, BUSYBOX, "true"])
        .fails(125)
        .stderr_has("no such image to mount: `tools`");
    host.run(["run", "--rm", "--mount", &format!("{mount},ro=false"), BUSYBOX, "true"]).fails(125);
}

#[test]
fn a_tmpfs_takes_the_words_of_mount() {
    let host = Host::with_busybox();
    let words = "rw,size=64k,mode=750,uid=1000,gid=1001,exec,nr_inodes=100";
    host.shell_with(
        &["--tmpfs", &format!("/t:{words}")],
        "stat -c '%a %u:%g' /t; grep ' /t ' /proc/self/mountinfo | grep -c noexec; cp /bin/busybox /t/x 2>/dev/null; true",
    )
    .success()
    .stdout_is("750 1000:1001\n0");
    host.shell_with(&["--tmpfs", "/t"], "grep ' /t ' /proc/self/mountinfo | grep -c 'nosuid,nodev,noexec'")
        .success()
        .stdout_is("1");
    host.shell_with(&["--tmpfs", "/t:ro"], "touch /t/x").exits(1).stderr_has("Read-only");
    let long = "type=tmpfs,target=/t,tmpfs-mode=700,tmpfs-size=128k,readonly";
    host.run(["create", "--name", "one", "--tmpfs", &format!("/s:{words}"), "--mount", long, BUSYBOX])
        .success();
    let inspected = host.inspect("one");
    assert_eq!(inspected["HostConfig"]["Tmpfs"]["/s"], words);
    assert_eq!(inspected["HostConfig"]["Mounts"][0]["TmpfsOptions"]["SizeBytes"], 128 << 10);
    assert_eq!(inspected["Mounts"].as_array().unwrap().len(), 1, "as in Docker only that of --mount");
}

#[test]
fn what_cannot_be_mounted_names_the_option() {
    let host = Host::with_busybox();
    let data = host.directory("data");
    let check = |flags: &[&str], word: &str| {
        let command = ["run", "--rm"].iter().chain(flags).chain(&[BUSYBOX, "true"]);
        host.run(command).fails(125).stderr_has(word);
    };
    check(&["--mount", "type=npipe,source=a,target=/x"], "npipe");
    check(&["--mount", "type=cluster,source=a,target=/x"], "swarm");
    check(&["--mount", "type=bind,souce=/a,target=/x"], "did you mean `source`?");
    check(&["--mount", "type=bind,source=/a,target=/x,bind-propagation=rsalve"], "did you mean `rslave`?");
    check(&["-v", "/a:/b:rsalve"], "did you mean `rslave`?");
    check(&["-v", "/a:/b:ro,rw"], "twice");
    check(&["-v", "/a:ro"], "options");
    check(&["-v", "~/a:/b"], "begins with `/` or `./`");
    check(&["--tmpfs", "/x:noexc"], "did you mean `noexec`?");
    check(&["--volumes-from", "nobody"], "nobody");
    check(&["--volumes-from", "x:nocopy"], "nocopy");
    check(&["--mount", "type=volume,target=/x,readonly"], "readonly");
    let (one, two) = (format!("{data}:/x"), format!("type=bind,source={data},target=/x/"));
    check(&["-v", &one, "--mount", &two], "duplicate mount point");
    check(&["-v", &one, "--tmpfs", "/x"], "duplicate mount point");
    check(&["-v", "a:/x", "-v", "b:/x"], "duplicate mount point");
    // The same twice, and a volume without a name, are no contradiction.
    host.shell_with(&["-v", &one, "-v", &one, "-v", "/x"], "grep -c ' /x ' /proc/self/mountinfo")
        .success()
        .stdout_is("1");
}

#[test]
fn inspect_tells_mounts_as_docker_does() {
    let host = Host::with_busybox();
    let data = host.directory("data");
    let bind = format!("{data}:/b:ro,z");
    let long = format!("type=bind,source={data},target=/m,bind-recursive=disabled,readonly");
    let flags = ["-v", &bind, "-v", "vol:/v", "-v", "/anon", "--mount", &long];
    host.run(["create", "--name", "one"].iter().chain(&flags).chain(&[BUSYBOX])).success();
    let inspected = host.inspect("one");
    let point = |target: &str| {
        let points = inspected["Mounts"].as_array().unwrap();
        points
            .iter()
            .find(|point| point["Destination"] == target)
            .unwrap_or_else(|| panic!("{target}"))
            .clone()
    };
    assert_eq!((&point("/b")["Mode"], &point("/b")["RW"]), (&"ro,z".into(), &false.into()));
    assert_eq!((&point("/v")["Mode"], &point("/v")["Name"]), (&"z".into(), &"vol".into()));
    assert_eq!((&point("/anon")["Mode"], &point("/anon")["Driver"]), (&"".into(), &"local".into()));
    assert_eq!((&point("/m")["Mode"], &point("/m")["Propagation"]), (&"".into(), &"rprivate".into()));
    let config = &inspected["HostConfig"];
    assert_eq!(config["Binds"], serde_json::json!([bind, "vol:/v"]));
    assert_eq!(config["Mounts"][0]["BindOptions"]["NonRecursive"], true);
    assert_eq!(inspected["Config"]["Volumes"], serde_json::json!({"/anon": {}}));
    let listed =
        |filter: &str| host.run(["ps", "--all", "--filter", filter, "--format", "{{.Names}}"]).text();
    for (filter, found) in
        [("volume=vol", "one"), ("volume=/v", "one"), ("volume=/anon", "one"), ("volume=/other", "")]
    {
        assert_eq!(listed(filter), found, "{filter}");
    }
}

/// Whoever has a container's directory may turn what is to be mounted on into a symlink.
#[test]
fn a_target_that_is_a_symlink_stays_inside() {
    let host = Host::with_busybox();
    let data = host.directory("data");
    let outside = host.directory("outside");
    let hostile = host.directory("hostile");
    symlink(&outside, format!("{hostile}/link")).unwrap();
    let (into, at) = (format!("{hostile}:/h"), format!("{data}:/h/link/new"));
    // Below the bind the symlink is followed inside of the container's root: there it is made.
    host.shell_with(&["-v", &into, "-v", &at], &format!("ls -d {outside}/new")).success();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "nothing was made on the host");
}
