//! Rows of what happened: each is written in the transaction that made it true.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::{Result, doing};

/// Events that are kept; the oldest beyond it go as new ones come.
const KEPT: i64 = 10_000;

/// Records that `action` happened to the `kind` of object named `object`.
pub fn record(
    connection: &Connection,
    time_ns: i64,
    kind: &str,
    action: &str,
    object: &str,
    attributes: &BTreeMap<&str, String>,
) -> Result<()> {
    let attributes = serde_json::to_string(attributes).expect("a map of strings is JSON");
    let insert = "INSERT INTO events (time_ns, kind, action, object, attributes) VALUES (?1, ?2, ?3, ?4, ?5)";
    doing("record an event", connection.execute(insert, params![time_ns, kind, action, object, attributes]))?;
    let seq = connection.last_insert_rowid();
    if seq % 64 == 0 {
        doing("drop old events", connection.execute("DELETE FROM events WHERE seq <= ?1", [seq - KEPT]))?;
    }
    Ok(())
}
