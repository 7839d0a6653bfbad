//! `ps`.

use std::collections::HashSet;

use super::{ListFilter, Summary, reconcile};
use crate::db::containers::{self, Brief};
use crate::keeper::places;
use crate::{Engine, Result};

/// Nanoseconds in a second.
const NS: i64 = 1_000_000_000;

/// The containers, newest first.
pub fn list(engine: &mut Engine, filter: &ListFilter) -> Result<Vec<Summary>> {
    let mut briefs = containers::briefs(engine.database()?.read(), filter.all)?;
    let run = engine.roots().run.clone();
    let mut changed = false;
    // One that isn't said to run and has a run directory is being started, or its keeper was killed.
    let traces = if filter.all { run_directories(&run) } else { HashSet::new() };
    for brief in briefs.iter().filter(|b| b.state.status.is_alive() || traces.contains(b.id.short())) {
        // A keeper that holds its lock is the kernel's word that the container runs.
        if !places::is_locked(&run, &brief.id)
            && let Some(container) = containers::by_id(engine.database()?.read(), &brief.id)?
        {
            reconcile(engine, container)?;
            changed = true;
        }
    }
    if changed {
        briefs = containers::briefs(engine.database()?.read(), filter.all)?;
    }
    Ok(briefs.into_iter().map(summary).collect())
}

/// Short ids of the containers that have a run directory.
fn run_directories(run: &std::path::Path) -> HashSet<String> {
    let entries = std::fs::read_dir(run.join("c")).into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().into_string().ok()).collect()
}

fn summary(brief: Brief) -> Summary {
    Summary {
        id: brief.id,
        name: brief.name,
        image: brief.image,
        image_id: brief.image_id,
        command: brief.command,
        created_unix_s: brief.created_ns / NS,
        status: brief.state.status,
        started_unix_s: brief.state.started_ns.map(|ns| ns / NS),
        finished_unix_s: brief.state.finished_ns.map(|ns| ns / NS),
        exit: brief.state.exit,
        labels: brief.labels,
        host_powers: brief.host_powers,
        mounts: brief.mounts,
    }
}
