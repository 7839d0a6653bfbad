//! What we save, others read; what others write, we load: docker, podman, skopeo and umoci.
//!
//! The images have two layers, so that order and chain ids matter, and a file that the upper one removes.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs;
use std::path::Path;

use corten_tests::{Host, Peers, busybox_files};

/// What the image's command prints, if both layers are right.
const SAID: &str = "upper\ngone";
const COMMAND: &str = r#"CMD ["sh","-c","cat /extra; test -e /below || echo gone"]"#;

/// The lower layer, where they see it.
fn base(peers: &Peers) {
    let tar = busybox_files().file("extra", 0o644, b"lower\n").file("below", 0o644, b"x").bytes();
    fs::write(peers.share().join("base.tar"), tar).unwrap();
    fs::write(peers.share().join("extra"), "upper\n").unwrap();
}

/// Loads an archive or a directory of theirs, and runs what is in it.
#[track_caller]
fn loads(host: &Host, path: &Path, name: &str) -> String {
    host.run(["load", "--input", path.to_str().unwrap()]).success().stdout_has(name);
    host.run(["run", "--rm", name]).success().stdout_is(SAID);
    host.inspect(name)["Id"].as_str().unwrap().to_owned()
}

/// Saves an image into the directory that they see.
#[track_caller]
fn saves(host: &Host, peers: &Peers, name: &str, format: &str, file: &str) {
    let path = peers.share().join(file);
    host.run(["save", "--format", format, "--output", path.to_str().unwrap(), name]).success();
}

/// Saved, loaded elsewhere and saved again, it is the same byte for byte.
#[track_caller]
fn comes_back_the_same(host: &Host, peers: &Peers, name: &str, format: &str) {
    saves(host, peers, name, format, "first.tar");
    let other = Host::new();
    let first = peers.share().join("first.tar");
    other.run(["load", "--input", first.to_str().unwrap()]).success();
    saves(&other, peers, name, format, "second.tar");
    let same = fs::read(&first).unwrap() == fs::read(peers.share().join("second.tar")).unwrap();
    assert!(same, "{format}: the second archive differs");
    other.run(["run", "--rm", name]).success().stdout_is(SAID);
}

#[test]
fn docker_reads_what_we_save_and_we_load_what_it_saves() {
    let peers = Peers::new().with_docker();
    let host = Host::new();
    base(&peers);
    peers.run(&["docker", "import", "/share/base.tar", "base:1"]);
    peers.run(&["docker", "create", "--name", "made", "base:1", "/bin/true"]);
    peers.run(&["docker", "cp", "/share/extra", "made:/extra"]);
    peers.run(&["docker", "commit", "--change", COMMAND, "made", "half:1"]);
    peers.run(&["docker", "save", "--output", "/share/docker.tar", "half:1"]);
    host.run(["load", "--input", peers.share().join("docker.tar").to_str().unwrap()]).success();
    host.run(["run", "--rm", "half:1"]).success().stdout_is("upper");
    let id = host.inspect("half:1")["Id"].as_str().unwrap().to_owned();
    assert_eq!(peers.run(&["docker", "image", "inspect", "--format", "{{.Id}}", "half:1"]), id);
    // A pure OCI archive is nothing to a docker whose images aren't containerd's.
    for format in ["docker", "docker-archive"] {
        saves(&host, &peers, "half:1", format, "ours.tar");
        peers.run(&["docker", "rmi", "--force", "half:1"]);
        peers.run(&["docker", "load", "--input", "/share/ours.tar"]);
        assert_eq!(
            peers.run(&["docker", "image", "inspect", "--format", "{{.Id}}", "half:1"]),
            id,
            "{format}"
        );
    }
}

