//! Rows of containers.

use std::collections::BTreeMap;

use corten_model::container::ContainerConfig;
use corten_model::health::Health;
use corten_model::mount::MountSource;
use corten_model::state::{Exit, Status};
use corten_model::{ContainerId, Digest, ExecId, Name, SandboxId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Error, Result, doing};
use crate::error::MATCHES_MAX;

/// Execs of a container that are remembered after their end: health checks would make thousands a day.
const EXECS_KEPT: i64 = 100;

/// One container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: Name,
    /// The image as it was typed.
    pub image: String,
    /// The image's id.
    pub image_id: Digest,
    /// The sandbox that it belongs to.
    pub sandbox: SandboxId,
    /// What was asked for.
    pub config: ContainerConfig,
    /// Entrypoint and arguments, the image's merged in.
    pub command: Vec<String>,
    /// Why it runs in the host's user namespace; empty if it doesn't.
    pub host_powers: Vec<String>,
    /// What was last learned.
    pub state: State,
    /// When it was made.
    pub created_ns: i64,
    /// Bytes of its journal that are folded into this row.
    pub journal_offset: u64,
}

/// What was last learned of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The state.
    pub status: Status,
    /// `user`, if somebody stopped it.
    pub stopped_by: Option<String>,
    /// The boot in which [`State::pid`] means something.
    pub boot_id: Option<String>,
    /// The first process on the host.
    pub pid: Option<i32>,
    /// When that process started, in clock ticks since boot: tells a reused pid.
    pub pid_start_ticks: Option<u64>,
    /// How it last ended.
    pub exit: Option<Exit>,
    /// Why its last start failed, or why its exit code is unknown.
    pub error: Option<String>,
    /// When it last started.
    pub started_ns: Option<i64>,
    /// When it last ended.
    pub finished_ns: Option<i64>,
    /// How often its policy started it again since somebody started it.
    pub restarts: u32,
    /// What is known of its health; absent: nobody checks.
    pub health: Option<Box<Health>>,
}

impl State {
    /// The state of a container that never ran.
    pub fn created() -> Self {
        Self {
            status: Status::Created,
            stopped_by: None,
            boot_id: None,
            pid: None,
            pid_start_ticks: None,
            exit: None,
            error: None,
            started_ns: None,
            finished_ns: None,
            restarts: 0,
            health: None,
        }
    }
}

const COLUMNS: &str =
    "id, name, image, image_id, sandbox, config, command, host_powers, status, stopped_by, boot_id, pid,
    pid_start_ticks, exit_code, oom_killed, error, started_ns, finished_ns, created_ns, journal_offset, restart_count, health";

struct Raw {
    texts: [String; 8],
    status: String,
    health: Option<String>,
    state: State,
    created_ns: i64,
    journal_offset: i64,
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let mut texts: [String; 8] = Default::default();
    for (index, text) in texts.iter_mut().enumerate() {
        *text = row.get(index)?;
    }
    let ticks: Option<i64> = row.get(12)?;
    let code: Option<u8> = row.get(13)?;
    let oom_killed = row.get(14)?;
    let state = State {
        status: Status::Created,
        stopped_by: row.get(9)?,
        boot_id: row.get(10)?,
        pid: row.get(11)?,
        pid_start_ticks: ticks.map(|t| t as u64),
        exit: code.map(|code| Exit { code, oom_killed }),
        error: row.get(15)?,
        started_ns: row.get(16)?,
        finished_ns: row.get(17)?,
        restarts: row.get(20)?,
        health: None,
    };
    Ok(Raw {
        texts,
        status: row.get(8)?,
        health: row.get(21)?,
        state,
        created_ns: row.get(18)?,
        journal_offset: row.get(19)?,
    })
}

fn parse(raw: Raw) -> Result<Container> {
    fn bad<E: std::fmt::Display>(column: &'static str) -> impl Fn(E) -> Error {
        move |e| Error::Corrupt { column, why: e.to_string() }
    }
    let [id, name, image, image_id, sandbox, config, command, host_powers] = raw.texts;
    let status = Status::from_word(&raw.status).ok_or_else(|| bad("containers.status")(&raw.status))?;
    let health = raw.health.map(|text| serde_json::from_str(&text)).transpose();
    let health = health.map_err(bad("containers.health"))?;
    Ok(Container {
        id: id.parse().map_err(bad("containers.id"))?,
        name: name.parse().map_err(bad("containers.name"))?,
        image,
        image_id: image_id.parse().map_err(bad("containers.image_id"))?,
        sandbox: sandbox.parse().map_err(bad("containers.sandbox"))?,
        config: serde_json::from_str(&config).map_err(bad("containers.config"))?,
        command: serde_json::from_str(&command).map_err(bad("containers.command"))?,
        host_powers: serde_json::from_str(&host_powers).map_err(bad("containers.host_powers"))?,
        state: State { status, health, ..raw.state },
        created_ns: raw.created_ns,
        journal_offset: raw.journal_offset as u64,
    })
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our own types are JSON")
}

