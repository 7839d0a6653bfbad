//! Volumes by name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use corten_model::{Name, VolumeId};
use corten_storage::tree::Hands;

use crate::db::volumes;
use crate::db::{Database, events};
use crate::engine::random_id;
use crate::error::Doing;
use crate::{Engine, Error, Result, inside, journal};

pub(crate) mod options;

pub(crate) use options::Data;

/// A volume.
#[derive(Debug, Clone)]
pub struct Volume {
    /// Its name.
    pub name: Name,
    /// Where its data is on the host.
    pub mountpoint: PathBuf,
    /// When it was made, seconds since the epoch.
    pub created_unix_s: i64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Options of its driver.
    pub options: BTreeMap<String, String>,
    /// Whether it has no name of its own.
    pub anonymous: bool,
}

/// A volume that is asked for.
#[derive(Debug, Clone, Default)]
pub struct New {
    /// Its name; without one it is anonymous.
    pub name: Option<Name>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Options of its driver.
    pub options: BTreeMap<String, String>,
}

/// A row for a new volume; without a name it is anonymous and called by its id.
pub(crate) fn new_row(new: New) -> Result<volumes::Volume> {
    let New { name, labels, options } = new;
    let id = VolumeId::from_bytes(random_id()?);
    let anonymous = name.is_none();
    let name = name.unwrap_or_else(|| id.as_str().parse().expect("64 hex digits are a name"));
    Ok(volumes::Volume { id, name, labels, options, anonymous, created_ns: journal::now_ns() })
}

/// Makes the data of a new volume, filled with what the image's layers (top first) have at a path.
pub(crate) fn make_data(engine: &mut Engine, id: &VolumeId, image: Option<(&[PathBuf], &str)>) -> Result<()> {
    inside::make_volume(engine, id, image)
}

/// Fills a volume that is there and still empty likewise.
pub(crate) fn fill_data(engine: &mut Engine, id: &VolumeId, image: Option<(&[PathBuf], &str)>) -> Result<()> {
    inside::fill_volume(engine, id, image)
}

/// Removes the data of volumes whose rows are gone, or were never made.
pub(crate) fn remove_data<'v>(
    engine: &Engine,
    volumes: impl Iterator<Item = &'v volumes::Volume>,
) -> Result<()> {
    let place = |v: &volumes::Volume| engine.store().volume_data(&v.id).parent().map(PathBuf::from);
    inside::remove_trees(engine.is_rootless(), &volumes.filter_map(place).collect::<Vec<_>>(), Hands::Many)
}

/// As callers see it.
pub(crate) fn present(engine: &Engine, volume: volumes::Volume) -> Volume {
    Volume {
        mountpoint: engine.store().volume_data(&volume.id),
        name: volume.name,
        created_unix_s: volume.created_ns / 1_000_000_000,
        labels: volume.labels,
        options: volume.options,
        anonymous: volume.anonymous,
    }
}

/// Makes a volume; one of that name that is there already is given back.
pub fn create(engine: &mut Engine, new: New, driver: Option<&str>) -> Result<Volume> {
    options::check_driver(driver)?;
    options::check(&new.options)?;
    let typed = new.name.as_ref().map(|n| n.to_string()).unwrap_or_default();
    if let Some(known) = volumes::by_name(engine.database()?.read(), &typed)? {
        return Ok(present(engine, known));
    }
    let volume = new_row(new)?;
    let _writing = engine.store().writing()?;
    make_data(engine, &volume.id, None).doing("create volume", volume.name.as_str())?;
    let made = engine.database()?.write_durably(|transaction| -> Result<Option<volumes::Volume>> {
        // Another command may have made it since we looked.
        if let Some(other) = volumes::by_name(transaction, volume.name.as_str())? {
            return Ok(Some(other));
        }
        volumes::insert(transaction, &volume)?;
        let attributes = BTreeMap::from([("driver", "local".to_owned())]);
        events::record(
            transaction,
            volume.created_ns,
            "volume",
            "create",
            volume.name.as_str(),
            &attributes,
        )?;
        Ok(None)
    });
    match made {
        Ok(None) => Ok(present(engine, volume)),
        Ok(Some(other)) => {
            remove_data(engine, std::iter::once(&volume))?;
            Ok(present(engine, other))
        }
        Err(error) => {
            remove_data(engine, std::iter::once(&volume))?;
            Err(error)
        }
    }
}

/// Names of the volumes that containers mount.
pub fn in_use(engine: &mut Engine) -> Result<BTreeSet<Name>> {
    let connection = engine.database()?.read();
    let mut used = BTreeSet::new();
    for volume in volumes::all(connection)? {
        if !volumes::users(connection, &volume.id)?.is_empty() {
            used.insert(volume.name);
        }
    }
    Ok(used)
}

/// All volumes by name.
pub fn list(engine: &mut Engine) -> Result<Vec<Volume>> {
    let all = volumes::all(engine.database()?.read())?;
    Ok(all.into_iter().map(|v| present(engine, v)).collect())
}

fn find(database: &Database, name: &str) -> Result<volumes::Volume> {
    volumes::by_name(database.read(), name)?
        .ok_or_else(|| Error::NoSuch { what: "volume", name: name.to_owned() })
}

/// One volume.
pub fn inspect(engine: &mut Engine, name: &str) -> Result<Volume> {
    let volume = find(engine.database()?, name)?;
    Ok(present(engine, volume))
}

/// Removes a volume that no container uses. With `force`, one that isn't there is no error.
pub fn remove(engine: &mut Engine, name: &str, force: bool) -> Result<()> {
    match remove_found(engine, name) {
        Err(Error::NoSuch { .. }) if force => Ok(()),
        other => other.doing("remove volume", name),
    }
}

fn remove_found(engine: &mut Engine, name: &str) -> Result<()> {
    let volume = engine.database()?.write_durably(|transaction| -> Result<volumes::Volume> {
        let volume = volumes::by_name(transaction, name)?;
        let volume = volume.ok_or_else(|| Error::NoSuch { what: "volume", name: name.to_owned() })?;
        if let Some(by) = volumes::users(transaction, &volume.id)?.pop() {
            return Err(Error::InUse { what: "volume", name: name.to_owned(), by });
        }
        volumes::remove(transaction, &volume.id)?;
        let attributes = BTreeMap::from([("driver", "local".to_owned())]);
        events::record(transaction, journal::now_ns(), "volume", "destroy", name, &attributes)?;
        Ok(volume)
    })?;
    remove_data(engine, std::iter::once(&volume))
}
