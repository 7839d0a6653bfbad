//! The states of a container and who stopped it.
//!
//! ```text
//!            start                 exit
//! Created ─────────▶ Running ─────────────▶ Exited ──start──▶ Running
//!    │                │   ▲                   │
//!    │           pause│   │unpause            │
//!    │                ▼   │                   │
//!    │               Paused                   │
//!    └──────────rm──────────────────rm────────┴──▶ (no row)
//! ```
//! `Dead` is a container whose removal began and did not end. What runs is asked of the kernel:
//! the state here is what was last learned.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state that `ps` and `inspect` show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Made, never started (or its start failed).
    Created,
    /// Its first process runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Between an exit and the start that its policy asks for.
    Restarting,
    /// A removal is under way.
    Removing,
    /// Its first process ended.
    Exited,
    /// A removal failed half-way; `rm` finishes it.
    Dead,
}

impl Status {
    /// The word that Docker uses, and the database stores.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Restarting => "restarting",
            Status::Removing => "removing",
            Status::Exited => "exited",
            Status::Dead => "dead",
        }
    }

    /// The state that a stored or typed word names.
    pub fn from_word(word: &str) -> Option<Self> {
        [
            Status::Created,
            Status::Running,
            Status::Paused,
            Status::Restarting,
            Status::Removing,
            Status::Exited,
            Status::Dead,
        ]
        .into_iter()
        .find(|s| s.as_str() == word)
    }

    /// Whether a process of the container may be alive.
    pub fn is_alive(self) -> bool {
        matches!(self, Status::Running | Status::Paused | Status::Restarting)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a container's first process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The process's exit code, or 128 + signal.
    pub code: u8,
    /// The kernel's OOM killer ended a process of the container.
    pub oom_killed: bool,
}

/// What the user wants of the container; a restart policy and boot act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// It should run.
    Running,
    /// It should not.
    Stopped,
}
