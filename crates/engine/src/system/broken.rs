//! What `system check` does about containers of which something can't be read.
//!
//! A row that can't be understood and the container's files go to `set-aside/` in the data root: nothing is lost, and
//! nothing of it is in the way. A journal that can't be read is renamed beside itself: what runs is asked of the
//! kernel then, and an exit code that stood only there is unknown.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use corten_model::ContainerId;

use super::Finding;
use crate::db::{broken, containers};
use crate::error::OnFile;
use crate::keeper::places;
use crate::{Engine, Error, Result, container, journal};

/// Where rows and files go that can't be read, below the data root.
const SET_ASIDE: &str = "set-aside";

/// Rows that can't be understood.
pub fn rows(engine: &mut Engine, repair: bool, findings: &mut Vec<Finding>) -> Result<()> {
    for (row, error) in broken::all(engine.database()?.read())? {
        let mut what = format!("the container's row can't be read: {}", Error::from(error).told());
        // One that runs under a keeper is left alone: `rm -f` ends it.
        let running = row.id.as_ref().is_some_and(|id| places::is_locked(&engine.roots().run, id));
        if repair && !running {
            let place = set_aside(engine, &row)?;
            what.push_str(&format!("; it was set aside in {}", place.display()));
        }
        findings.push(Finding { what, object: row.label, repaired: repair && !running });
    }
    Ok(())
}

/// Writes the row as JSON, moves the container's directory beside it, then removes the row.
fn set_aside(engine: &mut Engine, row: &broken::Broken) -> Result<PathBuf> {
    let aside = engine.roots().data.join(SET_ASIDE);
    let name = row.id.as_ref().map_or_else(|| format!("row-{}", row.seq), ToString::to_string);
    let place = aside.join(name);
    std::fs::create_dir_all(&place).on("make the directory", &place)?;
    let dump = broken::dump(engine.database()?.read(), row.seq)?;
    let file = place.join("row.json");
    std::fs::write(&file, format!("{dump:#}\n")).on("write", &file)?;
    if let Some(id) = &row.id {
        container::clean_up_if_left(engine, id)?;
        let dir = engine.store().container_dir(id);
        match std::fs::rename(&dir, place.join("files")) {
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            moved => moved.on("set aside", &dir)?,
        }
        journal::unmark(&journal::Places::new(&dir, &engine.roots().run, id));
    }
    engine.database()?.write(|transaction| broken::remove(transaction, row.seq))?;
    Ok(place)
}

/// Journals that can't be read.
pub fn journals(
    engine: &mut Engine,
    repair: bool,
    ids: &[ContainerId],
    findings: &mut Vec<Finding>,
) -> Result<()> {
    for id in ids {
        let dir = engine.store().container_dir(id);
        let places = journal::Places::new(&dir, &engine.roots().run, id);
        let Err(error) = journal::try_reading(&places) else { continue };
        let repaired = repair && mend_journal(engine, id, &dir)?;
        let what = format!("the container's journal can't be read: {error}");
        findings.push(Finding { what, object: id.to_string(), repaired });
    }
    Ok(())
}

