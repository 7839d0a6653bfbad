//! `tag`: another name for what a name or an id means, all of its platforms with it.

use std::collections::BTreeMap;

use corten_model::{Invalid, Reference};

use super::resolve;
use crate::db::events;
use crate::db::images;
use crate::db::tags::{self, Tag};
use crate::error::Doing;
use crate::{Engine, Error, Result, journal};

/// Gives `source` the name `name`, which leaves what it named before.
pub fn tag(engine: &mut Engine, source: &str, name: &Reference) -> Result<()> {
    tag_resolved(engine, source, name).doing("tag image", source)
}

fn tag_resolved(engine: &mut Engine, source: &str, name: &Reference) -> Result<()> {
    let refused = |why| Invalid::new("image reference", name.familiar(), why);
    if name.digest.is_some() {
        return Err(refused("a digest names one image for ever: a new name is a tag").into());
    }
    if name.is_built_in() {
        return Err(refused("images of this registry come with corten").into());
    }
    let image = resolve(engine, source)?;
    let typed = source.parse::<Reference>().ok();
    let now = journal::now_ns();
    // Another image may have had the name.
    engine.note_garbage();
    engine.database()?.write_durably(|transaction| {
        let old = match &typed {
            Some(reference) => tags::by_reference(transaction, reference)?,
            None => None,
        };
        if !images::exists(transaction, &image.id)? {
            // Somebody removed it since we looked.
            return Err(Error::NoSuch { what: "image", name: source.to_owned() });
        }
        let target = old.map_or_else(|| image.manifest.clone(), |tag| tag.target);
        let tag = Tag { reference: name.clone(), target, image: image.id.clone(), tagged_ns: Some(now) };
        tags::set(transaction, &tag)?;
        let name = BTreeMap::from([("name", name.familiar())]);
        Ok(events::record(transaction, now, "image", "tag", image.id.as_str(), &name)?)
    })
}
