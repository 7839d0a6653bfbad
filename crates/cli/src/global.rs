//! The flags before the command. They are few and stand before every command, so they are parsed by hand.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use corten_model::suggest;

use crate::error::{Failure, Result};
use crate::{parse, unsupported};

/// How errors call the program.
const PROGRAM: &str = "corten";

/// What stood before the command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Globals {
    /// `--root`.
    pub root: Option<PathBuf>,
    /// `--run-root`.
    pub run_root: Option<PathBuf>,
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--host`.
    pub host: Option<String>,
    /// `--context`.
    pub context: Option<String>,
    /// `--timings`.
    pub timings: bool,
    /// `--debug`.
    pub debug: bool,
    /// `--help`.
    pub help: bool,
    /// `--version`.
    pub version: bool,
}

/// Each flag: its names, what its value is called, what it does.
pub const FLAGS: [(&str, Option<&str>, Option<&str>, &str); 9] = [
    ("--root", None, Some("DIR"), "Where images, volumes and containers are kept [env: CORTEN_ROOT]"),
    ("--run-root", None, Some("DIR"), "Where sockets and locks are kept [env: CORTEN_RUN_ROOT]"),
    (
        "--config",
        None,
        Some("FILE"),
        "The configuration, a file or a directory with config.toml [env: CORTEN_CONFIG]",
    ),
    (
        "--host",
        Some("-H"),
        Some("HOST"),
        "Run the command on ssh://[USER@]HOST[:PORT][/PATH] [env: CORTEN_HOST, DOCKER_HOST]",
    ),
    (
        "--context",
        Some("-c"),
        Some("NAME"),
        "Run the command on the host of a context [env: CORTEN_CONTEXT, DOCKER_CONTEXT]",
    ),
    ("--timings", None, None, "Tell on standard error how long each stage took"),
    ("--debug", Some("-D"), None, "Show the fields of an error too"),
    ("--help", Some("-h"), None, "Print usage"),
    ("--version", Some("-v"), None, "Print the version"),
];

/// Each flag as the help shows it, `-c, --context NAME`, and what it does.
pub fn forms() -> impl Iterator<Item = (String, &'static str)> {
    FLAGS.iter().map(|(long, short, value, about)| {
        let short = short.map(|short| format!("{short}, ")).unwrap_or_default();
        let value = value.map(|value| format!(" {value}")).unwrap_or_default();
        (format!("{short}{long}{value}"), *about)
    })
}

/// Takes the flags off the front; what is left begins with the command.
pub fn parse(words: &[OsString]) -> Result<(Globals, &[OsString])> {
    let mut globals = Globals::default();
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        let bytes = word.as_bytes();
        if !bytes.starts_with(b"-") || bytes == b"-" {
            break;
        }
        rest = after;
        if bytes == b"--" {
            break;
        }
        let (typed, value) = match bytes.iter().position(|byte| *byte == b'=') {
            Some(at) => (OsStr::from_bytes(&bytes[..at]), Some(OsStr::from_bytes(&bytes[at + 1..]))),
            None => (word.as_os_str(), None),
        };
        let Some((flag, takes_value)) = known(typed) else { return Err(unknown(typed)) };
        if takes_value {
            let value = match value {
                Some(value) => value,
                None => {
                    let (next, after) =
                        rest.split_first().ok_or_else(|| bad_value(flag, "a value is missing"))?;
                    rest = after;
                    next.as_os_str()
                }
            };
            globals.set_value(flag, value)?;
        } else {
            let on = match value.map(|value| parse::boolean(&value.to_string_lossy())) {
                None => true,
                Some(Ok(on)) => on,
                Some(Err(invalid)) => return Err(bad_value(flag, &invalid.to_string())),
            };
            globals.set(flag, on);
        }
    }
    Ok((globals, rest))
}

impl Globals {
    fn set(&mut self, flag: &str, on: bool) {
        match flag {
            "--timings" => self.timings = on,
            "--debug" => self.debug = on,
            "--help" => self.help = on,
            _ => self.version = on,
        }
    }

    fn set_value(&mut self, flag: &'static str, value: &OsStr) -> Result<()> {
        if value.is_empty() {
            return Err(bad_value(flag, "the value is empty"));
        }
        if matches!(flag, "--host" | "--context") {
            let text = value.to_str().ok_or_else(|| bad_value(flag, "the value is not valid UTF-8"))?;
            let slot = if flag == "--host" { &mut self.host } else { &mut self.context };
            *slot = Some(text.to_owned());
            return Ok(());
        }
        let slot = match flag {
            "--root" => &mut self.root,
            "--run-root" => &mut self.run_root,
            _ => &mut self.config,
        };
        *slot = Some(PathBuf::from(value));
        Ok(())
    }
}

fn known(typed: &OsStr) -> Option<(&'static str, bool)> {
    let matches = |(long, short, ..): &&(&str, Option<&str>, Option<&str>, &str)| {
        typed == *long || short.is_some_and(|short| typed == short)
    };
    FLAGS.iter().find(matches).map(|(long, _, value, _)| (*long, value.is_some()))
}

fn unknown(typed: &OsStr) -> Failure {
    let flag = typed.to_string_lossy().into_owned();
    if let Some(flag) = unsupported::find_global(&flag) {
        return Failure::Unsupported { verb: PROGRAM.into(), flag: flag.to_string(), why: flag.why };
    }
    let nearest = suggest::nearest(&flag, FLAGS.iter().map(|(long, ..)| *long)).map(str::to_owned);
    Failure::UnknownFlag { verb: PROGRAM.into(), flag, nearest }
}

fn bad_value(flag: &str, why: &str) -> Failure {
    Failure::FlagValue { verb: PROGRAM.into(), flag: flag.into(), why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn flags_before_the_command_are_ours() {
        let check = |line: &str, expected: Globals, rest: &str| {
            assert_eq!(parse(&words(line)).unwrap(), (expected, words(rest).as_slice()), "{line}");
        };
        check("", Globals::default(), "");
        check("run --root x", Globals::default(), "run --root x");
        let root = Globals { root: Some("/d".into()), ..Globals::default() };
        check("--root /d ps -a", root.clone(), "ps -a");
        check("--root=/d ps", root, "ps");
        let both = Globals { run_root: Some("r".into()), timings: true, debug: true, ..Globals::default() };
        check("-D --run-root r --timings=true run", both, "run");
        let host = Globals { host: Some("ssh://x".into()), context: Some("y".into()), ..Globals::default() };
        check("-H ssh://x -c y ps", host, "ps");
        check("-v", Globals { version: true, ..Globals::default() }, "");
        check("--timings --timings=false -- ps", Globals::default(), "ps");
    }

    #[test]
    fn other_flags_are_errors() {
        let check = |line: &str, expected: &str| {
            assert_eq!(parse(&words(line)).unwrap_err().to_string(), expected, "{line}");
        };
        check("--rot x", "unknown flag `--rot` of `corten`");
        check("-l info ps", "unsupported flag `--log-level` of `corten`: there is no daemon to speak to");
        check("--tlsverify ps", "unsupported flag `--tlsverify` of `corten`: there is no daemon to speak to");
        check("--root", "flag `--root` of `corten`: a value is missing");
        check("--root= ps", "flag `--root` of `corten`: the value is empty");
        check("--debug=x ps", "flag `--debug` of `corten`: invalid boolean `x`: neither `true` nor `false`");
    }
}
