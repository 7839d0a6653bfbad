//! Journals become rows: what keepers learned, folded into the database by whoever opens it.

use corten_model::ContainerId;
use corten_model::health::Health;
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
        let (folded, read) = fold_once(database, &places, id)?;
        journal::punch_out(&places, read);
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

/// Folds what is there now; the second value is which bytes of the journal that was.
fn fold_once(
    database: &mut Database,
    places: &journal::Places,
    id: &ContainerId,
) -> Result<(Folded, std::ops::Range<u64>)> {
    database.write(|transaction| {
        let Some(container) = containers::by_id(transaction, id)? else {
            return Ok((Folded::Gone(Vec::new()), 0..0));
        };
        let read = journal::read(places, container.journal_offset);
        let (lines, offset) = read.on("read the journal of container", std::path::Path::new(id.as_str()))?;
        let folded = container.journal_offset.min(offset)..offset;
        if lines.is_empty() {
            if offset != container.journal_offset {
                containers::set_journal_offset(transaction, id, offset)?;
            }
            return Ok((Folded::UpTo(offset), folded));
        }
        let mut state = container.state.clone();
        let mut outcome = Outcome::Keep;
        for line in &lines {
            outcome = apply(&mut state, line, container.config.auto_remove);
        }
        for line in &lines {
            record(transaction, &container, line, &outcome)?;
        }
        if outcome == Outcome::Remove {
            return Ok((Folded::Gone(remove_rows(transaction, &container, true)?), 0..0));
        }
        containers::set_state(transaction, id, &state, offset)?;
        if !state.status.is_alive() {
            sandboxes::release_range(transaction, &container.sandbox)?;
        }
        Ok((Folded::UpTo(offset), folded))
    })
}

/// What a line does to the state: pure.
fn apply(state: &mut State, line: &Line, auto_remove: bool) -> Outcome {
    match &line.event {
        Event::Started { boot, pid, ticks, restarts, checked, .. } => {
            // The log of checks stays from start to start.
            let health = checked.then(|| Health { log: logged(state), ..Health::starting() });
            *state = State {
                status: Status::Running,
                boot_id: Some(boot.clone()),
                pid: Some(*pid),
                pid_start_ticks: Some(*ticks),
                started_ns: Some(line.time_ns),
                restarts: *restarts,
                health: health.map(Box::new),
                ..State::created()
            };
            Outcome::Keep
        }
        Event::Exited { code, oom, stopped_by, unknown, restarting, again, health } => {
            state.status = if again.is_some() { Status::Restarting } else { Status::Exited };
            state.restarts = again.unwrap_or(state.restarts);
            state.health = health.clone();
            state.pid = None;
            state.pid_start_ticks = None;
            state.exit = Some(Exit { code: *code, oom_killed: *oom });
            state.stopped_by = stopped_by.clone();
            state.error = unknown.clone();
            state.finished_ns = Some(line.time_ns);
            if auto_remove && !restarting { Outcome::Remove } else { Outcome::Keep }
        }
        Event::GaveUp { stopped_by, error } => {
            state.status = Status::Exited;
            state.stopped_by = stopped_by.clone();
            state.error = error.clone();
            Outcome::Keep
        }
        Event::Health { health } => {
            state.health = Some(health.clone());
            Outcome::Keep
        }
        Event::Paused => {
            state.status = Status::Paused;
            Outcome::Keep
        }
        Event::Unpaused => {
            state.status = Status::Running;
            Outcome::Keep
        }
        Event::Signalled { .. } | Event::ExecStarted { .. } | Event::ExecExited { .. } => Outcome::Keep,
    }
}

fn logged(state: &State) -> Vec<corten_model::health::HealthResult> {
    state.health.as_ref().map(|health| health.log.clone()).unwrap_or_default()
}

/// The events and the rows beside the container's own that a line brings.
///
/// What is only for the container's own row is left out if that goes in the same transaction.
fn record(
    connection: &rusqlite::Connection,
    container: &Container,
    line: &Line,
    outcome: &Outcome,
) -> Result<()> {
    let mut more = Vec::new();
    let action = match &line.event {
        Event::Started { external, .. } => {
            if *outcome == Outcome::Keep {
                containers::set_external(connection, &container.id, &external.to_string())?;
            }
            "start"
        }
        Event::Exited { code, oom, .. } => {
            if *oom {
                events::of_container(connection, line.time_ns, "oom", container, &[])?;
            }
            // Whatever ran in it ended with it; a keeper that was killed couldn't say so of its execs.
            if *outcome == Outcome::Keep {
                containers::finish_all_execs(connection, &container.id)?;
            }
            more.push(("exitCode", code.to_string()));
            "die"
        }
        Event::GaveUp { stopped_by, .. } => {
            if stopped_by.is_some() {
                events::of_container(connection, line.time_ns, "stop", container, &[])?;
            }
            return Ok(());
        }
        Event::Health { health } => {
            let action = format!("health_status: {}", health.status);
            return Ok(events::of_container(connection, line.time_ns, &action, container, &[])?);
        }
        Event::Paused => "pause",
        Event::Unpaused => "unpause",
        Event::Signalled { signal } => {
            more.push(("signal", signal.to_string()));
            "kill"
        }
        Event::ExecStarted { exec, command } => {
            containers::insert_exec(connection, exec, &container.id, command, line.time_ns)?;
            more.push(("execID", exec.to_string()));
            "exec_start"
        }
        Event::ExecExited { exec, code } => {
            containers::finish_exec(connection, exec, *code)?;
            more.push(("execID", exec.to_string()));
            more.push(("exitCode", code.to_string()));
            "exec_die"
        }
    };
    events::of_container(connection, line.time_ns, action, container, &more)?;
    if let Event::Exited { stopped_by: Some(_), .. } = &line.event {
        events::of_container(connection, line.time_ns, "stop", container, &[])?;
    }
    Ok(())
}

