//! Removing containers.

use std::fs::File;

use corten_model::ContainerId;
use corten_model::signal::Signal;

use super::{RemoveOptions, reconcile, resolve, stop};
use crate::attach::Session;
use crate::db::containers::Container;
use crate::db::volumes::Volume;
use crate::error::{Doing, OnFile};
use crate::keeper::places;
use crate::keeper::protocol::{self, Kind, Request};
use crate::{Engine, Error, Result, fold};

/// How often a container that others start again and again is killed to remove it.
const LOCK_TRIES: u32 = 3;

/// Removes a container.
pub fn remove(engine: &mut Engine, target: &str, options: RemoveOptions) -> Result<()> {
    remove_resolved(engine, target, options).doing("remove container", target)
}

fn remove_resolved(engine: &mut Engine, target: &str, options: RemoveOptions) -> Result<()> {
    let container = resolve(engine, target)?;
    let Some(container) = reconcile::reconcile(engine, container)? else { return Ok(()) };
    if container.state.status.is_alive() {
        if !options.force {
            return Err(Error::State { name: target.to_owned(), state: "running" });
        }
        stop::end(engine, &container, Signal::KILL, None)?;
    }
    let id = container.id.clone();
    if crate::db::containers::by_id(engine.database()?.read(), &id)?.is_none() {
        return Ok(());
    }
    let _lock = lock(engine, &container, target, options.force)?;
    let gone = match engine.fold(&id)? {
        Some(volumes) => Some(volumes),
        None => engine.database()?.write(|transaction| -> Result<Option<Vec<Volume>>> {
            // Somebody may have removed it since we looked; or its keeper was killed, and it runs.
            match crate::db::containers::by_id(transaction, &id)? {
                None => Ok(None),
                Some(now) if now.state.status.is_alive() => {
                    Err(Error::State { name: target.to_owned(), state: "running" })
                }
                Some(now) => fold::remove_rows(transaction, &now, options.volumes).map(Some),
            }
        })?,
    };
    places::remove(&engine.roots().run, &id);
    gone.map_or(Ok(()), |volumes| remove_bytes(engine, &id, &volumes))
}

/// The container's lock: while we hold it, nobody starts what we remove. A keeper that is tearing down is waited for.
fn lock(engine: &mut Engine, container: &Container, target: &str, force: bool) -> Result<File> {
    let run = engine.roots().run.clone();
    let dir = places::directory(&run, &container.id);
    for _ in 0..LOCK_TRIES {
        if let Some(lock) = places::lock(&run, &container.id).on("take the lock of", &dir)? {
            return Ok(lock);
        }
        // Somebody started it since we looked.
        if !force {
            break;
        }
        stop::end(engine, container, Signal::KILL, None)?;
    }
    Err(Error::State { name: target.to_owned(), state: "running" })
}

/// Removes the bytes of a container whose row is gone, and of its volumes that went along.
pub(crate) fn remove_bytes(engine: &mut Engine, id: &ContainerId, volumes: &[Volume]) -> Result<()> {
    let dir = engine.store().container_dir(id);
    crate::journal::unmark(&crate::journal::Places::new(&dir, &engine.roots().run, id));
    reconcile::clean_up_if_left(engine, id)?;
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
        // What the keeper was still to be sent ends first, or it would take our word for a part of that.
        let mut frame = session.unsent().to_vec();
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
