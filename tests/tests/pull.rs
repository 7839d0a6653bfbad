//! `pull`, and what `run` and `create` do when an image isn't here.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::archive::{Layer, config, config_for};
use corten_tests::registry::{Fault, LAYER, LAYER_GZIP, MANIFEST, Registry, When};
use corten_tests::tar::Tar;
use corten_tests::{Account, Host, busybox_files, kill_all, wait_stopped};

/// Bytes that no compression makes fewer.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

/// Busybox, and a layer that takes several reads.
fn layers() -> Vec<Layer> {
    vec![
        Layer::compressed(busybox_files(), "gzip"),
        Layer::plain(Tar::new().file("noise", 0o644, &noise(1_500_000)).file("said", 0o644, b"hi")),
    ]
}

/// Puts an image of `layers` there; the manifest's digest.
fn put(registry: &Registry, repository: &str, tag: &str, layers: &[Layer]) -> String {
    let config = config(layers).to_string();
    let blobs: Vec<(&str, &[u8])> = layers
        .iter()
        .map(|layer| {
            let media_type = if layer.blob == layer.plain { LAYER } else { LAYER_GZIP };
            (media_type, layer.blob.as_slice())
        })
        .collect();
    registry.put_image(repository, Some(tag), config.as_bytes(), &blobs)
}

#[test]
fn the_built_in_image_needs_no_registry() {
    let host = Host::new();
    let pulled = host.run(["pull", "hello"]);
    pulled.success().stdout_has("Using default tag: latest");
    pulled.stdout_has("Status: Image is up to date for corten/hello:latest");
    assert_eq!(host.run(["pull", "--quiet", "hello"]).success().text(), "corten/hello:latest");
}

#[test]
fn who_pulls_never_gets_what_is_here_or_an_error() {
    let host = Host::with_busybox();
    host.run(["run", "--rm", "--pull", "never", "busybox", "true"]).success();
    let refused = host.run(["run", "--rm", "--pull=never", "localhost:1/none", "true"]);
    refused.fails(125).stderr_has("no such image: `localhost:1/none`");
    host.run(["create", "--pull", "sometimes", "busybox"]).fails(125).stderr_has("no such policy");
}

#[test]
fn an_image_comes_runs_and_is_up_to_date() {
    let (registry, host) = (Registry::new(), Host::new());
    let digest = put(&registry, "me/app", "1", &layers());
    let name = format!("{}/me/app:1", registry.name());
    let pulled = host.run(["pull", &name]);
    pulled.success().stdout_has("1: Pulling from me/app\n").stdout_has(": Pull complete\n");
    pulled.stdout_has(&format!("Digest: {digest}\nStatus: Downloaded newer image for {name}\n{name}"));
    host.run(["run", "--rm", "--pull=never", &name, "cat", "/said"]).success().stdout_is("hi");
    assert_eq!(host.inspect(&name)["RepoDigests"][0], format!("{}/me/app@{digest}", registry.name()));
    let before = registry.seen().len();
    host.run(["pull", &name]).success().stdout_has(&format!("Status: Image is up to date for {name}\n"));
    // Beside the question how it is spoken to.
    let asked: Vec<String> =
        registry.seen()[before..].iter().map(|r| format!("{} {}", r.method, r.path())).collect();
    assert_eq!(asked, ["GET /v2/", "HEAD /v2/me/app/manifests/1"]);
    assert_eq!(host.run(["pull", "-q", &name]).success().text(), name);
    // The name moves, and only what is new comes.
    let mut newer = layers();
    newer.push(Layer::plain(Tar::new().file("more", 0o644, b"more")));
    put(&registry, "me/app", "1", &newer);
    let before = registry.seen_with("GET", "/blobs/").len();
    host.run(["pull", &name]).success().stdout_has(": Already exists\n").stdout_has("Downloaded newer image");
    assert_eq!(registry.seen_with("GET", "/blobs/").len() - before, 2, "a layer and the config");
    host.run(["run", "--rm", &name, "cat", "/more"]).success().stdout_is("more");
}

