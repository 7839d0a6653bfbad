//! Journals become rows: what keepers learned, folded into the database by whoever opens it.

use std::collections::BTreeMap;

use corten_model::ContainerId;
use corten_model::state::{Exit, Status};
use corten_storage::Store;

use crate::db::containers::{self, Container, State};
use crate::db::{Database, events, sandboxes, volumes};
use crate::error::OnFile;
use crate::journal::{self, Event, Line};
use crate::{Result, Roots};

/// What is to be done to the row.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Keep,
    /// `--rm`, and it ended.
    Remove,
}

/// Folds one container's journal: state and events in one transaction.
///
/// `None`: the row is there. `Some`: it is gone, with the volumes that went along; their bytes are the caller's to remove.
pub fn fold(
    database: &mut Database,
    store: &Store,
    roots: &Roots,
    id: &ContainerId,
) -> Result<Option<Vec<volumes::Volume>>> {
    let places = journal::Places::new(&store.container_dir(id), &roots.run, id);
    loop {
        let folded = fold_once(database, &places, id)?;
        // The mark goes after the commit, or a command that comes between would believe the old row. A line that was
        // journalled before it went, and after the reading, is seen here; a later one leaves a new mark.
        journal::unmark(&places);
        match folded {
            Folded::Gone(orphans) => return Ok(Some(orphans)),
            Folded::UpTo(offset) if journal::is_longer(&places, offset) => {}
            Folded::UpTo(_) => return Ok(None),
        }
    }
}

/// What a fold left.
enum Folded {
    /// The row is there; the journal is folded up to this byte.
    UpTo(u64),
    /// The row is gone, with these volumes.
    Gone(Vec<volumes::Volume>),
}

fn fold_once(database: &mut Database, places: &journal::Places, id: &ContainerId) -> Result<Folded> {
    database.write(|transaction| -> Result<Folded> {
        let Some(container) = containers::by_id(transaction, id)? else { return Ok(Folded::Gone(Vec::new())) };
        let read = journal::read(places, container.journal_offset);
        let (lines, offset) = read.on("read the journal of container", std::path::Path::new(id.as_str()))?;
        if lines.is_empty() {
            return Ok(Folded::UpTo(offset));
        }
        let mut state = container.state.clone();
        let mut outcome = Outcome::Keep;
        for line in &lines {
            outcome = apply(&mut state, line, container.config.auto_remove);
            record(transaction, &container, line)?;
        }
        if outcome == Outcome::Remove {
            return Ok(Folded::Gone(remove_rows(transaction, &container, true)?));
        }
        containers::set_state(transaction, id, &state, offset)?;
        if !state.status.is_alive() {
            sandboxes::release_range(transaction, &container.sandbox)?;
        }
        Ok(Folded::UpTo(offset))
    })
}

/// What a line does to the state: pure.
fn apply(state: &mut State, line: &Line, auto_remove: bool) -> Outcome {
    match &line.event {
        Event::Started { boot, pid, ticks, .. } => {
            *state = State {
                status: Status::Running,
                boot_id: Some(boot.clone()),
                pid: Some(*pid),
                pid_start_ticks: Some(*ticks),
                started_ns: Some(line.time_ns),
                ..State::created()
            };
            Outcome::Keep
        }
        Event::Exited { code, oom, stopped_by, unknown } => {
            state.status = Status::Exited;
            state.pid = None;
            state.pid_start_ticks = None;
            state.exit = Some(Exit { code: *code, oom_killed: *oom });
            state.stopped_by = stopped_by.clone();
            state.error = unknown.clone();
            state.finished_ns = Some(line.time_ns);
            if auto_remove { Outcome::Remove } else { Outcome::Keep }
        }
        Event::ExecStarted { .. } | Event::ExecExited { .. } => Outcome::Keep,
    }
}

/// The events and the rows beside the container's own that a line brings.
fn record(connection: &rusqlite::Connection, container: &Container, line: &Line) -> Result<()> {
    let mut attributes = BTreeMap::from([("name", container.name.to_string()), ("image", container.image.clone())]);
    let action = match &line.event {
        Event::Started { external, .. } => {
            containers::set_external(connection, &container.id, &external.to_string())?;
            "start"
        }
        Event::Exited { code, .. } => {
            attributes.insert("exitCode", code.to_string());
            "die"
        }
        Event::ExecStarted { exec, command } => {
            containers::insert_exec(connection, exec, &container.id, command, line.time_ns)?;
            attributes.insert("execID", exec.to_string());
            "exec_start"
        }
        Event::ExecExited { exec, code } => {
            containers::finish_exec(connection, exec, *code)?;
            attributes.insert("execID", exec.to_string());
            attributes.insert("exitCode", code.to_string());
            "exec_die"
        }
    };
    Ok(events::record(connection, line.time_ns, "container", action, container.id.as_str(), &attributes)?)
}

/// Removes a container's row, its sandbox if it was the last in it, and on demand its anonymous volumes' rows.
/// Gives back the volumes that are gone.
pub fn remove_rows(
    connection: &rusqlite::Connection,
    container: &Container,
    with_volumes: bool,
) -> Result<Vec<volumes::Volume>> {
    let mut orphans = Vec::new();
    for (volume, _) in volumes::of_container(connection, &container.id)? {
        if with_volumes && volume.anonymous {
            orphans.push(volume);
        }
    }
    containers::remove(connection, &container.id)?;
    sandboxes::remove_if_empty(connection, &container.sandbox)?;
    let mut gone = Vec::new();
    for volume in orphans {
        if volumes::users(connection, &volume.id)?.is_empty() {
            volumes::remove(connection, &volume.id)?;
            gone.push(volume);
        }
    }
    let attributes = BTreeMap::from([("name", container.name.to_string()), ("image", container.image.clone())]);
    events::record(connection, journal::now_ns(), "container", "destroy", container.id.as_str(), &attributes)?;
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(event: Event) -> Line {
        Line { time_ns: 5, event }
    }

    #[test]
    fn a_start_clears_what_an_exit_left() {
        let mut state = State::created();
        let started = line(Event::Started { boot: "b".into(), pid: 7, ticks: 8, external: Default::default() });
        let exited = line(Event::Exited { code: 137, oom: true, stopped_by: Some("user".into()), unknown: None });
        assert_eq!(apply(&mut state, &started, true), Outcome::Keep);
        assert_eq!((state.status, state.pid, state.started_ns), (Status::Running, Some(7), Some(5)));
        assert_eq!(apply(&mut state, &exited, false), Outcome::Keep);
        assert_eq!((state.status, state.pid), (Status::Exited, None));
        assert_eq!(state.exit, Some(Exit { code: 137, oom_killed: true }));
        assert_eq!(apply(&mut state, &started, false), Outcome::Keep);
        assert_eq!((state.exit, state.stopped_by.clone(), state.finished_ns), (None, None, None));
        assert_eq!(apply(&mut state, &exited, true), Outcome::Remove);
    }
}
