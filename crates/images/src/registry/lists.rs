//! Lists that come in pages: the tags of a repository, and what refers to a manifest.

use corten_model::Digest;
use serde::{Deserialize, Serialize};
use ureq::http::{Method, StatusCode, header};

use super::endpoint::Endpoint;
use super::repository::{At, MANIFEST_TYPES, PULL};
use super::request::{Answer, Ask};
use super::url::Url;
use super::{Error, Repository};
use crate::Descriptor;
use crate::document::INDEX_TYPE;

/// Names and descriptors of one list.
const ENTRIES_MAX: usize = 1_000_000;
/// What a registry says that has looked at the `subject` of a manifest.
const SUBJECT_HEADER: &str = "oci-subject";
/// What a registry says that has left out what wasn't asked for.
const FILTERS_HEADER: &str = "oci-filters-applied";

/// What refers to a manifest: a signature, a list of its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Referrer {
    /// Its manifest.
    #[serde(flatten)]
    pub descriptor: Descriptor,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

/// An index of them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referrers {
    schema_version: u32,
    media_type: String,
    manifests: Vec<Referrer>,
}

/// A manifest, as far as it says what it refers to.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referring {
    subject: Option<Descriptor>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Tags {
    // Go writes an empty list as `null`.
    tags: Option<Vec<String>>,
}

impl Repository {
    /// Every tag, in the registry's order.
    pub fn tags(&self) -> Result<Vec<String>, Error> {
        self.first(|endpoint| {
            let ask = self.ask(endpoint, Method::GET, "tags/list", PULL)?;
            let mut all = Vec::new();
            self.pages(endpoint, ask, "tags", |answer| {
                if answer.status() == StatusCode::NOT_FOUND {
                    let (_, _, _, said) = answer.complaint();
                    return Err(Error::PullDenied { repository: self.name.clone(), said });
                }
                let page: Tags = self.document(answer, "the list of tags")?;
                all.extend(page.tags.unwrap_or_default());
                Ok(Some(all.len()))
            })?;
            Ok(all)
        })
    }

    /// What refers to a manifest; only what is of `artifact_type`, if that is given.
    pub fn referrers(&self, digest: &Digest, artifact_type: Option<&str>) -> Result<Vec<Referrer>, Error> {
        let found = self.first(|endpoint| {
            let mut ask = self.ask(endpoint, Method::GET, &format!("referrers/{digest}"), PULL)?;
            ask.headers.push((header::ACCEPT, INDEX_TYPE.to_owned()));
            if let Some(artifact_type) = artifact_type {
                ask.url = ask.url.with_query("artifactType", artifact_type);
            }
            let (mut all, mut filtered, mut absent) = (Vec::new(), true, false);
            self.pages(endpoint, ask, "referrers", |answer| {
                if answer.status() == StatusCode::NOT_FOUND {
                    absent = true;
                    return Ok(None);
                }
                filtered &= answer.header(FILTERS_HEADER).is_some_and(|text| text.contains("artifactType"));
                let page: Referrers = self.document(answer, "the list of referrers")?;
                all.extend(page.manifests);
                Ok(Some(all.len()))
            })?;
            Ok((all, filtered, absent))
        });
        let (mut all, filtered, absent) = found?;
        if absent {
            all = self.tagged_referrers(digest)?.0;
        }
        if let Some(wanted) = artifact_type
            && (!filtered || absent)
        {
            all.retain(|referrer| referrer.artifact_type.as_deref() == Some(wanted));
        }
        Ok(all)
    }