/// `false`: a keeper looks after the container; it still has the file open, and writes its end there.
fn mend_journal(engine: &mut Engine, id: &ContainerId, dir: &Path) -> Result<bool> {
    let run = engine.roots().run.clone();
    let places::Attempt::Locked(lock) = places::try_lock(&run, id).on("take the lock of", dir)? else {
        return Ok(false);
    };
    let journal = dir.join("journal");
    std::fs::rename(&journal, dir.join("journal.unreadable")).on("set aside", &journal)?;
    engine.database()?.write(|transaction| containers::set_journal_offset(transaction, id, 0))?;
    engine.fold(id)?;
    drop(lock);
    // What it said is asked of the kernel.
    match containers::by_id(engine.database()?.read(), id) {
        Ok(Some(found)) => container::reconcile(engine, found).map(|_| true),
        Ok(None) => Ok(true),
        // The row was told of before.
        Err(error) if error.is_of_one_row() => Ok(true),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Roots;
    use crate::config::Settings;
    use crate::container::{ListFilter, RemoveOptions};
    use crate::testing::insert_container;

    fn engine(dir: &Path) -> Engine {
        Engine::open(Roots { data: dir.join("data"), run: dir.join("run") }, Settings::without_files())
            .unwrap()
    }

    /// Spoils a column of one container; the other one is fine.
    fn spoilt(dir: &Path, change: &str) -> (Engine, ContainerId, ContainerId) {
        let mut engine = engine(dir);
        let fine = insert_container(engine.database().unwrap(), 1, false);
        let bad = insert_container(engine.database().unwrap(), 2, false);
        let stop = "UPDATE containers SET wanted = 'stopped'";
        let update = format!("UPDATE containers SET {change} WHERE id = ?1");
        let written = engine.database().unwrap().write(|t| -> Result<()> {
            crate::db::doing("stop", t.execute(stop, []))?;
            crate::db::doing("spoil a row", t.execute(&update, [bad.as_str()]))?;
            Ok(())
        });
        written.unwrap();
        std::fs::create_dir_all(engine.store().container_dir(&bad).join("upper")).unwrap();
        (engine, fine, bad)
    }

    const SPOILT: [&str; 5] = [
        "status = 'sleeping'",
        "config = '{'",
        "name = ' '",
        "command = '7'",
        "labels = CAST(x'ff' AS TEXT)",
    ];

    #[test]
    fn one_row_that_cannot_be_read_hides_no_other() {
        for change in SPOILT {
            let dir = tempfile::tempdir().unwrap();
            let (mut engine, fine, bad) = spoilt(dir.path(), change);
            let listed = crate::container::list(&mut engine, &ListFilter { all: true }).unwrap();
            assert_eq!(listed.iter().map(|s| &s.id).collect::<Vec<_>>(), [&bad, &fine], "{change}");
            assert_eq!(listed[1].problem, None);
            // `ps` doesn't read the config.
            assert_eq!(listed[0].problem.is_some(), !change.starts_with("config"), "{change}");
            let told = crate::container::inspect(&mut engine, bad.as_str());
            if !change.starts_with("labels") {
                let told = told.unwrap();
                assert_eq!(told["State"]["Status"], "dead");
                assert!(told["State"]["Error"].as_str().unwrap().contains("bad value"), "{told}");
            }
            assert!(crate::container::resolve(&mut engine, fine.as_str()).is_ok());
        }
    }

    #[test]
    fn rm_wants_force_and_then_takes_all_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let (mut engine, fine, bad) = spoilt(dir.path(), SPOILT[0]);
        let refused = crate::container::remove(&mut engine, "name-2", RemoveOptions::default()).unwrap_err();
        assert!(refused.hint().unwrap().contains("rm -f"), "{refused:?}");
        let force = RemoveOptions { force: true, ..Default::default() };
        crate::container::remove(&mut engine, "name-2", force).unwrap();
        assert!(!engine.store().container_dir(&bad).exists());
        assert_eq!(containers::all_ids(engine.database().unwrap().read()).unwrap(), [fine]);
    }

    #[test]
    fn check_names_it_and_sets_it_aside() {
        let dir = tempfile::tempdir().unwrap();
        let (mut engine, fine, bad) = spoilt(dir.path(), SPOILT[1]);
        let mut findings = Vec::new();
        rows(&mut engine, false, &mut findings).unwrap();
        assert!(findings[0].object.contains(bad.as_str()) && !findings[0].repaired, "{findings:?}");
        findings.clear();
        rows(&mut engine, true, &mut findings).unwrap();
        assert!(findings[0].repaired);
        let place = engine.roots().data.join(SET_ASIDE).join(bad.as_str());
        assert!(place.join("files/upper").is_dir());
        let row: serde_json::Value =
            serde_json::from_slice(&std::fs::read(place.join("row.json")).unwrap()).unwrap();
        assert_eq!((&row["name"], &row["config"]), (&"name-2".into(), &"{".into()));
        assert_eq!(containers::all_ids(engine.database().unwrap().read()).unwrap(), [fine]);
        findings.clear();
        rows(&mut engine, true, &mut findings).unwrap();
        assert!(findings.is_empty());
    }
}
