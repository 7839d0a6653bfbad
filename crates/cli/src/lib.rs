//! The command line of Corten: what was typed becomes a call of the engine, what the engine gives back is printed.
//!
//! A command is one file below `commands` and one line in [`verbs`]. On the way to a command only its own arguments
//! are built: the tree of all of them would cost more than a container. Nothing here knows how a container is made,
//! and nothing outside this crate reads the terminal, the environment or the arguments.

mod caller;
mod cidfile;
mod commands;
mod completion;
mod container_flags;
mod errno;
mod error;
mod filter;
mod foreground;
mod format;
mod global;
mod hello;
mod help;
mod image_tree;
mod interrupt;
mod key_values;
mod listing;
mod more_flags;
mod output_file;
mod parse;
mod process_columns;
mod prompt;
mod prune;
mod pulling;
mod reference;
mod registries;
mod remote;
mod resource_flags;
mod screen;
mod several;
mod shape;
mod table;
mod template;
mod timestamps;
mod timings;
mod transfer;
mod unsupported;
mod verbs;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::Path;

use caller::Caller;
use error::{EXIT_FAILED, EXIT_OURS, Failure, Result};
use screen::Screen;

pub use hello::hello;

/// Does what `argv` (the program's name included) says, and gives the exit code.
///
/// Everything is written when this returns: the process may end without running anything else.
pub fn main(argv: Vec<OsString>) -> u8 {
    let typed_at = timings::Moment::now();
    // A keeper is made from us as long as we have done next to nothing.
    corten_sys::young::declare();
    let words = argv.get(1..).unwrap_or_default();
    let name = argv.first().map(Path::new).and_then(Path::file_name);
    let program =
        if name.is_some_and(|name| name == caller::DOCKER) { caller::DOCKER } else { caller::PROGRAM };
    let (globals, rest) = match global::parse(words) {
        Ok(parsed) => parsed,
        Err(failure) => return report(&failure, EXIT_OURS, false, program),
    };
    let debug = globals.debug;
    let mut caller = Caller::new(globals, typed_at);
    caller.program = program;
    let (outcome, ours) = match dispatch(rest, &mut caller) {
        Dispatched::Done(outcome) => (outcome, EXIT_FAILED),
        Dispatched::Verb(outcome, ours) => (outcome, ours),
    };
    let outcome = outcome.and_then(|code| caller.out.flush().map(|()| code).map_err(Failure::Output));
    let code = match outcome {
        Ok(code) => code,
        Err(failure) => {
            // What succeeded before the failure is told first. If that fails too, the failure at hand says more.
            let _ = caller.out.flush();
            report(&failure, ours, debug, program)
        }
    };
    caller.timings.print();
    code
}

/// What came of the words after the global flags.
enum Dispatched {
    /// Help, a version, or words that name no command.
    Done(Result<u8>),
    /// A command's outcome, with the exit code of its own failures.
    Verb(Result<u8>, u8),
}

fn dispatch(words: &[OsString], caller: &mut Caller) -> Dispatched {
    if caller.globals.version {
        let version = env!("CARGO_PKG_VERSION");
        let text = match caller.program {
            caller::DOCKER => format!("Docker version {version}, build corten\n"),
            program => format!("{program} version {version}\n"),
        };
        return Dispatched::Done(caller.show(&text));
    }
    let word = |index: usize| words.get(index).and_then(|word| word.to_str());
    match word(0) {
        Some(completion::WORD) => {
            let text = completion::answer(&words[1..], caller);
            return Dispatched::Done(caller.show(&text));
        }
        Some(remote::signal::WORD) => return Dispatched::Done(remote::signal::run(&words[1..])),
        _ => {}
    }
    let Some(first) = words.first() else {
        return Dispatched::Done(show_help(help::all(), caller));
    };
    if caller.globals.help || first == "help" {
        let named = if caller.globals.help { words } else { &words[1..] };
        return Dispatched::Done(help::of(named).and_then(|text| show_help(text, caller)));
    }
    if let Some(outcome) = remote::run_there(words, caller) {
        return Dispatched::Verb(outcome, EXIT_OURS);
    }
    let (form, rest) = match (word(0), word(1)) {
        (Some(noun), Some(verb)) if verbs::is_noun(noun) => (format!("{noun} {verb}"), &words[2..]),
        (Some(verb), _) => (verb.to_owned(), &words[1..]),
        (None, _) => (first.to_string_lossy().into_owned(), &words[1..]),
    };
    let Some(verb) = verbs::find(&form) else {
        return Dispatched::Done(
            no_such_verb(&form, word(0), word(1)).and_then(|text| show_help(text, caller)),
        );
    };
    let outcome = match parse::parse(verb.name(), verb.fill, rest) {
        Ok(parse::Parsed::Help(text)) => show_help(text, caller),
        Ok(parse::Parsed::Matches(mut matches)) => {
            caller.timings.mark("arguments");
            (verb.run)(&mut matches, caller)
        }
        Err(failure) => Err(failure),
    };
    Dispatched::Verb(outcome, verb.failed)
}

/// Under the name of another program, a text's own commands are that program's too.
fn in_the_name_of(program: &str, text: String) -> String {
    if program == caller::PROGRAM {
        return text;
    }
    [" ", "`", "'"].iter().fold(text, |text, before| {
        text.replace(&format!("{before}{} ", caller::PROGRAM), &format!("{before}{program} "))
    })
}

fn show_help(text: String, caller: &mut Caller) -> Result<u8> {
    let text = in_the_name_of(caller.program, text);
    caller.show(&Screen::of(io::stdout()).folded(&text))
}

