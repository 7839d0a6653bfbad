//! Waiting for what the kernel tells nobody about: a look every few milliseconds, and always an end.

use std::time::{Duration, Instant};

/// How long one command may take.
pub const COMMAND_DEADLINE: Duration = Duration::from_secs(50);
/// How long something may take to settle after a command has returned: on a machine whose cores and disk are lent to
/// others, ten seconds were not enough.
pub const SETTLE_DEADLINE: Duration = Duration::from_secs(40);
/// How often to look.
const INTERVAL: Duration = Duration::from_millis(5);

/// Looks until `look` gives something; panics with `what` after [`SETTLE_DEADLINE`].
#[track_caller]
pub fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    match wait_for(SETTLE_DEADLINE, &mut look) {
        Some(found) => found,
        None => panic!("after {SETTLE_DEADLINE:?} still not so: {what}"),
    }
}

/// Looks until `look` gives something or time is up.
pub fn wait_for<T>(deadline: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(INTERVAL);
    }
}
