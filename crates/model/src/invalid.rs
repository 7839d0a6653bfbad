//! The one error of every parser in this crate.

/// A value that a person or a file gave and that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} `{value}`: {why}")]
pub struct Invalid {
    /// What the value was meant to be: `memory size`, `mount`, `image reference`.
    pub what: &'static str,
    /// The value as it was given.
    pub value: String,
    /// What is wrong with it.
    pub why: String,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

impl Invalid {
    /// An error without a hint.
    pub fn new(what: &'static str, value: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what, value: value.into(), why: why.into(), hint: None }
    }

    /// The same error with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
