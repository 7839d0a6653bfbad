//! What a container changed: listed, made into an image, written out whole.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs;
use std::process::{Command, Stdio};

use corten_tests::{Account, BUSYBOX, Host, busybox_files, wait_until};
use rustix::process::{Pid, Signal, kill_process};

/// Changes of every kind, in a container called `one`.
const CHANGES: &str = "echo x > /new; mkdir -p /made/below; echo y > /made/below/file; rm /etc/group; \
    chmod 600 /etc/passwd; rm -rf /home/app; ln -s /new /link; ln /new /hard; touch /tmp/t";
const LISTED: &str = "C /etc\nD /etc/group\nC /etc/passwd\nA /hard\nC /home\nD /home/app\nA /link\nA /made\nA /made/below\n\
    A /made/below/file\nA /new\nC /tmp\nA /tmp/t";

fn with_changes(host: &Host) {
    host.run(["run", "--name", "one", BUSYBOX, "sh", "-c", CHANGES]).success();
}

fn names_in(tar: &[u8]) -> Vec<String> {
    let mut list = Command::new("tar")
        .args(["--numeric-owner", "-tvf", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = list.stdin.take().unwrap();
    let bytes = tar.to_vec();
    let feeder = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &bytes).unwrap());
    let output = list.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_diff_lists_what_docker_lists() {
    let host = Host::with_busybox();
    host.run(["create", "--name", "new", BUSYBOX, "true"]).success();
    host.run(["diff", "new"]).success().stdout_is("");
    with_changes(&host);
    host.run(["diff", "one"]).success().stdout_is(LISTED);
    host.start(["--name", "two", BUSYBOX, "sleep", "1000"]);
    host.run(["diff", "two"]).success().stdout_is("");
    host.run(["exec", "two", "sh", "-c", CHANGES]).success();
    host.run(["container", "diff", "two"]).success().stdout_is(LISTED);
    host.run(["diff", "nobody"]).refuses().stderr_has("nobody");
}

#[test]
fn a_diff_shows_nothing_that_a_start_made() {
    let host = Host::new();
    // An image that has none of the places that everything is mounted on.
    let busybox = fs::read("/usr/bin/busybox").or_else(|_| fs::read("/bin/busybox")).unwrap();
    let tar = corten_tests::tar::Tar::new().file("busybox", 0o755, &busybox);
    host.import("bare", tar.bytes());
    host.run(["run", "--name", "one", "-v", "data:/data", "bare", "/busybox", "true"]).success();
    // The place for a volume is the container's, as with Docker.
    host.run(["diff", "one"]).success().stdout_is("A /data");
    host.run(["commit", "one", "again"]).success();
    let exported = {
        host.run(["create", "--name", "two", "again", "/busybox", "true"]).success();
        host.run(["export", "two"]).success().stdout.clone()
    };
    let names = names_in(&exported).join("\n");
    assert!(names.contains("data/") && names.contains("etc/hosts"), "{names}");
}

#[test]
fn a_commit_is_an_image_with_the_changes() {
    let host = Host::with_busybox();
    with_changes(&host);
    let committed = host.run([
        "commit",
        "--author",
        "A B",
        "-m",
        "because",
        "-c",
        "ENV X=1",
        "--change",
        "CMD [\"cat\", \"/made/below/file\"]",
        "one",
        "made:1",
    ]);
    let id = committed.success().text();
    assert!(id.starts_with("sha256:"), "{id}");
    host.run(["run", "--rm", "made:1"]).success().stdout_is("y");
    let look = "cat /link; stat -c '%a %h' /etc/passwd /hard; ls /etc /home; echo $X";
    let shown = host.run(["run", "--rm", "made:1", "sh", "-c", look]);
    shown
        .success()
        .stdout_has("x\n600 1\n644 2\n")
        .stdout_lacks("group")
        .stdout_lacks("app")
        .stdout_has("\n1");
    let image = host.inspect("made:1");
    assert_eq!(image["Id"].as_str(), Some(id.as_str()));
    assert_eq!(image["Author"], "A B");
    assert_eq!(image["Comment"], "because");
    assert_eq!(image["RootFS"]["Layers"].as_array().unwrap().len(), 2);
    assert_eq!(image["Config"]["Env"], serde_json::json!(["X=1"]));
    // Once more, without a name, and what is typed of a container goes along.
    host.run(["run", "--name", "two", "-e", "Y=2", "-w", "/made", "made:1", "true"]).success();
    let id = host.run(["container", "commit", "two"]).success().text();
    let config = host.inspect(&id)["Config"].clone();
    assert_eq!(config["Env"], serde_json::json!(["X=1", "Y=2"]));
    assert_eq!(config["WorkingDir"], "/made");
    assert_eq!(config["Cmd"], serde_json::json!(["true"]));
    host.run(["rm", "one", "two"]).success();
    host.run(["run", "--rm", "made:1"]).success().stdout_is("y");
    host.run(["rmi", &id, "made:1"]).success();
    host.is_clean();
}

#[test]
fn a_commit_that_can_not_be_is_refused() {
    let host = Host::with_busybox();
    with_changes(&host);
    host.run(["commit", "-c", "RUN x", "one"]).refuses().stderr_has("RUN x");
    host.run(["commit", "nobody"]).refuses().stderr_has("nobody");
    host.run(["commit", "--pause", "--no-pause", "one"]).refuses();
    host.run(["run", "--name", "odd", BUSYBOX, "touch", "/.wh.x"]).success();
    host.run(["commit", "odd"]).refuses().stderr_has(".wh.x");
    host.is_clean();
    // One that never ran adds an empty layer.
    host.run(["create", "--name", "new", BUSYBOX, "true"]).success();
    host.run(["commit", "new", "empty"]).success();
    host.run(["run", "--rm", "empty", "cat", "/etc/group"]).success();
}

#[test]
fn the_same_changes_are_the_same_layer() {
    let host = Host::with_busybox();
    let script = "mkdir /d; echo 2 > /d/b; echo 1 > /d/a; rm /etc/group; touch -d @1000 /d/* /d /etc";
    let layer = |name: &str| {
        host.run(["run", "--name", name, BUSYBOX, "sh", "-c", script]).success();
        let id = host.run(["commit", name]).success().text();
        host.inspect(&id)["RootFS"]["Layers"][1].clone()
    };
    assert_eq!(layer("one"), layer("two"));
}

/// Whether the container's processes stand still.
fn is_frozen(host: &Host, name: &str) -> bool {
    let groups = corten_tests::groups_of(&[host.inspect(name)["Id"].as_str().unwrap().to_owned()]);
    let read = |path: std::path::PathBuf| fs::read_to_string(path).unwrap_or_default();
    groups.iter().any(|group| {
        read(group.join("freezer.state")).trim() == "FROZEN"
            || read(group.join("payload/cgroup.events")).contains("frozen 1")
    })
}

#[test]
fn a_running_container_stands_still_meanwhile() {
    let host = Host::with_busybox();
    host.start(["--name", "one", BUSYBOX, "sh", "-c", "echo x > /x; echo ready; exec sleep 1000"]);
    host.wait_logs("one", "ready");
    let commit = host.call(["commit", "one", "made"]).env("CORTEN_STOP_AT", "commit.paused").spawn();
    wait_until("it is frozen", || is_frozen(&host, "one").then_some(()));
    host.run(["exec", "one", "true"]).fails(125).stderr_has("paused");
    // It is no state of the container.
    assert_eq!(host.status("one"), "running");
    wait_until("the command has stopped itself", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", commit.pid())).unwrap();
        stat.rsplit(')').next().unwrap().trim_start().starts_with('T').then_some(())
    });
    kill_process(Pid::from_raw(commit.pid() as i32).unwrap(), Signal::CONT).unwrap();
    commit.finish().success();
    host.run(["exec", "one", "true"]).success();
    assert!(!is_frozen(&host, "one"));
    host.run(["run", "--rm", "made", "cat", "/x"]).success().stdout_is("x");
    // Killed in the middle, it lets go too.
    let commit = host.call(["commit", "one"]).env("CORTEN_STOP_AT", "commit.paused").spawn();
    wait_until("it is frozen", || is_frozen(&host, "one").then_some(()));
    kill_process(Pid::from_raw(commit.pid() as i32).unwrap(), Signal::KILL).unwrap();
    let _ = commit.finish();
    wait_until("it goes on", || (!is_frozen(&host, "one")).then_some(()));
    host.run(["commit", "--no-pause", "one"]).success();
    // What is held can be ended.
    let commit = host.call(["commit", "one"]).env("CORTEN_STOP_AT", "commit.paused").spawn();
    wait_until("it is frozen", || is_frozen(&host, "one").then_some(()));
    host.run(["rm", "--force", "one"]).success();
    // Of what is gone by then no image is made.
    kill_process(Pid::from_raw(commit.pid() as i32).unwrap(), Signal::CONT).unwrap();
    commit.finish().refuses();
}

