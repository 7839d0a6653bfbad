//! The command line of ssh, and waiting for its end.
//!
//! With a terminal, ssh takes our place: window sizes and keys are its business. Without one it is our child, because it
//! doesn't hand signals on; we do, over a connection of their own.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

use corten_sys::terminal::{self, Signals};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{Address, VARIABLE, signal, wants_terminal};
use crate::caller::Caller;
use crate::error::{Failure, Result};

/// What runs over there, found through that host's PATH.
const PROGRAM: &str = "corten";
/// Signals that are handed on: hang-up, interrupt, quit, the user's two, terminate.
const HANDED_ON: [i32; 6] = [1, 2, 3, 10, 12, 15];
/// So many signals end ssh itself: whoever sends them wants to leave.
const SIGNALS_MAX: usize = 3;
/// How long a signal's own connection may take to be made.
const CONNECT_TIMEOUT: &str = "ConnectTimeout=5";

/// Runs `words` over there. The exit code is the one over there, or ssh's 255.
pub fn run(address: &Address, words: &[OsString], caller: &mut Caller) -> Result<u8> {
    let token = token()?;
    let line = line(address, &token, words, caller);
    if wants_terminal(words) {
        return Err(Failure::NoSsh(ssh(address, &["-t"], &line).exec()));
    }
    // Before the child is made: it is born with them blocked, so that the terminal's ^C reaches us alone.
    let signals = Signals::block(&HANDED_ON)?;
    let mut child = ssh(address, &["-T"], &line).spawn().map_err(Failure::NoSsh)?;
    let pid = Pid::from_raw(child.id() as i32).expect("a child has a pid");
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from)?;
    let mut seen = 0;
    loop {
        let (ended, signalled) = (pidfd.as_fd(), signals.as_fd());
        let mut fds = [ended, signalled].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            polled => polled.map_err(io::Error::from)?,
        };
        if !fds[0].revents().is_empty() {
            return Ok(exit_code(child.wait()?));
        }
        while let Some(number) = terminal::read_signal(signals.as_fd())? {
            seen += 1;
            hand_on(address, &token, number, seen, &mut child);
        }
    }
}

/// What tells this command from others over there.
fn token() -> io::Result<String> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A signal goes over there; ssh ends if it can't, or if the caller insists.
fn hand_on(address: &Address, token: &str, number: i32, seen: usize, child: &mut Child) {
    let words = [PROGRAM, signal::WORD, token, &number.to_string()].map(OsString::from);
    let sent = || {
        let mut ssh = ssh(address, &["-T", "-o", "BatchMode=yes", "-o", CONNECT_TIMEOUT], &quoted(&words));
        ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()
    };
    if seen >= SIGNALS_MAX || !sent().is_ok_and(|status| status.success()) {
        // Whether it is gone already or not: the loop sees its end.
        let _ = child.kill();
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|number| 128 + number));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// ssh, about to run one line over there.
fn ssh(address: &Address, flags: &[&str], line: &OsStr) -> Command {
    let mut command = Command::new("ssh");
    command.args(flags);
    if let Some(port) = address.port {
        command.arg("-p").arg(port.to_string());
    }
    if let Some(user) = &address.user {
        command.arg("-l").arg(user);
    }
    command.arg("--").arg(&address.host).arg(line);
    command
}

/// The line over there.
fn line(address: &Address, token: &str, words: &[OsString], caller: &Caller) -> OsString {
    let mut line: Vec<OsString> = vec!["env".into(), format!("{VARIABLE}={token}").into(), PROGRAM.into()];
    let globals = &caller.globals;
    let root = globals.root.clone().or_else(|| address.root.as_ref().map(Into::into));
    for (flag, path) in [("--root", &root), ("--run-root", &globals.run_root), ("--config", &globals.config)]
    {
        if let Some(path) = path {
            line.extend([flag.into(), path.into()]);
        }
    }
    for (flag, is_set) in [("--timings", globals.timings), ("--debug", globals.debug)] {
        line.extend(is_set.then(|| flag.into()));
    }
    line.extend(words.iter().cloned());
    quoted(&line)
}

/// Words as one line that every shell takes apart into the same words. Backslashes within single quotes mean different
/// things to different shells, so they and single quotes stand within double ones.
fn quoted(words: &[OsString]) -> OsString {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./:,+@%=".contains(byte);
    let mut line = Vec::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            line.push(b' ');
        }
        let bytes = word.as_bytes();
        // zsh makes a path of a word that begins with `=`.
        if !bytes.is_empty() && bytes.iter().all(plain) && !bytes.starts_with(b"=") {
            line.extend_from_slice(bytes);
            continue;
        }
        line.push(b'\'');
        for byte in bytes {
            match byte {
                b'\'' => line.extend_from_slice(b"'\"'\"'"),
                b'\\' => line.extend_from_slice(b"'\"\\\\\"'"),
                byte => line.push(*byte),
            }
        }
        line.push(b'\'');
    }
    OsString::from_vec(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::global::Globals;

    fn argv(text: &str, words: &[&str]) -> Vec<String> {
        let address = Address::parse(text, "--host").unwrap();
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let caller = Caller::for_test(Globals { debug: true, ..Globals::default() });
        let command = ssh(&address, &["-T"], &line(&address, "cafe", &words, &caller));
        command.get_args().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn the_command_line_of_ssh() {
        let line = "env CORTEN_REMOTE=cafe corten --root /srv/x --debug run img echo 'a b'";
        assert_eq!(
            argv("ssh://me@box:2222/srv/x", &["run", "img", "echo", "a b"]),
            ["-T", "-p", "2222", "-l", "me", "--", "box", line]
        );
        let line = "env CORTEN_REMOTE=cafe corten --debug ps";
        assert_eq!(argv("ssh://box", &["ps"]), ["-T", "--", "box", line]);
    }

    #[test]
    fn a_shell_gives_every_word_back_as_it_was() {
        let long = "x'".repeat(1000);
        let words = [
            "",
            "plain",
            "a b",
            "it's",
            "$HOME",
            "`id`",
            "back\\slash",
            "\\",
            "\n",
            "é",
            "!x",
            "=a",
            "~",
            "*",
            "a\"b",
            "-n",
            "%s",
            &long,
        ];
        let mut words: Vec<OsString> = words.iter().map(OsString::from).collect();
        words.push(OsString::from_vec(vec![0xff, b'\'']));
        let mut line = OsString::from("printf '%s\\0' ");
        line.push(quoted(&words));
        let expected: Vec<u8> = words.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
        for shell in ["sh", "bash"] {
            let said = Command::new(shell).arg("-c").arg(&line).output().unwrap();
            assert_eq!(said.stdout, expected, "{shell}");
        }
    }
}
