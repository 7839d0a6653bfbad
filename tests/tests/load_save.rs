//! load and save: what others write is read, what we write is read by us again, byte for byte.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs;

use corten_tests::archive::{Archive, Layer, config, config_for, sha256};
use corten_tests::tar::Tar;
use corten_tests::{Account, BUSYBOX, Host, busybox_files, filter, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};

fn layers() -> Vec<Layer> {
    vec![Layer::plain(busybox_files()), Layer::compressed(Tar::new().file("second", 0o644, b"2"), "gzip")]
}

fn id_of(config: &Value) -> String {
    format!("sha256:{}", sha256(config.to_string().as_bytes()))
}

/// Loads from a pipe and runs what came.
fn check(host: &Host, archive: Vec<u8>, name: &str) {
    let loaded = host.call(["load"]).stdin(archive).output();
    loaded.success().stdout_is(&format!("Loaded image: {name}"));
    host.run(["run", "--rm", name, "cat", "/second"]).success().stdout_is("2");
    host.run(["rmi", name]).success().stdout_has(&format!("Untagged: {name}")).stdout_has("Deleted: sha256:");
    host.is_clean();
}

#[test]
fn archives_of_every_kind_and_compression_are_loaded() {
    let host = Host::new();
    let layers = layers();
    let oci = Archive::oci(&config(&layers), &layers, "me/app:1");
    check(&host, oci.bytes(), "me/app:1");
    check(&host, oci.clone().documents_first().bytes(), "me/app:1");
    check(&host, Archive::docker(&config(&layers), &layers, &["old:2"]).bytes(), "old:2");
    for program in ["gzip", "zstd", "xz", "bzip2"] {
        check(&host, filter(program, &oci.bytes()), "me/app:1");
    }
    let zstd = vec![layers[0].clone(), Layer::compressed(Tar::new().file("second", 0o644, b"2"), "zstd")];
    check(&host, Archive::oci(&config(&zstd), &zstd, "me/app:1").bytes(), "me/app:1");
}

#[test]
fn files_compressed_files_and_directories_are_loaded() {
    let host = Host::new();
    let layers = layers();
    let archive = Archive::oci(&config(&layers), &layers, "app:1");
    let file = host.path().join("app.tar");
    fs::write(&file, archive.bytes()).unwrap();
    let loads = |input: &str| {
        host.run(["load", "-q", "--input", input]).success().stdout_is("Loaded image: app:1");
        host.run(["image", "inspect", "-f", "{{.Id}}", "app:1"])
            .success()
            .stdout_is(&id_of(&config(&layers)));
        host.run(["image", "rm", "app:1"]).success();
    };
    loads(file.to_str().unwrap());
    let packed = host.path().join("app.tar.xz");
    fs::write(&packed, filter("xz", &archive.bytes())).unwrap();
    loads(packed.to_str().unwrap());
    let directory = host.path().join("layout");
    archive.write(&directory);
    loads(directory.to_str().unwrap());
    host.run(["load", "-i", "/no/such"]).refuses().stderr_has("/no/such");
}

#[test]
fn what_is_here_is_not_unpacked_again_and_a_name_moves() {
    let host = Host::new();
    let layers = layers();
    let archive = Archive::oci(&config(&layers), &layers, "app:1").documents_first();
    host.call(["load"]).stdin(archive.bytes()).output().success();
    let inode = || {
        let names = fs::read_dir(host.data_root().join("layers")).unwrap();
        let mut inodes: Vec<u64> =
            names.map(|n| std::os::unix::fs::MetadataExt::ino(&n.unwrap().metadata().unwrap())).collect();
        inodes.sort_unstable();
        inodes
    };
    let before = inode();
    // A cut-off layer that is here isn't missed.
    let cut = archive.clone().without(&format!("blobs/sha256/{}", sha256(&layers[0].blob)));
    host.call(["load"]).stdin(cut.bytes()).output().success();
    assert_eq!(inode(), before);
    let other = vec![layers[0].clone()];
    let mut newer = config(&other);
    newer["created"] = json!("2024-01-01T00:00:00Z");
    let moved = host.call(["load"]).stdin(Archive::oci(&newer, &other, "app:1").bytes()).output();
    moved
        .success()
        .stdout_has("The image app:1 already exists, renaming the old one with ID sha256:")
        .stdout_has("Loaded image: app:1");
    assert_eq!(host.inspect("app:1")["Id"], id_of(&newer).as_str());
    host.run(["images", "-a"]).success().stdout_has("<none>");
}

