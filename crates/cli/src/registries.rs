//! Registries as this caller sees them: the configuration, the proxies of the environment, and the logins of the user's
//! files. The engine is given values.

use std::path::PathBuf;
use std::sync::Arc;

use corten_engine::registry::credentials::{Kept, Places};
use corten_engine::registry::settings::{HostPattern, Place};
use corten_engine::registry::{Cancel, Client, Settings};
use corten_model::Invalid;
use corten_model::reference::DEFAULT_REGISTRY;

use crate::caller::{Caller, path_variable, variable};
use crate::error::Result;

impl Caller {
    /// Whoever speaks with registries; `cancel` ends all that it does.
    pub fn registries(&self, cancel: &Cancel) -> Result<Client> {
        self.registries_trusting(Vec::new(), cancel)
    }

    /// The same; these hosts aren't verified.
    pub fn registries_trusting(&self, hosts: Vec<HostPattern>, cancel: &Cancel) -> Result<Client> {
        let mut settings = self.registry_settings()?;
        settings.insecure.extend(hosts);
        let credentials = Arc::new(Kept::new(login_places()));
        Ok(Client::new(settings, credentials, cancel.clone()))
    }

    /// The configuration, and where it says nothing the environment.
    fn registry_settings(&self) -> Result<Settings> {
        let mut settings = self.settings()?.config()?.registries.clone();
        if let Some(own) = path_variable("XDG_CONFIG_HOME").or_else(|| Some(home()?.join(".config"))) {
            settings.certs_dirs.push(own.join("corten/certs.d"));
        }
        let proxies = &mut settings.proxies;
        let set = |name: &str| {
            // A server takes HTTP_PROXY from strangers' headers, we don't: both spellings count, as for Docker.
            [name.to_ascii_uppercase(), name.to_owned()]
                .iter()
                .find_map(|name| variable(name))
                .filter(|v| !v.is_empty())
        };
        let all = set("all_proxy");
        proxies.http = proxies.http.take().or_else(|| set("http_proxy")).or_else(|| all.clone());
        proxies.https = proxies.https.take().or_else(|| set("https_proxy")).or(all);
        if proxies.except.is_empty() {
            let words = set("no_proxy").unwrap_or_default();
            proxies.except =
                words.split(',').map(|word| word.trim().to_owned()).filter(|w| !w.is_empty()).collect();
        }
        Ok(settings)
    }
}

/// Where Docker and Podman keep what `login` was told.
pub fn login_places() -> Places {
    let docker = path_variable("DOCKER_CONFIG").or_else(|| Some(home()?.join(".docker")));
    let config = path_variable("XDG_CONFIG_HOME").or_else(|| Some(home()?.join(".config")));
    let containers = [path_variable("XDG_RUNTIME_DIR"), config].into_iter().flatten();
    Places {
        named: path_variable("REGISTRY_AUTH_FILE"),
        docker: docker.map(|directory| directory.join("config.json")),
        containers: containers.map(|directory| directory.join("containers/auth.json")).collect(),
        programs: std::env::var_os("PATH").unwrap_or_default(),
    }
}

fn home() -> Option<PathBuf> {
    path_variable("HOME")
}

/// The registry that is meant by what people type for one: an address of Docker's first API means Docker Hub.
pub fn registry_of(typed: Option<&str>) -> Result<String> {
    let Some(typed) = typed else { return Ok(DEFAULT_REGISTRY.to_owned()) };
    let bare = typed.trim_start_matches("https://").trim_start_matches("http://");
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    if !matches!(path.trim_end_matches('/'), "" | "v1" | "v2") {
        let why = "an address of a registry has no path";
        return Err(Invalid::new("registry", typed, why).hint(format!("for example `{host}`")).into());
    }
    let host = host.to_ascii_lowercase();
    if matches!(host.as_str(), "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com") {
        return Ok(DEFAULT_REGISTRY.to_owned());
    }
    let place: Place = host.parse()?;
    if place.host.starts_with('*') {
        return Err(Invalid::new("registry", typed, "it is one host").into());
    }
    Ok(place.host)
}

/// How Docker calls a registry when it talks of logins.
pub fn shown_registry(host: &str) -> &str {
    if host == DEFAULT_REGISTRY { "https://index.docker.io/v1/" } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_as_people_type_them() {
        let check = |typed: &str, expected: &str| assert_eq!(registry_of(Some(typed)).unwrap(), expected);
        check("https://index.docker.io/v1/", "docker.io");
        check("docker.io", "docker.io");
        check("https://R.example:5000/", "r.example:5000");
        check("r.example/v2", "r.example");
        check("localhost:5000", "localhost:5000");
        assert_eq!(registry_of(None).unwrap(), "docker.io");
        for bad in ["", "r.example/team", "a b", "*.example", "http://"] {
            assert!(registry_of(Some(bad)).is_err(), "{bad}");
        }
    }
}
