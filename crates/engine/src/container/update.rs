//! Changing the limits of a container, also while it runs.

use corten_model::resources::Resources;
use corten_model::restart::RestartPolicy;
use corten_model::signal::Signal;

use super::{devices, reconcile, resolve, start};
use crate::call::{self, Line};
use crate::db::containers::{self, Container};
use crate::db::events;
use crate::error::Doing;
use crate::keeper::protocol::{Reply, Request, Watch};
use crate::{Engine, Error, Result, journal};

/// What of a container is to be another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Its limits.
    pub resources: Resources,
    /// When it is started again.
    pub restart: Option<RestartPolicy>,
}

/// Sets those limits that `changes` names and keeps the others; what was asked for and can't be had is given back.
///
/// The kernel comes first: limits that it refuses are not written down.
pub fn update(engine: &mut Engine, target: &str, changes: &Changes) -> Result<Vec<String>> {
    update_resolved(engine, target, changes).doing("update container", target)
}

fn update_resolved(engine: &mut Engine, target: &str, changes: &Changes) -> Result<Vec<String>> {
    let container = resolve(engine, target)?;
    let gone = || Error::NoSuch { what: "container", name: target.to_owned() };
    let container = reconcile(engine, container)?.ok_or_else(gone)?;
    let restarts = changes.restart.is_some_and(|policy| policy != RestartPolicy::No);
    if restarts && container.config.auto_remove {
        return Err(Error::Conflict { what: "a restart policy", with: "--rm" });
    }
    let wanted = container.config.resources.updated(&changes.resources);
    wanted.validate()?;
    let set = devices::limits(wanted)?;
    let mut warnings = Vec::new();
    if container.state.status.is_alive() {
        if changes.resources != Resources::default() {
            warnings = set_live(engine, &container, set)?;
        }
        if let Some(policy) = changes.restart {
            set_restart(engine, &container, policy)?;
        }
    }
    engine.database()?.write(|transaction| -> Result<()> {
        // Another update may have come between.
        let mut now = containers::by_id(transaction, &container.id)?.ok_or_else(gone)?;
        now.config.resources = now.config.resources.updated(&changes.resources);
        now.config.more.restart = changes.restart.unwrap_or(now.config.more.restart);
        containers::set_config(transaction, &now.id, &now.config)?;
        Ok(events::of_container(transaction, journal::now_ns(), "update", &now, &[])?)
    })?;
    Ok(warnings)
}

/// Has the keeper heed another policy. One that had none to heed gets what a start needs.
fn set_restart(engine: &mut Engine, container: &Container, policy: RestartPolicy) -> Result<()> {
    let watch = start::watch_of(engine, container)?;
    let plan = match policy {
        RestartPolicy::No => None,
        _ => Some(Box::new(start::plan_anew(engine, container)?)),
    };
    let stop_signal = match watch {
        Some(watch) => watch.stop_signal,
        None => container.config.stop_signal.unwrap_or(Signal::TERM).number(),
    };
    let restarts = container.state.restarts;
    let watch = Watch { restart: policy, restarts, stop_signal, probe: None };
    let mut line = match Line::connect(&engine.roots().run, &container.id) {
        Err(call::Error::NotThere) => return Ok(()),
        line => line?,
    };
    match line.ask(&Request::SetRestart { watch, plan }) {
        Ok(_) | Err(call::Error::HungUp) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Has the keeper set the limits of what runs.
fn set_live(engine: &mut Engine, container: &Container, resources: Resources) -> Result<Vec<String>> {
    let mut line = match Line::connect(&engine.roots().run, &container.id) {
        // It ended since we looked: its next start takes the new limits.
        Err(call::Error::NotThere) => return Ok(Vec::new()),
        line => line?,
    };
    match line.ask(&Request::Update { resources }) {
        Ok(Reply::Updated { warnings }) => Ok(warnings),
        Ok(_) => Err(call::Error::Nonsense(None).into()),
        Err(call::Error::HungUp) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}
