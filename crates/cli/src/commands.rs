//! The commands: one file each. The doc comment of its `Args` is its help.

pub mod attach;
pub mod commit;
pub mod config;
pub mod container;
pub mod cp;
pub mod create;
pub mod diff;
pub mod exec;
pub mod export;
pub mod image;
pub mod images;
pub mod import;
pub mod info;
pub mod inspect;
pub mod kill;
pub mod logs;
pub mod ps;
pub mod rm;
pub mod rmi;
pub mod run;
pub mod start;
pub mod stop;
pub mod system;
pub mod version;
pub mod volume;
pub mod wait;
