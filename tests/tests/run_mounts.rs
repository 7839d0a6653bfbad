//! What is mounted into a container: directories and files of the host, volumes, tmpfs.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs;
use std::path::Path;

use corten_tests::{BUSYBOX, Host};

#[test]
fn a_directory_of_the_host_is_shared_both_ways() {
    let host = Host::with_busybox();
    let data = host.directory("data");
    fs::write(format!("{data}/in"), "from the host").unwrap();
    let volume = format!("{data}:/data");
    host.shell_with(&["-v", &volume], "cat /data/in; echo back > /data/out")
        .success()
        .stdout_is("from the host");
    assert_eq!(fs::read_to_string(format!("{data}/out")).unwrap(), "back\n");
}

#[test]
fn owners_are_the_same_on_both_sides_of_a_bind() {
    use std::os::unix::fs::MetadataExt;
    let host = Host::with_busybox();
    let data = host.directory("data");
    let script = "touch /data/root /data/app; chown 1000:1000 /data/app";
    host.shell_with(&["-v", &format!("{data}:/data")], script).success();
    let owner = |name: &str| fs::metadata(format!("{data}/{name}")).map(|m| (m.uid(), m.gid())).unwrap();
    assert_eq!(owner("root"), (0, 0));
    assert_eq!(owner("app"), (1000, 1000));
}

#[test]
fn read_only_means_all_of_it() {
    let host = Host::with_busybox();
    let data = host.directory("data");
    let (short, long) =
        (format!("{data}:/data:ro"), format!("type=bind,source={data},target=/data,readonly"));
    for flags in [["-v", short.as_str()], ["--mount", long.as_str()]] {
        host.shell_with(&flags, "touch /data/x").exits(1).stderr_has("Read-only file system");
    }
    assert!(!Path::new(&data).join("x").exists());
}

#[test]
fn a_mount_below_a_read_only_bind_is_read_only_too() {
    let host = Host::with_busybox();
    let data = host.directory("data/sub");
    let mounted = std::process::Command::new("mount").args(["-t", "tmpfs", "none", &data]).status().unwrap();
    assert!(mounted.success());
    let volume = format!("{}:/data:ro", host.path().join("data").display());
    let ran = host.shell_with(&["-v", &volume], "touch /data/sub/x");
    let unmounted = std::process::Command::new("umount").arg(&data).status().unwrap();
    ran.exits(1).stderr_has("Read-only file system");
    assert!(unmounted.success());
}

#[test]
fn a_single_file_is_mounted() {
    let host = Host::with_busybox();
    let file = host.file("motd", "hi\n");
    host.shell_with(&["-v", &format!("{file}:/etc/motd:ro")], "cat /etc/motd").success().stdout_is("hi");
}

#[test]
fn a_missing_source_is_made_by_v_and_refused_by_mount() {
    let host = Host::with_busybox();
    let missing = host.path().join("missing");
    let missing = missing.to_str().unwrap();
    let mount = format!("type=bind,source={missing},target=/data");
    host.run(["run", "--rm", "--mount", &mount, BUSYBOX, "true"]).fails(125).stderr_has(missing);
    assert!(!Path::new(missing).exists());
    host.shell_with(&["-v", &format!("{missing}:/data")], "touch /data/x").success();
    assert!(Path::new(missing).join("x").exists());
}

#[test]
fn a_source_that_is_read_only_is_read_only_inside() {
    let host = Host::with_busybox();
    let data = host.directory("data");
    let run =
        |args: &[&str]| assert!(std::process::Command::new("mount").args(args).status().unwrap().success());
    run(&["-t", "tmpfs", "-o", "ro", "none", &data]);
    let ran = host.shell_with(&["-v", &format!("{data}:/data")], "touch /data/x");
    assert!(std::process::Command::new("umount").arg(&data).status().unwrap().success());
    ran.exits(1).stderr_has("Read-only file system");
}

#[test]
fn a_tmpfs_has_its_options() {
    let host = Host::with_busybox();
    let ran = host.shell_with(
        &["--tmpfs", "/scratch:size=1m,mode=700"],
        "df -k /scratch | tail -n 1 | awk '{print $2}'; stat -c %a /scratch; touch /scratch/x",
    );
    ran.success().stdout_is("1024\n700");
    let long = host.shell_with(
        &["--mount", "type=tmpfs,target=/t,tmpfs-size=2m"],
        "df -k /t | tail -n 1 | awk '{print $2}'",
    );
    long.success().stdout_is("2048");
    host.shell_with(&["--tmpfs", "/t:size=64k"], "dd if=/dev/zero of=/t/x bs=200000 count=1")
        .exits(1)
        .stderr_has("No space");
}

#[test]
fn a_named_volume_is_made_filled_and_kept() {
    let host = Host::with_busybox();
    // What the image has there is copied at the first use.
    host.shell_with(&["-v", "conf:/etc"], "cat /etc/passwd | wc -l; echo mine > /etc/mine")
        .success()
        .stdout_is("4");
    host.shell_with(&["-v", "conf:/other"], "cat /other/mine").success().stdout_is("mine");
    host.run(["volume", "ls", "-q"]).success().stdout_is("conf");
    let uncopied = "type=volume,source=empty,target=/etc,volume-nocopy";
    let id = host.run(["run", "--rm", "--mount", uncopied, BUSYBOX, "ls", "/etc"]);
    id.success().stdout_lacks("passwd");
}

#[test]
fn an_anonymous_volume_goes_with_rm() {
    let host = Host::with_busybox();
    host.shell_with(&["-v", "/data"], "touch /data/x").success();
    host.run(["volume", "ls", "-q"]).success().stdout_is("");
    host.run(["run", "--name", "keeps", "-v", "/data", BUSYBOX, "true"]).success();
    assert_eq!(host.run(["volume", "ls", "-q"]).lines().len(), 1);
    host.run(["rm", "keeps"]).success();
    assert_eq!(host.run(["volume", "ls", "-q"]).lines().len(), 1, "only `rm -v` takes it along");
}

#[test]
fn an_image_s_volumes_are_mounted() {
    let host = Host::new();
    let import = ["import", "--change", "VOLUME /data", "-", "db"];
    host.call(import).stdin(corten_tests::busybox_files().bytes()).output().success();
    host.run(["run", "--name", "one", "db", "sh", "-c", "grep -c ' /data ' /proc/self/mountinfo"])
        .success()
        .stdout_is("1");
    assert_eq!(host.inspect("one")["Mounts"][0]["Destination"], "/data");
}

#[test]
fn senseless_mounts_are_refused() {
    let host = Host::with_busybox();
    let check = |flag: &str, value: &str, word: &str| {
        host.run(["run", "--rm", flag, value, BUSYBOX, "true"]).fails(125).stderr_has(word);
    };
    check("-v", "relative/path:/x", "relative/path");
    check("-v", "/a:relative", "relative");
    check("-v", "/a:/b:what", "what");
    check("-v", "/:/", "/");
    check("--mount", "type=bind,target=/x", "source");
    check("--mount", "type=nosuch,target=/x", "nosuch");
    check("--mount", "type=bind,source=/tmp,target=/x,bind-propagation=evil", "evil");
    check("--tmpfs", "relative", "relative");
    check("--tmpfs", "/x:size=lots", "lots");
}
