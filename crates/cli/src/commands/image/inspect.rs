//! `corten image inspect`: everything about images, as JSON.

use corten_model::platform::Platform;

use crate::caller::Caller;
use crate::commands::inspect::{self, ObjectKind, Style};
use crate::error::Result;

/// Display detailed information on one or more images
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten image inspect [OPTIONS] IMAGE [IMAGE...]")]
pub struct Args {
    /// Format output: json, or a template with fields such as '{{.Id}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Inspect the given platform of an image that has several, such as linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// The images
    #[arg(required = true, value_name = "IMAGE", hide = true)]
    targets: Vec<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let style = Style { format: args.format.as_deref(), platform: args.platform.as_ref(), size: false };
    inspect::print(&args.targets, &[ObjectKind::Image], style, caller)
}