/// Inserts a container, which shall run or not. `false`: its name is in use.
pub fn insert(connection: &Connection, container: &Container, wanted: bool) -> Result<bool> {
    let insert = "INSERT INTO containers (id, name, image, image_id, sandbox, config, command, host_powers, labels, mounts,
        wanted, status, created_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    let values = params![
        container.id.as_str(),
        container.name.as_str(),
        container.image,
        container.image_id.as_str(),
        container.sandbox.as_str(),
        json(&container.config),
        json(&container.command),
        json(&container.host_powers),
        json(&container.config.labels),
        json(&mount_names(&container.config)),
        wanted_word(wanted),
        container.state.status.as_str(),
        container.created_ns,
    ];
    match connection.execute(insert, values) {
        Ok(_) => Ok(true),
        Err(rusqlite::Error::SqliteFailure(e, Some(text)))
            if e.code == rusqlite::ErrorCode::ConstraintViolation && text.contains("containers.name") =>
        {
            Ok(false)
        }
        Err(source) => Err(Error::Statement { what: "insert a container", source }),
    }
}

fn wanted_word(running: bool) -> &'static str {
    if running { "running" } else { "stopped" }
}

/// What `ps` shows of the mounts: names of volumes, paths of the host.
fn mount_names(config: &ContainerConfig) -> Vec<&str> {
    let mounts = config.mounts.iter();
    mounts
        .filter_map(|m| match &m.source {
            MountSource::Bind(bind) => Some(bind.path.as_str()),
            MountSource::Volume(volume) => volume.name.as_ref().map(Name::as_str),
            MountSource::Image { reference, .. } => Some(reference.as_str()),
            MountSource::Tmpfs { .. } => None,
        })
        .collect()
}

/// The container with this full id.
pub fn by_id(connection: &Connection, id: &ContainerId) -> Result<Option<Container>> {
    let found = || connection.prepare_cached(&by_id_query())?.query_row([id.as_str()], raw).optional();
    doing("look a container up", found())?.map(parse).transpose()
}

fn by_id_query() -> String {
    format!("SELECT {COLUMNS} FROM containers WHERE id = ?1")
}

/// Containers that `target` can mean: the one of that id, else of that name, else those whose id begins with it.
pub fn matching(connection: &Connection, target: &str) -> Result<Vec<Container>> {
    let target = target.strip_prefix('/').unwrap_or(target);
    let query = format!("SELECT {COLUMNS} FROM containers WHERE id = ?1 OR name = ?1 ORDER BY id = ?1 DESC");
    let exact = doing("look a container up", connection.query_row(&query, [target], raw).optional())?;
    if let Some(exact) = exact {
        return Ok(vec![parse(exact)?]);
    }
    if target.is_empty() || !corten_model::id::is_hex(target) {
        return Ok(Vec::new());
    }
    let query = format!("SELECT {COLUMNS} FROM containers WHERE id >= ?1 AND id < ?2 LIMIT {MATCHES_MAX}");
    let mut statement = doing("look a container up", connection.prepare(&query))?;
    let rows = doing("look a container up", statement.query_map(params![target, format!("{target}g")], raw))?;
    rows.map(|row| parse(doing("look a container up", row)?)).collect()
}

/// Ids of the containers that should be alive.
pub fn alive(connection: &Connection) -> Result<Vec<ContainerId>> {
    ids(connection, "SELECT id FROM containers WHERE status IN ('running', 'paused', 'restarting')")
}

/// Ids of all containers.
pub fn all_ids(connection: &Connection) -> Result<Vec<ContainerId>> {
    ids(connection, "SELECT id FROM containers ORDER BY seq")
}

/// Whether the row of this number can be understood.
pub fn by_seq(connection: &Connection, seq: i64) -> Result<()> {
    let query = format!("SELECT {COLUMNS} FROM containers WHERE seq = ?1");
    let found = doing("look a container up", connection.query_row(&query, [seq], raw).optional())?;
    found.map(parse).transpose().map(drop)
}

/// Containers that were to be started and have not: a start is under way, or the command that did it was killed.
/// A row that can't be understood is none of them.
pub fn wanted_but_created(connection: &Connection) -> Result<Vec<Container>> {
    let query = format!(
        "SELECT {COLUMNS} FROM containers WHERE wanted = 'running' AND status IN ('created', 'exited')"
    );
    let mut statement = doing("list containers", connection.prepare(&query))?;
    let rows = doing("list containers", statement.query_map([], raw))?;
    let rows = rows.map(|row| parse(doing("list containers", row)?));
    rows.filter(|row| !matches!(row, Err(e) if e.is_of_one_row())).collect()
}

