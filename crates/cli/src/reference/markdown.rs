//! Pages as Markdown: docs/reference.

use std::fmt::Write as _;

use corten_engine::config::{Config, KEYS};

use super::{CONFIGURATION, Page};
use crate::verbs::NOUNS;
use crate::{global, help};

/// Stands first in every file: what somebody edits is lost at the next run.
const MADE: &str = "<!-- Made by `cargo xtask docs` from the definitions of the commands. -->\n";

/// Every file: its name and its text.
pub fn files(pages: &[Page]) -> Vec<(String, String)> {
    let commands = pages.iter().map(|page| (file(page.name), command(page)));
    let whole = [("README.md".to_owned(), index(pages)), ("configuration.md".to_owned(), configuration())];
    commands.chain(whole).collect()
}

fn file(name: &str) -> String {
    format!("{}.md", name.replace(' ', "_"))
}

fn command(page: &Page) -> String {
    let mut text = format!("{MADE}\n# corten {}\n\n{}\n\n```\n{}\n```\n", page.name, page.about, page.usage);
    if !page.more.is_empty() {
        let _ = write!(text, "\n{}\n", page.more);
    }
    if !page.synonyms.is_empty() {
        let synonyms: Vec<String> = page.synonyms.iter().map(|form| format!("`corten {form}`")).collect();
        let _ = write!(text, "\nAlso typed as {}.\n", synonyms.join(", "));
    }
    if !page.flags.is_empty() {
        text.push_str("\n| Flag | |\n|---|---|\n");
        for flag in &page.flags {
            let _ = writeln!(text, "| `{}` | {} |", flag.form.replace('|', "\\|"), cell(&flag.about));
        }
    }
    if !page.examples.is_empty() {
        let _ = write!(text, "\nExamples:\n\n```\n{}\n```\n", page.examples.join("\n"));
    }
    if !page.unsupported.is_empty() {
        let flags: Vec<String> = page.unsupported.iter().map(|flag| format!("`{flag}`")).collect();
        let _ = write!(
            text,
            "\nFlags of Docker's that are not built yet, and are errors: {}.\n",
            flags.join(", ")
        );
    }
    text
}

/// What would be read as Markdown in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}

fn index(pages: &[Page]) -> String {
    let mut text = format!(
        "{MADE}\n# Reference\n\nEvery command, and [every key of the configuration](configuration.md).\n"
    );
    let mut section = |title: &str, wanted: &dyn Fn(&Page) -> bool| {
        let _ = write!(text, "\n## {title}\n\n");
        for page in pages.iter().filter(|page| wanted(page)) {
            let _ = writeln!(text, "* [`corten {}`]({}): {}", page.name, file(page.name), page.about);
        }
    };
    for (title, verbs) in help::groups() {
        section(title, &|page| verbs.iter().any(|verb| verb.name() == page.name));
    }
    for (noun, about) in NOUNS {
        section(about, &|page| page.name.strip_prefix(noun).is_some_and(|rest| rest.starts_with(' ')));
    }
    text.push_str("\n## Flags before the command\n\n| Flag | |\n|---|---|\n");
    for (form, about) in global::forms() {
        let _ = writeln!(text, "| `{form}` | {} |", cell(about));
    }
    text
}

fn configuration() -> String {
    let mut text = format!(
        "{MADE}\n# Configuration\n\n{CONFIGURATION}\n\nSee also [`corten config set`](config_set.md) and its neighbours.\n"
    );
    for key in KEYS {
        let default = (key.get)(&Config::default()).toml();
        let _ = write!(
            text,
            "\n## {}\n\n{}.\n\n* default: `{default}`\n* may be: {}\n* used by: {}\n",
            key.name,
            cell(key.about),
            key.shape.expected(),
            key.used_by
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// What is in docs/reference is what would be made now.
    #[test]
    fn the_reference_is_up_to_date() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
        let made = files(&super::super::pages());
        for (name, text) in &made {
            let kept = std::fs::read_to_string(dir.join(name)).unwrap_or_default();
            assert!(kept == *text, "docs/reference/{name} is out of date: run `cargo xtask docs`");
        }
        let made: BTreeSet<_> = made.into_iter().map(|(name, _)| name).collect();
        for entry in std::fs::read_dir(dir).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(made.contains(&name), "docs/reference/{name} is about nothing: run `cargo xtask docs`");
        }
    }
}
