//! `cargo xtask check`: what has to hold before a commit, cheapest first.

use crate::failure::{Outcome, no_arguments};
use crate::program::Program;
use crate::tidy;

/// Formatting, tidy, clippy.
pub fn run(words: &[String]) -> Outcome {
    no_arguments("check", words)?;
    Program::cargo().args(["fmt", "--check"]).check()?;
    tidy::run(&[])?;
    // The same profile as the tests': what is checked here needs no second set of dependencies.
    Program::cargo()
        .args(["clippy", "--workspace", "--all-targets", "--release", "--", "-D", "warnings"])
        .check()
}
