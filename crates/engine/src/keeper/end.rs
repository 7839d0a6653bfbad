//! The end of a container: its exit code is learned, journalled, reported; then its traces go.
//!
//! When the exit code is reported the name is free; only bytes follow. The teardown goes on after a step that failed:
//! what it leaves, `system check` finds.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Instant;

use corten_model::state::Exit;
use corten_storage::tree::Hands;
use rustix::event::epoll::{self, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Signal;

use super::protocol::{Kind, Prepare};
use super::slots::Key;
use super::{Keeper, REAP_TIMEOUT, SETTLE_TIMEOUT, Source, places, start};
use crate::Roots;
use crate::config::Settings;
use crate::janitor::{self, Task};
use crate::journal::Event;
use crate::logs::Stream;

/// How long a process that was killed may take to end.
const KILLED_TIMEOUT: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// The exit code of a process whose end nobody can tell.
pub const UNKNOWN_EXIT: u8 = 255;

impl Keeper {
    /// A process's pidfd became readable.
    pub(super) fn process_ended(&mut self, key: Key) {
        let Some(process) = self.processes.get(key) else { return };
        let code = match process.reap() {
            Some(code) => Some(code),
            None if !process.adopted => return,
            None if self.reaped_by.is_none() => {
                // A zombie still: its pidfd hangs up when its parent has reaped it.
                self.reaped_by = Some(Instant::now() + REAP_TIMEOUT);
                let _ = epoll::modify(
                    &self.epoll,
                    &process.pidfd,
                    Source::Pidfd(key).data(),
                    EventFlags::empty(),
                );
                return;
            }
            None => None,
        };
        self.reaped_by = None;
        let _ = epoll::delete(&self.epoll, &process.pidfd);
        if key == self.main {
            self.main_ended(code.unwrap_or(UNKNOWN_EXIT), code.is_none());
        } else {
            self.exec_ended(key, code.unwrap_or(UNKNOWN_EXIT));
        }
    }

    /// Reads what a process that ended left in its pipes, and no more than that: its children may hold them too, and
    /// write for ever.
    fn drain(&mut self, key: Key) {
        if let Some(process) = self.processes.get_mut(key) {
            process.held = false;
        }
        for stream in [Stream::Stdout, Stream::Stderr] {
            let mut left = self.processes.get(key).map_or(0, |process| process.unread_bytes(stream));
            // The read after the last byte finds the pipe's end, if it is one.
            while let Some(count) = self.relay_once(key, stream) {
                left = left.saturating_sub(count);
                if left == 0 {
                    break;
                }
            }
        }
    }

    fn exec_ended(&mut self, key: Key, code: u8) {
        self.drain(key);
        let Some(process) = self.processes.remove(key) else { return };
        for fd in [&process.out, &process.err, &process.input].into_iter().flatten() {
            // Input is registered only while it waits.
            let _ = epoll::delete(&self.epoll, fd);
        }
        if self.checks.as_ref().is_some_and(|checks| checks.runs(key)) {
            self.check_ended(code);
        }
        if let Some(exec) = process.exec {
            // See `exec`: a full disk must not stop what runs.
            let _ = self.journal.append(Event::ExecExited { exec, code });
        }
        self.report(key, Exit { code, oom_killed: false });
        self.unstall_all();
        self.listen_again();
    }

    /// Ends an exec that can't be looked after, or that outlives the container.
    pub(super) fn exec_lost(&mut self, key: Key) {
        let Some(process) = self.processes.get(key) else { return };
        let _ = corten_sys::pidfd::send_signal(process.pidfd.as_fd(), Signal::KILL.as_raw());
        let mut ended = [PollFd::new(&process.pidfd, PollFlags::IN)];
        // One that hangs in the kernel is not waited for: it was killed all the same.
        let _ = rustix::event::poll(&mut ended, Some(&KILLED_TIMEOUT));
        let code = process.reap().unwrap_or(128 + Signal::KILL.as_raw() as u8);
        self.exec_ended(key, code);
    }

    /// Clients that were not read because a process that is gone now didn't take their input.
    pub(super) fn unstall_all(&mut self) {
        for key in self.clients.keys() {
            let Some(client) = self.clients.get_mut(key).filter(|c| c.stalled) else { continue };
            if client.process.is_none_or(|process| self.processes.get(process).is_none()) {
                client.stalled = false;
                self.obey(key);
            }
        }
    }

    /// The container's first process ended. What it leaves behind without a pid namespace of its own is killed first,
    /// and everybody is served meanwhile.
    fn main_ended(&mut self, code: u8, unknown: bool) {
        self.ending = Some((code, unknown));
        if !self.sweep {
            // The kernel took its pid namespace with it.
            self.sweeping = None;
            return self.finish_end();
        }
        self.sweeping.get_or_insert_default();
        self.sweep_on();
    }

    /// A step of killing what is in the cgroup.
    pub(super) fn sweep_on(&mut self) {
        let Some(sweeping) = &mut self.sweeping else { return };
        match self.prepared.cgroup.kill_step(sweeping) {
            Ok(Some(pause)) => self.sweep_at = Instant::now() + pause,
            // Nothing else can be done about a group that doesn't die; its first process was killed by itself.
            Ok(None) | Err(_) => {
                self.sweeping = None;
                if self.ending.is_some() {
                    self.finish_end();
                }
            }
        }
    }

    fn finish_end(&mut self) {
        let Some((code, unknown)) = self.ending.take() else { return };
        self.drain(self.main);
        self.log.finish();
        let exit = Exit { code, oom_killed: self.prepared.cgroup.oom_kills() > 0 };
        if let Some(main) = self.processes.get_mut(self.main) {
            main.exit = Some(exit);
        }
        let event = Event::Exited {
            code,
            oom: exit.oom_killed,
            stopped_by: self.stopping.asked.then(|| "user".to_owned()),
            unknown: unknown
                .then(|| "its keeper was killed and the kernel didn't keep the exit code".to_owned()),
            restarting: self.stopping.restarting,
            again: self.wants_again(exit),
            health: self.end_checks(),
        };
        let again = matches!(event, Event::Exited { again: Some(_), .. });
        // Room for it was kept. A disk that fails has lost it; the next command finds neither keeper nor process and
        // says so.
        let _ = self.journal.append(event);
        crate::steps::reached("keeper.exited");
        self.stopping.kill_at = None;
        for key in self.processes.keys() {
            if key != self.main {
                self.exec_lost(key);
            }
        }
        if again {
            self.report(self.main, exit);
            return self.wait_for_next(exit);
        }
        self.finish(exit);
    }

    /// Nothing comes after this end.
    pub(super) fn finish(&mut self, exit: Exit) {
        self.ended = Some(exit);
        self.report(self.main, exit);
        crate::steps::reached("keeper.reported");
        self.tear_down();
        crate::steps::reached("keeper.torn-down");
        self.settle_by = Some(Instant::now() + SETTLE_TIMEOUT);
    }

    /// Tells everybody who is subscribed to a process that it ended.
    fn report(&mut self, process: Key, exit: Exit) {
        for key in self.clients.keys() {
            let Some(client) = self.clients.get_mut(key).filter(|c| c.process == Some(process)) else {
                continue;
            };
            client.push_json(Kind::Exit, &exit);
            // Who was told of this end is not told of the next one.
            if process != self.main || self.ended.is_none() {
                client.process = None;
            }
            self.flush_client(key);
        }
    }

    /// The cgroup and the run directory go; from here on nobody finds this keeper any more.
    fn tear_down(&mut self) {
        self.processes.remove(self.main);
        // What others look at goes first. A group that can't go now is found by `system check`.
        unname(&self.prepared);
        let _ = self.prepared.cgroup.remove();
        // Both while the lock is ours: the next keeper mounts the same directories and writes the same journal.
        self.prepared.mounts = None;
        self.journal.end();
        let request = &self.prepared.request;
        if self.auto_remove {
            // Its directory is still to be removed: until then the lock says that somebody sees to it.
            places::close(&request.run, &request.id);
        } else {
            abandon(&self.prepared);
        }
        // Last: who waits in the queue sees a hang-up, and finds nothing of this run any more.
        if let Some(listener) = self.prepared.listener.take() {
            let _ = epoll::delete(&self.epoll, &listener);
        }
        // Their input is nobody's now; what they say behind it is still to be heard.
        self.unstall_all();
    }

    /// The last thing: bytes of a `--rm` container.
    pub(super) fn leave(self) {
        let request = &self.prepared.request;
        if self.auto_remove {
            if self.settled {
                remove_directory(request);
            }
            places::remove(&request.run, &request.id);
            // Nobody took its row away (`run -d`, or the command was killed), unless another command did meanwhile.
            if !self.settled && directory(request).exists() {
                // If it can't be spawned, the next command does its work.
                let roots = Roots { data: request.data.clone(), run: request.run.clone() };
                let _ = janitor::spawn(Task::Fold, &roots, &Settings::without_files());
            }
        }
    }
}

fn directory(request: &Prepare) -> PathBuf {
    request.data.join("containers").join(request.id.as_str())
}

/// Removes the bytes of a container that has no row.
pub(super) fn remove_directory(request: &Prepare) {
    // What stays of it `system check` finds.
    let _ = crate::inside::remove_trees(request.rootless, &[directory(request)], Hands::One);
}

/// Takes back what was made ready.
pub(super) fn abandon(prepared: &start::Prepared) {
    let request = &prepared.request;
    // A group that can't go now is found by `system check`.
    let _ = prepared.cgroup.remove();
    unname(prepared);
    places::remove(&request.run, &request.id);
}

fn unname(prepared: &start::Prepared) {
    let request = &prepared.request;
    if let Some(name) = &prepared.name {
        super::names::remove(&request.run, name, &request.id);
    }
}
