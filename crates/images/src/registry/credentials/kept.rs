//! Docker's config.json and containers' auth.json together.
//!
//! A file that somebody named is the only one. Else Docker's counts first, the helpers that it names before what stands
//! in it, and then containers'. Written is Docker's.

use std::ffi::OsString;
use std::path::PathBuf;

use super::file::File;
use super::program::{self, Helper};
use super::{Credential, Credentials, Error, Stored};
use crate::registry::endpoint::HUB_KEY;
use corten_model::reference::DEFAULT_REGISTRY;

/// Where the files and the programs are.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// A file that somebody named: `$REGISTRY_AUTH_FILE`.
    pub named: Option<PathBuf>,
    /// Docker's: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
    pub docker: Option<PathBuf>,
    /// Containers': `$XDG_RUNTIME_DIR/containers/auth.json`, `~/.config/containers/auth.json`. They are only read.
    pub containers: Vec<PathBuf>,
    /// The directories that programs are looked for in: `$PATH`.
    pub programs: OsString,
}

/// Credentials in files and with programs.
#[derive(Debug, Clone)]
pub struct Kept {
    places: Places,
}

impl Kept {
    /// Those of `places`.
    pub fn new(places: Places) -> Self {
        Self { places }
    }

    /// The file that is written.
    fn own(&self) -> Option<&PathBuf> {
        self.places.named.as_ref().or(self.places.docker.as_ref())
    }

    /// The files that are read, the one that counts most first.
    fn files(&self) -> Result<Vec<File>, Error> {
        let paths: Vec<&PathBuf> = match &self.places.named {
            Some(named) => vec![named],
            None => self.places.docker.iter().chain(&self.places.containers).collect(),
        };
        paths.into_iter().map(|path| File::read(path)).collect()
    }

    fn helper(&self, name: &str) -> Helper<'_> {
        Helper { name: format!("{}{name}", program::PREFIX), programs: &self.places.programs }
    }
}

impl Credentials for Kept {
    fn get(&self, host: &str, repository: &str) -> Result<Option<Credential>, Error> {
        for file in self.files()? {
            if let Some(name) = file.helper_of(host)
                && let Some(found) = self.helper(&name).get(key_of(host))?
            {
                return Ok(Some(found));
            }
            if let Some(found) = file.get(host, repository)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn store(&self, host: &str, credential: &Credential) -> Result<Stored, Error> {
        let path = self.own().ok_or_else(|| Error::NoPlace { host: host.to_owned() })?;
        let mut file = File::read(path)?;
        if let Some(name) = file.helper_of(host) {
            let helper = self.helper(&name);
            helper.store(key_of(host), credential)?;
            // Docker leaves a mark that somebody is logged in, and no secret beside it.
            file.forget(host);
            file.mark(key_of(host));
            file.write()?;
            return Ok(Stored::WithHelper(helper.name));
        }
        file.forget(host);
        file.put(key_of(host), credential);
        file.write()?;
        Ok(Stored::InFile(path.clone()))
    }

    fn erase(&self, host: &str) -> Result<bool, Error> {
        let Some(path) = self.own() else { return Ok(false) };
        let mut file = File::read(path)?;
        let mut erased = false;
        if let Some(name) = file.helper_of(host) {
            let helper = self.helper(&name);
            if helper.get(key_of(host))?.is_some() {
                helper.erase(key_of(host))?;
                erased = true;
            }
        }
        if file.forget(host) {
            file.write()?;
            erased = true;
        }
        Ok(erased)
    }

    fn list(&self) -> Result<Vec<(String, String)>, Error> {
        let mut all: Vec<(String, String)> = Vec::new();
        for file in self.files()? {
            let mut found = file.list()?;
            if let Some(name) = file.store() {
                found.extend(self.helper(&name).list()?);
            }
            for (key, username) in found {
                if !all.iter().any(|(other, _)| *other == key) && !username.is_empty() {
                    all.push((key, username));
                }
            }
        }
        all.sort();
        Ok(all)
    }
}

/// What files and helpers call a registry.
fn key_of(host: &str) -> &str {
    if host == DEFAULT_REGISTRY { HUB_KEY } else { host }
}
