//! `corten pull`: an image from a registry.

use std::io::Write as _;

use corten_model::platform::Platform;

use crate::caller::Caller;
use crate::error::Result;
use crate::pulling::{self, Pulled, Wish};
use crate::transfer::To;

/// Download an image from a registry
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten pull [OPTIONS] NAME[:TAG|@DIGEST]")]
pub struct Args {
    /// Pull the image for these platforms, such as linux/amd64,linux/arm64
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<Platform>,
    /// Suppress verbose output
    #[arg(short, long)]
    quiet: bool,
    /// The image
    #[arg(value_name = "NAME", hide = true)]
    name: String,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let mut engine = caller.engine()?;
    let wish = Wish { name: &args.name, platforms: &args.platform, quiet: args.quiet, to: To::Output };
    match pulling::pull(&wish, &mut engine, caller)? {
        Pulled::Interrupted(code) => Ok(code),
        Pulled::All(outcomes) => {
            match outcomes.as_slice() {
                [one] => writeln!(caller.out, "{}", one.reference)?,
                [first, ..] => {
                    writeln!(caller.out, "{}/{}", first.reference.registry, first.reference.repository)?
                }
                [] => {}
            }
            Ok(0)
        }
    }
}
