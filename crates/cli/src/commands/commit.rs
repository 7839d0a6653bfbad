//! `corten commit`: an image of a container's changes.

use std::io::Write as _;

use corten_engine::container::{self, CommitRequest};
use corten_model::Reference;

use crate::caller::Caller;
use crate::error::{Failure, Result};

/// Create a new image from a container's changes
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten commit [OPTIONS] CONTAINER [REPOSITORY[:TAG]]")]
pub struct Args {
    /// Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")
    #[arg(short, long, value_name = "TEXT")]
    author: Option<String>,
    /// Apply Dockerfile instruction to the created image
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// Commit message
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Disable pausing container during commit
    #[arg(long)]
    no_pause: bool,
    /// Pause container during commit (default true)
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pause: Option<bool>,
    /// The container
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    container: String,
    /// The name that the image gets
    #[arg(value_name = "REPOSITORY[:TAG]", hide = true)]
    reference: Option<Reference>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    if args.no_pause && args.pause == Some(true) {
        return Err(Failure::Conflict("--pause and --no-pause"));
    }
    let request = CommitRequest {
        reference: args.reference,
        author: args.author,
        message: args.message,
        changes: args.change,
        no_pause: args.no_pause || args.pause == Some(false),
    };
    let committed = container::commit(&mut caller.engine()?, &args.container, &request)?;
    caller.warn(&committed.warnings)?;
    writeln!(caller.out, "{}", committed.id)?;
    Ok(0)
}
