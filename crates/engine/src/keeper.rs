//! The keeper: one small single-threaded process per running container, the actor that owns it while it lives.
//!
//! ```text
//! Prepare ──▶ ready ──Start──▶ running ──exit──▶ journalled ──▶ reported ──▶ torn down ──▶ settled, gone
//!    └─ caller hangs up: torn down     Adopt ─▶ running (the keeper before it was killed)
//! ```
//! Every transition of a running container comes through its socket, one after the other: no locks. It speaks no SQL,
//! holds no container's bytes back without bound, and outlives the command that started it and the binary's upgrade.
//! It decides nothing that was not asked for.

mod adopt;
mod again;
mod checks;
mod client;
mod end;
pub mod log;
pub mod names;
mod pause;
pub mod places;
mod process;
pub mod protocol;
mod requests;
mod slots;
mod start;
mod streams;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use corten_model::state::Exit;
use corten_runtime::cgroup::KillAll;
use rustix::event::epoll::{self, EventFlags};

use self::client::{Client, Incoming};
use self::process::Process;
use self::protocol::{Failure, Kind, Reply, Request};
use self::slots::{Key, Slots};
use crate::db::IndexKept;
use crate::exec::Template;
use crate::journal;
use crate::logs::Stream;

pub use self::end::UNKNOWN_EXIT;
pub use self::start::{cgroup_host, cgroup_path, open_process};

/// The name under which the binary is spawned to be a keeper.
pub const PERSONALITY: &str = "corten-keeper";
/// Events taken at once.
const EVENTS: usize = 16;
/// Clients at once; more are turned away.
const CLIENTS_MAX: usize = 256;
/// How long a keeper waits for the command that started a `--rm` container to take its row away.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an adopted process that ended may stay a zombie: its exit code is told only when its parent reaped it.
const REAP_TIMEOUT: Duration = Duration::from_secs(2);

/// How long after the start a keeper gives back what the start took: most short-lived containers end before.
const SLIM_AFTER: Duration = Duration::from_millis(100);

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Listener,
    Client(Key),
    Pidfd(Key),
    Out(Key),
    Err(Key),
    Input(Key),
}

impl Source {
    fn data(self) -> epoll::EventData {
        let (role, key) = match self {
            Source::Listener => (0, 0),
            Source::Client(key) => (1, key.bits()),
            Source::Pidfd(key) => (2, key.bits()),
            Source::Out(key) => (3, key.bits()),
            Source::Err(key) => (4, key.bits()),
            Source::Input(key) => (5, key.bits()),
        };
        epoll::EventData::new_u64((role << 56) | key)
    }

    fn from_data(data: epoll::EventData) -> Self {
        let key = Key::from_bits(data.u64());
        match data.u64() >> 56 {
            1 => Source::Client(key),
            2 => Source::Pidfd(key),
            3 => Source::Out(key),
            4 => Source::Err(key),
            5 => Source::Input(key),
            _ => Source::Listener,
        }
    }
}

/// Who asked for the end, and when patience ends.
#[derive(Debug, Clone, Copy, Default)]
struct Stopping {
    asked: bool,
    kill_at: Option<Instant>,
    /// The first process was sent SIGKILL.
    killed: bool,
    /// Whoever asked starts it again: a `--rm` container stays.
    restarting: bool,
}

/// A keeper with its container running.
struct Keeper {
    epoll: OwnedFd,
    prepared: start::Prepared,
    clients: Slots<Client>,
    processes: Slots<Process>,
    /// The container's first process.
    main: Key,
    log: log::Log,
    journal: journal::Writer,
    stopping: Stopping,
    pause: pause::Pause,
    /// All processes of the container are ours to kill at its end: it has no pid namespace of its own.
    sweep: bool,
    /// What is killed right now, step by step, and when the next step is.
    sweeping: Option<KillAll>,
    sweep_at: Instant,
    /// The first process ended with this code (and whether that is a guess); what it left is being killed.
    ending: Option<(u8, bool)>,
    auto_remove: bool,
    /// What further processes are made of; a keeper that adopted the container has none.
    template: Option<Template>,
    ended: Option<Exit>,
    settled: bool,
    settle_by: Option<Instant>,
    /// Until when an adopted process that ended may be reaped by whoever its parent is.
    reaped_by: Option<Instant>,
    /// When it gives back the memory that the start took, unless the container ends before.
    slim_at: Option<Instant>,
    /// The listener isn't watched: no descriptors are left.
    deaf: bool,
    /// How it is started again after its end, if it is.
    again: Option<Box<again::Again>>,
    /// Its health checks, if it has any.
    checks: Option<Box<checks::Checks>>,
    /// Commands find the database's index as the one before left it. Taken while the command that made this keeper has
    /// the database open.
    _index: Option<IndexKept>,
}

