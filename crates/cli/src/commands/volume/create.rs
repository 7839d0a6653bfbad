//! `corten volume create`: make a volume.

use std::io::Write as _;

use corten_engine::volume;
use corten_model::{Invalid, Name};

use crate::caller::Caller;
use crate::error::Result;
use crate::key_values;

/// Create a volume
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten volume create [OPTIONS] [VOLUME]")]
pub struct Args {
    /// Set metadata for a volume
    #[arg(long, value_name = "KEY[=VALUE]")]
    label: Vec<String>,
    /// The name; a random one if absent
    #[arg(value_name = "VOLUME", hide = true, value_parser = volume_name)]
    name: Option<Name>,
}

/// A container's name may have a slash in front, for Docker's history; a volume's may not.
fn volume_name(text: &str) -> std::result::Result<Name, Invalid> {
    if text.starts_with('/') {
        return Err(Invalid::new("volume name", text, "it begins with a slash"));
    }
    text.parse()
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let labels = args
        .label
        .iter()
        .map(|label| key_values::pair("label", label))
        .collect::<std::result::Result<_, _>>()?;
    let volume = volume::create(&mut caller.engine()?, args.name, labels)?;
    writeln!(caller.out, "{}", volume.name)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_a_slash() {
        assert!(volume_name("data").is_ok());
        for bad in ["/data", "../x", "a b", ""] {
            assert!(volume_name(bad).is_err(), "{bad}");
        }
    }
}
