//! `corten volume ls`: the volumes in a table.

use std::io::Write as _;

use corten_engine::volume::{self, Volume};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::error::Result;
use crate::listing;
use crate::table::Table;

/// The only driver there is.
const DRIVER: &str = "local";

/// List volumes
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten volume ls [OPTIONS]")]
pub struct Args {
    /// Format output: json, or a template such as '{{.Name}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Only display volume names
    #[arg(short, long)]
    quiet: bool,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let volumes = volume::list(&mut caller.engine()?)?;
    if args.quiet {
        for volume in &volumes {
            writeln!(caller.out, "{}", volume.name)?;
        }
        return Ok(0);
    }
    if let Some(format) = &args.format {
        let objects: Vec<Value> = volumes.iter().map(object).collect();
        return listing::templated(format, &objects, caller);
    }
    table(&volumes).write(&mut caller.out)?;
    Ok(0)
}

fn table(volumes: &[Volume]) -> Table {
    let mut table = Table::new(&["DRIVER", "VOLUME NAME"]);
    for volume in volumes {
        table.push(vec![DRIVER.to_owned(), volume.name.to_string()]);
    }
    table
}

fn object(volume: &Volume) -> Value {
    json!({
        "Driver": DRIVER,
        "Labels": listing::labels(&volume.labels),
        "Mountpoint": volume.mountpoint,
        "Name": volume.name,
        "Scope": "local",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_dockers() {
        let volume = Volume {
            name: "data".parse().unwrap(),
            mountpoint: "/v".into(),
            created_unix_s: 0,
            labels: Default::default(),
            anonymous: false,
        };
        let mut out = Vec::new();
        table(&[volume]).write(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "DRIVER    VOLUME NAME\nlocal     data\n");
    }
}
