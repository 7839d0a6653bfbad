//! `corten load`: images from an archive or a directory.

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use corten_engine::image::{self, Input, LoadOutcome, LoadRequest};
use corten_model::platform::Platform;

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::interrupt::Interrupt;

/// Load an image from a tar archive or STDIN
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten load [OPTIONS]")]
pub struct Args {
    /// Read from a tar archive or an OCI directory, instead of STDIN
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Load only the given platforms, such as linux/amd64,linux/arm64
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<Platform>,
    /// Suppress remarks about what was loaded
    #[arg(short, long)]
    quiet: bool,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let interrupt = Interrupt::prepare()?;
    let cancelled = || interrupt.came();
    let request = LoadRequest { platforms: args.platform, cancelled: &cancelled };
    let source = open(args.input.as_deref())?;
    let mut engine = caller.engine()?;
    let outcome = match source {
        Source::Directory(directory) => image::load(&mut engine, Input::Directory(&directory), &request),
        Source::File(file) => image::load(&mut engine, Input::File(&file), &request),
        Source::Stream(file) => {
            let mut reader = interrupt.reader(file);
            image::load(&mut engine, Input::Stream(&mut reader), &request)
        }
    };
    match (outcome, interrupt.code()) {
        (Ok(outcome), _) => tell(&outcome, args.quiet, caller),
        (Err(error), Some(code)) if error.kind() == corten_model::Kind::Cancelled => Ok(code),
        (Err(error), _) => Err(error.into()),
    }
}

enum Source {
    Directory(OwnedFd),
    File(File),
    Stream(File),
}

fn open(input: Option<&Path>) -> Result<Source> {
    let file = match input {
        Some(path) => {
            let failed = |source| Failure::Read { path: path.to_owned(), source };
            let file = File::open(path).map_err(failed)?;
            if file.metadata().map_err(failed)?.is_dir() {
                return Ok(Source::Directory(file.into()));
            }
            file
        }
        None if std::io::stdin().is_terminal() => return Err(Failure::FromTerminal),
        None => File::from(std::io::stdin().as_fd().try_clone_to_owned()?),
    };
    // One that somebody has read from begins in its middle.
    let whole = file.metadata().is_ok_and(|m| m.is_file())
        && rustix::fs::seek(&file, rustix::fs::SeekFrom::Current(0)) == Ok(0);
    Ok(if whole { Source::File(file) } else { Source::Stream(file) })
}

fn tell(outcome: &LoadOutcome, quiet: bool, caller: &mut Caller) -> Result<u8> {
    for image in &outcome.images {
        for (name, id) in &image.renamed {
            let name = name.familiar();
            writeln!(
                caller.out,
                "The image {name} already exists, renaming the old one with ID {id} to empty string"
            )?;
        }
        for name in &image.names {
            writeln!(caller.out, "Loaded image: {}", name.familiar())?;
        }
        if image.names.is_empty() {
            writeln!(caller.out, "Loaded image ID: {}", image.id)?;
        }
    }
    if !quiet {
        caller.warn(&outcome.warnings)?;
    }
    Ok(0)
}
