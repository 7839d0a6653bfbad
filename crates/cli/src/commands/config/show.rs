//! `corten config show`: every key with its value, as a file would have it.

use std::io::Write as _;

use corten_engine::config::KEYS;
use serde_json::json;

use super::{effective, loaded};
use crate::caller::Caller;
use crate::error::Result;
use crate::listing;

/// Show every key of the configuration, its value, and where that comes from
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten config show [OPTIONS]")]
pub struct Args {
    /// Only what is not the default
    #[arg(long)]
    changed: bool,
    /// Format output using a template such as '{{.Key}} {{.Value}} {{.Origin}}', or json
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let loaded = loaded(caller)?;
    let mut lines = Vec::new();
    for key in KEYS {
        let (value, origin) = effective(key, &loaded, caller)?;
        if !args.changed || origin != super::Origin::Default {
            lines.push((key, value, origin.to_string()));
        }
    }
    if let Some(format) = &args.format {
        let object = |(key, value, origin): &(&corten_engine::config::Key, _, String)| {
            let value: &corten_engine::config::Value = value;
            json!({ "Key": key.name, "Value": value.json(), "Origin": origin, "About": key.about })
        };
        return listing::templated(format, &lines.iter().map(object).collect::<Vec<_>>(), caller);
    }
    let lines: Vec<_> = lines
        .iter()
        .map(|(key, value, origin)| (format!("{} = {}", key.name, value.toml()), origin))
        .collect();
    let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0);
    for (line, origin) in lines {
        writeln!(caller.out, "{line:width$}  # {origin}")?;
    }
    Ok(0)
}
