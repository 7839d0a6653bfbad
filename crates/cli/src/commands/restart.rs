//! `corten restart`: stop containers and start them again.

use std::time::Duration;

use corten_engine::container;
use corten_model::signal::Signal;

use crate::caller::Caller;
use crate::error::Result;
use crate::several;

/// Restart one or more containers
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten restart [OPTIONS] CONTAINER [CONTAINER...]")]
pub struct Args {
    /// Signal to send to the container
    #[arg(short, long)]
    signal: Option<Signal>,
    /// Seconds to wait before killing the container; -1 waits for ever
    #[arg(short, long, alias = "time", value_name = "SECONDS", allow_negative_numbers = true)]
    timeout: Option<i64>,
    /// The containers
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let mut engine = caller.engine()?;
    // A negative number of seconds is no limit.
    let timeout = args.timeout.map(|seconds| u64::try_from(seconds).ok().map(Duration::from_secs));
    several::each_named(&args.containers, caller, |target, caller| {
        let warnings = container::restart(&mut engine, target, args.signal, timeout)?;
        caller.warn(&warnings)
    })
}
