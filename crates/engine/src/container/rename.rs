//! Giving a container another name.

use corten_model::{Invalid, Name};

use super::resolve;
use crate::db::{containers, events};
use crate::error::Doing;
use crate::{Engine, Error, Result, journal, keeper};

/// Renames a container, whatever state it is in.
pub fn rename(engine: &mut Engine, target: &str, name: &Name) -> Result<()> {
    rename_resolved(engine, target, name).doing("rename container", target)
}

fn rename_resolved(engine: &mut Engine, target: &str, name: &Name) -> Result<()> {
    let container = resolve(engine, target)?;
    if container.name == *name {
        return Err(Invalid::new("name", name.as_str(), "the container has this name already").into());
    }
    let run = engine.roots().run.clone();
    engine.database()?.write(|transaction| -> Result<()> {
        let now = containers::by_id(transaction, &container.id)?;
        let Some(mut container) = now else {
            return Err(Error::NoSuch { what: "container", name: target.to_owned() });
        };
        if !containers::rename(transaction, &container.id, name)? {
            return Err(super::create::name_in_use(transaction, name)?);
        }
        // Before the commit: the old name must not lead here once it may be another's.
        keeper::names::remove(&run, &container.name, &container.id);
        let old = format!("/{}", std::mem::replace(&mut container.name, name.clone()));
        Ok(events::of_container(transaction, journal::now_ns(), "rename", &container, &[("oldName", old)])?)
    })
}
