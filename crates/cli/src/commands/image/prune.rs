//! `corten image prune`: images without a name go, and with `-a` those that no container has.

use corten_engine::prune;

use crate::caller::Caller;
use crate::error::Result;
use crate::prune::{Flags, KEYS, image_line, tell, total, wanted};
use crate::timestamps;

/// Remove unused images
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten image prune [OPTIONS]")]
pub struct Args {
    /// Remove all unused images, not just dangling ones
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let filter = wanted(&args.flags.filters(&KEYS)?, timestamps::now_unix_ns())?;
    let warning = match args.all {
        true => "This will remove all images without at least one container associated to them.",
        false => "This will remove all dangling images.",
    };
    if !args.flags.are_confirmed(warning, caller)? {
        return Ok(0);
    }
    let pruned = prune::images(&mut caller.engine()?, args.all, &filter)?;
    tell("Deleted Images", &pruned, image_line, caller)?;
    total(pruned.reclaimed_bytes, caller)
}