/// The help of a noun that stands alone, else an error.
fn no_such_verb(form: &str, first: Option<&str>, second: Option<&str>) -> Result<String> {
    match (first, second) {
        (Some(noun), None | Some("--help" | "-h" | "help")) if verbs::is_noun(noun) => Ok(help::noun(noun)),
        _ => Err(help::unknown(form)),
    }
}

/// Prints a failure, and gives its exit code.
fn report(failure: &Failure, ours: u8, debug: bool, program: &str) -> u8 {
    if !failure.is_broken_pipe() {
        let mut text = in_the_name_of(program, failure.report());
        if debug {
            text.push_str(&format!("debug: {failure:?}\n"));
        }
        // Nobody is left to tell if this fails.
        let _ = io::stderr().write_all(Screen::of(io::stderr()).painted(&text).as_bytes());
    }
    failure.exit_code(ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dispatched(line: &str) -> (String, u8) {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let (globals, rest) = global::parse(&words).unwrap();
        let mut caller = Caller::for_test(globals);
        let (outcome, ours) = match dispatch(rest, &mut caller) {
            Dispatched::Done(outcome) => (outcome, EXIT_FAILED),
            Dispatched::Verb(outcome, ours) => (outcome, ours),
        };
        match outcome {
            Ok(code) => (caller.shown(), code),
            Err(failure) => (failure.report(), failure.exit_code(ours)),
        }
    }

    #[test]
    fn words_that_name_no_command() {
        let check =
            |line: &str, expected: &str| assert_eq!(dispatched(line), (expected.to_owned(), 1), "{line}");
        check("rnu", "error: unknown command `rnu`\nhint: did you mean `run`?\n");
        check(
            "frobnicate",
            "error: unknown command `frobnicate`\nhint: `corten --help` lists the commands\n",
        );
        check(
            "volume craete",
            "error: unknown command `volume craete`\nhint: did you mean `volume create`?\n",
        );
        check(
            "network ls",
            "error: unsupported command `network`: there are no networks beside `none`, `host` and `container:NAME` \
             yet\nhint: `corten --help` lists the commands\n",
        );
        check(
            "image build .",
            "error: unsupported command `image build`: images can't be built yet\nhint: `corten --help` lists the commands\n",
        );
        check("contianer ls", "error: unknown command `contianer`\nhint: did you mean `container`?\n");
        check("help rnu", "error: unknown command `rnu`\nhint: did you mean `run`?\n");
    }

    #[test]
    fn help_and_version() {
        let check = |line: &str, expected: &str| {
            let (text, code) = dispatched(line);
            assert!(code == 0 && text.contains(expected), "{line}: {text}");
        };
        check("", "Usage: corten [OPTIONS] COMMAND");
        check("--help", "Usage: corten [OPTIONS] COMMAND");
        check("help", "Usage: corten [OPTIONS] COMMAND");
        check("help run", "Usage: corten run [OPTIONS] IMAGE [COMMAND] [ARG...]");
        check("--help run", "Usage: corten run [OPTIONS] IMAGE [COMMAND] [ARG...]");
        check("run --help", "Usage: corten run [OPTIONS] IMAGE [COMMAND] [ARG...]");
        check("container run --help", "Usage: corten run [OPTIONS] IMAGE [COMMAND] [ARG...]");
        check("volume", "Usage: corten volume COMMAND");
        check("volume --help", "create");
        check("help volume", "Usage: corten volume COMMAND");
        check("help volume create", "Usage: corten volume create [OPTIONS] [VOLUME]");
        check("--version", concat!("corten version ", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn under_dockers_name_the_help_and_the_errors_have_it() {
        let check = |text: &str, expected: &str| {
            assert_eq!(in_the_name_of(caller::DOCKER, text.to_owned()), expected);
            assert_eq!(in_the_name_of(caller::PROGRAM, text.to_owned()), text);
        };
        check("Usage: corten run X", "Usage: docker run X");
        check("see `corten ps -a`, 'corten help'", "see `docker ps -a`, 'docker help'");
        check("/var/lib/corten is Corten's", "/var/lib/corten is Corten's");
    }

    #[test]
    fn wrong_usage_ends_as_docker_ends() {
        let check = |line: &str, expected: &str, code: u8| {
            assert_eq!(dispatched(line), (expected.to_owned(), code), "{line}");
        };
        check(
            "run --badflag x",
            "error: unknown flag `--badflag` of `corten run`\nhint: see `corten run --help`\n",
            125,
        );
        check(
            "ps --badflag",
            "error: unknown flag `--badflag` of `corten ps`\nhint: see `corten ps --help`\n",
            125,
        );
        check(
            "run --rmm x",
            "error: unknown flag `--rmm` of `corten run`\nhint: did you mean `--rm`?\n",
            125,
        );
        check(
            "run -p 80:80 x",
            "error: unsupported flag `--publish` of `corten run`: bridge networks are not built yet\n",
            125,
        );
        check(
            "run -dp80:80 x",
            "error: unsupported flag `--publish` of `corten run`: bridge networks are not built yet\n",
            125,
        );
        check(
            "container create --gpus=all x",
            "error: unsupported flag `--gpus` of `corten create`: it is not built yet\n",
            125,
        );
        check("run", "error: `corten run`: IMAGE is missing\nhint: see `corten run --help`\n", 125);
        check("ps x", "error: `corten ps`: unexpected argument `x`\nhint: see `corten ps --help`\n", 1);
        check(
            "run -m lots x",
            "error: flag `--memory` of `corten run`\ncaused by: invalid memory limit `lots`: unknown unit\n\
             hint: for example `512m` or `1.5g`\n",
            125,
        );
    }
}
