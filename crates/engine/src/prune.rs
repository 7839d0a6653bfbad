//! What nobody uses goes: stopped containers, unused volumes, images without a name or a container.
//!
//! Each removal is the one of `rm`, `volume rm` and `rmi`, so whatever came into use since it was looked at stays.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use corten_model::Kind;

use crate::container::{self, ListFilter, RemoveOptions};
use crate::db::{images, tags, volumes};
use crate::image::{self, Removed};
use crate::{Engine, Result, inside, volume};

/// Which of the unused things go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only what was made before this, nanoseconds since the epoch.
    pub until_unix_ns: Option<i128>,
    /// Only what has one of these labels; all if there are none.
    pub labels: Vec<Label>,
    /// Nothing that has one of these labels.
    pub without_labels: Vec<Label>,
}

/// A label's key, and its value if that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Option<String>,
}

/// What went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned<T> {
    /// Ids of containers, names of volumes, names and ids of images.
    pub removed: Vec<T>,
    /// Bytes that are free now.
    pub reclaimed_bytes: u64,
}

impl<T> Default for Pruned<T> {
    fn default() -> Self {
        Self { removed: Vec::new(), reclaimed_bytes: 0 }
    }
}

impl Label {
    fn is_in(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(&self.key).is_some_and(|found| self.value.as_ref().is_none_or(|value| value == found))
    }
}

impl Filter {
    fn takes(&self, created_unix_s: i64, labels: &BTreeMap<String, String>) -> bool {
        let created_unix_ns = i128::from(created_unix_s) * 1_000_000_000;
        self.until_unix_ns.is_none_or(|until| created_unix_ns < until)
            && (self.labels.is_empty() || self.labels.iter().any(|label| label.is_in(labels)))
            && !self.without_labels.iter().any(|label| label.is_in(labels))
    }
}

/// Removes the containers that don't run.
pub fn containers(engine: &mut Engine, filter: &Filter) -> Result<Pruned<String>> {
    let mut pruned = Pruned::default();
    for found in container::list(engine, &ListFilter { all: true })? {
        if found.status.is_alive() || !filter.takes(found.created_unix_s, &found.labels) {
            continue;
        }
        let bytes = size(engine, engine.store().container_dir(&found.id))?;
        if went(container::remove(engine, found.id.as_str(), RemoveOptions::default()))? {
            pruned.removed.push(found.id.to_string());
            pruned.reclaimed_bytes += bytes;
        }
    }
    Ok(pruned)
}

/// Removes the volumes that no container has; only those without a name of their own unless `all`.
pub fn volumes(engine: &mut Engine, all: bool, filter: &Filter) -> Result<Pruned<String>> {
    let mut pruned = Pruned::default();
    for row in volumes::all(engine.database()?.read())? {
        let created_unix_s = row.created_ns / 1_000_000_000;
        if !(all || row.anonymous) || !filter.takes(created_unix_s, &row.labels) {
            continue;
        }
        if !volumes::users(engine.database()?.read(), &row.id)?.is_empty() {
            continue;
        }
        let bytes = size(engine, engine.store().volume_data(&row.id))?;
        if went(volume::remove(engine, row.name.as_str(), false))? {
            pruned.removed.push(row.name.to_string());
            pruned.reclaimed_bytes += bytes;
        }
    }
    Ok(pruned)
}

/// Removes the images that no container has: those without a name, or with `all` every one.
pub fn images(engine: &mut Engine, all: bool, filter: &Filter) -> Result<Pruned<Removed>> {
    let listed = container::list(engine, &ListFilter { all: true })?;
    let mut in_use = images::mounted(engine.database()?.read())?;
    in_use.extend(listed.into_iter().map(|c| c.image_id));
    let mut candidates = Vec::new();
    let mut layers: HashSet<PathBuf> = HashSet::new();
    for found in image::list(engine)? {
        // Below a name may hang images for other machines.
        let has_name = !tags::of_image(engine.database()?.read(), &found.id)?.is_empty();
        if in_use.contains(&found.id) || has_name && !all {
            continue;
        }
        let Some(row) = images::by_id(engine.database()?.read(), &found.id)? else { continue };
        let labels = row.config.config.labels.clone().unwrap_or_default();
        if filter.takes(found.created_unix_s, &labels) {
            layers.extend(image::lowers_top_first(engine, &row));
            candidates.push(found.id);
        }
    }
    let layers: Vec<PathBuf> = layers.into_iter().collect();
    let sizes = inside::sizes(engine, layers.clone())?;
    let mut pruned = Pruned::default();
    let forced = image::RemoveOptions { force: true, ..Default::default() };
    for id in candidates {
        match image::remove(engine, id.as_str(), &forced) {
            Ok(removed) => pruned.removed.extend(removed),
            Err(error) => drop(went(Err(error))?),
        }
    }
    let gone = layers.iter().zip(sizes).filter(|(path, _)| !path.exists());
    pruned.reclaimed_bytes = gone.map(|(_, bytes)| bytes).sum();
    Ok(pruned)
}

fn size(engine: &Engine, path: PathBuf) -> Result<u64> {
    Ok(inside::sizes(engine, vec![path])?.first().copied().unwrap_or(0))
}

/// Whether it was removed; what came into use, or is gone, since we looked is no failure.
fn went(outcome: Result<()>) -> Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), Kind::Conflict | Kind::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(text: &str) -> Label {
        let (key, value) = text.split_once('=').map_or((text, None), |(k, v)| (k, Some(v.to_owned())));
        Label { key: key.to_owned(), value }
    }

    #[test]
    fn different_keys_are_and_and_labels_are_or() {
        let check = |until_s: Option<i128>, with: &[&str], without: &[&str], expected: bool| {
            let filter = Filter {
                until_unix_ns: until_s.map(|s| s * 1_000_000_000),
                labels: with.iter().map(|text| label(text)).collect(),
                without_labels: without.iter().map(|text| label(text)).collect(),
            };
            let labels = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())]);
            assert_eq!(filter.takes(100, &labels), expected, "{filter:?}");
        };
        check(None, &[], &[], true);
        check(Some(101), &[], &[], true);
        check(Some(100), &[], &[], false);
        check(None, &["a"], &[], true);
        check(None, &["a=1"], &[], true);
        check(None, &["a=2"], &[], false);
        check(None, &["a=2", "b"], &[], true);
        check(None, &[], &["c"], true);
        check(None, &[], &["b", "c"], false);
        check(None, &["a"], &["a=2"], true);
        check(Some(50), &["a"], &[], false);
    }
}
