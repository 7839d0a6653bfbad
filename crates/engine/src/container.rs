//! Containers: one verb per file, here what they share at the door.

mod binds;
mod commit;
mod copy;
mod create;
mod defaults;
mod details;
mod devices;
mod diff;
mod exec;
mod export;
mod files;
mod inspect;
mod join;
mod list;
mod logging;
mod mounts;
mod names;
mod pause;
mod reconcile;
mod remove;
mod rename;
mod spec;
mod start;
mod stop;
mod top;
mod update;
mod usage;
mod view;

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use corten_model::container::ContainerConfig;
use corten_model::health::HealthStatus;
use corten_model::platform::Platform;
use corten_model::state::{Exit, Status};
use corten_model::{ContainerId, Digest, Name};

use crate::attach::Session;
use crate::db::containers::{self, Container};
use crate::{Engine, Error, Result};

pub use crate::exec::ExecRequest;
pub use commit::{CommitRequest, Committed, commit};
pub use copy::{CopyOptions, Incoming, Outgoing, copy_in, copy_out};
pub use create::create;
pub use details::{Details, Size, details, sizes};
pub use diff::{Change, ChangeKind, diff};
pub use exec::{attach, exec};
pub use export::export;
pub use inspect::inspect;
pub use list::list;
pub use pause::{pause, unpause};
pub(crate) use reconcile::{clean_up_if_left, reconcile};
pub(crate) use remove::remove_bytes;
pub use remove::{finish, remove};
pub use rename::rename;
pub use start::{run, start};
pub use stop::{begin_kill, kill, restart, stop, wait};
pub use top::{Process, top};
pub use update::{Changes, update};
pub use usage::{Sample, sample};

/// What `create` and `run` need.
#[derive(Debug, Clone)]
pub struct CreateRequest {
    /// The name; a random one if absent.
    pub name: Option<Name>,
    /// The image as it was typed: a reference, an id or a prefix of one.
    pub image: String,
    /// Which of several platforms below that name; none: this machine's.
    pub platform: Option<Platform>,
    /// Everything else.
    pub config: ContainerConfig,
    /// An empty file for the new container's id: it is written as soon as there is a container.
    pub id_file: Option<Arc<File>>,
}

impl CreateRequest {
    /// A container of `image`.
    pub fn new(image: String, config: ContainerConfig) -> Self {
        Self { name: None, image, platform: None, config, id_file: None }
    }
}

/// What `create` made.
#[derive(Debug, Clone)]
pub struct Created {
    /// The new container's id.
    pub id: ContainerId,
    /// Its name.
    pub name: Name,
    /// What was asked for and can't be had, a sentence each.
    pub warnings: Vec<String>,
}

/// What `start` and `run` give back.
pub struct Started {
    /// The container.
    pub id: ContainerId,
    /// Its streams, if they were asked for.
    pub session: Option<Session>,
    /// What was asked for and can't be had, a sentence each.
    pub warnings: Vec<String>,
}

/// Which containers `list` gives back.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// Not only those that run.
    pub all: bool,
}

/// A container as `ps` shows it.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: Name,
    /// The image as it was typed.
    pub image: String,
    /// The image's id.
    pub image_id: Digest,
    /// Entrypoint and arguments.
    pub command: Vec<String>,
    /// When it was made, seconds since the epoch.
    pub created_unix_s: i64,
    /// Its state, as the kernel has it.
    pub status: Status,
    /// When it last started, seconds since the epoch.
    pub started_unix_s: Option<i64>,
    /// When it last ended, seconds since the epoch.
    pub finished_unix_s: Option<i64>,
    /// How it last ended; absent while it runs, or if nobody saw it.
    pub exit: Option<Exit>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Why it runs in the host's user namespace (`--privileged`, …); empty if it doesn't.
    pub host_powers: Vec<String>,
    /// Names of volumes, paths of the host.
    pub mounts: Vec<String>,
    /// What its health checks say; absent: nobody checks.
    pub health: Option<HealthStatus>,
    /// What of it can't be read.
    pub problem: Option<String>,
}

/// What `rm` does beside removing.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveOptions {
    /// Kill it first if it runs.
    pub force: bool,
    /// Its anonymous volumes go too.
    pub volumes: bool,
}

/// The one container that `target` means: an id, a name or a prefix of an id.
pub(crate) fn resolve(engine: &mut Engine, target: &str) -> Result<Container> {
    let found = containers::matching(engine.database()?.read(), target);
    let broken = |error: Error| match error {
        Error::Database(_) if error.is_broken() => {
            Error::Broken { name: target.to_owned(), source: Box::new(error) }
        }
        other => other,
    };
    let mut found = found.map_err(|error| broken(error.into()))?;
    match found.len() {
        0 => Err(Error::NoSuch { what: "container", name: target.to_owned() }),
        1 => Ok(found.remove(0)),
        _ => {
            let matches = found.iter().map(|c| format!("{} ({})", c.id.short(), c.name)).collect();
            Err(Error::Ambiguous { what: "container", prefix: target.to_owned(), matches })
        }
    }
}
