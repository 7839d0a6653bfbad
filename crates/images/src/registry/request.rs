//! A request to a registry until it has an answer that counts: redirects are followed, who we are is told when it is
//! asked for, and what fails for a reason that may pass is tried again.

use std::io::Read as _;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use ureq::http::{HeaderName, Method, StatusCode, header};

use super::auth::Authorization;
use super::client::Inner;
use super::endpoint::Endpoint;
use super::http::{Exchange, Payload, Response, drain};
use super::resolver::Reach;
use super::settings::is_loopback;
use super::url::{Url, host_of};
use super::{Error, retry};

/// Bytes of an answer that says what is wrong, and how much of it is shown.
const COMPLAINT_MAX: u64 = 64 << 10;
const SHOWN_MAX: usize = 300;
/// How often in one try the registry may ask who we are.
const LOGINS_MAX: u32 = 2;

/// A request that can be sent more than once.
pub(crate) struct Ask<'a> {
    pub method: Method,
    pub url: Url,
    pub headers: Vec<(HeaderName, String)>,
    pub bytes: Option<&'a [u8]>,
    pub patience: Duration,
    /// Who we say we are.
    pub login: Login,
    /// Tries in all.
    pub tries: u32,
}

/// Who we say we are.
pub(crate) enum Login {
    /// What the registry asks for, to do this there: `pull`, `pull,push`.
    For(&'static str),
    /// This, to the host of the request's own address only. The same goes for its bytes, which may be secret too.
    Told(Option<Authorization>),
}

/// An answer, and whose it is.
pub(crate) struct Answer {
    pub response: Response,
    pub url: Url,
}

impl Answer {
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// A header's text.
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.response.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// The body, if it has no more than `max` bytes.
    pub fn bytes(self, inner: &Inner, what: &str, max: u64) -> Result<Vec<u8>, Error> {
        let too_large = || Error::TooLarge { what: what.to_owned(), max };
        let body = self.response.into_body();
        if body.content_length().is_some_and(|length| length > max) {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        let mut reader = body.into_reader().take(max + 1);
        reader.read_to_end(&mut bytes).map_err(|error| inner.http.io_error(&self.url, error))?;
        if bytes.len() as u64 > max { Err(too_large()) } else { Ok(bytes) }
    }

    /// What the registry says is wrong.
    pub fn complaint(self) -> (Url, StatusCode, String, String) {
        let status = self.status();
        let mut text = String::new();
        let body = self.response.into_body().into_reader();
        // A body that can't be read explains nothing; the status does.
        let _ = body.take(COMPLAINT_MAX).read_to_string(&mut text);
        let (code, said) = complaint(&text);
        (self.url, status, code, said)
    }

    /// An answer that none of the callers' cases fits.
    pub fn unexpected(self) -> Error {
        let retry_after = retry::retry_after(self.response.headers(), SystemTime::now());
        let host = self.url.authority.clone();
        let (url, status, _, said) = self.complaint();
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Error::TooManyRequests { host, said, retry_after };
        }
        if status == StatusCode::UNAUTHORIZED {
            return Error::Unauthorized { host };
        }
        Error::Answer { url: url.shown(), status: status.as_u16(), said }
    }
}

impl Inner {
    /// A try is repeated while what is wrong may pass.
    pub fn ask(&self, endpoint: &Endpoint, ask: &Ask<'_>) -> Result<Answer, Error> {
        let mut tried = 0;
        loop {
            tried += 1;
            let result = self.ask_once(endpoint, ask);
            let wanted = match &result {
                Ok(answer) if !retry::may_pass(answer.status()) => return result,
                Ok(answer) => retry::retry_after(answer.response.headers(), SystemTime::now()),
                Err(error) if !error.may_pass() => return result,
                Err(_) => None,
            };
            if tried >= ask.tries || !self.pause(tried, wanted)? {
                return result;
            }
            if let Ok(answer) = result {
                drain(answer.response);
            }
        }
    }

    /// Waits before the next try; not if the registry wants a longer pause than we make.
    pub fn pause(&self, tried: u32, wanted: Option<Duration>) -> Result<bool, Error> {
        let retries = &self.settings.retries;
        if wanted.is_some_and(|wanted| wanted > retries.longest_pause) {
            return Ok(false);
        }
        let pause = retry::pause(retries, tried, chance());
        if self.cancel.wait(pause.max(wanted.unwrap_or_default())) { Ok(true) } else { Err(Error::Cancelled) }
    }

