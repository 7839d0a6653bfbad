//! The collection of garbage: what no tag, container or lease reaches goes, and nobody is asked.
//!
//! ```text
//! forget   rows of images that nothing has reached for a week, leases of commands that are gone      durable
//! condemn  in a transaction: what is on disk, in no image's row and in no lease, is moved out of the way
//! empty    what was moved is removed; nobody waits for it but who asked
//! ```
//! Nothing on disk is touched before the removal of the last row that named it is durable. While it is moved, the write
//! transaction keeps leases from being taken and rows from being made: who takes a lease after it finds the bytes gone.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use corten_model::{ContainerId, Digest};
use corten_storage::tree::Hands;
use corten_storage::{Garbage, Live, Trash, Writing};
use rusqlite::Connection;

use crate::db::{blobs as kept_blobs, containers, events, images, leases, tags};
use crate::keeper::places;
use crate::{Engine, Result, Roots, inside, journal};

/// A day.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The file below the data root whose time is that of the last collection.
const STAMP: &str = "collected.lock";
/// A container's directory that is younger may belong to a removal that is under way.
const TIDYING: Duration = Duration::from_secs(600);

/// Forgets what nothing reaches, and removes it from the disk. Gives the images back that went.
pub fn collect(engine: &mut Engine) -> Result<Vec<Digest>> {
    // Somebody works: then only what no lease holds goes.
    let alone = engine.store().alone().ok();
    let forgotten = forget(engine, alone.is_some())?;
    sweep(engine, alone)?;
    stamp(engine.roots());
    Ok(forgotten)
}

/// Notes that there was a collection just now.
fn stamp(roots: &Roots) {
    // Without it the next command comes back to it, no more.
    let _ = std::fs::write(roots.data.join(STAMP), "");
}

/// Whether the last collection is so long ago that there should be one without cause. A store begins with its first day.
pub(crate) fn is_due(engine: &Engine) -> bool {
    let written = std::fs::metadata(engine.roots().data.join(STAMP)).and_then(|stamp| stamp.modified());
    let Ok(written) = written else {
        stamp(engine.roots());
        return false;
    };
    let age = SystemTime::now().duration_since(written).unwrap_or_default();
    // The configuration isn't read for less.
    age >= DAY
        && engine.config().is_ok_and(|config| {
            let gc = config.gc;
            gc.automatic && gc.every_days > 0 && age >= DAY * gc.every_days
        })
}

/// Removes from the disk what no row and no lease names.
pub(crate) fn remove_unnamed(engine: &mut Engine) -> Result<()> {
    let alone = engine.store().alone().ok();
    sweep(engine, alone)
}

/// Whether a collection would find something to do.
pub(crate) fn is_wanted(engine: &mut Engine) -> Result<bool> {
    let alone = engine.store().alone().ok();
    if has_to_forget(engine.database()?.read(), alone.is_some())? {
        return Ok(true);
    }
    let (store, roots) = (engine.store().clone(), engine.roots().clone());
    let garbage = Garbage::find(&store, &live(&roots, engine.database()?.read())?)?;
    Ok(!garbage.is_empty() || alone.is_some() && !corten_storage::litter(&store)?.is_empty())
}

fn has_to_forget(connection: &Connection, alone: bool) -> Result<bool> {
    let now_ns = journal::now_ns();
    let unreached = leases::unreached(connection)?;
    let due = |u: &leases::Unreached| u.expires_ns.is_none_or(|expires_ns| expires_ns <= now_ns);
    Ok(unreached.iter().any(due)
        || leases::has_ended_work(connection, (!alone).then_some(now_ns))?
        || leases::count_unnamed(connection)? != unreached.len())
}

/// What the rows name, for whoever compares it with the disk.
pub(crate) fn live(roots: &Roots, connection: &Connection) -> Result<Live> {
    let blobs = images::ids(connection)?.into_iter().chain(tags::all_manifests(connection)?);
    Ok(Live {
        containers: containers_on_disk(roots, connection)?,
        layers: leases::layers_of_images(connection)?,
        blobs: blobs.collect(),
        kept: kept_blobs::kept(connection)?,
        volumes: HashSet::new(),
        held: leases::held(connection, journal::now_ns())?,
    })
}

/// Containers with rows, and those whose directories somebody is tidying up.
fn containers_on_disk(roots: &Roots, connection: &Connection) -> Result<HashSet<ContainerId>> {
    let mut known: HashSet<ContainerId> = containers::all_ids(connection)?.into_iter().collect();
    let directory = roots.data.join("containers");
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let age = entry.metadata().and_then(|m| m.modified()).ok();
        let age = age.and_then(|then| SystemTime::now().duration_since(then).ok()).unwrap_or_default();
        if !known.contains(&id) && (age < TIDYING || places::is_locked(&roots.run, &id)) {
            known.insert(id);
        }
    }
    Ok(known)
}

