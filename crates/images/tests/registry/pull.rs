//! What is read, and what of it goes wrong and comes right again.

use std::io::Read as _;

use corten_images::registry::settings::{Mirror, Retries};
use corten_images::registry::{Anonymous, At, Cancel, Client, Error, MANIFEST_TYPES, ShortNames};
use corten_model::Kind;
use corten_tests::registry::{CONFIG, Fault, INDEX, LAYER, MANIFEST, Registry, When, digest};

use super::*;

#[test]
fn a_manifest_and_its_blobs() {
    let registry = Registry::new();
    let layer = bytes(300_000);
    let manifest = registry.put_image("a/b", Some("1"), b"{}", &[(LAYER, &layer)]);
    let client = client();
    let repository = repository(&client, &registry, "a/b");
    let fetched = repository.manifest(&tag("1"), &MANIFEST_TYPES).unwrap();
    assert_eq!((fetched.digest.as_str(), fetched.media_type.as_str()), (manifest.as_str(), MANIFEST));
    assert_eq!(fetched.source, registry.host());
    let at = At::Digest(fetched.digest.clone());
    assert_eq!(repository.manifest(&at, &MANIFEST_TYPES).unwrap(), fetched);
    let head = repository.head(&tag("1"), &MANIFEST_TYPES).unwrap().unwrap();
    assert_eq!((head.digest.as_ref(), head.size_bytes), (Some(&fetched.digest), fetched.bytes.len() as u64));
    assert_eq!(repository.head(&tag("2"), &MANIFEST_TYPES).unwrap(), None);

    let blob = blob_of(&digest(&layer), layer.len());
    assert_eq!(read(&repository, &blob, 0).unwrap(), layer);
    assert_eq!(read(&repository, &blob, 299_990).unwrap(), &layer[299_990..]);
    assert_eq!(read(&repository, &blob, 300_000).unwrap(), b"");
    assert!(repository.blob(&blob, 300_001).is_err());
    assert!(repository.has_blob(&blob.digest).unwrap());
    assert!(!repository.has_blob(&digest(b"else").parse().unwrap()).unwrap());
    // One to ask whether it speaks plain HTTP, and it stays.
    assert_eq!(registry.connected(), 1);
    assert!(registry.seen().iter().all(|request| request.header("authorization").is_none()));
    assert_eq!(
        registry.seen_with("GET", "manifests/1")[0].header("accept"),
        Some(&*MANIFEST_TYPES.join(", "))
    );
}

#[test]
fn what_isnt_there_is_said_as_docker_says_it() {
    let registry = Registry::new();
    registry.put_manifest("there", Some("1"), INDEX, b"{}");
    let client = client();
    let error = |name: &str, at: &str| {
        repository(&client, &registry, name).manifest(&tag(at), &MANIFEST_TYPES).unwrap_err()
    };
    let host = registry.host();
    let unknown = error("there", "2");
    assert_eq!(unknown.to_string(), format!("manifest for {host}/there:2 not found: manifest unknown"));
    assert_eq!(unknown.kind(), Kind::NotFound);
    assert_eq!(error("absent", "1").kind(), Kind::NotFound);
    registry.fail(When::target("denied"), Fault::complaint(403, "DENIED", "not for you"), 1);
    let denied = error("denied", "1");
    assert_eq!(
        denied.to_string(),
        format!(
            "pull access denied for {host}/denied, repository does not exist or may require 'docker login'"
        )
    );
    assert_eq!(denied.kind(), Kind::Denied);
    let blob = blob_of(&digest(b"x"), 1);
    let said = read(&repository(&client, &registry, "there"), &blob, 0).unwrap_err();
    assert!(said.contains("is unknown to"), "{said}");
    let old = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    registry.put_manifest("there", Some("old"), old, b"{}");
    assert!(matches!(error("there", "old"), Error::OldFormat { .. }));
}

