//! Rows of leases: who is making something that no name reaches yet, and images whose last name went.
//!
//! ```text
//! work       `load`, `import`, …   expires in a day; holds layers by name, those on top of a chain, and every blob
//! unnamed    an image              expires in a week; holds the image and all that is below it
//! ```

use std::collections::HashSet;

use corten_model::Digest;
use corten_storage::Held;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, Result, doing};

/// Owner of the leases of images that have no name.
const UNNAMED: &str = "unnamed";
/// How deep indexes may hang below each other.
const DEPTH_MAX: u32 = 4;

/// What a lease holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ref {
    /// This layer, by its chain id, present or to come.
    Layer(Digest),
    /// Every layer directly on top of this chain; none: every lowest one.
    Above(Option<Digest>),
    /// Every layer.
    Every,
}

impl Ref {
    fn columns(&self) -> (&'static str, &str) {
        match self {
            Ref::Layer(chain) => ("layer", chain.as_str()),
            Ref::Above(chain) => ("above", chain.as_ref().map_or("", Digest::as_str)),
            Ref::Every => ("every", ""),
        }
    }
}

/// Inserts a lease.
pub fn insert(connection: &Connection, id: &str, owner: &str, now_ns: i64, expires_ns: i64) -> Result<()> {
    let insert = "INSERT INTO leases (id, owner, created_ns, expires_ns) VALUES (?1, ?2, ?3, ?4)";
    doing("insert a lease", connection.execute(insert, params![id, owner, now_ns, expires_ns]))?;
    Ok(())
}

/// Adds to what a lease holds.
pub fn hold(connection: &Connection, id: &str, refs: &[Ref]) -> Result<()> {
    let insert = "INSERT OR IGNORE INTO lease_refs (lease, kind, digest) VALUES (?1, ?2, ?3)";
    for (kind, digest) in refs.iter().map(Ref::columns) {
        doing("extend a lease", connection.execute(insert, params![id, kind, digest]))?;
    }
    Ok(())
}

/// Whether the lease is there.
pub fn exists(connection: &Connection, id: &str) -> Result<bool> {
    let found = connection.query_row("SELECT 1 FROM leases WHERE id = ?1", [id], |_| Ok(())).optional();
    Ok(doing("look a lease up", found)?.is_some())
}

/// Removes a lease; one that isn't there is fine.
pub fn remove(connection: &Connection, id: &str) -> Result<()> {
    doing("remove a lease", connection.execute("DELETE FROM leases WHERE id = ?1", [id]))?;
    Ok(())
}

/// Removes the leases of work that expired before `now_ns`, or all of them: the caller knows that nobody works. How many.
pub fn remove_work(connection: &Connection, now_ns: Option<i64>) -> Result<usize> {
    let delete = "DELETE FROM leases WHERE owner <> ?1 AND (?2 IS NULL OR expires_ns <= ?2)";
    doing("remove leases", connection.execute(delete, params![UNNAMED, now_ns]))
}

/// Whether [`remove_work`] would remove one.
pub fn has_ended_work(connection: &Connection, now_ns: Option<i64>) -> Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM leases WHERE owner <> ?1 AND (?2 IS NULL OR expires_ns <= ?2))";
    doing("look for leases", connection.query_row(query, params![UNNAMED, now_ns], |row| row.get(0)))
}

/// Owners of leases of work.
pub fn work(connection: &Connection) -> Result<Vec<String>> {
    let query = "SELECT owner FROM leases WHERE owner <> ?1 ORDER BY created_ns";
    let mut statement = doing("list leases", connection.prepare(query))?;
    let rows = doing("list leases", statement.query_map([UNNAMED], |row| row.get(0)))?;
    rows.map(|row| doing("list leases", row)).collect()
}

