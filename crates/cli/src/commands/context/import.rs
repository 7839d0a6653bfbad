//! `corten context import`: a context out of a file.

use std::io::{self, Read};
use std::path::PathBuf;

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::remote::archive;
use crate::remote::contexts::{self, Contexts};
use crate::several;

/// Import a context from a tar archive
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten context import CONTEXT FILE|-")]
pub struct Args {
    /// The name it gets
    #[arg(required = true, value_name = "CONTEXT", hide = true)]
    name: String,
    /// The archive
    #[arg(required = true, value_name = "FILE", hide = true)]
    file: PathBuf,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let failed = |source| Failure::Read { path: args.file.clone(), source };
    let mut input: Box<dyn Read> = match args.file.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(std::fs::File::open(&args.file).map_err(failed)?),
    };
    let text = archive::read(&mut input).map_err(failed)?;
    let context = contexts::from_json(&args.name, &text, &args.file.display().to_string())?;
    Contexts::of(caller)?.keep(&context, false)?;
    several::say(&args.name, caller)?;
    Ok(0)
}
