//! `corten config unset`: a key goes from the file.

use corten_engine::config;

use super::{overridden, places};
use crate::caller::Caller;
use crate::error::Result;

/// Remove a key from the configuration file: it has its default again
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten config unset KEY")]
pub struct Args {
    /// The key
    #[arg(required = true, value_name = "KEY", hide = true)]
    key: String,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let key = config::key(&args.key)?;
    let file = places(caller)?.file.clone();
    config::unset(&file, key)?;
    let warning = overridden(key, &file, caller)?;
    caller.warn(warning.as_slice())?;
    Ok(0)
}
