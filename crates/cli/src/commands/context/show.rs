//! `corten context show`: the name of the context that commands use.

use crate::caller::Caller;
use crate::error::Result;
use crate::{remote, several};

/// Print the name of the current context
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten context show")]
pub struct Args {}

/// Does it.
pub fn run(_: Args, caller: &mut Caller) -> Result<u8> {
    let name = remote::chosen(caller)?.context;
    several::say(&name, caller)?;
    Ok(0)
}
