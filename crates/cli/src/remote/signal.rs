//! `corten __signal TOKEN NUMBER`: over there, finds the command that came with this token and signals it.

use std::ffi::OsString;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use super::VARIABLE;
use crate::error::{EXIT_FAILED, Result};

/// The hidden first word.
pub const WORD: &str = "__signal";

/// Does it; the exit code says whether there was one to signal.
pub fn run(words: &[OsString]) -> Result<u8> {
    let [token, number] = words else { return Ok(EXIT_FAILED) };
    let number = number.to_str().and_then(|text| text.parse().ok()).and_then(Signal::from_named_raw);
    let (Some(token), Some(number)) = (token.to_str().filter(|token| !token.is_empty()), number) else {
        return Ok(EXIT_FAILED);
    };
    let wanted = format!("{VARIABLE}={token}");
    let mut found = false;
    for entry in fs::read_dir("/proc")?.flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        // What isn't ours can't be read, and what a container runs is never given the variable.
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()) {
            found |= pid.is_some_and(|pid| kill_process(pid, number).is_ok());
        }
    }
    Ok(if found { 0 } else { EXIT_FAILED })
}
