//! Changing the limits of a container, also while it runs.

use corten_model::resources::Resources;

use super::{devices, reconcile, resolve};
use crate::call::{self, Line};
use crate::db::containers::{self, Container};
use crate::db::events;
use crate::error::Doing;
use crate::keeper::protocol::{Reply, Request};
use crate::{Engine, Error, Result, journal};

/// Sets those limits that `changes` names and keeps the others; what was asked for and can't be had is given back.
///
/// The kernel comes first: limits that it refuses are not written down.
pub fn update(engine: &mut Engine, target: &str, changes: &Resources) -> Result<Vec<String>> {
    update_resolved(engine, target, changes).doing("update container", target)
}

fn update_resolved(engine: &mut Engine, target: &str, changes: &Resources) -> Result<Vec<String>> {
    let container = resolve(engine, target)?;
    let gone = || Error::NoSuch { what: "container", name: target.to_owned() };
    let container = reconcile(engine, container)?.ok_or_else(gone)?;
    let wanted = container.config.resources.updated(changes);
    wanted.validate()?;
    let set = devices::limits(wanted)?;
    let mut warnings = Vec::new();
    if container.state.status.is_alive() {
        warnings = set_live(engine, &container, set)?;
    }
    engine.database()?.write(|transaction| -> Result<()> {
        // Another update may have come between.
        let mut now = containers::by_id(transaction, &container.id)?.ok_or_else(gone)?;
        now.config.resources = now.config.resources.updated(changes);
        containers::set_config(transaction, &now.id, &now.config)?;
        Ok(events::of_container(transaction, journal::now_ns(), "update", &now, &[])?)
    })?;
    Ok(warnings)
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
