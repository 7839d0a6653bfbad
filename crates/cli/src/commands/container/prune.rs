//! `corten container prune`: the containers that don't run go.

use corten_engine::prune;

use crate::caller::Caller;
use crate::error::Result;
use crate::prune::{Keys, filters, is_confirmed, tell, total};
use crate::timestamps;

/// Remove all stopped containers
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten container prune [OPTIONS]")]
pub struct Args {
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
    if !args.force && !is_confirmed("This will remove all stopped containers.", caller)? {
        return Ok(0);
    }
    let pruned = prune::containers(&mut caller.engine()?, &filters.filter)?;
    tell("Deleted Containers", &pruned, String::clone, caller)?;
    total(pruned.reclaimed_bytes, caller)
}
