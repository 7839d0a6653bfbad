//! `corten config set`: a line of the file is changed, the others stay.

use corten_engine::config::{self, Error};

use super::{overridden, places};
use crate::caller::Caller;
use crate::error::Result;

/// Set a key in the configuration file, which keeps its comments
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten config set KEY VALUE [VALUE...]")]
pub struct Args {
    /// The key
    #[arg(required = true, value_name = "KEY", hide = true)]
    key: String,
    /// The value; a list has any number of them
    #[arg(value_name = "VALUE", hide = true, allow_hyphen_values = true, trailing_var_arg = true)]
    values: Vec<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let key = config::key(&args.key)?;
    let value = key.shape.parse(&args.values);
    let value = value.map_err(|why| Error::Value { place: None, key: key.name, why })?;
    let file = places(caller)?.file.clone();
    config::set(&file, key, &value)?;
    let warning = overridden(key, &file, caller)?;
    caller.warn(warning.as_slice())?;
    Ok(0)
}
