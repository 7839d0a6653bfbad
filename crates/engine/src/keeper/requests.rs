//! What a keeper does about each request.

use corten_model::resources::Resources;
use corten_runtime::cgroup::KillAll;
use corten_runtime::{ExecLaunch, Stdio};
use rustix::process::Signal;

use super::protocol::{Exec, Failure, Kind, Reply, Request};
use super::slots::Key;
use super::start::{self, Streams};
use super::{Keeper, pause, places};
use crate::attach::AttachOptions;
use crate::journal;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Execs at once in one container.
const EXECS_MAX: usize = 128;

/// A request that can't be done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// A frame that isn't a request of ours.
    #[error("the keeper doesn't know this request")]
    Unknown(#[source] Option<serde_json::Error>),
    /// Every exec costs the keeper descriptors.
    #[error("{EXECS_MAX} processes were started in the container and have not ended")]
    TooMany,
    /// A frame of a newer version, of which nothing is known.
    #[error("the container's keeper is of an older version")]
    Newer(#[source] std::io::Error),
    /// The container ended.
    #[error("the container is not running")]
    Ended,
    /// It ended, and is about to be started again.
    #[error("the container is restarting: wait until it is running")]
    Restarting,
    /// What it is to be started with.
    #[error("keep what the container is started with")]
    Plan(#[source] std::io::Error),
    /// The kernel refuses the signal.
    #[error("send signal {0}")]
    Signal(i32, #[source] std::io::Error),
    /// What is started in a frozen group stands still before it is ready.
    #[error("the container is paused")]
    Paused,
    /// Pausing.
    #[error(transparent)]
    Pause(#[from] pause::Error),
    /// The kernel refuses a limit.
    #[error("set the container's limits")]
    Limit(#[source] corten_runtime::cgroup::Error),
    /// Pipes for an exec.
    #[error("make the streams of the exec")]
    Streams(#[source] std::io::Error),
    /// The exec.
    #[error(transparent)]
    Start(#[from] start::Error),
    /// The exec.
    #[error(transparent)]
    Runtime(#[from] corten_runtime::StartError),
}

impl Refused {
    fn reply(&self) -> Reply {
        use corten_model::Kind as K;
        let (kind, code, hint) = match self {
            Refused::Unknown(_) | Refused::Newer(_) => {
                (K::Unsupported, 125, Some("its keeper is of another version: restart it".into()))
            }
            Refused::Ended | Refused::Restarting => (K::Conflict, 125, None),
            Refused::Paused => (K::Conflict, 125, Some("let it go on first: `unpause`".into())),
            Refused::Pause(pause::Error::Cgroup(e)) => (e.kind(), 125, e.hint()),
            Refused::Pause(_) => (K::Conflict, 125, None),
            Refused::Signal(..) => (K::Invalid, 125, None),
            Refused::Limit(e) => (e.kind(), 125, e.hint()),
            Refused::Streams(_) | Refused::TooMany | Refused::Plan(_) => (K::Unavailable, 125, None),
            Refused::Start(e) => (e.kind(), e.exit_code(), e.hint()),
            Refused::Runtime(e) => (e.kind(), e.exit_code(), e.hint()),
        };
        Reply::Failed(Failure::new(self, kind, code, hint))
    }
}

impl Keeper {
    /// Acts on one frame of a client.
    pub(super) fn handle(&mut self, key: Key, kind: Option<Kind>, payload: &[u8]) {
        match kind {
            Some(Kind::Stdin) => self.take_input(key, payload),
            Some(Kind::StdinEnd) => {
                if let Some(process) = self.clients.get(key).and_then(|c| c.process) {
                    self.end_input(process);
                }
            }
            Some(Kind::Request) => {
                let reply = match serde_json::from_slice(payload) {
                    Ok(request) => self.grant(key, request),
                    Err(e) => Err(Refused::Unknown(Some(e))),
                };
                self.reply(key, reply);
            }
            // A newer caller's frame that we don't know.
            _ => self.reply(key, Err(Refused::Unknown(None))),
        }
    }

    /// Says that a caller's newer words aren't understood; what follows them isn't either.
    pub(super) fn refuse_newer(&mut self, key: Key, error: std::io::Error) {
        self.reply(key, Err(Refused::Newer(error)));
        self.flush_client(key);
    }

    fn reply(&mut self, key: Key, result: Result<Option<Reply>, Refused>) {
        let reply = match result {
            Ok(Some(reply)) => reply,
            Ok(None) => return,
            Err(refused) => refused.reply(),
        };
        let Some(client) = self.clients.get_mut(key) else { return };
        // Who asks on without reading the answers is none of ours; the answers would pile up here.
        if client.is_full() {
            return self.drop_client(key);
        }
        client.push_json(Kind::Reply, &reply);
    }

    fn grant(&mut self, key: Key, request: Request) -> Result<Option<Reply>, Refused> {
        match request {
            Request::Attach(streams) => self.attach(key, streams),
            Request::Wait if self.is_waiting() => {
                // It is told of the end after the next start.
                if let Some(client) = self.clients.get_mut(key) {
                    client.process = Some(self.main);
                }
                Ok(Some(Reply::Attached { terminal: false }))
            }
            Request::Wait => self.attach(key, AttachOptions::default()),
            Request::Exec(exec) => self.exec(key, exec),
            Request::ExecAsked { id, asked } => {
                let template = self.template.as_ref().ok_or(Refused::Unknown(None))?;
                let exec = template.exec(id, asked);
                self.exec(key, exec)
            }
            Request::Pause { hold } => {
                self.check_running()?;
                self.pause(hold.then_some(key))?;
                Ok(Some(Reply::Done))
            }
            Request::Unpause => {
                self.check_running()?;
                self.unpause()?;
                Ok(Some(Reply::Done))
            }
            Request::Kill { signal } => {
                self.check_running()?;
                self.note_signal(signal);
                self.signal_main(signal)?;
                Ok(Some(Reply::Done))
            }
            Request::Stop { .. } if self.is_waiting() => {
                self.stop_waiting(key);
                Ok(None)
            }
            Request::Stop { signal, timeout_ms, restarting } => {
                self.stop(signal, timeout_ms)?;
                self.stopping.restarting |= restarting;
                self.auto_remove &= !restarting;
                self.attach(key, AttachOptions::default())
            }
            Request::Update { resources } => self.update(resources),
            Request::SetRestart { watch, plan } => {
                self.set_policy(&watch, plan.as_deref())?;
                Ok(Some(Reply::Done))
            }
            Request::Health => {
                let health = self.checks.as_ref().map(|checks| Box::new(checks.health.clone()));
                Ok(Some(Reply::Health { health }))
            }
            Request::Resize { rows, cols } => {
                self.resize(key, rows, cols);
                Ok(None)
            }
            Request::Settled => {
                self.settled = true;
                Ok(None)
            }
            Request::Prepare(_) | Request::Start(_) | Request::Go { .. } | Request::Adopt(_) => {
                Err(Refused::Unknown(None))
            }
        }
    }

    /// Subscribes a client to the container's first process.
    fn attach(&mut self, key: Key, streams: AttachOptions) -> Result<Option<Reply>, Refused> {
        self.check_running()?;
        let terminal = self.processes.get(self.main).is_some_and(|main| main.terminal);
        let process = self.main;
        if let Some(client) = self.clients.get_mut(key) {
            client.process = Some(process);
            client.streams = streams;
        }
        if let Some((rows, cols)) = streams.size {
            self.resize(key, rows, cols);
        }
        Ok(Some(Reply::Attached { terminal }))
    }

    fn resize(&mut self, key: Key, rows: u16, cols: u16) {
        let Some(process) = self.clients.get(key).and_then(|c| c.process) else { return };
        let Some(process) = self.processes.get(process).filter(|p| p.terminal) else { return };
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
        // A terminal whose last process just left has no size to set.
        let _ = process.out.as_ref().map(|terminal| rustix::termios::tcsetwinsize(terminal, size));
    }

    fn send_to_main(&mut self, number: i32) -> Result<(), Refused> {
        let main = self.processes.get(self.main).filter(|p| p.exit.is_none()).ok_or(Refused::Ended)?;
        let refused = |e: std::io::Error| Refused::Signal(number, e);
        corten_sys::pidfd::send_signal(main.pidfd.as_fd(), number).map_err(refused)?;
        if number == Signal::KILL.as_raw() {
            self.end_pause();
        }
        Ok(())
    }

    fn check_running(&self) -> Result<(), Refused> {
        if self.is_waiting() {
            return Err(Refused::Restarting);
        }
        let main = self.processes.get(self.main).filter(|p| p.exit.is_none());
        main.map(drop).ok_or(Refused::Ended)
    }

    /// Sends a signal that somebody asked for, or that comes of it.
    pub(super) fn signal_main(&mut self, number: i32) -> Result<(), Refused> {
        self.send_to_main(number)?;
        self.stopping.killed |= number == Signal::KILL.as_raw();
        // A full disk costs the event, not the signal.
        let _ = self.journal.append(journal::Event::Signalled { signal: number });
        Ok(())
    }

    /// Sends the stop signal; what doesn't obey in time is killed.
    fn stop(&mut self, signal: i32, timeout_ms: Option<u64>) -> Result<(), Refused> {
        self.signal_main(signal)?;
        self.end_pause();
        self.stopping.asked = true;
        let kill_at = timeout_ms.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)));
        self.stopping.kill_at = [self.stopping.kill_at, kill_at].into_iter().flatten().min();
        if signal == Signal::KILL.as_raw() {
            self.stopping.kill_at = Some(Instant::now());
        }
        Ok(())
    }

    /// Sets other limits, all of them or none.
    fn update(&mut self, resources: Resources) -> Result<Option<Reply>, Refused> {
        if !self.is_waiting() {
            self.check_running()?;
        }
        let warnings = self.prepared.cgroup.replace(&resources).map_err(Refused::Limit)?;
        // For the group of the next start.
        self.prepared.request.resources = resources;
        Ok(Some(Reply::Updated { warnings }))
    }

    /// SIGKILL to the first process, then step by step to every process of the cgroup: one that forks as fast as it is
    /// killed, or that hangs in the kernel, keeps nobody else waiting.
    pub(super) fn kill_everything(&mut self) {
        let _ = self.send_to_main(Signal::KILL.as_raw());
        self.sweeping = Some(KillAll::default());
        self.sweep_on();
    }

    /// Runs another process in the container and subscribes the client to it.
    fn exec(&mut self, key: Key, request: Exec) -> Result<Option<Reply>, Refused> {
        let (process, warnings) = self.start_process(&request, Some(request.id.clone()))?;
        let (pid, ticks) = self.processes.get(process).map_or((0, 0), |process| (process.pid, process.ticks));
        if let Some(client) = self.clients.get_mut(key) {
            client.process = Some(process);
            client.streams = request.attach.unwrap_or_default();
        }
        // A journal that can't be written (a full disk) must not stop what runs: the exec's row is missing then.
        let _ = self
            .journal
            .append(journal::Event::ExecStarted { exec: request.id, command: request.process.args });
        Ok(Some(Reply::Started { pid, ticks, warnings, stamps: Vec::new() }))
    }

    /// Runs another process in the container, and gives back what was asked for and can't be had.
    pub(super) fn start_process(
        &mut self,
        request: &Exec,
        exec: Option<corten_model::ExecId>,
    ) -> Result<(Key, Vec<String>), Refused> {
        self.check_running()?;
        let main = self.processes.get(self.main).ok_or(Refused::Ended)?;
        if self.processes.iter().count() > EXECS_MAX {
            return Err(Refused::TooMany);
        }
        if self.pause.is_on() {
            return Err(Refused::Paused);
        }
        let filter = start::filter(&self.prepared.request, request.seccomp.as_ref())?;
        let (stdio, ours) = if request.process.terminal {
            (Stdio::Terminal, Streams::default())
        } else {
            let open = || {
                let (stdin, input) = start::open_input(request.open_stdin)?;
                let (out, stdout) = places::plain_pipe()?;
                let (err, stderr) = places::plain_pipe()?;
                places::set_nonblocking(&out)?;
                places::set_nonblocking(&err)?;
                Ok((Stdio::Fds { stdin, stdout, stderr }, Streams { input, out: Some(out), err: Some(err) }))
            };
            open().map_err(Refused::Streams)?
        };
        let started = corten_runtime::exec(ExecLaunch {
            pid: main.pid,
            pidfd: main.pidfd.as_fd(),
            rootless: self.prepared.request.rootless,
            process: &request.process,
            cgroup: &self.prepared.cgroup,
            stdio,
            seccomp: filter.as_ref(),
            trace: None,
        })?;
        let (process, started) = start::into_process(started, ours, exec).map_err(Refused::Streams)?;
        let process = self.processes.insert(process);
        if let Err(e) = self.watch_process(process) {
            // Nobody would ever learn of its end.
            self.exec_lost(process);
            return Err(Refused::Streams(e));
        }
        Ok((process, started.warnings))
    }
}
