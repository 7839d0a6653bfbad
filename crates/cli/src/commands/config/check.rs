//! `corten config check`: everything that is wrong in the files.

use std::io::Write as _;

use corten_engine::config;

use super::places;
use crate::caller::Caller;
use crate::error::Result;
use crate::several;

/// Check the configuration files; every mistake is told with its line
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten config check")]
pub struct Args {}

/// Does it.
pub fn run(_: Args, caller: &mut Caller) -> Result<u8> {
    let loaded = config::load(places(caller)?);
    several::all(loaded.problems.into_iter().map(Into::into).collect())?;
    writeln!(caller.out, "correct")?;
    Ok(0)
}
