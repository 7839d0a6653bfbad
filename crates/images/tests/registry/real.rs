//! The client and Debian's docker-registry.

use std::io::{Cursor, Read};

use corten_images::registry::settings::Limits;
use corten_images::registry::{Anonymous, MANIFEST_TYPES};
use corten_tests::registry::{CONFIG, DEBIAN_PASSWORD, DEBIAN_USER, DebianRegistry, LAYER, MANIFEST, digest};

use super::*;

fn at(client: &Client, registry: &DebianRegistry, name: &str) -> Repository {
    let reference = client.resolve_name(&format!("{}/{name}", registry.host())).unwrap();
    client.repository(&reference).unwrap()
}

fn upload(repository: &Repository, content: &[u8]) {
    let open = |from: u64| -> std::io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(content[from as usize..].to_vec())))
    };
    repository.upload(&blob_of(&digest(content), content.len()), &open).unwrap();
}

fn manifest(config: &[u8], layer: &[u8]) -> Vec<u8> {
    let descriptor = |media_type: &str, bytes: &[u8]| serde_json::json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() });
    serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, config),
        "layers": [descriptor(LAYER, layer)],
    })
    .to_string()
    .into_bytes()
}

#[test]
fn what_is_pushed_to_it_is_pulled_from_it() {
    let registry = DebianRegistry::new();
    let client = client();
    let repository = at(&client, &registry, "team/app");
    let (config, layer) = (b"{}".to_vec(), bytes(3_000_000));
    upload(&repository, &config);
    upload(&repository, &layer);
    let bytes_ = manifest(&config, &layer);
    let put = repository.put_manifest(&tag("1"), MANIFEST, &bytes_).unwrap();
    let fetched = repository.manifest(&tag("1"), &MANIFEST_TYPES).unwrap();
    assert_eq!((&fetched.digest, &fetched.bytes), (&put, &bytes_));
    assert_eq!(fetched.media_type, MANIFEST);
    let head = repository.head(&tag("1"), &MANIFEST_TYPES).unwrap().unwrap();
    assert_eq!(head.digest, Some(put.clone()));
    assert_eq!(repository.head(&tag("2"), &MANIFEST_TYPES).unwrap(), None);
    let blob = blob_of(&digest(&layer), layer.len());
    assert_eq!(read(&repository, &blob, 0).unwrap(), layer);
    assert_eq!(read(&repository, &blob, 2_999_000).unwrap(), &layer[2_999_000..]);
    assert_eq!(repository.tags().unwrap(), ["1"]);
    let absent = at(&client, &registry, "absent").manifest(&tag("1"), &MANIFEST_TYPES).unwrap_err();
    assert!(absent.to_string().ends_with("not found: manifest unknown"), "{absent}");

    let other = at(&client, &registry, "other");
    assert!(other.mount(&blob.digest, "team/app").unwrap() && other.has_blob(&blob.digest).unwrap());
    assert!(!other.mount(&digest(b"nothing").parse().unwrap(), "team/app").unwrap());
    assert!(repository.delete_manifest(&At::Digest(put)).unwrap());
    assert_eq!(repository.head(&tag("1"), &MANIFEST_TYPES).unwrap(), None);
    let found = client.search(&registry.host(), "app", 10).unwrap();
    assert_eq!(found[0].name, format!("{}/team/app", registry.host()));
}

#[test]
fn parts_and_unknown_sizes() {
    let registry = DebianRegistry::new();
    let limits = Limits { upload_part_bytes: Some(400_000), ..Limits::default() };
    let client = client_with(Settings { limits, ..settings() }, Anonymous);
    let repository = at(&client, &registry, "a");
    let content = bytes(1_500_000);
    upload(&repository, &content);
    assert_eq!(read(&repository, &blob_of(&digest(&content), content.len()), 0).unwrap(), content);
    let content = bytes(700_001);
    let (found, size) = repository.upload_unsized(&mut content.as_slice()).unwrap();
    assert_eq!((found.as_str(), size), (digest(&content).as_str(), 700_001));
    assert!(repository.has_blob(&found).unwrap());
    assert_eq!(repository.referrers(&found, None).unwrap(), []);
}

#[test]
fn a_closed_one_wants_its_password() {
    let registry = DebianRegistry::closed();
    let given = password(DEBIAN_USER, DEBIAN_PASSWORD);
    assert_eq!(client().login(&registry.host(), given.clone()).unwrap(), given);
    let error = client().login(&registry.host(), password(DEBIAN_USER, "no")).unwrap_err();
    assert!(matches!(error, Error::BadCredentials { .. }), "{error:?}");
    let me = client_with(settings(), Kept::password(&registry.host(), DEBIAN_USER, DEBIAN_PASSWORD));
    upload(&at(&me, &registry, "a"), b"content");
    let stranger = client();
    let denied = at(&stranger, &registry, "a").has_blob(&digest(b"content").parse().unwrap()).unwrap_err();
    assert!(matches!(denied, Error::PushDenied { .. }), "{denied:?}");
}