/// The main function of the keeper's process: its caller's socket is the first descriptor that was passed.
pub fn main() -> u8 {
    // Nobody is there to be told of a descriptor that is missing.
    corten_sys::spawn::take_passed(0).map_or(1, keep)
}

/// The same for a keeper that has its caller's socket.
pub fn keep(socket: OwnedFd) -> u8 {
    // Executed through a descriptor, it would be called by the descriptor's number.
    let _ = rustix::thread::set_name(c"corten-keeper");
    match run(socket) {
        Ok(()) => 0,
        // Nobody is there to be told: whoever asked was told over the socket.
        Err(_) => 1,
    }
}

fn run(socket: OwnedFd) -> io::Result<()> {
    let mut stamps = Stamps::default();
    stamps.mark("keeper: main");
    let Some(Request::Prepare(request)) = receive(&socket)? else { return Ok(()) };
    let mut prepared = match start::prepare(request) {
        Ok(prepared) => prepared,
        Err(e) => {
            return answer(&socket, &Reply::Failed(Failure::new(&e, e.kind(), e.exit_code(), e.hint())));
        }
    };
    stamps.mark("keeper: cgroup, socket, pipes");
    crate::steps::reached("keeper.prepared");
    if prepared.request.confirm {
        // A caller that is gone is noticed by the next line.
        let _ = answer(&socket, &Reply::Done);
    }
    match receive(&socket).unwrap_or(None) {
        Some(Request::Start(request)) => {
            stamps.mark("keeper: plan received");
            crate::steps::reached("keeper.received");
            let cell = std::cell::RefCell::new(&mut stamps);
            let stamp = |stage| cell.borrow_mut().mark(stage);
            match start::start(&mut prepared, &request, Some(&socket), &stamp) {
                Ok((process, started)) => begin(prepared, socket, request, process, started, stamps),
                Err(e) => {
                    end::abandon(&prepared);
                    if matches!(e, start::Error::Runtime(corten_runtime::StartError::Withdrawn(_))) {
                        end::remove_directory(&prepared.request);
                    }
                    answer(&socket, &Reply::Failed(Failure::new(&e, e.kind(), e.exit_code(), e.hint())))
                }
            }
        }
        Some(Request::Adopt(request)) => adopt::take_over(prepared, socket, &request),
        _ => {
            end::abandon(&prepared);
            Ok(())
        }
    }
}

/// Names of stages and when each ended.
#[derive(Default)]
struct Stamps(Vec<(String, u64)>);

impl Stamps {
    fn mark(&mut self, stage: &'static str) {
        self.0.push((stage.to_owned(), crate::timings::monotonic_ns()));
    }
}

/// Reads one request from a blocking socket; `None`: the caller hung up or doesn't speak our protocol.
fn receive(socket: &OwnedFd) -> io::Result<Option<Request>> {
    Ok(match protocol::receive_frame(socket)? {
        Some((Some(Kind::Request), payload)) => serde_json::from_slice(&payload).ok(),
        _ => None,
    })
}

fn answer(socket: &OwnedFd, reply: &Reply) -> io::Result<()> {
    let mut frame = Vec::new();
    protocol::push_json(&mut frame, Kind::Reply, reply);
    protocol::send_all(socket.as_fd(), &frame)
}

