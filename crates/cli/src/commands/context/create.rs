//! `corten context create`: a host gets a name.

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::remote::contexts::{Context, Contexts};
use crate::{remote, several};

/// Create a context: a name for a host that ssh reaches
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten context create [OPTIONS] CONTEXT")]
pub struct Args {
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Where it is: host=ssh://[USER@]HOST[:PORT][/PATH], or from=CONTEXT
    #[arg(long, value_name = "ENDPOINT")]
    docker: Option<String>,
    /// Take everything over from another context
    #[arg(long, value_name = "CONTEXT")]
    from: Option<String>,
    /// Its name
    #[arg(required = true, value_name = "CONTEXT", hide = true)]
    name: String,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let contexts = Contexts::of(caller)?;
    let base = match (&args.docker, &args.from) {
        (Some(_), Some(_)) => return Err(Failure::Conflict("`--docker` and `--from` both name a host")),
        (Some(typed), None) => (super::endpoint(typed, &contexts)?, String::new()),
        (None, Some(name)) => contexts.get(name).map(|context| (context.address, context.description))?,
        // As Docker: what would be used now.
        (None, None) => (remote::chosen(caller)?.address, String::new()),
    };
    let (address, description) = (base.0, args.description.unwrap_or(base.1));
    contexts.keep(&Context { name: args.name.clone(), description, address }, false)?;
    several::say(&args.name, caller)?;
    Ok(0)
}
