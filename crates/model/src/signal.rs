//! Signals by name and number, as Docker's `--signal` and `--stop-signal` take them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// A signal number of Linux on x86-64 and arm64, 1 to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signal(u8);

const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
const RTMIN: u8 = 34;
const RTMAX: u8 = 64;

impl Signal {
    /// SIGHUP.
    pub const HUP: Signal = Signal(1);
    /// SIGINT.
    pub const INT: Signal = Signal(2);
    /// SIGKILL.
    pub const KILL: Signal = Signal(9);
    /// SIGTERM.
    pub const TERM: Signal = Signal(15);
    /// SIGCHLD.
    pub const CHLD: Signal = Signal(17);
    /// SIGWINCH.
    pub const WINCH: Signal = Signal(28);

    /// The signal with this number.
    pub fn from_number(number: i32) -> Option<Self> {
        u8::try_from(number).ok().filter(|n| (1..=RTMAX).contains(n)).map(Self)
    }

    /// The number that kill(2) takes.
    pub fn number(self) -> i32 {
        i32::from(self.0)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.get(usize::from(self.0) - 1) {
            Some(name) => write!(f, "SIG{name}"),
            None if self.0 >= RTMIN => write!(f, "SIGRTMIN+{}", self.0 - RTMIN),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Signal {
    type Err = Invalid;

    fn from_str(s: &str) -> Result<Self, Invalid> {
        let bad = || {
            Invalid::new("signal", s, "not a signal's name or a number from 1 to 64")
                .hint("for example `SIGTERM` or `15`")
        };
        if let Ok(number) = s.parse::<i32>() {
            return Self::from_number(number).ok_or_else(bad);
        }
        let upper = s.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(index) = NAMES.iter().position(|n| *n == name) {
            return Ok(Self(index as u8 + 1));
        }
        let real_time = |rest: &str, base: u8, up: bool| {
            let offset = if rest.is_empty() { 0 } else { rest.get(1..)?.parse::<u8>().ok()? };
            let number = if up { base.checked_add(offset)? } else { base.checked_sub(offset)? };
            (RTMIN..=RTMAX).contains(&number).then_some(Self(number))
        };
        match (name, name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
            ("IOT", ..) => Ok(Self(6)),
            ("CLD", ..) => Ok(Self(17)),
            ("POLL", ..) => Ok(Self(29)),
            (_, Some(rest), _) if rest.is_empty() || rest.starts_with('+') => {
                real_time(rest, RTMIN, true).ok_or_else(bad)
            }
            (_, _, Some(rest)) if rest.is_empty() || rest.starts_with('-') => {
                real_time(rest, RTMAX, false).ok_or_else(bad)
            }
            _ => Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_real_time_signals() {
        for (text, number) in [
            ("TERM", 15),
            ("sigterm", 15),
            ("9", 9),
            ("SIGRTMIN+3", 37),
            ("RTMAX", 64),
            ("SIGRTMAX-1", 63),
            ("POLL", 29),
        ] {
            assert_eq!(text.parse::<Signal>().unwrap().number(), number, "{text}");
        }
        assert_eq!(Signal::TERM.to_string(), "SIGTERM");
        assert_eq!("64".parse::<Signal>().unwrap().to_string(), "SIGRTMIN+30");
        for bad in ["", "0", "65", "-1", "FOO", "RTMIN+31", "RTMIN+", "RTMAX+1"] {
            assert!(bad.parse::<Signal>().is_err(), "{bad}");
        }
    }
}
