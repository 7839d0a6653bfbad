//! Processes that stopped themselves at a named step (`CORTEN_STOP_AT`), and their end.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::leftovers::processes_of;
use crate::{Host, wait_until};

/// The letter that tells what a process does.
pub fn state_of(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// A process of this host that has stopped itself.
pub fn stopped(host: &Host) -> Option<u32> {
    let pids = processes_of(host.path()).into_iter().map(|(pid, _)| pid);
    pids.into_iter().find(|pid| state_of(*pid) == Some('T'))
}

/// Waits until somebody stops.
#[track_caller]
pub fn wait_stopped(host: &Host, what: &str) -> u32 {
    wait_until(&format!("somebody stops at {what}"), || stopped(host))
}

/// Kills one process.
pub fn kill(pid: u32) {
    // It may have gone by itself.
    let _ = kill_process(Pid::from_raw(pid as i32).expect("pids are positive"), Signal::KILL);
}

/// Kills one process, and waits until what it held is free.
#[track_caller]
pub fn kill_and_wait(pid: u32) {
    kill(pid);
    wait_until("it is dead", || matches!(state_of(pid), None | Some('Z' | 'X')).then_some(()));
}

/// Kills every process of ours that has to do with this host, and waits until they are gone. Processes of containers
/// live on.
#[track_caller]
pub fn kill_all(host: &Host) {
    wait_until("everybody is gone", || {
        let ours: Vec<u32> = processes_of(host.path())
            .into_iter()
            .filter_map(|(pid, what)| what.contains("corten").then_some(pid))
            .collect();
        ours.iter().for_each(|pid| kill(*pid));
        ours.is_empty().then_some(())
    });
}
