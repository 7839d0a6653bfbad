//! Bringing a row to what the kernel has: who runs, who ended, whose keeper is gone.

use std::fs::File;
use std::path::Path;

use corten_model::health::HealthStatus;
use corten_model::state::{Exit, Status};
use corten_model::{ContainerId, Kind};

use crate::call::{self, Line};
use crate::db::containers::{self, Container};
use crate::db::{events, sandboxes};
use crate::error::OnFile;
use crate::keeper::protocol::{Adopt, Prepare, Request};
use crate::keeper::{self, places};
use crate::{Engine, Result, journal};

/// How often a container's keeper may vanish while somebody tries to give it a new one.
const ADOPT_TRIES: u32 = 3;

/// The row as it is now; `None` if it went (`--rm`).
///
/// A container whose keeper was killed while its first process lives gets a new keeper. Whatever is put right is put
/// right under the container's lock: nobody starts, removes or adopts it meanwhile.
pub fn reconcile(engine: &mut Engine, mut container: Container) -> Result<Option<Container>> {
    let run = engine.roots().run.clone();
    engine.database()?;
    if engine.unfolded(&container.id).is_some() {
        // The row is older than what its keeper knows: nothing is decided by it.
        engine.fold(&container.id)?;
    }
    for _ in 0..ADOPT_TRIES {
        let alive = container.state.status.is_alive();
        if places::is_locked(&run, &container.id)
            || !alive && !places::directory(&run, &container.id).exists()
        {
            return Ok(Some(container));
        }
        let Some(lock) = take_lock(&run, &container)? else { return Ok(Some(container)) };
        // Somebody may have been here before the lock was ours.
        let Some(now) = refresh(engine, &container)? else {
            places::remove(&run, &container.id);
            return Ok(None);
        };
        container = now;
        if !container.state.status.is_alive() {
            // Its keeper was killed before it could journal the start, or before its teardown: what it left goes.
            clean_up(engine, &container.id)?;
            return Ok(Some(container));
        }
        let Some(process) = find_process(&container) else { return record_unseen_end(engine, container) };
        // The new keeper takes it.
        drop(lock);
        match adopt(engine, &container)? {
            Adopted::ByUs(_) if process == Found::Runs => return Ok(Some(container)),
            // Its end is known in a moment: what is told now would be wrong then.
            Adopted::ByUs(line) => return wait_for_end(engine, line, container),
            Adopted::ByAnother => return Ok(Some(container)),
            Adopted::Vanished => {}
        }
    }
    Ok(Some(container))
}

/// The lock of a container that seems to have no keeper. `None`: it has one now, or is being started.
fn take_lock(run: &Path, container: &Container) -> Result<Option<File>> {
    let dir = places::directory(run, &container.id);
    if container.state.status.is_alive() {
        return places::lock(run, &container.id).on("take the lock of", &dir);
    }
    match places::try_lock(run, &container.id).on("take the lock of", &dir)? {
        places::Attempt::Locked(lock) => Ok(Some(lock)),
        places::Attempt::Held | places::Attempt::Gone => Ok(None),
    }
}

/// The row with what its keeper journalled. `None`: it is gone.
fn refresh(engine: &mut Engine, container: &Container) -> Result<Option<Container>> {
    if let Some(volumes) = engine.fold(&container.id)? {
        super::remove_bytes(engine, &container.id, &volumes)?;
        return Ok(None);
    }
    Ok(containers::by_id(engine.database()?.read(), &container.id)?)
}

fn wait_for_end(engine: &mut Engine, mut line: Line, container: Container) -> Result<Option<Container>> {
    if line.ask(&Request::Wait).is_ok() {
        line.into_session(&engine.roots().run.clone(), &container.id).wait()?;
    }
    refresh(engine, &container)
}

/// The row's process as the kernel has it.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Runs,
    /// It ended, and its parent hasn't taken its exit code yet.
    Zombie,
}

/// The process that the row names, if it is the one that was started: the same boot, pid and start time.
fn find_process(container: &Container) -> Option<Found> {
    let state = &container.state;
    let (pid, ticks) = (state.pid?, state.pid_start_ticks?);
    if state.boot_id.as_deref() != Some(&keeper::boot_id()) {
        return None;
    }
    keeper::open_process(pid, ticks).ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The state stands after the name, which may hold anything.
    let state = stat.rsplit_once(')')?.1.trim_start();
    Some(if state.starts_with(['Z', 'X']) { Found::Zombie } else { Found::Runs })
}

