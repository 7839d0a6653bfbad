//! The words of the domain, pure: no I/O, no clock, no environment.
//!
//! Parsers turn what a person typed into types that can't hold a wrong value; every parser returns
//! [`Invalid`], which names the object, the value, what is wrong with it and, where there is one, a hint.

pub mod bytes;
pub mod capability;
pub mod cgroup;
pub mod container;
pub mod detach_keys;
pub mod device;
pub mod digest;
pub mod duration;
pub mod health;
pub mod hosts;
pub mod id;
pub mod idmap;
pub mod image;
pub mod invalid;
pub mod kind;
pub mod log;
pub mod mount;
pub mod name;
pub mod namespace;
pub mod platform;
pub mod port;
pub mod power;
pub mod reference;
pub mod resources;
pub mod restart;
pub mod security;
pub mod signal;
pub mod state;
pub mod suggest;
pub mod ulimit;
pub mod user;

pub use digest::Digest;
pub use id::{ContainerId, ExecId, SandboxId, VolumeId};
pub use invalid::Invalid;
pub use kind::Kind;
pub use name::Name;
pub use reference::Reference;
