//! How the files of a container are reached: through its own mounts while it runs, else as a start would mount them.

use std::path::PathBuf;

use corten_model::mount::{MountSource, MountSpec};
use corten_storage::snapshot::Snapshot;

use super::diff;
use super::reconcile::reconcile;
use crate::db::containers::Container;
use crate::db::{images, volumes};
use crate::error::OnFile;
use crate::inside::{Enter, Stopped, View, ViewMount, ViewSource};
use crate::keeper::places;
use crate::volume::{Data, options};
use crate::{Engine, Error, Result};

/// What the kernel says of a container.
pub(super) enum State {
    /// Its processes' namespaces can be entered.
    Running(Enter),
    /// It has none.
    Stopped,
}

/// Asks the kernel.
pub(super) fn state(engine: &mut Engine, container: Container, target: &str) -> Result<(Container, State)> {
    let gone = || Error::NoSuch { what: "container", name: target.to_owned() };
    let container = reconcile(engine, container)?.ok_or_else(gone)?;
    let state = &container.state;
    let (Some(pid), Some(ticks), true) = (state.pid, state.pid_start_ticks, state.status.is_alive()) else {
        return Ok((container, State::Stopped));
    };
    let user = engine.is_rootless() || !corten_model::power::decide(&container.config)?.0;
    Ok((container, State::Running(Enter::Container { pid, ticks, user })))
}

/// Reaches a container's files with everything that is mounted in it; a stopped one can't start meanwhile.
pub(super) fn with_mounts<T>(
    engine: &mut Engine,
    container: Container,
    target: &str,
    work: impl FnOnce(&mut Engine, Enter, View) -> Result<T>,
) -> Result<T> {
    let (container, now) = state(engine, container, target)?;
    if let State::Running(enter) = now {
        return work(engine, enter, View::Running);
    }
    let run = engine.roots().run.clone();
    let dir = places::directory(&run, &container.id);
    let Some(_lock) = places::lock(&run, &container.id).on("take the lock of", &dir)? else {
        return Err(Error::State { name: target.to_owned(), state: "running" });
    };
    let id = container.id.clone();
    let enter = if engine.is_rootless() { Enter::NewUser } else { Enter::OwnMounts };
    let done =
        stopped(engine, &container).and_then(|stopped| work(engine, enter, View::Stopped(Box::new(stopped))));
    // The lock made the directory.
    places::remove(&run, &id);
    done
}

/// What a start would mount.
fn stopped(engine: &mut Engine, container: &Container) -> Result<Stopped> {
    let mut lowers = diff::lowers(engine, container)?;
    lowers.push(engine.store().skeleton());
    let dir = engine.store().container_dir(&container.id);
    let rootless = engine.is_rootless();
    // Never volatile: such an overlay can be mounted once.
    let snapshot = Snapshot { lowers, dir, volatile: false, rootless, read_only: false };
    let config = &container.config;
    let mut mounts = Vec::new();
    for (volume, target) in volumes::of_container(engine.database()?.read(), &container.id)? {
        let asked = config.mounts.iter().find(|m| m.target == target);
        let subpath = asked.and_then(MountSpec::volume).and_then(|volume| volume.subpath.clone());
        let data = options::data(&volume.options, engine.store().volume_data(&volume.id));
        let (source, words) = match data {
            Data::Directory { path, words, .. } => (ViewSource::Path(path), words),
            // What is in memory isn't there while nobody runs; a disk is mounted for that time by a start only.
            Data::FileSystem { .. } => continue,
        };
        let read_only = asked.is_some_and(|m| m.read_only) || words.iter().any(|word| word == "ro");
        mounts.push(ViewMount { source, target, recursive: false, read_only, subpath });
    }
    for mount in &config.mounts {
        if let MountSource::Bind(bind) = &mount.source {
            let source = ViewSource::Path(PathBuf::from(&bind.path));
            let (target, read_only) = (mount.target.clone(), mount.read_only);
            mounts.push(ViewMount { source, target, recursive: bind.recursive, read_only, subpath: None });
        }
    }
    for (image, target) in images::mounted_by(engine.database()?.read(), &container.id)? {
        let asked = config.mounts.iter().find(|m| m.target == target);
        let subpath = asked.and_then(|mount| match &mount.source {
            MountSource::Image { subpath, .. } => subpath.clone(),
            _ => None,
        });
        let source = ViewSource::Layers(crate::image::lowers_top_first(engine, &image));
        mounts.push(ViewMount { source, target, recursive: false, read_only: true, subpath });
    }
    // What is mounted below another one comes after it.
    mounts.sort_by(|a, b| a.target.cmp(&b.target));
    Ok(Stopped { snapshot, read_only: config.read_only, mounts })
}
