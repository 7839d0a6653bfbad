//! `corten volume prune`: the volumes that no container has go.

use corten_engine::prune;

use crate::caller::Caller;
use crate::error::Result;
use crate::prune::{Flags, VOLUME_KEYS, tell, total, wanted};
use crate::timestamps;

/// Remove unused local volumes
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten volume prune [OPTIONS]")]
pub struct Args {
    /// Remove all unused volumes, not just anonymous ones
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let filters = args.flags.filters(&VOLUME_KEYS)?;
    let filter = wanted(&filters, timestamps::now_unix_ns())?;
    let all = args.all || filters.flag("all")?.unwrap_or_default();
    let warning = match all {
        true => "This will remove all local volumes not used by at least one container.",
        false => "This will remove anonymous local volumes not used by at least one container.",
    };
    if !args.flags.are_confirmed(warning, caller)? {
        return Ok(0);
    }
    let pruned = prune::volumes(&mut caller.engine()?, all, &filter)?;
    tell("Deleted Volumes", &pruned, String::clone, caller)?;
    total(pruned.reclaimed_bytes, caller)
}
