//! `corten unpause`: let containers go on.

use corten_engine::container;

use crate::caller::Caller;
use crate::error::Result;
use crate::several;

/// Unpause all processes within one or more containers
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten unpause CONTAINER [CONTAINER...]")]
pub struct Args {
    /// The containers
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let mut engine = caller.engine()?;
    several::each_named(&args.containers, caller, |target, _| Ok(container::unpause(&mut engine, target)?))
}
