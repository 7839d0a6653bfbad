//! What a registry, or somebody on the way to it, can't make us do.

use corten_images::registry::settings::Limits;
use corten_images::registry::{Anonymous, MANIFEST_TYPES};
use corten_model::Kind;
use corten_tests::registry::{Authority, Fault, INDEX, Login, Registry, Setup, When, digest};

use super::*;

fn manifest(client: &Client, registry: &Registry, name: &str) -> Result<Vec<u8>, Error> {
    repository(client, registry, name).manifest(&tag("1"), &MANIFEST_TYPES).map(|fetched| fetched.bytes)
}

#[test]
fn credentials_stay_behind_when_a_blob_is_elsewhere() {
    let store = Registry::new();
    let content = bytes(1000);
    let blob = blob_of(&store.put_blob("b", &content), 1000);
    for login in [Login::basic("me", "hunter2"), Login::bearer("me", "hunter2")] {
        let registry = Registry::with(Setup { login, ..Setup::default() });
        let client = client_with(settings(), Kept::password(&registry.host(), "me", "hunter2"));
        let to = format!("{}/v2/b/blobs/{}", store.url(), blob.digest);
        // The first answer asks who we are.
        registry.fail(When::target("/blobs/").after(1), Fault::Redirect { status: 307, to }, 1);
        assert_eq!(read(&repository(&client, &registry, "b"), &blob, 0).unwrap(), content);
        let asked = registry.seen_with("GET", "/blobs/").pop().unwrap();
        assert!(asked.header("authorization").is_some());
    }
    let elsewhere = store.seen_with("GET", "/blobs/");
    assert_eq!(elsewhere.len(), 2);
    assert!(elsewhere.iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn redirects_end_and_never_leave_tls() {
    let plain = Registry::new();
    plain.put_manifest("a", Some("1"), INDEX, b"{}");
    let to = format!("{}/v2/a/manifests/1", plain.url());
    plain.fail(When::target("/manifests/"), Fault::Redirect { status: 302, to: to.clone() }, 1000);
    let error = manifest(&client(), &plain, "a").unwrap_err();
    assert!(matches!(error, Error::Redirect { .. }), "{error:?}");
    assert_eq!(plain.seen_with("GET", "/manifests/").len(), 11);

    let secure = Registry::with(Setup { tls: Some(Authority::new()), ..Setup::default() });
    secure.fail(When::target("/manifests/"), Fault::Redirect { status: 302, to }, 1);
    let error = manifest(&client(), &secure, "a").unwrap_err();
    assert!(error.to_string().contains("whoever is in between"), "{error}");
    assert_eq!(error.kind(), Kind::Denied);
    for to in ["file:///etc/passwd", "gopher://x/", "https://u:p@127.0.0.1/", "http://", ""] {
        secure.fail(When::target("/manifests/"), Fault::Redirect { status: 302, to: to.into() }, 1);
        assert!(manifest(&client(), &secure, "a").is_err(), "{to}");
    }
}

#[test]
fn a_token_server_gets_no_password_in_the_clear_and_none_for_another_registry() {
    let thief = Registry::with(Setup { login: Login::bearer("me", "hunter2"), ..Setup::default() });
    // Not one of the loopback: nobody has configured it to be plain.
    let realm = |realm: String| {
        let login = Login::Bearer {
            user: "me".into(),
            password: "hunter2".into(),
            strangers_pull: false,
            expires_in: None,
            realm: Some(realm),
        };
        Registry::with(Setup { login, ..Setup::default() })
    };
    let check = |registry: &Registry, host: &str| {
        let client = client_with(settings(), Kept::password(host, "me", "hunter2"));
        manifest(&client, registry, "a").unwrap_err()
    };
    for bad in ["http://192.0.2.1/token", "ftp://127.0.0.1/", "not an address", "https://u:p@127.0.0.1/"] {
        let registry = realm(bad.into());
        let error = check(&registry, &registry.host());
        assert!(matches!(error, Error::Challenge { .. }), "{bad}: {error:?}");
    }
    // A mirror, or any registry, that names somebody else's token server gets it nothing but an anonymous visit.
    let registry = realm(format!("{}/token", thief.url()));
    let error = check(&registry, &thief.host());
    assert!(matches!(error, Error::PullDenied { .. }), "{error:?}");
    assert!(thief.seen_with("GET", "/token").iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn a_token_server_that_lies_or_loops_is_asked_a_few_times() {
    let answer = |body: &str| Fault::Answer {
        status: 200,
        headers: vec![("Content-Type".into(), "application/json".into())],
        body: body.as_bytes().to_vec(),
    };
    let long = format!(r#"{{"token":"{}"}}"#, "x".repeat(100_000));
    let check = |fault: Fault| {
        let registry = Registry::with(Setup { login: Login::bearer("me", "p"), ..Setup::default() });
        registry.fail(When::target("/token"), fault.clone(), 1000);
        let client = client_with(settings(), Kept::password(&registry.host(), "me", "p"));
        assert!(manifest(&client, &registry, "a").is_err(), "{fault:?}");
        let asked = registry.seen_with("GET", "/token").len();
        assert!(asked <= 8, "{fault:?}: {asked}");
    };
    check(answer(r#"{"token":"worthless","expires_in":0}"#));
    check(answer(r#"{"token":""}"#));
    check(answer(r#"{"token":"a\r\nX-Evil: 1"}"#));
    check(answer(r#"{"token":17}"#));
    check(answer(&long));
    check(answer("<html>"));
    check(Fault::Endless);
    check(Fault::status(503));
    let own = Fault::Redirect { status: 302, to: "/token?again".into() };
    let registry = Registry::with(Setup { login: Login::bearer("me", "p"), ..Setup::default() });
    registry.fail(When::target("/token"), own, 1000);
    let client = client_with(settings(), Kept::password(&registry.host(), "me", "p"));
    assert!(matches!(manifest(&client, &registry, "a"), Err(Error::Redirect { .. })));
}

#[test]
fn manifests_have_their_digest_and_a_bounded_size() {
    let registry = Registry::new();
    registry.put_manifest("a", Some("1"), INDEX, b"{\"a\":1}");
    let client = client();
    let check = |fault: Fault| {
        registry.fail(When::target("/manifests/"), fault.clone(), 1);
        manifest(&client, &registry, "a").map(|_| panic!("{fault:?}")).unwrap_err()
    };
    // The header tells the digest of the bytes that were meant.
    assert!(matches!(check(Fault::WrongByte), Error::WrongDigest { .. }));
    let other = digest(b"other");
    let lie = Fault::Headers(vec![("Docker-Content-Digest".into(), other.clone())]);
    assert!(matches!(check(lie), Error::WrongDigest { .. }));
    let huge = Fault::Headers(vec![("Content-Length".into(), "104857600".into())]);
    assert!(matches!(check(huge), Error::TooLarge { .. }));
    assert!(matches!(check(Fault::Endless), Error::TooLarge { .. }));
    let error = check(Fault::html(200));
    assert!(matches!(error, Error::NotARegistry { .. }) && error.hint().is_some(), "{error:?}");
    let by_digest = repository(&client, &registry, "a");
    registry.fail(
        When::target("/manifests/"),
        Fault::Answer { status: 200, headers: Vec::new(), body: b"{}".to_vec() },
        1,
    );
    let error = by_digest.manifest(&At::Digest(other.parse().unwrap()), &MANIFEST_TYPES).unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error:?}");
    for garbage in ["[[[[[[", "\"text\"", "{\"mediaType\":7}", ""] {
        let body = garbage.as_bytes().to_vec();
        check(Fault::Answer { status: 200, headers: Vec::new(), body });
    }
}

#[test]
fn a_registry_leads_nobody_to_services_of_this_machine() {
    let (registry, service) = (Registry::new(), Registry::new());
    service.put_manifest("a", Some("1"), INDEX, b"{}");
    let dir = tempfile::tempdir().unwrap();
    let hosts = dir.path().join("hosts");
    std::fs::write(&hosts, "127.0.0.1 r.example\n127.0.0.1 inside.example\n").unwrap();
    let mut settings = settings();
    settings.names.hosts = hosts;
    settings.plain_http = ["r.example", "inside.example"].map(|host| host.parse().unwrap()).to_vec();
    let client = client_with(settings, Anonymous);
    let name = format!("r.example:{}/a", registry.port());
    let repository = client.repository(&client.resolve_name(&name).unwrap()).unwrap();
    for host in ["127.0.0.1", "localhost", "inside.example", "[::1]", "169.254.169.254"] {
        let to = format!("http://{host}:{}/v2/a/manifests/1", service.port());
        registry.fail(When::target("/manifests/"), Fault::Redirect { status: 302, to }, 1);
        let error = repository.manifest(&tag("1"), &MANIFEST_TYPES).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(cause.contains("an address of this machine or its link"), "{host}: {error:?}");
    }
    assert_eq!(service.seen().len(), 0);
    // Its own host, whatever the port, is where somebody wanted to go.
    let to = format!("http://r.example:{}/v2/a/manifests/1", service.port());
    registry.fail(When::target("/manifests/"), Fault::Redirect { status: 302, to }, 1);
    repository.manifest(&tag("1"), &MANIFEST_TYPES).unwrap();
}

#[test]
fn who_says_nothing_is_not_waited_for() {
    let registry = Registry::new();
    let content = bytes(10_000);
    let blob = blob_of(&registry.put_blob("a", &content), content.len());
    let limits = Limits { stall: Duration::from_millis(300), ..Limits::default() };
    let client = client_with(Settings { limits, ..settings() }, Anonymous);
    registry.fail(When::target("/manifests/"), Fault::Silence, 100);
    let error = manifest(&client, &registry, "a").unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert_eq!(error.kind(), Kind::Unavailable);
    // A blob that stalls is asked for again from where it was.
    registry.fail(When::target("/blobs/"), Fault::Stall { after: 4000 }, 1);
    assert_eq!(read(&repository(&client, &registry, "a"), &blob, 0).unwrap(), content);
    assert_eq!(registry.seen_with("GET", "/blobs/")[1].header("range"), Some("bytes=4000-"));
}

#[test]
fn nobody_there_is_said_at_once() {
    let port = Registry::new().port();
    let client = client();
    let reference = client.resolve_name(&format!("127.0.0.1:{port}/a")).unwrap();
    let error = client.repository(&reference).unwrap().manifest(&tag("1"), &MANIFEST_TYPES).unwrap_err();
    assert!(matches!(error, Error::Connection { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("cannot talk to 127.0.0.1:{port}"));
}

#[test]
fn no_error_and_no_debug_output_has_a_secret() {
    let registry = Registry::with(Setup { login: Login::basic("me", "other"), ..Setup::default() });
    let kept = Kept::password(&registry.host(), "me", "hunter2");
    let shown = format!("{:?}", kept.get(&registry.host(), "").unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
    let client = client_with(settings(), kept);
    let error = manifest(&client, &registry, "a").unwrap_err();
    let encoded = "bWU6aHVudGVyMg";
    let shown = format!("{error:?} {error} {client:?}");
    assert!(!shown.contains("hunter2") && !shown.contains(encoded), "{shown}");
}
