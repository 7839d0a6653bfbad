//! One command about to be run: arguments, environment, what it reads.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use crate::output::Output;
use crate::session::Session;
use crate::terminal::Terminal;
use crate::wait::COMMAND_DEADLINE;

/// A command about to be run.
#[must_use = "end it with `output()`, `spawn()` or `terminal()`"]
pub struct Call {
    line: String,
    command: Command,
    stdin: Vec<u8>,
    deadline: Duration,
}

impl Call {
    pub(crate) fn new(line: String, command: Command) -> Self {
        Self { line, command, stdin: Vec::new(), deadline: COMMAND_DEADLINE }
    }

    /// What it reads; nothing unless this is called.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.command.env(key, value);
        self
    }

    /// Removes a variable of its environment.
    pub fn env_remove(mut self, key: &str) -> Self {
        self.command.env_remove(key);
        self
    }

    /// Runs it in another directory.
    pub fn directory(mut self, dir: &std::path::Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// How long it may take.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn output(self) -> Output {
        let deadline = self.deadline;
        let bytes = self.stdin.clone();
        let mut session = self.spawn();
        let mut stdin = session.take_stdin().expect("nobody took it yet");
        // A command that doesn't read its stdin ends before all is written: that is no failure.
        let writer = std::thread::spawn(move || {
            let _ = stdin.write_all(&bytes);
        });
        let output = session.finish_within(deadline);
        let _ = writer.join();
        output
    }

    /// Starts it with pipes.
    pub fn spawn(self) -> Session {
        Session::start(self.line, self.command)
    }

    /// Starts it on a terminal of 24 rows and 80 columns.
    pub fn terminal(self) -> Terminal {
        Terminal::start(self.line, self.command)
    }
}
