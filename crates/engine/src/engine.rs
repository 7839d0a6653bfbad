//! The handle that every verb takes.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};

use corten_model::ContainerId;
use corten_storage::Store;

use crate::config::{Config, Settings};
use crate::db::Database;
use crate::db::volumes::Volume;
use crate::error::OnFile;
use crate::ids::registry::Claim;
use crate::janitor::Task;
use crate::timings::Timings;
use crate::{Error, Result, Roots, fold, journal};

/// One store, opened lazily: a command pays only for what it touches.
pub struct Engine {
    roots: Roots,
    settings: Settings,
    rootless: bool,
    store: Store,
    database: Option<Database>,
    /// Why journals were not folded: their containers are broken, everything else goes on.
    unfolded: BTreeMap<ContainerId, Error>,
    /// Host ids of a container whose keeper doesn't hold them yet.
    ids: Claim,
    timings: Timings,
    /// Something may have lost its last name.
    garbage: bool,
}

impl Engine {
    /// Opens the store at `roots`, making it if it isn't there; `settings` are read when something needs one.
    pub fn open(roots: Roots, settings: Settings) -> Result<Engine> {
        let rootless = !rustix::process::geteuid().is_root();
        let store = Store::open(&roots.data, rootless)?;
        make_run_root(&roots)?;
        let mut timings = Timings::default();
        timings.mark("store open");
        Ok(Engine {
            roots,
            settings,
            rootless,
            store,
            database: None,
            unfolded: BTreeMap::new(),
            ids: Claim::default(),
            timings,
            garbage: false,
        })
    }

    /// Where the state lies.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// The configuration.
    pub fn config(&self) -> Result<&Config> {
        Ok(self.settings.config()?)
    }

    /// Whether we have no power over the host.
    pub fn is_rootless(&self) -> bool {
        self.rootless
    }

    /// The stages of this command so far.
    pub fn timings(&mut self) -> &mut Timings {
        &mut self.timings
    }

    /// Keeps host ids until [`Engine::release_ids`].
    pub(crate) fn hold_ids(&mut self, claim: Claim) {
        self.ids.add(claim);
    }

    /// Gives back the host ids that were held.
    pub(crate) fn release_ids(&mut self) {
        self.ids = Claim::default();
    }

    /// Something may have lost its last name: when this command ends, gc looks.
    pub(crate) fn note_garbage(&mut self) {
        self.garbage = true;
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The database, opened at the first call: then what keepers journalled is folded in.
    pub(crate) fn database(&mut self) -> Result<&mut Database> {
        if self.database.is_none() {
            let database = self.database.insert(Database::open(&self.roots.data)?);
            database.tell(journal::followed(&self.roots.run));
            self.fold_marked()?;
            self.timings.mark("database open");
        }
        Ok(self.database.as_mut().expect("it was just opened"))
    }

    /// Folds what is marked, and nothing else; opening the database does it too.
    pub(crate) fn fold_marked(&mut self) -> Result<()> {
        let Some(database) = &mut self.database else { return self.database().map(drop) };
        let mut removed = Vec::new();
        for id in journal::marked(&self.roots.run) {
            match fold::fold(database, &self.store, &self.roots, &id) {
                Ok(None) => {}
                Ok(Some(volumes)) => removed.push((id, volumes)),
                Err(error) if error.is_of_one_container() => drop(self.unfolded.insert(id, error)),
                Err(error) => return Err(error),
            }
        }
        for (id, volumes) in removed {
            // Bytes without a row are no reason to fail for a command on another container: `system check`
            // finds them.
            let _ = crate::container::remove_bytes(self, &id, &volumes);
        }
        Ok(())
    }

    /// Folds the journal of one container, whether it is marked or not. `Some`: its row is gone, with these volumes.
    pub(crate) fn fold(&mut self, id: &ContainerId) -> Result<Option<Vec<Volume>>> {
        self.database()?;
        let database = self.database.as_mut().expect("it was just opened");
        fold::fold(database, &self.store, &self.roots, id).map_err(|error| match error {
            Error::File { .. } => Error::Broken { name: id.short().to_owned(), source: Box::new(error) },
            other => other,
        })
    }

    /// Why the journal of this container was not folded when the database was opened, if it wasn't.
    pub(crate) fn unfolded(&self, id: &ContainerId) -> Option<&Error> {
        self.unfolded.get(id)
    }
}

impl Engine {
    /// Ends with the process: as by dropping it, but the database is the kernel's to close, which is quicker.
    pub fn end_with_process(mut self) {
        self.see_to_the_rest();
        self.garbage = false;
        std::mem::forget(self.database.take());
    }

