//! Whom the client trusts.

use std::path::Path;

use corten_images::registry::{Anonymous, MANIFEST_TYPES};
use corten_model::Kind;
use corten_tests::registry::{Authority, INDEX, Registry, Setup};

use super::*;

fn registry(authority: Authority, client_certificates: bool) -> Registry {
    let registry = Registry::with(Setup { tls: Some(authority), client_certificates, ..Setup::default() });
    registry.put_manifest("a", Some("1"), INDEX, b"{}");
    registry
}

fn pull(registry: &Registry, settings: Settings) -> Result<(), Error> {
    let client = client_with(settings, Anonymous);
    repository(&client, registry, "a").manifest(&tag("1"), &MANIFEST_TYPES).map(drop)
}

fn with_certs(directory: &Path) -> Settings {
    Settings { certs_dirs: vec![directory.join("absent"), directory.to_owned()], ..settings() }
}

#[test]
fn a_ca_of_its_own_is_trusted_and_another_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, other) = (Authority::new(), Authority::new());
    let ca = authority.pem().to_owned();
    let registry = registry(authority, false);
    let place = directory.path().join(registry.host());
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("ca.crt"), other.pem()).unwrap();
    let error = pull(&registry, with_certs(directory.path())).unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    assert_eq!(error.kind(), Kind::Denied);
    std::fs::write(place.join("ca.crt"), ca).unwrap();
    pull(&registry, with_certs(directory.path())).unwrap();
    // On the loopback nobody is in between: without a word about its CA the registry is talked to all the same.
    pull(&registry, settings()).unwrap();
    std::fs::write(place.join("ca.crt"), "nothing").unwrap();
    let error = pull(&registry, with_certs(directory.path())).unwrap_err();
    assert!(matches!(error, Error::Certificate { .. }), "{error:?}");
}

#[test]
fn a_client_shows_its_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ca = authority.pem().to_owned();
    let (cert, key) = authority.sign(&["me"]);
    let (_, other_key) = authority.sign(&["other"]);
    let registry = registry(authority, true);
    let place = directory.path().join(registry.host());
    std::fs::create_dir(&place).unwrap();
    let write = |name: &str, text: &str| std::fs::write(place.join(name), text).unwrap();
    write("ca.crt", &ca);
    assert!(pull(&registry, with_certs(directory.path())).is_err());
    write("client.cert", &cert);
    let said = pull(&registry, with_certs(directory.path())).unwrap_err().to_string();
    assert!(said.contains("client.key` is missing"), "{said}");
    write("client.key", &other_key);
    let said = pull(&registry, with_certs(directory.path())).unwrap_err().to_string();
    assert!(said.contains("don't belong together"), "{said}");
    write("client.key", &key);
    pull(&registry, with_certs(directory.path())).unwrap();
}

#[test]
fn one_that_is_configured_to_be_plain_is_not_asked_for_tls() {
    let registry = Registry::new();
    registry.put_manifest("a", Some("1"), INDEX, b"{}");
    let settings = Settings { plain_http: vec!["127.0.0.1".parse().unwrap()], ..settings() };
    pull(&registry, settings).unwrap();
    assert_eq!(registry.seen().len(), 1);
}
