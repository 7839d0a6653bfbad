//! The JSON documents of images as strangers write them: OCI's index and manifest, Docker's `manifest.json`.
//!
//! Owns the bounds: a document is counted before it is built in memory, so that a megabyte of `[[],[],…` costs no
//! more than a megabyte. What isn't known is ignored here; whoever needs exact bytes keeps them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use corten_model::Digest;
use corten_model::platform::Platform;
use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::Error;

/// Media type of an OCI manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an OCI index.
pub const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of an OCI config.
pub const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of a plain layer.
pub const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";
/// Docker's manifest, which has OCI's fields.
pub const DOCKER_MANIFEST_TYPE: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's index.
pub const DOCKER_INDEX_TYPE: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's config.
pub const DOCKER_CONFIG_TYPE: &str = "application/vnd.docker.container.image.v1+json";

/// Bytes of one document. Registries take 4 MiB.
pub const DOCUMENT_BYTES_MAX: u64 = 4 << 20;
/// Bytes of all documents of one archive.
const TOTAL_BYTES_MAX: u64 = 16 << 20;
/// Values in all documents of one archive, objects and lists included: each takes about a hundred bytes of memory.
const VALUES_MAX: u64 = 200_000;

/// The annotation that says what an attestation belongs to.
const ATTESTATION: &str = "vnd.docker.reference.type";

/// A blob by type, digest and size (image-spec, descriptor.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    #[serde(default)]
    pub media_type: String,
    /// Of its bytes.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
    /// Remarks.
    #[serde(default, deserialize_with = "or_nothing", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What the image below it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformField>,
}

impl Descriptor {
    /// One without remarks.
    pub fn new(media_type: &str, digest: &Digest, size: u64) -> Self {
        let (media_type, digest) = (media_type.to_owned(), digest.clone());
        Self { media_type, digest, size, annotations: BTreeMap::new(), platform: None }
    }

    /// Whether it is an index.
    pub fn is_index(&self) -> bool {
        matches!(self.media_type.as_str(), INDEX_TYPE | DOCKER_INDEX_TYPE)
    }

    /// Whether it is an image's manifest.
    pub fn is_manifest(&self) -> bool {
        matches!(self.media_type.as_str(), MANIFEST_TYPE | DOCKER_MANIFEST_TYPE)
    }

    /// Whether it is what a builder says of the image beside it, and no image.
    pub fn is_attestation(&self) -> bool {
        self.annotations.contains_key(ATTESTATION)
            || self.platform.as_ref().is_some_and(|platform| platform.os == "unknown")
    }

    /// What the image below it runs on, if it says so.
    pub fn platform(&self) -> Option<Platform> {
        let field = self.platform.as_ref()?;
        Some(Platform::new(&field.os, &field.architecture, field.variant.as_deref()))
    }
}

/// A platform as a descriptor writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlatformField {
    /// As in a config.
    pub architecture: String,
    /// As in a config.
    pub os: String,
    /// Windows says it.
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// As in a config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// A manifest of one platform (image-spec, manifest.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// [`MANIFEST_TYPE`]; OCI allows none.
    #[serde(default)]
    pub media_type: String,
    /// The config.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// Remarks.
    #[serde(default, deserialize_with = "or_nothing", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Whether it describes an image, and not an artifact of another kind.
    pub fn is_image(&self) -> bool {
        matches!(self.config.media_type.as_str(), CONFIG_TYPE | DOCKER_CONFIG_TYPE)
    }
}

/// Several manifests below one digest (image-spec, image-index.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// [`INDEX_TYPE`]; OCI allows none.
    #[serde(default)]
    pub media_type: String,
    /// In order of preference.
    pub manifests: Vec<Descriptor>,
    /// Remarks.
    #[serde(default, deserialize_with = "or_nothing", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// One image of Docker's `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ArchivedImage {
    /// The config's place in the archive.
    pub config: String,
    /// Names with tags.
    #[serde(default, deserialize_with = "or_nothing")]
    pub repo_tags: Vec<String>,
    /// The layers' places, lowest first.
    pub layers: Vec<String>,
}

