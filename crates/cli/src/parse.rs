//! Words to the arguments of one command: one clap command is built, with the habits of Docker's flag parser.
//!
//! Those habits are: a boolean flag may have a value (`--rm=false`), the last of a repeated flag counts, a flag's
//! value may begin with a dash (`-t -1`), and `-h` is help unless the command has another use for it.

use std::ffi::OsString;
use std::num::ParseIntError;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};
use corten_model::Invalid;

use crate::error::{Failure, Result};
use crate::{help, unsupported};

/// What came of parsing.
#[derive(Debug)]
pub enum Parsed {
    /// The arguments.
    Matches(ArgMatches),
    /// The help text was asked for.
    Help(String),
}

/// The clap command called `name` (`run`, `volume create`), with what all commands have in common.
pub fn command(name: &'static str, fill: fn(Command) -> Command) -> Command {
    let mut help = Arg::new("help").long("help").action(ArgAction::Help).help("Print usage");
    let command = fill(Command::new(name));
    if !command.get_arguments().any(|arg| arg.get_short() == Some('h')) {
        help = help.short('h');
    }
    command
        .bin_name(format!("corten {name}"))
        .no_binary_name(true)
        .disable_help_flag(true)
        .args_override_self(true)
        .arg(help)
}

/// What the command does, in a line.
pub fn about(verb: &crate::verbs::Verb) -> String {
    (verb.fill)(Command::new(verb.name())).get_about().map(ToString::to_string).unwrap_or_default()
}

/// Parses the words after the command's name.
pub fn parse(name: &'static str, fill: fn(Command) -> Command, words: &[OsString]) -> Result<Parsed> {
    match command(name, fill).try_get_matches_from(words) {
        Ok(matches) => return Ok(Parsed::Matches(matches)),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            return Ok(Parsed::Help(help::command(name, error.render().to_string())));
        }
        Err(_) => {}
    }
    // Docker's rarer habits are kept out of the first try: to change fifty definitions takes as long as to make them.
    // Whatever the first try understands means the same in the second.
    match tolerant(command(name, fill)).try_get_matches_from(words) {
        Ok(matches) => Ok(Parsed::Matches(matches)),
        Err(error) => Err(failure(name, &error)),
    }
}

/// The same command, whose boolean flags take `=true` and `=false`, and the values of others begin with anything.
fn tolerant(command: Command) -> Command {
    command.mut_args(|arg| match arg.get_action() {
        ArgAction::SetTrue => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_value("false")
            .default_missing_value("true")
            .value_parser(boolean),
        ArgAction::Set | ArgAction::Append if !arg.is_positional() => arg.allow_hyphen_values(true),
        _ => arg,
    })
}

/// A boolean as Go's `strconv.ParseBool` reads it.
pub fn boolean(text: &str) -> std::result::Result<bool, Invalid> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Invalid::new("boolean", text, "neither `true` nor `false`")),
    }
}

/// What clap says, in our words.
fn failure(name: &'static str, error: &clap::Error) -> Failure {
    let verb = format!("corten {name}");
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let arg = text(ContextKind::InvalidArg).unwrap_or_default();
    // clap names a flag with its value: `--memory <MEMORY>`.
    let flag = arg.split([' ', '=', '[']).next().unwrap_or_default().to_owned();
    match error.kind() {
        ErrorKind::UnknownArgument if flag.starts_with('-') => match unsupported::find(name, &flag) {
            Some(flag) => Failure::Unsupported { verb, flag: flag.to_string(), why: flag.why },
            None => Failure::UnknownFlag { verb, nearest: text(ContextKind::SuggestedArg), flag },
        },
        ErrorKind::UnknownArgument => {
            Failure::Arguments { verb, why: format!("unexpected argument `{arg}`") }
        }
        ErrorKind::MissingRequiredArgument => {
            let what = arg.trim_end_matches("...").trim_matches(['<', '>', '[', ']']);
            Failure::Arguments { verb, why: format!("{what} is missing") }
        }
        ErrorKind::InvalidUtf8 => Failure::Arguments { verb, why: "an argument is not valid UTF-8".into() },
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let source = std::error::Error::source(error);
            let value = text(ContextKind::InvalidValue).unwrap_or_default();
            if !flag.starts_with('-') {
                // A word that isn't a flag's value: clap names its place, or nothing at all.
                let why = source.map_or_else(|| bad_value(&value, error), ToString::to_string);
                return Failure::Arguments { verb, why };
            }
            if let Some(invalid) = source.and_then(|source| source.downcast_ref::<Invalid>()) {
                return Failure::FlagInvalid { verb, flag, source: Box::new(invalid.clone()) };
            }
            let why = match source {
                _ if value.is_empty() => "a value is missing".into(),
                Some(source) if source.is::<ParseIntError>() => {
                    format!("invalid value `{value}`: it is no whole number, or too large")
                }
                Some(source) => format!("invalid value `{value}`: {source}"),
                None => bad_value(&value, error),
            };
            Failure::FlagValue { verb, flag, why }
        }
        ErrorKind::TooManyValues => Failure::FlagValue { verb, flag, why: "this flag takes no value".into() },
        _ => {
            let text = error.render().to_string();
            let line = text.lines().next().unwrap_or_default();
            let why = line.strip_prefix("error: ").unwrap_or(line).to_owned();
            Failure::Arguments { verb, why }
        }
    }
}

