//! Where in a command line the word stands that is being typed. Pure.

use clap::{Arg, ArgAction, Command};

use crate::verbs::{self, Verb};
use crate::{global, parse};

/// What the last word is.
pub enum Spot {
    /// A flag before the command.
    GlobalFlag,
    /// The value of such a flag.
    GlobalValue(&'static str),
    /// The command, or a noun.
    Command,
    /// The word after a noun.
    Below(String),
    /// A flag of a command.
    Flag(&'static Verb),
    /// The value of a command's flag, by its long name.
    FlagValue(&'static Verb, String),
    /// The word at this place among those that aren't flags.
    Positional(&'static Verb, usize),
    /// Nothing that is known.
    Nowhere,
}

/// What the words before say of the last one.
pub fn spot(before: &[String], last: &str) -> Spot {
    let mut words = before.iter().map(String::as_str);
    let first = loop {
        let Some(word) = words.next() else { return of_first(last) };
        if !word.starts_with('-') || word == "-" {
            break word;
        }
        if let Some(flag) = global_with_value(word)
            && !word.contains('=')
            && words.next().is_none()
        {
            return Spot::GlobalValue(flag);
        }
    };
    if first == "help" {
        return match words.next() {
            None => Spot::Command,
            Some(noun) if verbs::is_noun(noun) && words.next().is_none() => Spot::Below(noun.to_owned()),
            Some(_) => Spot::Nowhere,
        };
    }
    let form = if verbs::is_noun(first) {
        let Some(second) = words.next() else { return Spot::Below(first.to_owned()) };
        format!("{first} {second}")
    } else {
        first.to_owned()
    };
    let Some(verb) = verbs::find(&form) else { return Spot::Nowhere };
    of_verb(verb, words, last)
}

fn of_first(last: &str) -> Spot {
    match last.split_once('=') {
        Some((flag, _)) => global_with_value(flag).map_or(Spot::Nowhere, Spot::GlobalValue),
        None if last.starts_with('-') => Spot::GlobalFlag,
        None => Spot::Command,
    }
}

fn global_with_value(word: &str) -> Option<&'static str> {
    let name = word.split('=').next().unwrap_or(word);
    let known = global::FLAGS.iter().find(|(long, short, ..)| *long == name || *short == Some(name));
    known.filter(|(_, _, value, _)| value.is_some()).map(|(long, ..)| *long)
}

fn of_verb<'w>(verb: &'static Verb, words: impl Iterator<Item = &'w str>, last: &str) -> Spot {
    let command = parse::command(verb.name(), verb.fill);
    let mut positionals = 0;
    let mut flags_are_over = false;
    let mut waiting: Option<String> = None;
    for word in words {
        if waiting.take().is_some() {
            continue;
        }
        if flags_are_over || !word.starts_with('-') || word == "-" {
            positionals += 1;
            flags_are_over |= takes_all_from(&command, positionals);
        } else if word == "--" {
            flags_are_over = true;
        } else {
            waiting = wants_value(&command, word);
        }
    }
    if let Some(flag) = waiting {
        return Spot::FlagValue(verb, flag);
    }
    if !flags_are_over && last.starts_with('-') {
        return match last.strip_prefix("--").and_then(|rest| rest.split_once('=')) {
            Some((flag, _)) => Spot::FlagValue(verb, flag.to_owned()),
            None => Spot::Flag(verb),
        };
    }
    Spot::Positional(verb, positionals)
}

/// Whether the words from this one on belong to the container: no flag of ours comes after it.
fn takes_all_from(command: &Command, count: usize) -> bool {
    let positional = command.get_positionals().nth(count - 1).or_else(|| command.get_positionals().last());
    positional.is_some_and(Arg::is_trailing_var_arg_set)
}

/// The long name of the flag whose value the next word is.
fn wants_value(command: &Command, word: &str) -> Option<String> {
    let takes = |arg: &&Arg| matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    // One whose value is optional has it in the same word.
    let takes = |arg: &&Arg| takes(arg) && !arg.is_require_equals_set();
    let name = |arg: &Arg| arg.get_long().map(str::to_owned);
    if let Some(long) = word.strip_prefix("--") {
        let is = |arg: &&Arg| {
            arg.get_long() == Some(long) || arg.get_all_aliases().unwrap_or_default().contains(&long)
        };
        return command.get_arguments().find(is).filter(takes).and_then(name);
    }
    // `-it`: flags until one takes a value, which is the rest of the word unless nothing is left of it.
    let mut letters = word.chars().skip(1);
    while let Some(letter) = letters.next() {
        let arg = command.get_arguments().find(|arg| arg.get_short() == Some(letter))?;
        if takes(&arg) {
            return if letters.next().is_none() { name(arg) } else { None };
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> String {
        // The last word may be empty.
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let last = words.pop().unwrap();
        match spot(&words, &last) {
            Spot::GlobalFlag => "global flag".into(),
            Spot::GlobalValue(flag) => format!("global value {flag}"),
            Spot::Command => "command".into(),
            Spot::Below(noun) => format!("below {noun}"),
            Spot::Flag(verb) => format!("flag of {}", verb.name()),
            Spot::FlagValue(verb, flag) => format!("value of {flag} of {}", verb.name()),
            Spot::Positional(verb, index) => format!("{} {index}", verb.name()),
            Spot::Nowhere => "nowhere".into(),
        }
    }

    #[test]
    fn each_place_of_a_command_line() {
        let check = |line: &str, expected: &str| assert_eq!(told(line), expected, "{line}");
        check("", "command");
        check("ru", "command");
        check("-", "global flag");
        check("--root ", "global value --root");
        check("--root=/x", "global value --root");
        check("--root /x ", "command");
        check("--root=/x --debug p", "command");
        check("frobnicate ", "nowhere");
        check("help ", "command");
        check("help volume ", "below volume");
        check("volume ", "below volume");
        check("volume ls -", "flag of volume ls");
        check("run ", "run 0");
        check("run --", "flag of run");
        check("run --network ", "value of network of run");
        check("run --net ", "value of network of run");
        check("run --network=h", "value of network of run");
        check("run -it ", "run 0");
        check("run -ite ", "value of env of run");
        check("run -iteA ", "run 0");
        check("run --rm busybox ", "run 1");
        check("run --rm busybox -", "run 1");
        check("run --rm busybox sh -c ", "run 3");
        check("run -- ", "run 0");
        check("run -- -", "run 0");
        check("exec -u ", "value of user of exec");
        check("rm one two ", "rm 2");
        check("rm one -", "flag of rm");
        check("container rm one ", "rm 1");
        check("attach --sig-proxy ", "attach 0");
    }
}
