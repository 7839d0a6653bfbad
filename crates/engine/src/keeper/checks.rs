//! Health checks: a program of the container's that the keeper runs now and then, and what came of it.
//!
//! ```text
//! starts ──pause──▶ a check runs ──it ends, or takes too long──▶ recorded ──pause──▶ a check runs …
//! ```
//! A check is an exec of the keeper's own: it has no id, no row and no event. Only another status is journalled, and
//! the end; who wants to know more asks.

use std::time::{Duration, Instant};

use corten_model::health::{Health, HealthResult, HealthStatus, OUTPUT_MAX_BYTES, Probe};
use rustix::process::Signal;

use super::Keeper;
use super::slots::Key;
use crate::exec::ExecRequest;
use crate::journal::{self, Event};

/// The checks of one container.
pub struct Checks {
    probe: Probe,
    /// What is known.
    pub health: Health,
    /// When the container began to run.
    started: Instant,
    /// When the next check begins.
    next: Option<Instant>,
    current: Option<Current>,
}

/// A check that runs.
struct Current {
    process: Key,
    began: Instant,
    began_ns: i64,
    /// When it has taken too long; absent when that was noticed.
    until: Option<Instant>,
    timed_out: bool,
    output: Vec<u8>,
    cut: bool,
}

impl Checks {
    /// None has been made yet.
    pub fn new(probe: Probe) -> Self {
        Self { probe, health: Health::starting(), started: Instant::now(), next: None, current: None }
    }

    /// When something is to be done.
    pub fn at(&self) -> Option<Instant> {
        match &self.current {
            Some(current) => current.until,
            None => self.next,
        }
    }

    /// Whether this is the process of the check that runs.
    pub fn runs(&self, process: Key) -> bool {
        self.current.as_ref().is_some_and(|current| current.process == process)
    }

    /// Keeps the beginning of what the check writes.
    pub fn take_output(&mut self, bytes: &[u8]) {
        let Some(current) = &mut self.current else { return };
        let room = OUTPUT_MAX_BYTES - current.output.len();
        current.output.extend_from_slice(&bytes[..bytes.len().min(room)]);
        current.cut |= bytes.len() > room;
    }

    fn wait(&mut self) {
        self.next = Some(Instant::now() + self.health.pause(self.started.elapsed(), &self.probe));
    }
}

impl Current {
    fn result(self, code: u8, timeout_ms: u64) -> HealthResult {
        let mut output = String::from_utf8_lossy(&self.output).into_owned();
        if self.cut {
            output.push_str("...");
        }
        if self.timed_out {
            let limit = Duration::from_millis(timeout_ms);
            let said = if output.is_empty() { String::new() } else { format!(": {output}") };
            output = format!("Health check exceeded timeout ({limit:?}){said}");
        }
        HealthResult {
            start_ns: self.began_ns,
            end_ns: journal::now_ns(),
            exit_code: if self.timed_out { -1 } else { code.into() },
            output,
        }
    }
}

impl Keeper {
    /// The container has begun to run: it is `starting`.
    pub(super) fn begin_checks(&mut self) {
        let Some(checks) = &mut self.checks else { return };
        checks.health.status = HealthStatus::Starting;
        checks.health.failing_streak = 0;
        checks.started = Instant::now();
        checks.current = None;
        checks.wait();
    }

    /// It has ended: nobody checks any more, and what isn't checked isn't healthy.
    pub(super) fn end_checks(&mut self) -> Option<Box<Health>> {
        let checks = self.checks.as_mut()?;
        checks.next = None;
        checks.current = None;
        checks.health.status = HealthStatus::Unhealthy;
        Some(Box::new(checks.health.clone()))
    }

    /// The time of the next check has come, or the one that runs has taken too long.
    pub(super) fn check_health(&mut self) {
        let paused = self.pause.is_on();
        let Some(checks) = &mut self.checks else { return };
        if checks.at().is_none_or(|at| at > Instant::now()) {
            return;
        }
        match &mut checks.current {
            // What stands still is not judged.
            Some(current) if paused => {
                current.until = Some(Instant::now() + Duration::from_millis(checks.probe.timeout_ms));
            }
            None if paused => checks.wait(),
            Some(current) => {
                (current.until, current.timed_out) = (None, true);
                let process = current.process;
                if let Some(process) = self.processes.get(process) {
                    use std::os::fd::AsFd;
                    // Its end is on its way already if it can't be sent.
                    let _ = corten_sys::pidfd::send_signal(process.pidfd.as_fd(), Signal::KILL.as_raw());
                }
            }
            None => self.run_check(),
        }
    }

    fn run_check(&mut self) {
        let Some(checks) = &mut self.checks else { return };
        checks.next = None;
        let (command, timeout_ms) = (checks.probe.command.clone(), checks.probe.timeout_ms);
        let (began, began_ns) = (Instant::now(), journal::now_ns());
        let asked = ExecRequest { cmd: command, ..ExecRequest::default() };
        match self.start_check(asked) {
            Ok(process) => {
                let Some(checks) = &mut self.checks else { return };
                checks.current = Some(Current {
                    process,
                    began,
                    began_ns,
                    until: Some(began + Duration::from_millis(timeout_ms)),
                    timed_out: false,
                    output: Vec::new(),
                    cut: false,
                });
            }
            Err(output) => {
                let result =
                    HealthResult { start_ns: began_ns, end_ns: journal::now_ns(), exit_code: -1, output };
                self.record_check(result, began);
            }
        }
    }

    fn start_check(&mut self, asked: ExecRequest) -> Result<Key, String> {
        let template = self.template.as_ref().ok_or("its keeper doesn't know how it was started")?;
        // The id is nobody's: a check has no row.
        let exec = template.exec(corten_model::ExecId::from_bytes([0; 32]), asked);
        let started = self.start_process(&exec, None);
        started.map(|(key, _)| key).map_err(|refused| {
            let causes = std::iter::successors(Some(&refused as &dyn std::error::Error), |e| e.source());
            causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
        })
    }

    /// The process of a check ended.
    pub(super) fn check_ended(&mut self, code: u8) {
        let Some(checks) = &mut self.checks else { return };
        let timeout_ms = checks.probe.timeout_ms;
        let Some(current) = checks.current.take() else { return };
        let began = current.began;
        self.record_check(current.result(code, timeout_ms), began);
    }

    fn record_check(&mut self, result: HealthResult, began: Instant) {
        let Some(checks) = &mut self.checks else { return };
        let after_start = began.saturating_duration_since(checks.started);
        let changed = checks.health.record(result, after_start, &checks.probe);
        checks.wait();
        if changed.is_some() {
            let health = Box::new(checks.health.clone());
            // A full disk costs the event and the row's word; who asks hears what is right.
            let _ = self.journal.append(Event::Health { health });
        }
        // What a check takes is given back soon after.
        self.slim_at.get_or_insert(Instant::now() + super::SLIM_AFTER);
    }
}
