//! References to images: `[registry/]repository[:tag][@digest]`, normalised as Docker does.
//!
//! `hello` alone is ours (`corten/hello`), never Docker Hub's: it works without a network.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Digest, Invalid};

/// The registry of a name that names none.
pub const DEFAULT_REGISTRY: &str = "docker.io";
/// The tag of a name that names none.
pub const DEFAULT_TAG: &str = "latest";
/// The pseudo registry of what this binary brings along.
pub const BUILT_IN_REGISTRY: &str = "corten";

const REPOSITORY_MAX: usize = 255;
const TAG_MAX: usize = 128;

/// A normalised reference.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    /// `docker.io`, `localhost:5000`, `corten`.
    pub registry: String,
    /// `library/busybox`, `hello`.
    pub repository: String,
    /// Absent only when there is a digest.
    pub tag: Option<String>,
    /// The manifest's digest, if the reference is pinned.
    pub digest: Option<Digest>,
}

impl Reference {
    /// Whether this names an image that the binary makes itself.
    pub fn is_built_in(&self) -> bool {
        self.registry == BUILT_IN_REGISTRY
    }

    /// The repository as people write it: without `docker.io/` and `library/`.
    pub fn familiar_repository(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return format!("{}/{}", self.registry, self.repository);
        }
        self.repository.strip_prefix("library/").unwrap_or(&self.repository).to_owned()
    }

    /// The whole reference as people write it.
    pub fn familiar(&self) -> String {
        let mut text = self.familiar_repository();
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_str());
        }
        text
    }
}

impl fmt::Display for Reference {
    /// The full form: `docker.io/library/busybox:latest`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = |why: &str| Invalid::new("image reference", text, why);
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse::<Digest>().map_err(|e| bad(&e.why))?)),
            None => (text, None),
        };
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag {
            check_tag(tag).map_err(bad)?;
        }
        let (registry, repository) = match path.split_once('/') {
            Some((first, rest)) if is_registry(first) => (first.to_owned(), rest.to_owned()),
            Some(_) => (DEFAULT_REGISTRY.to_owned(), path.to_owned()),
            None if path == "hello" => (BUILT_IN_REGISTRY.to_owned(), path.to_owned()),
            None => (DEFAULT_REGISTRY.to_owned(), format!("library/{path}")),
        };
        check_registry(&registry).map_err(bad)?;
        check_repository(&repository).map_err(bad)?;
        let tag = match (tag, &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some(DEFAULT_TAG.to_owned()),
        };
        Ok(Self {
            registry: if registry == "index.docker.io" { DEFAULT_REGISTRY.into() } else { registry },
            repository,
            tag,
            digest,
        })
    }
}

fn is_registry(part: &str) -> bool {
    part == "localhost" || part == BUILT_IN_REGISTRY || part.contains('.') || part.contains(':')
}

fn check_registry(registry: &str) -> Result<(), &'static str> {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'[' || b == b']');
    let all =
        registry.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'));
    if all && edge(registry.bytes().next()) && edge(registry.bytes().last()) && !registry.contains("..") {
        return Ok(());
    }
    Err("a registry is a host's name or address, with an optional port")
}

fn check_tag(tag: &str) -> Result<(), &'static str> {
    let mut bytes = tag.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    let rest = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if first && rest && tag.len() <= TAG_MAX {
        Ok(())
    } else {
        Err("a tag is up to 128 of `a-z A-Z 0-9 _ . -`")
    }
}

fn check_repository(repository: &str) -> Result<(), &'static str> {
    let part_ok = |part: &str| {
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        edge(part.bytes().next())
            && edge(part.bytes().last())
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'))
            && !part.contains("..")
            && !part.contains("___")
    };
    if repository.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("a repository's name is lowercase");
    }
    if !repository.is_empty() && repository.len() <= REPOSITORY_MAX && repository.split('/').all(part_ok) {
        return Ok(());
    }
    Err("a repository's name is parts of `a-z 0-9 . _ -` between slashes")
}

impl TryFrom<String> for Reference {
    type Error = Invalid;
    fn try_from(s: String) -> Result<Self, Invalid> {
        s.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> String {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_normalised() {
        for (text, full, familiar) in [
            ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
            ("me/app:1", "docker.io/me/app:1", "me/app:1"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest", "localhost:5000/a/b:latest"),
            ("hello", "corten/hello:latest", "corten/hello:latest"),
            ("corten/hello", "corten/hello:latest", "corten/hello:latest"),
            ("index.docker.io/library/x", "docker.io/library/x:latest", "x:latest"),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), full);
            assert_eq!(reference.familiar(), familiar);
            assert_eq!(full.parse::<Reference>().unwrap(), reference);
        }
    }

    #[test]
    fn a_digest_pins_and_needs_no_tag() {
        let text = format!("busybox@sha256:{}", "a".repeat(64));
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.tag, None);
        assert_eq!(reference.familiar(), text);
    }

    #[test]
    fn what_is_no_reference() {
        for bad in
            ["", ":x", "Busybox", "a//b", "../x", "a:", "a@sha256:12", "a b", "-a", "a..b/c", "a:b/c:d:e"]
        {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }
}
