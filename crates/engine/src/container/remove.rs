//! Removing containers.

use std::fs::File;

use corten_model::ContainerId;
use corten_model::signal::Signal;
use corten_storage::tree::Hands;

use super::{RemoveOptions, reconcile, resolve, stop};
use crate::attach::Session;
use crate::db::volumes::{self, Volume};
use crate::db::{broken, tags};
use crate::error::{Doing, OnFile};
use crate::keeper::places;
use crate::keeper::protocol::{self, Kind, Request};
use crate::{Engine, Error, Result, fold};

/// How often a container that others start again and again is killed to remove it.
const LOCK_TRIES: u32 = 3;

/// Removes a container.
pub fn remove(engine: &mut Engine, target: &str, options: RemoveOptions) -> Result<()> {
    let removed = match remove_resolved(engine, target, options) {
        Err(error) if options.force && error.is_broken() => remove_broken(engine, target, options),
        other => other,
    };
    removed.doing("remove container", target)
}

fn remove_resolved(engine: &mut Engine, target: &str, options: RemoveOptions) -> Result<()> {
    let container = resolve(engine, target)?;
    let Some(container) = reconcile::reconcile(engine, container)? else { return Ok(()) };
    if container.state.status.is_alive() {
        if !options.force {
            return Err(Error::State { name: target.to_owned(), state: "running" });
        }
        stop::end(engine, &container, Signal::KILL, None, false)?;
    }
    let id = container.id.clone();
    if crate::db::containers::by_id(engine.database()?.read(), &id)?.is_none() {
        return Ok(());
    }
    let _lock = lock(engine, &id, target, options.force)?;
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
    if tags::of_image(engine.database()?.read(), &container.image_id)?.is_empty() {
        engine.note_garbage();
    }
    gone.map_or(Ok(()), |volumes| remove_bytes(engine, &id, &volumes))
}

/// Removes a container whose row or journal can't be read: what runs is killed, and nothing of it is asked.
fn remove_broken(engine: &mut Engine, target: &str, options: RemoveOptions) -> Result<()> {
    let found = broken::find(engine.database()?.read(), target)?;
    let found = found.ok_or_else(|| Error::NoSuch { what: "container", name: target.to_owned() })?;
    let Some(id) = found.id else {
        return Ok(engine.database()?.write(|transaction| broken::remove(transaction, found.seq))?);
    };
    let _lock = lock(engine, &id, target, true)?;
    if places::directory(&engine.roots().run, &id).exists() {
        reconcile::clean_up(engine, &id)?;
    }
    let gone = engine.database()?.write(|transaction| -> Result<Vec<Volume>> {
        let volumes = volumes::of_container(transaction, &id)?.into_iter().map(|(volume, _)| volume);
        let orphans = volumes.filter(|v| options.volumes && v.anonymous).collect::<Vec<_>>();
        broken::remove(transaction, found.seq)?;
        fold::remove_unused(transaction, orphans)
    })?;
    places::remove(&engine.roots().run, &id);
    remove_bytes(engine, &id, &gone)
}

/// The container's lock: while we hold it, nobody starts what we remove. A keeper that is tearing down is waited for.
fn lock(engine: &mut Engine, id: &ContainerId, target: &str, force: bool) -> Result<File> {
    let run = engine.roots().run.clone();
    let dir = places::directory(&run, id);
    for _ in 0..LOCK_TRIES {
        if let Some(lock) = places::lock(&run, id).on("take the lock of", &dir)? {
            return Ok(lock);
        }
        // Somebody started it since we looked.
        if !force {
            break;
        }
        stop::kill_and_wait(engine, id)?;
    }
    Err(Error::State { name: target.to_owned(), state: "running" })
}

/// Removes the bytes of a container whose row is gone, and of its volumes that went along.
pub(crate) fn remove_bytes(engine: &mut Engine, id: &ContainerId, volumes: &[Volume]) -> Result<()> {
    let dir = engine.store().container_dir(id);
    crate::journal::unmark(&crate::journal::Places::new(&dir, &engine.roots().run, id));
    reconcile::clean_up_if_left(engine, id)?;
    crate::inside::remove_trees(engine.is_rootless(), &[dir], Hands::Many)?;
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
