//! What a command can fail with, how it is printed, and the exit code that it ends with.
//!
//! Printed once, at the top: the error, a line for each cause, a hint. Nothing else in this crate prints errors.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use corten_model::{Invalid, Kind};
use corten_sys::terminal::TerminalError;

use crate::errno;
use crate::template::TemplateError;

/// What a command returns.
pub type Result<T> = std::result::Result<T, Failure>;

/// Our own failure, as Docker numbers it: a flag that can't be used, or a container that can't be made.
pub const EXIT_OURS: u8 = 125;
/// Any other failure.
pub const EXIT_FAILED: u8 = 1;
/// What Docker ends with when a template for one object can't be parsed: sysexits' EX_USAGE.
pub const EXIT_TEMPLATE: u8 = 64;
/// Nobody reads our output any more: what a shell shows for a program that SIGPIPE ended.
pub const EXIT_BROKEN_PIPE: u8 = 128 + 13;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The engine could not do it.
    #[error(transparent)]
    Engine(Box<corten_engine::Error>),
    /// A registry, or the way there.
    #[error(transparent)]
    Registry(Box<corten_engine::registry::Error>),
    /// What a login needs wasn't said.
    #[error("{0}")]
    Login(&'static str),
    /// A list of manifests.
    #[error(transparent)]
    ManifestList(Box<corten_engine::manifest_list::Error>),
    /// A value that was typed can't be used.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The terminal or the signals of the caller.
    #[error(transparent)]
    Terminal(#[from] TerminalError),
    /// Standard output or standard error can't be written.
    #[error("write the output")]
    Output(#[from] io::Error),
    /// A file that was named can't be read.
    #[error("read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line of a file that was named can't be used.
    #[error("{}:{line}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: Box<Invalid>,
    },
    /// `--cidfile` names a file that is there.
    #[error(
        "container ID file found, make sure the other container isn't running or delete {}",
        .0.display()
    )]
    CidFileExists(PathBuf),
    /// A file or directory that was named can't be written.
    #[error("write `{}`", path.display())]
    Write {
        /// Where it was to be.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An archive for a screen.
    #[error("an archive is not written to a terminal")]
    ToTerminal,
    /// A host that commands can't run on.
    #[error("the host `{host}` of {from} can't be used: {why}")]
    Host {
        /// What was given.
        host: String,
        /// The flag, the variable or the file.
        from: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// ssh doesn't run.
    #[error("run `ssh`")]
    NoSsh(#[source] io::Error),
    /// No such context.
    #[error("no such context: `{0}`")]
    NoSuchContext(String),
    /// A context of Docker's that isn't one here.
    #[error("no such context: `{0}`, which DOCKER_CONTEXT names")]
    DockersContext(String),
    /// A context that can't be kept, changed or removed.
    #[error("context `{name}`: {why}")]
    Context {
        /// Its name.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// An archive is asked of a person.
    #[error("refusing to read an archive from a terminal")]
    FromTerminal,
    /// The first word names no command.
    #[error("unknown command `{word}`")]
    UnknownVerb {
        /// What was typed.
        word: String,
        /// The command that it may have meant.
        nearest: Option<String>,
    },
    /// A command of Docker's whose part isn't built yet.
    #[error("unsupported command `{word}`: {why}")]
    UnsupportedVerb {
        /// What was typed.
        word: String,
        /// What is missing.
        why: &'static str,
    },
    /// No such flag.
    #[error("unknown flag `{flag}` of `{verb}`")]
    UnknownFlag {
        /// The command as it was typed: `corten run`.
        verb: String,
        /// What was typed.
        flag: String,
        /// The flag that it may have meant.
        nearest: Option<String>,
    },
    /// A flag of Docker's whose part isn't built yet, or can't be.
    #[error("unsupported flag `{flag}` of `{verb}`: {why}")]
    Unsupported {
        /// The command.
        verb: String,
        /// The flag in its long form.
        flag: String,
        /// What it would need.
        why: &'static str,
    },
    /// A flag's value is missing, or can't be used.
    #[error("flag `{flag}` of `{verb}`: {why}")]
    FlagValue {
        /// The command.
        verb: String,
        /// The flag.
        flag: String,
        /// What is wrong.
        why: String,
    },
    /// A flag's value can't be used.
    #[error("flag `{flag}` of `{verb}`")]
    FlagInvalid {
        /// The command.
        verb: String,
        /// The flag.
        flag: String,
        /// What is wrong.
        #[source]
        source: Box<Invalid>,
    },
    /// Too many, too few or wrong words after the flags.
    #[error("`{verb}`: {why}")]
    Arguments {
        /// The command.
        verb: String,
        /// What is wrong.
        why: String,
    },
    /// Flags that exclude each other.
    #[error("conflicting options: {0}")]
    Conflict(&'static str),
    /// `port` of one that isn't published.
    #[error("no public port '{port}' published for {container}")]
    NoPublishedPort {
        /// The port in the container.
        port: String,
        /// As it was typed.
        container: String,
    },
    /// `-it` without a terminal.
    #[error("the input device is not a TTY")]
    NotATerminal,
    /// Nobody knows where the state of this user lies.
    #[error("this user has no home directory, so there is no place for images and containers")]
    NoHome,
    /// The keeper of a container went away while we were attached to it.
    #[error("the connection to container `{0}` was lost")]
    Lost(String),
    /// No object of any kind has this name.
    #[error("no such object: {0}")]
    NoSuchObject(String),
    /// `--format` is wrong, or doesn't fit what it was used on.
    #[error(transparent)]
    Template(Box<TemplateError>),
    /// `--format` of a command that prints one object is wrong.
    #[error(transparent)]
    ObjectTemplate(Box<TemplateError>),
    /// Several targets, more than one of which failed.
    #[error("{} of the targets failed", .0.len())]
    Several(Vec<Failure>),
}

impl From<corten_engine::Error> for Failure {
    fn from(error: corten_engine::Error) -> Self {
        Failure::Engine(Box::new(error))
    }
}

impl From<corten_engine::registry::Error> for Failure {
    fn from(error: corten_engine::registry::Error) -> Self {
        Failure::Registry(Box::new(error))
    }
}

impl From<corten_engine::manifest_list::Error> for Failure {
    fn from(error: corten_engine::manifest_list::Error) -> Self {
        Failure::ManifestList(Box::new(error))
    }
}

impl From<corten_engine::registry::credentials::Error> for Failure {
    fn from(error: corten_engine::registry::credentials::Error) -> Self {
        corten_engine::registry::Error::from(error).into()
    }
}

impl From<corten_engine::config::Error> for Failure {
    fn from(error: corten_engine::config::Error) -> Self {
        corten_engine::Error::from(error).into()
    }
}

impl From<TemplateError> for Failure {
    fn from(error: TemplateError) -> Self {
        Failure::Template(Box::new(error))
    }
}

impl Failure {
    /// What to try instead.
    fn hint(&self) -> Option<String> {
        match self {
            Failure::Engine(error) => error.hint(),
            Failure::Registry(error) => error.hint(),
            Failure::ManifestList(error) => error.hint(),
            Failure::Invalid(error) => error.hint.clone(),
            Failure::FlagInvalid { source, .. } | Failure::Line { source, .. } => source.hint.clone(),
            Failure::UnknownVerb { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Failure::UnknownVerb { .. } | Failure::UnsupportedVerb { .. } => {
                Some("`corten --help` lists the commands".into())
            }
            Failure::UnknownFlag { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Failure::UnknownFlag { verb, .. }
            | Failure::FlagValue { verb, .. }
            | Failure::Arguments { verb, .. } => Some(format!("see `{verb} --help`")),
            Failure::ToTerminal => Some("send it to a file or a pipe".into()),
            Failure::FromTerminal => Some("name a file (`-i FILE`), or redirect one".into()),
            Failure::NotATerminal => Some("leave out `-t`, or run it from a terminal".into()),
            Failure::NoHome => Some("set `HOME`, or say where with `--root`".into()),
            Failure::Host { from, .. } if from.starts_with("DOCKER") => {
                Some("unset it, or set `CORTEN_HOST=local` to work here".into())
            }
            Failure::NoSsh(_) => Some("hosts are reached with OpenSSH's client: install it".into()),
            Failure::DockersContext(name) => Some(format!(
                "unset it, or bring it here: `docker context export {name} - | corten context import {name} -`"
            )),
            Failure::NoSuchContext(_) => Some("`corten context ls` lists them".into()),
            Failure::Lost(name) => Some(format!(
                "it may be running still: `corten ps` tells, `corten logs {name}` has its output"
            )),
            _ => None,
        }
    }

    /// Whether the named object doesn't exist.
    pub fn is_not_found(&self) -> bool {
        match self {
            Failure::Engine(error) => error.kind() == Kind::NotFound,
            Failure::Registry(error) => error.kind() == Kind::NotFound,
            Failure::ManifestList(error) => error.kind() == Kind::NotFound,
            _ => false,
        }
    }

    /// Whether the reader of our output is gone, which is no news to anybody.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The exit code, for a command whose own failures end with `ours`.
    pub fn exit_code(&self, ours: u8) -> u8 {
        match self {
            failure if failure.is_broken_pipe() => EXIT_BROKEN_PIPE,
            // A flag that can't be used is 125 for every command (cli/cobra.go).
            Failure::UnknownFlag { .. }
            | Failure::Unsupported { .. }
            | Failure::FlagValue { .. }
            | Failure::FlagInvalid { .. } => EXIT_OURS,
            Failure::UnknownVerb { .. } | Failure::UnsupportedVerb { .. } => EXIT_FAILED,
            Failure::ObjectTemplate(error) if error.in_syntax => EXIT_TEMPLATE,
            Failure::Engine(error) if ours == EXIT_OURS => error.exit_code(),
            _ => ours,
        }
    }

    /// The error and its causes in one line, for a warning.
    pub fn line(&self) -> String {
        let mut text = errno::named(&self.to_string());
        let mut next = self.source();
        while let Some(cause) = next {
            let _ = write!(text, ": {}", errno::named(&cause.to_string()));
            next = cause.source();
        }
        text
    }

    /// The text that a person gets, with its last newline.
    pub fn report(&self) -> String {
        if let Failure::Several(failures) = self {
            return failures.iter().map(Failure::report).collect();
        }
        let mut text = format!("error: {}\n", errno::named(&self.to_string()));
        if let Failure::Template(error) | Failure::ObjectTemplate(error) = self {
            let _ = writeln!(text, "{}", error.excerpt);
        }
        let mut next = self.source();
        while let Some(cause) = next {
            let _ = writeln!(text, "caused by: {}", errno::named(&cause.to_string()));
            next = cause.source();
        }
        if let Some(hint) = self.hint() {
            let _ = writeln!(text, "hint: {hint}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_its_causes_and_a_hint() {
        let check = |failure: Failure, expected: &str| assert_eq!(failure.report(), expected);
        check(
            Failure::Invalid(Invalid::new("memory limit", "x", "not a number").hint("for example `512m`")),
            "error: invalid memory limit `x`: not a number\nhint: for example `512m`\n",
        );
        check(
            Failure::Read { path: "/e".into(), source: io::Error::from_raw_os_error(2) },
            "error: read `/e`\ncaused by: No such file or directory (ENOENT)\n",
        );
        let read = Failure::Read { path: "/e".into(), source: io::Error::from_raw_os_error(2) };
        assert_eq!(read.line(), "read `/e`: No such file or directory (ENOENT)");
        check(
            Failure::UnknownVerb { word: "rnu".into(), nearest: Some("run".into()) },
            "error: unknown command `rnu`\nhint: did you mean `run`?\n",
        );
        check(
            Failure::Several(vec![Failure::NoSuchObject("a".into()), Failure::NoSuchObject("b".into())]),
            "error: no such object: a\nerror: no such object: b\n",
        );
    }

    #[test]
    fn exit_codes_are_dockers() {
        let check = |failure: Failure, ours: u8, expected: u8| {
            assert_eq!(failure.exit_code(ours), expected, "{failure}");
        };
        let flag = || Failure::UnknownFlag { verb: "corten ps".into(), flag: "--x".into(), nearest: None };
        check(flag(), EXIT_FAILED, 125);
        check(Failure::UnknownVerb { word: "x".into(), nearest: None }, EXIT_FAILED, 1);
        check(Failure::NotATerminal, EXIT_OURS, 125);
        check(Failure::NoSuchObject("a".into()), EXIT_FAILED, 1);
        check(Failure::Output(io::ErrorKind::BrokenPipe.into()), EXIT_OURS, 141);
        check(Failure::Output(io::ErrorKind::StorageFull.into()), EXIT_FAILED, 1);
    }
}
