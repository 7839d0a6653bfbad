//! `history`: how an image came to be, newest step first.

use corten_model::Digest;
use corten_model::platform::Platform;

use super::{image_for, unix_s};
use crate::{Engine, Result};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The image's id at its last step: of the ones before nobody knows any.
    pub id: Option<Digest>,
    /// When, seconds since the epoch, if the config says so.
    pub created_unix_s: Option<i64>,
    /// The command.
    pub created_by: String,
    /// Bytes of the layer's files; 0 for a step that made none.
    pub size_bytes: u64,
    /// A remark.
    pub comment: String,
}

/// The steps of an image.
pub fn history(engine: &mut Engine, target: &str, platform: Option<&Platform>) -> Result<Vec<Step>> {
    let image = image_for(engine, target, platform)?;
    let mut layers = image.layers.iter();
    let mut steps: Vec<Step> = image
        .config
        .history
        .iter()
        .map(|step| Step {
            id: None,
            created_unix_s: step.created.as_deref().and_then(unix_s),
            created_by: step.created_by.clone().unwrap_or_default(),
            // A config may tell of more layers than there are.
            size_bytes: if step.empty_layer { 0 } else { layers.next().map_or(0, |layer| layer.size_bytes) },
            comment: step.comment.clone().unwrap_or_default(),
        })
        .collect();
    // One without a history has layers all the same.
    steps.extend(layers.map(|layer| Step {
        id: None,
        created_unix_s: image.config.created.as_deref().and_then(unix_s),
        created_by: String::new(),
        size_bytes: layer.size_bytes,
        comment: String::new(),
    }));
    steps.reverse();
    if let Some(newest) = steps.first_mut() {
        newest.id = Some(image.id);
    }
    Ok(steps)
}
