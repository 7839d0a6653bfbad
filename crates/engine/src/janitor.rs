//! Work that nobody should wait for, in a small process of its own.

use std::io;
use std::path::PathBuf;

use crate::config::Settings;
use crate::{Engine, Result, Roots, db, gc};

/// The name under which the binary is spawned for it.
pub const PERSONALITY: &str = "corten-janitor";
/// The environment variable with the data root.
const DATA: &str = "CORTEN_ROOT";
/// The environment variable with the run root.
const RUN: &str = "CORTEN_RUN_ROOT";
/// The environment variable with the configuration, if there is one.
const CONFIG: &str = "CORTEN_CONFIG";
/// The environment variable with what is to be done.
const TASK: &str = "CORTEN_JANITOR";

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Fold the database's write-ahead log.
    Checkpoint,
    /// Fold what keepers journalled, which takes away `--rm` containers that ended: a keeper speaks no SQL, and nobody
    /// else may come for days.
    Fold,
    /// Collect garbage, and fold the log if it is long.
    Collect,
}

const TASKS: [(Task, &str); 3] =
    [(Task::Checkpoint, "checkpoint"), (Task::Fold, "fold"), (Task::Collect, "collect")];

/// Starts a janitor; nobody waits for it.
pub fn spawn(task: Task, roots: &Roots, settings: &Settings) -> io::Result<()> {
    let word = TASKS.iter().find(|(known, _)| *known == task).map_or("", |(_, word)| word);
    let mut environment = vec![(TASK, word.to_owned())];
    let paths = [(DATA, Some(roots.data.as_path())), (RUN, Some(&roots.run)), (CONFIG, settings.path())];
    for (name, path) in paths {
        let Some(path) = path else { continue };
        environment.push((name, path.to_str().ok_or(io::ErrorKind::InvalidInput)?.to_owned()));
    }
    environment.extend(crate::steps::chosen().map(|step| ("CORTEN_STOP_AT", step.to_owned())));
    corten_sys::spawn::spawn_self(PERSONALITY, &[], &environment).map(drop)
}

/// The main function of that process; `variable` reads its environment.
pub fn main(variable: impl Fn(&str) -> Option<PathBuf>) -> u8 {
    let word = variable(TASK);
    let task = TASKS.iter().find(|(_, known)| word.as_deref().is_some_and(|word| word.as_os_str() == *known));
    let (Some((task, _)), Some(data), Some(run)) = (task, variable(DATA), variable(RUN)) else { return 1 };
    // What fails here is done by a later command.
    let settings = variable(CONFIG).map_or_else(Settings::without_files, Settings::of_path);
    work(*task, Roots { data, run }, settings).is_err().into()
}

fn work(task: Task, roots: Roots, settings: Settings) -> Result<()> {
    let open = |roots| Engine::open(roots, settings.clone());
    if task == Task::Fold {
        return open(roots)?.fold_marked();
    }
    if db::wants_checkpoint(&roots.data) {
        db::checkpoint(&roots.data, settings.config()?.events_max)?;
    }
    if task == Task::Collect {
        gc::collect(&mut open(roots)?)?;
    }
    Ok(())
}
