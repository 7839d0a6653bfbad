//! `cargo xtask bench`: times that can be trusted on a machine whose speed changes from minute to minute.
//!
//! What is compared runs in turn in the same minute, warm-ups are dropped, and ratios are taken pair by pair.
//! Absolute figures are shown, but only ratios are compared with targets of that kind. It is a report: nothing here
//! fails because something is slow.
//!
//! ```text
//! outside: builds, brings the peers up ─▶ inside the peers' namespaces: `xtask bench inside start`
//! ```
//! crun refuses hybrid control groups, so both run where only v1 hierarchies are seen.

use crate::dist;
use crate::failure::{Context, Failure, Outcome};
use crate::peers::Peers;
use crate::program::Program;
use crate::project;

mod corten;
mod crun;
mod report;
mod sample;
mod start;

const USAGE: &str = "cargo xtask bench start [--quick]";

/// The subcommands.
pub fn run(words: &[String]) -> Outcome {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["start"] => outside("full"),
        ["start", "--quick"] => outside("quick"),
        // Inside the peers' namespaces: not for people.
        ["inside", "start", size] => start::run(*size == "quick"),
        _ => Err(Failure::new(USAGE)),
    }
}

fn outside(size: &str) -> Outcome {
    dist::build()?;
    floor()?;
    let peers = Peers::new()?;
    peers.make()?;
    peers.up()?;
    // The project is /src there; the path of this executable below it is the same.
    let own = std::env::current_exe().context("find our own executable")?;
    let below = own.strip_prefix(project::root()).context("find xtask below the project")?;
    let inside = format!("/src/{}", below.display());
    peers.inside(&[inside.as_str(), "bench", "inside", "start", size])?.check()
}

/// Builds the raw limit: the same namespaces and one exec, by a static program of the tests.
fn floor() -> Outcome {
    Program::cargo()
        .args(["rustc", "--release", "-p", "corten-tests", "--bin", "floor", "--"])
        .args(["-C", "target-feature=+crt-static", "-C", "relocation-model=static"])
        .check()
}
