//! Ending a container, and waiting for its end.

use std::time::Duration;

use corten_model::ContainerId;
use corten_model::container::ContainerConfig;
use corten_model::image::ImageDefaults;
use corten_model::signal::Signal;
use corten_model::state::Status;

use super::exec::ask_directly;
use super::{reconcile, resolve};
use crate::attach::{Ended, Session};
use crate::call::{self, Line};
use crate::db::containers::{self, Container};
use crate::db::{events, images};
use crate::error::Doing;
use crate::keeper::protocol::Request;
use crate::{Engine, Error, Result, journal};

/// Sends the stop signal, waits, kills every process of the container. A stopped one stays as it is.
/// `signal` and `timeout` (`None` inside: for ever) override the container's own.
pub fn stop(
    engine: &mut Engine,
    target: &str,
    signal: Option<Signal>,
    timeout: Option<Option<Duration>>,
) -> Result<()> {
    stop_resolved(engine, target, signal, timeout).doing("stop container", target)
}

fn stop_resolved(
    engine: &mut Engine,
    target: &str,
    signal: Option<Signal>,
    timeout: Option<Option<Duration>>,
) -> Result<()> {
    let container = resolve(engine, target)?;
    let Some(container) = reconcile(engine, container)? else { return Ok(()) };
    if !container.state.status.is_alive() {
        return Ok(());
    }
    obey(engine, &container, signal, timeout, false)
}

/// Sends a running container the signal that it obeys, waits, kills.
fn obey(
    engine: &mut Engine,
    container: &Container,
    signal: Option<Signal>,
    timeout: Option<Option<Duration>>,
    restarting: bool,
) -> Result<()> {
    let signal = match signal {
        Some(signal) => signal,
        None => stop_signal(engine, container)?,
    };
    let timeout = match timeout {
        Some(timeout) => timeout,
        None => stop_timeout(engine, container)?,
    };
    end(engine, container, signal, timeout, restarting)
}

/// Stops a container if it runs, and starts it. One that removes itself at its end stays for this once.
pub fn restart(
    engine: &mut Engine,
    target: &str,
    signal: Option<Signal>,
    timeout: Option<Option<Duration>>,
) -> Result<Vec<String>> {
    restart_resolved(engine, target, signal, timeout).doing("restart container", target)
}

fn restart_resolved(
    engine: &mut Engine,
    target: &str,
    signal: Option<Signal>,
    timeout: Option<Option<Duration>>,
) -> Result<Vec<String>> {
    let container = resolve(engine, target)?;
    let gone = || Error::NoSuch { what: "container", name: target.to_owned() };
    let container = reconcile(engine, container)?.ok_or_else(gone)?;
    if container.state.status.is_alive() {
        obey(engine, &container, signal, timeout, true)?;
    }
    // By its id: somebody may rename it meanwhile.
    let started = super::start(engine, container.id.as_str(), None)?;
    engine.database()?.write(|transaction| -> Result<()> {
        Ok(events::of_container(transaction, journal::now_ns(), "restart", &container, &[])?)
    })?;
    Ok(started.warnings)
}

/// What the container obeys.
fn stop_signal(engine: &mut Engine, container: &Container) -> Result<Signal> {
    if let Some(signal) = container.config.stop_signal {
        return Ok(signal);
    }
    let image = images::by_id(engine.database()?.read(), &container.image_id)?;
    Ok(signal_of(&container.config, &image.map(|image| image.config.config).unwrap_or_default()))
}

/// Its own setting, the image's, SIGTERM.
pub(super) fn signal_of(config: &ContainerConfig, image: &ImageDefaults) -> Signal {
    let images = || image.stop_signal.as_ref().and_then(|text| text.parse().ok());
    config.stop_signal.or_else(images).unwrap_or(Signal::TERM)
}

/// Its own, else the configured one; `None`: for ever.
fn stop_timeout(engine: &Engine, container: &Container) -> Result<Option<Duration>> {
    let seconds = match container.config.stop_timeout_s {
        Some(seconds) => seconds,
        None => engine.config()?.container.stop_timeout_s,
    };
    Ok(u64::try_from(seconds).ok().map(Duration::from_secs))
}

/// Ends a running container and waits until it has ended; its row tells it afterwards.
pub(super) fn end(
    engine: &mut Engine,
    container: &Container,
    signal: Signal,
    timeout: Option<Duration>,
    restarting: bool,
) -> Result<()> {
    let timeout_ms = timeout.map(|t| u64::try_from(t.as_millis()).unwrap_or(u64::MAX));
    let request = Request::Stop { signal: signal.number(), timeout_ms, restarting };
    if let Some(mut session) = subscribe(engine, &container.id, &request)? {
        session.wait()?;
    }
    settle(engine, container).map(drop)
}