/// Removes the rows of images whose grace is over, and leases of nobody; gives those their grace that lost their last name.
fn forget(engine: &mut Engine, alone: bool) -> Result<Vec<Digest>> {
    if !has_to_forget(engine.database()?.read(), alone)? {
        return Ok(Vec::new());
    }
    let now_ns = journal::now_ns();
    let grace_ns = (DAY * engine.config()?.gc.unnamed_days).as_nanos() as i64;
    let due = |u: &leases::Unreached| u.expires_ns.is_some_and(|expires_ns| expires_ns <= now_ns);
    let forgotten = engine.database()?.write_durably(|transaction| -> Result<Vec<Digest>> {
        leases::remove_work(transaction, (!alone).then_some(now_ns))?;
        leases::remove_needless(transaction)?;
        let mut forgotten = Vec::new();
        for unreached in leases::unreached(transaction)? {
            if due(&unreached) {
                forget_image(transaction, &unreached.image, now_ns)?;
                forgotten.push(unreached.image);
            } else if unreached.expires_ns.is_none() {
                leases::insert_unnamed(transaction, &unreached.image, now_ns, now_ns + grace_ns)?;
            }
        }
        leases::remove_needless(transaction)?;
        tags::remove_orphaned_indexes(transaction)?;
        Ok(forgotten)
    })?;
    crate::steps::reached("gc.forgotten");
    Ok(forgotten)
}

fn forget_image(transaction: &Connection, id: &Digest, now_ns: i64) -> Result<()> {
    let Some(image) = images::by_id(transaction, id)? else { return Ok(()) };
    images::remove(transaction, &image)?;
    Ok(events::record(transaction, now_ns, "image", "delete", id.as_str(), &BTreeMap::new())?)
}

/// Moves what nothing names out of the way, then removes it. `alone` is given up in between: a removal takes its time.
fn sweep(engine: &mut Engine, alone: Option<Writing>) -> Result<()> {
    let (store, roots) = (engine.store().clone(), engine.roots().clone());
    let garbage = Garbage::find(&store, &live(&roots, engine.database()?.read())?)?;
    let litter = if alone.is_some() { corten_storage::litter(&store)? } else { Vec::new() };
    if garbage.is_empty() && litter.is_empty() {
        return Ok(());
    }
    let mut trash = Trash::new(&store)?;
    for path in &litter {
        trash.put(path)?;
    }
    engine.database()?.write(|transaction| -> Result<()> {
        // What was named or held since is no garbage.
        let garbage = garbage.and_not(&store, &live(&roots, transaction)?);
        leases::forget_layers(transaction)?;
        kept_blobs::forget_unused(transaction)?;
        Ok(trash.take(&store, &garbage)?)
    })?;
    drop(alone);
    crate::steps::reached("gc.condemned");
    let paths: Vec<PathBuf> = trash.path().map(PathBuf::from).into_iter().collect();
    inside::remove_trees(engine.is_rootless(), &paths, Hands::Many)
}

#[cfg(test)]
mod tests {
    use corten_model::Reference;

    use super::*;
    use crate::db::tags::Tag;
    use crate::image::{self, ImportRequest, RemoveOptions};
    use crate::lease::{self, Ref};

    /// As long as an image stays that has lost its last name.
    const UNNAMED_NS: i64 = 7 * 24 * 3600 * 1_000_000_000;

