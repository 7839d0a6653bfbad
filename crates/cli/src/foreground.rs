//! A container or an exec in the foreground: the caller's terminal and signals are its own until it ends.
//!
//! Signals are taken before the container exists ([`Foreground::prepare`]), so that none falls between: what comes
//! meanwhile waits in the descriptor and reaches the process once it runs. Raw mode begins only with
//! [`Foreground::pump`], and ends with it on every way out, panics included.

use std::os::fd::AsFd as _;
use std::sync::{Arc, Weak};

use corten_engine::attach::{AttachOptions, Ended, Reaction, Session, Streams};
use corten_model::signal::Signal;
use corten_model::state::Exit;
use corten_sys::terminal::{self, RawMode, Signals};
use rustix::stdio;

use crate::error::{Failure, Result};

/// What a signal that we get does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSignal {
    /// It goes on to the process.
    Forward,
    /// We leave; the process runs on.
    Leave,
}

/// What a session is opened for.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// The process has a terminal.
    pub tty: bool,
    /// The caller's standard input goes to it.
    pub stdin: bool,
    /// The caller gets its standard output, or its terminal's.
    pub stdout: bool,
    /// The caller gets its standard error.
    pub stderr: bool,
    /// What signals do.
    pub on_signal: OnSignal,
}

impl Wish {
    /// The streams of a container; `proxy` is `--sig-proxy`.
    ///
    /// With a terminal nothing is forwarded, as in Docker: what a person types reaches the process as bytes, and a
    /// signal to us means us. If the window is closed, we leave and the container runs on.
    pub fn of_container(tty: bool, stdin: bool, proxy: bool) -> Self {
        let on_signal = if proxy && !tty { OnSignal::Forward } else { OnSignal::Leave };
        Self { tty, stdin, stdout: true, stderr: true, on_signal }
    }

    /// Whether the caller gets anything.
    pub fn has_output(self) -> bool {
        self.stdout || self.stderr
    }

    /// Whether there is anything to stay for.
    pub fn has_streams(self) -> bool {
        self.stdin || self.has_output()
    }
}

/// How a session came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The process ended.
    Exited(Exit),
    /// The caller left it running: by the detach keys, or by a signal of this number.
    Detached(Option<i32>),
}

impl Left {
    /// What the command ends with when it left a running process: nothing is wrong, unless a signal asked for it.
    pub fn detached_code(signal: Option<i32>) -> u8 {
        signal.and_then(|number| u8::try_from(128 + number).ok()).unwrap_or(0)
    }
}

/// A caller that is ready for a session.
pub struct Foreground {
    wish: Wish,
    signals: Signals,
    detach_keys: Vec<u8>,
}

/// Signals that stay this program's: those that can't be caught, the death of our children, a closed pipe, the stops
/// of a background job that touches its terminal, and what the kernel sends for a fault.
const OURS: [i32; 11] = [
    4,  // SIGILL
    5,  // SIGTRAP
    7,  // SIGBUS
    8,  // SIGFPE
    9,  // SIGKILL
    11, // SIGSEGV
    13, // SIGPIPE
    17, // SIGCHLD
    19, // SIGSTOP
    21, // SIGTTIN
    22, // SIGTTOU
];
/// SIGSYS, and the two real-time signals that the C library keeps for itself.
const KEPT: [i32; 3] = [31, 32, 33];
const SIGCONT: i32 = 18;
const SIGWINCH: i32 = 28;
const SIGNAL_MAX: i32 = 64;

/// What asks a program to end: all that we leave for if signals aren't forwarded.
const ENDING: [i32; 4] = [1, 2, 3, 15];

impl Foreground {
    /// Checks the terminal and takes the signals. Nothing may spawn a thread after this.
    pub fn prepare(wish: Wish, detach_keys: Vec<u8>) -> Result<Self> {
        // A terminal for the process, fed from something that isn't one: its lines would come twice, its end never.
        if wish.tty && wish.stdin && !rustix::termios::isatty(stdio::stdin()) {
            return Err(Failure::NotATerminal);
        }
        let signals = Signals::block(&taken(wish))?;
        Ok(Self { wish, signals, detach_keys })
    }

    /// What to ask the engine for.
    pub fn attach_options(&self) -> AttachOptions {
        let size = if self.wish.tty { terminal_size() } else { None };
        AttachOptions { stdin: self.wish.stdin, stdout: self.wish.stdout, stderr: self.wish.stderr, size }
    }

