//! The store and the host as a whole: info, check, what the host lacks, the use of the disk.

mod broken;
mod check;
mod df;
mod features;
mod info;
mod mend;
mod needs;

pub use check::check;
pub use df::{ContainerUsage, DiskUsage, ImageUsage, RestUsage, VolumeUsage, df};
pub use info::info;
pub use mend::mend;
pub use needs::{Need, Remedy, User, needs, user};

/// Something that `check` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong, a sentence.
    pub what: String,
    /// The path, id or group concerned.
    pub object: String,
    /// Whether it was put right.
    pub repaired: bool,
}
