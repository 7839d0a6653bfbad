//! The mistakes that people make most, verb by verb: the exact text that each is answered with, and the exit code.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::collections::BTreeMap;

use corten_tests::Host;

#[path = "mistakes/table.rs"]
mod table;

use table::MISTAKES;

/// Mistakes of each verb that are played at least.
const LEAST: usize = 3;
/// Verbs with which fewer mistakes can be made, and why.
const FEWER: [(&str, &str); 0] = [];

/// What a mistake is answered with.
pub enum Says {
    /// A word is missing.
    Missing(&'static str),
    /// This word is one too many.
    Extra(&'static str),
    /// No such flag.
    NoFlag(&'static str),
    /// No such verb; the right one is near.
    Nearest(&'static str),
    /// No such filter; there are these.
    NoFilter(&'static str),
    /// No container `nothing`; doing that to it, if it says what.
    NoContainer(&'static str),
    /// The container `web` doesn't run.
    NotRunning(&'static str),
    /// No image `nothing`.
    NoImage(&'static str),
    /// No context `nothing`.
    NoContext,
    /// No configuration key `x`.
    NoKey,
    /// This, where `ID` is the container's.
    Text(&'static str),
}

const NO_IMAGE: &str = "no such image: `nothing`\nhint: `corten pull nothing` brings it from its registry, \
                        `corten load` from an archive; `corten run hello` needs none\n";

fn text(verb: &str, says: &Says, id: &str) -> String {
    let see = format!("hint: see `corten {verb} --help`\n");
    let cannot = |doing: &str, name: &str, cause: &str| match doing {
        "" => format!("error: {cause}"),
        doing => format!("error: cannot {doing} `{name}`\ncaused by: {cause}"),
    };
    match says {
        Says::Missing(what) => format!("error: `corten {verb}`: {what} is missing\n{see}"),
        Says::Extra(word) => format!("error: `corten {verb}`: unexpected argument `{word}`\n{see}"),
        Says::NoFlag(flag) => format!("error: unknown flag `{flag}` of `corten {verb}`\n{see}"),
        Says::Nearest(typed) => format!("error: unknown command `{typed}`\nhint: did you mean `{verb}`?\n"),
        Says::NoFilter(known) => format!(
            "error: invalid filter `color=red`: there is no such filter here\nhint: there are {known}\n"
        ),
        Says::NoContainer(doing) => {
            cannot(doing, "nothing", "no such container: `nothing`\nhint: `corten ps -a` lists them\n")
        }
        Says::NotRunning(doing) => {
            let why = "container `web` is not running\nhint: `corten start web` starts it\n";
            cannot(doing, "web", why)
        }
        Says::NoImage(doing) => cannot(doing, "nothing", NO_IMAGE),
        Says::NoContext => "error: no such context: `nothing`\nhint: `corten context ls` lists them\n".into(),
        Says::NoKey => {
            "error: unknown configuration key `x`\nhint: `corten config show` lists the keys\n".into()
        }
        Says::Text(text) => text.replace("container ID", &format!("container {id}")),
    }
}

/// A store with the container `web` of the image `hello`, which is made and does not run, and the volume `data`.
fn host() -> (Host, String) {
    let host = Host::new();
    let id = host.run(["create", "--name", "web", "-v", "data:/data", "hello"]).success().text();
    (host, id[..12].to_owned())
}

/// Plays those of the mistakes whose number has this rest: they are many for one test.
fn play(part: usize, parts: usize) {
    let (host, id) = host();
    for (verb, mistakes) in MISTAKES.iter().skip(part).step_by(parts) {
        for (words, code, says) in *mistakes {
            let said = host.run(words.split(' '));
            let expected = text(verb, says, &id);
            said.exits(*code).check(said.errors() == expected, &format!("it should say:\n{expected}"));
        }
    }
}

#[test]
fn every_third_verb() {
    play(0, 3);
}

#[test]
fn those_after_them() {
    play(1, 3);
}

#[test]
fn those_before_them() {
    play(2, 3);
}

#[test]
fn no_verb_is_left_out() {
    let pages = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference");
    let names =
        std::fs::read_dir(pages).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let played: BTreeMap<&str, usize> =
        MISTAKES.iter().map(|(verb, mistakes)| (*verb, mistakes.len())).collect();
    for name in names.filter(|name| !["README.md", "configuration.md"].contains(&name.as_str())) {
        let verb = name.trim_end_matches(".md").replace('_', " ");
        let count = played.get(verb.as_str()).copied().unwrap_or(0);
        let is_reasoned = FEWER.iter().any(|(known, why)| *known == verb && !why.is_empty());
        assert!(count >= LEAST || is_reasoned, "{count} mistakes of `{verb}` are played, and not {LEAST}");
    }
}