    struct World {
        engine: Engine,
        _dir: tempfile::TempDir,
    }

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let roots = Roots { data: dir.path().join("data"), run: dir.path().join("run") };
            Self { engine: Engine::open(roots, crate::config::Settings::without_files()).unwrap(), _dir: dir }
        }

        fn import(&mut self, name: &str, content: &str) -> Digest {
            let mut header = [0u8; 512];
            header[..1].copy_from_slice(b"f");
            header[100..107].copy_from_slice(b"0000644");
            header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
            header[136..147].copy_from_slice(b"00000000000");
            header[156] = b'0';
            header[257..265].copy_from_slice(b"ustar\x0000");
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
            header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
            let mut tar = header.to_vec();
            tar.extend(content.bytes().chain(std::iter::repeat_n(0, 512 - content.len())));
            tar.extend([0; 1024]);
            let reference = (!name.is_empty()).then(|| name.parse::<Reference>().unwrap());
            let request = ImportRequest { reference, ..ImportRequest::default() };
            image::import(&mut self.engine, &mut tar.as_slice(), &request).unwrap()
        }

        fn layers(&self) -> usize {
            self.engine.store().layers().list().unwrap().len()
        }

        /// As if the leases had been taken that long ago.
        fn age(&mut self, by_ns: i64) {
            let age = "UPDATE leases SET expires_ns = expires_ns - ?1";
            self.engine.database().unwrap().read().execute(age, [by_ns]).unwrap();
        }
    }

    #[test]
    fn an_image_has_a_week_after_its_last_name() {
        let mut world = World::new();
        let first = world.import("app", "1");
        let second = world.import("app", "2");
        assert!(is_wanted(&mut world.engine).unwrap());
        assert_eq!(collect(&mut world.engine).unwrap(), []);
        assert!(!is_wanted(&mut world.engine).unwrap());
        world.age(UNNAMED_NS - 1_000_000_000_000);
        assert_eq!(collect(&mut world.engine).unwrap(), []);
        assert_eq!(world.layers(), 2);
        world.age(1_000_000_000_000);
        assert!(is_wanted(&mut world.engine).unwrap());
        assert_eq!(collect(&mut world.engine).unwrap(), [first]);
        assert_eq!((world.layers(), world.engine.store().blobs().list().unwrap().len()), (1, 2));
        assert_eq!(image::list(&mut world.engine).unwrap()[0].id, second);
        assert!(!is_wanted(&mut world.engine).unwrap());
    }

    #[test]
    fn a_collection_is_due_when_the_last_one_is_a_week_ago() {
        let world = World::new();
        assert!(!is_due(&world.engine), "the first look starts the clock");
        let stamp = std::fs::File::options().write(true).open(world.engine.roots().data.join(STAMP)).unwrap();
        let check = |days: u32, expected: bool| {
            stamp.set_modified(SystemTime::now() - DAY * days - Duration::from_secs(60)).unwrap();
            assert_eq!(is_due(&world.engine), expected, "{days}");
        };
        check(0, false);
        check(6, false);
        check(7, true);
    }

    #[test]
    fn a_name_ends_the_grace() {
        let mut world = World::new();
        let image = world.import("", "1");
        collect(&mut world.engine).unwrap();
        let row = images::by_id(world.engine.database().unwrap().read(), &image).unwrap().unwrap();
        let tag = Tag {
            reference: "late".parse().unwrap(),
            target: row.manifest,
            image: image.clone(),
            tagged_ns: None,
        };
        world.engine.database().unwrap().write(|transaction| tags::set(transaction, &tag)).unwrap();
        assert!(is_wanted(&mut world.engine).unwrap());
        collect(&mut world.engine).unwrap();
        assert_eq!(leases::count_unnamed(world.engine.database().unwrap().read()).unwrap(), 0);
        world.age(UNNAMED_NS);
        assert_eq!(collect(&mut world.engine).unwrap(), []);
    }

    #[test]
    fn what_a_lease_holds_outlives_its_last_name() {
        let mut world = World::new();
        let image = world.import("app", "1");
        let row = images::by_id(world.engine.database().unwrap().read(), &image).unwrap().unwrap();
        let chain = row.layers[0].chain_id.clone();
        for refs in [vec![Ref::Layer(chain.clone())], vec![Ref::Above(None)]] {
            lease::with(&mut world.engine, "test", |engine, lease| {
                lease.hold(&refs)?;
                image::remove(engine, "app", &RemoveOptions::default())?;
                collect(engine)?;
                assert!(engine.store().layers().exists(&chain), "{refs:?}");
                Ok(())
            })
            .unwrap();
            assert!(is_wanted(&mut world.engine).unwrap());
            collect(&mut world.engine).unwrap();
            assert_eq!((world.layers(), world.engine.store().blobs().list().unwrap().len()), (0, 0));
            world.import("app", "1");
        }
    }

    #[test]
    fn the_lease_of_a_command_that_is_gone_ends_when_nobody_works() {
        let mut world = World::new();
        let now_ns = journal::now_ns();
        world
            .engine
            .database()
            .unwrap()
            .write(|transaction| leases::insert(transaction, "dead", "load", now_ns, i64::MAX))
            .unwrap();
        let somebody = world.engine.store().writing().unwrap();
        assert!(!is_wanted(&mut world.engine).unwrap());
        drop(somebody);
        assert!(is_wanted(&mut world.engine).unwrap());
        collect(&mut world.engine).unwrap();
        assert!(leases::work(world.engine.database().unwrap().read()).unwrap().is_empty());
    }

    #[test]
    fn work_whose_lease_is_gone_names_nothing() {
        let mut world = World::new();
        let outcome = lease::with(&mut world.engine, "test", |engine, lease| {
            lease.hold(&[Ref::Above(None)])?;
            engine.database()?.write(|transaction| leases::remove_work(transaction, None))?;
            engine.database()?.write(|transaction| lease.check(transaction))
        });
        assert!(matches!(outcome, Err(crate::Error::LeaseExpired)));
    }
}