/// Ids of the containers of a sandbox that should be alive.
pub fn alive_in_sandbox(connection: &Connection, sandbox: &SandboxId) -> Result<Vec<ContainerId>> {
    let query = format!(
        "SELECT id FROM containers WHERE status IN ('running', 'paused') AND sandbox = '{}'",
        sandbox.as_str()
    );
    ids(connection, &query)
}

/// What is no id is passed over: `system check` names that row.
fn ids(connection: &Connection, query: &str) -> Result<Vec<ContainerId>> {
    let mut statement = doing("list containers", connection.prepare(query))?;
    let id = |row: &Row<'_>| Ok(row.get_ref(0)?.as_str().ok().and_then(|text| text.parse().ok()));
    let rows = doing("list containers", statement.query_map([], id))?;
    let ids = rows.filter_map(|row| doing("list containers", row).transpose());
    ids.collect()
}

/// A row of `ps`: the columns that it shows, not the config, which costs a thousand times as much to parse.
pub struct Brief {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: Name,
    /// The image as it was typed.
    pub image: String,
    /// The image's id.
    pub image_id: Digest,
    /// Entrypoint and arguments.
    pub command: Vec<String>,
    /// Why it runs in the host's user namespace.
    pub host_powers: Vec<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Names of volumes, paths of the host.
    pub mounts: Vec<String>,
    /// What was last learned.
    pub state: State,
    /// When it was made.
    pub created_ns: i64,
    /// What is wrong with the row; then only the id and the name mean something.
    pub problem: Option<Error>,
}

/// Containers, newest first; only living ones unless `all`.
pub fn briefs(connection: &Connection, all: bool) -> Result<Vec<Brief>> {
    let filter = if all { "" } else { "WHERE status IN ('running', 'paused', 'restarting')" };
    // The empty text stands where COLUMNS has the config.
    let columns = COLUMNS.replacen("config", "''", 1);
    // The plus keeps SQLite from reading the whole table in the order of its rows when few of them are alive.
    let order = if all { "seq" } else { "+seq" };
    let query = format!("SELECT {columns}, labels, mounts FROM containers {filter} ORDER BY {order} DESC");
    let mut statement = doing("list containers", connection.prepare(&query))?;
    let mut rows = doing("list containers", statement.query([]))?;
    let mut briefs = Vec::new();
    while let Some(row) = doing("list containers", rows.next())? {
        match brief(row) {
            Ok(brief) => briefs.push(brief),
            Err(problem) if problem.is_of_one_row() => briefs.extend(unreadable(row, problem)),
            Err(error) => return Err(error),
        }
    }
    Ok(briefs)
}

fn brief(row: &Row<'_>) -> Result<Brief> {
    let text = |index| doing("list containers", row.get::<_, String>(index));
    let (mut raw, labels, mounts) = (doing("list containers", raw(row))?, text(22)?, text(23)?);
    raw.texts[5] = "{}".into();
    let container = parse(raw)?;
    let corrupt =
        |e: serde_json::Error| Error::Corrupt { column: "containers.labels or mounts", why: e.to_string() };
    Ok(Brief {
        id: container.id,
        name: container.name,
        image: container.image,
        image_id: container.image_id,
        command: container.command,
        host_powers: container.host_powers,
        labels: serde_json::from_str(&labels).map_err(corrupt)?,
        mounts: serde_json::from_str(&mounts).map_err(corrupt)?,
        state: container.state,
        created_ns: container.created_ns,
        problem: None,
    })
}

/// What can be told of a row that can't be understood. Without an id there is nothing to call it by: `system check`
/// names it.
fn unreadable(row: &Row<'_>, problem: Error) -> Option<Brief> {
    let text = |index| row.get::<_, String>(index).unwrap_or_default();
    let id: ContainerId = text(0).parse().ok()?;
    let name = text(1).parse().or_else(|_| id.short().parse()).ok()?;
    Some(Brief {
        id,
        name,
        image: text(2),
        image_id: text(3).parse().unwrap_or(Digest::from_sha256([0; 32])),
        command: Vec::new(),
        host_powers: Vec::new(),
        labels: BTreeMap::new(),
        mounts: Vec::new(),
        state: State { status: Status::Dead, ..State::created() },
        created_ns: row.get(18).unwrap_or_default(),
        problem: Some(problem),
    })
}

