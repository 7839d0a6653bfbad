//! The kinds of error that a caller can act on; each crate's door maps its errors to one.

use std::fmt;

/// What went wrong, as far as a caller needs to know: exit codes and HTTP statuses are one match on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The named object doesn't exist.
    NotFound,
    /// The object is in a state, or another object is in the way, that forbids this now.
    Conflict,
    /// The request is wrong whatever the state.
    Invalid,
    /// The kernel or a policy refuses this caller.
    Denied,
    /// A resource (space, memory, a lock, a process) can't be had now.
    Unavailable,
    /// This build, kernel or host can't do it.
    Unsupported,
    /// The caller cancelled it.
    Cancelled,
    /// A fault of ours or of the machine.
    Internal,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::NotFound => "not found",
            Kind::Conflict => "conflict",
            Kind::Invalid => "invalid",
            Kind::Denied => "denied",
            Kind::Unavailable => "unavailable",
            Kind::Unsupported => "unsupported",
            Kind::Cancelled => "cancelled",
            Kind::Internal => "internal error",
        })
    }
}
