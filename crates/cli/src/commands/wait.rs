//! `corten wait`: wait for containers to end.

use std::io::Write as _;

use corten_engine::container;

use crate::caller::Caller;
use crate::error::Result;
use crate::several;

/// Block until one or more containers stop, then print their exit codes
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten wait CONTAINER [CONTAINER...]")]
pub struct Args {
    /// The containers
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let mut engine = caller.engine()?;
    several::each(&args.containers, caller, |target, caller| {
        let code = container::wait(&mut engine, target)?;
        writeln!(caller.out, "{code}")?;
        caller.out.flush()?;
        Ok(())
    })
}