    /// Moves bytes until the process ends or the caller leaves. `name` is for the error if the keeper is lost.
    pub fn pump(self, session: &mut Session, name: &str) -> Result<Left> {
        let raw = self.raw_mode()?;
        let mut left_by = None;
        let ended = {
            let (stdin, stdout, stderr) = (stdio::stdin(), stdio::stdout(), stdio::stderr());
            let streams = Streams {
                stdin: self.wish.stdin.then_some(stdin),
                stdout,
                stderr,
                leaves_after_input: !self.wish.has_output(),
                signals: Some(self.signals.as_fd()),
                // Without a terminal the input is data, and no byte of it a key.
                detach_keys: if self.wish.tty && self.wish.stdin { self.detach_keys } else { Vec::new() },
            };
            session.pump(streams, &mut |number| {
                if number == SIGCONT
                    && let Some(raw) = &raw
                {
                    // The shell that continues us has put its own settings back. If that terminal is gone, the
                    // session's reads say so.
                    let _ = raw.again();
                }
                let reaction = react(self.wish, number);
                if reaction == Reaction::Detach {
                    left_by = Some(number);
                }
                reaction
            })
        };
        // Before anything is printed: in raw mode a line would not begin at the left.
        drop(raw);
        match ended? {
            Ended::Exited(exit) => Ok(Left::Exited(exit)),
            Ended::Detached => Ok(Left::Detached(left_by)),
            Ended::Lost => Err(Failure::Lost(name.to_owned())),
        }
    }

    /// Raw mode, if a terminal of ours is the input of a terminal of the process.
    fn raw_mode(&self) -> Result<Option<Arc<RawMode>>> {
        if !self.wish.tty || !self.wish.stdin {
            return Ok(None);
        }
        let raw = Arc::new(RawMode::enter(stdio::stdin())?);
        restore_on_panic(Arc::downgrade(&raw));
        Ok(Some(raw))
    }
}

/// A panic of a build that aborts drops nothing: the hook is the only place left.
fn restore_on_panic(raw: Weak<RawMode>) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if let Some(raw) = raw.upgrade() {
            let _ = raw.restore();
        }
        before(info);
    }));
}

/// Rows and columns of the terminal that shows the output.
fn terminal_size() -> Option<(u16, u16)> {
    terminal::size(stdio::stdout()).or_else(|| terminal::size(stdio::stdin()))
}

/// The signals to take.
fn taken(wish: Wish) -> Vec<i32> {
    match wish.on_signal {
        OnSignal::Forward => {
            (1..=SIGNAL_MAX).filter(|number| !OURS.contains(number) && !KEPT.contains(number)).collect()
        }
        OnSignal::Leave => [&ENDING[..], &[SIGWINCH, SIGCONT]].concat(),
    }
}

fn react(wish: Wish, number: i32) -> Reaction {
    if number == SIGWINCH {
        // Without a terminal the size of ours is no news to the process; httpd would take it for a graceful stop.
        return match terminal_size() {
            Some((rows, columns)) if wish.tty => Reaction::Resize(rows, columns),
            _ => Reaction::Ignore,
        };
    }
    match (wish.on_signal, Signal::from_number(number)) {
        (OnSignal::Forward, Some(signal)) => Reaction::Forward(signal),
        (OnSignal::Leave, _) if ENDING.contains(&number) => Reaction::Detach,
        _ => Reaction::Ignore,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_signal_does() {
        let check = |on_signal, tty, number: i32, expected: Reaction| {
            assert_eq!(
                react(Wish { tty, stdin: false, stdout: true, stderr: true, on_signal }, number),
                expected,
                "{number}"
            );
        };
        check(OnSignal::Forward, false, 15, Reaction::Forward(Signal::TERM));
        check(OnSignal::Forward, false, 2, Reaction::Forward(Signal::INT));
        check(OnSignal::Forward, false, SIGWINCH, Reaction::Ignore);
        check(OnSignal::Leave, false, 15, Reaction::Detach);
        check(OnSignal::Leave, true, SIGCONT, Reaction::Ignore);
    }

    #[test]
    fn a_terminal_or_a_flag_keeps_signals_here() {
        let check =
            |tty, proxy, expected| assert_eq!(Wish::of_container(tty, false, proxy).on_signal, expected);
        check(false, true, OnSignal::Forward);
        check(false, false, OnSignal::Leave);
        check(true, true, OnSignal::Leave);
        check(true, false, OnSignal::Leave);
    }

    #[test]
    fn which_signals_are_taken() {
        let wish = |on_signal| Wish { tty: false, stdin: false, stdout: true, stderr: true, on_signal };
        let forwarded = taken(wish(OnSignal::Forward));
        for number in [1, 2, 3, 6, 10, 12, 15, 18, 20, 28, 34, 64] {
            assert!(forwarded.contains(&number), "{number}");
        }
        for number in [9, 11, 13, 17, 19, 21, 22, 32, 33] {
            assert!(!forwarded.contains(&number), "{number}");
        }
        assert_eq!(taken(wish(OnSignal::Leave)), [1, 2, 3, 15, SIGWINCH, SIGCONT]);
    }

    #[test]
    fn leaving_by_a_signal_is_told() {
        assert_eq!(Left::detached_code(None), 0);
        assert_eq!(Left::detached_code(Some(15)), 143);
    }
}
