//! `system check`: everything that a crash can leave, and on demand its removal.
//!
//! Rows that say a container runs, run directories without keeper, cgroups of containers that are gone, directories
//! without rows. What runs under a keeper is left alone; so is whatever is younger than the look at it.

use std::collections::HashSet;
use std::path::Path;

use corten_model::ContainerId;

use super::Finding;
use crate::db::{containers, images, sandboxes, tags, volumes};
use crate::inside::{self, LiveLists};
use crate::keeper::places;
use crate::{Engine, Result, container, journal};

/// A container that is younger may be on its way to its first keeper.
const START_NS: i64 = 2_000_000_000;

/// Looks for everything that a crash can leave: mounts, cgroups, directories, rows.
pub fn check(engine: &mut Engine, repair: bool) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    rows(engine, repair, &mut findings)?;
    let ids = containers::all_ids(engine.database()?.read())?;
    let known: HashSet<ContainerId> = ids.into_iter().collect();
    // The run directory tells where the cgroup is: it goes after it.
    cgroups(engine, repair, &known, &mut findings)?;
    run_directories(engine, repair, &known, &mut findings)?;
    marks(engine, repair, &known, &mut findings);
    store(engine, repair, known, &mut findings)?;
    Ok(findings)
}

/// Rows that say what the kernel doesn't: a container that runs without a keeper, or doesn't run.
fn rows(engine: &mut Engine, repair: bool, findings: &mut Vec<Finding>) -> Result<()> {
    let run = engine.roots().run.clone();
    for id in containers::alive(engine.database()?.read())? {
        if places::is_locked(&run, &id) {
            continue;
        }
        let Some(found) = containers::by_id(engine.database()?.read(), &id)? else { continue };
        if repair {
            container::reconcile(engine, found)?;
        }
        findings.push(Finding {
            what: "the container is said to run, but no keeper looks after it".into(),
            object: id.to_string(),
            repaired: repair,
        });
    }
    // A command that was killed between its row and the start.
    for found in containers::wanted_but_created(engine.database()?.read())? {
        if places::is_locked(&run, &found.id) || journal::now_ns() - found.created_ns < START_NS {
            continue;
        }
        if repair {
            let gone = engine.database()?.write(|transaction| -> Result<_> {
                if found.config.auto_remove {
                    return crate::fold::remove_rows(transaction, &found, true).map(Some);
                }
                containers::set_wanted(transaction, &found.id, false)?;
                sandboxes::release_range(transaction, &found.sandbox)?;
                Ok(None)
            })?;
            if let Some(volumes) = gone {
                container::remove_bytes(engine, &found.id, &volumes)?;
            }
        }
        let what = "the command that started the container was killed half-way".into();
        findings.push(Finding { what, object: found.id.to_string(), repaired: repair });
    }
    Ok(())
}

/// Run directories that no keeper holds.
fn run_directories(
    engine: &mut Engine,
    repair: bool,
    known: &HashSet<ContainerId>,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let run = engine.roots().run.clone();
    let entries = std::fs::read_dir(run.join("c")).into_iter().flatten().flatten();
    for entry in entries {
        let path = entry.path();
        let lock = path.join("lock");
        let held = std::fs::File::open(&lock).is_ok_and(|file| file.try_lock_shared().is_err());
        if held {
            continue;
        }
        let short = entry.file_name().to_string_lossy().into_owned();
        if repair {
            match known.iter().find(|id| id.short() == short) {
                Some(id) => places::remove(&run, id),
                // Only ours are there: sockets, pipes and generated files.
                None => drop(std::fs::remove_dir_all(&path)),
            }
        }
        findings.push(Finding {
            what: "a killed keeper's run directory".into(),
            object: path.display().to_string(),
            repaired: repair,
        });
    }
    Ok(())
}

