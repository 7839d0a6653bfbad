//! `corten tag`: another name for an image.

use corten_engine::image;
use corten_model::Reference;

use crate::caller::Caller;
use crate::error::Result;

/// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]")]
pub struct Args {
    /// The image
    #[arg(required = true, value_name = "SOURCE_IMAGE[:TAG]", hide = true)]
    source: String,
    /// The name that it gets
    #[arg(required = true, value_name = "TARGET_IMAGE[:TAG]", hide = true)]
    target: Reference,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    image::tag(&mut caller.engine()?, &args.source, &args.target)?;
    Ok(0)
}
