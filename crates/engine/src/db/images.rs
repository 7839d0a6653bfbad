//! Rows of images and their layers. Names and manifests are in `tags.rs`.

use std::collections::{HashMap, HashSet};

use corten_model::image::ImageConfig;
use corten_model::{ContainerId, Digest, Reference};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Error, Result, doing, tags};
use crate::error::MATCHES_MAX;

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
    let insert = "INSERT OR IGNORE INTO images
            (id, manifest, config, layers, size_bytes, high_ids, created_ns, os, architecture, variant)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let values = params![
        image.id.as_str(),
        image.manifest.as_str(),
        serde_json::to_string(&image.config).expect("a config is JSON"),
        serde_json::to_string(&image.layers).expect("layers are JSON"),
        image.size_bytes as i64,
        serde_json::to_string(&image.high_ids).expect("numbers are JSON"),
        image.created_ns,
        image.config.os,
        image.config.architecture,
        image.config.variant.as_deref().unwrap_or_default(),
    ];
    doing("insert an image", connection.execute(insert, values))?;
    for layer in &image.layers {
        let insert = "INSERT OR IGNORE INTO layers (chain_id, diff_id, size_bytes) VALUES (?1, ?2, ?3)";
        let values = params![layer.chain_id.as_str(), layer.diff_id.as_str(), layer.size_bytes as i64];
        doing("insert a layer", connection.execute(insert, values))?;
    }
    Ok(())
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
    let query = format!("SELECT {COLUMNS} FROM images WHERE id >= ?1 AND id < ?2 LIMIT {MATCHES_MAX}");
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

/// Ids of all images.
pub fn ids(connection: &Connection) -> Result<Vec<Digest>> {
    let mut statement = doing("list images", connection.prepare("SELECT id FROM images"))?;
    let rows = doing("list images", statement.query_map([], |row| row.get::<_, String>(0)))?;
    rows.map(|row| doing("list images", row)?.parse().map_err(|e| corrupt("images.id", &e))).collect()
}

/// Names of the containers that were made of this image or mount it.
pub fn users(connection: &Connection, id: &Digest) -> Result<Vec<String>> {
    let mut statement = doing(
        "list an image's containers",
        connection.prepare(
            "SELECT name FROM containers WHERE image_id = ?1
                OR id IN (SELECT container FROM container_images WHERE image_id = ?1)",
        ),
    )?;
    let rows = doing("list an image's containers", statement.query_map([id.as_str()], |row| row.get(0)))?;
    rows.map(|row| doing("list an image's containers", row)).collect()
}

/// Notes that a container mounts an image at `target`.
pub fn attach(connection: &Connection, container: &ContainerId, image: &Digest, target: &str) -> Result<()> {
    let insert = "INSERT INTO container_images (container, image_id, target) VALUES (?1, ?2, ?3)";
    let values = params![container.as_str(), image.as_str(), target];
    doing("attach an image", connection.execute(insert, values))?;
    Ok(())
}

/// The images that a container mounts, with where each is.
pub fn mounted_by(connection: &Connection, container: &ContainerId) -> Result<Vec<(Image, String)>> {
    let what = "list the images that a container mounts";
    let query = format!(
        "SELECT {COLUMNS}, target FROM images JOIN container_images ON image_id = id WHERE container = ?1 ORDER BY target"
    );
    let mut statement = doing(what, connection.prepare_cached(&query))?;
    let rows = statement.query_map([container.as_str()], |row| Ok((raw(row)?, row.get::<_, String>(7)?)));
    let mut images = Vec::new();
    for row in doing(what, rows)? {
        let (image, target) = doing(what, row)?;
        images.push((parse(image)?, target));
    }
    Ok(images)
}

/// Images that containers mount.
pub fn mounted(connection: &Connection) -> Result<HashSet<Digest>> {
    let what = "list mounted images";
    let mut statement = doing(what, connection.prepare("SELECT DISTINCT image_id FROM container_images"))?;
    let rows = doing(what, statement.query_map([], |row| row.get::<_, String>(0)))?;
    rows.map(|row| doing(what, row)?.parse().map_err(|e| corrupt("container_images.image_id", &e))).collect()
}

/// How many containers were made of each image that has some.
pub fn users_of_all(connection: &Connection) -> Result<HashMap<Digest, u64>> {
    let what = "count the images' containers";
    let query = "SELECT image_id, count(*) FROM containers GROUP BY image_id";
    let mut statement = doing(what, connection.prepare(query))?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)));
    let mut users = HashMap::new();
    for row in doing(what, rows)? {
        let (id, count) = doing(what, row)?;
        users.insert(id.parse().map_err(|e| corrupt("containers.image_id", &e))?, count.unsigned_abs());
    }
    Ok(users)
}

/// Removes the rows of an image, which no tag names as its own any more; gives back the layers that only it had,
/// highest first. Their bytes go when gc finds them.
pub fn remove(connection: &Connection, image: &Image) -> Result<Vec<Digest>> {
    tags::remove_manifests(connection, &image.id)?;
    doing("remove an image", connection.execute("DELETE FROM images WHERE id = ?1", [image.id.as_str()]))?;
    let delete = "DELETE FROM layers WHERE chain_id = ?1
        AND NOT EXISTS (SELECT 1 FROM images, json_each(images.layers) WHERE value ->> '$.chain_id' = ?1)";
    let mut orphans = Vec::new();
    for layer in image.layers.iter().rev() {
        if doing("remove a layer", connection.execute(delete, [layer.chain_id.as_str()]))? > 0 {
            orphans.push(layer.chain_id.clone());
        }
    }
    Ok(orphans)
}
