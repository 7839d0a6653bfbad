//! `corten container prune`: the containers that don't run go.

use corten_engine::prune;

use crate::caller::Caller;
use crate::error::Result;
use crate::prune::{Flags, KEYS, tell, total, wanted};
use crate::timestamps;

/// Remove all stopped containers
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten container prune [OPTIONS]")]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let filter = wanted(&args.flags.filters(&KEYS)?, timestamps::now_unix_ns())?;
    if !args.flags.are_confirmed("This will remove all stopped containers.", caller)? {
        return Ok(0);
    }
    let pruned = prune::containers(&mut caller.engine()?, &filter)?;
    tell("Deleted Containers", &pruned, String::clone, caller)?;
    total(pruned.reclaimed_bytes, caller)
}
