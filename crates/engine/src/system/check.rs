//! `system check`: everything that a crash can leave, and on demand its removal.
//!
//! Rows that say a container runs, run directories and names without keeper, cgroups of containers that are gone, directories
//! without rows. What runs under a keeper is left alone; so is whatever is younger than the look at it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use corten_model::ContainerId;
use corten_storage::Live;

use super::{Finding, broken};
use crate::db::{containers, leases, sandboxes, volumes};
use crate::inside;
use crate::keeper::{names, places};
use crate::{Engine, Result, container, gc, journal};

/// A container that is younger may be on its way to its first keeper.
const START_NS: i64 = 2_000_000_000;

/// What there is, read once before anything is looked at.
struct Scan {
    run: PathBuf,
    /// Containers with a row.
    known: HashSet<ContainerId>,
    /// Containers with a directory in the store.
    on_disk: HashSet<ContainerId>,
    /// Short ids of the containers with a run directory.
    traced: Vec<String>,
}

impl Scan {
    fn new(engine: &mut Engine) -> Result<Scan> {
        let names = |dir: PathBuf| {
            let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
            entries.filter_map(|e| e.file_name().into_string().ok())
        };
        let run = engine.roots().run.clone();
        // The rows last: what was on its way then has one now.
        let on_disk = names(engine.roots().data.join("containers")).filter_map(|n| n.parse().ok()).collect();
        let traced = names(run.join("c")).collect();
        let known = containers::all_ids(engine.database()?.read())?.into_iter().collect();
        Ok(Scan { run, known, on_disk, traced })
    }

    /// The container with a row and this short id.
    fn known_as(&self, short: &str) -> Option<&ContainerId> {
        self.known.iter().find(|id| id.short() == short)
    }
}

/// Looks for everything that a crash can leave: mounts, cgroups, directories, rows.
pub fn check(engine: &mut Engine, repair: bool) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    broken::rows(engine, repair, &mut findings)?;
    let ids = containers::all_ids(engine.database()?.read())?;
    broken::journals(engine, repair, &ids, &mut findings)?;
    rows(engine, repair, &mut findings)?;
    let scan = Scan::new(engine)?;
    // The run directory tells where the cgroup is: it goes after it.
    cgroups(&scan, repair, &mut findings)?;
    run_directories(&scan, repair, &mut findings);
    names_of_ended(engine, repair, &mut findings);
    marks(&scan, repair, &mut findings);
    leases(engine, repair, &mut findings)?;
    store(engine, repair, scan, &mut findings)?;
    Ok(findings)
}

/// Rows that say what the kernel doesn't: a container that runs without a keeper, or doesn't run.
fn rows(engine: &mut Engine, repair: bool, findings: &mut Vec<Finding>) -> Result<()> {
    let run = engine.roots().run.clone();
    for id in containers::alive(engine.database()?.read())? {
        if places::is_locked(&run, &id) {
            continue;
        }
        let found = match containers::by_id(engine.database()?.read(), &id) {
            // It was told of already.
            Err(error) if error.is_of_one_row() => continue,
            found => found?,
        };
        let Some(found) = found else { continue };
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
fn run_directories(scan: &Scan, repair: bool, findings: &mut Vec<Finding>) {
    for short in &scan.traced {
        let path = scan.run.join("c").join(short);
        let held = std::fs::File::open(path.join("lock")).is_ok_and(|file| file.try_lock_shared().is_err());
        // One that is gone by now was on its way out.
        if held || !path.exists() {
            continue;
        }
        if repair {
            match scan.known_as(short) {
                Some(id) => places::remove(&scan.run, id),
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
}

/// Names in the run directory of containers that don't run.
fn names_of_ended(engine: &Engine, repair: bool, findings: &mut Vec<Finding>) {
    let run = &engine.roots().run;
    let ended = names::all(run).into_iter().filter(|(_, id)| !places::is_locked(run, id));
    // Its keeper may have taken it away since.
    for (name, id) in ended.filter(|(name, id)| names::leads_to(run, name, id)) {
        if repair {
            names::remove(run, &name, &id);
        }
        let what = "the name of a container that doesn't run".into();
        findings.push(Finding { what, object: name.to_string(), repaired: repair });
    }
}

/// Cgroups of containers of this store that don't run. Those of other stores can't be told from those of containers
/// that were removed, so only known ids and ids with a trace in this store count.
fn cgroups(scan: &Scan, repair: bool, findings: &mut Vec<Finding>) -> Result<()> {
    let run = &scan.run;
    let mut ids: HashSet<ContainerId> = scan.known.union(&scan.on_disk).cloned().collect();
    for short in scan.traced.iter().filter(|short| scan.known_as(short).is_none()) {
        ids.extend(with_cgroup(run, short)?);
    }
    for id in ids.iter().filter(|id| !places::is_locked(run, id)) {
        let Ok(cgroup) = crate::keeper::cgroup_host(run, id)?.open(&crate::keeper::cgroup_path(run, id))
        else {
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

/// Containers without a row of which a cgroup is left: the run directory has the beginning of the id only.
fn with_cgroup(run: &Path, short: &str) -> Result<Vec<ContainerId>> {
    let mut found = Vec::new();
    let Ok(any) = format!("{short:0<64}").parse::<ContainerId>() else { return Ok(found) };
    let host = crate::keeper::cgroup_host(run, &any)?;
    let Ok(cgroup) = host.open(&crate::keeper::cgroup_path(run, &any)) else { return Ok(found) };
    for parent in cgroup.directories().iter().filter_map(|dir| dir.parent()) {
        let names = std::fs::read_dir(parent).into_iter().flatten().flatten();
        let ids = names.filter_map(|e| e.file_name().to_str()?.parse::<ContainerId>().ok());
        found.extend(ids.filter(|id| id.short() == short));
    }
    Ok(found)
}

/// Marks of journals whose container is gone.
fn marks(scan: &Scan, repair: bool, findings: &mut Vec<Finding>) {
    let run = &scan.run;
    for id in journal::marked(run).into_iter().filter(|id| !scan.known.contains(id)) {
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

/// Leases of commands that ended half-way: nobody is making anything, so nobody holds one.
fn leases(engine: &mut Engine, repair: bool, findings: &mut Vec<Finding>) -> Result<()> {
    let Ok(_alone) = engine.store().alone() else { return Ok(()) };
    let owners = leases::work(engine.database()?.read())?;
    if repair && !owners.is_empty() {
        engine.database()?.write(|transaction| leases::remove_work(transaction, None))?;
    }
    findings.extend(owners.into_iter().map(|object| Finding {
        what: "the lease of a command that ended half-way".into(),
        object,
        repaired: repair,
    }));
    Ok(())
}

/// Files without rows and rows without files.
fn store(engine: &mut Engine, repair: bool, scan: Scan, findings: &mut Vec<Finding>) -> Result<()> {
    // Nobody makes anything while the rows are read and what they don't name is removed.
    let _alone = if repair { Some(engine.store().alone()?) } else { None };
    let roots = engine.roots().clone();
    let connection = engine.database()?.read();
    let mut live = Live {
        containers: scan.known.clone(),
        volumes: volumes::all(connection)?.into_iter().map(|v| v.id).collect(),
        ..gc::live(&roots, connection)?
    };
    // A `--rm` container whose keeper is still tidying up has a directory and no row.
    live.containers.extend(scan.on_disk.into_iter().filter(|id| places::is_locked(&scan.run, id)));
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