    /// Where a registry has no list of its own, whoever pushes keeps one below a tag (distribution-spec, Pushing
    /// Manifests with Subject).
    pub(super) fn note_subject(&self, answer: &Answer, media_type: &str, bytes: &[u8]) -> Result<(), Error> {
        if answer.header(SUBJECT_HEADER).is_some() {
            return Ok(());
        }
        let Ok(manifest) = crate::parse::<Referring>("the manifest", bytes) else { return Ok(()) };
        let Some(subject) = manifest.subject else { return Ok(()) };
        let (mut all, is_ours) = self.tagged_referrers(&subject.digest)?;
        let digest = crate::digest_of(bytes);
        if !is_ours || all.iter().any(|referrer| referrer.descriptor.digest == digest) {
            return Ok(());
        }
        let mut descriptor = Descriptor::new(media_type, &digest, bytes.len() as u64);
        descriptor.annotations = manifest.annotations;
        let kind = manifest.artifact_type.filter(|kind| !kind.is_empty());
        let artifact_type = kind.or_else(|| manifest.config.map(|config| config.media_type));
        all.push(Referrer { descriptor, artifact_type });
        let index = Referrers { schema_version: 2, media_type: INDEX_TYPE.to_owned(), manifests: all };
        let index = serde_json::to_vec(&index).expect("descriptors are JSON");
        self.put_manifest(&referrers_tag(&subject.digest), INDEX_TYPE, &index).map(drop)
    }

    /// What the tag of referrers has, and whether it may be written: something else may have the same name.
    fn tagged_referrers(&self, digest: &Digest) -> Result<(Vec<Referrer>, bool), Error> {
        match self.manifest(&referrers_tag(digest), &MANIFEST_TYPES) {
            Ok(fetched) => Ok(match crate::parse::<Referrers>("the list of referrers", &fetched.bytes) {
                Ok(index) => (index.manifests, true),
                Err(_) => (Vec::new(), false),
            }),
            Err(Error::ManifestUnknown { .. } | Error::PullDenied { .. }) => Ok((Vec::new(), true)),
            Err(error) => Err(error),
        }
    }

    /// Every page of a list; `take` says how many entries there are so far, or that it has enough.
    pub(super) fn pages(
        &self,
        endpoint: &Endpoint,
        mut ask: Ask<'_>,
        what: &'static str,
        mut take: impl FnMut(Answer) -> Result<Option<usize>, Error>,
    ) -> Result<(), Error> {
        let max = self.inner.settings.limits.pages;
        for _ in 0..max {
            let answer = self.run(endpoint, &ask)?;
            let next = next_page(&answer)?;
            if !matches!(answer.status(), StatusCode::OK | StatusCode::NOT_FOUND) {
                return Err(answer.unexpected());
            }
            let Some(count) = take(answer)? else { return Ok(()) };
            match next {
                Some(url) if count <= ENTRIES_MAX => ask.url = url,
                Some(_) => break,
                None => return Ok(()),
            }
        }
        Err(Error::TooManyPages { what, max })
    }

    pub(super) fn document<T: serde::de::DeserializeOwned>(
        &self,
        answer: Answer,
        what: &str,
    ) -> Result<T, Error> {
        let url = answer.url.shown();
        let bytes = answer.bytes(&self.inner, what, self.inner.settings.limits.document_bytes)?;
        crate::parse(what, &bytes).map_err(|error| {
            let why = std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
            Error::NotARegistry { url, why }
        })
    }
}

/// `sha256-<hex>`.
fn referrers_tag(digest: &Digest) -> At {
    At::Tag(digest.as_str().replace(':', "-"))
}

/// What `Link` says is next, of the same registry (RFC 8288).
fn next_page(answer: &Answer) -> Result<Option<Url>, Error> {
    let Some(link) = answer.header(header::LINK) else { return Ok(None) };
    let bad = |why: &str| Error::NotARegistry { url: answer.url.shown(), why: why.into() };
    for part in link.split(',') {
        let Some((target, parameters)) = part.trim().strip_prefix('<').and_then(|rest| rest.split_once('>'))
        else {
            continue;
        };
        if parameters.replace([' ', '"'], "").split(';').any(|parameter| parameter == "rel=next") {
            let next = answer.url.join(target).ok_or_else(|| bad("its next page has no proper address"))?;
            let same = next.authority == answer.url.authority || next.same_origin(&answer.url);
            // A registry behind a proxy may not know that it speaks TLS.
            let next = Url { secure: answer.url.secure, authority: answer.url.authority.clone(), ..next };
            return if same { Ok(Some(next)) } else { Err(bad("its next page is another host's")) };
        }
    }
    Ok(None)
}
