//! The harness of the black-box tests: a [`Host`] of its own for each test, and what is needed to talk to it.
//!
//! Tests drive the binary that `CORTEN_BIN` names, as a user does: arguments in, streams and exit codes out. None
//! of our crates is used here. Whatever a test starts is gone when its `Host` is dropped, and the drop fails the
//! test if a process, a mount, a control group or a finding of `corten system check` is left.

mod account;
pub mod archive;
mod call;
mod collect;
mod disk;
mod host;
mod image;
mod leftovers;
mod output;
mod peers;
mod probe;
pub mod registry;
mod session;
mod stopped;
pub mod tar;
mod terminal;
mod wait;

pub use account::Account;
pub use call::Call;
pub use disk::Disk;
pub use host::{Host, binary};
pub use image::{BUSYBOX, busybox_files, filter};
pub use leftovers::{groups_of, processes_of};
pub use output::Output;
pub use peers::Peers;
pub use probe::probe;
pub use session::Session;
pub use stopped::{kill, kill_all, kill_and_wait, state_of, stopped, wait_stopped};
pub use terminal::Terminal;
pub use wait::{COMMAND_DEADLINE, SETTLE_DEADLINE, wait_until};
