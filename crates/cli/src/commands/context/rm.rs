//! `corten context rm`: names of hosts go, the hosts stay.

use crate::caller::Caller;
use crate::error::Result;
use crate::remote::contexts::Contexts;
use crate::several;

/// Remove one or more contexts
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten context rm [OPTIONS] CONTEXT [CONTEXT...]")]
pub struct Args {
    /// Remove one that is in use
    #[arg(short, long)]
    force: bool,
    /// Their names
    #[arg(required = true, value_name = "CONTEXT", hide = true)]
    names: Vec<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let contexts = Contexts::of(caller)?;
    several::each_named(&args.names, caller, |name, _| contexts.remove(name, args.force))
}
