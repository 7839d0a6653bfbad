//! `corten kill`: send a signal to the first process of containers.

use corten_engine::container;
use corten_model::signal::Signal;

use crate::caller::Caller;
use crate::error::Result;
use crate::several;

/// Kill one or more running containers
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten kill [OPTIONS] CONTAINER [CONTAINER...]")]
pub struct Args {
    /// Signal to send to the container (default "KILL")
    #[arg(short, long)]
    signal: Option<Signal>,
    /// The containers
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let mut engine = caller.engine()?;
    let signal = args.signal.unwrap_or(Signal::KILL);
    several::each_named(&args.containers, caller, |target, _| {
        Ok(container::kill(&mut engine, target, signal)?)
    })
}
