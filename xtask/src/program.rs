//! Running other programs: shown before they run, and an error that names them when they fail.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};

use crate::failure::{Context, Failure, Outcome};

/// A program about to be run.
pub struct Program {
    command: Command,
    quiet: bool,
}

impl Program {
    /// The program `name`, found through PATH.
    pub fn new(name: impl AsRef<OsStr>) -> Self {
        Self { command: Command::new(name), quiet: false }
    }

    /// The cargo that runs us.
    pub fn cargo() -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut program = Self::new(cargo).directory(&crate::project::root());
        // What cargo told us of ourselves: build scripts that heed such a variable (ring's) would run again whenever
        // cargo is called by hand in between, and all that depends on them be compiled again.
        let ours = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(ours)) {
            program.command.env_remove(name);
        }
        program
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable.
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Starts from an environment with nothing but PATH.
    pub fn clean_env(mut self) -> Self {
        self.command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        self
    }

    /// Runs it in `dir`.
    pub fn directory(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Doesn't show the command line.
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Gives it `stdin`.
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    /// Gives it `stdout`.
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    /// Gives it `stderr`.
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.command.stderr(stderr);
        self
    }

    /// The command line as a person would type it.
    pub fn line(&self) -> String {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        let words: Vec<String> = words.map(|w| shown(&w.to_string_lossy())).collect();
        words.join(" ")
    }

    /// Runs it and returns how it ended.
    pub fn status(mut self) -> Outcome<ExitStatus> {
        let line = self.line();
        if !self.quiet {
            eprintln!("$ {line}");
        }
        self.command.status().context(format_args!("run `{line}`"))
    }

    /// Runs it; anything but success is a failure.
    pub fn check(self) -> Outcome {
        let line = self.line();
        let status = self.status()?;
        if status.success() { Ok(()) } else { Err(Failure::new(format!("`{line}` ended with {status}"))) }
    }

    /// Runs it and returns what it printed; anything but success is a failure that shows what it said.
    pub fn output(self) -> Outcome<String> {
        let line = self.line();
        let output = self.try_output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        Err(Failure::new(format!("`{line}` ended with {}: {said}", output.status)))
    }

    /// Runs it and returns what it printed and how it ended.
    pub fn try_output(mut self) -> Outcome<Output> {
        let line = self.line();
        self.command.output().context(format_args!("run `{line}`"))
    }

    /// Starts it and returns at once.
    pub fn spawn(mut self) -> Outcome<std::process::Child> {
        let line = self.line();
        self.command.spawn().context(format_args!("run `{line}`"))
    }
}

fn shown(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_shown_as_it_would_be_typed() {
        assert_eq!(Program::new("sh").args(["-c", "echo hi"]).line(), "sh -c 'echo hi'");
    }

    #[test]
    fn a_failing_program_is_named_with_what_it_said() {
        let failure =
            Program::new("sh").args(["-c", "echo no >&2; exit 3"]).output().unwrap_err().to_string();
        assert!(failure.contains("exit status: 3") && failure.contains("no"), "{failure}");
    }
}
