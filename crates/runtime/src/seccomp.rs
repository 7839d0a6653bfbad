//! seccomp: from a profile in Docker's JSON format to a filter that the kernel runs.
//!
//! ```text
//! profile.rs   JSON → rules that apply to these capabilities, this kernel and architecture
//! arch.rs      names of system calls → numbers, per architecture
//! table.rs     rules → for each number what happens, as ranges
//! compile.rs   ranges → classic BPF, a balanced search tree
//! cache.rs     the finished program on disk, keyed by everything it depends on
//! ```
//!
//! What a profile means follows libseccomp and runc, so that one written for Docker behaves the same here;
//! where they leave it open, the stricter reading is taken. Loading the filter is
//! `corten_sys::seccomp::load`, and happens in the container's init. Handing system calls to a supervisor
//! (`SCMP_ACT_NOTIFY`) isn't done.

use std::path::Path;

use corten_model::Kind;
use corten_model::capability::CapSet;
use corten_sys::seccomp::{Flags, INSTRUCTIONS_MAX, Instruction};

mod arch;
mod cache;
mod compile;
#[cfg(test)]
mod interpret;
mod profile;
mod table;
#[cfg(test)]
mod tests;

use arch::Arch;
use profile::Profile;

/// A compiled filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// What is loaded.
    pub program: Vec<Instruction>,
    /// How it is loaded.
    pub flags: Flags,
}

/// Why a profile can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It isn't JSON, or not of the profile's shape.
    #[error("the seccomp profile can't be parsed")]
    Parse(#[source] serde_json::Error),
    /// One of its values is not one that the format has.
    #[error("the seccomp profile has {field} `{value}`: {reason}")]
    Value {
        /// Which field.
        field: &'static str,
        /// What it says.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It asks for something that isn't built.
    #[error("the seccomp profile uses `{0}`, which Corten can't do")]
    Unsupported(String),
    /// This program was built for a processor without a table of system calls.
    #[error("there is no seccomp support for the architecture `{0}`")]
    Architecture(&'static str),
    /// The kernel takes at most so many instructions.
    #[error("the seccomp profile compiles to {0} instructions, the kernel takes {INSTRUCTIONS_MAX}")]
    TooLong(usize),
}

impl Error {
    /// What a caller can do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Error::Parse(_) | Error::Value { .. } | Error::TooLong(_) => Kind::Invalid,
            Error::Unsupported(_) | Error::Architecture(_) => Kind::Unsupported,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Architecture(_) => Some("run with `--security-opt seccomp=unconfined`".into()),
            Error::TooLong(_) => Some("fewer conditions on arguments make it shorter".into()),
            _ => None,
        }
    }
}

/// Docker's default profile.
pub fn default_profile() -> &'static str {
    include_str!("seccomp/default.json")
}

/// The filter of `profile_json` for a process with `caps` on a kernel of at least this version.
///
/// With a `cache_dir` the result is kept there, and taken from there if profile, capabilities, kernel and
/// compiler are the same. A cache that can't be read or written costs time, never the start.
pub fn filter(
    cache_dir: Option<&Path>,
    profile_json: &str,
    caps: CapSet,
    kernel: (u32, u32),
) -> Result<Filter, Error> {
    let native = Arch::native()?;
    let Some(dir) = cache_dir else { return compiled(profile_json, caps, kernel, native) };
    let key = cache::Key { profile: profile_json, caps: caps.bits(), kernel, arch: native.audit() };
    if let Some(filter) = cache::load(dir, &key) {
        return Ok(filter);
    }
    let filter = compiled(profile_json, caps, kernel, native)?;
    cache::store(dir, &key, &filter);
    Ok(filter)
}

fn compiled(json: &str, caps: CapSet, kernel: (u32, u32), native: Arch) -> Result<Filter, Error> {
    let profile = Profile::parse(json)?;
    let tables = profile.tables(caps, kernel, native)?;
    Ok(Filter { program: compile::program(&tables)?, flags: profile.flags()? })
}
