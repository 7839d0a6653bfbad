//! `corten config import`: Docker's daemon.json becomes lines of our file.

use std::io::Write as _;
use std::path::PathBuf;

use corten_engine::config;

use super::places;
use crate::caller::Caller;
use crate::error::Result;

/// Take over the settings of Docker's daemon.json; what has no equivalent is told
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten config import [OPTIONS] FILE")]
pub struct Args {
    /// Only tell what would be set
    #[arg(long)]
    dry_run: bool,
    /// Docker's file
    #[arg(required = true, value_name = "FILE", hide = true)]
    file: PathBuf,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let imported = config::import(&args.file)?;
    if !args.dry_run {
        imported.write(&places(caller)?.file)?;
    }
    for (docker, key, value) in &imported.settings {
        writeln!(caller.out, "{} = {}  # {docker}", key.name, value.toml())?;
    }
    for (docker, why) in &imported.left {
        writeln!(caller.out, "# {docker}: {why}")?;
    }
    Ok(0)
}
