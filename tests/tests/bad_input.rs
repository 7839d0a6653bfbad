//! What goes wrong on purpose: each mistake has its own sentence, and leaves nothing behind.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::{BUSYBOX, Host};

#[test]
fn an_unknown_image_is_named() {
    let host = Host::new();
    host.run(["run", "--rm", "--pull=never", "nothing-here", "true"])
        .fails(125)
        .stderr_has("nothing-here")
        .stderr_has("hint: ");
    host.run(["create", "--pull=never", "nothing-here:9"]).fails(125).stderr_has("nothing-here:9");
    host.run(["ps", "-aq"]).success().stdout_is("");
}

#[test]
fn an_image_name_that_is_none() {
    let host = Host::new();
    for bad in ["UPPER", "a b", "-x", "", "a:b:c", "../x"] {
        host.run(["run", "--rm", bad, "true"]).fails(125);
    }
}

#[test]
fn a_script_without_its_interpreter_says_so() {
    let host = Host::new();
    let tar = corten_tests::busybox_files()
        .file("script", 0o755, b"#!/no/such/interpreter\n")
        .file("text", 0o755, b"just words\n")
        .file("cut", 0o755, b"\x7fELF\x02\x01\x01");
    host.import("odd", tar.bytes());
    host.run(["run", "--rm", "odd", "/script"]).unsuccessful().stderr_has("/script").stderr_has("error: ");
    host.run(["run", "--rm", "odd", "/text"]).fails(126).stderr_has("/text");
    host.run(["run", "--rm", "odd", "/cut"]).unsuccessful().stderr_has("/cut");
}

#[test]
fn a_name_in_use_names_who_has_it() {
    let host = Host::with_busybox();
    let id = host.run(["create", "--name", "web", BUSYBOX]).text();
    let refused = host.run(["run", "--name", "web", BUSYBOX, "true"]);
    refused.fails(125).stderr_has("web").stderr_has(&id[..12]);
}

#[test]
fn flags_that_exclude_each_other() {
    let host = Host::with_busybox();
    let check = |flags: &[&str]| {
        host.run(["run"].iter().chain(flags).chain(&[BUSYBOX, "true"])).fails(125);
    };
    check(&["--network", "host", "--network", "none"]);
    check(&["--privileged", "--userns", "auto"]);
    check(&["--cap-add"]);
}

#[test]
fn a_disk_that_is_full_is_said_and_survived() {
    let host = Host::new();
    let data = host.data_root().display().to_string();
    std::fs::create_dir(&data).unwrap();
    let mount =
        std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none", &data]).status();
    assert!(mount.unwrap().success());
    let refused = host.call(["import", "-", "big"]).stdin(corten_tests::busybox_files().bytes()).output();
    let listed = host.run(["images", "-q"]);
    let umount = std::process::Command::new("umount").arg(&data).status();
    refused.refuses().stderr_has("ENOSPC");
    listed.success().stdout_is("");
    assert!(umount.unwrap().success(), "nothing holds the store");
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let host = Host::with_busybox();
    let version = host.data_root().join("version");
    let old = std::fs::read_to_string(&version).expect("a store says its version");
    let digits: String = old.chars().filter(char::is_ascii_digit).collect();
    std::fs::write(&version, old.replace(&digits, "9999")).unwrap();
    let refused = host.run(["run", "--rm", BUSYBOX, "true"]);
    host.run(["images"]).refuses();
    std::fs::write(&version, old).unwrap();
    refused.fails(125).stderr_has("9999").stderr_has("newer");
    host.run(["run", "--rm", BUSYBOX, "true"]).success();
}

#[test]
fn a_root_that_is_no_directory() {
    let host = Host::new();
    let file = host.file("store", "x");
    host.run(["images"]).refuses().stderr_has(&file);
    host.call(["run", "--rm", "hello"]).env("CORTEN_ROOT", "/proc/nothing/here").output().fails(125);
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_damaged_database_is_said() {
    let host = Host::with_busybox();
    let files = ["corten.db", "corten.db-wal", "corten.db-shm"].map(|name| host.data_root().join(name));
    let whole: Vec<_> = files.iter().map(std::fs::read).collect();
    for file in &files[1..] {
        let _ = std::fs::remove_file(file);
    }
    std::fs::write(&files[0], vec![b'x'; 8192]).unwrap();
    host.run(["ps"]).refuses().stderr_has("corten.db");
    for (file, content) in files.iter().zip(whole) {
        let _ = content.map(|content| std::fs::write(file, content).unwrap());
    }
    host.run(["run", "--rm", BUSYBOX, "true"]).success();
}

#[test]
fn long_values_are_taken_or_refused_but_never_cut() {
    let host = Host::with_busybox();
    let long = "x".repeat(100_000);
    let ran = host.run(["run", "--rm", "-e", &format!("LONG={long}"), BUSYBOX, "sh", "-c", "echo ${#LONG}"]);
    ran.success().stdout_is("100000");
    host.run(["run", "--rm", "--hostname", &"h".repeat(65), BUSYBOX, "true"])
        .fails(125)
        .stderr_has("hostname");
    host.run(["create", "--name", &"n".repeat(300), BUSYBOX]).fails(125);
    let many: Vec<String> = (0..2000).map(|n| format!("argument-{n}")).collect();
    let words =
        ["run", "--rm", BUSYBOX, "sh", "-c", "echo $#", "sh"].map(str::to_owned).into_iter().chain(many);
    host.run(words).success().stdout_is("2000");
}
