//! Searching a registry: Docker Hub's index knows descriptions and stars; others have a list of repositories at most.

use corten_model::reference::DEFAULT_REGISTRY;
use serde::Deserialize;
use ureq::http::{Method, StatusCode};

use super::client::Client;
use super::endpoint::Endpoint;
use super::request::{Ask, Login};
use super::settings::Place;
use super::url::Url;
use super::{Error, Repository};

/// The host that answers searches for Docker Hub.
const HUB_INDEX: &str = "index.docker.io";
/// How many results Docker gives if nobody says it.
pub const SEARCH_LIMIT: u32 = 25;

/// A repository that was found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Found {
    /// Its name, with the registry's if that isn't Docker Hub.
    #[serde(default)]
    pub name: String,
    /// What its owner says of it.
    #[serde(default)]
    pub description: String,
    /// How many people like it.
    #[serde(rename = "star_count", default)]
    pub stars: i64,
    /// Whether the registry itself looks after it.
    #[serde(rename = "is_official", default)]
    pub official: bool,
    /// Whether a service builds it.
    #[serde(rename = "is_automated", default)]
    pub automated: bool,
}

#[derive(Deserialize)]
struct Results {
    results: Option<Vec<Found>>,
}

#[derive(Deserialize)]
struct Catalog {
    repositories: Option<Vec<String>>,
}

impl Client {
    /// The repositories of `registry` whose names or descriptions have `term` in them, `limit` at most.
    pub fn search(&self, registry: &str, term: &str, limit: u32) -> Result<Vec<Found>, Error> {
        let settings = &self.inner.settings;
        let place: Place = registry.parse()?;
        if settings.blocked.iter().any(|blocked| blocked.below(&place.host, term).is_some()) {
            return Err(Error::Blocked { name: place.host });
        }
        let mut endpoint = Endpoint::of_registry(settings, &place.host, "");
        if endpoint.registry == DEFAULT_REGISTRY {
            HUB_INDEX.clone_into(&mut endpoint.authority);
        }
        let url = Url::new(self.inner.is_secure(&endpoint)?, &endpoint.authority, "/v1/search")
            .with_query("q", term)
            .with_query("n", &limit.to_string());
        let place = Repository {
            inner: self.inner.clone(),
            name: endpoint.registry.clone(),
            endpoints: vec![endpoint.clone()],
        };
        let answer = self.inner.ask(&endpoint, &self.search_ask(url))?;
        let mut found = match answer.status() {
            StatusCode::OK => {
                let results: Results = place.document(answer, "the results")?;
                results.results.unwrap_or_default()
            }
            StatusCode::NOT_FOUND if endpoint.registry != DEFAULT_REGISTRY => {
                self.catalog(&place, &endpoint, term, limit)?
            }
            _ => return Err(answer.unexpected()),
        };
        found.truncate(limit as usize);
        if endpoint.registry != DEFAULT_REGISTRY {
            for one in &mut found {
                one.name = format!("{}/{}", endpoint.registry, one.name);
            }
        }
        Ok(found)
    }

    /// The same from a plain list of names.
    fn catalog(
        &self,
        place: &Repository,
        endpoint: &Endpoint,
        term: &str,
        limit: u32,
    ) -> Result<Vec<Found>, Error> {
        let url = Url::new(self.inner.is_secure(endpoint)?, &endpoint.authority, "/v2/_catalog");
        let mut found: Vec<Found> = Vec::new();
        place.pages(endpoint, self.search_ask(url), "repositories", |answer| {
            if answer.status() == StatusCode::NOT_FOUND {
                let why = "it can't be searched".into();
                return Err(Error::NotARegistry { url: answer.url.shown(), why });
            }
            let page: Catalog = place.document(answer, "the list of repositories")?;
            let names = page.repositories.unwrap_or_default();
            found.extend(names.into_iter().filter(|name| name.contains(term)).map(|name| Found {
                name,
                description: String::new(),
                stars: 0,
                official: false,
                automated: false,
            }));
            // What is enough ends the list.
            Ok(if found.len() >= limit as usize { None } else { Some(found.len()) })
        })?;
        Ok(found)
    }

    fn search_ask(&self, url: Url) -> Ask<'static> {
        let settings = &self.inner.settings;
        Ask {
            method: Method::GET,
            url,
            headers: Vec::new(),
            bytes: None,
            patience: settings.limits.stall,
            login: Login::For(""),
            tries: settings.retries.tries,
        }
    }
}
