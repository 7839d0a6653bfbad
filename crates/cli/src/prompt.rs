//! Questions to the person at the terminal. A signal ends the question and leaves the terminal as it was.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;

use corten_sys::terminal::Silent;

use crate::caller::Caller;
use crate::error::Result;
use crate::interrupt::Interrupt;

/// Bytes of an answer.
const ANSWER_MAX: u64 = 64 << 10;

/// Whether somebody sits there who can be asked.
pub fn possible() -> bool {
    io::stdin().is_terminal()
}

/// An answer, or the exit code of the signal that came instead.
pub enum Answer {
    /// What was typed, without the end of its line.
    Text(String),
    /// A signal.
    GivenUp(u8),
}

/// Asks; what is typed as a secret isn't shown.
pub fn ask(caller: &mut Caller, question: &str, secret: bool) -> Result<Answer> {
    write!(caller.out, "{question}")?;
    caller.out.flush()?;
    let interrupt = Interrupt::prepare()?;
    let stdin = io::stdin();
    let silent = if secret { Some(Silent::enter(stdin.as_fd())?) } else { None };
    let mut reader = interrupt.reader(File::from(stdin.as_fd().try_clone_to_owned()?));
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() as u64 <= ANSWER_MAX {
        match reader.read(&mut byte) {
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) => line.push(byte[0]),
            Err(_) if interrupt.came() => break,
            Err(error) => return Err(error.into()),
        }
    }
    drop(silent);
    if let Some(code) = interrupt.code() {
        writeln!(caller.out)?;
        return Ok(Answer::GivenUp(code));
    }
    Ok(Answer::Text(String::from_utf8_lossy(&line).trim().to_owned()))
}

/// Everything on standard input, without its last end of a line.
pub fn piped() -> Result<String> {
    let mut text = String::new();
    io::stdin().lock().take(ANSWER_MAX).read_to_string(&mut text)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