#[test]
fn run_and_create_pull_what_is_not_here() {
    let (registry, host) = (Registry::new(), Host::new());
    put(&registry, "app", "latest", &layers());
    let name = format!("{}/app", registry.name());
    let ran = host.run(["run", "--rm", &name, "cat", "/said"]);
    ran.success().stdout_is("hi").stderr_has(&format!("Unable to find image '{name}:latest' locally\n"));
    ran.stderr_has("latest: Pulling from app\n").stderr_has("Downloaded newer image");
    host.run(["rmi", &name]).success();
    let quiet = host.run(["create", "--quiet", "--name", "one", &name, "true"]);
    quiet.success().quiet();
    host.run(["rm", "one"]).success();
    let always = host.run(["run", "--rm", "--pull", "always", &name, "true"]);
    always.success().stderr_has("Image is up to date");
    drop(registry);
    host.run(["run", "--rm", "--pull", "newer", &name, "true"]).success().stderr_has("warning: ");
    host.run(["run", "--rm", &name, "true"]).success().quiet();
}

#[test]
fn platforms_hang_side_by_side_below_one_name() {
    let (registry, host) = (Registry::new(), Host::new());
    let layers = layers();
    let mut manifests = Vec::new();
    for (architecture, variant) in [("amd64", None), ("arm64", Some("v8")), ("s390x", None)] {
        let config = config_for(architecture, &layers[..1]).to_string();
        let blobs = [(LAYER_GZIP, layers[0].blob.as_slice())];
        let digest = registry.put_image("multi", None, config.as_bytes(), &blobs);
        let size = registry.manifest("multi", &digest).unwrap().1.len();
        let platform = serde_json::json!({"os": "linux", "architecture": architecture, "variant": variant});
        manifests.push(serde_json::json!(
            {"mediaType": MANIFEST, "digest": digest, "size": size, "platform": platform}));
    }
    let index = serde_json::json!({"schemaVersion": 2, "manifests": manifests}).to_string();
    let digest = registry.put_manifest("multi", Some("1"), corten_tests::registry::INDEX, index.as_bytes());
    let name = format!("{}/multi:1", registry.name());
    host.run(["pull", &name]).success().stdout_has(&format!("Digest: {digest}\n"));
    host.run(["pull", "--platform", "linux/s390x", &name]).success().stdout_has("Downloaded newer image");
    host.run(["pull", "--platform", "linux/s390x", &name]).success().stdout_has("is up to date");
    let arch = |platform: &str| {
        let shown = host.run(["image", "inspect", "--platform", platform, "-f", "{{.Architecture}}", &name]);
        shown.success().text()
    };
    assert_eq!((arch("linux/amd64"), arch("linux/s390x")), ("amd64".to_owned(), "s390x".to_owned()));
    let missing = host.run(["pull", "--platform", "linux/riscv64", &name]);
    missing.fails(1).stderr_has("not there for linux/riscv64, only for linux/amd64");
    host.run(["rmi", "--force", "--platform", "linux/s390x", &name]).success();
    assert_eq!(arch("linux/amd64"), "amd64");
}

#[test]
fn a_digest_pins_the_image_and_keeps_its_layers_as_they_came() {
    let (registry, host) = (Registry::new(), Host::new());
    let digest = put(&registry, "app", "latest", &layers());
    let name = format!("{}/app@{digest}", registry.name());
    host.run(["pull", &name]).success().stdout_has(&format!("{digest}: Pulling from app\n"));
    host.run(["run", "--rm", "--pull=never", &name, "cat", "/said"]).success().stdout_is("hi");
    let kept = host.data_root().join("blobs/sha256");
    // Config, manifest, and both layers.
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 4);
    host.run(["rmi", &name]).success();
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 0);
}

