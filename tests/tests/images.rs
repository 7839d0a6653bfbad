//! Images: import, images, rmi.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::io::Write;
use std::process::{Command, Stdio};

use corten_tests::tar::Tar;
use corten_tests::{BUSYBOX, Host, busybox_files};

#[test]
fn an_import_is_listed_with_its_size() {
    let host = Host::with_busybox();
    let list = host.run(["images"]);
    list.success().stdout_has("REPOSITORY").stdout_has("IMAGE ID").stdout_has(BUSYBOX).stdout_has("latest");
    let id = host.run(["images", "-q"]).text();
    assert_eq!(id.len(), 12);
    let long = host.run(["images", "-q", "--no-trunc"]).text();
    assert!(long.starts_with("sha256:") && long.contains(&id), "{long}");
    assert_eq!(host.inspect(BUSYBOX)["Id"], long.as_str());
}

#[test]
fn import_prints_the_id_and_takes_files_and_pipes() {
    let host = Host::new();
    let tar = host.path().join("image.tar");
    std::fs::write(&tar, busybox_files().bytes()).unwrap();
    let from_file = host.run(["import", tar.to_str().unwrap(), "file:1"]);
    from_file.success().check(from_file.text().starts_with("sha256:"), "that is no id");
    host.run(["run", "--rm", "file:1", "true"]).success();
    let from_pipe = host.call(["import", "-", "pipe:1"]).stdin(busybox_files().bytes()).output();
    from_pipe.success();
    let nameless = host.run(["import", tar.to_str().unwrap()]);
    nameless.success();
    host.run(["run", "--rm", &nameless.text(), "true"]).success();
}

#[test]
fn a_compressed_archive_is_recognised() {
    let host = Host::new();
    for (tool, fast) in [("gzip", "-1c"), ("zstd", "-1qc"), ("xz", "-0c"), ("bzip2", "-1c")] {
        let mut child =
            Command::new(tool).arg(fast).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || stdin.write_all(&busybox_files().bytes()).unwrap());
        let packed = child.wait_with_output().unwrap().stdout;
        writer.join().unwrap();
        host.import(&format!("{tool}:packed"), packed);
        host.run(["run", "--rm", &format!("{tool}:packed"), "echo", "hi"]).success().stdout_is("hi");
    }
}

#[test]
fn broken_archives_are_refused_and_leave_nothing() {
    let host = Host::new();
    let whole = busybox_files().bytes();
    let check = |name: &str, tar: &[u8]| {
        host.call(["import", "-", name]).stdin(tar).output().refuses();
        host.run(["images", "-q"]).success().stdout_is("");
        host.is_clean();
    };
    check("garbage", &[b'x'; 2000]);
    check("cut", &whole[..whole.len() / 2]);
    check("cut-gzip", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3]);
    host.run(["import", "/no/such/file", "x"]).refuses().stderr_has("/no/such/file");
}

#[test]
fn changes_are_applied() {
    let host = Host::new();
    let import = [
        "import",
        "-c",
        "ENV A=1 B=2",
        "-c",
        "LABEL tier=web",
        "-c",
        "EXPOSE 80/tcp",
        "-c",
        "STOPSIGNAL USR1",
    ];
    let import = import.into_iter().chain(["-c", "CMD echo $A", "--message", "made here", "-", "app"]);
    host.call(import).stdin(busybox_files().bytes()).output().success();
    let config = &host.inspect("app")["Config"];
    assert_eq!(config["Labels"]["tier"], "web");
    assert_eq!(config["StopSignal"], "USR1");
    assert!(config["ExposedPorts"]["80/tcp"].is_object());
    host.run(["run", "--rm", "app"]).success().stdout_is("1");
    let wrong = host.call(["import", "-c", "RUN true", "-", "x"]).stdin(busybox_files().bytes()).output();
    wrong.refuses().stderr_has("RUN");
}

