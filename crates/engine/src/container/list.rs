//! `ps`.

use std::collections::{HashMap, HashSet};

use corten_model::ContainerId;
use corten_model::state::Status;

use super::{ListFilter, Summary, reconcile};
use crate::db::containers::{self, Brief};
use crate::keeper::places;
use crate::{Engine, Error, Result};

/// Nanoseconds in a second.
const NS: i64 = 1_000_000_000;

/// The containers, newest first.
pub fn list(engine: &mut Engine, filter: &ListFilter) -> Result<Vec<Summary>> {
    let mut briefs = containers::briefs(engine.database()?.read(), filter.all)?;
    let run = engine.roots().run.clone();
    let mut changed = false;
    let mut problems = HashMap::new();
    // One that isn't said to run and has a run directory is being started, or its keeper was killed.
    let traces = if filter.all { run_directories(&run) } else { HashSet::new() };
    for brief in briefs.iter().filter(|b| b.state.status.is_alive() || traces.contains(b.id.short())) {
        // A keeper that holds its lock is the kernel's word that the container runs.
        if brief.problem.is_some() || places::is_locked(&run, &brief.id) {
            continue;
        }
        changed = true;
        if let Err(error) = bring_up_to_date(engine, &brief.id) {
            if !error.is_of_one_container() {
                return Err(error);
            }
            problems.insert(brief.id.clone(), error.told());
        }
    }
    if changed {
        briefs = containers::briefs(engine.database()?.read(), filter.all)?;
    }
    let summaries = briefs.into_iter().map(|brief| {
        let problem = problems.remove(&brief.id).or_else(|| engine.unfolded(&brief.id).map(Error::told));
        // While a keeper holds its lock it runs, whatever can't be read of it.
        let status = if problem.is_some() && !places::is_locked(&run, &brief.id) {
            Status::Dead
        } else {
            brief.state.status
        };
        summary(brief, status, problem)
    });
    Ok(summaries.collect())
}

fn bring_up_to_date(engine: &mut Engine, id: &ContainerId) -> Result<()> {
    match containers::by_id(engine.database()?.read(), id)? {
        Some(container) => reconcile(engine, container).map(drop),
        None => Ok(()),
    }
}

/// Short ids of the containers that have a run directory.
fn run_directories(run: &std::path::Path) -> HashSet<String> {
    let entries = std::fs::read_dir(run.join("c")).into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().into_string().ok()).collect()
}

fn summary(brief: Brief, status: Status, problem: Option<String>) -> Summary {
    Summary {
        problem: problem.or_else(|| brief.problem.map(|problem| Error::from(problem).told())),
        id: brief.id,
        name: brief.name,
        image: brief.image,
        image_id: brief.image_id,
        command: brief.command,
        created_unix_s: brief.created_ns / NS,
        status,
        started_unix_s: brief.state.started_ns.map(|ns| ns / NS),
        finished_unix_s: brief.state.finished_ns.map(|ns| ns / NS),
        exit: brief.state.exit,
        health: brief.state.health.map(|health| health.status),
        labels: brief.labels,
        host_powers: brief.host_powers,
        mounts: brief.mounts,
    }
}