    /// One try, and another one each time that the registry asks who we are and there is something new to say.
    fn ask_once(&self, endpoint: &Endpoint, ask: &Ask<'_>) -> Result<Answer, Error> {
        let actions = match &ask.login {
            Login::Told(authorization) => {
                return self.follow(endpoint, ask, &ask.url, authorization.as_ref());
            }
            Login::For(actions) => actions,
        };
        // Credentials are for this host, with TLS if it is spoken to with TLS, and for no other.
        let own = endpoint.url(self.is_secure(endpoint)?, "");
        let mut said = self.authorization(endpoint, actions);
        for _ in 0..LOGINS_MAX {
            let answer = self.follow(endpoint, ask, &own, said.as_ref())?;
            if answer.status() != StatusCode::UNAUTHORIZED || !answer.url.same_origin(&own) {
                return Ok(answer);
            }
            match self.challenged(endpoint, actions, &answer, said.as_ref())? {
                Some(new) => said = Some(new),
                None => return Ok(answer),
            }
            drain(answer.response);
        }
        self.follow(endpoint, ask, &own, said.as_ref())
    }

    /// One try, with every redirect. `authorization` goes to nobody but the origin `own`.
    fn follow(
        &self,
        endpoint: &Endpoint,
        ask: &Ask<'_>,
        own: &Url,
        authorization: Option<&Authorization>,
    ) -> Result<Answer, Error> {
        let mut url = ask.url.clone();
        let mut method = ask.method.clone();
        for _ in 0..=self.settings.limits.redirects {
            let mut headers = ask.headers.clone();
            if let Some(authorization) = authorization
                && url.same_origin(own)
            {
                headers.push((header::AUTHORIZATION, authorization.value.expose().to_owned()));
            }
            let payload = match ask.bytes {
                Some(bytes) if method == ask.method => Payload::Bytes(bytes),
                _ => Payload::None,
            };
            let reach = reach(endpoint, &url);
            let exchange = Exchange {
                method: method.clone(),
                url: &url,
                headers,
                payload,
                patience: ask.patience,
                reach,
            };
            let response = self.http.send(exchange)?;
            let status = response.status();
            if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(Answer { response, url });
            }
            let next = self.next(&url, &response)?;
            if matches!(ask.login, Login::Told(_)) && ask.bytes.is_some() && !next.same_origin(own) {
                let why = "it would be told what is secret";
                return Err(Error::Redirect { from: url.shown(), to: next.shown(), why });
            }
            if status == StatusCode::SEE_OTHER && method != Method::HEAD {
                method = Method::GET;
            }
            drain(response);
            url = next;
        }
        let (from, to) = (ask.url.shown(), url.shown());
        Err(Error::Redirect { from, to, why: "one redirect follows the other without an end" })
    }

    /// Where a redirect leads.
    fn next(&self, url: &Url, response: &Response) -> Result<Url, Error> {
        let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let next = location
            .and_then(|location| url.join(location))
            .ok_or_else(|| Error::NotARegistry { url: url.shown(), why: "it redirects to nowhere".into() })?;
        if url.secure && !next.secure {
            let why = "it would be read and changed by whoever is in between";
            return Err(Error::Redirect { from: url.shown(), to: next.shown(), why });
        }
        Ok(next)
    }
}

/// Where `url`, which an answer of `endpoint` named, may be: a registry elsewhere has no reason to send us to our own
/// services, which trust whoever comes from this machine.
pub(crate) fn reach(endpoint: &Endpoint, url: &Url) -> Reach {
    let own = host_of(&endpoint.authority);
    if own == url.host() || is_loopback(own) { Reach::Anywhere } else { Reach::Elsewhere }
}

/// A number that nobody foresees.
pub(crate) fn chance() -> u32 {
    let mut bytes = [0; 4];
    // The generator can't fail with so few bytes; without it every pause would only have its full length.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    u32::from_ne_bytes(bytes)
}

#[derive(Deserialize)]
struct Complaints {
    errors: Vec<Complaint>,
}

#[derive(Deserialize)]
struct Complaint {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The code and the words of an error document (distribution-spec, Error Codes), cleaned of what a terminal obeys.
fn complaint(text: &str) -> (String, String) {
    let first = serde_json::from_str::<Complaints>(text).ok().and_then(|all| all.errors.into_iter().next());
    let (code, said) = match first {
        Some(Complaint { code, message }) if message.is_empty() => (code.clone(), code),
        Some(Complaint { code, message }) => (code, message),
        None if text.trim_start().starts_with('<') => (String::new(), String::new()),
        None => (String::new(), text.trim().to_owned()),
    };
    (code, said.chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_registries_complain_of() {
        let check = |text: &str, code: &str, said: &str| {
            assert_eq!(complaint(text), (code.to_owned(), said.to_owned()), "{text}");
        };
        let unknown = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{}}]}"#;
        check(unknown, "MANIFEST_UNKNOWN", "manifest unknown");
        check(r#"{"errors":[{"code":"DENIED"}]}"#, "DENIED", "DENIED");
        check("<html>", "", "");
        check("no \u{1b}[31mway", "", "no [31mway");
        check(&"x".repeat(1000), "", &"x".repeat(SHOWN_MAX));
    }
}
