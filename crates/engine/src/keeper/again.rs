//! Starting the container again after its end, as its restart policy says.
//!
//! ```text
//! running ──exit, policy says yes──▶ waiting ──pause is over──▶ running
//!                                      │  └─ the start fails ─▶ ended, with the reason
//!                                      └─ stopped, killed ─▶ ended
//! ```
//! The keeper stays what it was: its lock, its socket, the name and the host ids are kept all the time. What it was
//! started with lies in the run directory, not in its memory.

use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use corten_model::restart::{self, RestartPolicy};
use corten_model::state::Exit;
use rustix::process::Signal;

use super::protocol::{Kind, Prepare, Reply, Start, Watch};
use super::requests::Refused;
use super::slots::Key;
use super::{Keeper, SLIM_AFTER, boot_id, pause, places, start};
use crate::journal::Event;

/// The file in the run directory with what the container was started with.
const PLAN: &str = "start.json";

/// What a keeper needs to start its container again.
pub struct Again {
    /// When.
    policy: RestartPolicy,
    /// The signal that asks the app to end: who sends it wants no new start.
    stop_signal: i32,
    /// How often it was.
    pub count: u32,
    /// The pause before the last start.
    last_pause: Option<Duration>,
    /// When it last began to run.
    started: Instant,
    /// When it is started, and how it ended.
    waiting: Option<(Instant, Exit)>,
    /// Somebody ended it by a signal.
    cancelled: bool,
}

impl Again {
    /// For a container that has just been started.
    pub fn new(watch: &Watch) -> Self {
        Self {
            policy: watch.restart,
            stop_signal: watch.stop_signal,
            count: watch.restarts,
            last_pause: None,
            started: Instant::now(),
            waiting: None,
            cancelled: false,
        }
    }

    /// When the next start is.
    pub fn at(&self) -> Option<Instant> {
        self.waiting.map(|(at, _)| at)
    }
}

fn plan_path(request: &Prepare) -> PathBuf {
    places::directory(&request.run, &request.id).join(PLAN)
}

/// Puts what the container is started with where a later start finds it: nobody but its user may read it.
pub fn keep_plan(request: &Prepare, plan: &Start) -> io::Result<()> {
    let path = plan_path(request);
    let fresh = path.with_extension("new");
    let file = std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    let mut writer = io::BufWriter::new(file);
    serde_json::to_writer(&mut writer, plan)?;
    io::Write::flush(&mut writer)?;
    std::fs::rename(fresh, path)
}

/// What the container was started with.
pub fn plan(request: &Prepare) -> io::Result<Start> {
    let bytes = std::fs::read(plan_path(request))?;
    Ok(serde_json::from_slice(&bytes)?)
}

impl Keeper {
    /// Whether it waits for the next start.
    pub(super) fn is_waiting(&self) -> bool {
        self.again.as_ref().is_some_and(|again| again.waiting.is_some())
    }

    /// The container ended like this: how often it will have been started again with the start that follows, if one
    /// does.
    pub(super) fn wants_again(&self, exit: Exit) -> Option<u32> {
        let again = self.again.as_ref()?;
        let left_alone = !self.stopping.asked && !self.stopping.restarting && !again.cancelled;
        let wanted = left_alone && again.policy.wants_restart(exit.code, again.count);
        wanted.then(|| again.count.saturating_add(1))
    }

    /// A signal that somebody sent: the one that asks for the end wants no new start.
    pub(super) fn note_signal(&mut self, number: i32) {
        if let Some(again) = &mut self.again
            && (number == again.stop_signal || number == Signal::KILL.as_raw())
        {
            again.cancelled = true;
        }
    }

