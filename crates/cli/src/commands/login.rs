//! `corten login`: who we are to a registry, verified and kept.

use std::io::Write as _;

use corten_engine::registry::credentials::{Credentials as _, Kept};
use corten_engine::registry::{Cancel, Client, Credential, Secret, Stored};
use corten_model::Kind;

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::prompt::{self, Answer};
use crate::registries::{login_places, registry_of};

/// Authenticate to a registry
///
/// Defaults to Docker Hub if no server is specified.
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten login [OPTIONS] [SERVER]")]
pub struct Args {
    /// The registry
    #[arg(value_name = "SERVER", hide = true)]
    server: Option<String>,
    /// Password or Personal Access Token (PAT), or `-` to read from stdin
    #[arg(short, long, value_name = "PASSWORD", allow_hyphen_values = true)]
    password: Option<String>,
    /// Take the Password or Personal Access Token (PAT) from stdin
    #[arg(long)]
    password_stdin: bool,
    /// Username
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let host = registry_of(args.server.as_deref())?;
    let kept = Kept::new(login_places());
    let client = caller.registries(&Cancel::new())?;
    let piped = args.password_stdin || args.password.as_deref() == Some("-");
    if args.password_stdin && args.password.is_some() {
        return Err(Failure::Login("--password and --password-stdin are mutually exclusive"));
    }
    if piped && args.username.is_none() {
        return Err(Failure::Login("Must provide --username with --password-stdin"));
    }
    if args.username.is_none()
        && args.password.is_none()
        && let Some(credential) = kept.get(&host, "")?
        && let Some(code) = again(&client, &host, credential, caller)?
    {
        return Ok(code);
    }
    let password = match args.password {
        _ if piped => Some(prompt::piped()?),
        Some(typed) => {
            let mut out = std::io::stderr();
            writeln!(out, "WARNING! Using --password via the CLI is insecure. Use --password-stdin.")?;
            Some(typed)
        }
        None => None,
    };
    let username = match args.username {
        Some(username) => username,
        None => match ask(caller, "Username: ", false, "a username is required")? {
            Answer::Text(text) => text,
            Answer::GivenUp(code) => return Ok(code),
        },
    };
    let password = match password {
        Some(password) if !password.is_empty() => password,
        Some(_) => return Err(Failure::Login("a password is required")),
        None => match ask(caller, "Password: ", true, "a password is required")? {
            Answer::Text(text) => text,
            Answer::GivenUp(code) => return Ok(code),
        },
    };
    let given = Credential::Password { username, password: Secret::new(password) };
    let credential = client.login(&host, given)?;
    if let Stored::InFile(path) = kept.store(&host, &credential)? {
        caller.out.flush()?;
        write!(
            std::io::stderr(),
            "\nWARNING! Your credentials are stored unencrypted in '{}'.\nConfigure a credential helper to remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n\n",
            path.display()
        )?;
    }
    writeln!(caller.out, "Login Succeeded")?;
    Ok(0)
}

/// Tries what is kept; `None`: it isn't good any more.
fn again(client: &Client, host: &str, credential: Credential, caller: &mut Caller) -> Result<Option<u8>> {
    let username = match &credential {
        Credential::Password { username, .. } | Credential::IdentityToken { username, .. } => {
            username.clone()
        }
        Credential::RegistryToken(_) => String::new(),
    };
    writeln!(caller.out, "Authenticating with existing credentials... [Username: {username}]")?;
    match client.login(host, credential) {
        Ok(_) => {
            writeln!(caller.out, "Login Succeeded")?;
            Ok(Some(0))
        }
        Err(error) if error.kind() == Kind::Denied && prompt::possible() => {
            writeln!(caller.out, "Login did not succeed, error: {error}")?;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn ask(caller: &mut Caller, question: &str, secret: bool, missing: &'static str) -> Result<Answer> {
    if !prompt::possible() {
        return Err(Failure::Login("Cannot perform an interactive login from a non TTY device"));
    }
    match prompt::ask(caller, question, secret)? {
        Answer::Text(text) if text.is_empty() => Err(Failure::Login(missing)),
        answer => Ok(answer),
    }
}
