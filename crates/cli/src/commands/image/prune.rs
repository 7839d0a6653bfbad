//! `corten image prune`: images without a name go, and with `-a` those that no container has.

use corten_engine::prune;

use crate::caller::Caller;
use crate::error::Result;
use crate::prune::{Keys, filters, image_line, is_confirmed, tell, total};
use crate::timestamps;

/// Remove unused images
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten image prune [OPTIONS]")]
pub struct Args {
    /// Remove all unused images, not just dangling ones
    #[arg(short, long)]
    all: bool,
    /// Provide filter values (e.g. "until=24h", "label=KEY=VALUE", "label!=KEY")
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let filters = filters(&args.filter, Keys::UntilAndLabel, timestamps::now_unix_ns())?;
    let warning = match args.all {
        true => "This will remove all images without at least one container associated to them.",
        false => "This will remove all dangling images.",
    };
    if !args.force && !is_confirmed(warning, caller)? {
        return Ok(0);
    }
    let pruned = prune::images(&mut caller.engine()?, args.all, &filters.filter)?;
    tell("Deleted Images", &pruned, image_line, caller)?;
    total(pruned.reclaimed_bytes, caller)
}