#[test]
fn legacy_layers_may_be_links_to_others() {
    let host = Host::new();
    let layers = vec![Layer::plain(busybox_files())];
    let config = config(&layers).to_string();
    let manifest = json!([{"Config": "c.json", "RepoTags": ["linked:1"], "Layers": ["b/layer.tar"]}]);
    let tar = Tar::new()
        .directory("a", 0o755)
        .file("a/layer.tar", 0o644, &layers[0].blob)
        .symlink("b/layer.tar", "../a/layer.tar")
        .file("c.json", 0o644, config.as_bytes())
        .file("repositories", 0o644, b"{}")
        .file("manifest.json", 0o644, manifest.to_string().as_bytes());
    host.call(["load"]).stdin(tar.bytes()).output().success().stdout_is("Loaded image: linked:1");
    host.run(["run", "--rm", "linked:1", "echo", "hi"]).success().stdout_is("hi");
}

#[test]
fn saved_images_come_back_byte_for_byte() {
    let host = Host::with_busybox();
    let layers = layers();
    host.call(["load"]).stdin(Archive::oci(&config(&layers), &layers, "app:1").bytes()).output().success();
    host.run(["tag", "app:1", "app:latest"]).success();
    let saved = host.run(["save", BUSYBOX, "app"]);
    saved.success();
    let file = host.path().join("all.tar");
    host.run(["image", "save", "-o", file.to_str().unwrap(), BUSYBOX, "app"]).success().stdout_is("");
    assert!(fs::read(&file).unwrap() == saved.stdout, "a file has the same bytes");
    let other = Host::new();
    let loaded = other.call(["load"]).stdin(saved.stdout.clone()).output();
    loaded.success().stdout_is("Loaded image: busybox:latest\nLoaded image: app:1\nLoaded image: app:latest");
    assert!(other.run(["save", BUSYBOX, "app"]).stdout == saved.stdout, "saved, loaded, saved");
    assert!(host.run(["save", BUSYBOX, "app"]).stdout == saved.stdout, "saved again");
    assert_eq!(other.inspect(BUSYBOX)["Id"], host.inspect(BUSYBOX)["Id"]);
    other.run(["run", "--rm", "app", "cat", "/second"]).success().stdout_is("2");
    let again = host.call(["load"]).stdin(saved.stdout.clone()).output();
    again.success();
    assert!(host.run(["save", BUSYBOX, "app"]).stdout == saved.stdout, "loaded over itself");
}

#[test]
fn images_are_saved_in_every_format() {
    let host = Host::with_busybox();
    let id = host.inspect(BUSYBOX)["Id"].clone();
    for format in ["docker", "oci-archive", "docker-archive"] {
        let saved = host.run(["save", "--format", format, BUSYBOX]);
        saved.success();
        let other = Host::new();
        let loaded = other.call(["load"]).stdin(saved.stdout.clone()).output();
        loaded.success().stdout_is("Loaded image: busybox:latest");
        assert_eq!(other.inspect(BUSYBOX)["Id"], id, "{format}");
        assert!(other.run(["save", "--format", format, BUSYBOX]).stdout == saved.stdout, "{format}");
    }
    let directory = host.path().join("layout");
    host.run(["save", "-o", &format!("{}/", directory.display()), BUSYBOX]).success();
    assert!(directory.join("index.json").is_file());
    let other = Host::new();
    other
        .run(["load", "-i", directory.to_str().unwrap()])
        .success()
        .stdout_is("Loaded image: busybox:latest");
    host.run(["save", "--format", "oci-dir", BUSYBOX]).refuses();
    host.run(["save", "--format", "zip", BUSYBOX]).refuses();
}

#[test]
fn an_image_is_saved_by_its_id_without_a_name() {
    let host = Host::with_busybox();
    let id = host.inspect(BUSYBOX)["Id"].as_str().unwrap().to_owned();
    let saved = host.run(["save", &id[7..19]]);
    saved.success();
    let other = Host::new();
    let loaded = other.call(["load"]).stdin(saved.stdout.clone()).output();
    loaded.success().stdout_is(&format!("Loaded image ID: {id}"));
    host.run(["save", "nothing"]).refuses().stderr_has("no such image");
}

#[test]
fn nothing_is_written_to_a_terminal_and_nothing_read_from_one() {
    let host = Host::with_busybox();
    let said = host.call(["save", BUSYBOX]).terminal().finish();
    assert!(said.text().contains("terminal"), "{}", said.text());
    let said = host.call(["load"]).terminal().finish();
    assert!(said.text().contains("terminal"), "{}", said.text());
}

