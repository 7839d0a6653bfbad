//! Commands of `system`.

pub mod check;
pub mod df;
pub mod prune;
pub mod setup;
