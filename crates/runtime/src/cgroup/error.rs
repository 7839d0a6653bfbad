//! What can go wrong with groups.

use std::io;
use std::path::{Path, PathBuf};

use corten_model::Kind;
use rustix::io::Errno;

/// An error, with the file or group it is about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the kernel can't be read.
    #[error("read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of the kernel doesn't say what it should.
    #[error("`{}` has the line `{line}`, which can't be understood", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The line.
        line: String,
    },
    /// A file of a group can't be opened.
    #[error("open `{}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel refuses a value.
    #[error("write `{value}` to `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What was written.
        value: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A group can't be made.
    #[error("make the control group `{}`", path.display())]
    Create {
        /// Its directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A group can't be removed.
    #[error("remove the control group `{}`", path.display())]
    Remove {
        /// Its directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The name of a group leads elsewhere.
    #[error("`{path}` is not the name of a control group below ours")]
    Path {
        /// The name.
        path: String,
    },
    /// There is no such group in any hierarchy.
    #[error("there is no control group `{path}`")]
    Absent {
        /// The name.
        path: String,
    },
    /// Devices can't be restricted, which for root is no small loss.
    #[error(
        "no control group can restrict devices here: there is neither a v1 `devices` controller nor cgroup v2"
    )]
    NoDevices,
    /// The kernel refuses the device program.
    #[error("restrict devices of the control group `{}`", path.display())]
    Devices {
        /// The group's directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A device rule isn't one.
    #[error("the device rule `{rule}` has {what}")]
    Rule {
        /// The rule.
        rule: String,
        /// What is wrong.
        what: &'static str,
    },
    /// Processes of the group were still there after its last deadline.
    #[error("processes of the control group `{}` are still there {deadline_ms} ms after {after}", path.display())]
    Deadline {
        /// The group's directory.
        path: PathBuf,
        /// What they outlived.
        after: &'static str,
        /// How long was waited.
        deadline_ms: u64,
    },
    /// systemd can't be spoken to.
    #[error("{step} over D-Bus at `{}`", path.display())]
    Bus {
        /// Its socket.
        path: PathBuf,
        /// What was being done.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// systemd refuses.
    #[error("systemd refuses with {name}: {message}")]
    Refused {
        /// The name of the D-Bus error.
        name: String,
        /// What it says.
        message: String,
    },
    /// systemd tried and failed.
    #[error("systemd's job for `{unit}` ended as `{result}`")]
    Job {
        /// The unit.
        unit: &'static str,
        /// How it ended.
        result: String,
    },
    /// The scope that holds all groups isn't there, or vanished each time it was entered.
    #[error("systemd has no `{scope}`")]
    NoScope {
        /// Its name.
        scope: &'static str,
    },
    /// This kernel or host can't freeze processes.
    #[error("no control group can freeze processes here")]
    NoFreezer,
}

impl Error {
    /// What a caller can do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Error::Absent { .. } => Kind::NotFound,
            Error::Path { .. } | Error::Rule { .. } => Kind::Invalid,
            Error::NoDevices | Error::NoFreezer => Kind::Unsupported,
            Error::Deadline { .. } | Error::Bus { .. } | Error::Job { .. } | Error::NoScope { .. } => {
                Kind::Unavailable
            }
            Error::Refused { name, .. } => match name.as_str() {
                "org.freedesktop.DBus.Error.AccessDenied"
                | "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired" => Kind::Denied,
                _ => Kind::Unavailable,
            },
            Error::Parse { .. } => Kind::Internal,
            Error::Write { source, .. } => match errno(source) {
                Some(Errno::INVAL | Errno::RANGE | Errno::NODEV) => Kind::Invalid,
                _ => kind_of(source),
            },
            Error::Read { source, .. }
            | Error::Open { source, .. }
            | Error::Create { source, .. }
            | Error::Remove { source, .. }
            | Error::Devices { source, .. } => kind_of(source),
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        let Error::Write { path, source, .. } = self else {
            return match self {
                Error::NoDevices => {
                    Some("mount cgroup2 or the v1 `devices` controller, or run with `--privileged`".into())
                }
                _ => None,
            };
        };
        let file = path.file_name()?.to_str()?;
        let text = match (errno(source)?, file) {
            (Errno::BUSY, "memory.limit_in_bytes" | "memory.memsw.limit_in_bytes") => {
                "the container uses more memory than the new limit"
            }
            (Errno::INVAL, "memory.limit_in_bytes" | "memory.memsw.limit_in_bytes") => {
                "memory and swap together can't be below memory: set both limits"
            }
            (Errno::INVAL, "cpu.cfs_quota_us" | "cpu.max") => {
                "the quota is out of range, or more than a group above allows"
            }
            (Errno::INVAL | Errno::ACCESS | Errno::RANGE, "cpuset.cpus") => {
                "some of these CPUs are not there, or not given to the group above"
            }
            (Errno::NOSPC, "tasks" | "cgroup.procs") => "the group has no CPUs or no memory nodes",
            (Errno::PERM, "devices.allow") => "the group above may not use this device",
            _ => return None,
        };
        Some(text.into())
    }

    pub(super) fn write(path: &Path, value: &str, source: impl Into<io::Error>) -> Error {
        Error::Write { path: path.into(), value: value.into(), source: source.into() }
    }

    /// The errno of a write that the kernel refused.
    pub(super) fn refused(&self) -> Option<Errno> {
        match self {
            Error::Write { source, .. } | Error::Open { source, .. } | Error::Create { source, .. } => {
                errno(source)
            }
            _ => None,
        }
    }
}

fn errno(source: &io::Error) -> Option<Errno> {
    source.raw_os_error().map(Errno::from_raw_os_error)
}

fn kind_of(source: &io::Error) -> Kind {
    match errno(source) {
        Some(Errno::NOENT) => Kind::NotFound,
        Some(Errno::BUSY | Errno::EXIST | Errno::NOTEMPTY) => Kind::Conflict,
        Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Kind::Denied,
        Some(Errno::NOSPC | Errno::NOMEM | Errno::MFILE | Errno::NFILE | Errno::AGAIN) => Kind::Unavailable,
        Some(Errno::NOSYS | Errno::OPNOTSUPP) => Kind::Unsupported,
        _ => Kind::Internal,
    }
}