#[test]
fn a_blob_goes_on_where_its_connection_broke() {
    let registry = Registry::new();
    let layer = bytes(500_000);
    let blob = blob_of(&registry.put_blob("a", &layer), layer.len());
    let client = client();
    let repository = repository(&client, &registry, "a");
    let check = |fault: Fault, times: usize, asked: usize| {
        registry.fail(When::target("/blobs/"), fault.clone(), times);
        let before = registry.seen_with("GET", "/blobs/").len();
        assert_eq!(read(&repository, &blob, 0).unwrap(), layer, "{fault:?}");
        let seen = registry.seen_with("GET", "/blobs/").split_off(before);
        assert_eq!(seen.len(), asked, "{fault:?}");
        seen
    };
    let seen = check(Fault::Cut { after: 123_456 }, 2, 3);
    assert_eq!(seen[1].header("range"), Some("bytes=123456-"));
    assert_eq!(seen[2].header("range"), Some("bytes=246912-"));
    check(Fault::Close, 2, 3);
    check(Fault::status(503), 3, 4);
    check(Fault::NoLength, 1, 1);
    // A server that knows no ranges: what is there already is passed over.
    registry.fail(When::target("/blobs/"), Fault::Cut { after: 99_999 }, 1);
    registry.fail(When::target("/blobs/"), Fault::WholeRange, 1);
    assert_eq!(read(&repository, &blob, 0).unwrap(), layer);
    // An answer with another part than was asked for is none.
    registry.fail(When::target("/blobs/"), Fault::Cut { after: 1000 }, 1);
    let headers = vec![("Content-Range".to_owned(), "bytes 0-499999/500000".to_owned())];
    registry.fail(When::target("/blobs/"), Fault::Headers(headers), 1);
    assert!(read(&repository, &blob, 0).is_err());
}

#[test]
fn a_blob_has_the_size_that_was_promised() {
    let registry = Registry::new();
    let digest = registry.put_blob("a", &bytes(1000));
    let client = client();
    let repository = repository(&client, &registry, "a");
    let check = |size: usize, fault: Option<Fault>, expected: &str| {
        if let Some(fault) = fault {
            registry.fail(When::target("/blobs/"), fault, 1);
        }
        let said = read(&repository, &blob_of(&digest, size), 0).unwrap_err();
        assert!(said.contains(expected), "{said}");
    };
    check(999, None, "gave 1000 bytes");
    check(1001, None, "gave 1000 bytes");
    check(999, Some(Fault::NoLength), "gave 1000 bytes");
    check(1000, Some(Fault::Endless), "gave 1001 bytes");
}

#[test]
fn what_fails_for_a_while_is_tried_again_and_no_longer() {
    let registry = Registry::new();
    registry.put_manifest("a", Some("1"), INDEX, b"{}");
    let client = client();
    let repository = repository(&client, &registry, "a");
    let check = |fault: Fault, times: usize| {
        registry.fail(When::target("/manifests/"), fault, times);
        let before = registry.seen_with("GET", "/manifests/").len();
        let result = repository.manifest(&tag("1"), &MANIFEST_TYPES);
        (result, registry.seen_with("GET", "/manifests/").len() - before)
    };
    for fault in [Fault::status(500), Fault::status(503), Fault::TooMany { retry_after: "0".into() }] {
        let (result, asked) = check(fault, 3);
        assert!(result.is_ok() && asked == 4);
    }
    let (result, asked) = check(Fault::status(502), 4);
    assert!(matches!(result, Err(Error::Answer { status: 502, .. })) && asked == 4);
    // Nobody waits for an hour.
    let (result, asked) = check(Fault::TooMany { retry_after: "3600".into() }, 1);
    assert!(matches!(result, Err(Error::TooManyRequests { .. })) && asked == 1);
    assert!(check(Fault::TooMany { retry_after: "Sun, 06 Nov 1994 08:49:37 GMT".into() }, 1).0.is_ok());
    let (result, asked) = check(Fault::complaint(400, "X", "no"), 1);
    assert_eq!((result.unwrap_err().to_string().ends_with("answered 400: no"), asked), (true, 1));
}

