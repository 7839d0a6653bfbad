//! Who we are to a registry: credentials become an `Authorization` for one registry and one thing to do.
//!
//! Nothing is said before it is asked for. Tokens are kept in memory until shortly before they end. Credentials go to
//! the registry that they are for, and to the token server that this registry names over TLS; nowhere else.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use ureq::http::{Method, StatusCode, header};

use super::challenge::{Bearer, Challenge, best};
use super::client::Inner;
use super::endpoint::Endpoint;
use super::request::{Answer, Ask, Login};
use super::url::{Url, encode};
use super::{Credential, Error, Secret};

/// What token servers know us as.
const CLIENT_ID: &str = "corten";
/// Bytes of a token server's answer, and of a token in it.
const TOKEN_ANSWER_MAX: u64 = 1 << 20;
const TOKEN_MAX: usize = 64 << 10;
/// How long a token holds that doesn't say it (distribution, token specification), and the longest that we believe.
const LIFE_DEFAULT: Duration = Duration::from_secs(60);
const LIFE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How long before its end a token isn't used any more.
const MARGIN: Duration = Duration::from_secs(10);
/// Tries for a token, within each try of what it is for.
const TOKEN_TRIES: u32 = 2;
/// Tokens that are kept: one for each repository and thing to do.
const TOKENS_MAX: usize = 1000;

/// A header's value that says who we are.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Authorization {
    pub value: Secret,
    until: Option<Instant>,
}

/// For whom and what an authorization is.
#[derive(Clone, PartialEq, Eq, Hash)]
struct For {
    authority: String,
    scope: String,
}

/// What was found out so far.
#[derive(Default)]
pub(crate) struct Known {
    by_use: Mutex<HashMap<For, Authorization>>,
}

/// A new token and, from a login, one that is kept instead of the password.
pub(crate) struct Tokens {
    pub access: Authorization,
    pub identity: Option<Secret>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    refresh_token: Option<String>,
    expires_in: Option<u64>,
}

/// What may be done with a repository, as token servers write it.
pub(crate) fn scope(repository: &str, actions: &str) -> String {
    if actions.is_empty() { String::new() } else { format!("repository:{repository}:{actions}") }
}

impl Inner {
    /// What was found out for this use, if it still holds.
    pub fn authorization(&self, endpoint: &Endpoint, actions: &str) -> Option<Authorization> {
        let key = key(endpoint, actions);
        let mut known = self.known.by_use.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(&key)?.clone();
        if found.until.is_some_and(|until| until <= Instant::now()) {
            known.remove(&key);
            return None;
        }
        Some(found)
    }

    /// What to say after an answer that asks who we are; `None`: there is nothing to say that wasn't said.
    pub fn challenged(
        &self,
        endpoint: &Endpoint,
        actions: &str,
        answer: &Answer,
        said: Option<&Authorization>,
    ) -> Result<Option<Authorization>, Error> {
        let Some(challenge) = best(answer.response.headers()) else { return Ok(None) };
        // Somebody else may have had the same answer and be further already.
        let now = self.authorization(endpoint, actions);
        if let Some(now) = now
            && said != Some(&now)
        {
            return Ok(Some(now));
        }
        let credential = self.credentials.get(&endpoint.registry, &endpoint.repository)?;
        let new = match challenge {
            Challenge::Basic => match credential {
                Some(Credential::Password { username, password }) => basic(&username, &password),
                _ => return Ok(None),
            },
            Challenge::Bearer(bearer) => match credential {
                Some(Credential::RegistryToken(token)) => bearer_of(&token, None),
                credential => {
                    let scope = wanted(endpoint, actions, &bearer);
                    self.token(endpoint, &answer.url, &bearer, &scope, credential.as_ref(), false)?.access
                }
            },
        };
        if said == Some(&new) {
            return Ok(None);
        }
        let mut known = self.known.by_use.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= TOKENS_MAX {
            known.clear();
        }
        known.insert(key(endpoint, actions), new.clone());
        Ok(Some(new))
    }

