//! Logging in: whether a registry takes a name and a password, and what is kept of them.

use ureq::http::{Method, StatusCode};

use super::auth::{Authorization, basic};
use super::challenge::{Challenge, best};
use super::client::Client;
use super::endpoint::Endpoint;
use super::request::{Answer, Ask, Login};
use super::url::Url;
use super::{Credential, Error};

impl Client {
    /// Asks `registry` whether it takes `credential`; what is to be kept: the same, or a token that it gave for it.
    pub fn login(&self, registry: &str, credential: Credential) -> Result<Credential, Error> {
        let endpoint = Endpoint::of_registry(&self.inner.settings, registry, "");
        let answer = self.base(&endpoint, None)?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return finished(&endpoint, answer).map(|()| credential);
        }
        match best(answer.response.headers()) {
            Some(Challenge::Basic) => {
                let Credential::Password { username, password } = &credential else {
                    let why = "it takes passwords only, and there is a token";
                    return Err(Error::Challenge { host: endpoint.registry, why });
                };
                let said = basic(username, password);
                finished(&endpoint, self.base(&endpoint, Some(said))?)?;
                Ok(credential)
            }
            Some(Challenge::Bearer(bearer)) => {
                let scope = bearer.scope.clone();
                let asked = answer.url.clone();
                let tokens = self.inner.token(&endpoint, &asked, &bearer, &scope, Some(&credential), true)?;
                finished(&endpoint, self.base(&endpoint, Some(tokens.access))?)?;
                Ok(match (tokens.identity, credential) {
                    (Some(token), Credential::Password { username, .. }) => {
                        Credential::IdentityToken { username, token }
                    }
                    (_, credential) => credential,
                })
            }
            None => Err(Error::Challenge {
                host: endpoint.registry,
                why: "it doesn't say how, or not in a way we know",
            }),
        }
    }

    /// The address that every registry has.
    fn base(&self, endpoint: &Endpoint, said: Option<Authorization>) -> Result<Answer, Error> {
        let url = Url::new(self.inner.is_secure(endpoint)?, &endpoint.authority, "/v2/");
        let settings = &self.inner.settings;
        let ask = Ask {
            method: Method::GET,
            url,
            headers: Vec::new(),
            bytes: None,
            patience: settings.limits.stall,
            login: Login::Told(said),
            tries: settings.retries.tries,
        };
        self.inner.ask(endpoint, &ask)
    }
}

fn finished(endpoint: &Endpoint, answer: Answer) -> Result<(), Error> {
    match answer.status() {
        StatusCode::OK => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let (_, _, _, said) = answer.complaint();
            Err(Error::BadCredentials { host: endpoint.registry.clone(), said })
        }
        StatusCode::NOT_FOUND => {
            Err(Error::NotARegistry { url: answer.url.shown(), why: "there is no registry".into() })
        }
        _ => Err(answer.unexpected()),
    }
}