#[test]
fn a_hold_does_not_outlive_a_killed_keeper() {
    let host = Host::with_busybox();
    host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    let commit = host.call(["commit", "one", "made"]).env("CORTEN_STOP_AT", "commit.paused").spawn();
    wait_until("it is frozen", || is_frozen(&host, "one").then_some(()));
    let signal = |pid: u32, signal| kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
    signal(host.keeper("one"), Signal::KILL);
    signal(commit.pid(), Signal::CONT);
    commit.finish().success();
    // The next command gives it a new keeper, which lets go of what nobody holds.
    host.run(["exec", "one", "true"]).success();
    assert!(!is_frozen(&host, "one"));
    host.run(["run", "--rm", "made", "true"]).success();
}

#[test]
fn an_export_is_the_whole_file_system_and_nothing_mounted() {
    let host = Host::with_busybox();
    let dir = host.directory("bound");
    fs::write(format!("{dir}/secret"), "").unwrap();
    let bind = format!("{dir}:/tmp/bound");
    let words = ["run", "--name", "one", "-v", "data:/home", "-v", &bind, BUSYBOX, "sh", "-c"];
    let script = "echo x > /new; echo y > /home/volume; ln /new /hard; chown 7:8 /new; rm /etc/group";
    host.run(words.iter().copied().chain([script])).success();
    let stopped = host.run(["export", "one"]).success().stdout.clone();
    let names = names_in(&stopped).join("\n");
    for there in
        ["7/8", " new", "new link to hard", "bin/busybox", "proc/", "etc/hosts", "home/app/", "tmp/bound/"]
    {
        assert!(names.contains(there), "{there}: {names}");
    }
    for not in ["secret", "volume", "etc/group", "proc/self"] {
        assert!(!names.contains(not), "{not}: {names}");
    }
    assert_eq!(stopped, host.run(["container", "export", "one"]).success().stdout);
    // Running, it is the same, but for the time at which its mount points were used.
    host.start(["--name", "two", "-v", "data:/home", BUSYBOX, "sh", "-c", "echo x > /new; sleep 1000"]);
    wait_until("it has written", || {
        host.run(["exec", "two", "cat", "/new"]).text().contains('x').then_some(())
    });
    let file = host.path().join("two.tar");
    host.run(["export", "-o", file.to_str().unwrap(), "two"]).success().stdout_is("");
    let running = fs::read(&file).unwrap();
    let names = names_in(&running).join("\n");
    assert!(names.contains(" new") && names.contains("home/app/") && names.contains("0/0"), "{names}");
    assert!(!names.contains("volume") && !names.contains("proc/1/"), "{names}");
    host.call(["import", "-", "again"]).stdin(running).output().success();
    host.run(["run", "--rm", "again", "cat", "/new"]).success().stdout_is("x");
    host.run(["export", "-o", "/no/such/file", "one"]).refuses().stderr_has("/no/such/file");
    let mut terminal = host.call(["export", "one"]).terminal();
    terminal.finish().unsuccessful();
    assert_eq!(
        fs::read_dir(host.path())
            .unwrap()
            .flatten()
            .filter(|e| e.file_name().to_string_lossy().contains(".tmp-"))
            .count(),
        0
    );
}