/// Compiles the statements of a removal, for whoever waits for the end of a `--rm` container anyway.
pub fn prepare_removal(database: &Database) {
    containers::prepare_removal(database.read());
    sandboxes::prepare_removal(database.read());
    volumes::prepare_removal(database.read());
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
    let gone = remove_unused(connection, orphans)?;
    events::of_container(connection, journal::now_ns(), "destroy", container, &[])?;
    Ok(gone)
}

/// Removes the rows of those volumes that no container uses any more, and gives them back.
pub fn remove_unused(
    connection: &rusqlite::Connection,
    orphans: Vec<volumes::Volume>,
) -> Result<Vec<volumes::Volume>> {
    let mut gone = Vec::new();
    for volume in orphans {
        if volumes::users(connection, &volume.id)?.is_empty() {
            volumes::remove(connection, &volume.id)?;
            gone.push(volume);
        }
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(event: Event) -> Line {
        Line { time_ns: 5, event }
    }

    #[test]
    fn a_pause_is_a_state_of_its_own_and_ends_with_the_container() {
        let started = started();
        let exited = exited(0);
        let mut state = State::created();
        for (event, status) in [
            (started, Status::Running),
            (Event::Paused, Status::Paused),
            (Event::Unpaused, Status::Running),
            (Event::Paused, Status::Paused),
            (exited, Status::Exited),
        ] {
            assert_eq!(apply(&mut state, &line(event), false), Outcome::Keep);
            assert_eq!(state.status, status);
        }
    }

    #[test]
    fn a_start_clears_what_an_exit_left() {
        let mut state = State::created();
        let started = line(started());
        let exited = |restarting| {
            line(Event::Exited {
                code: 137,
                oom: true,
                stopped_by: Some("user".into()),
                unknown: None,
                restarting,
                again: None,
                health: None,
            })
        };
        assert_eq!(apply(&mut state, &started, true), Outcome::Keep);
        assert_eq!((state.status, state.pid, state.started_ns), (Status::Running, Some(7), Some(5)));
        assert_eq!(apply(&mut state, &exited(false), false), Outcome::Keep);
        assert_eq!((state.status, state.pid), (Status::Exited, None));
        assert_eq!(state.exit, Some(Exit { code: 137, oom_killed: true }));
        assert_eq!(apply(&mut state, &started, false), Outcome::Keep);
        assert_eq!((state.exit, state.stopped_by.clone(), state.finished_ns), (None, None, None));
        assert_eq!(apply(&mut state, &exited(true), true), Outcome::Keep);
        assert_eq!(apply(&mut state, &exited(false), true), Outcome::Remove);
    }

    #[test]
    fn one_that_is_started_again_is_alive_in_between() {
        let again = |again| Event::Exited {
            code: 3,
            oom: false,
            stopped_by: None,
            unknown: None,
            restarting: false,
            again,
            health: None,
        };
        let mut state = State::created();
        let mut step = |event: Event, status: Status, restarts: u32| {
            assert_eq!(apply(&mut state, &line(event), false), Outcome::Keep);
            assert_eq!((state.status, state.restarts), (status, restarts));
            state.clone()
        };
        step(started(), Status::Running, 0);
        let waiting = step(again(Some(1)), Status::Restarting, 1);
        assert!(waiting.exit.is_some() && waiting.pid.is_none());
        let external = Default::default();
        let second =
            Event::Started { boot: "b".into(), pid: 9, ticks: 9, external, restarts: 1, checked: false };
        step(second, Status::Running, 1);
        step(again(Some(2)), Status::Restarting, 2);
        let gave_up = Event::GaveUp { stopped_by: Some("user".into()), error: None };
        let ended = step(gave_up, Status::Exited, 2);
        assert_eq!((ended.exit.map(|e| e.code), ended.stopped_by.as_deref()), (Some(3), Some("user")));
        step(started(), Status::Running, 0);
    }

    #[test]
    fn health_is_what_was_said_last() {
        let external = Default::default();
        let begin =
            Event::Started { boot: "b".into(), pid: 7, ticks: 8, external, restarts: 0, checked: true };
        let mut state = State::created();
        apply(&mut state, &line(begin.clone()), false);
        assert_eq!(state.health.as_deref(), Some(&Health::starting()));
        let result =
            corten_model::health::HealthResult { start_ns: 1, end_ns: 2, exit_code: 0, output: "x".into() };
        let status = corten_model::health::HealthStatus::Healthy;
        let healthy = Health { status, failing_streak: 0, log: vec![result] };
        apply(&mut state, &line(Event::Health { health: Box::new(healthy.clone()) }), false);
        assert_eq!(state.health.as_deref(), Some(&healthy));
        apply(&mut state, &line(begin), false);
        assert_eq!(state.health.unwrap().log, healthy.log, "the log stays");
    }

    struct Fixture {
        dir: tempfile::TempDir,
        database: Database,
        store: Store,
        roots: Roots,
    }

    impl Fixture {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let roots = Roots { data: dir.path().join("data"), run: dir.path().join("run") };
            std::fs::create_dir_all(journal::marks(&roots.run)).unwrap();
            let store = Store::open(&roots.data, false).unwrap();
            let database = Database::open(&roots.data).unwrap();
            Self { dir, database, store, roots }
        }

        /// A container with ids of its own and a journal to write.
        fn container(&mut self, auto_remove: bool) -> (ContainerId, journal::Writer) {
            let id = crate::testing::insert_container(&mut self.database, 5, auto_remove);
            let dir = self.store.container_dir(&id);
            std::fs::create_dir_all(&dir).unwrap();
            let writer = journal::Writer::open(journal::Places::new(&dir, &self.roots.run, &id)).unwrap();
            (id, writer)
        }

        fn fold(&mut self, id: &ContainerId) -> Option<Vec<volumes::Volume>> {
            fold(&mut self.database, &self.store, &self.roots, id).unwrap()
        }

        fn row(&self, id: &ContainerId) -> Container {
            containers::by_id(self.database.read(), id).unwrap().unwrap()
        }

        fn count(&self, query: &str) -> i64 {
            self.database.read().query_row(query, [], |row| row.get(0)).unwrap()
        }
    }

    fn started() -> Event {
        let external = Default::default();
        Event::Started { boot: "b".into(), pid: 7, ticks: 8, external, restarts: 0, checked: false }
    }

    fn exited(code: u8) -> Event {
        Event::Exited {
            code,
            oom: false,
            stopped_by: None,
            unknown: None,
            restarting: false,
            again: None,
            health: None,
        }
    }

    #[test]
    fn what_is_folded_is_folded_once_and_ids_go_back_at_the_end() {
        let mut fixture = Fixture::new();
        let (id, mut journal) = fixture.container(false);
        journal.append(started()).unwrap();
        assert_eq!(fixture.fold(&id), None);
        assert_eq!(fixture.row(&id).state.status, Status::Running);
        assert_eq!(fixture.count("SELECT count(*) FROM sandboxes WHERE uid_base IS NOT NULL"), 1);
        journal.append(exited(4)).unwrap();
        // Another process with a database of its own comes first.
        let mut other = Database::open(&fixture.roots.data).unwrap();
        assert_eq!(fold(&mut other, &fixture.store, &fixture.roots, &id).unwrap(), None);
        assert_eq!(fixture.fold(&id), None);
        assert_eq!(fixture.row(&id).state.exit, Some(Exit { code: 4, oom_killed: false }));
        assert_eq!(fixture.count("SELECT count(*) FROM events WHERE action = 'die'"), 1);
        assert_eq!(fixture.count("SELECT count(*) FROM sandboxes WHERE uid_base IS NOT NULL"), 0);
        assert_eq!(journal::marked(&fixture.roots.run), []);
        assert!(fixture.dir.path().exists());
    }

    #[test]
    fn a_container_that_removes_itself_is_gone_for_whoever_folds_second_too() {
        let mut fixture = Fixture::new();
        let (id, mut journal) = fixture.container(true);
        journal.append(started()).unwrap();
        journal.append(exited(0)).unwrap();
        assert_eq!(fixture.fold(&id), Some(Vec::new()));
        assert_eq!(fixture.fold(&id), Some(Vec::new()));
        assert_eq!(fixture.count("SELECT count(*) FROM sandboxes"), 0);
    }

    #[test]
    fn execs_are_bounded_and_end_with_their_container() {
        let mut fixture = Fixture::new();
        let (id, mut journal) = fixture.container(false);
        journal.append(started()).unwrap();
        let exec = |n: u8| corten_model::ExecId::from_bytes([n; 32]);
        for n in 0..150 {
            journal.append(Event::ExecStarted { exec: exec(n), command: vec!["x".into()] }).unwrap();
            journal.append(Event::ExecExited { exec: exec(n), code: n }).unwrap();
        }
        journal.append(Event::ExecStarted { exec: exec(200), command: vec!["x".into()] }).unwrap();
        assert_eq!(fixture.fold(&id), None);
        assert!(fixture.count("SELECT count(*) FROM execs") <= 101);
        assert_eq!(fixture.count("SELECT count(*) FROM execs WHERE exit_code IS NULL"), 1);
        journal.append(exited(0)).unwrap();
        assert_eq!(fixture.fold(&id), None);
        assert_eq!(fixture.count("SELECT count(*) FROM execs WHERE exit_code IS NULL"), 0);
    }
}
