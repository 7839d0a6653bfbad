//! `corten rmi`: remove names of images, and images with their last name.

use std::io::Write as _;

use corten_engine::image::{self, Removed};

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::several;

/// Remove one or more images
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten rmi [OPTIONS] IMAGE [IMAGE...]")]
pub struct Args {
    /// Force removal of the image
    #[arg(short, long)]
    force: bool,
    /// The images
    #[arg(required = true, value_name = "IMAGE", hide = true)]
    images: Vec<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let mut engine = caller.engine()?;
    let mut missing = Vec::new();
    let outcome = several::each(&args.images, caller, |target, caller| {
        match image::remove(&mut engine, target, args.force).map_err(Failure::from) {
            Ok(removed) => {
                for removed in removed {
                    match removed {
                        Removed::Untagged(name) => writeln!(caller.out, "Untagged: {name}")?,
                        Removed::Deleted(id) => writeln!(caller.out, "Deleted: {id}")?,
                    }
                }
                Ok(())
            }
            // What should not be there isn't: with `--force` that is told, and is no failure.
            Err(failure) if args.force && failure.is_not_found() => {
                missing.push(failure.line());
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    });
    caller.warn(&missing)?;
    outcome
}
