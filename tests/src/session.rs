//! A command that runs while the test goes on: its streams are pipes.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::collect::Collector;
use crate::output::Output;
use crate::wait::{COMMAND_DEADLINE, SETTLE_DEADLINE};

/// A running command.
pub struct Session {
    line: String,
    child: Child,
    pidfd: OwnedFd,
    stdin: Option<ChildStdin>,
    stdout: Collector,
    stderr: Collector,
}

impl Session {
    /// Starts `command` with three pipes.
    pub(crate) fn start(line: String, mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("cannot run `{line}`: {error}"),
        };
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("our child isn't reaped yet");
        let stdin = child.stdin.take();
        let stdout = Collector::start(child.stdout.take().expect("stdout is piped").into());
        let stderr = Collector::start(child.stderr.take().expect("stderr is piped").into());
        Self { line, child, pidfd, stdin, stdout, stderr }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its stdin.
    #[track_caller]
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let stdin = self.stdin.as_mut().expect("stdin was closed before");
        stdin.write_all(bytes.as_ref()).and_then(|()| stdin.flush()).expect("write to its stdin");
        self
    }

    /// Takes its stdin, for a thread that writes.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.stdin.take()
    }

    /// Ends its stdin.
    pub fn close_stdin(&mut self) -> &mut Self {
        self.stdin = None;
        self
    }

    /// Waits until `text` has come on stdout.
    #[track_caller]
    pub fn wait_stdout(&self, text: &str) -> &Self {
        let enough = |bytes: &[u8], _| String::from_utf8_lossy(bytes).contains(text);
        if !self.stdout.wait(SETTLE_DEADLINE, enough) {
            self.wrong(&format!("{text:?} never came on stdout"));
        }
        self
    }

    /// Waits until `count` bytes have come on stdout.
    #[track_caller]
    pub fn wait_bytes(&self, count: usize) -> &Self {
        if !self.stdout.wait(COMMAND_DEADLINE, |bytes, _| bytes.len() >= count) {
            self.wrong(&format!("{count} bytes never came on stdout"));
        }
        self
    }

    /// What came on stdout so far.
    pub fn so_far(&self) -> Vec<u8> {
        self.stdout.so_far()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> &Self {
        // It may have ended meanwhile; its exit code tells.
        let _ = pidfd_send_signal(&self.pidfd, signal);
        self
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        wait_readable(&self.pidfd, Duration::ZERO)
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(self) -> Output {
        self.finish_within(COMMAND_DEADLINE)
    }

    /// Waits for its end, and for the end of its streams: a process of ours that holds them is a leak.
    #[track_caller]
    pub fn finish_within(mut self, deadline: Duration) -> Output {
        self.stdin = None;
        if !wait_readable(&self.pidfd, deadline) {
            let stack = std::fs::read_to_string(format!("/proc/{}/wchan", self.pid())).unwrap_or_default();
            self.wrong(&format!("it still runs after {deadline:?} (in {stack})"));
        }
        let status = self.child.wait().expect("our child is reaped by us only");
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !stream.wait_end(SETTLE_DEADLINE) {
                self.wrong(&format!("it has ended, and something still holds its {name}"));
            }
        }
        let (stdout, stderr) = (self.stdout.so_far(), self.stderr.so_far());
        Output { line: self.line.clone(), code: code(status), stdout, stderr }
    }

    #[track_caller]
    fn wrong(&self, wrong: &str) -> ! {
        self.signal(Signal::KILL);
        let shown =
            |c: &Collector| String::from_utf8_lossy(&c.so_far()).chars().take(4000).collect::<String>();
        panic!("{wrong}\n$ {}\nstdout: {}\nstderr: {}", self.line, shown(&self.stdout), shown(&self.stderr))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.signal(Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// The exit code as a shell sees it.
pub fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// Waits until a pidfd says that its process has ended.
pub fn wait_readable(fd: &OwnedFd, deadline: Duration) -> bool {
    let timeout = deadline.try_into().expect("deadlines are short");
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0)
}
