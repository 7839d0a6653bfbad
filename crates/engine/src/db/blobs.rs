//! Rows of compressed layers: which repositories have them, and which are among the blobs here.
//!
//! A layer is a directory; what it came as is remembered, so that it can go out again under the same digest.

use std::collections::HashSet;

use corten_model::Digest;
use rusqlite::{Connection, params};

use super::{Error, Result, doing};

/// What a repository has of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerBlob {
    /// The layer's plain archive.
    pub diff_id: Digest,
    /// Of the compressed bytes.
    pub digest: Digest,
    /// How many there are.
    pub size_bytes: u64,
    /// What they are.
    pub media_type: String,
    /// `docker.io/library/debian`.
    pub repository: String,
}

/// Remembers it, or that it was seen again.
pub fn insert(connection: &Connection, blob: &LayerBlob, now_ns: i64) -> Result<()> {
    let insert = "INSERT INTO layer_blobs (diff_id, digest, size_bytes, media_type, repository, seen_ns)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (diff_id, digest, repository) DO UPDATE SET seen_ns = excluded.seen_ns";
    let values = params![
        blob.diff_id.as_str(),
        blob.digest.as_str(),
        blob.size_bytes as i64,
        blob.media_type,
        blob.repository,
        now_ns
    ];
    doing("remember a layer's blob", connection.execute(insert, values))?;
    Ok(())
}

/// What is known of a layer, what was seen last first.
pub fn of_layer(connection: &Connection, diff_id: &Digest) -> Result<Vec<LayerBlob>> {
    let what = "look for a layer's blobs";
    let query = "SELECT digest, size_bytes, media_type, repository FROM layer_blobs WHERE diff_id = ?1
        ORDER BY seen_ns DESC, digest, repository";
    let mut statement = doing(what, connection.prepare(query))?;
    let rows = statement.query_map([diff_id.as_str()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get(2)?, row.get(3)?))
    });
    doing(what, rows)?
        .map(|row| {
            let (digest, size, media_type, repository) = doing(what, row)?;
            Ok(LayerBlob {
                diff_id: diff_id.clone(),
                digest: parse("layer_blobs.digest", &digest)?,
                size_bytes: size as u64,
                media_type,
                repository,
            })
        })
        .collect()
}

/// Forgets what is known of layers that no image has.
pub fn forget_unused(connection: &Connection) -> Result<()> {
    let delete = "DELETE FROM layer_blobs WHERE diff_id NOT IN (SELECT diff_id FROM layers)";
    doing("forget layers' blobs", connection.execute(delete, []))?;
    Ok(())
}

/// The image's compressed layer is among the blobs.
pub fn keep(connection: &Connection, image: &Digest, digest: &Digest) -> Result<()> {
    let insert = "INSERT OR IGNORE INTO kept_blobs (image_id, digest) VALUES (?1, ?2)";
    doing("keep a blob", connection.execute(insert, [image.as_str(), digest.as_str()]))?;
    let update = "UPDATE images SET blobs_kept = 1 WHERE id = ?1";
    doing("keep a blob", connection.execute(update, [image.as_str()]))?;
    Ok(())
}

/// Every compressed layer that is kept.
pub fn kept(connection: &Connection) -> Result<HashSet<Digest>> {
    let what = "list the blobs that are kept";
    let mut statement = doing(what, connection.prepare("SELECT DISTINCT digest FROM kept_blobs"))?;
    let rows = doing(what, statement.query_map([], |row| row.get::<_, String>(0)))?;
    rows.map(|row| parse("kept_blobs.digest", &doing(what, row)?)).collect()
}

fn parse(column: &'static str, text: &str) -> Result<Digest> {
    text.parse().map_err(|e: corten_model::Invalid| Error::Corrupt { column, why: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Database;

    #[test]
    fn what_was_seen_last_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(dir.path()).unwrap();
        let connection = database.read();
        let blob = |byte, repository: &str| LayerBlob {
            diff_id: Digest::from_sha256([1; 32]),
            digest: Digest::from_sha256([byte; 32]),
            size_bytes: 7,
            media_type: "gzip".into(),
            repository: repository.into(),
        };
        let (one, two) = (blob(2, "a.example/x"), blob(3, "b.example/y"));
        insert(connection, &one, 1).unwrap();
        insert(connection, &two, 2).unwrap();
        assert_eq!(of_layer(connection, &one.diff_id).unwrap(), [two.clone(), one.clone()]);
        insert(connection, &one, 3).unwrap();
        assert_eq!(of_layer(connection, &one.diff_id).unwrap(), [one.clone(), two]);
        forget_unused(connection).unwrap();
        assert!(of_layer(connection, &one.diff_id).unwrap().is_empty());
    }
}
