//! Commands that only `image` has.

pub mod inspect;
pub mod prune;
