//! `cargo xtask tidy`: the rules of this house that neither the compiler nor clippy knows.
//!
//! It is also a test, so that nothing lands that breaks one. A rule is one file here: it is given every source
//! file and adds what it finds. Exceptions stand in `tidy/exceptions.rs`, each with its reason; one that is no
//! longer needed is itself a finding, so the lists only get shorter.

use std::path::Path;

use crate::failure::{Context, Failure, Outcome, no_arguments};
use crate::project;

mod attacks;
mod edges;
mod exceptions;
mod files;
mod flags;
mod functions;
mod rust_text;
mod verbs;
mod words;

/// Source files, and what the rules have to say about them.
struct House {
    sources: Vec<Source>,
    findings: Vec<String>,
}

/// One text file of the project.
struct Source {
    /// Its path below the root of the project.
    path: String,
    /// As it is.
    text: String,
    /// For Rust: the same lines with comments and the insides of literals blanked.
    code: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The crate's directory, for example `crates/sys`, `tests` or `xtask`.
    fn home(&self) -> &str {
        let depth = if self.path.starts_with("crates/") { 2 } else { 1 };
        let end = self.path.match_indices('/').nth(depth - 1).map_or(self.path.len(), |(at, _)| at);
        &self.path[..end]
    }
}

impl House {
    fn finding(&mut self, place: &str, what: impl AsRef<str>) {
        self.findings.push(format!("{place}: {}", what.as_ref()));
    }

    fn rust(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|s| s.is_rust())
    }

    fn source(&self, path: &str) -> Option<&Source> {
        self.sources.iter().find(|s| s.path == path)
    }
}

/// Applies every rule; any finding is a failure.
pub fn run(words: &[String]) -> Outcome {
    no_arguments("tidy", words)?;
    let findings = findings(&project::root())?;
    if findings.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("the house is not tidy:\n  {}", findings.join("\n  "))))
}

fn findings(root: &Path) -> Outcome<Vec<String>> {
    let mut house = House { sources: Vec::new(), findings: Vec::new() };
    for top in ["crates", "tests", "xtask", "docs", ".ci", ".config"] {
        if root.join(top).exists() {
            read_below(root, top, &mut house.sources)?;
        }
    }
    for file in ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "Cargo.toml", "clippy.toml"] {
        if root.join(file).exists() {
            house.sources.push(read(root, file)?);
        }
    }
    house.sources.sort_by(|a, b| a.path.cmp(&b.path));
    edges::check(&mut house);
    files::check(&mut house);
    functions::check(&mut house);
    words::check(&mut house);
    verbs::check(&mut house);
    flags::check(&mut house);
    attacks::check(&mut house);
    Ok(house.findings)
}

fn read_below(root: &Path, directory: &str, sources: &mut Vec<Source>) -> Outcome {
    let entries = std::fs::read_dir(root.join(directory)).context(format_args!("list {directory}"))?;
    for entry in entries {
        let entry = entry.context(format_args!("list {directory}"))?;
        let path = format!("{directory}/{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().context(format_args!("look at {path}"))?;
        let is_text =
            [".rs", ".toml", ".md", ".sh", "docker-flags.txt"].iter().any(|end| path.ends_with(end));
        if kind.is_dir() && !path.ends_with("/target") {
            read_below(root, &path, sources)?;
        } else if kind.is_file() && (is_text || directory == ".ci") {
            sources.push(read(root, &path)?);
        }
    }
    Ok(())
}

fn read(root: &Path, path: &str) -> Outcome<Source> {
    let text = std::fs::read_to_string(root.join(path)).context(format_args!("read {path}"))?;
    let code = if path.ends_with(".rs") { rust_text::code(&text) } else { String::new() };
    Ok(Source { path: path.to_owned(), text, code })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_tidy() {
        let findings = findings(&project::root()).unwrap();
        assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    }

    /// A house of the given files; what one rule says about it.
    pub(super) fn said(files: &[(&str, &str)], rule: impl Fn(&mut House)) -> Vec<String> {
        let source = |&(path, text): &(&str, &str)| {
            let code = if path.ends_with(".rs") { rust_text::code(text) } else { String::new() };
            Source { path: path.into(), text: text.into(), code }
        };
        let mut house = House { sources: files.iter().map(source).collect(), findings: Vec::new() };
        rule(&mut house);
        house.findings
    }
}
