//! Commands that only `container` has.

pub mod inspect;
pub mod prune;
