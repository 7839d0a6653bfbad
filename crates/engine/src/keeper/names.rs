//! Names of running containers in the run directory: whoever was given one reaches its keeper without the database.
//!
//! ```text
//! <run>/names/<name> -> <id>   made by the keeper when it starts or adopts the container, gone when that ended
//! ```
//! The database stays the truth: an entry says no more than that this keeper, if it holds the lock and takes the
//! request, is that of the container of this name. Whoever finds none, or a keeper that refuses, asks the database.
//! A rename takes the entry away before it commits, so that a name never leads to a container that lost it.
//! A prefix of an id is not looked up here: a container that doesn't run may have it too, or have it as its name.

use std::io;
use std::path::{Path, PathBuf};

use corten_model::{ContainerId, Name};

use super::places;

fn entry(run: &Path, name: &Name) -> PathBuf {
    run.join("names").join(name.as_str())
}

/// Says that `name` is `id`. What another container left under that name is stale: the name was given to this one.
/// Only the lock's holder calls this.
pub fn add(run: &Path, name: &Name, id: &ContainerId) -> io::Result<()> {
    let path = entry(run, name);
    match std::os::unix::fs::symlink(id.as_str(), &path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => std::fs::create_dir_all(run.join("names"))?,
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => match std::fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        },
        other => return other,
    }
    std::os::unix::fs::symlink(id.as_str(), path)
}

/// Takes the entry of `name` away if it is that of `id`. One that is added at this very moment may go along: then
/// the database is asked.
pub fn remove(run: &Path, name: &Name, id: &ContainerId) {
    if leads_to(run, name, id) {
        let _ = std::fs::remove_file(entry(run, name));
    }
}

/// Whether the entry of `name` is that of `id`.
pub fn leads_to(run: &Path, name: &Name, id: &ContainerId) -> bool {
    std::fs::read_link(entry(run, name)).is_ok_and(|to| to.as_os_str() == id.as_str())
}

/// All names and whose they are.
pub fn all(run: &Path) -> Vec<(Name, ContainerId)> {
    let entries = std::fs::read_dir(run.join("names")).into_iter().flatten().flatten();
    let parsed = entries.filter_map(|entry| {
        let id = std::fs::read_link(entry.path()).ok()?.to_str()?.parse().ok()?;
        Some((entry.file_name().to_str()?.parse().ok()?, id))
    });
    parsed.collect()
}

/// Takes away what a killed keeper left for `id`, whose name isn't known here.
pub fn remove_all_of(run: &Path, id: &ContainerId) {
    for (name, _) in all(run).into_iter().filter(|(_, of)| of == id) {
        remove(run, &name, id);
    }
}

/// The container that `target`, a whole id or a name, means, if its keeper says so.
pub fn find(run: &Path, target: &str) -> Option<ContainerId> {
    let target = target.strip_prefix('/').unwrap_or(target);
    // As in the database, an id goes before a name. A typed id must be right to its last digit, of which a run
    // directory's name knows twelve: the lock's holder wrote all of them down.
    let id = match target.parse::<ContainerId>() {
        Ok(id) => id,
        Err(_) => {
            let name: Name = target.parse().ok().filter(|name: &Name| name.as_str() == target)?;
            std::fs::read_link(entry(run, &name)).ok()?.to_str()?.parse().ok()?
        }
    };
    (places::owner(run, &id).as_ref() == Some(&id)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> ContainerId {
        ContainerId::from_bytes([byte; 32])
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    /// A run directory in which keepers of these containers hold their locks.
    fn run(ids: &[&ContainerId]) -> tempfile::TempDir {
        let run = tempfile::tempdir().unwrap();
        for id in ids {
            let lock = places::lock(run.path(), id).unwrap().unwrap();
            places::own(&lock, id).unwrap();
        }
        run
    }

    #[test]
    fn names_and_whole_ids_are_found_and_nothing_else() {
        let (one, other) = (id(1), id(2));
        let dir = run(&[&one]);
        let run = dir.path();
        add(run, &name("web"), &one).unwrap();
        add(run, &name("ended"), &other).unwrap();
        let check = |target: &str, expected: Option<&ContainerId>| {
            assert_eq!(find(run, target).as_ref(), expected, "{target}");
        };
        check("web", Some(&one));
        check("/web", Some(&one));
        check(one.as_str(), Some(&one));
        check("//web", None);
        check("ended", None);
        check(one.short(), None);
        check("../names/web", None);
        check("", None);
        let nearly = format!("{}f", &one.as_str()[..63]);
        check(&nearly, None);
    }

    #[test]
    fn a_name_that_looks_like_an_id_gives_way_to_the_id() {
        let (one, other) = (id(1), id(2));
        let dir = run(&[&one, &other]);
        add(dir.path(), &name(one.as_str()), &other).unwrap();
        assert_eq!(find(dir.path(), one.as_str()), Some(one));
    }

    #[test]
    fn an_entry_goes_with_its_own_container_only() {
        let (one, other) = (id(1), id(2));
        let dir = run(&[&one, &other]);
        let run = dir.path();
        add(run, &name("web"), &one).unwrap();
        add(run, &name("web"), &other).unwrap();
        remove(run, &name("web"), &one);
        assert_eq!(find(run, "web"), Some(other.clone()));
        add(run, &name("second"), &other).unwrap();
        remove_all_of(run, &other);
        assert_eq!((find(run, "web"), find(run, "second")), (None, None));
    }
}
