//! `corten rm`: remove containers.

use corten_engine::container::{self, RemoveOptions};

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::several;

/// Remove one or more containers
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten rm [OPTIONS] CONTAINER [CONTAINER...]")]
pub struct Args {
    /// Force the removal of a running container (uses SIGKILL)
    #[arg(short, long)]
    force: bool,
    /// Remove anonymous volumes associated with the container
    #[arg(short, long)]
    volumes: bool,
    /// The containers
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let mut engine = caller.engine()?;
    let options = RemoveOptions { force: args.force, volumes: args.volumes };
    let mut missing = Vec::new();
    if args.force && args.containers.len() > 1 {
        container::begin_kill(&mut engine, &args.containers)?;
    }
    let outcome = several::each(&args.containers, caller, |target, caller| {
        match container::remove(&mut engine, target, options).map_err(Failure::from) {
            Ok(()) => several::say(target, caller),
            // What should not be there isn't: with `--force` that is told, and is no failure.
            Err(failure) if args.force && failure.is_not_found() => {
                missing.push(failure.line());
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    });
    caller.warn(&missing)?;
    outcome
}