    /// A command that leaves a long log or garbage behind has it seen to, by a process that nobody waits for.
    fn see_to_the_rest(&mut self) {
        let automatic = |engine: &Self| engine.config().is_ok_and(|config| config.gc.automatic);
        let garbage = self.garbage && automatic(self) && crate::gc::is_wanted(self).unwrap_or(false);
        // Who doesn't know where the configuration is, doesn't know whether it wants this.
        let due = self.database.is_some() && self.settings.places().is_some() && crate::gc::is_due(self);
        if garbage || due || self.database.is_some() && crate::db::wants_checkpoint(&self.roots.data) {
            // One that can't be spawned is spawned by a later command.
            let task = if garbage || due { Task::Collect } else { Task::Checkpoint };
            let _ = crate::janitor::spawn(task, &self.roots, &self.settings);
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.see_to_the_rest();
    }
}

/// The run root is on a tmpfs as a rule: the first command after a boot makes it. Only its owner may look inside.
///
/// An ordinary user's may lie below /tmp, where anybody can make it first: what isn't ours is not used.
fn make_run_root(roots: &Roots) -> Result<()> {
    let run = &roots.run;
    let marks = journal::marks(run);
    let found = match std::fs::symlink_metadata(run) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let parent = run.parent().unwrap_or(run);
            std::fs::create_dir_all(parent).on("make the directory", parent)?;
            match std::fs::DirBuilder::new().mode(0o700).create(run) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                made => made.on("make the directory", run)?,
            }
            std::fs::symlink_metadata(run)
        }
        found => found,
    };
    let found = found.on("find the run directory", run)?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        let why = std::io::Error::new(std::io::ErrorKind::PermissionDenied, "it is no directory of yours");
        return Err(why).on("use the run directory", run);
    }
    if found.mode() & 0o077 != 0 {
        std::fs::set_permissions(run, Permissions::from_mode(0o700)).on("close the directory", run)?;
    }
    if marks.is_dir() {
        return Ok(());
    }
    // The marks come last: they say that the others are there.
    for dir in [run.join("c"), run.join("seccomp"), marks] {
        std::fs::create_dir_all(&dir).on("make the directory", &dir)?;
    }
    Ok(())
}

/// 32 random bytes: an id.
pub(crate) fn random_id() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    let flags = rustix::rand::GetRandomFlags::empty();
    rustix::rand::getrandom(&mut bytes[..], flags).map_err(Error::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(dir: &std::path::Path) -> Roots {
        Roots { data: dir.join("data"), run: dir.join("deep/run") }
    }

    #[test]
    fn a_run_directory_of_somebody_else_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let roots = roots(dir.path());
        make_run_root(&roots).unwrap();
        assert_eq!(std::fs::metadata(&roots.run).unwrap().mode() & 0o777, 0o700);
        std::fs::set_permissions(&roots.run, Permissions::from_mode(0o777)).unwrap();
        make_run_root(&roots).unwrap();
        assert_eq!(std::fs::metadata(&roots.run).unwrap().mode() & 0o777, 0o700, "it is closed again");
        std::os::unix::fs::chown(&roots.run, Some(65_534), None).unwrap();
        assert_eq!(make_run_root(&roots).unwrap_err().kind(), corten_model::Kind::Denied);
    }

    #[test]
    fn a_run_directory_behind_a_symlink_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let roots = roots(dir.path());
        std::fs::create_dir_all(roots.run.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(dir.path(), &roots.run).unwrap();
        assert!(make_run_root(&roots).is_err());
    }
}
