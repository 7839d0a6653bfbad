//! `corten update`: other limits for containers, also while they run.

use corten_engine::container;
use corten_model::resources::Resources;

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::resource_flags::{ResourceFlags, online_cpus};
use crate::several;

/// Update configuration of one or more containers
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten update [OPTIONS] CONTAINER [CONTAINER...]")]
pub struct Args {
    #[command(flatten)]
    limits: ResourceFlags,
    /// The containers
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let limits = args.limits.limits(&online_cpus)?;
    if limits == Resources::default() {
        return Err(Failure::Conflict("no limit is given: there is nothing to change"));
    }
    let mut engine = caller.engine()?;
    several::each_named(&args.containers, caller, |target, caller| {
        let warnings = container::update(&mut engine, target, &limits)?;
        caller.warn(&warnings)
    })
}
