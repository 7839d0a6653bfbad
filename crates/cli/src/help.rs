//! The help of the whole program and of one noun; that of a command is made from its arguments.
//!
//! Only this module builds every command.

mod examples;

use std::ffi::OsString;
use std::fmt::Write as _;

use corten_model::suggest;

use crate::error::{Failure, Result};
use crate::verbs::{self, Group, NOUNS, VERBS, Verb};
use crate::{global, parse, unsupported};

/// Where people look for the commands that aren't the common ones.
const GROUPS: [(&str, &[&str]); 3] = [
    (
        "Containers",
        &[
            "attach", "commit", "cp", "create", "diff", "export", "kill", "logs", "pause", "port", "rename",
            "restart", "rm", "start", "stats", "stop", "top", "unpause", "update", "wait",
        ],
    ),
    ("Images", &["build", "history", "import", "load", "pull", "push", "rmi", "save", "search", "tag"]),
    ("Everything else", &[]),
];

/// Every command of one word, under its heading.
pub fn groups() -> Vec<(&'static str, Vec<&'static Verb>)> {
    let of = |wanted: &dyn Fn(&Verb) -> bool| VERBS.iter().filter(|verb| wanted(verb)).collect::<Vec<_>>();
    let mut groups = vec![("Common Commands", of(&|verb| verb.group == Group::Common))];
    let is_in = |verb: &Verb, names: &[&str]| verb.group == Group::Object && names.contains(&verb.name());
    for (title, names) in GROUPS {
        groups.push(match names {
            [] => (
                title,
                of(&|verb| {
                    verb.group == Group::Object && !GROUPS.iter().any(|(_, names)| is_in(verb, names))
                }),
            ),
            names => (title, of(&|verb| is_in(verb, names))),
        });
    }
    groups
}

/// What `corten --help` prints.
pub fn all() -> String {
    let mut text = String::from(
        "Usage: corten [OPTIONS] COMMAND\n\nBuild, ship and run containers: one binary, no daemon\n",
    );
    for (title, verbs) in groups() {
        section(&mut text, title, verbs.iter().map(|verb| (verb.name().to_owned(), parse::about(verb))));
    }
    section(
        &mut text,
        "Management Commands",
        NOUNS.iter().map(|(noun, about)| (noun.to_string(), about.to_string())),
    );
    let flags = global::forms().map(|(form, about)| {
        let indent = if form.starts_with("--") { "    " } else { "" };
        (format!("{indent}{form}"), about.to_owned())
    });
    section(&mut text, "Global Options", flags);
    text.push_str("\nRun 'corten COMMAND --help' for more information on a command.\n");
    text
}

/// What `corten volume` prints.
pub fn noun(noun: &str) -> String {
    let about_noun = NOUNS.iter().find(|(name, _)| *name == noun).map_or("", |(_, about)| about);
    let mut text = format!("Usage: corten {noun} COMMAND\n\n{about_noun}\n");
    let of_noun = VERBS.iter().filter_map(|verb| {
        let form = verb.forms.iter().find_map(|form| form.strip_prefix(noun)?.strip_prefix(' '))?;
        Some((form.to_owned(), parse::about(verb)))
    });
    let mut commands: Vec<_> = of_noun.collect();
    commands.sort();
    section(&mut text, "Commands", commands.into_iter());
    let _ = write!(text, "\nRun 'corten {noun} COMMAND --help' for more information on a command.\n");
    text
}

/// What `corten help WORDS…` prints.
pub fn of(words: &[OsString]) -> Result<String> {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let form = match words.as_slice() {
        [] => return Ok(all()),
        [first, second, ..] if verbs::is_noun(first) => format!("{first} {second}"),
        [first, ..] if verbs::is_noun(first) => return Ok(noun(first)),
        [first, ..] => first.clone(),
    };
    let verb = verbs::find(&form).ok_or_else(|| unknown(&form))?;
    match parse::parse(verb.name(), verb.fill, &["--help".into()])? {
        parse::Parsed::Help(text) => Ok(text),
        parse::Parsed::Matches(_) => Ok(String::new()),
    }
}

/// The error of words that name no command.
pub fn unknown(form: &str) -> Failure {
    if let Some(why) = unsupported::find_verb(form) {
        return Failure::UnsupportedVerb { word: form.to_owned(), why };
    }
    let nouns = NOUNS.iter().map(|(noun, _)| *noun);
    let known = VERBS.iter().flat_map(|verb| verb.forms.iter().copied()).chain(nouns);
    Failure::UnknownVerb { word: form.to_owned(), nearest: suggest::nearest(form, known).map(str::to_owned) }
}

/// The lines that show a command.
pub fn examples(name: &str) -> impl Iterator<Item = String> {
    examples::of(name).iter().map(|line| format!("corten {line}"))
}

/// What `corten run --help` prints: what is made of its arguments, and examples.
pub fn command(name: &str, mut text: String) -> String {
    let mut lines = examples(name).peekable();
    if lines.peek().is_some() {
        text.push_str("\nExamples:\n");
    }
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
    text
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = (String, String)>) {
    let lines: Vec<_> = lines.collect();
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let _ = writeln!(text, "\n{title}:");
    for (name, about) in lines {
        let _ = writeln!(text, "  {name:width$}  {about}");
    }
}