/// What came of giving a container a new keeper.
enum Adopted {
    ByUs(Line),
    /// Another command did the same at the same time.
    ByAnother,
    /// Its process is gone.
    Vanished,
}

/// Starts a keeper for a container that runs without one.
fn adopt(engine: &mut Engine, container: &Container) -> Result<Adopted> {
    let log = super::start::logging_of(engine, container)?;
    let watch = super::start::watch_of(engine, container)?;
    let roots = engine.roots();
    let mut line = Line::spawn()?;
    line.say(&Request::Prepare(Prepare {
        id: container.id.clone(),
        data: roots.data.clone(),
        run: roots.run.clone(),
        rootless: engine.is_rootless(),
        resources: container.config.resources.clone(),
        devices: Vec::new(),
        cgroup_parent: Vec::new(),
        adopt: true,
        confirm: false,
    }))?;
    let reply = line.ask(&Request::Adopt(Adopt {
        pid: container.state.pid.unwrap_or_default(),
        ticks: container.state.pid_start_ticks.unwrap_or_default(),
        terminal: container.config.tty,
        paused: container.state.status == Status::Paused,
        auto_remove: container.config.auto_remove,
        log,
        watch,
        name: Some(container.name.clone()),
    }));
    match reply {
        Ok(_) => Ok(Adopted::ByUs(line)),
        Err(call::Error::HungUp) => Ok(Adopted::Vanished),
        Err(error) if error.kind() == Kind::Conflict => Ok(Adopted::ByAnother),
        Err(error) => Err(error.into()),
    }
}

/// Nobody saw the end (the machine stopped, or keeper and process were killed): the exit code is unknown.
fn record_unseen_end(engine: &mut Engine, container: Container) -> Result<Option<Container>> {
    clean_up(engine, &container.id)?;
    let mut container = container;
    let waited = container.state.status == Status::Restarting;
    let state = &mut container.state;
    state.status = Status::Exited;
    state.pid = None;
    state.pid_start_ticks = None;
    if waited {
        // Its end was seen and told.
        state.error = Some("its keeper was gone before it was to be started again".into());
    } else {
        state.exit = Some(Exit { code: keeper::UNKNOWN_EXIT, oom_killed: false });
        state.error = Some("it ended while no keeper looked after it: its exit code is unknown".into());
        state.finished_ns = Some(journal::now_ns());
    }
    if let Some(health) = &mut state.health {
        health.status = HealthStatus::Unhealthy;
    }
    let now = journal::now_ns();
    let auto_remove = container.config.auto_remove;
    let gone = engine.database()?.write(|transaction| -> Result<_> {
        if !waited {
            let code = ("exitCode", keeper::UNKNOWN_EXIT.to_string());
            events::of_container(transaction, now, "die", &container, &[code])?;
        }
        if auto_remove {
            return crate::fold::remove_rows(transaction, &container, true);
        }
        containers::set_state(transaction, &container.id, &container.state, container.journal_offset)?;
        sandboxes::release_range(transaction, &container.sandbox)?;
        Ok(Vec::new())
    })?;
    if auto_remove {
        super::remove_bytes(engine, &container.id, &gone)?;
        return Ok(None);
    }
    Ok(Some(container))
}

/// What a killed keeper left of a container that doesn't run: its cgroup, its run directory. The lock's holder calls this.
pub fn clean_up(engine: &Engine, id: &ContainerId) -> Result<()> {
    let run = &engine.roots().run;
    let cgroups = keeper::cgroup_host(run, id)?;
    if let Ok(cgroup) = cgroups.open(&keeper::cgroup_path(run, id)) {
        // Processes of an exec may have outlived the first one if that shared the host's pid namespace.
        cgroup.kill_all()?;
        cgroup.remove()?;
    }
    keeper::names::remove_all_of(run, id);
    places::remove(run, id);
    Ok(())
}

/// What a killed keeper left of a container whose row is gone. One that is still at it sees to it itself.
pub fn clean_up_if_left(engine: &Engine, id: &ContainerId) -> Result<()> {
    let dir = places::directory(&engine.roots().run, id);
    if !dir.exists() {
        return Ok(());
    }
    match places::try_lock(&engine.roots().run, id).on("take the lock of", &dir)? {
        places::Attempt::Locked(_lock) => clean_up(engine, id),
        places::Attempt::Held | places::Attempt::Gone => Ok(()),
    }
}
