//! The one error of xtask: a sentence for the person at the keyboard, with what led to it.

use std::fmt;

/// What every command returns.
pub type Outcome<T = ()> = Result<T, Failure>;

/// Why a command stopped.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure that says `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says what was being done when something failed.
pub trait Context<T> {
    /// `doing` reads as "cannot `doing`".
    fn context(self, doing: impl fmt::Display) -> Outcome<T>;
}

impl<T, E: fmt::Display> Context<T> for Result<T, E> {
    fn context(self, doing: impl fmt::Display) -> Outcome<T> {
        self.map_err(|cause| Failure(format!("cannot {doing}\ncaused by: {cause}")))
    }
}

/// Stops a command because its arguments are wrong.
pub fn no_arguments(command: &str, words: &[String]) -> Outcome {
    match words {
        [] => Ok(()),
        [first, ..] => Err(Failure::new(format!("`{command}` takes no `{first}`"))),
    }
}
