//! `WWW-Authenticate`: how a registry wants to be told who we are (RFC 9110, 11; RFC 6750). Pure.

use ureq::http::{HeaderMap, header};

/// Bytes of one header that are looked at, and challenges in all.
const HEADER_MAX: usize = 8 << 10;
const CHALLENGES_MAX: usize = 16;

/// One way to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A name and a password with each request.
    Basic,
    /// A token of a token server.
    Bearer(Bearer),
}

/// Where tokens are had, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bearer {
    /// The address of the token server.
    pub realm: String,
    /// Which registry the token is for.
    pub service: String,
    /// What may be done with it; registries leave it out where they only want to know who we are.
    pub scope: String,
    /// Why a token wasn't good enough.
    pub error: String,
}

/// The best of those that are offered: a token before a password.
pub(crate) fn best(headers: &HeaderMap) -> Option<Challenge> {
    let all = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let mut basic = None;
    for challenge in all.filter(|text| text.len() <= HEADER_MAX).flat_map(parse).take(CHALLENGES_MAX) {
        match challenge {
            Challenge::Bearer(_) => return Some(challenge),
            Challenge::Basic => basic = Some(challenge),
        }
    }
    basic
}

/// Every challenge of one header that we know: `Basic realm="x", Bearer realm="y",service="z"`.
fn parse(text: &str) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    let mut rest = text.trim_start();
    while let Some((scheme, after)) = token(rest) {
        let (parameters, after) = parameters(after.trim_start());
        if scheme.eq_ignore_ascii_case("basic") {
            challenges.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer") {
            let mut bearer = Bearer::default();
            for (name, value) in parameters {
                match name.to_ascii_lowercase().as_str() {
                    "realm" => bearer.realm = value,
                    "service" => bearer.service = value,
                    "scope" => bearer.scope = value,
                    "error" => bearer.error = value,
                    _ => {}
                }
            }
            challenges.push(Challenge::Bearer(bearer));
        }
        rest = after.trim_start_matches([',', ' ', '\t']);
    }
    challenges
}

/// `name=value, name="value"` as far as they go; the next scheme isn't one.
fn parameters(mut text: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    loop {
        text = text.trim_start_matches([',', ' ', '\t']);
        let Some((name, after)) = token(text) else { return (found, text) };
        let Some(value) = after.trim_start().strip_prefix('=') else { return (found, text) };
        let value = value.trim_start();
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let (value, after) = value.split_at(value.find([',', ' ', '\t']).unwrap_or(value.len()));
                (value.to_owned(), after)
            }
        };
        found.push((name.to_owned(), value));
        text = after;
    }
}

/// What stands before the closing quote, and what after it.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

fn token(text: &str) -> Option<(&str, &str)> {
    let sound = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !sound(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[&str], expected: Option<Challenge>) {
        let headers = headers.iter().map(|text| (header::WWW_AUTHENTICATE, text.parse().unwrap()));
        assert_eq!(best(&headers.collect()), expected);
    }

    fn bearer(realm: &str, service: &str, scope: &str) -> Option<Challenge> {
        let (realm, service, scope) = (realm.into(), service.into(), scope.into());
        Some(Challenge::Bearer(Bearer { realm, service, scope, error: String::new() }))
    }

    #[test]
    fn what_registries_ask_for() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let expected =
            bearer("https://auth.docker.io/token", "registry.docker.io", "repository:a/b:pull,push");
        check(&[hub], expected.clone());
        check(&["Basic realm=\"x\"", hub], expected.clone());
        check(&[&format!("Basic realm=\"a, b\", {hub}")], expected);
        check(&["Basic realm=x"], Some(Challenge::Basic));
        check(&["basic"], Some(Challenge::Basic));
        check(&[r#"BEARER Realm = "a\"b" , service=s"#], bearer("a\"b", "s", ""));
        check(&["Negotiate", "Digest realm=\"x\", nonce=\"y\""], None);
        check(&["", "=", "\"", "Bearer realm=\"unclosed"], bearer("unclosed", "", ""));
        check(&[&format!("Bearer realm=\"{}\"", "x".repeat(HEADER_MAX))], None);
    }
}