#[test]
fn podman_reads_what_we_save_and_we_load_what_it_saves() {
    let peers = Peers::new();
    let host = Host::new();
    base(&peers);
    let name = "localhost/two:1";
    peers.run(&["podman", "import", "/share/base.tar", "localhost/base:1"]);
    let container = peers.run(&["buildah", "from", "--pull-never", "localhost/base:1"]);
    let place = peers.run(&["buildah", "mount", &container]);
    peers.run(&["sh", "-ec", &format!("rm {place}/below; cp /share/extra {place}/extra")]);
    let command = r#"["sh","-c","cat /extra; test -e /below || echo gone"]"#;
    peers.run(&["buildah", "config", "--cmd", command, &container]);
    peers.run(&["buildah", "commit", "--rm", &container, name]);
    for (format, file) in
        [("docker-archive", "podman.tar"), ("oci-archive", "podman-oci.tar"), ("oci-dir", "podman-dir")]
    {
        peers.run(&[
            "podman",
            "save",
            "--quiet",
            "--format",
            format,
            "--output",
            &format!("/share/{file}"),
            name,
        ]);
        let host = Host::new();
        loads(&host, &peers.share().join(file), name);
    }
    let id = loads(&host, &peers.share().join("podman-oci.tar"), name);
    for format in ["docker", "docker-archive", "oci-archive"] {
        saves(&host, &peers, name, format, "ours.tar");
        peers.run(&["podman", "rmi", "--force", name]);
        peers.run(&["podman", "load", "--quiet", "--input", "/share/ours.tar"]);
        let found = peers.run(&["podman", "image", "inspect", "--format", "{{.Id}}", name]);
        assert_eq!(format!("sha256:{found}"), id, "{format}");
        comes_back_the_same(&host, &peers, name, format);
    }
}

#[test]
fn skopeo_and_umoci_read_what_we_save_and_we_load_what_they_write() {
    let peers = Peers::new();
    let host = Host::new();
    base(&peers);
    host.run(["import", "--change", COMMAND, peers.share().join("base.tar").to_str().unwrap(), "two:1"])
        .success();
    saves(&host, &peers, "two:1", "oci-archive", "ours.tar");
    peers.run(&["skopeo", "inspect", "oci-archive:/share/ours.tar"]);
    peers.run(&["skopeo", "copy", "oci-archive:/share/ours.tar", "oci:/share/layout:two"]);
    // A second layer, by another hand.
    peers.run(&["umoci", "unpack", "--image", "/share/layout:two", "/share/bundle"]);
    peers.run(&["sh", "-ec", "cd /share/bundle/rootfs; rm below; cp /share/extra extra"]);
    peers.run(&["umoci", "repack", "--image", "/share/layout:two", "/share/bundle"]);
    for compression in ["gzip", "zstd"] {
        let to = format!("oci-archive:/share/{compression}.tar:two:1");
        let format = ["--dest-compress-format", compression];
        peers.run(&["skopeo", "copy", "--dest-compress", format[0], format[1], "oci:/share/layout:two", &to]);
        loads(&Host::new(), &peers.share().join(format!("{compression}.tar")), "two:1");
    }
    let id = loads(&host, &peers.share().join("gzip.tar"), "two:1");
    for format in ["docker", "docker-archive", "oci-archive"] {
        saves(&host, &peers, "two:1", format, "ours.tar");
        let scheme = if format == "oci-archive" { "oci-archive" } else { "docker-archive" };
        let _ = fs::remove_dir_all(peers.share().join("copy"));
        peers.run(&["skopeo", "copy", &format!("{scheme}:/share/ours.tar"), "oci:/share/copy:two"]);
        let config = peers.run(&["skopeo", "inspect", "--config", "--raw", "oci:/share/copy:two"]);
        assert!(config.contains("rootfs"), "{format}: {config}");
        let _ = fs::remove_dir_all(peers.share().join("again"));
        peers.run(&["umoci", "unpack", "--image", "/share/copy:two", "/share/again"]);
        assert_eq!(fs::read_to_string(peers.share().join("again/rootfs/extra")).unwrap(), "upper\n");
        assert!(!peers.share().join("again/rootfs/below").exists(), "{format}");
        comes_back_the_same(&host, &peers, "two:1", format);
    }
    assert!(id.starts_with("sha256:"));
}
