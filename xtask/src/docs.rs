//! `cargo xtask docs`: the reference in docs/reference and the manual in target/man, from the definitions of the commands.
//!
//! The binary writes them itself. A test of the cli fails while docs/reference is not what would be made.

use crate::failure::{Context, Outcome, no_arguments};
use crate::program::Program;
use crate::project;

/// Makes both.
pub fn run(words: &[String]) -> Outcome {
    no_arguments("docs", words)?;
    Program::cargo().args(["build", "--release", "-p", "corten"]).check()?;
    let binary = project::target().join("release/corten");
    let reference = project::root().join("docs/reference");
    if reference.exists() {
        // A page of a command that is gone goes too.
        std::fs::remove_dir_all(&reference).context("remove docs/reference")?;
    }
    Program::new(&binary).args(["man", "--format", "markdown"]).arg(&reference).check()?;
    Program::new(&binary).arg("man").arg(project::target().join("man")).check()
}
