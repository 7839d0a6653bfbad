//! The tables, and how an older database becomes a newer one: a file of SQL for each version, applied in turn.

use super::{Database, Error, Result, doing};

/// What makes each version out of the one before, from an empty file on. A version that was released never changes.
const STEPS: [&str; 5] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
];
/// The version that this binary writes.
const VERSION: i64 = STEPS.len() as i64;

/// Makes the tables in a new database, and those that an older one lacks; refuses one that a newer binary made.
pub(super) fn bring_up_to_date(database: &mut Database) -> Result<()> {
    let path = database.path.clone();
    let version = |connection: &rusqlite::Connection| {
        connection
            .query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))
            .map_err(|source| Error::Open { path: path.clone(), source })
    };
    match version(&database.connection)? {
        VERSION => return Ok(()),
        0 => doing("switch to WAL", database.connection.pragma_update(None, "journal_mode", "WAL"))?,
        1..VERSION => {}
        found => return Err(Error::Newer { path, found, known: VERSION }),
    }
    database.write_durably(|transaction| {
        // Two first commands may meet here: the second one finds the tables made.
        let found = version(transaction)?;
        if found >= VERSION {
            return Ok(());
        }
        for step in &STEPS[found as usize..] {
            doing("make the tables", transaction.execute_batch(step))?;
        }
        doing("set the version", transaction.pragma_update(None, "user_version", VERSION))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{containers, images, tags};

    #[test]
    fn a_new_database_is_made_once_and_a_newer_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(Database::open(dir.path()).unwrap());
        let database = Database::open(dir.path()).unwrap();
        let mode: String = database.read().query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        database.connection.pragma_update(None, "user_version", VERSION + 1).unwrap();
        drop(database);
        assert!(
            matches!(Database::open(dir.path()), Err(Error::Newer { found, .. }) if found == VERSION + 1)
        );
    }

    #[test]
    fn closing_keeps_the_log_and_a_checkpoint_empties_it() {
        let dir = tempfile::tempdir().unwrap();
        drop(Database::open(dir.path()).unwrap());
        let wal = dir.path().join("corten.db-wal");
        assert!(std::fs::metadata(&wal).unwrap().len() > 0);
        super::super::checkpoint(dir.path(), 10).unwrap();
        assert_eq!(std::fs::metadata(&wal).unwrap().len(), 0);
    }

    /// What sqlite3's `.dump` gave of a database that a version-1 binary filled: three images, two of them tagged, a
    /// container that ran, a volume.
    const VERSION_1: &str = include_str!("schema/version-1.dump.sql");

    fn version_1(dir: &std::path::Path) {
        let connection = rusqlite::Connection::open(dir.join("corten.db")).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.execute_batch(VERSION_1).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
    }

    #[test]
    fn a_version_1_database_becomes_one_of_today() {
        let dir = tempfile::tempdir().unwrap();
        version_1(dir.path());
        let database = Database::open(dir.path()).unwrap();
        let connection = database.read();
        let one: corten_model::Reference = "one:1".parse().unwrap();
        let image = images::by_reference(connection, &one).unwrap().unwrap();
        assert_eq!(image.config.config.labels.as_ref().unwrap()["a"], "b");
        assert_eq!(images::all(connection).unwrap().len(), 3);
        let tags = tags::all(connection).unwrap();
        assert_eq!(tags.len(), 2);
        let tag = tags.iter().find(|tag| tag.reference == one).unwrap();
        assert_eq!((&tag.target, &tag.image), (&image.manifest, &image.id));
        assert_eq!(tags::images_below(connection, &tag.target).unwrap(), std::slice::from_ref(&image.id));
        let containers = containers::matching(connection, "web").unwrap();
        assert_eq!(containers[0].image_id, image.id);
        let platform = "SELECT os || '/' || architecture FROM images WHERE id = ?1";
        let platform: String = connection.query_row(platform, [image.id.as_str()], |row| row.get(0)).unwrap();
        assert_eq!(platform, "linux/amd64");
        let broken: i64 = connection
            .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(broken, 0);
    }

    #[test]
    fn a_migrated_database_has_the_tables_of_a_new_one() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        version_1(old.path());
        let tables = |dir: &std::path::Path| -> Vec<String> {
            let database = Database::open(dir).unwrap();
            let query = "SELECT name || ': ' || coalesce(sql, '') FROM sqlite_schema ORDER BY name";
            let mut statement = database.read().prepare(query).unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.map(|row| row.unwrap()).collect()
        };
        assert_eq!(tables(old.path()), tables(new.path()));
    }
}
