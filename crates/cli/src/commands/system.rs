//! Commands of `system`.

pub mod check;
