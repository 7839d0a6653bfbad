//! Programs that keep secrets: `docker-credential-<name> get|store|erase|list`, a line or a document in, one out.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Credential, Error};
use crate::registry::Secret;

/// What every helper's name begins with.
pub(super) const PREFIX: &str = "docker-credential-";
/// How long one may take: some ask for a passphrase.
const DEADLINE: Duration = Duration::from_secs(120);
/// Bytes of what one says.
const OUTPUT_MAX: u64 = 1 << 20;
/// The name that means that the secret is an identity token.
const TOKEN_USER: &str = "<token>";
/// What they say when they have nothing.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// One of them.
pub(super) struct Helper<'p> {
    pub name: String,
    /// The directories that it is looked for in.
    pub programs: &'p OsStr,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    #[serde(rename = "ServerURL", default)]
    server_url: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

impl Helper<'_> {
    /// What it keeps for `key`.
    pub fn get(&self, key: &str) -> Result<Option<Credential>, Error> {
        let (good, said) = self.call("get", key.as_bytes())?;
        if !good {
            let said = String::from_utf8_lossy(&said).trim().to_owned();
            return if said.contains(NOT_FOUND) { Ok(None) } else { Err(self.failed("get", shown(&said))) };
        }
        // What it said may be a secret: no word of it is in the error.
        let document: Document = serde_json::from_slice(&said)
            .map_err(|_| self.failed("get", "what it says is no credential".into()))?;
        let secret = Secret::new(document.secret);
        if secret.is_empty() {
            return Ok(None);
        }
        Ok(Some(match document.username.as_str() {
            TOKEN_USER => Credential::IdentityToken { username: String::new(), token: secret },
            _ => Credential::Password { username: document.username, password: secret },
        }))
    }

    /// Gives it a credential to keep.
    pub fn store(&self, key: &str, credential: &Credential) -> Result<(), Error> {
        let (username, secret) = match credential {
            Credential::Password { username, password } => (username.as_str(), password),
            Credential::IdentityToken { token, .. } | Credential::RegistryToken(token) => (TOKEN_USER, token),
        };
        let (server_url, username) = (key.to_owned(), username.to_owned());
        let document = Document { server_url, username, secret: secret.expose().to_owned() };
        let document = serde_json::to_vec(&document).expect("texts are JSON");
        self.done("store", &document)
    }

    /// Makes it forget.
    pub fn erase(&self, key: &str) -> Result<(), Error> {
        self.done("erase", key.as_bytes())
    }

    /// What it keeps, and whose it is.
    pub fn list(&self) -> Result<Vec<(String, String)>, Error> {
        let (good, said) = self.call("list", b"")?;
        if !good {
            return Err(self.failed("list", shown(&String::from_utf8_lossy(&said))));
        }
        let all: std::collections::BTreeMap<String, String> = serde_json::from_slice(&said)
            .map_err(|_| self.failed("list", "what it says is no list".into()))?;
        Ok(all.into_iter().collect())
    }

    fn done(&self, action: &'static str, input: &[u8]) -> Result<(), Error> {
        let (good, said) = self.call(action, input)?;
        if good { Ok(()) } else { Err(self.failed(action, shown(&String::from_utf8_lossy(&said)))) }
    }

    fn failed(&self, action: &'static str, why: String) -> Error {
        Error::Helper { helper: self.name.clone(), action, why }
    }

    /// Runs it; whether it went well, and what it said.
    fn call(&self, action: &'static str, input: &[u8]) -> Result<(bool, Vec<u8>), Error> {
        let failed = |error: std::io::Error| self.failed(action, error.to_string());
        let program = self.find().ok_or_else(|| Error::NoHelper { helper: self.name.clone() })?;
        let mut command = Command::new(program);
        command.arg(action).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let child = command.spawn().map_err(failed)?;
        let mut child = Ends(child);
        let mut stdin = child.0.stdin.take().expect("it is piped");
        let stdout = child.0.stdout.take().expect("it is piped");
        let (sender, receiver) = mpsc::channel();
        let input = input.to_vec();
        std::thread::spawn(move || {
            // One that doesn't want to know its input may still have an answer.
            let _ = stdin.write_all(&input);
            drop(stdin);
            let mut said = Vec::new();
            let read = stdout.take(OUTPUT_MAX + 1).read_to_end(&mut said).map(|_| said);
            let _ = sender.send(read);
        });
        let said = match receiver.recv_timeout(DEADLINE) {
            Ok(read) => read.map_err(failed)?,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Err(self.failed(action, format!("no answer within {} seconds", DEADLINE.as_secs())));
            }
        };
        if said.len() as u64 > OUTPUT_MAX {
            return Err(self.failed(action, format!("it says more than {OUTPUT_MAX} bytes")));
        }
        let status = child.0.wait().map_err(failed)?;
        Ok((status.success(), said))
    }

    fn find(&self) -> Option<PathBuf> {
        // A name with a slash would be a path: it is chosen by a file that others may write.
        if self.name.contains('/') {
            return None;
        }
        let runs = |path: &PathBuf| {
            path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        };
        std::env::split_paths(self.programs)
            .filter(|directory| directory.is_absolute())
            .map(|directory| directory.join(&self.name))
            .find(runs)
    }
}

/// Ends with whoever called it.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first line of what a program says, cleaned.
fn shown(said: &str) -> String {
    const SHOWN_MAX: usize = 200;
    let line = said.lines().next().unwrap_or_default();
    let text: String = line.chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect();
    if text.is_empty() { "it doesn't say why".into() } else { text }
}
