//! What is written.

use std::cell::Cell;
use std::io::{self, Cursor, Read};

use corten_images::registry::Anonymous;
use corten_images::registry::settings::Limits;
use corten_model::Kind;
use corten_tests::registry::{Fault, MANIFEST, Registry, When, digest};

use super::*;

fn upload(repository: &Repository, content: &[u8]) -> Result<(), Error> {
    let open = |from: u64| -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(content[from as usize..].to_vec())))
    };
    repository.upload(&blob_of(&digest(content), content.len()), &open)
}

fn in_parts(part: u64) -> Client {
    let limits = Limits { upload_part_bytes: Some(part), ..Limits::default() };
    client_with(Settings { limits, ..settings() }, Anonymous)
}

#[test]
fn whole_in_parts_and_of_unknown_size() {
    let registry = Registry::new();
    let check = |client: &Client, content: &[u8], puts: usize, patches: usize| {
        let repository = repository(client, &registry, "a");
        let count = |method: &str| registry.seen_with(method, "/blobs/uploads/").len();
        let before = (count("PUT"), count("PATCH"));
        upload(&repository, content).unwrap();
        assert_eq!(registry.blob(&digest(content)).unwrap(), content);
        assert_eq!((count("PUT") - before.0, count("PATCH") - before.1), (puts, patches));
    };
    check(&client(), &bytes(3_000_000), 1, 0);
    check(&client(), b"", 1, 0);
    check(&in_parts(1000), &bytes(2500), 1, 3);
    check(&in_parts(1000), &bytes(999), 1, 0);
    let content = bytes(200_000);
    let unsized_ = repository(&client(), &registry, "b").upload_unsized(&mut content.as_slice()).unwrap();
    assert_eq!(unsized_, (digest(&content).parse().unwrap(), 200_000));
    assert_eq!(registry.blob(&digest(&content)).unwrap(), content);
    assert_eq!(registry.open_uploads(), 0);
}

#[test]
fn an_upload_goes_on_where_its_connection_broke() {
    let registry = Registry::new();
    let content = bytes(900_000);
    let client = client();
    let repository = repository(&client, &registry, "a");
    registry.fail(When::method("PUT", "/blobs/uploads/"), Fault::CutRequest { after: 300_000 }, 1);
    registry.fail(When::method("PATCH", "/blobs/uploads/"), Fault::CutRequest { after: 100_000 }, 1);
    upload(&repository, &content).unwrap();
    assert_eq!(registry.blob(&digest(&content)).unwrap(), content);
    let patches = registry.seen_with("PATCH", "/blobs/uploads/");
    assert_eq!(patches.len(), 2);
    assert_eq!(patches[1].header("content-range"), Some("400000-899999"));
    // One that forgot the upload gets it from the beginning.
    let again = bytes(900_001);
    registry.fail(When::method("PUT", "/blobs/uploads/"), Fault::CutRequest { after: 300_000 }, 1);
    registry.fail(When::method("GET", "/blobs/uploads/"), Fault::status(404), 1);
    upload(&repository, &again).unwrap();
    assert_eq!(registry.blob(&digest(&again)).unwrap(), again);
}

#[test]
fn what_is_too_large_for_one_request_goes_in_parts() {
    let registry = Registry::new();
    let content = bytes(17 << 20);
    let repository = repository(&client(), &registry, "a");
    registry.fail(When::method("PUT", "/blobs/uploads/"), Fault::status(413), 1);
    upload(&repository, &content).unwrap();
    assert_eq!(registry.seen_with("PATCH", "/blobs/uploads/").len(), 2);
    assert!(registry.blob(&digest(&content)).is_some_and(|there| there == content));
    assert_eq!(registry.open_uploads(), 0);
}

#[test]
fn what_cant_be_read_or_has_other_bytes_is_an_error() {
    let registry = Registry::new();
    let repository = repository(&client(), &registry, "a");
    let blob = blob_of(&digest(b"other"), 5);
    let tried = Cell::new(0);
    let broken = |_| -> io::Result<Box<dyn Read + Send>> {
        tried.set(tried.get() + 1);
        Err(io::ErrorKind::PermissionDenied.into())
    };
    assert!(matches!(repository.upload(&blob, &broken), Err(Error::Upload(_))));
    assert_eq!(tried.get(), 1);
    let wrong = |_| -> io::Result<Box<dyn Read + Send>> { Ok(Box::new(Cursor::new(b"bytes"))) };
    let error = repository.upload(&blob, &wrong).unwrap_err();
    assert!(matches!(error, Error::Answer { status: 400, .. }), "{error:?}");
    let short = |_| -> io::Result<Box<dyn Read + Send>> { Ok(Box::new(Cursor::new(b"byt"))) };
    assert!(repository.upload(&blob, &short).is_err());
    registry.fail(When::method("POST", "uploads"), Fault::complaint(403, "DENIED", "read only"), 1);
    let error = upload(&repository, b"x").unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert!(error.to_string().ends_with("is denied: read only"), "{error}");
}

#[test]
fn blobs_are_mounted_and_manifests_put_and_deleted() {
    let registry = Registry::new();
    let blob = registry.put_blob("from", b"bytes").parse().unwrap();
    let client = client();
    let repository = repository(&client, &registry, "to");
    assert!(!repository.has_blob(&blob).unwrap());
    assert!(repository.mount(&blob, "from").unwrap());
    assert!(repository.has_blob(&blob).unwrap());
    assert!(!repository.mount(&digest(b"else").parse().unwrap(), "from").unwrap());
    assert_eq!(registry.open_uploads(), 0, "an upload that nobody asked for is ended");

    let digest = repository.put_manifest(&tag("1"), MANIFEST, b"{}").unwrap();
    assert_eq!(registry.manifest("to", "1"), Some((MANIFEST.to_owned(), b"{}".to_vec())));
    repository.put_manifest(&At::Digest(digest.clone()), MANIFEST, b"{}").unwrap();
    let other = repository.put_manifest(&At::Digest(digest.clone()), MANIFEST, b"{ }");
    assert!(matches!(other, Err(Error::WrongDigest { .. })));
    assert!(repository.delete_manifest(&tag("1")).unwrap());
    assert!(repository.delete_manifest(&At::Digest(digest.clone())).unwrap());
    assert!(!repository.delete_manifest(&At::Digest(digest)).unwrap());
    registry.fail(When::method("DELETE", ""), Fault::status(405), 1);
    assert_eq!(repository.delete_manifest(&tag("1")).unwrap_err().kind(), Kind::Unsupported);
}
