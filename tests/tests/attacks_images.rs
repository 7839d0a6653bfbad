//! Attacks by archives of images: what they promise, name and hide. Each is refused with a name for it, in bounded
//! memory, and leaves nothing.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs;

use corten_tests::archive::{Archive, INDEX, Layer, MANIFEST, config, descriptor, sha256};
use corten_tests::tar::Tar;
use corten_tests::{Host, busybox_files, filter};
use serde_json::{Value, json};

/// Bytes of memory that a load may take, whatever it is fed.
const MEMORY_MAX_BYTES: u64 = 64 << 20;

fn small() -> Vec<Layer> {
    vec![Layer::plain(Tar::new().file("file", 0o644, b"x"))]
}

fn image() -> Archive {
    Archive::oci(&config(&small()), &small(), "evil:1")
}

/// Loads from a pipe and from a file: both refuse, with `expected`, and nothing is left.
#[track_caller]
fn refused(host: &Host, archive: Vec<u8>, expected: &str) {
    let file = host.path().join("evil.tar");
    fs::write(&file, &archive).unwrap();
    host.call_within(MEMORY_MAX_BYTES, ["load"]).stdin(archive).output().refuses().stderr_has(expected);
    host.run(["load", "-i", file.to_str().unwrap()]).refuses().stderr_has(expected);
    host.run(["images", "-aq"]).success().stdout_is("");
    host.is_clean();
}

/// The image with another manifest, which is promised rightly.
fn with_manifest(change: impl FnOnce(&mut Value)) -> Archive {
    let mut archive = Archive::default();
    let mut manifest = Archive::default();
    manifest.image(&config(&small()), &small());
    let (_, bytes) = manifest.files.pop().unwrap();
    archive.files = manifest.files;
    let mut value: Value = serde_json::from_slice(&bytes).unwrap();
    change(&mut value);
    let manifest = archive.blob(MANIFEST, value.to_string().as_bytes());
    archive.layout(&[(manifest, Some("evil:1"))])
}

#[test]
fn malformed_manifests() {
    let host = Host::new();
    refused(&host, with_manifest(|m| m["layers"] = Value::Null).bytes(), "malformed");
    refused(&host, with_manifest(|m| m["layers"][0]["size"] = json!(-1)).bytes(), "malformed");
    refused(&host, with_manifest(|m| m["layers"] = json!([])).bytes(), "1 layers, the manifest of 0");
    refused(&host, with_manifest(|m| m["layers"][0]["size"] = json!(1)).bytes(), "are promised");
    refused(&host, with_manifest(|m| m["junk"] = json!("x".repeat(5 << 20))).bytes(), "has more than");
    refused(&host, with_manifest(|m| m["junk"] = json!(vec![json!([]); 300_000])).bytes(), "has more than");
    refused(&host, with_manifest(|m| m["manifests"] = json!([])).bytes(), "index or a manifest");
    refused(&host, with_manifest(|m| m["mediaType"] = json!(INDEX)).bytes(), "index or a manifest");
    let two_megabytes = with_manifest(|m| m["annotations"] = json!({"a": "x".repeat(2 << 20)}));
    host.call(["load"]).stdin(two_megabytes.bytes()).output().success();
}

#[test]
fn digests_that_are_paths_or_other_algorithms() {
    let host = Host::new();
    for digest in [
        "sha256:../../../../../../etc/passwd".to_owned(),
        "../../etc/passwd".to_owned(),
        format!("sha256:{}", "a".repeat(63)),
        format!("sha512:{}", "a".repeat(128)),
        format!("sha256:{}", "A".repeat(64)),
    ] {
        let layer = with_manifest(|m| m["layers"][0]["digest"] = json!(digest));
        refused(&host, layer.bytes(), "malformed");
        let of_config = with_manifest(|m| m["config"]["digest"] = json!(digest));
        refused(&host, of_config.bytes(), "malformed");
        let manifest = json!({"mediaType": MANIFEST, "digest": digest, "size": 2});
        refused(&host, Archive::default().layout(&[(manifest, None)]).bytes(), "malformed");
    }
}