#[test]
fn a_save_that_fails_leaves_no_file() {
    let host = Host::with_busybox();
    let directory = host.path().join("out");
    fs::create_dir(&directory).unwrap();
    let target = directory.join("x.tar");
    fs::write(&target, "old").unwrap();
    host.run(["save", "-o", target.to_str().unwrap(), BUSYBOX, "nothing"]).refuses();
    // A layer's file that somebody changed.
    let chain = fs::read_dir(host.data_root().join("layers")).unwrap().next().unwrap().unwrap().path();
    fs::write(chain.join("fs/etc/passwd"), "root:x:0:1:root:/root:/bin/sh\n").unwrap();
    host.run(["save", "-o", target.to_str().unwrap(), BUSYBOX]).refuses().stderr_has("layer sha256:");
    assert_eq!(fs::read_to_string(&target).unwrap(), "old");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
}

/// An index of two platforms, the host's second.
fn two_platforms() -> (Archive, Value, Value) {
    let layers = layers();
    let (here, there) = (config(&layers), config_for("s390x", &layers[..1]));
    let mut archive = Archive::default();
    let mut second = archive.image(&here, &layers);
    let mut first = archive.image(&there, &layers[..1]);
    first["platform"] = json!({"os": "linux", "architecture": "s390x"});
    second["platform"] = json!({"os": "linux", "architecture": here["architecture"]});
    let mut attestation = archive.blob(corten_tests::archive::MANIFEST, b"{}");
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    let mut absent = corten_tests::archive::descriptor(corten_tests::archive::MANIFEST, b"not here");
    absent["platform"] = json!({"os": "linux", "architecture": "riscv64"});
    let index = archive.index(&[first, second, attestation, absent]);
    (archive.layout(&[(index, Some("multi:1"))]), here, there)
}

#[test]
fn several_platforms_hang_below_one_name() {
    let host = Host::new();
    let (archive, here, there) = two_platforms();
    host.call(["load"]).stdin(archive.bytes()).output().success().stdout_is("Loaded image: multi:1");
    assert_eq!(host.inspect("multi:1")["Id"], id_of(&here).as_str());
    host.run(["run", "--rm", "multi:1", "cat", "/second"]).success().stdout_is("2");
    host.run(["images"]).success().check(host.run(["images"]).lines().len() == 2, "one line for the name");
    let platform =
        |platform: &str| host.run(["image", "inspect", "--platform", platform, "-f", "{{.Id}}", "multi:1"]);
    platform("linux/s390x").success().stdout_is(&id_of(&there));
    platform("linux/riscv64").refuses().stderr_has("linux/riscv64");
    host.run(["history", "-q", "--platform", "linux/s390x", "--no-trunc", "multi:1"])
        .success()
        .stdout_has(&id_of(&there));
    let tree = host.run(["images", "--tree"]);
    tree.success().stdout_has("multi:1").stdout_has("linux/s390x").stdout_has("linux/riscv64");

    let saved = host.run(["save", "multi:1"]);
    saved.success();
    let other = Host::new();
    other.call(["load"]).stdin(saved.stdout.clone()).output().success().stdout_is("Loaded image: multi:1");
    assert!(other.run(["save", "multi:1"]).stdout == saved.stdout, "saved, loaded, saved");
    let one = host.run(["save", "--platform", "linux/s390x", "multi:1"]);
    one.success();
    let third = Host::new();
    third.call(["load"]).stdin(one.stdout.clone()).output().success();
    assert_eq!(third.inspect("multi:1")["Id"], id_of(&there).as_str());
    host.run(["save", "--platform", "linux/ppc64le", "multi:1"]).refuses().stderr_has("linux/ppc64le");

    host.run(["rmi", "--platform", "linux/s390x", "multi:1"]).refuses().stderr_has("-f");
    let removed = host.run(["rmi", "-f", "--platform", "linux/s390x", "multi:1"]);
    removed.success().stdout_has(&format!("Deleted: {}", id_of(&there)));
    platform("linux/s390x").refuses();
    host.run(["run", "--rm", "multi:1", "true"]).success();
    host.is_clean();
    host.run(["rmi", "multi:1"]).success();
    host.run(["images", "-aq"]).success().stdout_is("");
    host.is_clean();
}