/// What the leases of work hold that have not expired.
pub fn held(connection: &Connection, now_ns: i64) -> Result<Held> {
    let query =
        "SELECT coalesce(kind, ''), coalesce(digest, '') FROM leases LEFT JOIN lease_refs ON id = lease
        WHERE owner <> ?1 AND (expires_ns IS NULL OR expires_ns > ?2)";
    let mut statement = doing("list what leases hold", connection.prepare(query))?;
    let rows = statement
        .query_map(params![UNNAMED, now_ns], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
    let mut held = Held::default();
    for row in doing("list what leases hold", rows)? {
        let (kind, digest) = doing("list what leases hold", row)?;
        held.any_blob = true;
        match (kind.as_str(), digest.as_str()) {
            ("layer", digest) => drop(held.layers.insert(chain(digest)?)),
            ("every", _) => held.any_layer = true,
            ("above", "") => drop(held.above.insert(None)),
            ("above", digest) => drop(held.above.insert(Some(chain(digest)?))),
            // It holds nothing else yet, or something that only a newer binary knows.
            _ => {}
        }
    }
    Ok(held)
}

/// Chain ids of the layers of every image that has a row.
pub fn layers_of_images(connection: &Connection) -> Result<HashSet<Digest>> {
    let query = "SELECT DISTINCT value ->> '$.chain_id' FROM images, json_each(images.layers)";
    let mut statement = doing("list layers", connection.prepare(query))?;
    let rows = doing("list layers", statement.query_map([], |row| row.get::<_, String>(0)))?;
    rows.map(|row| chain(&doing("list layers", row)?)).collect()
}

fn chain(text: &str) -> Result<Digest> {
    text.parse().map_err(|e: corten_model::Invalid| Error::Corrupt {
        column: "lease_refs.digest",
        why: e.to_string(),
    })
}

/// Removes the rows of layers that no image has.
pub fn forget_layers(connection: &Connection) -> Result<()> {
    let delete = "DELETE FROM layers WHERE chain_id NOT IN
        (SELECT value ->> '$.chain_id' FROM images, json_each(images.layers))";
    doing("forget layers", connection.execute(delete, []))?;
    Ok(())
}

/// An image that neither a tag nor a container reaches, and since when it is known to be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreached {
    /// The image.
    pub image: Digest,
    /// When its grace ends; none: nobody has looked yet.
    pub expires_ns: Option<i64>,
}

/// The images that neither a tag nor a container reaches.
pub fn unreached(connection: &Connection) -> Result<Vec<Unreached>> {
    let query = format!(
        "WITH RECURSIVE below(digest, depth) AS (
            SELECT target, 0 FROM tags
            UNION SELECT manifest, depth + 1 FROM index_manifests JOIN below ON index_digest = digest
                WHERE depth < {DEPTH_MAX}
        ), reached(id) AS (
            SELECT image_id FROM manifests JOIN below USING (digest) WHERE image_id IS NOT NULL
            UNION SELECT image_id FROM tags
            UNION SELECT image_id FROM containers
            UNION SELECT image_id FROM container_images
        ) SELECT images.id, leases.expires_ns FROM images
            LEFT JOIN leases ON leases.id = 'unnamed ' || images.id
            WHERE images.id NOT IN (SELECT id FROM reached)"
    );
    let mut statement = doing("look for unnamed images", connection.prepare(&query))?;
    let rows = doing(
        "look for unnamed images",
        statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?))),
    )?;
    rows.map(|row| {
        let (id, expires_ns) = doing("look for unnamed images", row)?;
        Ok(Unreached { image: chain(&id)?, expires_ns })
    })
    .collect()
}

/// Gives an image without a name its grace.
pub fn insert_unnamed(connection: &Connection, image: &Digest, now_ns: i64, expires_ns: i64) -> Result<()> {
    let id = format!("{UNNAMED} {image}");
    insert(connection, &id, UNNAMED, now_ns, expires_ns)?;
    let insert = "INSERT INTO lease_refs (lease, kind, digest) VALUES (?1, 'image', ?2)";
    doing("insert a lease", connection.execute(insert, params![id, image.as_str()]))?;
    Ok(())
}

/// Removes the leases of images that are gone, or have a name or a container again: their grace begins anew.
pub fn remove_needless(connection: &Connection) -> Result<usize> {
    let unreached = unreached(connection)?;
    let kept: Vec<String> = unreached.iter().map(|u| format!("{UNNAMED} {}", u.image)).collect();
    let delete = "DELETE FROM leases WHERE owner = ?1 AND id NOT IN (SELECT value FROM json_each(?2))";
    let kept = serde_json::to_string(&kept).expect("strings are JSON");
    doing("remove leases", connection.execute(delete, params![UNNAMED, kept]))
}

/// How many leases images without a name have.
pub fn count_unnamed(connection: &Connection) -> Result<usize> {
    let query = "SELECT count(*) FROM leases WHERE owner = ?1";
    let count: i64 = doing("count leases", connection.query_row(query, [UNNAMED], |row| row.get(0)))?;
    Ok(count as usize)
}