#[test]
fn other_bytes_than_promised() {
    let host = Host::new();
    let files = image().files;
    for (name, _) in files.iter().filter(|(name, _)| name.starts_with("blobs/")) {
        let spoilt = image().with(name, |bytes| bytes[0] ^= 1);
        refused(&host, spoilt.bytes(), "have the digest");
        refused(&host, spoilt.documents_first().bytes(), "have the digest");
        refused(&host, image().without(name).bytes(), "is missing");
    }
    // The blob is what the manifest says; the config says another one.
    let mut other = config(&small());
    other["rootfs"]["diff_ids"][0] = json!(format!("sha256:{}", "1".repeat(64)));
    refused(&host, Archive::oci(&other, &small(), "evil:1").bytes(), "sha256:1111");
    // Gzip's trailer is wrong, the digest is right.
    let mut torn = vec![Layer::compressed(Tar::new().file("file", 0o644, b"x"), "gzip")];
    let end = torn[0].blob.len() - 5;
    torn[0].blob[end] ^= 1;
    refused(&host, Archive::oci(&config(&torn), &torn, "evil:1").bytes(), "layer sha256:");
    let whole = image().bytes();
    refused(&host, whole[..700].to_vec(), "cannot read");
}

#[test]
fn names_that_lead_out_of_the_archive() {
    let host = Host::new();
    let add = |name: &str, bytes: &[u8]| image().tar().file(name, 0o644, bytes).bytes();
    refused(&host, add("../manifest.json", b"[]"), "leads out");
    refused(&host, add("index.json", b"{}"), "twice");
    refused(&host, add("./blobs/../index.json", b"{}"), "leads out");
    refused(&host, add("//index.json", b"{}"), "twice");
    // A symlink out of it is what isn't there, and never what it points to on the host.
    let secret = host.file("secret.json", &config(&small()).to_string());
    let layer = &small()[0].blob;
    for link in [secret.as_str(), &format!("../../../../../../../..{secret}")] {
        let manifest = json!([{"Config": "c.json", "RepoTags": ["evil:1"], "Layers": ["layer.tar"]}]);
        let tar = Tar::new().symlink("c.json", link).file("layer.tar", 0o644, layer).file(
            "manifest.json",
            0o644,
            manifest.to_string().as_bytes(),
        );
        refused(&host, tar.bytes(), "is missing");
        let manifest = json!([{"Config": secret, "RepoTags": ["evil:1"], "Layers": ["layer.tar"]}]);
        let tar = Tar::new().file("layer.tar", 0o644, layer).file(
            "manifest.json",
            0o644,
            manifest.to_string().as_bytes(),
        );
        refused(&host, tar.bytes(), "is missing");
    }
    let circle = Tar::new().symlink("a", "b").symlink("b", "a").file(
        "manifest.json",
        0o644,
        br#"[{"Config":"a","RepoTags":[],"Layers":[]}]"#,
    );
    refused(&host, circle.bytes(), "too many links");
}

#[test]
fn a_directory_is_not_left() {
    let host = Host::new();
    let directory = host.path().join("layout");
    image().write(&directory);
    let outside = host.path().join("outside");
    fs::rename(directory.join("index.json"), &outside).unwrap();
    let input = directory.to_str().unwrap().to_owned();
    std::os::unix::fs::symlink(&outside, directory.join("index.json")).unwrap();
    host.run(["load", "-i", &input]).refuses().stderr_has("leads out");
    fs::remove_file(directory.join("index.json")).unwrap();
    std::process::Command::new("mkfifo").arg(directory.join("index.json")).status().unwrap();
    host.run(["load", "-i", &input]).refuses().stderr_has("no file");
    host.is_clean();
}

#[test]
fn lists_that_disagree() {
    let host = Host::new();
    let mut other = config(&small());
    other["author"] = json!("somebody else");
    let mut archive = image();
    archive.files.push(("other.json".into(), other.to_string().into_bytes()));
    let manifest = json!([{"Config": "other.json", "RepoTags": ["evil:2"], "Layers": []}]);
    archive.files.push(("manifest.json".into(), manifest.to_string().into_bytes()));
    refused(&host, archive.bytes(), "`index.json` doesn't have");
}