#[test]
fn owners_modes_links_and_times_are_those_of_the_archive() {
    let host = Host::new();
    let tar = busybox_files()
        .file_of("data", 0o640, b"x", 1000, 50)
        .hard_link("data2", "data")
        .file("suid", 0o4755, b"x")
        .symlink("link", "data");
    host.import("files", tar.bytes());
    let ran = host.run([
        "run",
        "--rm",
        "files",
        "stat",
        "-c",
        "%n %a %u %g %h %Y",
        "/data",
        "/data2",
        "/suid",
        "/link",
    ]);
    let expected =
        "/data 640 1000 50 2 1700000000\n/data2 640 1000 50 2 1700000000\n/suid 4755 0 0 1 1700000000";
    ran.success().stdout_has(expected).stdout_has("/link 777 0 0 1");
}

#[test]
fn an_image_of_big_ids_runs() {
    let host = Host::new();
    host.import("big", busybox_files().file_of("far", 0o644, b"x", 3_000_000, 3_000_000).bytes());
    host.run(["run", "--rm", "big", "stat", "-c", "%u %g", "/far"]).success().stdout_is("3000000 3000000");
}

#[test]
fn rmi_takes_names_and_images() {
    let host = Host::with_busybox();
    host.import("other:2", busybox_files().file("x", 0o644, b"x").bytes());
    let removed = host.run(["rmi", "other:2"]);
    removed.success().stdout_has("Untagged: other:2").stdout_has("Deleted: sha256:");
    host.run(["images", "-q"]).success().stdout_lacks("other");
    host.run(["rmi", "nobody"]).refuses().stderr_has("nobody");
    host.run(["run", "--rm", BUSYBOX, "true"]).success();
    host.is_clean();
}

#[test]
fn an_image_in_use_stays() {
    let host = Host::with_busybox();
    host.run(["create", "--name", "one", BUSYBOX, "true"]).success();
    host.run(["rmi", BUSYBOX]).refuses().stderr_has("one");
    host.run(["start", "-a", "one"]).success();
    host.run(["rm", "one"]).success();
    host.run(["rmi", BUSYBOX]).success();
    host.run(["images", "-q"]).success().stdout_is("");
    assert_eq!(
        std::fs::read_dir(host.data_root().join("layers")).unwrap().count(),
        0,
        "its layer is gone too"
    );
}

#[test]
fn the_same_files_are_stored_once() {
    let host = Host::with_busybox();
    host.import("again", busybox_files().bytes());
    assert_eq!(std::fs::read_dir(host.data_root().join("layers")).unwrap().count(), 1);
    host.run(["rmi", "again"]).success();
    host.run(["run", "--rm", BUSYBOX, "true"]).success();
}

#[test]
fn an_empty_image_is_one() {
    let host = Host::new();
    host.import("empty", Tar::new().bytes());
    host.run(["run", "--rm", "empty", "/anything"]).fails(127).stderr_has("/anything");
}

#[test]
fn names_follow_docker_s_grammar() {
    let host = Host::new();
    host.import("registry.example:5000/team/app:v1.2", busybox_files().bytes());
    host.run(["run", "--rm", "registry.example:5000/team/app:v1.2", "true"]).success();
    for bad in ["UPPER", "a b", "x:", "a//b", ":tag", "-x"] {
        let refused = host.call(["import", "--", "-", bad]).stdin(Tar::new().bytes()).output();
        refused.check(refused.code != 0, "it was taken");
    }
}

