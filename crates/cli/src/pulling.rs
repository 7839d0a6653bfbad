//! A pull as `pull`, `run` and `create` do it: the client, Docker's lines around the layers, and Ctrl-C.

use std::io::{self, Write as _};
use std::str::FromStr;

use corten_engine::Engine;
use corten_engine::image::{self, PullOutcome, PullRequest};
use corten_engine::registry::{Cancel, Client};
use corten_model::platform::Platform;
use corten_model::{Invalid, Reference};

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::interrupt::Interrupt;
use crate::transfer::{Shown, To};

/// When `run` and `create` pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Before every container.
    Always,
    /// When the image isn't here.
    #[default]
    Missing,
    /// Not at all.
    Never,
    /// When the registry has another one, and can be reached.
    Newer,
}

impl FromStr for Policy {
    type Err = Invalid;

    fn from_str(text: &str) -> std::result::Result<Self, Invalid> {
        match text {
            "always" => Ok(Self::Always),
            "missing" | "" => Ok(Self::Missing),
            "never" => Ok(Self::Never),
            "newer" => Ok(Self::Newer),
            _ => Err(Invalid::new("pull policy", text, "no such policy")
                .hint("use `always`, `missing`, `never` or `newer`")),
        }
    }
}

// No doc comment: clap would take it for the help of the command that these flags are part of.
#[derive(clap::Args, Debug, Clone)]
pub struct PullFlags {
    /// Set platform if server is multi-platform capable
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// Pull image before running (always, missing, never, newer)
    #[arg(long, value_name = "POLICY", default_value = "missing")]
    pull: Policy,
    /// Suppress the pull output
    #[arg(short, long)]
    quiet: bool,
}

impl PullFlags {
    /// Which of several platforms.
    pub fn platform(&self) -> Option<Platform> {
        self.platform.clone()
    }

    /// Does `make`, with the image pulled before or after as the flags say. Ctrl-C during a pull is the exit code.
    pub fn around(
        &self,
        image: &str,
        caller: &mut Caller,
        make: &mut dyn FnMut(&mut Caller) -> Result<u8>,
    ) -> Result<u8> {
        if matches!(self.pull, Policy::Always | Policy::Newer)
            && let Some(code) = self.first(image, caller)?
        {
            return Ok(code);
        }
        match make(caller) {
            Err(Failure::Engine(error)) if error.is_missing_image() && self.pull == Policy::Missing => {
                let reference = image.parse::<Reference>().map(|reference| reference.familiar());
                // What can be no name of an image, or is an id, is none that can be pulled.
                let Some(name) = reference.ok().filter(|_| !image.starts_with("sha256:")) else {
                    return Err(Failure::Engine(error));
                };
                if !self.quiet {
                    writeln!(io::stderr(), "Unable to find image '{name}' locally")?;
                }
                match self.pull(image, caller)? {
                    Some(code) => Ok(code),
                    None => make(caller),
                }
            }
            other => other,
        }
    }

    /// Before the container is made; an unreachable registry matters only to who wants it always.
    fn first(&self, image: &str, caller: &mut Caller) -> Result<Option<u8>> {
        match self.pull(image, caller) {
            Err(Failure::Engine(error)) if self.pull == Policy::Newer && !error.is_missing_image() => {
                caller.warn(&[format!("{image} may be older than in its registry: {error}")])?;
                Ok(None)
            }
            other => other,
        }
    }

    fn pull(&self, image: &str, caller: &mut Caller) -> Result<Option<u8>> {
        let platforms: Vec<Platform> = self.platform.iter().cloned().collect();
        let wish = Wish { name: image, platforms: &platforms, quiet: self.quiet, to: To::Errors };
        let mut engine = caller.engine()?;
        match pull(&wish, &mut engine, caller)? {
            Pulled::All(_) => Ok(None),
            Pulled::Interrupted(code) => Ok(Some(code)),
        }
    }
}

/// What is pulled, and how that is shown.
pub struct Wish<'w> {
    /// As it was typed.
    pub name: &'w str,
    /// Only these platforms; none: the best for this machine.
    pub platforms: &'w [Platform],
    /// Nothing is shown on the way.
    pub quiet: bool,
    /// Where it is shown.
    pub to: To,
}

/// What became of it.
pub enum Pulled {
    /// One for each name.
    All(Vec<PullOutcome>),
    /// A signal ended it: the exit code.
    Interrupted(u8),
}

/// Pulls. Ctrl-C ends it, and what came so far stays for the next time.
pub fn pull(wish: &Wish<'_>, engine: &mut Engine, caller: &mut Caller) -> Result<Pulled> {
    let interrupt = Interrupt::prepare()?;
    let cancel = Cancel::new();
    let client = caller.registries(&cancel)?;
    let outcome =
        interrupt.watch(&|| cancel.cancel(), || pull_all(wish, engine, &client, &cancel, caller))?;
    match (outcome, interrupt.code()) {
        (Ok(outcomes), _) => Ok(Pulled::All(outcomes)),
        (Err(Failure::Engine(error)), Some(code)) if error.kind() == corten_model::Kind::Cancelled => {
            Ok(Pulled::Interrupted(code))
        }
        (Err(failure), _) => Err(failure),
    }
}

fn pull_all(
    wish: &Wish<'_>,
    engine: &mut Engine,
    client: &Client,
    cancel: &Cancel,
    caller: &mut Caller,
) -> Result<Vec<PullOutcome>> {
    let reference = client.resolve_name(wish.name).map_err(corten_engine::Error::from)?;
    let shown = Shown::new(wish.to, wish.quiet);
    let last = wish.name.rsplit('/').next().unwrap_or(wish.name);
    let says_tag = last.contains([':', '@']);
    if !says_tag && wish.to == To::Output {
        shown.line(&format!("Using default tag: {}", corten_model::reference::DEFAULT_TAG))?;
    }
    let request = PullRequest { platforms: wish.platforms.to_vec(), client, progress: &shown, cancel };
    Ok(vec![pull_one(&reference, engine, &request, &shown, caller)?])
}

fn pull_one(
    reference: &Reference,
    engine: &mut Engine,
    request: &PullRequest<'_>,
    shown: &Shown,
    caller: &mut Caller,
) -> Result<PullOutcome> {
    let what = reference.digest.as_ref().map(ToString::to_string).or(reference.tag.clone());
    shown.line(&format!("{}: Pulling from {}", what.unwrap_or_default(), reference.repository))?;
    let outcome = image::pull(engine, reference, request);
    shown.end()?;
    let outcome = outcome?;
    shown.line(&format!("Digest: {}", outcome.digest))?;
    let news = if outcome.is_new { "Downloaded newer image for" } else { "Image is up to date for" };
    shown.line(&format!("Status: {news} {}", outcome.reference.familiar()))?;
    caller.warn(&outcome.warnings)?;
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        assert_eq!("always".parse::<Policy>().unwrap(), Policy::Always);
        assert_eq!("newer".parse::<Policy>().unwrap(), Policy::Newer);
        assert!("sometimes".parse::<Policy>().is_err());
    }
}
