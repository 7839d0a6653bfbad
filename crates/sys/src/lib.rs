//! Safe wrappers of the kernel: what rustix lacks, and the few compositions that every other crate needs.
//!
//! The only crate with `unsafe` code. Nothing here knows what a container is.
#![allow(unsafe_code)]

pub mod bpf;
pub mod byte_lock;
pub mod caps;
pub mod cpu;
pub mod fdpass;
pub mod fsid;
pub mod idmap;
pub mod kernel_file;
pub mod mount;
pub mod mountns;
pub mod net;
pub mod path;
pub mod pidfd;
pub mod prctl;
pub mod process;
pub mod seccomp;
pub mod slim;
pub mod spawn;
pub mod terminal;
pub mod young;
