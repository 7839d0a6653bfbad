//! `export`: a container's whole file system as an archive.

use std::fs::File;

use super::view::{self, State};
use super::{diff, resolve};
use crate::error::Doing;
use crate::{Engine, Result, inside};

/// Writes everything that the container sees, but nothing of what is mounted in it, to `out`.
pub fn export(engine: &mut Engine, target: &str, out: &mut File) -> Result<()> {
    export_resolved(engine, target, out).doing("export container", target)
}

fn export_resolved(engine: &mut Engine, target: &str, out: &mut File) -> Result<()> {
    let container = resolve(engine, target)?;
    let (container, state) = view::state(engine, container, target)?;
    let from = match state {
        State::Running(enter) => Err(enter),
        State::Stopped => {
            let upper = diff::upper(engine, &container)?;
            let layers = upper.dir.into_iter().chain(upper.lowers);
            Ok(layers.chain([engine.store().skeleton()]).collect())
        }
    };
    inside::export(engine, from, out)
}
