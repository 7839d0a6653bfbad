//! `corten container inspect`: everything about containers, as JSON.

use crate::caller::Caller;
use crate::commands::inspect::{self, ObjectKind, Style};
use crate::error::Result;

/// Display detailed information on one or more containers
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten container inspect [OPTIONS] CONTAINER [CONTAINER...]")]
pub struct Args {
    /// Format output: json, or a template with fields such as '{{.Name}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Display total file sizes
    #[arg(short, long)]
    size: bool,
    /// The containers
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    targets: Vec<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let style = Style { format: args.format.as_deref(), size: args.size, platform: None };
    inspect::print(&args.targets, &[ObjectKind::Container], style, caller)
}
