//! A command on a terminal of its own, driven as a person would: keys in, screen out, and a window to resize.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::collect::Collector;
use crate::output::Output;
use crate::session::{code, wait_readable};
use crate::wait::{COMMAND_DEADLINE, SETTLE_DEADLINE};

/// A running command and the terminal it thinks a person sits at.
pub struct Terminal {
    line: String,
    child: Child,
    pidfd: OwnedFd,
    keys: File,
    /// Our own end of the terminal's other side: modes can be looked at after the command has ended.
    screen_side: OwnedFd,
    screen: Collector,
}

impl Terminal {
    /// Starts `command` through setsid(1), which makes the terminal the controlling one.
    pub(crate) fn start(line: String, command: Command) -> Self {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a new pty");
        grantpt(&keys).and_then(|()| unlockpt(&keys)).expect("a pty of ours");
        tcsetwinsize(&keys, size(24, 80)).expect("a pty has a size");
        let name = ptsname(&keys, Vec::new()).expect("a pty has a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let side = rustix::fs::open(&name, flags, Mode::empty()).expect("the pty is unlocked");
        let copy = || side.try_clone().expect("room for another descriptor");

        // setsid needs no fork here, so the child's pid stays that of the command.
        let mut wrapped = Command::new("setsid");
        wrapped
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .env("TERM", "xterm");
        wrapped.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        if let Some(dir) = command.get_current_dir() {
            wrapped.current_dir(dir);
        }
        wrapped.stdin(copy()).stdout(copy()).stderr(copy());
        let child = wrapped.spawn().expect("setsid(1) is there");
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).expect("not reaped yet");
        let screen = Collector::start(keys.try_clone().expect("room for another descriptor"));
        Self { line, child, pidfd, keys: File::from(keys), screen_side: side, screen }
    }

    /// Types.
    pub fn keys(&self, keys: impl AsRef<[u8]>) -> &Self {
        (&self.keys).write_all(keys.as_ref()).expect("the terminal is there");
        self
    }

    /// Waits until `text` has been on the screen.
    #[track_caller]
    pub fn wait(&self, text: &str) -> &Self {
        let enough = |bytes: &[u8], _| String::from_utf8_lossy(bytes).contains(text);
        if !self.screen.wait(SETTLE_DEADLINE, enough) {
            panic!("{text:?} never came on the terminal\n$ {}\nscreen: {}", self.line, self.screen());
        }
        self
    }

    /// What has been on the screen.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.so_far()).into_owned()
    }

    /// Changes the window's size; the kernel tells the command with SIGWINCH.
    pub fn resize(&self, rows: u16, columns: u16) -> &Self {
        tcsetwinsize(&self.keys, size(rows, columns)).expect("a pty has a size");
        self
    }

    /// Whether the terminal is raw: no echo, no line editing, no signals from keys.
    pub fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.screen_side).expect("it is a terminal").local_modes;
        !modes.intersects(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }

    /// Whether what is typed is shown.
    pub fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.screen_side).expect("it is a terminal").local_modes;
        modes.contains(LocalModes::ECHO)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> &Self {
        let _ = pidfd_send_signal(&self.pidfd, signal);
        self
    }

    /// Waits for its end and returns it with the screen as stdout. The terminal can still be looked at.
    #[track_caller]
    pub fn finish(&mut self) -> Output {
        self.finish_within(COMMAND_DEADLINE)
    }

    /// Like `finish`, with a deadline of its own.
    #[track_caller]
    pub fn finish_within(&mut self, deadline: Duration) -> Output {
        if !wait_readable(&self.pidfd, deadline) {
            self.signal(Signal::KILL);
            panic!("it still runs after {deadline:?}\n$ {}\nscreen: {}", self.line, self.screen());
        }
        let status = self.child.wait().expect("our child is reaped by us only");
        let code = code(status);
        // We hold the other side open, so there is no end to wait for: what was written is there already, but the
        // reading thread may need a moment. A mark of our own tells that it has caught up.
        let mark = b"\x00end of screen\x00";
        let mut side = File::from(self.screen_side.try_clone().expect("room for another descriptor"));
        side.write_all(mark).expect("the terminal is there");
        self.screen.wait(SETTLE_DEADLINE, |bytes, _| bytes.ends_with(mark));
        let mut stdout = self.screen.so_far();
        stdout.truncate(stdout.len().saturating_sub(mark.len()));
        Output { line: self.line.clone(), code, stdout, stderr: Vec::new() }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !wait_readable(&self.pidfd, Duration::ZERO) {
            self.signal(Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}
