//! `commit`: a container's changes become an image.

use std::collections::BTreeMap;

use corten_images::CommitOptions;
use corten_model::container::ContainerConfig;
use corten_model::image::ImageDefaults;
use corten_model::{Digest, Invalid, Kind, Reference};

use super::view::{self, State};
use super::{diff, resolve};
use crate::call::Line;
use crate::db::containers::{self, Container};
use crate::db::events;
use crate::db::images::{self, Image};
use crate::error::{Doing, OnFile};
use crate::keeper::places;
use crate::keeper::protocol::Request;
use crate::lease::{self, Ref};
use crate::{Engine, Error, Result, image, inside, journal};

/// How a container is committed.
#[derive(Debug, Clone, Default)]
pub struct CommitRequest {
    /// The name that the image gets.
    pub reference: Option<Reference>,
    /// Who made it.
    pub author: Option<String>,
    /// A remark for the history.
    pub message: Option<String>,
    /// Dockerfile instructions applied to the config.
    pub changes: Vec<String>,
    /// Let it run on meanwhile.
    pub no_pause: bool,
}

/// What a commit made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The image.
    pub id: Digest,
    /// What was asked for and can't be had.
    pub warnings: Vec<String>,
}

/// Makes an image of a container's changes.
pub fn commit(engine: &mut Engine, target: &str, request: &CommitRequest) -> Result<Committed> {
    commit_resolved(engine, target, request).doing("commit container", target)
}

fn commit_resolved(engine: &mut Engine, target: &str, request: &CommitRequest) -> Result<Committed> {
    if let Some(reference) = &request.reference
        && reference.digest.is_some()
    {
        let why = "an image that is committed gets a tag, not a digest";
        return Err(Invalid::new("image reference", reference.familiar(), why).into());
    }
    let container = resolve(engine, target)?;
    let image = images::by_id(engine.database()?.read(), &container.image_id)?;
    let image = image.ok_or_else(|| Error::NoSuch { what: "image", name: container.image.clone() })?;
    // First, because a typing error should not stop what runs.
    let mut made = defaults(&container.config, &image.config.config);
    let created_by = made.cmd.clone().unwrap_or_default().join(" ");
    corten_images::apply_changes(&mut made, &request.changes)?;
    let (container, state) = view::state(engine, container, target)?;
    let top = image.layers.last().map(|layer| layer.chain_id.clone());
    let held: Vec<Ref> = top.clone().map(Ref::Layer).into_iter().chain([Ref::Above(top)]).collect();
    let options = CommitOptions {
        defaults: made,
        author: request.author.clone().filter(|a| !a.is_empty()),
        message: request.message.clone().filter(|m| !m.is_empty()),
        created_by: Some(created_by).filter(|c| !c.is_empty()),
        created: jiff::Timestamp::now().to_string(),
    };
    lease::with(engine, "commit", |engine, lease| {
        lease.hold(&held)?;
        let (unpacked, warnings) = match state {
            State::Running(_) if request.no_pause => (layer(engine, &container, &image)?, Vec::new()),
            State::Running(_) => paused(engine, &container, &image)?,
            State::Stopped => (locked(engine, &container, &image, target)?, Vec::new()),
        };
        // Rows go before bytes: while the row is there, nothing was taken away that we read.
        if containers::by_id(engine.database()?.read(), &container.id)?.is_none() {
            return Err(Error::NoSuch { what: "container", name: target.to_owned() });
        }
        let stored = corten_images::commit(engine.store(), parent(image), unpacked, options)?;
        let id = image::insert(engine, lease, stored, request.reference.as_ref(), "commit")?;
        record(engine, &container, &id, request)?;
        Ok(Committed { id, warnings })
    })
}

/// The image that it is made of, as a part of the new one.
fn parent(image: Image) -> corten_images::Parent {
    let layers = image.layers.into_iter().map(|l| corten_images::Layer {
        diff_id: l.diff_id,
        chain_id: l.chain_id,
        size_bytes: l.size_bytes,
    });
    corten_images::Parent { layers: layers.collect(), config: image.config, high_ids: image.high_ids }
}

fn record(engine: &mut Engine, container: &Container, id: &Digest, request: &CommitRequest) -> Result<()> {
    let attributes = BTreeMap::from([
        ("name", container.name.to_string()),
        ("imageID", id.to_string()),
        ("comment", request.message.clone().unwrap_or_default()),
    ]);
    engine.database()?.write(|transaction| -> Result<()> {
        let now = journal::now_ns();
        Ok(events::record(transaction, now, "container", "commit", container.id.as_str(), &attributes)?)
    })
}

