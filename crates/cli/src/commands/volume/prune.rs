//! `corten volume prune`: the volumes that no container has go.

use corten_engine::prune;

use crate::caller::Caller;
use crate::error::Result;
use crate::prune::{Keys, filters, is_confirmed, tell, total};
use crate::timestamps;

/// Remove unused local volumes
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten volume prune [OPTIONS]")]
pub struct Args {
    /// Remove all unused volumes, not just anonymous ones
    #[arg(short, long)]
    all: bool,
    /// Provide filter values (e.g. "label=KEY=VALUE", "label!=KEY")
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let filters = filters(&args.filter, Keys::LabelAndAll, timestamps::now_unix_ns())?;
    let all = args.all || filters.all;
    let warning = match all {
        true => "This will remove all local volumes not used by at least one container.",
        false => "This will remove anonymous local volumes not used by at least one container.",
    };
    if !args.force && !is_confirmed(warning, caller)? {
        return Ok(0);
    }
    let pruned = prune::volumes(&mut caller.engine()?, all, &filters.filter)?;
    tell("Deleted Volumes", &pruned, String::clone, caller)?;
    total(pruned.reclaimed_bytes, caller)
}
