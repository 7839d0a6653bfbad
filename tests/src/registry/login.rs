//! Who is let in: passwords with each request, or tokens that a token server gives out.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::http::{Answer, Request};
use super::{Shared, State};

/// Who is let in.
#[derive(Debug, Clone, Default)]
pub enum Login {
    /// Everybody.
    #[default]
    Nobody,
    /// Who has this name and password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// Who has a token; the token server is at `/token` of the same registry.
    Bearer {
        /// The name that gets a token for everything.
        user: String,
        /// Its password.
        password: String,
        /// Whether strangers get one for pulling.
        strangers_pull: bool,
        /// What tokens say of their life.
        expires_in: Option<u64>,
        /// Another token server.
        realm: Option<String>,
    },
}

impl Login {
    /// Tokens; strangers get none.
    pub fn bearer(user: &str, password: &str) -> Self {
        let (user, password) = (user.to_owned(), password.to_owned());
        Self::Bearer { user, password, strangers_pull: false, expires_in: None, realm: None }
    }

    /// Passwords.
    pub fn basic(user: &str, password: &str) -> Self {
        Self::Basic { user: user.to_owned(), password: password.to_owned() }
    }
}

/// Tokens that were given out.
#[derive(Default)]
pub(super) struct Tokens {
    /// What each is for: `repository:a/b:pull`.
    access: BTreeMap<String, BTreeSet<String>>,
    identity: BTreeSet<String>,
}

impl Tokens {
    pub fn revoke(&mut self) {
        self.access.clear();
    }
}

/// The answer to who isn't let in; `None`: come in.
pub(super) fn refused(
    shared: &Shared,
    state: &State,
    request: &Request,
    wants: Option<&str>,
) -> Option<Answer> {
    let unauthorized = |challenge: String| {
        Some(
            Answer::complaint(401, "UNAUTHORIZED", "authentication required")
                .with("WWW-Authenticate", challenge),
        )
    };
    match &shared.setup.login {
        Login::Nobody => None,
        Login::Basic { user, password } if password_of(request) == Some((user.clone(), password.clone())) => {
            None
        }
        Login::Basic { .. } => unauthorized("Basic realm=\"test\"".into()),
        Login::Bearer { realm, .. } => {
            let token = request.header("authorization").and_then(|text| text.strip_prefix("Bearer "));
            let granted = token.and_then(|token| state.tokens.access.get(token));
            let enough = |granted: &BTreeSet<String>| wants.is_none_or(|wants| granted.contains(wants));
            if granted.is_some_and(enough) {
                return None;
            }
            let own = format!(
                "{}://{}/token",
                if shared.secure { "https" } else { "http" },
                request.header("host").unwrap_or_default()
            );
            let realm = realm.clone().unwrap_or(own);
            let scope = wants.map(|wants| format!(",scope=\"{wants}\"")).unwrap_or_default();
            unauthorized(format!("Bearer realm=\"{realm}\",service=\"test\"{scope}"))
        }
    }
}

fn password_of(request: &Request) -> Option<(String, String)> {
    let text = request.header("authorization")?.strip_prefix("Basic ")?;
    let text = String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// What the token server says.
pub(super) fn token(shared: &Shared, state: &mut State, request: &Request) -> Answer {
    let Login::Bearer { user, password, strangers_pull, expires_in, .. } = &shared.setup.login else {
        return Answer::new(404);
    };
    let form = request.method == "POST";
    let value = |name: &str| if form { request.form(name) } else { request.query(name) };
    let known = if form {
        value("refresh_token").iter().any(|token| state.tokens.identity.contains(token))
            || (value("username") == [user.clone()] && value("password") == [password.clone()])
    } else {
        match password_of(request) {
            Some(said) if said == (user.clone(), password.clone()) => true,
            Some(_) => return Answer::complaint(401, "UNAUTHORIZED", "incorrect username or password"),
            None => false,
        }
    };
    if !known && (form || !strangers_pull) {
        return Answer::complaint(401, "UNAUTHORIZED", "authentication required");
    }
    let mut granted = BTreeSet::new();
    for scope in value("scope").iter().flat_map(|scope| scope.split(' ')) {
        let Some((what, actions)) = scope.rsplit_once(':') else { continue };
        let actions = actions.split(',').filter(|action| known || *action == "pull");
        granted.extend(actions.map(|action| format!("{what}:{action}")));
    }
    let token = format!("token-{}", state.next_id());
    state.tokens.access.insert(token.clone(), granted);
    let mut said = serde_json::json!({ "token": token });
    if let Some(seconds) = expires_in {
        said["expires_in"] = (*seconds).into();
    }
    if value("offline_token") == ["true"] || value("access_type") == ["offline"] {
        let identity = format!("identity-{}", state.next_id());
        state.tokens.identity.insert(identity.clone());
        said["refresh_token"] = identity.into();
    }
    Answer::new(200).body("application/json", said.to_string().into_bytes())
}
