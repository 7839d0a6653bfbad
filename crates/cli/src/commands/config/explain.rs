//! `corten config explain`: all that is known of one key.

use std::io::Write as _;

use corten_engine::config::{self, Config};

use super::{effective, loaded};
use crate::caller::Caller;
use crate::error::Result;

/// Explain a key: what it is for, what it may be, its value, where that comes from, who uses it
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten config explain KEY")]
pub struct Args {
    /// The key
    #[arg(required = true, value_name = "KEY", hide = true)]
    key: String,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let key = config::key(&args.key)?;
    let (value, origin) = effective(key, &loaded(caller)?, caller)?;
    let default = (key.get)(&Config::default());
    writeln!(caller.out, "{}: {}.", key.name, key.about)?;
    for (title, text) in [
        ("Value", value.toml().to_string()),
        ("From", origin.to_string()),
        ("Default", default.toml().to_string()),
        ("May be", key.shape.expected()),
        ("Used by", key.used_by.to_owned()),
    ] {
        writeln!(caller.out, "  {:9}{text}", format!("{title}:"))?;
    }
    Ok(0)
}
