//! `corten rmi`: remove names of images, and images with their last name.

use std::io::Write as _;

use corten_engine::image::{self, RemoveOptions, Removed};
use corten_model::platform::Platform;

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
    /// Do not delete untagged parents (images have no parents here: nothing is left for it to keep)
    #[arg(long)]
    no_prune: bool,
    /// Remove only the given platforms, such as linux/amd64,linux/arm64
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<Platform>,
    /// The images
    #[arg(required = true, value_name = "IMAGE", hide = true)]
    images: Vec<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    // Parents without a name stay with it; an image's layers are its own, and there are no such parents.
    let Args { force, no_prune: _, platform: platforms, images } = args;
    let options = RemoveOptions { force, platforms };
    let mut engine = caller.engine()?;
    let mut missing = Vec::new();
    let outcome = several::each(&images, caller, |target, caller| {
        match image::remove(&mut engine, target, &options).map_err(Failure::from) {
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
            Err(failure) if force && failure.is_not_found() => {
                missing.push(failure.line());
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    });
    caller.warn(&missing)?;
    outcome
}
