//! The first process of `--init`: forwards signals to the program, reaps what is left to it, and ends with the
//! program's exit code.
//!
//! It isn't executed from anywhere: it is the child itself after the program was forked from it, with the
//! program's own ids, capabilities and filter, no open descriptor, and undumpable, so that nobody in the
//! container reaches our binary through its `/proc/1/exe`.

use corten_sys::process::{exit_now, send_signal, wait_signal};
use rustix::process::{Signal, WaitOptions, wait};

/// Signals that are about this process itself.
const OWN: [i32; 4] =
    [Signal::CHILD.as_raw(), Signal::TTIN.as_raw(), Signal::TTOU.as_raw(), Signal::TSTP.as_raw()];
const SIGNAL_CODE: i32 = 128;

/// Supervises `program`. All signals are blocked: they are waited for.
pub fn supervise(program: i32) -> ! {
    loop {
        if let Some(code) = reap(program) {
            exit_now(code);
        }
        let taken = wait_signal();
        if !OWN.contains(&taken.number) {
            // Its end is told by SIGCHLD; until then it can't be another process.
            let _ = send_signal(program, taken.number);
        }
    }
}

/// Reaps everything that has ended; the exit code if the program has.
fn reap(program: i32) -> Option<u8> {
    let mut code = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid.as_raw_pid() == program {
            let signal = status.terminating_signal().map(|s| SIGNAL_CODE + s);
            code = status.exit_status().or(signal).map(|c| c as u8);
        }
    }
    code
}