    /// Asks the token server. `asked` is the address whose answer named it; `offline` asks for a token to be kept too.
    pub fn token(
        &self,
        endpoint: &Endpoint,
        asked: &Url,
        bearer: &Bearer,
        scope: &str,
        credential: Option<&Credential>,
        offline: bool,
    ) -> Result<Tokens, Error> {
        let realm = self.realm(endpoint, asked, bearer)?;
        let answer = match credential {
            Some(Credential::IdentityToken { token, .. }) => {
                let grant = [("grant_type", "refresh_token"), ("refresh_token", token.expose())];
                self.post_token(endpoint, &realm, bearer, scope, &grant)?
            }
            Some(Credential::Password { username, password }) => {
                let basic = basic(username, password);
                self.get_token(endpoint, &realm, bearer, scope, Some((&basic, username)), offline)?
            }
            _ => self.get_token(endpoint, &realm, bearer, scope, None, false)?,
        };
        let host = endpoint.registry.clone();
        let status = answer.status();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let (_, _, _, said) = answer.complaint();
            return Err(match credential {
                Some(_) => Error::BadCredentials { host, said },
                None => Error::Unauthorized { host },
            });
        }
        if status != StatusCode::OK {
            return Err(answer.unexpected());
        }
        let url = answer.url.shown();
        let bytes = answer.bytes(self, "the answer of the token server", TOKEN_ANSWER_MAX)?;
        let bad = |why: &str| Error::NotARegistry { url: url.clone(), why: why.into() };
        let answer: TokenAnswer =
            serde_json::from_slice(&bytes).map_err(|_| bad("it is no answer with a token"))?;
        let token = [answer.token, answer.access_token].into_iter().flatten().find(|token| !token.is_empty());
        let token = token.ok_or_else(|| bad("there is no token in it"))?;
        let sound = |token: &str| token.len() <= TOKEN_MAX && token.bytes().all(|b| b.is_ascii_graphic());
        if !sound(&token) {
            return Err(bad("what it calls a token is none"));
        }
        let life = answer.expires_in.map_or(LIFE_DEFAULT, Duration::from_secs).min(LIFE_MAX);
        // A server that gives tokens of no time would be asked for ever: each is used once at least.
        let until = Instant::now() + life.saturating_sub(MARGIN).max(Duration::from_secs(1));
        let identity = answer.refresh_token.filter(|token| !token.is_empty() && sound(token));
        Ok(Tokens {
            access: bearer_of(&Secret::new(token), Some(until)),
            identity: identity.map(Secret::new),
        })
    }

    /// The token server's address, if it may be told a password.
    fn realm(&self, endpoint: &Endpoint, asked: &Url, bearer: &Bearer) -> Result<Url, Error> {
        let bad = |why| Error::Challenge { host: endpoint.registry.clone(), why };
        let realm = Url::parse(&bearer.realm).ok_or_else(|| bad("its token server has no proper address"))?;
        let plain = |url: &Url| {
            super::settings::is_loopback(url.host())
                || [&self.settings.plain_http, &self.settings.insecure]
                    .iter()
                    .any(|list| list.iter().any(|pattern| pattern.matches(&url.authority)))
        };
        let own = !asked.secure && asked.same_origin(&realm);
        if !realm.secure && !own && !plain(&realm) {
            return Err(bad("its token server would get the password in the clear"));
        }
        Ok(realm)
    }

    fn get_token(
        &self,
        endpoint: &Endpoint,
        realm: &Url,
        bearer: &Bearer,
        scope: &str,
        login: Option<(&Authorization, &str)>,
        offline: bool,
    ) -> Result<Answer, Error> {
        let mut url = realm.clone();
        if let Some((_, username)) = login {
            url = url.with_query("account", username);
        }
        if !bearer.service.is_empty() {
            url = url.with_query("service", &bearer.service);
        }
        // Each repository that a token is for is a parameter of its own.
        for scope in scope.split(' ').filter(|scope| !scope.is_empty()) {
            url = url.with_query("scope", scope);
        }
        if offline {
            url = url.with_query("offline_token", "true").with_query("client_id", CLIENT_ID);
        }
        let mut ask = self.token_ask(Method::GET, url);
        ask.login = Login::Told(login.map(|(basic, _)| basic.clone()));
        self.ask(endpoint, &ask)
    }

    fn post_token(
        &self,
        endpoint: &Endpoint,
        realm: &Url,
        bearer: &Bearer,
        scope: &str,
        grant: &[(&str, &str)],
    ) -> Result<Answer, Error> {
        let more = [("service", bearer.service.as_str()), ("client_id", CLIENT_ID), ("scope", scope)];
        let all = grant.iter().chain(&more).filter(|(_, value)| !value.is_empty());
        let form: Vec<String> = all.map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let form = form.join("&");
        let mut ask = self.token_ask(Method::POST, realm.clone());
        ask.headers.push((header::CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned()));
        ask.bytes = Some(form.as_bytes());
        self.ask(endpoint, &ask)
    }

    fn token_ask(&self, method: Method, url: Url) -> Ask<'static> {
        let limits = &self.settings.limits;
        let tries = self.settings.retries.tries.min(TOKEN_TRIES);
        Ask {
            method,
            url,
            headers: Vec::new(),
            bytes: None,
            patience: limits.stall,
            login: Login::Told(None),
            tries,
        }
    }
}

