//! `corten context export`: a context in a file, for another machine.

use std::io::Write as _;
use std::path::PathBuf;

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::remote::archive;
use crate::remote::contexts::{self, Contexts};

/// Export a context to a tar archive FILE or a tar stream on STDOUT
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten context export CONTEXT [FILE|-]")]
pub struct Args {
    /// Its name
    #[arg(required = true, value_name = "CONTEXT", hide = true)]
    name: String,
    /// Where to; CONTEXT.dockercontext if none is given
    #[arg(value_name = "FILE", hide = true)]
    file: Option<PathBuf>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let context = Contexts::of(caller)?.get(&args.name)?;
    let bytes = archive::write(&contexts::to_json(&context).to_string());
    let path = args.file.unwrap_or_else(|| format!("{}.dockercontext", args.name).into());
    if path.as_os_str() == "-" {
        caller.out.write_all(&bytes)?;
        return Ok(0);
    }
    // What is there already isn't this command's to replace.
    let file = std::fs::File::create_new(&path).and_then(|mut file| file.write_all(&bytes));
    file.map_err(|source| Failure::Write { path: path.clone(), source })?;
    writeln!(std::io::stderr(), "Written file \"{}\"", path.display())?;
    Ok(0)
}