/// Go writes an empty list or map as `null`.
fn or_nothing<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(value: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

/// How much of all documents together is taken: what they become in memory is a few times as much.
#[derive(Debug)]
pub struct Budget {
    bytes: Cell<u64>,
    values: Cell<u64>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { bytes: Cell::new(TOTAL_BYTES_MAX), values: Cell::new(VALUES_MAX) }
    }
}

impl Budget {
    /// The document in `bytes`, which `what` names in errors.
    pub fn parse<T: DeserializeOwned>(&self, what: &str, bytes: &[u8]) -> Result<T, Error> {
        let size = bytes.len() as u64;
        if size > DOCUMENT_BYTES_MAX {
            return Err(Error::TooLarge { what: what.to_owned(), max: DOCUMENT_BYTES_MAX });
        }
        let Some(left) = self.bytes.get().checked_sub(size) else {
            return Err(Error::TooMany { what: "bytes of JSON", max: TOTAL_BYTES_MAX });
        };
        self.bytes.set(left);
        let bad = |source| Error::Document { what: what.to_owned(), source };
        let mut counted = serde_json::Deserializer::from_slice(bytes);
        match Count(&self.values).deserialize(&mut counted) {
            Err(_) if self.values.get() == 0 => {
                return Err(Error::TooMany { what: "values in JSON", max: VALUES_MAX });
            }
            other => other.map_err(bad)?,
        }
        serde_json::from_slice(bytes).map_err(bad)
    }
}

/// One document alone.
pub fn parse<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, Error> {
    Budget::default().parse(what, bytes)
}

/// Counts every value and keeps none.
struct Count<'c>(&'c Cell<u64>);

impl Count<'_> {
    fn one<E: serde::de::Error>(&self) -> Result<(), E> {
        match self.0.get().checked_sub(1) {
            Some(left) if left > 0 => {
                self.0.set(left);
                Ok(())
            }
            _ => {
                self.0.set(0);
                Err(E::custom("too many values"))
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Count<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Count<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.one()
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.one()
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.one()
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.one()
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        self.one()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.one()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.one()?;
        while list.next_element_seed(Count(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.one()?;
        while map.next_key::<serde::de::IgnoredAny>()?.is_some() {
            map.next_value_seed(Count(self.0))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use corten_model::Kind;

    use super::*;

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn manifest(layers: &str) -> String {
        format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"c","digest":"{DIGEST}","size":2}},"layers":{layers}}}"#
        )
    }

    #[test]
    fn a_manifest_with_what_go_writes() {
        let layer = format!(r#"[{{"mediaType":"l","digest":"{DIGEST}","size":2,"annotations":null,"x":1}}]"#);
        let manifest: Manifest = parse("m", manifest(&layer).as_bytes()).unwrap();
        assert_eq!(manifest.layers.len(), 1);
        assert!(manifest.annotations.is_empty());
    }

    #[test]
    fn malformed_manifests_are_errors() {
        let descriptor = |digest: &str, size: &str| {
            manifest(&format!(r#"[{{"mediaType":"l","digest":"{digest}","size":{size}}}]"#))
        };
        let check = |text: String| {
            let error = parse::<Manifest>("m", text.as_bytes()).unwrap_err();
            assert!(matches!(error, Error::Document { .. }), "{text}: {error:?}");
            assert_eq!(error.kind(), Kind::Invalid);
        };
        check(manifest("null"));
        check(manifest("{}"));
        check(descriptor(DIGEST, "-1"));
        check(descriptor(DIGEST, "1e30"));
        check(descriptor("sha256:../../../etc/passwd", "1"));
        check(descriptor(&DIGEST[..70], "1"));
        check(descriptor(&DIGEST.replace("sha256", "sha512"), "1"));
        check(descriptor(&DIGEST.to_uppercase(), "1"));
        check(format!("{}]", "[".repeat(100_000)));
        check(String::new());
    }

    #[test]
    fn what_is_too_much_is_counted_before_it_is_built() {
        let many = format!(r#"{{"annotations":{{}},"junk":[{}1]}}"#, "[],".repeat(1_000_000));
        assert!(matches!(parse::<Index>("i", many.as_bytes()), Err(Error::TooMany { .. })));
        let large = " ".repeat(DOCUMENT_BYTES_MAX as usize + 1);
        assert!(matches!(parse::<Index>("i", large.as_bytes()), Err(Error::TooLarge { .. })));
    }
}
