//! `corten update`: other limits for containers, also while they run.

use corten_engine::container::{self, Changes};
use corten_model::restart::RestartPolicy;

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
    /// Restart policy to apply when a container exits: no, always, unless-stopped or on-failure[:COUNT]
    #[arg(long, value_name = "POLICY")]
    restart: Option<RestartPolicy>,
    /// The containers
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let changes = Changes { resources: args.limits.limits(&online_cpus)?, restart: args.restart };
    if changes == Changes::default() {
        return Err(Failure::Conflict("no limit and no policy is given: there is nothing to change"));
    }
    let mut engine = caller.engine()?;
    several::each_named(&args.containers, caller, |target, caller| {
        let warnings = container::update(&mut engine, target, &changes)?;
        caller.warn(&warnings)
    })
}
