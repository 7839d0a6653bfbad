//! `rmi`: a name goes, and with the last one the images below it and what only they had.
//!
//! Rows go first, in one transaction; then gc removes the bytes that nothing names any more.

use std::collections::BTreeMap;

use corten_model::platform::Platform;
use corten_model::{Digest, Reference};
use rusqlite::Transaction;

use super::{image_for, platform_of, resolve_present};
use crate::db::events;
use crate::db::images::{self, Image};
use crate::db::tags::{self, Tag};
use crate::error::Doing;
use crate::{Engine, Error, Result, gc, journal};

/// What `rmi` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// This name is gone.
    Untagged(String),
    /// This image or layer is gone.
    Deleted(Digest),
}

/// How it is removed.
#[derive(Debug, Clone, Default)]
pub struct RemoveOptions {
    /// Takes all names of an id, lets go of a name whose image a container uses, and takes a platform from below all
    /// names that it hangs below.
    pub force: bool,
    /// Only these platforms go; none: all of them.
    pub platforms: Vec<Platform>,
}

/// Removes a name, and with the last one the images below it.
pub fn remove(engine: &mut Engine, target: &str, options: &RemoveOptions) -> Result<Vec<Removed>> {
    remove_resolved(engine, target, options).doing("remove image", target)
}

fn remove_resolved(engine: &mut Engine, target: &str, options: &RemoveOptions) -> Result<Vec<Removed>> {
    if !options.platforms.is_empty() && !options.force {
        return Err(Error::NeedsForce { what: "the platform goes from below all names that it hangs below" });
    }
    let typed = target.parse::<Reference>().ok();
    let named = match &typed {
        Some(reference) => tags::by_reference(engine.database()?.read(), reference)?,
        None => None,
    };
    let image = match &named {
        Some(_) if options.platforms.is_empty() => None,
        _ => Some(resolve_present(engine, target)?),
    };
    let mut wanted = Vec::new();
    for platform in &options.platforms {
        wanted.push(image_for(engine, target, Some(platform))?.id);
    }
    let force = options.force;
    let mut removal = Removal { target, force, removed: Vec::new() };
    engine.database()?.write_durably(|transaction| match (named, image) {
        _ if !wanted.is_empty() => removal.platforms(transaction, &wanted),
        (Some(tag), _) => removal.name(transaction, &tag),
        (None, Some(image)) => removal.id(transaction, &image),
        (None, None) => Ok(()),
    })?;
    crate::steps::reached("rmi.forgotten");
    let removed = removal.removed;
    if removed.iter().any(|r| matches!(r, Removed::Deleted(_))) {
        gc::remove_unnamed(engine)?;
    }
    Ok(removed)
}

/// One removal on its way.
struct Removal<'a> {
    target: &'a str,
    force: bool,
    removed: Vec<Removed>,
}

impl Removal<'_> {
    fn name(&mut self, transaction: &Transaction<'_>, tag: &Tag) -> Result<()> {
        let below = tags::images_below(transaction, &tag.target)?;
        self.untag(transaction, tag)?;
        for id in below {
            if !tags::of_image(transaction, &id)?.is_empty() {
                continue;
            }
            match images::users(transaction, &id)?.pop() {
                // Without a name it stays for its containers.
                Some(_) if self.force => {}
                Some(by) => return Err(self.in_use(by)),
                None => self.delete(transaction, &id)?,
            }
        }
        Ok(tags::remove_orphaned_indexes(transaction)?)
    }

    fn id(&mut self, transaction: &Transaction<'_>, image: &Image) -> Result<()> {
        let names = tags::of_image(transaction, &image.id)?;
        if names.len() > 1 && !self.force {
            let names = names.iter().map(|tag| tag.reference.familiar()).collect::<Vec<_>>().join(", ");
            return Err(Error::SeveralNames { id: image.id.short().to_owned(), names });
        }
        if names.is_empty()
            && let Some(by) = images::users(transaction, &image.id)?.pop()
        {
            return Err(self.in_use(by));
        }
        names.iter().try_for_each(|tag| self.name(transaction, tag))?;
        if names.is_empty() {
            self.delete(transaction, &image.id)?;
        }
        Ok(())
    }

    /// Images go whatever names they hang below; a name that has another platform keeps that.
    fn platforms(&mut self, transaction: &Transaction<'_>, wanted: &[Digest]) -> Result<()> {
        let host = Platform::host();
        for id in wanted {
            if let Some(by) = images::users(transaction, id)?.pop() {
                return Err(self.in_use(by));
            }
            for tag in tags::of_image(transaction, id)? {
                let mut others = Vec::new();
                for other in tags::images_below(transaction, &tag.target)?.into_iter().filter(|o| o != id) {
                    let Some(image) = images::by_id(transaction, &other)? else { continue };
                    others.push((host.rank(&platform_of(&image.config)).unwrap_or(u32::MAX), other));
                }
                match others.into_iter().min_by_key(|(rank, _)| *rank) {
                    Some((_, image)) => tags::set(transaction, &Tag { image, ..tag })?,
                    None => self.untag(transaction, &tag)?,
                }
            }
            self.delete(transaction, id)?;
        }
        Ok(tags::remove_orphaned_indexes(transaction)?)
    }

    fn in_use(&self, by: String) -> Error {
        Error::InUse { what: "image", name: self.target.to_owned(), by }
    }

    fn untag(&mut self, transaction: &Transaction<'_>, tag: &Tag) -> Result<()> {
        tags::remove(transaction, &tag.reference)?;
        let name = BTreeMap::from([("name", tag.reference.familiar())]);
        events::record(transaction, journal::now_ns(), "image", "untag", tag.image.as_str(), &name)?;
        self.removed.push(Removed::Untagged(tag.reference.familiar()));
        Ok(())
    }

    fn delete(&mut self, transaction: &Transaction<'_>, id: &Digest) -> Result<()> {
        let Some(image) = images::by_id(transaction, id)? else { return Ok(()) };
        let now = journal::now_ns();
        events::record(transaction, now, "image", "delete", id.as_str(), &BTreeMap::new())?;
        let orphans = images::remove(transaction, &image)?;
        self.removed.push(Removed::Deleted(image.id));
        self.removed.extend(orphans.into_iter().map(Removed::Deleted));
        Ok(())
    }
}
