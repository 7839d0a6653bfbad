//! The namespaces that a container takes from others.
//!
//! A sandbox's namespaces live in its members' processes. A container that names another one joins that one's; one that
//! is started again while others run that had joined it gets back the namespaces that they hold: to them it never left.
//! Only a PID namespace ends with the container that made it.

use corten_model::ContainerId;
use corten_model::container::ContainerConfig;
use corten_model::namespace::{IpcMode, NetworkMode, PidMode};
use corten_model::state::Status;
use corten_runtime::spec::NsKind;

use super::reconcile;
use crate::db::containers::{self, Container};
use crate::keeper::protocol::Join;
use crate::{Engine, Error, Result};

/// Containers that are followed from one that joins another one that joins another one.
const CHAIN_MAX: usize = 64;

/// The container whose namespace of this kind `config` asks for.
fn target(config: &ContainerConfig, kind: NsKind) -> Option<&str> {
    match kind {
        NsKind::Net => match &config.network {
            NetworkMode::Container(target) => Some(target),
            NetworkMode::None | NetworkMode::Host => None,
        },
        NsKind::Ipc => match &config.ipc {
            IpcMode::Container(target) => Some(target),
            IpcMode::Private | IpcMode::Shareable | IpcMode::None | IpcMode::Host => None,
        },
        NsKind::Pid => match &config.pid {
            PidMode::Container(target) => Some(target),
            PidMode::Private | PidMode::Host => None,
        },
        NsKind::User | NsKind::Mount | NsKind::Uts | NsKind::Cgroup => None,
    }
}

/// Whether the container has a namespace of this kind of its own that others may have joined.
fn may_be_joined(config: &ContainerConfig, kind: NsKind) -> bool {
    match kind {
        NsKind::Net => config.network == NetworkMode::None,
        NsKind::Ipc => config.ipc == IpcMode::Shareable,
        _ => false,
    }
}

/// The namespaces that the container takes from others: those that it named or that others hold for it, and its
/// sandbox's user namespace with them.
pub fn joins(engine: &mut Engine, container: &Container) -> Result<Vec<Join>> {
    let config = &container.config;
    let in_host_userns = corten_model::power::decide(config)?.0;
    let mut joins: Vec<Join> = Vec::new();
    for kind in [NsKind::Net, NsKind::Ipc, NsKind::Pid] {
        let other = match target(config, kind) {
            Some(target) => Some(named(engine, in_host_userns, target, kind)?),
            None if may_be_joined(config, kind) => holder(engine, container, kind)?,
            None => None,
        };
        if let Some(other) = other {
            add(&mut joins, &other, kind)?;
        }
    }
    if !in_host_userns && let Some(first) = joins.first_mut() {
        first.kinds.insert(0, NsKind::User.word().into());
    }
    Ok(joins)
}

/// The running container that was named, if it may be joined.
fn named(engine: &mut Engine, in_host_userns: bool, target: &str, kind: NsKind) -> Result<Container> {
    let other = super::resolve(engine, target)?;
    let other = running(engine, other)?;
    let other = other.ok_or_else(|| Error::State { name: target.to_owned(), state: "not running" })?;
    if kind == NsKind::Ipc && matches!(other.config.ipc, IpcMode::Private | IpcMode::None) {
        let why = "it keeps its IPC namespace and its /dev/shm to itself";
        let invalid = corten_model::Invalid::new("IPC namespace of container", target, why);
        return Err(invalid.hint(format!("start `{target}` with `--ipc shareable`")).into());
    }
    if !in_host_userns && !other.host_powers.is_empty() {
        // Its namespaces belong to the host's user namespace: nothing of ours could be set up in them.
        return Err(Error::Unsupported {
            what: format!("joining container `{target}`, which runs in the host's user namespace,"),
            when: "from another one: use `--userns=host`",
        });
    }
    Ok(other)
}

/// A running container that holds the namespace which `container` had before it ended.
fn holder(engine: &mut Engine, container: &Container, kind: NsKind) -> Result<Option<Container>> {
    for id in containers::alive_in_sandbox(engine.database()?.read(), &container.sandbox)? {
        if id == container.id {
            continue;
        }
        let Some(other) = containers::by_id(engine.database()?.read(), &id)? else { continue };
        if owner(engine, &other, kind)?.as_ref() == Some(&container.id)
            && let Some(other) = running(engine, other)?
        {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

/// The container whose own namespace `container` is in; itself if it joined none.
fn owner(engine: &mut Engine, container: &Container, kind: NsKind) -> Result<Option<ContainerId>> {
    let mut now = container.clone();
    for _ in 0..CHAIN_MAX {
        let Some(target) = target(&now.config, kind).map(str::to_owned) else { return Ok(Some(now.id)) };
        now = match super::resolve(engine, &target) {
            Ok(next) => next,
            // It was removed: nobody starts it again.
            Err(Error::NoSuch { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
    }
    Ok(None)
}

fn running(engine: &mut Engine, container: Container) -> Result<Option<Container>> {
    Ok(reconcile::reconcile(engine, container)?.filter(|c| c.state.status == Status::Running))
}

fn add(joins: &mut Vec<Join>, other: &Container, kind: NsKind) -> Result<()> {
    let (Some(pid), Some(ticks)) = (other.state.pid, other.state.pid_start_ticks) else {
        return Err(Error::State { name: other.name.to_string(), state: "not running" });
    };
    match joins.iter_mut().find(|j| j.pid == pid) {
        Some(join) => join.kinds.push(kind.word().into()),
        None => joins.push(Join { pid, ticks, kinds: vec![kind.word().into()] }),
    }
    Ok(())
}
