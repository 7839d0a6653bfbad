//! Rows of containers that can't be understood: what of them can be told, and their removal.
//!
//! Nothing here parses more than it must: a text that is no id, no name or no JSON is passed on as it stands.

use corten_model::ContainerId;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Map, Value};

use super::{Error, Result, containers, doing};

/// A row that is addressed by its number: its id may be what is wrong with it.
#[derive(Debug)]
pub struct Broken {
    /// The row.
    pub seq: i64,
    /// Its id, if that is one.
    pub id: Option<ContainerId>,
    /// The id and the name as they stand there.
    pub label: String,
}

fn broken(row: &Row<'_>) -> rusqlite::Result<Broken> {
    let text = |index| -> rusqlite::Result<String> {
        Ok(String::from_utf8_lossy(row.get_ref(index)?.as_bytes().unwrap_or_default()).into_owned())
    };
    let id = text(1)?;
    Ok(Broken { seq: row.get(0)?, label: format!("{id} ({})", text(2)?), id: id.parse().ok() })
}

/// The rows that `target` can mean, whatever is wrong with them: an id, a name, the beginning of an id.
pub fn find(connection: &Connection, target: &str) -> Result<Option<Broken>> {
    let query = "SELECT seq, id, name FROM containers WHERE id = ?1 OR name = ?1 OR (id >= ?1 AND id < ?2)
        ORDER BY id = ?1 DESC, name = ?1 DESC LIMIT 1";
    let found = connection.query_row(query, params![target, format!("{target}g")], broken).optional();
    doing("look a container up", found)
}

/// Every row that can't be understood, and why not.
pub fn all(connection: &Connection) -> Result<Vec<(Broken, Error)>> {
    let mut statement = doing("list containers", connection.prepare("SELECT seq, id, name FROM containers"))?;
    let rows = doing("list containers", statement.query_map([], broken))?;
    let mut found = Vec::new();
    for row in rows {
        let row = doing("list containers", row)?;
        match containers::by_seq(connection, row.seq) {
            Ok(()) => {}
            Err(error) if error.is_of_one_row() => found.push((row, error)),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The whole row as JSON, to be kept when the row goes.
pub fn dump(connection: &Connection, seq: i64) -> Result<Value> {
    let what = "read a container's row";
    let mut statement = doing(what, connection.prepare("SELECT * FROM containers WHERE seq = ?1"))?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let read = |row: &Row<'_>| {
        let mut object = Map::new();
        for (index, name) in names.iter().enumerate() {
            let value = match row.get_ref(index)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => number.into(),
                ValueRef::Real(number) => number.into(),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into(),
            };
            object.insert(name.clone(), value);
        }
        Ok(Value::Object(object))
    };
    doing(what, statement.query_row([seq], read))
}

/// Removes the row, those that hang on it, and its sandbox if nobody else is in it.
pub fn remove(connection: &Connection, seq: i64) -> Result<()> {
    let statement = "DELETE FROM containers WHERE seq = ?1";
    doing("remove a container", connection.execute(statement, [seq]))?;
    let statement =
        "DELETE FROM sandboxes WHERE NOT EXISTS (SELECT 1 FROM containers WHERE sandbox = sandboxes.id)";
    doing("remove a sandbox", connection.execute(statement, []))?;
    Ok(())
}
