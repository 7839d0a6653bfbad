//! `push`: what goes, what needn't, and under which digest.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::archive::{Layer, config};
use corten_tests::registry::{CONFIG, LAYER_GZIP, Registry};
use corten_tests::tar::Tar;
use corten_tests::{Host, busybox_files};

/// Bytes of blobs that came so far: each upload begins with a POST.
fn uploads(registry: &Registry) -> usize {
    registry.seen_with("POST", "/blobs/uploads/").len()
}

fn put(registry: &Registry, repository: &str) -> String {
    let layers = [
        Layer::compressed(busybox_files(), "gzip"),
        Layer::compressed(Tar::new().file("said", 0o644, b"hi"), "gzip"),
    ];
    let blobs: Vec<(&str, &[u8])> = layers.iter().map(|l| (LAYER_GZIP, l.blob.as_slice())).collect();
    registry.put_image(repository, Some("1"), config(&layers).to_string().as_bytes(), &blobs)
}

#[test]
fn what_was_made_here_goes_once_and_comes_back_the_same() {
    let (registry, host) = (Registry::new(), Host::with_busybox());
    let name = format!("{}/me/box:1", registry.name());
    host.run(["tag", "busybox", &name]).success();
    let pushed = host.run(["push", &name]);
    let repository = format!("{}/me/box", registry.name());
    pushed.success().stdout_has(&format!("The push refers to repository [{repository}]\n"));
    pushed.stdout_has(": Preparing\n").stdout_has(": Pushed\n").stdout_has("1: digest: sha256:");
    let (_, manifest) = registry.manifest("me/box", "1").unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["layers"][0]["mediaType"], LAYER_GZIP);
    assert_eq!(manifest["config"]["mediaType"], CONFIG);
    let before = uploads(&registry);
    let again = host.run(["push", &name]);
    again.success().stdout_has(": Layer already exists\n");
    assert_eq!(again.lines().last(), pushed.lines().last());
    assert_eq!(uploads(&registry), before);
    assert_eq!(host.run(["push", "--quiet", &name]).success().text(), name);
    host.run(["push", "--platform", "linux/s390x", &name]).fails(1).stderr_has("linux/s390x is not there");
    let other = Host::new();
    other.run(["pull", &name]).success();
    assert_eq!(other.inspect(&name)["Id"], host.inspect(&name)["Id"]);
    other.run(["run", "--rm", &name, "echo", "back"]).success().stdout_is("back");
}

#[test]
fn what_was_pulled_goes_elsewhere_under_the_same_digest() {
    let (one, two, host) = (Registry::new(), Registry::new(), Host::new());
    let digest = put(&one, "app");
    let from = format!("{}/app:1", one.name());
    let to = format!("{}/other/app:1", two.name());
    host.run(["pull", &from]).success();
    host.run(["tag", &from, &to]).success();
    host.run(["push", &to]).success().stdout_has(&format!("1: digest: {digest} size: "));
    assert_eq!(two.manifest("other/app", "1"), one.manifest("app", "1"));
    // A neighbour's layers aren't sent.
    let third = format!("{}/third:1", two.name());
    host.run(["tag", &from, &third]).success();
    host.run(["push", &third]).success().stdout_has(": Mounted from other/app\n");
    // Their source is gone: they go anew, and the digest is another one.
    drop(one);
    let last = Registry::new();
    let to = format!("{}/app:1", last.name());
    host.run(["rmi", &third]).success();
    drop(two);
    host.run(["tag", &from, &to]).success();
    let anew = host.run(["push", &to]);
    anew.success().stdout_has(": Pushed\n").stdout_lacks(&digest);
    let other = Host::new();
    other.run(["run", "--rm", &to, "cat", "/said"]).success().stdout_is("hi");
}

#[test]
fn every_tag_of_a_repository() {
    let (registry, host) = (Registry::new(), Host::with_busybox());
    let name = format!("{}/box", registry.name());
    for tag in ["a", "b"] {
        host.run(["tag", "busybox", &format!("{name}:{tag}")]).success();
    }
    host.run(["push", "--all-tags", &name]).success().stdout_has("a: digest: ").stdout_has("b: digest: ");
    assert_eq!(registry.tags("box"), ["a", "b"]);
    host.run(["push", "-a", &format!("{name}:a")]).fails(1).stderr_has("tag can't be used");
    host.run(["push", &format!("{name}:c")]).fails(1).stderr_has("no such image");
    host.run(["push", "hello"]).fails(1).stderr_has("come with corten");
}
