//! `corten config get`: one value, as a script reads it.

use std::io::Write as _;

use corten_engine::config;

use super::{effective, loaded};
use crate::caller::Caller;
use crate::error::Result;

/// Print the value of one key; a list is a line for each of its texts
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten config get KEY")]
pub struct Args {
    /// The key
    #[arg(required = true, value_name = "KEY", hide = true)]
    key: String,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let key = config::key(&args.key)?;
    let text = effective(key, &loaded(caller)?, caller)?.0.plain();
    if !text.is_empty() {
        writeln!(caller.out, "{text}")?;
    }
    Ok(0)
}
