//! What can be typed next: `corten __complete WORDS…` answers the shells' scripts.
//!
//! The last word is the one that is being typed. The answer is a line for each candidate, `word<TAB>what it is`; a first
//! line `:files` or `:directories` asks the shell for names of files instead. Nothing here fails: where nothing is known,
//! nothing is said.
//!
//! ```text
//! words.rs    where in the command line the last word stands: pure
//! values.rs   what may stand there: lists of words, and names out of the store
//! ```

mod values;
mod words;

use std::ffi::OsString;
use std::fmt::Write as _;

use crate::caller::Caller;
use crate::verbs::{NOUNS, VERBS};
use crate::{global, parse};

use words::Spot;

/// The hidden first word.
pub const WORD: &str = "__complete";
/// The most candidates that a shell is given.
const CANDIDATES_MAX: usize = 500;

/// One candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    word: String,
    about: String,
}

/// What a shell offers.
#[derive(Debug, Default, PartialEq, Eq)]
enum Offer {
    /// Nothing.
    #[default]
    Nothing,
    /// These words.
    Words(Vec<Candidate>),
    /// Names of files.
    Files,
    /// Names of directories.
    Directories,
}

impl Offer {
    fn of<'a>(words: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let candidate = |(word, about): (&str, &str)| Candidate { word: word.into(), about: about.into() };
        Offer::Words(words.into_iter().map(candidate).collect())
    }
}

/// The answer to `words`.
pub fn answer(words: &[OsString], caller: &mut Caller) -> String {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let (last, before) = match words.split_last() {
        Some((last, before)) => (last.as_str(), before),
        None => ("", &[][..]),
    };
    // A flag's value may stand in the same word: what is before it belongs to every candidate.
    let (prefix, typed) = match last.split_once('=') {
        Some((flag, typed)) if flag.starts_with("--") => (format!("{flag}="), typed),
        _ => (String::new(), last),
    };
    let spot = words::spot(before, last);
    match offer(&spot, typed, caller) {
        Offer::Nothing => String::new(),
        Offer::Files => ":files\n".into(),
        Offer::Directories => ":directories\n".into(),
        Offer::Words(candidates) => {
            let mut text = String::new();
            let fitting = candidates.iter().filter(|candidate| candidate.word.starts_with(typed));
            for Candidate { word, about } in fitting.take(CANDIDATES_MAX) {
                let _ = writeln!(text, "{prefix}{word}\t{}", about.replace(['\n', '\t'], " "));
            }
            text
        }
    }
}

fn offer(spot: &Spot, typed: &str, caller: &mut Caller) -> Offer {
    match spot {
        Spot::GlobalFlag => Offer::of(global::FLAGS.iter().map(|(long, _, _, about)| (*long, *about))),
        Spot::GlobalValue(flag) => values::of_global(flag, caller),
        Spot::Command => commands(typed),
        Spot::Below(noun) => below(noun, typed),
        Spot::Flag(verb) => {
            let command = parse::command(verb.name(), verb.fill);
            let flags = command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_long().is_some());
            let candidate = |arg: &clap::Arg| Candidate {
                word: format!("--{}", arg.get_long().unwrap_or_default()),
                about: arg.get_help().map(ToString::to_string).unwrap_or_default(),
            };
            Offer::Words(flags.map(candidate).collect())
        }
        Spot::FlagValue(verb, flag) => values::of_flag(verb.name(), flag, typed, caller),
        Spot::Positional(verb, index) => values::of_positional(verb.name(), *index, caller),
        Spot::Nowhere => Offer::Nothing,
    }
}

/// The first words of commands: only those that fit are built, for their sentence.
fn commands(typed: &str) -> Offer {
    let verbs = VERBS.iter().filter(|verb| !verb.name().contains(' ') && verb.name().starts_with(typed));
    let verbs = verbs.map(|verb| (verb.name().to_owned(), parse::about(verb)));
    let nouns = NOUNS.iter().map(|(noun, about)| ((*noun).to_owned(), (*about).to_owned()));
    let all = verbs.chain(nouns).chain([("help".to_owned(), "Print the help of a command".to_owned())]);
    Offer::Words(all.map(|(word, about)| Candidate { word, about }).collect())
}

/// The second words of a noun's commands: the first form of each, not its synonyms.
fn below(noun: &str, typed: &str) -> Offer {
    let of_noun = VERBS.iter().filter_map(|verb| {
        let word = verb.forms.iter().find_map(|form| form.strip_prefix(noun)?.strip_prefix(' '))?;
        word.starts_with(typed).then(|| Candidate { word: word.to_owned(), about: parse::about(verb) })
    });
    Offer::Words(of_noun.collect())
}
