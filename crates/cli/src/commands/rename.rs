//! `corten rename`: another name for a container.

use corten_engine::container;
use corten_model::Name;

use crate::caller::Caller;
use crate::error::Result;

/// Rename a container
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten rename CONTAINER NEW_NAME")]
pub struct Args {
    /// The container
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    container: String,
    /// Its new name
    #[arg(required = true, value_name = "NEW_NAME", hide = true)]
    name: Name,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    container::rename(&mut caller.engine()?, &args.container, &args.name)?;
    Ok(0)
}
