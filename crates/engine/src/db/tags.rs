//! Rows of tags, and of the manifests and indexes that they point to.
//!
//! ```text
//! tag ─▶ index ─▶ manifest ─▶ image     several platforms below one name
//! tag ─────────▶ manifest ─▶ image     one platform
//!  └────────────────────────▶ image     the one of them that is for this machine: what `run` takes
//! ```
//! The bytes of manifests and indexes are blobs; a row says that they are here. Of an index only what is here has
//! rows below it: its bytes may name platforms that nobody fetched.

use corten_model::{Digest, Reference};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Error, Result, doing};

/// How deep indexes may hang below each other; what brings them in holds it too.
const DEPTH_MAX: u32 = 4;

/// A name of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The name.
    pub reference: Reference,
    /// The index or manifest that it points to.
    pub target: Digest,
    /// The image below it that is for this machine; another if there is none.
    pub image: Digest,
    /// When it was set, if that is known.
    pub tagged_ns: Option<i64>,
}

struct Raw([String; 3], Option<i64>);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok(Raw([row.get(0)?, row.get(1)?, row.get(2)?], row.get(3)?))
}

fn digest(column: &'static str, text: &str) -> Result<Digest> {
    text.parse().map_err(|e: corten_model::Invalid| Error::Corrupt { column, why: e.to_string() })
}

fn parse(Raw([reference, target, image], tagged_ns): Raw) -> Result<Tag> {
    let reference = reference.parse().map_err(|e: corten_model::Invalid| Error::Corrupt {
        column: "tags.reference",
        why: e.to_string(),
    })?;
    let (target, image) = (digest("tags.target", &target)?, digest("tags.image_id", &image)?);
    Ok(Tag { reference, target, image, tagged_ns })
}

/// Points a name at an index or manifest; it leaves what it named before.
pub fn set(connection: &Connection, tag: &Tag) -> Result<()> {
    let insert = "INSERT INTO tags (reference, target, image_id, tagged_ns) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (reference) DO UPDATE
        SET target = excluded.target, image_id = excluded.image_id, tagged_ns = excluded.tagged_ns";
    let values = params![tag.reference.to_string(), tag.target.as_str(), tag.image.as_str(), tag.tagged_ns];
    doing("tag an image", connection.execute(insert, values))?;
    Ok(())
}

/// Removes a name; whether there was one.
pub fn remove(connection: &Connection, reference: &Reference) -> Result<bool> {
    let delete = "DELETE FROM tags WHERE reference = ?1";
    Ok(doing("remove a tag", connection.execute(delete, [reference.to_string()]))? > 0)
}

/// The name, if it is in use.
pub fn by_reference(connection: &Connection, reference: &Reference) -> Result<Option<Tag>> {
    let query = "SELECT reference, target, image_id, tagged_ns FROM tags WHERE reference = ?1";
    let found = connection.query_row(query, [reference.to_string()], raw).optional();
    doing("look a tag up", found)?.map(parse).transpose()
}

/// All names, sorted.
pub fn all(connection: &Connection) -> Result<Vec<Tag>> {
    let query = "SELECT reference, target, image_id, tagged_ns FROM tags ORDER BY reference";
    let mut statement = doing("list tags", connection.prepare(query))?;
    let rows = doing("list tags", statement.query_map([], raw))?;
    rows.map(|row| parse(doing("list tags", row)?)).collect()
}

/// The names below which an image hangs, for this machine or not.
pub fn of_image(connection: &Connection, image: &Digest) -> Result<Vec<Tag>> {
    let query = format!(
        "WITH RECURSIVE above(digest, depth) AS (
            SELECT digest, 0 FROM manifests WHERE image_id = ?1
            UNION SELECT index_digest, depth + 1 FROM index_manifests JOIN above ON manifest = digest
                WHERE depth < {DEPTH_MAX}
        ) SELECT reference, target, image_id, tagged_ns FROM tags
            WHERE target IN (SELECT digest FROM above) ORDER BY reference"
    );
    let mut statement = doing("list an image's tags", connection.prepare(&query))?;
    let rows = doing("list an image's tags", statement.query_map([image.as_str()], raw))?;
    rows.map(|row| parse(doing("list an image's tags", row)?)).collect()
}

