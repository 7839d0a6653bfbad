//! What a finished command left: its exit code and streams, with the questions tests ask of them.

/// A finished command. Every question returns the output, so that they chain; each panics with all of it.
#[derive(Debug, Clone)]
#[must_use = "ask it something: `success()`, `exits(code)`, `fails(code)`"]
pub struct Output {
    /// As it would be typed.
    pub line: String,
    /// The exit code; 128 and the signal for one that was killed.
    pub code: i32,
    /// Everything on stdout.
    pub stdout: Vec<u8>,
    /// Everything on stderr.
    pub stderr: Vec<u8>,
}

impl Output {
    /// stdout as text, without the last line end.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end_matches(['\n', '\r']).to_owned()
    }

    /// stderr as text.
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// stdout's lines.
    pub fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }

    /// stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        match serde_json::from_slice(&self.stdout) {
            Ok(value) => value,
            Err(error) => self.wrong(&format!("stdout is not JSON: {error}")),
        }
    }

    /// It ended well.
    #[track_caller]
    pub fn success(&self) -> &Self {
        self.exits(0)
    }

    /// It ended with `code`, whoever chose that: for the app's own exit codes.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Self {
        self.check(self.code == code, &format!("the exit code isn't {code}"))
    }

    /// It ended badly, whoever chose the code.
    #[track_caller]
    pub fn unsuccessful(&self) -> &Self {
        self.check(self.code != 0, "it went well")
    }

    /// We ended it with `code` and said why, in the form every error of ours has.
    #[track_caller]
    pub fn fails(&self, code: i32) -> &Self {
        self.exits(code).says_error()
    }

    /// A command other than `run`, `create`, `start` and `exec` refused: any code of ours, and an error.
    #[track_caller]
    pub fn refuses(&self) -> &Self {
        self.check(self.code == 1 || self.code == 125, "the exit code isn't that of a refusal").says_error()
    }

    /// stderr has one error: `error: …`, then its causes and hints, each on a line of its own.
    #[track_caller]
    fn says_error(&self) -> &Self {
        let errors = self.errors();
        let errors: Vec<&str> = errors.lines().filter(|line| !line.starts_with("warning: ")).collect();
        let starts = errors.iter().filter(|line| line.starts_with("error: ")).count();
        self.check(
            starts == 1 && errors[0].starts_with("error: "),
            "stderr doesn't have one error, first of all",
        );
        let parts = ["error: ", "caused by: ", "hint: ", "  "];
        let odd = errors.iter().find(|line| !line.is_empty() && !parts.iter().any(|p| line.starts_with(p)));
        self.check(odd.is_none(), "stderr has a line that is no part of an error");
        self.check(!self.errors().contains("panicked at"), "it panicked")
    }

    /// stdout is `text`, but for the last line end.
    #[track_caller]
    pub fn stdout_is(&self, text: &str) -> &Self {
        self.check(self.text() == text, &format!("stdout isn't {text:?}"))
    }

    /// `text` is somewhere in stdout.
    #[track_caller]
    pub fn stdout_has(&self, text: &str) -> &Self {
        self.check(self.text().contains(text), &format!("stdout lacks {text:?}"))
    }

    /// `text` is nowhere in stdout.
    #[track_caller]
    pub fn stdout_lacks(&self, text: &str) -> &Self {
        self.check(!self.text().contains(text), &format!("stdout has {text:?}"))
    }

    /// `text` is somewhere in stderr.
    #[track_caller]
    pub fn stderr_has(&self, text: &str) -> &Self {
        self.check(self.errors().contains(text), &format!("stderr lacks {text:?}"))
    }

    /// `text` is nowhere in stderr.
    #[track_caller]
    pub fn stderr_lacks(&self, text: &str) -> &Self {
        self.check(!self.errors().contains(text), &format!("stderr has {text:?}"))
    }

    /// Nothing is on stderr.
    #[track_caller]
    pub fn quiet(&self) -> &Self {
        self.check(self.stderr.is_empty(), "stderr isn't empty")
    }

    /// Panics with the whole output unless `holds`.
    #[track_caller]
    pub fn check(&self, holds: bool, wrong: &str) -> &Self {
        if !holds {
            self.wrong(wrong);
        }
        self
    }

    #[track_caller]
    fn wrong(&self, wrong: &str) -> ! {
        const SHOWN: usize = 4000;
        let shown = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]).into_owned();
        let (out, err) = (shown(&self.stdout), shown(&self.stderr));
        panic!("{wrong}\n$ {}\nexit code: {}\nstdout: {out}\nstderr: {err}", self.line, self.code)
    }
}
