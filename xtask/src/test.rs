//! `cargo xtask test`: set-up, the binary, then every test of the workspace against it.

use std::path::Path;

use crate::dist;
use crate::failure::{Failure, Outcome};
use crate::machine;
use crate::program::Program;
use crate::setup;

/// Runs the tests; `words` go to nextest, for example a part of a test's name.
pub fn run(words: &[String]) -> Outcome {
    if !machine::is_root() {
        let why = "the tests make namespaces, mounts, cgroups and users: run them as root";
        return Err(Failure::new(why));
    }
    setup::run(&[])?;
    let binary = dist::build()?;
    nextest(&binary, words)
}

fn nextest(binary: &Path, words: &[String]) -> Outcome {
    Program::cargo()
        .args(["nextest", "run", "--workspace", "--release"])
        .args(words)
        .env("CORTEN_BIN", binary)
        .check()
}