/// Keeps that the bytes of a manifest (of `image`) or of an index (none) are here.
pub fn insert_manifest(
    connection: &Connection,
    digest: &Digest,
    media_type: &str,
    image: Option<&Digest>,
) -> Result<()> {
    let insert = "INSERT OR IGNORE INTO manifests (digest, media_type, image_id) VALUES (?1, ?2, ?3)";
    let values = params![digest.as_str(), media_type, image.map(Digest::as_str)];
    doing("insert a manifest", connection.execute(insert, values))?;
    Ok(())
}

/// Keeps that the index names a manifest, or another index, that is here.
pub fn insert_below(
    connection: &Connection,
    index: &Digest,
    manifest: &Digest,
    position: usize,
) -> Result<()> {
    let insert =
        "INSERT OR IGNORE INTO index_manifests (index_digest, manifest, position) VALUES (?1, ?2, ?3)";
    let values = params![index.as_str(), manifest.as_str(), position as i64];
    doing("insert a manifest of an index", connection.execute(insert, values))?;
    Ok(())
}

/// The images below an index or manifest, in the index's order.
pub fn images_below(connection: &Connection, target: &Digest) -> Result<Vec<Digest>> {
    let query = format!(
        "WITH RECURSIVE below(digest, depth, place) AS (
            SELECT ?1, 0, ''
            UNION SELECT manifest, depth + 1, place || printf('%06d.', position)
                FROM index_manifests JOIN below ON index_digest = digest WHERE depth < {DEPTH_MAX}
        ) SELECT image_id FROM manifests JOIN below USING (digest) WHERE image_id IS NOT NULL
            GROUP BY image_id ORDER BY min(place)"
    );
    digests(connection, "list a tag's images", &query, &[target], "manifests.image_id")
}

/// What is here of an index: manifests and other indexes by their position.
pub fn below(connection: &Connection, index: &Digest) -> Result<Vec<(usize, Digest)>> {
    let query = "SELECT position, manifest FROM index_manifests WHERE index_digest = ?1 ORDER BY position";
    let mut statement = doing("list an index", connection.prepare(query))?;
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
    let rows = doing("list an index", statement.query_map([index.as_str()], read))?;
    rows.map(|row| {
        let (position, manifest) = doing("list an index", row)?;
        Ok((usize::try_from(position).unwrap_or_default(), digest("index_manifests.manifest", &manifest)?))
    })
    .collect()
}

/// The image that a manifest describes; none for an index, and for what isn't here.
pub fn image_of_manifest(connection: &Connection, manifest: &Digest) -> Result<Option<Digest>> {
    let query = "SELECT image_id FROM manifests WHERE digest = ?1 AND image_id IS NOT NULL";
    Ok(digests(connection, "look a manifest up", query, &[manifest], "manifests.image_id")?.pop())
}

/// The media type of a manifest or index that is here.
pub fn media_type(connection: &Connection, manifest: &Digest) -> Result<Option<String>> {
    let query = "SELECT media_type FROM manifests WHERE digest = ?1";
    let found = connection.query_row(query, [manifest.as_str()], |row| row.get(0)).optional();
    doing("look a manifest up", found)
}

/// Every manifest and index.
pub fn all_manifests(connection: &Connection) -> Result<Vec<Digest>> {
    digests(connection, "list manifests", "SELECT digest FROM manifests", &[], "manifests.digest")
}

/// Removes the rows of indexes that no tag, lease or other index names any more, the upper ones first.
pub fn remove_orphaned_indexes(connection: &Connection) -> Result<()> {
    let query = "DELETE FROM manifests WHERE image_id IS NULL
        AND digest NOT IN (SELECT target FROM tags)
        AND digest NOT IN (SELECT manifest FROM index_manifests)
        AND digest NOT IN (SELECT digest FROM lease_refs WHERE kind = 'manifest')";
    for _ in 0..=DEPTH_MAX {
        if doing("remove indexes", connection.execute(query, []))? == 0 {
            break;
        }
    }
    Ok(())
}

