//! What comes into a container from outside.

use std::os::fd::AsRawFd;

use super::{Launch, Stdio};
use crate::plan::{Plan, Source};
use crate::spec::NsKind;

/// What came in from outside: a checkpoint would need each of it again.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum External {
    /// A tree of the host.
    Bind {
        /// Its path on the host.
        source: String,
        /// Where it is in the container.
        destination: String,
    },
    /// A device node.
    Device {
        /// Its path in the container.
        path: String,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A descriptor.
    Fd {
        /// Its number in the container.
        number: u32,
        /// What the kernel calls it, such as `pipe:[4026]`.
        what: String,
    },
    /// A namespace of another container.
    Namespace(NsKind),
}

/// Everything that a start brings in.
pub(super) fn external(launch: &Launch<'_>, plan: &Plan<'_>) -> Vec<External> {
    let binds = plan.mounts.iter().filter_map(|planned| match planned.source {
        Source::Bind { path, .. } => {
            Some(External::Bind { source: path.to_owned(), destination: planned.target.clone() })
        }
        _ => None,
    });
    let devices = launch.spec.linux.devices.iter().map(|device| External::Device {
        path: device.path.clone(),
        major: device.major,
        minor: device.minor,
    });
    let joins = launch.join.iter().map(|join| External::Namespace(join.kind));
    binds.chain(devices).chain(joins).chain(streams(&launch.stdio)).collect()
}

/// The standard streams as they came in.
pub(crate) fn streams(stdio: &Stdio) -> Vec<External> {
    let Stdio::Fds { stdin, stdout, stderr } = stdio else { return Vec::new() };
    [stdin, stdout, stderr]
        .into_iter()
        .zip(0..)
        .map(|(fd, number)| {
            let what = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
            let what = what.map_or_else(|_| "unknown".into(), |path| path.to_string_lossy().into_owned());
            External::Fd { number, what }
        })
        .collect()
}
