//! `corten export`: a container's file system as a tar archive.

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use corten_engine::container;

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::output_file::OutputFile;

/// Export a container's filesystem as a tar archive
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten export [OPTIONS] CONTAINER")]
pub struct Args {
    /// Write to a file, instead of STDOUT
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The container
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    container: String,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    match &args.output {
        Some(path) => to_file(&args.container, path, caller)?,
        None => {
            let stdout = std::io::stdout();
            if stdout.is_terminal() {
                return Err(Failure::ToTerminal);
            }
            caller.out.flush()?;
            let mut out = File::from(stdout.as_fd().try_clone_to_owned()?);
            container::export(&mut caller.engine()?, &args.container, &mut out)?;
        }
    }
    Ok(0)
}

fn to_file(target: &str, path: &Path, caller: &mut Caller) -> Result<()> {
    let mut engine = caller.engine()?;
    let mut output = OutputFile::create(path)?;
    container::export(&mut engine, target, output.file())?;
    output.keep()
}