/// Kills what a keeper looks after, and waits; its row isn't looked at.
pub(super) fn kill_and_wait(engine: &mut Engine, id: &ContainerId) -> Result<()> {
    let request = Request::Stop { signal: Signal::KILL.number(), timeout_ms: None, restarting: false };
    if let Some(mut session) = subscribe(engine, id, &request)? {
        session.wait()?;
    }
    Ok(())
}

/// Begins to kill all of these that run, without waiting: whoever then ends one after the other waits for the slowest,
/// not for the sum. What is wrong with one is told when its turn comes.
pub fn begin_kill(engine: &mut Engine, targets: &[String]) -> Result<()> {
    let run = engine.roots().run.clone();
    let request = Request::Stop { signal: Signal::KILL.number(), timeout_ms: None, restarting: false };
    for target in targets {
        let Ok(container) = resolve(engine, target) else { continue };
        if container.state.status.is_alive()
            && let Ok(line) = Line::connect(&run, &container.id)
        {
            let _ = line.say(&request);
        }
    }
    Ok(())
}

/// Asks the keeper for something that subscribes to the end. `None`: it has ended.
fn subscribe(engine: &mut Engine, id: &ContainerId, request: &Request) -> Result<Option<Session>> {
    let run = engine.roots().run.clone();
    let mut line = match Line::connect(&run, id) {
        Err(call::Error::NotThere) => return Ok(None),
        other => other?,
    };
    match line.ask(request) {
        Ok(_) => Ok(Some(line.into_session(&run, id))),
        // It ended between our look and our word.
        Err(call::Error::HungUp) => Ok(None),
        Err(error) if error.kind() == corten_model::Kind::Conflict => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Folds what the keeper journalled about the end. `None`: the row is gone.
fn settle(engine: &mut Engine, container: &Container) -> Result<Option<Container>> {
    if let Some(volumes) = engine.fold(&container.id)? {
        super::remove_bytes(engine, &container.id, &volumes)?;
        return Ok(None);
    }
    let container = containers::by_id(engine.database()?.read(), &container.id)?;
    container.map(|c| reconcile(engine, c)).transpose().map(Option::flatten)
}

/// Sends a signal to the first process.
pub fn kill(engine: &mut Engine, target: &str, signal: Signal) -> Result<()> {
    kill_resolved(engine, target, signal).doing("kill container", target)
}

fn kill_resolved(engine: &mut Engine, target: &str, signal: Signal) -> Result<()> {
    let request = Request::Kill { signal: signal.number() };
    if signal != Signal::KILL && ask_directly(engine, target, &request)?.is_some() {
        return Ok(());
    }
    let container = resolve(engine, target)?;
    let not_running = || Error::State { name: target.to_owned(), state: "not running" };
    let container =
        reconcile(engine, container)?.filter(|c| c.state.status.is_alive()).ok_or_else(not_running)?;
    if signal == Signal::KILL {
        // As Docker: when `kill` returns, a container that was killed has ended.
        return end(engine, &container, signal, None, false);
    }
    let run = engine.roots().run.clone();
    let mut line = match Line::connect(&run, &container.id) {
        Err(call::Error::NotThere) => return Err(not_running()),
        other => other?,
    };
    line.ask(&request)?;
    Ok(())
}

/// Waits for the end and gives the exit code; returns at once if it isn't running.
pub fn wait(engine: &mut Engine, target: &str) -> Result<u8> {
    if let Ok(Some((id, line, _))) = ask_directly(engine, target, &Request::Wait)
        && let Ended::Exited(exit) = line.into_session(&engine.roots().run, &id).wait()?
    {
        return Ok(exit.code);
    }
    let container = resolve(engine, target)?;
    let gone = || Error::NoSuch { what: "container", name: target.to_owned() };
    let container = reconcile(engine, container)?.ok_or_else(gone)?;
    if container.state.status.is_alive()
        && let Some(mut session) = subscribe(engine, &container.id, &Request::Wait)?
        && let Ended::Exited(exit) = session.wait()?
    {
        return Ok(exit.code);
    }
    let container = settle(engine, &container)?.ok_or_else(gone)?;
    if container.state.status == Status::Created {
        return Ok(0);
    }
    Ok(container.state.exit.map_or(0, |e| e.code))
}
