//! `corten context update`: a name gets another host, or another description.

use crate::caller::Caller;
use crate::error::Result;
use crate::remote::contexts::Contexts;
use crate::several;

/// Update a context
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten context update [OPTIONS] CONTEXT")]
pub struct Args {
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Where it is: host=ssh://[USER@]HOST[:PORT][/PATH], or from=CONTEXT
    #[arg(long, value_name = "ENDPOINT")]
    docker: Option<String>,
    /// Its name
    #[arg(required = true, value_name = "CONTEXT", hide = true)]
    name: String,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let contexts = Contexts::of(caller)?;
    let mut context = contexts.get(&args.name)?;
    if let Some(typed) = &args.docker {
        context.address = super::endpoint(typed, &contexts)?;
    }
    context.description = args.description.unwrap_or(context.description);
    contexts.keep(&context, true)?;
    several::say(&args.name, caller)?;
    Ok(0)
}
