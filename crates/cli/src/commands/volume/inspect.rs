//! `corten volume inspect`: everything about volumes, as JSON.

use crate::caller::Caller;
use crate::commands::inspect::{self, ObjectKind, Style};
use crate::error::Result;

/// Display detailed information on one or more volumes
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten volume inspect [OPTIONS] VOLUME [VOLUME...]")]
pub struct Args {
    /// Format output: json, or a template with fields such as '{{.Name}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// The volumes
    #[arg(required = true, value_name = "VOLUME", hide = true)]
    targets: Vec<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let style = Style { format: args.format.as_deref(), size: false, platform: None };
    inspect::print(&args.targets, &[ObjectKind::Volume], style, caller)
}