/// A value that is none of those that there are.
fn bad_value(value: &str, error: &clap::Error) -> String {
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(valid)) => {
            let valid: Vec<String> = valid.iter().map(|value| format!("`{value}`")).collect();
            format!("invalid value `{value}`: there are {}", valid.join(", "))
        }
        _ => format!("invalid value `{value}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::FromArgMatches;

    #[derive(clap::Args, Debug, PartialEq, Default)]
    struct Sample {
        /// A flag
        #[arg(short, long)]
        tty: bool,
        /// Another
        #[arg(short, long)]
        interactive: bool,
        /// A list
        #[arg(short, long)]
        env: Vec<String>,
        /// A number
        #[arg(long)]
        limit: Option<i64>,
        /// Words
        #[arg(required = true, trailing_var_arg = true)]
        words: Vec<String>,
    }

    fn parsed(line: &str) -> Result<Sample> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        match parse("sample", <Sample as clap::Args>::augment_args, &words)? {
            Parsed::Matches(matches) => Ok(Sample::from_arg_matches(&matches).unwrap()),
            Parsed::Help(text) => panic!("{text}"),
        }
    }

    fn sample(tty: bool, interactive: bool, words: &[&str]) -> Sample {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Sample { tty, interactive, words, ..Sample::default() }
    }

    #[test]
    fn flags_parse_as_docker_parses_them() {
        let check = |line: &str, expected: Sample| assert_eq!(parsed(line).unwrap(), expected, "{line}");
        check("-it image", sample(true, true, &["image"]));
        check("-ti --tty image", sample(true, true, &["image"]));
        check("--tty=false -i image", sample(false, true, &["image"]));
        check("-t=0 -i=T image", sample(false, true, &["image"]));
        check("-it=false image", sample(false, true, &["image"]));
        check("--tty --tty=false image", sample(false, false, &["image"]));
        check("image -t --limit x", sample(false, false, &["image", "-t", "--limit", "x"]));
        check("-t image -- -i", sample(true, false, &["image", "--", "-i"]));
        check("-t -- image --help", sample(true, false, &["image", "--help"]));
        check("--limit -1 image", Sample { limit: Some(-1), ..sample(false, false, &["image"]) });
        check("--limit 1 --limit=2 image", Sample { limit: Some(2), ..sample(false, false, &["image"]) });
        check("-t - -", sample(true, false, &["-", "-"]));
        check("-- - -x", sample(false, false, &["-", "-x"]));
        let env = vec!["A=1".to_owned(), "-x".into(), "B".into(), "C=d=e".into()];
        check("-e A=1 -e -x -eB --env=C=d=e i", Sample { env, ..sample(false, false, &["i"]) });
    }

    #[test]
    fn what_is_wrong_is_said_in_our_words() {
        let check = |line: &str, expected: &str, code: u8| {
            let failure = parsed(line).unwrap_err();
            assert_eq!((failure.to_string().as_str(), failure.exit_code(1)), (expected, code), "{line}");
        };
        check("--ttyy image", "unknown flag `--ttyy` of `corten sample`", 125);
        check("-x image", "unknown flag `-x` of `corten sample`", 125);
        check("-tx image", "unknown flag `-x` of `corten sample`", 125);
        check("--tty=maybe image", "flag `--tty` of `corten sample`", 125);
        check(
            "--limit many image",
            "flag `--limit` of `corten sample`: invalid value `many`: it is no whole number, or too large",
            125,
        );
        check("--limit", "flag `--limit` of `corten sample`: a value is missing", 125);
        check("-t", "`corten sample`: WORDS is missing", 1);
    }
}
