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
    /// Specify volume driver name: only local is there
    #[arg(short, long, value_name = "DRIVER")]
    driver: Option<String>,
    /// Set driver specific options: type, device and o, as mount(8) has them
    #[arg(short, long, value_name = "KEY=VALUE")]
    opt: Vec<String>,
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
    let options = args
        .opt
        .iter()
        .map(|option| key_values::full_pair("volume option", option))
        .collect::<std::result::Result<_, _>>()?;
    let new = volume::New { name: args.name, labels, options };
    let volume = volume::create(&mut caller.engine()?, new, args.driver.as_deref())?;
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