/// Removes the rows of an image's manifests, also from the indexes above them.
pub fn remove_manifests(connection: &Connection, image: &Digest) -> Result<()> {
    let unlink =
        "DELETE FROM index_manifests WHERE manifest IN (SELECT digest FROM manifests WHERE image_id = ?1)";
    doing("remove manifests", connection.execute(unlink, [image.as_str()]))?;
    let delete = "DELETE FROM manifests WHERE image_id = ?1";
    doing("remove manifests", connection.execute(delete, [image.as_str()]))?;
    Ok(())
}

fn digests(
    connection: &Connection,
    what: &'static str,
    query: &str,
    values: &[&Digest],
    column: &'static str,
) -> Result<Vec<Digest>> {
    let mut statement = doing(what, connection.prepare(query))?;
    let values = rusqlite::params_from_iter(values.iter().map(|value| value.as_str()));
    let rows = doing(what, statement.query_map(values, |row| row.get::<_, String>(0)))?;
    rows.map(|row| digest(column, &doing(what, row)?)).collect()
}

#[cfg(test)]
mod tests {
    use corten_model::image::ImageConfig;

    use super::*;
    use crate::db::Database;
    use crate::db::images::{self, Image, Layer};

    fn id(byte: u8) -> Digest {
        Digest::from_sha256([byte; 32])
    }

    /// An image of two layers, the lower one shared by all.
    fn image(byte: u8) -> Image {
        let layer = |byte| Layer { diff_id: id(byte), chain_id: id(byte), size_bytes: 1 };
        Image {
            id: id(byte),
            manifest: id(byte + 1),
            config: ImageConfig {
                os: "linux".into(),
                architecture: "amd64".into(),
                ..ImageConfig::default()
            },
            layers: vec![layer(1), layer(byte + 2)],
            size_bytes: 2,
            high_ids: Vec::new(),
            created_ns: 0,
        }
    }

    fn insert(connection: &Connection, image: &Image) {
        images::insert(connection, image).unwrap();
        insert_manifest(connection, &image.manifest, "manifest", Some(&image.id)).unwrap();
    }

    fn tag(name: &str, target: u8, image: u8) -> Tag {
        Tag { reference: name.parse().unwrap(), target: id(target), image: id(image), tagged_ns: Some(7) }
    }

    #[test]
    fn several_platforms_hang_below_one_name() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(dir.path()).unwrap();
        let connection = database.read();
        let (one, two) = (image(10), image(20));
        insert(connection, &one);
        insert(connection, &two);
        insert_manifest(connection, &id(99), "index", None).unwrap();
        insert_below(connection, &id(99), &two.manifest, 1).unwrap();
        insert_below(connection, &id(99), &one.manifest, 3).unwrap();
        let both = tag("both", 99, 10);
        set(connection, &both).unwrap();
        set(connection, &tag("first", 11, 10)).unwrap();
        assert_eq!(images_below(connection, &id(99)).unwrap(), [id(20), id(10)]);
        assert_eq!(images_below(connection, &id(11)).unwrap(), [id(10)]);
        assert_eq!(of_image(connection, &id(20)).unwrap(), std::slice::from_ref(&both));
        assert_eq!(of_image(connection, &id(10)).unwrap().len(), 2);
        let found = images::by_reference(connection, &both.reference).unwrap().unwrap();
        assert_eq!(found, one);

        // The index is kept by its name.
        remove_orphaned_indexes(connection).unwrap();
        assert_eq!(all_manifests(connection).unwrap().len(), 3);
        assert!(remove(connection, &both.reference).unwrap());
        images::remove(connection, &two).unwrap();
        remove_orphaned_indexes(connection).unwrap();
        assert_eq!(all_manifests(connection).unwrap(), std::slice::from_ref(&one.manifest));
    }

    #[test]
    fn a_name_moves() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(dir.path()).unwrap();
        let connection = database.read();
        insert(connection, &image(10));
        insert(connection, &image(20));
        set(connection, &tag("x", 11, 10)).unwrap();
        set(connection, &tag("x", 21, 20)).unwrap();
        assert_eq!(by_reference(connection, &"x".parse().unwrap()).unwrap(), Some(tag("x", 21, 20)));
        assert_eq!(all(connection).unwrap().len(), 1);
        assert!(of_image(connection, &id(10)).unwrap().is_empty());
    }
}
