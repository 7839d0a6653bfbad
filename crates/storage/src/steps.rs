//! Named steps at which a test stops the process, to see what a crash there leaves.
//!
//! Each is one load of a pointer when nobody listens.

use std::sync::OnceLock;

/// Every step, in the order in which a command passes them.
pub const STEPS: [&str; 15] = [
    "open.directories",
    "open.version",
    "unpack.begun",
    "unpack.entries",
    "unpack.synced",
    "unpack.renamed",
    "blob.written",
    "blob.synced",
    "blob.renamed",
    "volume.made",
    "copy.found",
    "copy.placed",
    "sweep.begun",
    "sweep.layers",
    "sweep.moved",
];

/// Steps of the crates above this one, which say them through the same door.
pub const ABOVE: [&str; 13] = [
    "load.spooled",
    "load.layers",
    "load.blobs",
    "save.documents",
    "pull.found",
    "pull.part",
    "pull.fetched",
    "pull.layers",
    "pull.blobs",
    "push.found",
    "push.part",
    "push.layer",
    "push.layers",
];

static HOOK: OnceLock<fn(&'static str)> = OnceLock::new();

/// Calls `hook` at every step from now on; false if there is one already.
pub fn listen(hook: fn(&'static str)) -> bool {
    HOOK.set(hook).is_ok()
}

/// Says that `step` was reached.
pub fn reached(step: &'static str) {
    debug_assert!(STEPS.contains(&step) || ABOVE.contains(&step), "{step} is not in the list");
    if let Some(hook) = HOOK.get() {
        hook(step);
    }
}
