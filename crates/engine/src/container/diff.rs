//! `diff`: what a container changed.

use std::path::PathBuf;

use corten_storage::diff::Upper;

use super::resolve;
use crate::db::containers::Container;
use crate::db::images;
use crate::error::Doing;
use crate::{Engine, Error, Result, image, inside};

pub use corten_storage::diff::{Change, ChangeKind};

/// What a container changed in its image's files, sorted by path.
pub fn diff(engine: &mut Engine, target: &str) -> Result<Vec<Change>> {
    let container = resolve(engine, target)?;
    changes(engine, &container).doing("compare container", target)
}

fn changes(engine: &mut Engine, container: &Container) -> Result<Vec<Change>> {
    let upper = upper(engine, container)?;
    let Some(dir) = upper.dir else { return Ok(Vec::new()) };
    let mut lowers = upper.lowers;
    lowers.push(engine.store().skeleton());
    inside::changes(engine, dir, lowers)
}

/// A container's upper directory on its image's layers.
pub(super) fn upper(engine: &mut Engine, container: &Container) -> Result<Upper> {
    let lowers = lowers(engine, container)?;
    let dir = engine.store().container_dir(&container.id).join("upper");
    // Made last by a start; without it the upper directory may be half made.
    let is_complete = dir.with_file_name("work").exists();
    Ok(Upper { dir: is_complete.then_some(dir), lowers })
}

/// The layers of a container's image, top first.
pub(super) fn lowers(engine: &mut Engine, container: &Container) -> Result<Vec<PathBuf>> {
    let image = images::by_id(engine.database()?.read(), &container.image_id)?;
    let image = image.ok_or_else(|| Error::NoSuch { what: "image", name: container.image.clone() })?;
    Ok(image::lowers_top_first(engine, &image))
}
