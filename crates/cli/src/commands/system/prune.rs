//! `corten system prune`: everything that nobody uses goes.

use corten_engine::prune;

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::prune::{Flags, KEYS, image_line, tell, total, wanted};
use crate::timestamps;

/// Remove unused data
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten system prune [OPTIONS]")]
pub struct Args {
    /// Remove all unused images not just dangling ones
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    flags: Flags,
    /// Prune anonymous volumes
    #[arg(long)]
    volumes: bool,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let filter = wanted(&args.flags.filters(&KEYS)?, timestamps::now_unix_ns())?;
    if args.volumes && filter.until_unix_ns.is_some() {
        return Err(Failure::Conflict("the `until` filter and `--volumes`"));
    }
    if !args.flags.are_confirmed(&warning(&args), caller)? {
        return Ok(0);
    }
    let mut engine = caller.engine()?;
    let containers = prune::containers(&mut engine, &filter)?;
    tell("Deleted Containers", &containers, String::clone, caller)?;
    let mut reclaimed_bytes = containers.reclaimed_bytes;
    if args.volumes {
        let volumes = prune::volumes(&mut engine, false, &filter)?;
        tell("Deleted Volumes", &volumes, String::clone, caller)?;
        reclaimed_bytes += volumes.reclaimed_bytes;
    }
    let images = prune::images(&mut engine, args.all, &filter)?;
    tell("Deleted Images", &images, image_line, caller)?;
    total(reclaimed_bytes + images.reclaimed_bytes, caller)
}

fn warning(args: &Args) -> String {
    let mut text = "This will remove:\n  - all stopped containers\n".to_owned();
    if args.volumes {
        text.push_str("  - all anonymous volumes not used by at least one container\n");
    }
    text.push_str(match args.all {
        true => "  - all images without at least one container associated to them\n",
        false => "  - all dangling images\n",
    });
    if !args.flags.filter.is_empty() {
        text.push_str("\n  Items to be pruned will be filtered with:\n");
        for filter in &args.flags.filter {
            text.push_str(&format!("  - {filter}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_is_told_before() {
        let args =
            Args { all: true, flags: Flags { filter: vec!["label=a".into()], force: false }, volumes: true };
        let expected = "\
This will remove:
  - all stopped containers
  - all anonymous volumes not used by at least one container
  - all images without at least one container associated to them

  Items to be pruned will be filtered with:
  - label=a
";
        assert_eq!(warning(&args), expected);
    }
}