/// Writes what was learned, and up to where the journal is folded.
pub fn set_state(
    connection: &Connection,
    id: &ContainerId,
    state: &State,
    journal_offset: u64,
) -> Result<()> {
    let update = "UPDATE containers SET status = ?2, stopped_by = ?3, boot_id = ?4, pid = ?5, pid_start_ticks = ?6,
        exit_code = ?7, oom_killed = ?8, error = ?9, started_ns = ?10, finished_ns = ?11, journal_offset = ?12,
        restart_count = ?13, health = ?14,
        wanted = CASE WHEN ?2 IN ('running', 'paused', 'restarting') THEN 'running' ELSE 'stopped' END
        WHERE id = ?1";
    let values = params![
        id.as_str(),
        state.status.as_str(),
        state.stopped_by,
        state.boot_id,
        state.pid,
        state.pid_start_ticks.map(|t| t as i64),
        state.exit.map(|e| e.code),
        state.exit.is_some_and(|e| e.oom_killed),
        state.error,
        state.started_ns,
        state.finished_ns,
        journal_offset as i64,
        state.restarts,
        state.health.as_ref().map(json),
    ];
    doing("write a container's state", connection.execute(update, values))?;
    Ok(())
}

/// Gives a container another name. `false`: that one is in use.
pub fn rename(connection: &Connection, id: &ContainerId, name: &Name) -> Result<bool> {
    let update = "UPDATE OR IGNORE containers SET name = ?2 WHERE id = ?1";
    Ok(doing("rename a container", connection.execute(update, [id.as_str(), name.as_str()]))? > 0)
}

/// Writes what was asked for after it was changed.
pub fn set_config(connection: &Connection, id: &ContainerId, config: &ContainerConfig) -> Result<()> {
    let update = "UPDATE containers SET config = ?2 WHERE id = ?1";
    doing("write a container's config", connection.execute(update, [id.as_str(), &json(config)]))?;
    Ok(())
}

/// Writes up to where the journal is folded, and nothing else.
pub fn set_journal_offset(connection: &Connection, id: &ContainerId, offset: u64) -> Result<()> {
    let update = "UPDATE containers SET journal_offset = ?2 WHERE id = ?1";
    doing(
        "write how far a journal is read",
        connection.execute(update, params![id.as_str(), offset as i64]),
    )?;
    Ok(())
}

/// Notes what is wanted of a container.
pub fn set_wanted(connection: &Connection, id: &ContainerId, running: bool) -> Result<()> {
    let update = "UPDATE containers SET wanted = ?2 WHERE id = ?1";
    doing("write what is wanted", connection.execute(update, params![id.as_str(), wanted_word(running)]))?;
    Ok(())
}

/// Records what came into a container from outside at its start.
pub fn set_external(connection: &Connection, id: &ContainerId, external: &str) -> Result<()> {
    let update = "UPDATE containers SET external = ?2 WHERE id = ?1";
    doing("write what came from outside", connection.execute(update, params![id.as_str(), external]))?;
    Ok(())
}

/// Removes a container's row, and those that hang on it.
pub fn remove(connection: &Connection, id: &ContainerId) -> Result<bool> {
    let removed = || connection.prepare_cached(DELETE)?.execute([id.as_str()]);
    Ok(doing("remove a container", removed())? > 0)
}

const DELETE: &str = "DELETE FROM containers WHERE id = ?1";

/// Compiles what a removal needs.
pub fn prepare_removal(connection: &Connection) {
    for statement in [by_id_query().as_str(), DELETE] {
        // What is wrong with it is told when it runs.
        drop(connection.prepare_cached(statement));
    }
}

/// Inserts an exec that started.
pub fn insert_exec(
    connection: &Connection,
    exec: &ExecId,
    container: &ContainerId,
    command: &[String],
    started_ns: i64,
) -> Result<()> {
    let insert = "INSERT OR IGNORE INTO execs (id, container, command, started_ns) VALUES (?1, ?2, ?3, ?4)";
    let values = params![exec.as_str(), container.as_str(), json(&command), started_ns];
    doing("insert an exec", connection.execute(insert, values))?;
    let forget = "DELETE FROM execs WHERE container = ?1 AND exit_code IS NOT NULL AND rowid <=
        (SELECT rowid FROM execs WHERE container = ?1 ORDER BY rowid DESC LIMIT 1 OFFSET ?2)";
    doing("forget old execs", connection.execute(forget, params![container.as_str(), EXECS_KEPT]))?;
    Ok(())
}

/// Gives the execs that are said to run the exit code of what was killed: their container ended.
pub fn finish_all_execs(connection: &Connection, container: &ContainerId) -> Result<()> {
    let update = "UPDATE execs SET exit_code = 137 WHERE container = ?1 AND exit_code IS NULL";
    doing("write the exit codes of execs", connection.execute(update, [container.as_str()]))?;
    Ok(())
}

/// Records the exit code of an exec.
pub fn finish_exec(connection: &Connection, exec: &ExecId, code: u8) -> Result<()> {
    let update = "UPDATE execs SET exit_code = ?2 WHERE id = ?1";
    doing("write an exec's exit code", connection.execute(update, params![exec.as_str(), code]))?;
    Ok(())
}
