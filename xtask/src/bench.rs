//! `cargo xtask bench`: times that can be trusted on a machine whose speed changes from minute to minute.
//!
//! What is compared runs in turn in the same minute, warm-ups are dropped, and ratios are taken pair by pair.
//! Absolute figures are shown, but only ratios are compared with targets of that kind. It is a report: nothing here
//! fails because something is slow.
//!
//! ```text
//! outside: builds, brings the peers up ─▶ inside the peers' namespaces: `xtask bench inside start|cli|layers`
//! ```
//! crun refuses hybrid control groups, so both run where only v1 hierarchies are seen.

use crate::dist;
use crate::failure::{Context, Failure, Outcome};
use crate::peers::Peers;
use crate::program::Program;
use crate::project;

mod cli;
mod corten;
mod crun;
mod layers;
mod report;
mod sample;
mod start;

const USAGE: &str = "cargo xtask bench start|cli|layers [--quick]";

/// The subcommands.
pub fn run(words: &[String]) -> Outcome {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [what @ ("start" | "cli" | "layers")] => outside(what, "full"),
        [what @ ("start" | "cli" | "layers"), "--quick"] => outside(what, "quick"),
        // Inside the peers' namespaces: not for people.
        ["inside", "start", size] => start::run(*size == "quick"),
        ["inside", "cli", size] => cli::run(*size == "quick"),
        ["inside", "layers", size] => layers::run(*size == "quick"),
        _ => Err(Failure::new(USAGE)),
    }
}

fn outside(what: &str, size: &str) -> Outcome {
    dist::build()?;
    floor()?;
    debian_12()?;
    let peers = Peers::new()?;
    peers.make()?;
    if what == "layers" {
        layers::prepare(&peers.tree())?;
    }
    peers.up()?;
    // The project is /src there; the path of this executable below it is the same.
    let own = std::env::current_exe().context("find our own executable")?;
    let below = own.strip_prefix(project::root()).context("find xtask below the project")?;
    let inside = format!("/src/{}", below.display());
    peers.inside(&[inside.as_str(), "bench", "inside", what, size])?.check()
}

/// Fetches Debian 12's crun, against which the targets were set. On another Debian its archive doesn't have that one:
/// then only today's is compared.
fn debian_12() -> Outcome {
    let place = project::root().join(crun::DEBIAN_12);
    if place.join("usr/bin/crun").exists() {
        return Ok(());
    }
    let packages = place.with_extension("debs");
    std::fs::create_dir_all(&packages).context("make a directory for packages")?;
    let fetched = ["crun=1.8.1*", "libyajl2"].iter().try_for_each(|package| {
        Program::new("apt-get").args(["download", package]).directory(&packages).quiet().check()
    });
    if let Err(failure) = fetched {
        eprintln!("without Debian 12's crun: {failure}");
        return Ok(());
    }
    for package in std::fs::read_dir(&packages).context("list the packages")?.flatten() {
        Program::new("dpkg-deb").arg("-x").arg(package.path()).arg(&place).quiet().check()?;
    }
    std::fs::remove_dir_all(&packages).context("remove the packages")
}

/// Builds the raw limit: the same namespaces and one exec, by a static program of the tests.
fn floor() -> Outcome {
    Program::cargo()
        .args(["rustc", "--release", "-p", "corten-tests", "--bin", "floor", "--"])
        .args(["-C", "target-feature=+crt-static", "-C", "relocation-model=static"])
        .check()
}
