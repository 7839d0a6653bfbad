//! Commands that only `container` has.

pub mod inspect;
