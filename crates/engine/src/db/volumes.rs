//! Rows of volumes.

use std::collections::BTreeMap;

use corten_model::{ContainerId, Name, VolumeId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Error, Result, doing};

/// One volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The name of its directory.
    pub id: VolumeId,
    /// What it is called.
    pub name: Name,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Options of its driver: where its data is, if that isn't its directory.
    pub options: BTreeMap<String, String>,
    /// Whether it has no name of its own: it goes with its container on `rm -v` and `--rm`.
    pub anonymous: bool,
    /// When it was made.
    pub created_ns: i64,
}

type Raw = (String, String, String, bool, i64, String);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
}

fn parse((id, name, labels, anonymous, created_ns, options): Raw) -> Result<Volume> {
    let bad = |column, why: String| Error::Corrupt { column, why };
    Ok(Volume {
        id: id.parse().map_err(|e: corten_model::Invalid| bad("volumes.id", e.to_string()))?,
        name: name.parse().map_err(|e: corten_model::Invalid| bad("volumes.name", e.to_string()))?,
        labels: serde_json::from_str(&labels).map_err(|e| bad("volumes.labels", e.to_string()))?,
        options: serde_json::from_str(&options).map_err(|e| bad("volumes.options", e.to_string()))?,
        anonymous,
        created_ns,
    })
}

const COLUMNS: &str = "id, name, labels, anonymous, created_ns, options";

/// Inserts a volume.
pub fn insert(connection: &Connection, volume: &Volume) -> Result<()> {
    let insert = "INSERT INTO volumes (id, name, labels, anonymous, created_ns, options)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let json = |map: &BTreeMap<String, String>| serde_json::to_string(map).expect("a map of strings is JSON");
    let values = params![
        volume.id.as_str(),
        volume.name.as_str(),
        json(&volume.labels),
        volume.anonymous,
        volume.created_ns,
        json(&volume.options)
    ];
    doing("insert a volume", connection.execute(insert, values))?;
    Ok(())
}

/// The volume of this name.
pub fn by_name(connection: &Connection, name: &str) -> Result<Option<Volume>> {
    let query = format!("SELECT {COLUMNS} FROM volumes WHERE name = ?1");
    doing("look a volume up", connection.query_row(&query, [name], raw).optional())?.map(parse).transpose()
}

/// All volumes by name.
pub fn all(connection: &Connection) -> Result<Vec<Volume>> {
    let mut statement =
        doing("list volumes", connection.prepare(&format!("SELECT {COLUMNS} FROM volumes ORDER BY name")))?;
    let rows = doing("list volumes", statement.query_map([], raw))?;
    rows.map(|row| parse(doing("list volumes", row)?)).collect()
}

/// Notes that a container mounts a volume at `target`.
pub fn attach(
    connection: &Connection,
    container: &ContainerId,
    volume: &VolumeId,
    target: &str,
) -> Result<()> {
    let insert = "INSERT INTO container_volumes (container, volume, target) VALUES (?1, ?2, ?3)";
    let values = params![container.as_str(), volume.as_str(), target];
    doing("attach a volume", connection.execute(insert, values))?;
    Ok(())
}

/// The volumes of a container, with where each is mounted.
pub fn of_container(connection: &Connection, container: &ContainerId) -> Result<Vec<(Volume, String)>> {
    let mut statement =
        doing("list a container's volumes", connection.prepare_cached(&of_container_query()))?;
    let rows = statement.query_map([container.as_str()], |row| Ok((raw(row)?, row.get::<_, String>(6)?)));
    let mut volumes = Vec::new();
    for row in doing("list a container's volumes", rows)? {
        let (volume, target) = doing("list a container's volumes", row)?;
        volumes.push((parse(volume)?, target));
    }
    Ok(volumes)
}

fn of_container_query() -> String {
    format!(
        "SELECT {COLUMNS}, target FROM volumes JOIN container_volumes ON volume = id WHERE container = ?1 ORDER BY target"
    )
}

/// Compiles what a container's removal needs.
pub fn prepare_removal(connection: &Connection) {
    // What is wrong with it is told when it runs.
    drop(connection.prepare_cached(&of_container_query()));
}

/// Names of the containers that mount a volume.
pub fn users(connection: &Connection, id: &VolumeId) -> Result<Vec<String>> {
    let query = "SELECT DISTINCT c.name FROM containers c JOIN container_volumes v ON v.container = c.id WHERE v.volume = ?1";
    let mut statement = doing("list a volume's containers", connection.prepare(query))?;
    let rows = doing("list a volume's containers", statement.query_map([id.as_str()], |row| row.get(0)))?;
    rows.map(|row| doing("list a volume's containers", row)).collect()
}

/// Names of the containers that mount a volume and run, but for one.
pub fn alive_users(
    connection: &Connection,
    id: &VolumeId,
    except: Option<&ContainerId>,
) -> Result<Vec<String>> {
    let what = "list a volume's running containers";
    let query = "SELECT DISTINCT c.name FROM containers c JOIN container_volumes v ON v.container = c.id
        WHERE v.volume = ?1 AND c.id <> ?2 AND (c.status IN ('running', 'paused', 'restarting') OR c.wanted = 'running')";
    let mut statement = doing(what, connection.prepare(query))?;
    let values = params![id.as_str(), except.map_or("", ContainerId::as_str)];
    let rows = doing(what, statement.query_map(values, |row| row.get(0)))?;
    rows.map(|row| doing(what, row)).collect()
}

/// Removes a volume's row.
pub fn remove(connection: &Connection, id: &VolumeId) -> Result<()> {
    doing("remove a volume", connection.execute("DELETE FROM volumes WHERE id = ?1", [id.as_str()]))?;
    Ok(())
}
