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
    let values = params![time_ns, kind, action, object, attributes];
    let recorded = || connection.prepare_cached(insert)?.execute(values);
    doing("record an event", recorded())?;
    let seq = connection.last_insert_rowid();
    if seq % 64 == 0 {
        doing("drop old events", connection.execute("DELETE FROM events WHERE seq <= ?1", [seq - KEPT]))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Database;

    #[test]
    fn the_oldest_events_go() {
        let dir = tempfile::tempdir().unwrap();
        let mut database = Database::open(dir.path()).unwrap();
        let over = KEPT + 500;
        database
            .write(|t| (0..over).try_for_each(|n| record(t, n, "container", "start", "x", &BTreeMap::new())))
            .unwrap();
        let query = "SELECT count(*), max(time_ns) FROM events";
        let (count, newest): (i64, i64) =
            database.read().query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert!((KEPT..KEPT + 64).contains(&count), "{count}");
        assert_eq!(newest, over - 1);
    }
}
