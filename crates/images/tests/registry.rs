//! The client against a registry in this process: what it reads and writes, who it says that it is, and what strangers
//! can't make it do.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

#[path = "registry/hostile.rs"]
mod hostile;
#[path = "registry/kept.rs"]
mod kept;
#[path = "registry/lists.rs"]
mod lists;
#[path = "registry/login.rs"]
mod login;
#[path = "registry/pull.rs"]
mod pull;
#[path = "registry/push.rs"]
mod push;
#[path = "registry/real.rs"]
mod real;
#[path = "registry/tls.rs"]
mod tls;

use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use corten_images::Descriptor;
use corten_images::registry::settings::Retries;
use corten_images::registry::{
    Anonymous, At, Cancel, Client, Credential, Credentials, Error, Repository, Secret, Settings, Stored,
    credentials,
};
use corten_model::Digest;
use corten_tests::registry::Registry;

/// Settings under which a test doesn't wait.
fn settings() -> Settings {
    let pause = Duration::from_millis(1);
    Settings {
        retries: Retries { tries: 4, first_pause: pause, longest_pause: Duration::from_secs(1) },
        certs_dirs: Vec::new(),
        ..Settings::default()
    }
}

fn client() -> Client {
    Client::new(settings(), Arc::new(Anonymous), Cancel::new())
}

fn client_with(settings: Settings, credentials: impl Credentials + 'static) -> Client {
    Client::new(settings, Arc::new(credentials), Cancel::new())
}

/// `name` at `registry`.
fn repository(client: &Client, registry: &Registry, name: &str) -> Repository {
    let reference = client.resolve_name(&format!("{}/{name}", registry.host())).unwrap();
    client.repository(&reference).unwrap()
}

fn tag(tag: &str) -> At {
    At::Tag(tag.to_owned())
}

fn blob_of(digest: &str, size: usize) -> Descriptor {
    Descriptor::new("application/octet-stream", &digest.parse::<Digest>().unwrap(), size as u64)
}

/// The whole blob, or the client's error.
fn read(repository: &Repository, blob: &Descriptor, from: u64) -> Result<Vec<u8>, String> {
    let mut reader = repository.blob(blob, from).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    match reader.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => {
            Err(Error::within(&error).map(ToString::to_string).unwrap_or(format!("foreign: {error}")))
        }
    }
}

/// So many bytes, none like its neighbours.
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|number| (number % 251) as u8 ^ (number / 251) as u8).collect()
}

/// Credentials in memory.
#[derive(Default)]
struct Kept(Mutex<Vec<(String, Credential)>>);

impl Kept {
    fn password(host: &str, user: &str, password: &str) -> Self {
        Self(Mutex::new(vec![(host.to_owned(), self::password(user, password))]))
    }
}

fn password(user: &str, password: &str) -> Credential {
    Credential::Password { username: user.to_owned(), password: Secret::new(password) }
}

impl Credentials for Kept {
    fn get(&self, host: &str, _: &str) -> Result<Option<Credential>, credentials::Error> {
        let all = self.0.lock().unwrap();
        Ok(all.iter().find(|(other, _)| other == host).map(|(_, credential)| credential.clone()))
    }

    fn store(&self, host: &str, credential: &Credential) -> Result<Stored, credentials::Error> {
        self.0.lock().unwrap().push((host.to_owned(), credential.clone()));
        Ok(Stored::WithHelper("memory".into()))
    }

    fn erase(&self, host: &str) -> Result<bool, credentials::Error> {
        let mut all = self.0.lock().unwrap();
        let before = all.len();
        all.retain(|(other, _)| other != host);
        Ok(all.len() < before)
    }

    fn list(&self) -> Result<Vec<(String, String)>, credentials::Error> {
        Ok(Vec::new())
    }
}