#[test]
fn rootless_diff_commit_and_export() {
    let account = Account::with_subordinate_ids();
    let host = Host::of(&account);
    host.import("ids", busybox_files().file_of("data", 0o640, b"x", 1000, 50).bytes());
    let script = format!("{CHANGES}; chown 7:8 /new; rm /data");
    host.run(["run", "--name", "one", "ids", "sh", "-c", &script]).success();
    let listed = host.run(["diff", "one"]).success().text();
    assert_eq!(listed, LISTED.replace("C /etc\n", "D /data\nC /etc\n"));
    host.run(["commit", "-m", "m", "one", "made"]).success();
    let look = "stat -c '%u %g %h' /new; ls / /etc";
    let shown = host.run(["run", "--rm", "made", "sh", "-c", look]);
    shown.success().stdout_has("7 8 2\n").stdout_lacks("group").stdout_lacks("data");
    let exported = host.run(["export", "one"]).success().stdout.clone();
    let names = names_in(&exported).join("\n");
    assert!(names.contains("7/8") && !names.contains("etc/group"), "{names}");
    host.start(["--name", "two", "ids", "sh", "-c", "echo x > /new; sleep 1000"]);
    wait_until("it has written", || {
        host.run(["exec", "two", "cat", "/new"]).text().contains('x').then_some(())
    });
    let names = names_in(&host.run(["export", "two"]).success().stdout).join("\n");
    assert!(names.contains(" new") && names.contains("1000/50"), "{names}");
    host.run(["commit", "two", "two"]).success();
    host.is_clean();
}