#[test]
fn other_bytes_and_what_is_no_image_are_named() {
    let (registry, host) = (Registry::new(), Host::new());
    let layers = layers();
    put(&registry, "app", "latest", &layers);
    let digest = corten_tests::registry::digest(&layers[1].blob);
    registry.fail(When::target(format!("/blobs/{digest}")), Fault::WrongByte, 100);
    let name = format!("{}/app", registry.name());
    host.run(["pull", &name]).fails(1).stderr_has(&digest);
    host.is_clean();
    let chart = serde_json::json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
        "config": {"mediaType": "application/vnd.example.chart", "digest": digest, "size": 2}});
    registry.put_manifest("chart", Some("1"), MANIFEST, chart.to_string().as_bytes());
    let refused = host.run(["pull", &format!("{}/chart:1", registry.name())]);
    refused.fails(1).stderr_has("an artifact of the type application/vnd.example.chart");
    host.run(["pull", &format!("{}/none", registry.name())]).fails(1);
}

/// A pull that is killed at `step`, then everything that follows a crash.
fn killed_at(step: &str) {
    let (registry, host) = (Registry::new(), Host::new());
    put(&registry, "app", "latest", &layers());
    let name = format!("{}/app", registry.name());
    let pulling = host.call(["pull", &name]).env("CORTEN_STOP_AT", step).spawn();
    wait_stopped(&host, step);
    kill_all(&host);
    drop(pulling);
    host.run(["system", "check", "--repair"]).success();
    host.is_clean();
    let before = registry.seen_with("GET", "/blobs/").len();
    host.run(["run", "--rm", &name, "cat", "/said"]).success().stdout_is("hi");
    if step == "pull.part" {
        let asked = &registry.seen_with("GET", "/blobs/")[before..];
        // Of the config and two layers: what came before the stop isn't asked for again, be it part of a layer or all.
        let resumed = asked.len() < 3 || asked.iter().any(|request| request.header("Range").is_some());
        assert!(resumed, "nothing was resumed: {asked:?}");
    }
    host.run(["system", "check"]).success();
}

#[test]
fn a_pull_is_killed_while_it_fetches() {
    ["pull.found", "pull.part", "pull.fetched", "unpack.entries"].iter().for_each(|step| killed_at(step));
}

#[test]
fn a_pull_is_killed_while_it_ends() {
    ["unpack.renamed", "pull.layers", "pull.blobs", "image.stored", "image.named"]
        .iter()
        .for_each(|step| killed_at(step));
}

#[test]
fn an_ordinary_user_pulls() {
    let account = Account::with_subordinate_ids();
    let (registry, host) = (Registry::new(), Host::of(&account));
    put(&registry, "app", "latest", &layers());
    let name = format!("{}/app", registry.name());
    host.run(["pull", &name]).success();
    host.run(["run", "--rm", &name, "cat", "/said"]).success().stdout_is("hi");
}

#[test]
fn pulls_removals_and_collections_at_once() {
    let (registry, host) = (Registry::new(), Host::new());
    let layers = layers();
    for tag in ["1", "2", "3"] {
        let mut own = layers.clone();
        own.push(Layer::plain(Tar::new().file("own", 0o644, tag.as_bytes())));
        put(&registry, "app", tag, &own);
    }
    let name = |tag: usize| format!("{}/app:{}", registry.name(), tag % 3 + 1);
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let (host, name) = (&host, &name);
            scope.spawn(move || {
                for round in 0..3 {
                    host.run(["pull", "-q", &name(worker + round)]).success();
                    // Another one may have it.
                    let _ = host.run(["rmi", "--force", &name(worker + round + 1)]);
                    host.run(["image", "prune", "--force"]).success();
                }
            });
        }
    });
    for tag in 0..3 {
        host.run(["run", "--rm", &name(tag), "cat", "/own"]).success().stdout_is(&format!("{}", tag + 1));
    }
    host.is_clean();
}