/// With its processes frozen, for as long as we are connected to its keeper.
fn paused(
    engine: &mut Engine,
    container: &Container,
    image: &Image,
) -> Result<(corten_storage::Unpacked, Vec<String>)> {
    let mut line = Line::connect(&engine.roots().run, &container.id)?;
    let warnings = match line.ask(&Request::Pause { hold: true }) {
        Ok(_) => Vec::new(),
        Err(error) if error.kind() == Kind::Unsupported => {
            vec![format!("it was not paused meanwhile: {error}")]
        }
        Err(error) => return Err(error.into()),
    };
    crate::steps::reached("commit.paused");
    let unpacked = layer(engine, container, image)?;
    drop(line);
    Ok((unpacked, warnings))
}

/// With nobody able to start it.
fn locked(
    engine: &mut Engine,
    container: &Container,
    image: &Image,
    target: &str,
) -> Result<corten_storage::Unpacked> {
    let run = engine.roots().run.clone();
    let dir = places::directory(&run, &container.id);
    let Some(_lock) = places::lock(&run, &container.id).on("take the lock of", &dir)? else {
        return Err(Error::State { name: target.to_owned(), state: "running" });
    };
    let unpacked = layer(engine, container, image);
    // The lock made the directory.
    places::remove(&run, &container.id);
    unpacked
}

fn layer(engine: &mut Engine, container: &Container, image: &Image) -> Result<corten_storage::Unpacked> {
    let upper = diff::upper(engine, container)?;
    if upper.dir.is_none() && container.state.started_ns.is_some() {
        // It was removed since we looked.
        return Err(Error::NoSuch { what: "container", name: container.name.to_string() });
    }
    let parent = image.layers.last().map(|layer| layer.chain_id.clone());
    let parent =
        parent.ok_or_else(|| Error::NoSuch { what: "layer of image", name: container.image.clone() })?;
    inside::commit(engine, upper, parent)
}

/// What containers of the new image get: what this one got from its image, and what was typed on top.
fn defaults(config: &ContainerConfig, image: &ImageDefaults) -> ImageDefaults {
    let mut defaults = image.clone();
    let mut env = defaults.env.take().unwrap_or_default();
    crate::exec::merge(&mut env, &config.env);
    defaults.env = Some(env).filter(|env| !env.is_empty());
    if let Some(entrypoint) = &config.entrypoint {
        // One that was typed doesn't get the image's arguments, and an empty one is none.
        defaults.entrypoint = Some(vec![entrypoint.clone()]).filter(|_| !entrypoint.is_empty());
        defaults.cmd = None;
    }
    if !config.cmd.is_empty() {
        defaults.cmd = Some(config.cmd.clone());
    }
    if let Some(user) = &config.user {
        defaults.user = user.clone().into();
    }
    if let Some(dir) = &config.working_dir {
        defaults.working_dir.clone_from(dir);
    }
    if !config.labels.is_empty() {
        defaults.labels.get_or_insert_default().extend(config.labels.clone());
    }
    if let Some(signal) = config.stop_signal {
        defaults.stop_signal = Some(signal.to_string());
    }
    let volumes = config.mounts.iter().filter(|mount| mount.gives_way());
    for mount in volumes {
        defaults.volumes.get_or_insert_default().insert(mount.target.clone(), serde_json::json!({}));
    }
    defaults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_lies_on_top_of_the_image() {
        let image = ImageDefaults {
            env: Some(vec!["A=1".into(), "B=2".into()]),
            entrypoint: Some(vec!["/e".into()]),
            cmd: Some(vec!["c".into()]),
            user: "app".into(),
            ..ImageDefaults::default()
        };
        assert_eq!(defaults(&ContainerConfig::default(), &image), image);
        let typed = ContainerConfig {
            env: vec!["A=3".into(), "B".into()],
            cmd: vec!["sleep".into(), "1".into()],
            labels: [("k".to_owned(), "v".to_owned())].into(),
            working_dir: Some("/w".into()),
            mounts: vec![corten_model::mount::parse_volume("/data").unwrap()],
            ..ContainerConfig::default()
        };
        let made = defaults(&typed, &image);
        assert_eq!(made.env.as_deref(), Some(&["A=3".to_owned()][..]));
        assert_eq!(made.cmd.as_deref(), Some(&["sleep".to_owned(), "1".to_owned()][..]));
        assert_eq!(made.entrypoint, image.entrypoint);
        assert_eq!((made.working_dir.as_str(), made.user.as_str()), ("/w", "app"));
        assert!(made.volumes.unwrap().contains_key("/data"));
        let entrypoint = ContainerConfig { entrypoint: Some("/x".into()), ..ContainerConfig::default() };
        let made = defaults(&entrypoint, &image);
        assert_eq!((made.entrypoint.unwrap(), made.cmd), (vec!["/x".to_owned()], None));
    }
}
