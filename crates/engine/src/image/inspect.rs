//! `image inspect`: everything about one image, in the shape of Docker's `GET /images/{name}/json`.

use corten_images::Descriptor;
use corten_model::platform::Platform;
use corten_model::{Digest, Reference};
use serde_json::{Value, json};

use super::{image_for, lowers_top_first};
use crate::db::images::Image;
use crate::db::tags::{self, Tag};
use crate::{Engine, Result};

/// Everything about an image; `platform` chooses among several below one name.
pub fn inspect(engine: &mut Engine, target: &str, platform: Option<&Platform>) -> Result<Value> {
    let image = image_for(engine, target, platform)?;
    let tags = tags::of_image(engine.database()?.read(), &image.id)?;
    let typed = target.parse::<Reference>().ok();
    let tag = tags.iter().find(|tag| Some(&tag.reference) == typed.as_ref());
    let descriptor = descriptor(engine, &image, tag)?;
    let names: Vec<String> = tags.iter().map(|tag| tag.reference.familiar()).collect();
    let mut digests: Vec<String> =
        tags.iter().map(|tag| format!("{}@{}", tag.reference.familiar_repository(), tag.target)).collect();
    digests.dedup();
    let diff_ids: Vec<&str> = image.config.rootfs.diff_ids.iter().map(Digest::as_str).collect();
    let tagged = tags.iter().filter_map(|tag| tag.tagged_ns).max();
    let tagged = tagged.and_then(|ns| jiff::Timestamp::from_nanosecond(ns.into()).ok());
    let mut value = json!({
        "Id": image.id.as_str(),
        "RepoTags": names,
        "RepoDigests": digests,
        "Parent": "",
        "Comment": image.config.history.last().and_then(|h| h.comment.clone()).unwrap_or_default(),
        "Created": image.config.created,
        "DockerVersion": "",
        "Author": image.config.author.clone().unwrap_or_default(),
        "Config": image.config.config,
        "Architecture": image.config.architecture,
        "Os": image.config.os,
        "Size": image.size_bytes,
        "GraphDriver": { "Name": "overlay", "Data": layers(engine, &image) },
        "RootFS": { "Type": "layers", "Layers": diff_ids },
        "Metadata": { "LastTagTime": tagged.map(|time| time.to_string()) },
        "Descriptor": descriptor,
    });
    if let Some(variant) = &image.config.variant {
        value["Variant"] = json!(variant);
    }
    Ok(value)
}

/// The directories of the layers, as Docker's overlay driver names them.
fn layers(engine: &Engine, image: &Image) -> Value {
    let mut lowers = lowers_top_first(engine, image).into_iter().map(|path| path.display().to_string());
    let Some(top) = lowers.next() else { return json!({}) };
    let below: Vec<String> = lowers.collect();
    match below.is_empty() {
        true => json!({ "UpperDir": top }),
        false => json!({ "LowerDir": below.join(":"), "UpperDir": top }),
    }
}

/// The index or manifest that was named; the image's own manifest where it was named by its id.
fn descriptor(engine: &mut Engine, image: &Image, tag: Option<&Tag>) -> Result<Value> {
    let digest = tag.map_or(&image.manifest, |tag| &tag.target);
    let media_type = tags::media_type(engine.database()?.read(), digest)?;
    let size = std::fs::metadata(engine.store().blobs().path(digest)).map(|m| m.len()).unwrap_or_default();
    Ok(json!(Descriptor::new(&media_type.unwrap_or_default(), digest, size)))
}
