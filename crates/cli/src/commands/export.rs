//! `corten export`: a container's file system as a tar archive.

use std::fs::{self, File};
use std::io::{IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use corten_engine::container;

use crate::caller::Caller;
use crate::error::{Failure, Result};

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

/// Writes beside the file and renames: what was there stays until all of it is written.
fn to_file(target: &str, path: &Path, caller: &mut Caller) -> Result<()> {
    let failed = |source| Failure::Write { path: path.to_owned(), source };
    let mut engine = caller.engine()?;
    // A pipe or a device is written as it is.
    if path.symlink_metadata().is_ok_and(|m| !m.is_file()) {
        let mut out = File::options().write(true).open(path).map_err(failed)?;
        return Ok(container::export(&mut engine, target, &mut out)?);
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".tmp-{}", std::process::id()));
    let partial = PathBuf::from(name);
    let mut out = File::create_new(&partial).map_err(failed)?;
    let done = container::export(&mut engine, target, &mut out).map_err(Failure::from);
    let done = done.and_then(|()| fs::rename(&partial, path).map_err(failed));
    if done.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&partial);
    }
    done
}
