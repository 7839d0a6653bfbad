//! Where the content of a repository may be asked for: its mirrors in their order, then the registry itself.

use corten_model::Reference;

use super::Error;
use super::settings::Settings;
use super::url::Url;

/// The name of Docker Hub in references, and the host that answers for it.
const DOCKER_HUB: (&str, &str) = (corten_model::reference::DEFAULT_REGISTRY, "registry-1.docker.io");

/// What Docker Hub is called where logins are kept.
pub(crate) const HUB_KEY: &str = "https://index.docker.io/v1/";

/// One place that has a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The registry as credentials are kept for it: `docker.io`, `localhost:5000`.
    pub registry: String,
    /// The host that is talked to.
    pub authority: String,
    /// The repository's name there.
    pub repository: String,
    /// Whether it is configured to speak plain HTTP.
    pub plain_http: bool,
    /// The registry that it has copies of, if it is a mirror.
    pub mirror_of: Option<String>,
}

impl Endpoint {
    /// The registry itself.
    pub fn of_registry(settings: &Settings, registry: &str, repository: &str) -> Self {
        let registry = registry.to_ascii_lowercase();
        let authority = if registry == DOCKER_HUB.0 { DOCKER_HUB.1.to_owned() } else { registry.clone() };
        let plain_http = settings.plain_http.iter().any(|pattern| pattern.matches(&authority));
        Self { registry, authority, repository: repository.to_owned(), plain_http, mirror_of: None }
    }

    /// An address of the API below this repository: `manifests/latest`.
    pub fn url(&self, secure: bool, below: &str) -> Url {
        let url = Url::new(secure, &self.authority, format!("/v2/{}/{below}", self.repository));
        match &self.mirror_of {
            Some(registry) => url.with_query("ns", registry),
            None => url,
        }
    }
}

/// Every place of a repository: mirrors, which are asked for content only, and the registry itself, the last.
pub(crate) fn endpoints(settings: &Settings, reference: &Reference) -> Result<Vec<Endpoint>, Error> {
    let Reference { registry, repository, .. } = reference;
    if settings.blocked.iter().any(|place| place.below(registry, repository).is_some()) {
        return Err(Error::Blocked { name: reference.familiar_repository() });
    }
    let mut endpoints = Vec::new();
    for mirror in &settings.mirrors {
        let Some(rest) = mirror.of.below(registry, repository) else { continue };
        let mut endpoint = Endpoint::of_registry(settings, &mirror.at.host, &mirror.at.join(rest));
        endpoint.plain_http |= mirror.plain_http;
        endpoint.mirror_of = Some(registry.clone());
        endpoints.push(endpoint);
    }
    let rewritten = settings.rewrites.iter().find_map(|rewrite| {
        let rest = rewrite.from.below(registry, repository)?;
        Some(Endpoint::of_registry(settings, &rewrite.to.host, &rewrite.to.join(rest)))
    });
    endpoints.push(rewritten.unwrap_or_else(|| Endpoint::of_registry(settings, registry, repository)));
    Ok(endpoints)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_go_first_and_rewrites_replace() {
        let settings = Settings {
            mirrors: ["docker.io/library=http://m.example/hub", "docker.io=n.example"]
                .map(|text| text.parse().unwrap())
                .to_vec(),
            rewrites: vec!["old.example/a=new.example/b".parse().unwrap()],
            blocked: vec!["bad.example".parse().unwrap()],
            ..Settings::default()
        };
        let check = |name: &str, expected: &[&str]| {
            let found = endpoints(&settings, &name.parse().unwrap()).unwrap();
            let found: Vec<String> =
                found.iter().map(|e| e.url(!e.plain_http, "manifests/x").to_string()).collect();
            assert_eq!(found, expected, "{name}");
        };
        check(
            "busybox",
            &[
                "http://m.example/v2/hub/busybox/manifests/x?ns=docker.io",
                "https://n.example/v2/library/busybox/manifests/x?ns=docker.io",
                "https://registry-1.docker.io/v2/library/busybox/manifests/x",
            ],
        );
        check("old.example/a/c", &["https://new.example/v2/b/c/manifests/x"]);
        check("old.example/d", &["https://old.example/v2/d/manifests/x"]);
        let blocked = endpoints(&settings, &"bad.example/x".parse().unwrap());
        assert!(matches!(blocked, Err(Error::Blocked { .. })));
    }
}