#[test]
fn indexes_below_indexes_below_indexes() {
    let host = Host::new();
    let mut archive = Archive::default();
    let mut node = archive.image(&config(&small()), &small());
    for _ in 0..3 {
        node = archive.index(&[node.clone(), node]);
    }
    let deep = archive.clone().layout(&[(node.clone(), Some("deep:1"))]);
    host.call(["load"]).stdin(deep.bytes()).output().success();
    host.run(["rmi", "deep:1"]).success();
    host.is_clean();
    let deeper = archive.index(&[node]);
    refused(&host, archive.layout(&[(deeper, Some("deep:1"))]).bytes(), "indexes below each other");
    // One that names itself can't be made; one that promises to be one is something else.
    let mut archive = Archive::default();
    let index = archive.index(&[descriptor(INDEX, b"not here")]);
    refused(&host, archive.layout(&[(index, None)]).bytes(), "is missing");
}

#[test]
fn bombs() {
    let host = Host::new();
    let with_config = |change: &dyn Fn(&mut Value)| {
        let mut config = config(&small());
        change(&mut config);
        Archive::oci(&config, &small(), "evil:1").bytes()
    };
    let history = json!(vec![json!({"created_by": "x", "empty_layer": true}); 100_000]);
    refused(&host, with_config(&|c| c["history"] = history.clone()), "has more than");
    let env = json!((0..300_000).map(|n| format!("A{n}=")).collect::<Vec<_>>());
    refused(&host, with_config(&|c| c["config"]["Env"] = env.clone()), "has more than");
    refused(
        &host,
        with_config(&|c| c["config"]["Labels"] = json!({"a": "x".repeat(100 << 20)})),
        "has more than",
    );
    // 1 GiB of zeros as a layer, a few megabytes on the way.
    let zeros = std::process::Command::new("sh")
        .args(["-c", "head -c 1073741824 /dev/zero | gzip -1"])
        .output()
        .unwrap();
    let bomb = vec![Layer { plain: Vec::new(), blob: zeros.stdout }];
    refused(&host, Archive::oci(&config(&bomb), &bomb, "evil:1").bytes(), "layer sha256:");
    refused(&host, filter("gzip", &vec![0; 64 << 20]), "");
}

#[test]
fn many_members() {
    let host = Host::new();
    let mut tar = Tar::new();
    for number in 0..60_000 {
        tar = tar.file(&format!("junk/{number}"), 0o644, b"");
    }
    refused(&host, tar.bytes(), "has more than");
}

#[test]
fn volumes_of_an_image_stay_inside() {
    let host = Host::new();
    let layers = vec![Layer::plain(busybox_files())];
    for path in ["/../../../etc", "../../../etc", "/data/../../../../etc"] {
        let mut config = config(&layers);
        config["config"]["Volumes"] = json!({ path: {} });
        let archive = Archive::oci(&config, &layers, "evil:1");
        host.call(["load"]).stdin(archive.bytes()).output().success();
        let script = "cat /etc/hostname /etc/shadow /etc/machine-id 2>/dev/null; cat /etc/passwd | head -n 1";
        let ran = host.run(["run", "--rm", "--hostname", "inside", "evil:1", "sh", "-c", script]);
        if ran.code == 0 {
            let hosts = fs::read_to_string("/etc/machine-id").unwrap_or_else(|_| "no such line".into());
            assert!(!ran.text().contains(hosts.trim()), "{path}: {}", ran.text());
            assert!(ran.text().contains("root:x:0:0:root:/root:/bin/sh"), "{path}: {}", ran.text());
        }
        for volume in host.run(["volume", "ls", "-q"]).lines() {
            let data = host.data_root().join("volumes");
            assert!(!data.join(&volume).join("data/shadow").exists(), "{path}");
        }
        host.run(["rmi", "-f", "evil:1"]).success();
    }
}

#[test]
fn names_in_an_archive_that_cant_be_names() {
    let host = Host::new();
    for name in ["../../etc", "UPPER", "a b", ":", "x@sha256:12"] {
        let archive = Archive::docker(&config(&small()), &small(), &[name]);
        refused(&host, archive.bytes(), "names an image");
    }
    // What a layout says is a remark: an image without a name.
    let odd = Archive::oci(&config(&small()), &small(), "../../x:1");
    let loaded = host.call(["load"]).stdin(odd.bytes()).output();
    loaded
        .success()
        .stdout_is(&format!("Loaded image ID: sha256:{}", sha256(config(&small()).to_string().as_bytes())));
}