/// Journals that it runs, tells the caller, and looks after it to the end.
fn begin(
    prepared: start::Prepared,
    socket: OwnedFd,
    request: protocol::Start,
    process: Process,
    started: corten_runtime::Started,
    mut stamps: Stamps,
) -> io::Result<()> {
    stamps.mark("keeper: started");
    crate::steps::reached("keeper.started");
    let (pid, ticks) = (process.pid, process.ticks);
    let watch = request.watch.clone();
    let checked = watch.as_ref().is_some_and(|watch| watch.probe.is_some());
    let sweep = !request.spec.linux.has(corten_runtime::NsKind::Pid);
    let (auto_remove, log, attach) = (request.auto_remove, request.log.clone(), request.attach);
    let template = template(request);
    let options = KeeperOptions { sweep, auto_remove, log, template: Some(template), watch };
    let mut keeper = Keeper::new(prepared, process, options)?;
    let external = serde_json::to_value(&started.external).unwrap_or_default();
    let started_line =
        journal::Event::Started { boot: boot_id(), pid, ticks, external, restarts: 0, checked };
    if let Err(e) = keeper.journal.append(started_line) {
        // What no row will ever tell of must not run. Nobody is served yet.
        let _ = keeper.prepared.cgroup.kill_all();
        end::abandon(&keeper.prepared);
        let e = start::Error::Journal(e);
        return answer(&socket, &Reply::Failed(Failure::new(&e, e.kind(), e.exit_code(), e.hint())));
    }
    crate::steps::reached("keeper.journalled");
    let warnings = keeper.prepared.warnings.drain(..).chain(started.warnings).collect();
    let main = keeper.main;
    let caller = keeper.add_client(socket)?;
    let client = keeper.clients.get_mut(caller).expect("it was just added");
    client.starter = true;
    client.process = Some(main);
    client.streams = attach.unwrap_or_default();
    stamps.mark("keeper: journalled");
    client.push_json(Kind::Reply, &Reply::Started { pid, ticks, warnings, stamps: stamps.0 });
    keeper.flush_client(caller);
    keeper.prepared.note_ids(pid, ticks);
    keeper.prepared.spare.clear();
    keeper.serve()
}

/// What further processes of a container are made of that was started like this.
fn template(plan: protocol::Start) -> Template {
    Template { process: plan.spec.process, term_is_ours: plan.term_is_ours, seccomp: plan.seccomp }
}

/// The boot's id: pids mean nothing in another one.
pub fn boot_id() -> String {
    let id = corten_sys::kernel_file::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim_end().to_owned()
}

/// What a keeper knows about its container beside the process.
struct KeeperOptions {
    sweep: bool,
    auto_remove: bool,
    log: protocol::Logging,
    template: Option<Template>,
    watch: Option<Box<protocol::Watch>>,
}

impl Keeper {
    fn new(mut prepared: start::Prepared, process: Process, options: KeeperOptions) -> io::Result<Keeper> {
        let request = &prepared.request;
        let dir = request.data.join("containers").join(request.id.as_str());
        let journal = match prepared.journal.take() {
            Some(journal) => journal,
            None => start::open_journal(request)?,
        };
        let log = log::Log::new(log::path(&dir, &request.id), options.log);
        let index = IndexKept::keep(&request.data);
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        if let Some(listener) = &prepared.listener {
            epoll::add(&epoll, listener, Source::Listener.data(), EventFlags::IN)?;
        }
        let mut processes = Slots::default();
        let main = processes.insert(process);
        let mut keeper = Keeper {
            epoll,
            prepared,
            clients: Slots::default(),
            processes,
            main,
            log,
            journal,
            stopping: Stopping::default(),
            pause: pause::Pause::default(),
            sweep: options.sweep,
            sweeping: None,
            sweep_at: Instant::now(),
            ending: None,
            auto_remove: options.auto_remove,
            template: options.template,
            ended: None,
            settled: false,
            settle_by: None,
            reaped_by: None,
            slim_at: Some(Instant::now() + SLIM_AFTER),
            deaf: false,
            again: None,
            checks: None,
            _index: index,
        };
        if let Some(watch) = options.watch {
            keeper.watch_over(*watch);
        }
        keeper.watch_process(main)?;
        Ok(keeper)
    }

