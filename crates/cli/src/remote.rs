//! Commands that run on another host: the same binary over there, through ssh.
//!
//! ```text
//! address.rs   ssh://[user@]host[:port][/path]: pure
//! archive.rs   a context in a file, as Docker exports it
//! contexts.rs  addresses under names, in files
//! ssh.rs       the command line of ssh, and waiting for its end
//! signal.rs    a signal that came here, sent on over there
//! ```
//!
//! What is typed means what it means over there: paths, variables and files are that host's.

mod address;
pub mod archive;
pub mod contexts;
pub mod signal;
mod ssh;

use std::ffi::OsString;

use crate::caller::{Caller, variable};
use crate::error::{Failure, Result};
use crate::verbs::{self, Verb};
use crate::{completion, parse};

pub use address::Address;
use contexts::Contexts;

/// Set over there: a command that came from another host goes to no further one.
pub const VARIABLE: &str = "CORTEN_REMOTE";
/// The address that stands for this host.
const HERE: &str = "local";
/// First words of commands that are about this program, not about a host's containers.
const ALWAYS_HERE: [&str; 6] = ["completion", "context", "help", "man", completion::WORD, signal::WORD];

/// Whose containers a command is about, and who said so.
pub struct Chosen {
    /// The context's name; `default` for this host.
    pub context: String,
    /// Where it is; `None`: here.
    pub address: Option<Address>,
    /// What takes the choice away from `context use`, if anything does.
    pub overridden_by: Option<&'static str>,
}

/// What the flags, the environment and `context use` say: the first of these that says anything counts.
pub fn chosen(caller: &Caller) -> Result<Chosen> {
    let set = |name: &'static str| variable(name).filter(|value| !value.is_empty());
    let here = || Chosen { context: contexts::DEFAULT.into(), address: None, overridden_by: None };
    if set(VARIABLE).is_some() {
        return Ok(here());
    }
    let by_host = |from: &'static str, text: &str| -> Result<Chosen> {
        let address = if text == HERE { None } else { Some(Address::parse(text, from)?) };
        Ok(Chosen { address, overridden_by: Some(from), ..here() })
    };
    let by_name = |from: Option<&'static str>, name: &str| -> Result<Chosen> {
        let address = Contexts::of(caller)?.get(name)?.address;
        Ok(Chosen { context: name.to_owned(), address, overridden_by: from })
    };
    match (&caller.globals.host, &caller.globals.context) {
        (Some(_), Some(_)) => return Err(Failure::Conflict("`--host` and `--context` both name a host")),
        (Some(host), None) => return by_host("--host", host),
        (None, Some(name)) => return by_name(Some("--context"), name),
        (None, None) => {}
    }
    if let Some(host) = set("CORTEN_HOST") {
        return by_host("CORTEN_HOST", &host);
    }
    if let Some(name) = set("CORTEN_CONTEXT") {
        return by_name(Some("CORTEN_CONTEXT"), &name);
    }
    if let Some(host) = set("DOCKER_HOST") {
        return by_host("DOCKER_HOST", &host);
    }
    if let Some(name) = set("DOCKER_CONTEXT") {
        return by_name(Some("DOCKER_CONTEXT"), &name).map_err(|failure| match failure {
            Failure::NoSuchContext(name) => Failure::DockersContext(name),
            other => other,
        });
    }
    match Contexts::of(caller)?.current()? {
        Some(name) => by_name(None, &name),
        None => Ok(here()),
    }
}

/// Runs the command over there, if that is where it belongs.
pub fn run_there(words: &[OsString], caller: &mut Caller) -> Option<Result<u8>> {
    let first = words.first().and_then(|word| word.to_str()).unwrap_or_default();
    if ALWAYS_HERE.contains(&first) {
        return None;
    }
    match chosen(caller) {
        Err(failure) => Some(Err(failure)),
        Ok(Chosen { address: None, .. }) => None,
        Ok(Chosen { address: Some(address), .. }) => Some(ssh::run(&address, words, caller)),
    }
}

/// Whether the command has a terminal over there: if it asks for one and there is one here.
fn wants_terminal(words: &[OsString]) -> bool {
    if !rustix::termios::isatty(rustix::stdio::stdin()) || !rustix::termios::isatty(rustix::stdio::stdout()) {
        return false;
    }
    let Some((verb, rest)) = verb_of(words) else { return false };
    if verb.name() == "attach" {
        // Whether that container has one is known over there only.
        return true;
    }
    if !["run", "exec", "start"].contains(&verb.name()) {
        return false;
    }
    let Ok(parse::Parsed::Matches(matches)) = parse::parse(verb.name(), verb.fill, rest) else {
        return false;
    };
    let is_set = |flag: &str| matches!(matches.try_get_one::<bool>(flag), Ok(Some(true)));
    is_set("tty") || verb.name() == "start" && (is_set("attach") || is_set("interactive"))
}

fn verb_of(words: &[OsString]) -> Option<(&'static Verb, &[OsString])> {
    let first = words.first()?.to_str()?;
    if verbs::is_noun(first) {
        let second = words.get(1)?.to_str()?;
        return Some((verbs::find(&format!("{first} {second}"))?, &words[2..]));
    }
    Some((verbs::find(first)?, &words[1..]))
}
