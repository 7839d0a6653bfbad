//! Why a start or an exec failed, as the callers of this crate see it.

use std::io;

use corten_model::{Invalid, Kind};
use rustix::io::Errno;

use crate::cgroup;
use crate::step::{Failure, Step};

/// Why a container or a process in it couldn't be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The spec asks for something that can't be.
    #[error("the container can't be run as it is described")]
    Spec(#[from] Invalid),
    /// A step failed, in the parent or in the child.
    #[error("cannot {}", failed(.step, .object, .why))]
    Step {
        /// The step.
        step: Step,
        /// Its object; may be empty.
        object: String,
        /// What was found, if the source doesn't say it.
        why: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The root file system couldn't be mounted.
    #[error("cannot mount the root file system")]
    RootFs(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The cgroup couldn't be opened.
    #[error("cannot open the cgroup `{path}`")]
    Cgroup {
        /// Which one.
        path: String,
        /// Why.
        #[source]
        source: cgroup::Error,
    },
    /// A program that writes id maps failed.
    #[error("`{program}` refused the id map: {said}")]
    MapHelper {
        /// `newuidmap` or `newgidmap`.
        program: &'static str,
        /// What it said.
        said: String,
    },
    /// Whoever wanted the start doesn't any more.
    #[error("the start was withdrawn")]
    Withdrawn(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The first process ended before it became the program, without a word.
    #[error("the container's first process was killed while it started")]
    Died,
    /// The container that a process was to be started in doesn't run.
    #[error("the container's process {pid} does not run")]
    NotRunning {
        /// The process that was asked for.
        pid: i32,
    },
    /// The container that a process was to be started in is paused.
    #[error("the container's process {pid} is paused")]
    Paused {
        /// The process that was asked for.
        pid: i32,
    },
}

fn failed(step: &Step, object: &str, why: &str) -> String {
    let object = if object.is_empty() { String::new() } else { format!(" `{object}`") };
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    format!("{step}{object}{why}")
}

impl From<Failure> for StartError {
    fn from(failure: Failure) -> Self {
        let source = io::Error::from_raw_os_error(failure.errno.raw_os_error());
        StartError::Step { step: failure.step, object: failure.object, why: failure.why, source }
    }
}

impl StartError {
    fn errno(&self) -> Option<(Step, Errno)> {
        match self {
            StartError::Step { step, source, .. } => {
                Some((*step, source.raw_os_error().map_or(Errno::INVAL, Errno::from_raw_os_error)))
            }
            _ => None,
        }
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> Kind {
        match self {
            StartError::Spec(_) => Kind::Invalid,
            StartError::RootFs(_) | StartError::Died => Kind::Internal,
            StartError::Withdrawn(_) => Kind::Cancelled,
            StartError::Cgroup { source, .. } => source.kind(),
            StartError::MapHelper { .. } => Kind::Denied,
            StartError::NotRunning { .. } | StartError::Paused { .. } => Kind::Conflict,
            StartError::Step { .. } => match self.errno() {
                Some((Step::FindProgram | Step::Exec | Step::User | Step::BindSource, Errno::NOENT)) => {
                    Kind::NotFound
                }
                Some((_, Errno::PERM | Errno::ACCESS | Errno::ROFS)) => Kind::Denied,
                Some((_, Errno::NOMEM | Errno::NOSPC | Errno::AGAIN | Errno::MFILE | Errno::NFILE)) => {
                    Kind::Unavailable
                }
                Some((_, Errno::NOSYS | Errno::OPNOTSUPP | Errno::NODEV)) => Kind::Unsupported,
                Some((Step::Cwd | Step::MountTarget | Step::Sysctl | Step::Identity | Step::User, _)) => {
                    Kind::Invalid
                }
                _ => Kind::Internal,
            },
        }
    }

    /// The exit code that Docker's users expect: 127 the program isn't there, 126 it or the working directory
    /// can't be used, else 125.
    pub fn exit_code(&self) -> u8 {
        match self.errno() {
            Some((Step::FindProgram | Step::Exec, Errno::NOENT | Errno::NOTDIR)) => 127,
            Some((Step::FindProgram | Step::Exec | Step::Cwd, _)) => 126,
            _ => 125,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            StartError::Spec(invalid) => invalid.hint.clone(),
            StartError::Cgroup { source, .. } => source.hint(),
            StartError::MapHelper { .. } => {
                Some("/etc/subuid and /etc/subgid must give this user the ranges of the map".into())
            }
            StartError::Paused { .. } => Some("unpause it first".into()),
            _ => match self.errno()? {
                (Step::FindProgram, Errno::NOENT) => {
                    Some("it is looked for in the image, along its PATH".into())
                }
                (Step::Exec, Errno::NOEXEC) => {
                    Some("it is not a program of this processor, or a script without `#!`".into())
                }
                (Step::Exec, Errno::NOENT) => {
                    Some("its interpreter or loader is missing in the image".into())
                }
                (Step::Clone, Errno::NOSPC) => Some("/proc/sys/user/max_*_namespaces is reached".into()),
                (Step::Clone, Errno::PERM) => Some("the host forbids user namespaces to this user".into()),
                (Step::Identity, Errno::INVAL) => {
                    Some("the id is not in the container's user namespace; its range can be extended".into())
                }
                (Step::BindSource, Errno::NOENT) => Some("the path must exist on the host".into()),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_dockers() {
        let check = |step, errno, code, kind| {
            let error = StartError::from(Failure::new(step, "x", errno));
            assert_eq!((error.exit_code(), error.kind()), (code, kind), "{error}");
        };
        check(Step::FindProgram, Errno::NOENT, 127, Kind::NotFound);
        check(Step::FindProgram, Errno::ACCESS, 126, Kind::Denied);
        check(Step::Exec, Errno::NOEXEC, 126, Kind::Internal);
        check(Step::Cwd, Errno::LOOP, 126, Kind::Invalid);
        check(Step::BindSource, Errno::NOENT, 125, Kind::NotFound);
        check(Step::Clone, Errno::AGAIN, 125, Kind::Unavailable);
    }

    #[test]
    fn messages_name_the_object() {
        let error = StartError::from(Failure::because(Step::Attach, "/srv", Errno::PERM, "it is in proc"));
        assert_eq!(error.to_string(), "cannot mount on `/srv`: it is in proc");
        let error = StartError::from(Failure::new(Step::Seccomp, "", Errno::INVAL));
        assert_eq!(error.to_string(), "cannot load the seccomp filter");
    }
}