#[test]
fn only_the_wanted_platforms_are_loaded() {
    let host = Host::new();
    let (archive, _, there) = two_platforms();
    let load = |platform: &str| host.call(["load", "--platform", platform]).stdin(archive.bytes()).output();
    load("linux/ppc64le").refuses().stderr_has("linux/ppc64le");
    host.is_clean();
    load("linux/s390x").success();
    assert_eq!(host.inspect("multi:1")["Id"], id_of(&there).as_str());
    assert_eq!(host.run(["images", "-aq"]).lines().len(), 1);
    host.is_clean();
}

#[test]
fn two_loads_of_the_same_end_right() {
    let host = Host::new();
    let layers = layers();
    let bytes = Archive::oci(&config(&layers), &layers, "app:1").bytes();
    let loads: Vec<_> = (0..2)
        .map(|_| {
            let mut session = host.call(["load"]).spawn();
            session.write(&bytes[..bytes.len() / 2]);
            session
        })
        .collect();
    for mut session in loads {
        session.write(&bytes[bytes.len() / 2..]);
        session.close_stdin();
        session.finish().success().stdout_is("Loaded image: app:1");
    }
    host.run(["run", "--rm", "app:1", "cat", "/second"]).success().stdout_is("2");
    host.is_clean();
}

#[test]
fn a_load_that_is_given_up_leaves_nothing() {
    let host = Host::new();
    let layers = layers();
    let bytes = Archive::oci(&config(&layers), &layers, "app:1").documents_first().bytes();
    let mut session = host.call(["load"]).spawn();
    session.write(&bytes[..bytes.len() / 2]);
    wait_until("it has begun to unpack", || {
        let layers = fs::read_dir(host.data_root().join("layers")).ok()?;
        (layers.count() > 0).then_some(())
    });
    session.signal(Signal::INT);
    session.finish().exits(130);
    assert_eq!(fs::read_dir(host.data_root().join("layers")).unwrap().count(), 0);
    host.run(["images", "-aq"]).success().stdout_is("");
    host.is_clean();
}

#[test]
fn a_load_that_is_killed_at_any_step_leaves_what_check_repairs() {
    let layers = layers();
    let bytes = Archive::oci(&config(&layers), &layers, "app:1").bytes();
    let mut steps = vec!["load.spooled", "unpack.begun", "unpack.entries", "unpack.synced", "unpack.renamed"];
    steps.extend(["load.layers", "blob.written", "blob.synced", "blob.renamed", "load.blobs", "load.rows"]);
    for step in steps {
        let host = Host::new();
        let mut session = host.call(["load"]).env("CORTEN_STOP_AT", step).spawn();
        session.write(&bytes);
        session.close_stdin();
        wait_until(&format!("it stops at {step}"), || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", session.pid())).ok()?;
            stat.rsplit(')').next()?.trim_start().starts_with('T').then_some(())
        });
        session.signal(Signal::KILL);
        session.finish().exits(137);
        host.run(["system", "check", "--repair"]).success();
        host.is_clean();
        let there = host.run(["images", "-q"]).lines().len();
        assert_eq!(there, usize::from(step == "load.rows"), "{step}");
        host.call(["load"]).stdin(bytes.clone()).output().success().stdout_is("Loaded image: app:1");
        host.run(["run", "--rm", "app:1", "true"]).success();
    }
}

#[test]
fn an_ordinary_user_loads_and_saves() {
    let account = Account::with_subordinate_ids();
    let host = Host::of(&account);
    let layers = vec![
        Layer::plain(busybox_files()),
        Layer::compressed(Tar::new().file_of("second", 0o600, b"2", 1000, 1000), "zstd"),
    ];
    let archive = Archive::oci(&config(&layers), &layers, "app:1");
    host.call(["load"]).stdin(archive.bytes()).output().success().stdout_is("Loaded image: app:1");
    host.run(["run", "--rm", "app:1", "stat", "-c", "%u %s", "/second"]).success().stdout_is("1000 1");
    let saved = host.run(["save", "app:1"]);
    saved.success();
    let root = Host::new();
    root.call(["load"]).stdin(saved.stdout.clone()).output().success();
    assert!(root.run(["save", "app:1"]).stdout == saved.stdout, "the same bytes from root and from a user");
    let wrong = format!("blobs/sha256/{}", sha256(&layers[1].blob));
    let spoilt = Archive::oci(&config(&layers), &layers, "app:2").with(&wrong, |bytes| bytes[9] ^= 1);
    host.run(["rmi", "app:1"]).success();
    host.call(["load"]).stdin(spoilt.documents_first().bytes()).output().refuses();
    host.is_clean();
}