    /// After the exit is journalled and reported: makes ready for the next start, and sets its time.
    pub(super) fn wait_for_next(&mut self, exit: Exit) {
        self.processes.remove(self.main);
        // The next run mounts the same directories.
        self.prepared.mounts = None;
        self.unstall_all();
        self.stopping = super::Stopping::default();
        self.pause = pause::Pause::default();
        self.slim_at = None;
        let Some(again) = &mut self.again else { return };
        let pause = restart::backoff(again.last_pause, again.started.elapsed());
        again.last_pause = Some(pause);
        again.count = again.count.saturating_add(1);
        again.waiting = Some((Instant::now() + pause, exit));
    }

    /// The pause is over.
    pub(super) fn start_again(&mut self) {
        let Some(again) = &mut self.again else { return };
        let Some((_, exit)) = again.waiting.take() else { return };
        again.started = Instant::now();
        if let Err(error) = self.bring_back() {
            let chain: Vec<String> =
                std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source())
                    .map(ToString::to_string)
                    .collect();
            self.give_up(exit, None, Some(format!("start it again: {}", chain.join(": "))));
        }
    }

    /// A new group, a new process, the same keeper.
    fn bring_back(&mut self) -> Result<(), start::Error> {
        let plan = plan(&self.prepared.request).map_err(start::Error::Plan)?;
        // What the last run counted goes with its group; one that can't go is used once more.
        let _ = self.prepared.cgroup.remove();
        start::make_group(&mut self.prepared)?;
        let (process, started) = start::start(&mut self.prepared, &plan, None, &|_| ())?;
        if let Some(journal) = self.prepared.journal.take() {
            self.journal = journal;
        }
        // Nobody is there to be told.
        self.prepared.warnings.clear();
        let (pid, ticks) = (process.pid, process.ticks);
        let before = self.main;
        self.main = self.processes.insert(process);
        let external = serde_json::to_value(&started.external).unwrap_or_default();
        let restarts = self.again.as_ref().map_or(0, |again| again.count);
        let line = Event::Started {
            boot: boot_id(),
            pid,
            ticks,
            external,
            restarts,
            checked: self.checks.is_some(),
        };
        if let Err(error) = self.watch_process(self.main).and_then(|()| self.journal.append(line)) {
            // What no row will ever tell of must not run.
            let _ = self.prepared.cgroup.kill_all();
            self.processes.remove(self.main);
            return Err(start::Error::Journal(error));
        }
        for key in self.clients.keys() {
            if let Some(client) = self.clients.get_mut(key).filter(|client| client.process == Some(before)) {
                client.process = Some(self.main);
            }
        }
        self.prepared.spare.clear();
        self.begin_checks();
        self.slim_at = Some(Instant::now() + SLIM_AFTER);
        Ok(())
    }

    /// There will be no next start: the container has ended as it ended.
    fn give_up(&mut self, exit: Exit, stopped_by: Option<String>, error: Option<String>) {
        // On a full disk the next command finds neither keeper nor process, and says so.
        let _ = self.journal.append(Event::GaveUp { stopped_by, error });
        self.again = None;
        self.finish(exit);
    }

    /// Somebody stops it while it waits, and is told of its end.
    pub(super) fn stop_waiting(&mut self, asker: Key) {
        if let Some(client) = self.clients.get_mut(asker) {
            client.push_json(Kind::Reply, &Reply::Attached { terminal: false });
            client.process = Some(self.main);
        }
        let waiting = self.again.as_mut().and_then(|again| again.waiting.take());
        if let Some((_, exit)) = waiting {
            self.give_up(exit, Some("user".to_owned()), None);
        }
    }

    /// Sets another policy; `plan` is what a keeper that needed none until now starts it with.
    pub(super) fn set_policy(&mut self, watch: &Watch, plan: Option<&Start>) -> Result<(), Refused> {
        if let Some(plan) = plan
            && self.again.is_none()
        {
            keep_plan(&self.prepared.request, plan).map_err(Refused::Plan)?;
        }
        match &mut self.again {
            Some(again) => again.policy = watch.restart,
            None => self.again = Some(Box::new(Again::new(watch))),
        }
        Ok(())
    }
}