#[test]
fn mirrors_are_asked_first_and_only_for_what_is_read() {
    let (registry, mirror) = (Registry::new(), Registry::new());
    let layer = bytes(1000);
    let manifest = registry.put_image("a", Some("1"), b"{}", &[(LAYER, &layer)]);
    mirror.put_image("hub/a", Some("1"), b"{}", &[]);
    let line = |at: &str| -> Mirror { format!("{}={at}", registry.host()).parse().unwrap() };
    let mut settings = settings();
    settings.mirrors = vec![line("127.0.0.1:1"), line(&format!("http://{}/hub", mirror.host()))];
    let client = client_with(settings, Anonymous);
    let repository = repository(&client, &registry, "a");
    let fetched = repository.manifest(&tag("1"), &MANIFEST_TYPES).unwrap();
    assert_eq!(fetched.source, mirror.host());
    assert_ne!(fetched.digest.as_str(), manifest);
    let asked = &mirror.seen_with("GET", "manifests")[0];
    assert_eq!(asked.query("ns"), [registry.host()]);
    // What the mirror lacks, damages or refuses is had from the registry.
    assert_eq!(read(&repository, &blob_of(&digest(&layer), 1000), 0).unwrap(), layer);
    let at = At::Digest(manifest.parse().unwrap());
    assert_eq!(repository.manifest(&at, &MANIFEST_TYPES).unwrap().source, registry.host());
    mirror.fail(When::target("manifests"), Fault::html(200), 1);
    assert_eq!(repository.manifest(&tag("1"), &MANIFEST_TYPES).unwrap().source, registry.host());
    repository.put_manifest(&tag("2"), CONFIG, b"{}").unwrap();
    assert!(mirror.tags("hub/a") == ["1"] && registry.tags("a") == ["1", "2"]);
}

#[test]
fn names_mean_what_docker_means_unless_they_have_to_be_full() {
    let name = |policy: ShortNames, name: &str| {
        let client = client_with(Settings { short_names: policy, ..settings() }, Anonymous);
        client.resolve_name(name).map(|reference| reference.to_string()).map_err(|error| error.to_string())
    };
    assert_eq!(name(ShortNames::Docker, "busybox").unwrap(), "docker.io/library/busybox:latest");
    assert!(name(ShortNames::FullOnly, "busybox").unwrap_err().contains("doesn't say which registry"));
    assert!(name(ShortNames::FullOnly, "me/app").is_err());
    assert_eq!(name(ShortNames::FullOnly, "ghcr.io/me/app:1").unwrap(), "ghcr.io/me/app:1");
    assert_eq!(name(ShortNames::FullOnly, "docker.io/me/app").unwrap(), "docker.io/me/app:latest");
    assert_eq!(name(ShortNames::FullOnly, "hello").unwrap(), "corten/hello:latest");
    let blocked = Settings { blocked: vec!["docker.io/evil".parse().unwrap()], ..settings() };
    let client = client_with(blocked, Anonymous);
    let reference = client.resolve_name("evil/app").unwrap();
    assert!(matches!(client.repository(&reference), Err(Error::Blocked { .. })));
}

#[test]
fn who_gives_up_waits_no_longer() {
    let registry = Registry::new();
    let layer = bytes(100_000);
    let blob = blob_of(&registry.put_blob("a", &layer), layer.len());
    registry.fail(When::target("/blobs/"), Fault::Stall { after: 1000 }, 1);
    let cancel = Cancel::new();
    let client = Client::new(settings(), Arc::new(Anonymous), cancel.clone());
    let mut reader = repository(&client, &registry, "a").blob(&blob, 0).unwrap();
    reader.read_exact(&mut [0; 1000]).unwrap();
    let reading = std::thread::spawn(move || reader.read(&mut [0; 10]).unwrap_err());
    cancel.cancel();
    let error = reading.join().unwrap();
    assert!(matches!(Error::within(&error), Some(Error::Cancelled)), "{error:?}");
    let asked = repository(&client, &registry, "a").manifest(&tag("1"), &MANIFEST_TYPES);
    assert!(matches!(asked, Err(Error::Cancelled)));
    // A pause between two tries ends too.
    let long = Duration::from_secs(3600);
    let retries = Retries { tries: 2, first_pause: long, longest_pause: long };
    let cancel = Cancel::new();
    let client = Client::new(Settings { retries, ..settings() }, Arc::new(Anonymous), cancel.clone());
    let waiting = repository(&client, &registry, "a");
    registry.fail(When::target("/manifests/"), Fault::status(503), 9);
    let waiting = std::thread::spawn(move || waiting.manifest(&tag("1"), &MANIFEST_TYPES));
    cancel.cancel();
    assert!(matches!(waiting.join().unwrap(), Err(Error::Cancelled)));
}
