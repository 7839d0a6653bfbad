//! The OCI runtime: a spec in, a process out.

pub mod cgroup;
pub mod seccomp;
