//! Rows of images, their layers and their tags.

use corten_model::image::ImageConfig;
use corten_model::{Digest, Reference};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Error, Result, doing};

/// A layer of an image, lowest first in [`Image::layers`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// The digest of its uncompressed tar.
    pub diff_id: Digest,
    /// The name of its unpacked directory.
    pub chain_id: Digest,
    /// Bytes of its files.
    pub size_bytes: u64,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The config's digest.
    pub id: Digest,
    /// The manifest's digest.
    pub manifest: Digest,
    /// The config.
    pub config: ImageConfig,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
    /// Bytes of all layers.
    pub size_bytes: u64,
    /// Uids and gids of its files above 65,535, ascending.
    pub high_ids: Vec<u32>,
    /// When it was made here.
    pub created_ns: i64,
}

const COLUMNS: &str = "id, manifest, config, layers, size_bytes, high_ids, created_ns";

fn corrupt(column: &'static str, why: &dyn std::fmt::Display) -> Error {
    Error::Corrupt { column, why: why.to_string() }
}

/// Text columns as SQLite gives them, parsed outside of its row callback.
struct Raw(String, String, String, String, u64, String, i64);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let size: i64 = row.get(4)?;
    Ok(Raw(row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, size as u64, row.get(5)?, row.get(6)?))
}

fn parse(raw: Raw) -> Result<Image> {
    Ok(Image {
        id: raw.0.parse().map_err(|e| corrupt("images.id", &e))?,
        manifest: raw.1.parse().map_err(|e| corrupt("images.manifest", &e))?,
        config: serde_json::from_str(&raw.2).map_err(|e| corrupt("images.config", &e))?,
        layers: serde_json::from_str(&raw.3).map_err(|e| corrupt("images.layers", &e))?,
        size_bytes: raw.4,
        high_ids: serde_json::from_str(&raw.5).map_err(|e| corrupt("images.high_ids", &e))?,
        created_ns: raw.6,
    })
}

/// Inserts an image and its layers; one that is there already stays as it is.
pub fn insert(connection: &Connection, image: &Image) -> Result<()> {
    let insert =
        "INSERT OR IGNORE INTO images (id, manifest, config, layers, size_bytes, high_ids, created_ns)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = params![
        image.id.as_str(),
        image.manifest.as_str(),
        serde_json::to_string(&image.config).expect("a config is JSON"),
        serde_json::to_string(&image.layers).expect("layers are JSON"),
        image.size_bytes as i64,
        serde_json::to_string(&image.high_ids).expect("numbers are JSON"),
        image.created_ns,
    ];
    doing("insert an image", connection.execute(insert, values))?;
    for layer in &image.layers {
        let insert = "INSERT OR IGNORE INTO layers (chain_id, diff_id, size_bytes) VALUES (?1, ?2, ?3)";
        let values = params![layer.chain_id.as_str(), layer.diff_id.as_str(), layer.size_bytes as i64];
        doing("insert a layer", connection.execute(insert, values))?;
    }
    Ok(())
}

/// Points a tag at an image; the tag leaves the image it named before.
pub fn tag(connection: &Connection, reference: &Reference, id: &Digest) -> Result<()> {
    let insert = "INSERT INTO tags (reference, image_id) VALUES (?1, ?2)
        ON CONFLICT (reference) DO UPDATE SET image_id = excluded.image_id";
    doing("tag an image", connection.execute(insert, params![reference.to_string(), id.as_str()]))?;
    Ok(())
}

/// Removes a tag; whether there was one.
pub fn untag(connection: &Connection, reference: &Reference) -> Result<bool> {
    let delete = "DELETE FROM tags WHERE reference = ?1";
    Ok(doing("remove a tag", connection.execute(delete, [reference.to_string()]))? > 0)
}

/// The image with this full name.
pub fn by_reference(connection: &Connection, reference: &Reference) -> Result<Option<Image>> {
    let query = "SELECT id, manifest, config, layers, size_bytes, high_ids, created_ns
        FROM images JOIN tags ON image_id = id WHERE reference = ?1";
    let found = connection.query_row(query, [reference.to_string()], raw).optional();
    doing("look an image up", found)?.map(parse).transpose()
}

