//! `corten context use`: the host of every further command.

use crate::caller::Caller;
use crate::error::Result;
use crate::remote::contexts::Contexts;
use crate::{remote, several};

/// Set the context that commands use
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten context use CONTEXT")]
pub struct Args {
    /// Its name; default is this host
    #[arg(required = true, value_name = "CONTEXT", hide = true)]
    name: String,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    Contexts::of(caller)?.choose(&args.name)?;
    several::say(&args.name, caller)?;
    if let Some(from) = remote::chosen(caller)?.overridden_by {
        caller.warn(&[format!("{from} names a host, and goes before the context")])?;
    }
    Ok(0)
}