/// What a token has to be for: what the registry says, unless that is less than what is to be done.
fn wanted(endpoint: &Endpoint, actions: &str, bearer: &Bearer) -> String {
    let own = scope(&endpoint.repository, actions);
    let said = bearer.scope.trim();
    let covers = own.rsplit_once(':').is_some_and(|(repository, actions)| {
        said.split(' ').any(|scope| {
            scope.rsplit_once(':').is_some_and(|(other, granted)| {
                other == repository
                    && actions
                        .split(',')
                        .all(|action| granted.split(',').any(|word| word == action || word == "*"))
            })
        })
    });
    match (said.is_empty() || own.is_empty(), covers) {
        (_, true) => said.to_owned(),
        (true, _) => [said, &own].concat(),
        // Another repository, such as the one that is mounted from, or less: both are asked for.
        (false, false) => format!("{own} {said}"),
    }
}

fn key(endpoint: &Endpoint, actions: &str) -> For {
    For { authority: endpoint.authority.clone(), scope: scope(&endpoint.repository, actions) }
}

pub(crate) fn basic(username: &str, password: &Secret) -> Authorization {
    let text = BASE64_STANDARD.encode(format!("{username}:{}", password.expose()));
    Authorization { value: Secret::new(format!("Basic {text}")), until: None }
}

fn bearer_of(token: &Secret, until: Option<Instant>) -> Authorization {
    Authorization { value: Secret::new(format!("Bearer {}", token.expose())), until }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Settings;

    #[test]
    fn a_token_is_asked_for_what_is_to_be_done() {
        let endpoint = Endpoint::of_registry(&Settings::default(), "r.example", "a/b");
        let check = |actions: &str, said: &str, expected: &str| {
            let bearer = Bearer { scope: said.into(), ..Bearer::default() };
            assert_eq!(wanted(&endpoint, actions, &bearer), expected, "{actions} {said}");
        };
        check("pull", "repository:a/b:pull", "repository:a/b:pull");
        check("pull", "repository:a/b:pull,push", "repository:a/b:pull,push");
        check("pull", "repository:a/b:*", "repository:a/b:*");
        check("pull,push", "repository:a/b:pull", "repository:a/b:pull,push repository:a/b:pull");
        check("pull", "", "repository:a/b:pull");
        check("", "", "");
        check("", "registry:catalog:*", "registry:catalog:*");
        check("pull,push", "repository:c:pull", "repository:a/b:pull,push repository:c:pull");
    }
}