#[test]
fn a_tag_is_another_name() {
    let host = Host::with_busybox();
    host.run(["tag", BUSYBOX, "me/box:1"]).success().stdout_is("");
    host.run(["image", "tag", "me/box:1", "localhost:5000/box"]).success();
    assert_eq!(host.inspect("localhost:5000/box")["Id"], host.inspect(BUSYBOX)["Id"]);
    let tags = host.inspect(BUSYBOX)["RepoTags"].clone();
    assert_eq!(tags, serde_json::json!(["busybox:latest", "me/box:1", "localhost:5000/box:latest"]));
    let digest = host.inspect(BUSYBOX)["RepoDigests"][0].as_str().unwrap().to_owned();
    host.run(["run", "--rm", &digest, "true"]).success();
    host.run(["tag", "nothing", "x"]).refuses().stderr_has("no such image");
    host.run(["tag", BUSYBOX, "UPPER"]).refuses();
    host.run(["tag", BUSYBOX, "hello"]).refuses();
    host.run(["rmi", BUSYBOX]).success().stdout_is("Untagged: busybox:latest");
    host.run(["run", "--rm", "me/box:1", "true"]).success();
}

#[test]
fn an_image_goes_with_its_last_name() {
    let host = Host::with_busybox();
    let id = host.inspect(BUSYBOX)["Id"].as_str().unwrap().to_owned();
    host.run(["tag", BUSYBOX, "second"]).success();
    host.run(["rmi", &id]).refuses().stderr_has("several names");
    host.run(["run", "--name", "user", BUSYBOX, "true"]).success();
    host.run(["image", "rm", "-f", &id])
        .success()
        .stdout_has("Untagged: busybox")
        .stdout_has("Untagged: second");
    host.run(["images", "-q"]).success().stdout_is("");
    host.run(["images", "-aq"]).success().stdout_is(&id[7..19]);
    host.run(["start", "user"]).success();
    host.run(["rmi", &id]).refuses().stderr_has("in use");
    host.run(["rm", "-f", "user"]).success();
    let removed = host.run(["rmi", "--no-prune", &id]);
    removed
        .success()
        .stdout_has(&format!("Deleted: {id}"))
        .check(removed.lines().len() == 2, "its layer is told");
    host.is_clean();
}

#[test]
fn names_and_their_platforms_are_a_tree() {
    let host = Host::with_busybox();
    host.call(["import", "-c", "ENV A=1", "-"]).stdin(busybox_files().bytes()).output().success();
    let tree = host.run(["images", "--tree"]);
    tree.success().stdout_has("DISK USAGE").stdout_has("busybox:latest").stdout_has("└─ linux/");
    assert_eq!(tree.lines().len(), 3);
    host.run(["images", "--tree", "-a"]).success().stdout_has("<untagged>");
    host.run(["images", "--tree", "-q"]).refuses();
}

#[test]
fn a_history_has_a_line_for_each_step() {
    let host = Host::with_busybox();
    let table = host.run(["history", BUSYBOX]);
    table.success().stdout_has("IMAGE").stdout_has("CREATED BY").stdout_has("Imported from -");
    let id = host.inspect(BUSYBOX)["Id"].as_str().unwrap().to_owned();
    host.run(["image", "history", "-q", "--no-trunc", BUSYBOX]).success().stdout_is(&id);
    let sizes = host.run(["history", "-H=false", "--format", "{{.Size}} {{.CreatedSince}}", BUSYBOX]);
    let (size, created) =
        sizes.success().text().split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(host.inspect(BUSYBOX)["Size"].to_string(), size);
    assert!(created.contains('T'), "{created}");
    host.run(["history", "nothing"]).refuses();
}

#[test]
fn an_import_for_another_machine() {
    let host = Host::new();
    let import = ["import", "--platform", "linux/arm/v6", "-", "pi"];
    host.call(import).stdin(busybox_files().bytes()).output().success();
    let found = host.inspect("pi");
    assert_eq!(
        (&found["Architecture"], &found["Variant"], &found["Os"]),
        (&"arm".into(), &"v6".into(), &"linux".into())
    );
    host.run(["image", "inspect", "--platform", "linux/arm/v6", "pi"]).success();
    host.run(["image", "inspect", "--platform", "linux/arm/v7", "pi"]).refuses().stderr_has("linux/arm/v7");
    host.run(["import", "https://example.com/x.tar"]).refuses().stderr_has("not supported");
}
