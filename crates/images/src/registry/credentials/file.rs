//! One file of logins: Docker's config.json, or containers' auth.json, which has the same form. What else stands in it
//! is kept as it is.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use corten_model::reference::DEFAULT_REGISTRY;
use serde_json::{Map, Value};

use super::{Credential, Error};
use crate::registry::Secret;

/// Bytes of a file.
const FILE_MAX: u64 = 4 << 20;
/// Docker Hub under all its names.
const HUB_HOSTS: [&str; 3] = [DEFAULT_REGISTRY, "index.docker.io", "registry-1.docker.io"];

/// What a file says.
pub(super) struct File {
    path: PathBuf,
    values: Map<String, Value>,
}

impl File {
    /// One that isn't there says nothing.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::File { what: "read", path: path.to_owned(), source };
        let malformed = |why: String| Error::Malformed { path: path.to_owned(), why };
        let mut bytes = Vec::new();
        match std::fs::File::open(path) {
            Ok(file) => file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(failed(error)),
        };
        if bytes.len() as u64 > FILE_MAX {
            return Err(malformed(format!("it has more than {FILE_MAX} bytes")));
        }
        let values = if bytes.trim_ascii().is_empty() {
            Map::new()
        } else {
            serde_json::from_slice(&bytes).map_err(|error| {
                malformed(format!("line {}, column {} is no JSON of its kind", error.line(), error.column()))
            })?
        };
        Ok(Self { path: path.to_owned(), values })
    }

    /// The program that keeps the secrets of `host`.
    pub fn helper_of(&self, host: &str) -> Option<String> {
        let own = self.values.get("credHelpers").and_then(Value::as_object).and_then(|helpers| {
            let named = |key: &&String| names(key, host) && helpers[*key].as_str().is_some();
            helpers.keys().find(named).map(|key| helpers[key].as_str().unwrap_or_default().to_owned())
        });
        own.or_else(|| self.store()).filter(|name| !name.is_empty())
    }

    /// The program that keeps everybody's secrets.
    pub fn store(&self) -> Option<String> {
        self.values
            .get("credsStore")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .filter(|name| !name.is_empty())
    }

    /// What stands here for a repository: containers' files may have a login for a part of a registry.
    pub fn get(&self, host: &str, repository: &str) -> Result<Option<Credential>, Error> {
        let Some(auths) = self.auths() else { return Ok(None) };
        let mut path = format!("{host}/{repository}");
        while let Some((shorter, _)) = path.rsplit_once('/') {
            if path.len() > host.len() + 1
                && let Some(entry) = auths.get(&path)
                && let Some(found) = self.credential(entry)?
            {
                return Ok(Some(found));
            }
            path = shorter.to_owned();
        }
        let exact = auths.get(host).into_iter();
        let entries = auths.iter().filter(|(key, _)| names(key, host)).map(|(_, entry)| entry);
        for entry in exact.chain(entries) {
            if let Some(found) = self.credential(entry)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Every registry with the name that is logged in.
    pub fn list(&self) -> Result<Vec<(String, String)>, Error> {
        let mut found = Vec::new();
        for (key, entry) in self.auths().into_iter().flatten() {
            let username = match self.credential(entry)? {
                Some(Credential::Password { username, .. } | Credential::IdentityToken { username, .. }) => {
                    username
                }
                _ => continue,
            };
            found.push((key.clone(), username));
        }
        Ok(found)
    }

    /// Puts a login in.
    pub fn put(&mut self, key: &str, credential: &Credential) {
        let pair = |username: &str, password: &str| BASE64_STANDARD.encode(format!("{username}:{password}"));
        let entry = match credential {
            Credential::Password { username, password } => {
                serde_json::json!({ "auth": pair(username, password.expose()) })
            }
            Credential::IdentityToken { username, token } => {
                serde_json::json!({ "auth": pair(username, ""), "identitytoken": token.expose() })
            }
            Credential::RegistryToken(token) => serde_json::json!({ "registrytoken": token.expose() }),
        };
        self.auths_mut().insert(key.to_owned(), entry);
    }

    /// Puts in that somebody else keeps the login.
    pub fn mark(&mut self, key: &str) {
        self.auths_mut().insert(key.to_owned(), Value::Object(Map::new()));
    }

    /// Takes every login of `host` out; whether there was one.
    pub fn forget(&mut self, host: &str) -> bool {
        let Some(auths) = self.values.get_mut("auths").and_then(Value::as_object_mut) else { return false };
        let before = auths.len();
        auths.retain(|key, _| !names(key, host));
        auths.len() < before
    }

    /// Writes it beside its place, for its owner alone, and renames it. A symlink stays one.
    pub fn write(&self) -> Result<(), Error> {
        let failed = |source| Error::File { what: "write", path: self.path.clone(), source };
        let path = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let directory = path.parent().unwrap_or(Path::new("/"));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let mut text = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
        serde::Serialize::serialize(&self.values, &mut serializer)
            .map_err(|error| failed(std::io::Error::other(error)))?;
        text.push(b'\n');
        let new =
            path.with_extension(format!("new-{}-{}", std::process::id(), crate::registry::request::chance()));
        let written = (|| {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&new, &path)
        })();
        if written.is_err() {
            let _ = std::fs::remove_file(&new);
        }
        written.map_err(failed)
    }

    fn auths(&self) -> Option<&Map<String, Value>> {
        self.values.get("auths").and_then(Value::as_object)
    }

    fn auths_mut(&mut self) -> &mut Map<String, Value> {
        let auths = self.values.entry("auths").or_insert_with(|| Value::Object(Map::new()));
        if !auths.is_object() {
            *auths = Value::Object(Map::new());
        }
        auths.as_object_mut().expect("it was made one")
    }

    /// One entry; `None`: somebody else keeps the secret.
    fn credential(&self, entry: &Value) -> Result<Option<Credential>, Error> {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(token) = text("registrytoken") {
            return Ok(Some(Credential::RegistryToken(Secret::new(token))));
        }
        let (mut username, mut password) =
            (text("username").map(str::to_owned), text("password").map(Secret::new));
        if let Some(auth) = text("auth") {
            let bad = || Error::Malformed { path: self.path.clone(), why: "an `auth` in it is none".into() };
            let pair = BASE64_STANDARD.decode(auth.trim_end_matches('\0')).map_err(|_| bad())?;
            let pair = String::from_utf8(pair).map_err(|_| bad())?;
            let (user, pass) = pair.split_once(':').ok_or_else(bad)?;
            username = Some(user.to_owned());
            password = Some(Secret::new(pass.trim_end_matches('\0')));
        }
        if let Some(token) = text("identitytoken") {
            let (username, token) = (username.unwrap_or_default(), Secret::new(token));
            return Ok(Some(Credential::IdentityToken { username, token }));
        }
        Ok(match (username, password) {
            (Some(username), Some(password)) if !password.is_empty() => {
                Some(Credential::Password { username, password })
            }
            _ => None,
        })
    }
}

/// Whether a key, with or without a scheme and a path of an API, means `host`.
fn names(key: &str, host: &str) -> bool {
    let bare = key.trim_start_matches("https://").trim_start_matches("http://");
    let (name, path) = bare.split_once('/').unwrap_or((bare, ""));
    let is_api = matches!(path.trim_end_matches('/'), "" | "v1" | "v2");
    // `localhost:5000/team` is a part of a registry.
    is_api && (name == host || (HUB_HOSTS.contains(&host) && HUB_HOSTS.contains(&name)))
}
