//! The OCI runtime: a spec in, a process out.
//!
//! ```text
//! spec.rs      config.json
//! plan.rs      spec + facts → steps, pure
//! start.rs     the parent's steps; start/ their details
//! newborn.rs   the fork, and the killing of what failed
//! init.rs      the child's steps; init/ their details
//! process.rs   the last part, the same for a start and an exec: user, streams, capabilities, seccomp, execve
//! exec.rs      a process in a running container
//! shm.rs       the /dev/shm of a running container, for one that shares its IPC namespace
//! reaper.rs    the first process of `--init`
//! channel.rs   what parent and child say to each other; step.rs what went wrong, typed
//! ```
//!
//! Whoever calls [`start`] or [`exec`] is single-threaded and becomes the process's parent. Nothing here keeps
//! state, prints, or mounts anything in the host's mount namespace; nothing that runs here is needed for a
//! container to go on living.

pub mod cgroup;
pub mod seccomp;
pub mod spec;

mod channel;
mod error;
mod exec;
mod init;
mod limits;
mod newborn;
pub mod plan;
mod process;
mod program;
mod reaper;
mod shm;
mod start;
mod step;
mod terminal;
mod user;

pub use error::StartError;
pub use exec::{ExecLaunch, exec};
pub use plan::Fallbacks;
pub use shm::{PATH as SHM_PATH, shm_of};
pub use spec::NsKind;
pub use start::binds::unescape as unescape_mountinfo;
pub use start::maps::write as write_id_maps;
pub use start::{External, Join, Launch, Rootfs, Started, Stdio, Withdrawn, start};
pub use step::Step;
