//! `corten volume rm`: remove volumes.

use corten_engine::volume;

use crate::caller::Caller;
use crate::error::Result;
use crate::several;

/// Remove one or more volumes. You cannot remove a volume that is in use by a container.
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten volume rm [OPTIONS] VOLUME [VOLUME...]")]
pub struct Args {
    /// Force the removal of one or more volumes
    #[arg(short, long)]
    force: bool,
    /// The volumes
    #[arg(required = true, value_name = "VOLUME", hide = true)]
    volumes: Vec<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let mut engine = caller.engine()?;
    several::each_named(&args.volumes, caller, |target, _| {
        Ok(volume::remove(&mut engine, target, args.force)?)
    })
}
