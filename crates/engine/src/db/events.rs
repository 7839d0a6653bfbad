//! Rows of what happened: each is written in the transaction that made it true.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::containers::Container;
use super::{Error, Result, doing};

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
    Ok(())
}

/// Forgets all but the newest `kept` events.
pub fn forget_old(connection: &Connection, kept: u32) -> Result<()> {
    let forget = "DELETE FROM events WHERE seq <= (SELECT coalesce(max(seq), 0) FROM events) - ?1";
    doing("forget old events", connection.execute(forget, [kept])).map(drop)
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the order of commits, which is the order that followers see.
    pub seq: i64,
    /// When it happened, nanoseconds since the epoch.
    pub time_ns: i64,
    /// `container`, `image`, `volume`, …
    pub kind: String,
    /// What happened.
    pub action: String,
    /// The object's id, or a volume's name.
    pub object: String,
    /// Docker's attributes of the actor.
    pub attributes: BTreeMap<String, String>,
}

/// Events that were committed after the one numbered `after`, in order, at most `limit` of them.
pub fn after(connection: &Connection, after: i64, limit: usize) -> Result<Vec<Event>> {
    let query = "SELECT seq, time_ns, kind, action, object, attributes FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let mut statement = doing("read events", connection.prepare_cached(query))?;
    let rows = statement.query_map(params![after, limit as i64], |row| {
        let attributes: String = row.get(5)?;
        Ok((
            Event {
                seq: row.get(0)?,
                time_ns: row.get(1)?,
                kind: row.get(2)?,
                action: row.get(3)?,
                object: row.get(4)?,
                attributes: BTreeMap::new(),
            },
            attributes,
        ))
    });
    let mut events = Vec::new();
    for row in doing("read events", rows)? {
        let (mut event, attributes) = doing("read events", row)?;
        event.attributes = serde_json::from_str(&attributes)
            .map_err(|e| Error::Corrupt { column: "events.attributes", why: e.to_string() })?;
        events.push(event);
    }
    Ok(events)
}

/// The number of the newest event; 0 if there never was one.
pub fn newest(connection: &Connection) -> Result<i64> {
    let query = "SELECT coalesce(max(seq), 0) FROM events";
    doing("read events", connection.query_row(query, [], |row| row.get(0)))
}

/// Records that `action` happened to a container: its name, image and labels come along, as in Docker.
pub fn of_container(
    connection: &Connection,
    time_ns: i64,
    action: &str,
    container: &Container,
    more: &[(&str, String)],
) -> Result<()> {
    let labels = container.config.labels.iter().map(|(key, value)| (key.as_str(), value.clone()));
    let mut attributes: BTreeMap<&str, String> = labels.collect();
    attributes.insert("name", container.name.to_string());
    attributes.insert("image", container.image.clone());
    attributes.extend(more.iter().map(|(key, value)| (*key, value.clone())));
    record(connection, time_ns, "container", action, container.id.as_str(), &attributes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Database;

    #[test]
    fn the_oldest_events_go() {
        let dir = tempfile::tempdir().unwrap();
        let mut database = Database::open(dir.path()).unwrap();
        let (kept, over) = (100, 600);
        let record_one = |t: &Connection, n| record(t, n, "container", "start", "x", &BTreeMap::new());
        database.write(|t| (0..over).try_for_each(|n| record_one(t, n))).unwrap();
        forget_old(database.read(), kept).unwrap();
        let query = "SELECT count(*), max(time_ns) FROM events";
        let (count, newest): (i64, i64) =
            database.read().query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!((count, newest), (i64::from(kept), over - 1));
        database.write(|t| record_one(t, over)).unwrap();
        assert_eq!(super::newest(database.read()).unwrap(), over + 1, "no number is given twice");
    }
}
