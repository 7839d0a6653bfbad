//! Every command of the CLI is driven by a black-box test.
//!
//! The commands are the files below crates/cli/src/commands: `run.rs` is `run`, `volume/create.rs` is `volume
//! create`. A test drives one when a list of its arguments has the words as literals.

use super::House;
use super::exceptions::NO_VERBS;

const COMMANDS: &str = "crates/cli/src/commands/";

/// Every command against every test.
pub fn check(house: &mut House) {
    let tests: String = house
        .rust()
        .filter(|s| s.path.starts_with("tests/tests/") || s.path.starts_with("tests/src/"))
        .map(|s| s.text.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let files: Vec<&str> = house.rust().filter_map(|s| s.path.strip_prefix(COMMANDS)).collect();
    let mut missing = Vec::new();
    for file in &files {
        let command = file.trim_end_matches(".rs");
        let is_folder = files.iter().any(|other| other.starts_with(&format!("{command}/")));
        if is_folder || NO_VERBS.iter().any(|(name, _)| *name == command) {
            continue;
        }
        let words: Vec<String> = command.split('/').map(|w| format!("\"{}\"", w.replace('_', "-"))).collect();
        if !tests.contains(&words.join(", ")) {
            missing.push((format!("{COMMANDS}{file}"), command.replace('/', " ")));
        }
    }
    for (place, command) in missing {
        house.finding(&place, format!("no black-box test runs `{command}`"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;

    #[test]
    fn a_command_without_a_test_is_found() {
        let files = [
            ("crates/cli/src/commands/run.rs", ""),
            ("crates/cli/src/commands/rm.rs", ""),
            ("crates/cli/src/commands/volume.rs", ""),
            ("crates/cli/src/commands/volume/create.rs", ""),
            ("crates/cli/src/commands/volume/rm.rs", ""),
            ("tests/tests/a.rs", "host.run([\"run\", \"x\"]); host.run([\n \"volume\",\n \"create\"]);"),
        ];
        let found = said(&files, super::check);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("`rm`") && found[1].contains("`volume rm`"));
    }
}
