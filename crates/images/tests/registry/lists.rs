//! Tags and referrers, in pages and below tags.

use corten_images::registry::Anonymous;
use corten_images::registry::settings::Limits;
use corten_tests::registry::{CONFIG, Fault, INDEX, MANIFEST, Registry, Setup, When};

use super::*;

#[test]
fn tags_come_in_pages_that_end() {
    let registry = Registry::with(Setup { page: Some(2), ..Setup::default() });
    for tag in ["a", "b", "c", "d", "e"] {
        registry.put_manifest("r", Some(tag), INDEX, b"{}");
    }
    let client = client();
    let repository = repository(&client, &registry, "r");
    assert_eq!(repository.tags().unwrap(), ["a", "b", "c", "d", "e"]);
    assert_eq!(registry.seen_with("GET", "/tags/list").len(), 3);
    let link = |to: &str| Fault::Headers(vec![("Link".into(), format!("<{to}>; rel=\"next\""))]);
    registry.fail(When::target("/tags/list"), link("https://evil.example/x"), 1);
    assert!(matches!(repository.tags(), Err(Error::NotARegistry { .. })));
    let limits = Limits { pages: 5, ..Limits::default() };
    let client = client_with(Settings { limits, ..settings() }, Anonymous);
    registry.fail(When::target("/tags/list"), link("?last=0"), 100);
    let error = super::repository(&client, &registry, "r").tags().unwrap_err();
    assert!(matches!(error, Error::TooManyPages { max: 5, .. }), "{error:?}");
    assert!(super::repository(&client, &registry, "absent").tags().is_err());
}

fn signature(subject: &Digest, kind: &str) -> Vec<u8> {
    let subject = serde_json::json!({ "mediaType": MANIFEST, "digest": subject, "size": 2 });
    serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "subject": subject,
        "config": { "mediaType": CONFIG, "digest": corten_tests::registry::digest(b"{}"), "size": 2 },
        "layers": [], "annotations": { "by": "me" },
    })
    .to_string()
    .into_bytes()
}

#[test]
fn referrers_are_listed_whether_the_registry_knows_them_or_not() {
    for no_referrers in [false, true] {
        let registry = Registry::with(Setup { no_referrers, page: Some(1), ..Setup::default() });
        let client = client();
        let repository = repository(&client, &registry, "r");
        let subject = repository.put_manifest(&tag("1"), MANIFEST, b"{}").unwrap();
        assert_eq!(repository.referrers(&subject, None).unwrap(), []);
        for kind in ["a/x", "a/y", "a/y"] {
            let bytes = signature(&subject, kind);
            let at = At::Digest(corten_tests::registry::digest(&bytes).parse().unwrap());
            repository.put_manifest(&at, MANIFEST, &bytes).unwrap();
        }
        let all = repository.referrers(&subject, None).unwrap();
        assert_eq!(all.len(), 2, "the same twice is one: {all:?}");
        let some = repository.referrers(&subject, Some("a/y")).unwrap();
        assert_eq!(some.len(), 1);
        assert_eq!(some[0].artifact_type.as_deref(), Some("a/y"));
        assert_eq!(some[0].descriptor.media_type, MANIFEST);
        let tags = registry.tags("r");
        let expected = format!("sha256-{}", subject.hex());
        assert_eq!(tags.contains(&expected), no_referrers, "{tags:?}");
    }
}
