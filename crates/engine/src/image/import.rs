//! `import`: a tar of files becomes an image of one layer.

use std::io::Read;

use corten_images::ImportOptions;
use corten_model::platform::Platform;
use corten_model::{Digest, Invalid, Reference};

use super::insert;
use crate::error::Doing;
use crate::{Engine, Result, inside, lease};

/// What `import` needs beside the tar.
#[derive(Debug, Clone, Default)]
pub struct ImportRequest {
    /// The name it gets.
    pub reference: Option<Reference>,
    /// Dockerfile instructions applied to the config.
    pub changes: Vec<String>,
    /// The history's remark.
    pub message: Option<String>,
    /// What its programs run on; none: this machine.
    pub platform: Option<Platform>,
}

/// Makes an image of a tar's files; compression is recognised.
pub fn import(engine: &mut Engine, tar: &mut dyn Read, request: &ImportRequest) -> Result<Digest> {
    let name = request.reference.as_ref().map_or("archive".to_owned(), Reference::familiar);
    import_tar(engine, tar, request).doing("import", &name)
}

fn import_tar(engine: &mut Engine, tar: &mut dyn Read, request: &ImportRequest) -> Result<Digest> {
    if let Some(reference) = &request.reference
        && reference.digest.is_some()
    {
        let why = "an image that is imported gets a tag, not a digest";
        return Err(Invalid::new("image reference", reference.familiar(), why).into());
    }
    let options = ImportOptions {
        changes: request.changes.clone(),
        message: request.message.clone(),
        created: jiff::Timestamp::now().to_string(),
        platform: request.platform.clone(),
    };
    lease::with(engine, "import", |engine, lease| {
        let unpack = inside::Unpacker::new(engine, lease)?;
        let stored = corten_images::import(engine.store(), &unpack, tar, &options)?;
        insert(engine, lease, stored, request.reference.as_ref(), "import")
    })
}