    /// What it does beside relaying, for those containers that want it.
    fn watch_over(&mut self, watch: protocol::Watch) {
        if watch.restart != corten_model::restart::RestartPolicy::No {
            self.again = Some(Box::new(again::Again::new(&watch)));
        }
        self.checks = watch.probe.map(|probe| Box::new(checks::Checks::new(probe)));
        self.begin_checks();
    }

    fn serve(mut self) -> io::Result<()> {
        while !self.is_over() {
            let mut events =
                [const { epoll::Event { flags: EventFlags::empty(), data: epoll::EventData::new_u64(0) } };
                    EVENTS];
            let timeout = self.timeout().map(|t| rustix::event::Timespec {
                tv_sec: t.as_secs() as i64,
                tv_nsec: t.subsec_nanos().into(),
            });
            let count = match epoll::wait(&self.epoll, &mut events[..], timeout.as_ref()) {
                Ok(count) => count,
                Err(rustix::io::Errno::INTR) => 0,
                Err(e) => return Err(e.into()),
            };
            for event in &events[..count] {
                self.react(Source::from_data(event.data), event.flags);
            }
            self.check_patience();
        }
        self.leave();
        Ok(())
    }

    fn react(&mut self, source: Source, flags: EventFlags) {
        match source {
            Source::Listener => self.accept(),
            Source::Client(key) => {
                if flags.contains(EventFlags::OUT) {
                    self.flush_client(key);
                }
                if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                    self.hear(key, flags);
                }
            }
            Source::Pidfd(key) => self.process_ended(key),
            Source::Out(key) => {
                if flags.contains(EventFlags::OUT) {
                    self.feed(key);
                }
                if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                    self.relay(key, Stream::Stdout);
                }
            }
            Source::Err(key) => self.relay(key, Stream::Stderr),
            Source::Input(key) => self.feed(key),
        }
    }

    fn accept(&mut self) {
        use rustix::io::Errno;
        let flags = rustix::net::SocketFlags::CLOEXEC | rustix::net::SocketFlags::NONBLOCK;
        let Some(listener) = &self.prepared.listener else { return };
        match rustix::net::accept_with(listener, flags) {
            // One too many is closed at once: it sees a hang-up.
            Ok(socket) if self.clients.iter().count() < CLIENTS_MAX => drop(self.add_client(socket)),
            Ok(_) => {}
            Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                // It stays readable: who waits there is taken in when somebody else has left.
                let _ = epoll::delete(&self.epoll, listener);
                self.deaf = true;
            }
            Err(_) => {}
        }
    }

    /// Something was closed: whoever could not be taken in for want of descriptors can be now.
    fn listen_again(&mut self) {
        if let Some(listener) = &self.prepared.listener
            && std::mem::take(&mut self.deaf)
        {
            let _ = epoll::add(&self.epoll, listener, Source::Listener.data(), EventFlags::IN);
        }
    }

    fn add_client(&mut self, socket: OwnedFd) -> io::Result<Key> {
        places::set_nonblocking(&socket)?;
        let key = self.clients.insert(Client::new(socket));
        let client = self.clients.get_mut(key).expect("it was just inserted");
        epoll::add(&self.epoll, client.as_fd(), Source::Client(key).data(), EventFlags::IN)?;
        client.watched = EventFlags::IN;
        Ok(key)
    }

    /// Reads what a client says, as long as it isn't stalled.
    fn hear(&mut self, key: Key, flags: EventFlags) {
        let Some(client) = self.clients.get_mut(key) else { return };
        if client.stalled {
            // It isn't read; but one that hung up would wake us again and again.
            if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
                self.drop_client(key);
            }
            return;
        }
        match client.receive() {
            Incoming::Bytes => self.obey(key),
            Incoming::Nothing => {}
            Incoming::Gone => self.drop_client(key),
        }
    }

    /// Acts on the whole frames that a client sent.
    fn obey(&mut self, key: Key) {
        while let Some(client) = self.clients.get_mut(key)
            && !client.stalled
        {
            match client.next_frame() {
                Ok(Some((kind, payload))) => self.handle(key, kind, &payload),
                Ok(None) => break,
                Err(error) => {
                    if error.kind() == io::ErrorKind::Unsupported {
                        self.refuse_newer(key, error);
                    }
                    return self.drop_client(key);
                }
            }
        }
        self.flush_client(key);
    }

    /// Sends what can be sent and watches for what can't.
    fn flush_client(&mut self, key: Key) {
        let Some(client) = self.clients.get_mut(key) else { return };
        if client.flush().is_err() {
            return self.drop_client(key);
        }
        let mut wanted = EventFlags::empty();
        wanted.set(EventFlags::IN, !client.stalled);
        wanted.set(EventFlags::OUT, client.is_behind());
        if wanted != client.watched {
            client.watched = wanted;
            // The socket is open and registered: nothing can fail but memory, which the next event tries again.
            let _ = epoll::modify(&self.epoll, client.as_fd(), Source::Client(key).data(), wanted);
        }
        self.release_held();
    }

    fn drop_client(&mut self, key: Key) {
        let Some(client) = self.clients.remove(key) else { return };
        let _ = epoll::delete(&self.epoll, client.as_fd());
        self.let_go(key);
        // `run -i` and `exec -i`: input ends with the command that gave it, as Docker's StdinOnce.
        if client.streams.stdin
            && let Some(process) = client.process
            && (client.starter || process != self.main)
        {
            self.end_input(process);
        }
        drop(client);
        self.release_held();
        self.listen_again();
    }

    fn watch(&self, fd: BorrowedFd<'_>, source: Source, flags: EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, source.data(), flags)?)
    }

    /// Whether nothing is left to do.
    fn is_over(&self) -> bool {
        let behind = self.clients.iter().any(Client::is_behind);
        self.ended.is_some() && !behind && self.settling().is_none()
    }

    /// Until when the command that started a `--rm` container may take its row away.
    fn settling(&self) -> Option<Instant> {
        let unsettled = self.auto_remove && !self.settled && self.clients.iter().any(|c| c.starter);
        self.settle_by.filter(|by| unsettled && Instant::now() < *by)
    }

    /// How long to wait for events. What is past is no reason to wake up: an ended container's slow reader may take
    /// hours.
    fn timeout(&self) -> Option<Duration> {
        let stuck = self.clients.iter().filter_map(Client::patience_ends).min();
        let sweep = self.sweeping.is_some().then_some(self.sweep_at);
        let again = self.again.as_ref().and_then(|again| again.at());
        let check = self.checks.as_ref().and_then(|checks| checks.at());
        let all = [
            self.stopping.kill_at,
            self.settling(),
            self.reaped_by,
            self.slim_at,
            stuck,
            sweep,
            again,
            check,
        ];
        let until = all.into_iter().flatten().min()?;
        Some(until.saturating_duration_since(Instant::now()))
    }

    /// Kills what didn't obey in time.
    fn check_patience(&mut self) {
        if self.stopping.kill_at.is_some_and(|at| at <= Instant::now()) {
            self.stopping.kill_at = None;
            if !self.stopping.killed {
                // Its end is on its way already if it can't be sent.
                let _ = self.signal_main(rustix::process::Signal::KILL.as_raw());
            }
            self.kill_everything();
        }
        if self.slim_at.is_some_and(|at| at <= Instant::now()) {
            self.slim_at = None;
            corten_sys::slim::give_back();
        }
        if self.reaped_by.is_some_and(|at| at <= Instant::now()) {
            self.process_ended(self.main);
        }
        if self.sweeping.is_some() && self.sweep_at <= Instant::now() {
            self.sweep_on();
        }
        if self.again.as_ref().and_then(|again| again.at()).is_some_and(|at| at <= Instant::now()) {
            self.start_again();
        }
        if self.checks.is_some() {
            self.check_health();
        }
        let now = Instant::now();
        for key in self.clients.keys() {
            if self.clients.get(key).and_then(Client::patience_ends).is_some_and(|at| at <= now) {
                self.drop_client(key);
            }
        }
    }
}