/// Whether the image is there.
pub fn exists(connection: &Connection, id: &Digest) -> Result<bool> {
    let found =
        connection.query_row("SELECT 1 FROM images WHERE id = ?1", [id.as_str()], |_| Ok(())).optional();
    Ok(doing("look an image up", found)?.is_some())
}

/// The image with this id.
pub fn by_id(connection: &Connection, id: &Digest) -> Result<Option<Image>> {
    let query = format!("SELECT {COLUMNS} FROM images WHERE id = ?1");
    doing("look an image up", connection.query_row(&query, [id.as_str()], raw).optional())?
        .map(parse)
        .transpose()
}

/// Images whose id's hex digits begin with `prefix`; two are enough to know that it is ambiguous.
pub fn by_prefix(connection: &Connection, prefix: &str) -> Result<Vec<Image>> {
    if prefix.is_empty() || !corten_model::id::is_hex(prefix) {
        return Ok(Vec::new());
    }
    let query = format!("SELECT {COLUMNS} FROM images WHERE id >= ?1 AND id < ?2 LIMIT 2");
    let from = format!("sha256:{prefix}");
    let mut statement = doing("look an image up", connection.prepare(&query))?;
    let rows = doing("look an image up", statement.query_map(params![from, format!("{from}g")], raw))?;
    rows.map(|row| parse(doing("look an image up", row)?)).collect()
}

/// All images, newest first.
pub fn all(connection: &Connection) -> Result<Vec<Image>> {
    let query = format!("SELECT {COLUMNS} FROM images ORDER BY created_ns DESC, id");
    let mut statement = doing("list images", connection.prepare(&query))?;
    let rows = doing("list images", statement.query_map([], raw))?;
    rows.map(|row| parse(doing("list images", row)?)).collect()
}

/// All tags with the image that each names.
pub fn tags(connection: &Connection) -> Result<Vec<(Reference, Digest)>> {
    let mut statement =
        doing("list tags", connection.prepare("SELECT reference, image_id FROM tags ORDER BY reference"))?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
    let mut tags = Vec::new();
    for row in doing("list tags", rows)? {
        let (reference, id) = doing("list tags", row)?;
        let reference = reference.parse().map_err(|e| corrupt("tags.reference", &e))?;
        tags.push((reference, id.parse().map_err(|e| corrupt("tags.image_id", &e))?));
    }
    Ok(tags)
}

/// Names of the containers that were made of this image.
pub fn users(connection: &Connection, id: &Digest) -> Result<Vec<String>> {
    let mut statement = doing(
        "list an image's containers",
        connection.prepare("SELECT name FROM containers WHERE image_id = ?1"),
    )?;
    let rows = doing("list an image's containers", statement.query_map([id.as_str()], |row| row.get(0)))?;
    rows.map(|row| doing("list an image's containers", row)).collect()
}

/// Removes the rows of an image; gives back the layers that no other image has, highest first.
pub fn remove(connection: &Connection, image: &Image) -> Result<Vec<Digest>> {
    doing("remove tags", connection.execute("DELETE FROM tags WHERE image_id = ?1", [image.id.as_str()]))?;
    doing("remove an image", connection.execute("DELETE FROM images WHERE id = ?1", [image.id.as_str()]))?;
    let kept: Vec<Digest> = all(connection)?.into_iter().flat_map(|i| i.layers).map(|l| l.chain_id).collect();
    let mut orphans = Vec::new();
    for layer in image.layers.iter().rev().filter(|l| !kept.contains(&l.chain_id)) {
        let delete = "DELETE FROM layers WHERE chain_id = ?1";
        doing("remove a layer", connection.execute(delete, [layer.chain_id.as_str()]))?;
        orphans.push(layer.chain_id.clone());
    }
    Ok(orphans)
}