/// Cgroups of containers of this store that don't run. Those of other stores can't be told from those of containers
/// that were removed, so only known ids and ids with a trace in this store count.
fn cgroups(
    engine: &mut Engine,
    repair: bool,
    known: &HashSet<ContainerId>,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let run = engine.roots().run.clone();
    let on_disk = std::fs::read_dir(engine.roots().data.join("containers")).into_iter().flatten().flatten();
    let on_disk = on_disk.filter_map(|e| e.file_name().to_str()?.parse::<ContainerId>().ok());
    let ids: HashSet<ContainerId> = known.iter().cloned().chain(on_disk).chain(traced(&run)?).collect();
    for id in ids.iter().filter(|id| !places::is_locked(&run, id)) {
        let Ok(cgroup) = crate::keeper::cgroup_host(&run, id)?.open(&crate::keeper::cgroup_path(id)) else {
            continue;
        };
        if !cgroup.directories().iter().any(|dir| dir.exists()) {
            continue;
        }
        if repair {
            cgroup.kill_all()?;
            cgroup.remove()?;
        }
        findings.push(Finding {
            what: "the cgroup of a container that doesn't run".into(),
            object: cgroup.path().to_owned(),
            repaired: repair,
        });
    }
    Ok(())
}

/// Containers of which a run directory is left, and a cgroup: the directory has the beginning of the id only.
fn traced(run: &Path) -> Result<Vec<ContainerId>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(run.join("c")).into_iter().flatten().flatten() {
        let short = entry.file_name().to_string_lossy().into_owned();
        let Ok(any) = format!("{short:0<64}").parse::<ContainerId>() else { continue };
        let host = crate::keeper::cgroup_host(run, &any)?;
        let Ok(cgroup) = host.open(&crate::keeper::cgroup_path(&any)) else { continue };
        for parent in cgroup.directories().iter().filter_map(|dir| dir.parent()) {
            let names = std::fs::read_dir(parent).into_iter().flatten().flatten();
            let ids = names.filter_map(|e| e.file_name().to_str()?.parse::<ContainerId>().ok());
            found.extend(ids.filter(|id| id.short() == short));
        }
    }
    Ok(found)
}

/// Marks of journals whose container is gone.
fn marks(engine: &Engine, repair: bool, known: &HashSet<ContainerId>, findings: &mut Vec<Finding>) {
    let run = &engine.roots().run;
    for id in journal::marked(run).into_iter().filter(|id| !known.contains(id)) {
        if places::is_locked(run, &id) {
            continue;
        }
        if repair {
            journal::unmark(&journal::Places::new(Path::new(""), run, &id));
        }
        let what = "the journal of a container that is gone is to be read".into();
        findings.push(Finding { what, object: id.to_string(), repaired: repair });
    }
}

/// Files without rows and rows without files.
fn store(
    engine: &mut Engine,
    repair: bool,
    known: HashSet<ContainerId>,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let run = engine.roots().run.clone();
    let connection = engine.database()?.read();
    let images = images::all(connection)?;
    let mut live = LiveLists {
        containers: known.into_iter().collect(),
        layers: images.iter().flat_map(|i| i.layers.iter().map(|l| l.chain_id.clone())).collect(),
        blobs: images.iter().map(|i| i.id.clone()).chain(tags::all_manifests(connection)?).collect(),
        volumes: volumes::all(connection)?.into_iter().map(|v| v.id).collect(),
    };
    // A `--rm` container whose keeper is still tidying up has a directory and no row.
    let on_disk = std::fs::read_dir(engine.roots().data.join("containers")).into_iter().flatten().flatten();
    let on_disk = on_disk.filter_map(|e| e.file_name().to_str()?.parse::<ContainerId>().ok());
    live.containers.extend(on_disk.filter(|id| places::is_locked(&run, id)));
    for found in inside::check(engine, live, repair)? {
        // A container that never started has no directory yet.
        if found.what == "missing" && found.path.parent().is_some_and(|p| p.ends_with("containers")) {
            continue;
        }
        findings.push(Finding {
            what: found.what,
            object: found.path.display().to_string(),
            repaired: found.repaired,
        });
    }
    Ok(())
}
