//! Named steps at which a test can stop a process of ours, to kill it there.
//!
//! The binary sets the name from its environment; without one a step costs one load.

use std::sync::OnceLock;

static STOP_AT: OnceLock<String> = OnceLock::new();

/// Every step's name, in the order of one `run`, then those of other commands. Those of the store are its own.
pub const STEPS: [&str; 20] = [
    "cli.planned",
    "cli.created",
    "keeper.prepared",
    "keeper.received",
    "keeper.started",
    "keeper.journalled",
    "cli.started",
    "keeper.exited",
    "keeper.reported",
    "keeper.torn-down",
    "cli.removed",
    "commit.paused",
    "load.rows",
    "push.rows",
    "lease.taken",
    "image.stored",
    "image.named",
    "rmi.forgotten",
    "gc.forgotten",
    "gc.condemned",
];

/// Makes the process stop itself (SIGSTOP) at this step, which may be one of the store's.
pub fn stop_at(step: String) {
    // A second name is a caller's mistake; the first one holds.
    let _ = STOP_AT.set(step);
    let _ = corten_storage::steps::listen(stop_if_chosen);
}

/// The step that was set, to hand it to a spawned process.
pub fn chosen() -> Option<&'static str> {
    STOP_AT.get().map(String::as_str)
}

/// Says that the process is at `step`.
pub fn reached(step: &str) {
    debug_assert!(STEPS.contains(&step), "{step} is not in the list");
    stop_if_chosen(step);
}

fn stop_if_chosen(step: &str) {
    if chosen() == Some(step) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
    }
}
