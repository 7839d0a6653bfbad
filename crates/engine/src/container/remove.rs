//! Removing containers.

use corten_model::ContainerId;
use corten_model::signal::Signal;

use super::{RemoveOptions, reconcile, resolve, stop};
use crate::attach::Session;
use crate::db::volumes::Volume;
use crate::error::Doing;
use crate::keeper::protocol::{self, Kind, Request};
use crate::{Engine, Error, Result, fold};

/// Removes a container.
pub fn remove(engine: &mut Engine, target: &str, options: RemoveOptions) -> Result<()> {
    remove_resolved(engine, target, options).doing("remove container", target)
}

fn remove_resolved(engine: &mut Engine, target: &str, options: RemoveOptions) -> Result<()> {
    let container = resolve(engine, target)?;
    let Some(container) = reconcile(engine, container)? else { return Ok(()) };
    if container.state.status.is_alive() {
        if !options.force {
            return Err(Error::State { name: target.to_owned(), state: "running" });
        }
        stop::end(engine, &container, Signal::KILL, None)?;
    }
    let id = container.id.clone();
    let gone = engine.database()?.write(|transaction| -> Result<Option<Vec<Volume>>> {
        // Somebody may have started it again, or removed it, since we looked.
        match crate::db::containers::by_id(transaction, &id)? {
            None => Ok(None),
            Some(now) if now.state.status.is_alive() => {
                Err(Error::State { name: target.to_owned(), state: "running" })
            }
            Some(now) => fold::remove_rows(transaction, &now, options.volumes).map(Some),
        }
    })?;
    match gone {
        Some(volumes) => remove_bytes(engine, &id, &volumes),
        None => Ok(()),
    }
}

/// Removes the bytes of a container whose row is gone, and of its volumes that went along.
pub(crate) fn remove_bytes(engine: &mut Engine, id: &ContainerId, volumes: &[Volume]) -> Result<()> {
    let dir = engine.store().container_dir(id);
    crate::journal::unmark(&crate::journal::Places::new(&dir, &engine.roots().run, id));
    crate::inside::remove_trees(engine.is_rootless(), &[dir])?;
    crate::volume::remove_data(engine, volumes.iter())
}

/// After a session ended with an exit: what is left to do before the exit code is reported. The row of a `--rm`
/// container goes; its keeper, which is told, removes the bytes when nobody waits any more.
pub fn finish(engine: &mut Engine, id: &ContainerId, session: Session) -> Result<()> {
    if !session.settles {
        return Ok(());
    }
    if let Some(volumes) = engine.fold(id)? {
        let mut frame = Vec::new();
        protocol::push_json(&mut frame, Kind::Request, &Request::Settled);
        let told = protocol::send_all(session.socket(), &frame).is_ok();
        // A keeper that is gone removes nothing, and it never removes volumes.
        if !told || !volumes.is_empty() {
            remove_bytes(engine, id, &volumes)?;
        }
    }
    crate::steps::reached("cli.removed");
    Ok(())
}
