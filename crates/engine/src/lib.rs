//! Containers, images and volumes by name: the library that every face of Corten calls.
//!
//! Nothing here prints, reads the terminal, or depends on the working directory or the environment: what a
//! caller wants comes in as values, what it gets are values, errors and file descriptors. One module per noun;
//! below `container`, one file per verb.

pub mod attach;
mod call;
pub mod config;
pub mod container;
mod db;
mod engine;
mod error;
pub mod events;
mod exec;
mod fold;
pub mod gc;
mod ids;
pub mod image;
pub mod inside;
pub mod janitor;
mod journal;
pub mod keeper;
mod lease;
pub mod logs;
pub mod prune;
pub mod roots;
pub mod steps;
pub mod system;
#[cfg(test)]
mod testing;
pub mod timings;
pub mod volume;

pub use corten_images::{manifest_list, registry};
pub use engine::Engine;
pub use error::{Error, MATCHES_MAX, Result};
pub use roots::Roots;
