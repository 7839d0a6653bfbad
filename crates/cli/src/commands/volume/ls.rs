//! `corten volume ls`: the volumes in a table.

use std::collections::BTreeMap;

use corten_engine::volume::{self, Volume};

use crate::caller::Caller;
use crate::error::Result;
use crate::filter;
use crate::listing::{self, Field, Layout, Row, Style, field};

/// The only driver there is.
const DRIVER: &str = "local";
/// What is only known of volumes of a cluster, or by `system df`.
const NOT_APPLICABLE: &str = "N/A";

/// List volumes
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten volume ls [OPTIONS]")]
pub struct Args {
    /// Provide filter values (e.g. 'dangling=true')
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Format output: json, or a template such as '{{.Name}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Only display volume names
    #[arg(short, long)]
    quiet: bool,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let style = Style { format: args.format.as_deref(), quiet: args.quiet, columns: &COLUMNS };
    let layout = Layout::new::<Volume>(&style)?;
    let filters = filter::parse(&args.filter, &KEYS)?;
    let names = filters.patterns("name")?;
    let dangling = filters.flag("dangling")?;
    let mut engine = caller.engine()?;
    let mut volumes = volume::list(&mut engine)?;
    volumes.retain(|volume| {
        names.take(&[volume.name.as_str()])
            && filters.takes("driver", DRIVER)
            && filters.take_labels(&volume.labels)
    });
    if let Some(dangling) = dangling {
        let used = volume::in_use(&mut engine)?;
        volumes.retain(|volume| used.contains(&volume.name) != dangling);
    }
    layout.print(&volumes, caller)
}

/// The keys of `--filter`.
pub const KEYS: [&str; 5] = ["dangling", "driver", "label", "label!", "name"];
/// The columns of the table.
const COLUMNS: [&str; 2] = ["Driver", "Name"];

impl Row for Volume {
    const TYPE: &'static str = "*formatter.volumeContext";
    const ID: &'static str = "Name";
    const RAW: &'static str = "name: {{.Name}}\ndriver: {{.Driver}}\n";

    fn fields() -> Vec<Field<Self>> {
        vec![
            field("Availability", "AVAILABILITY", |_| NOT_APPLICABLE.into()),
            field("Driver", "DRIVER", |_| DRIVER.into()),
            field("Group", "GROUP", |_| NOT_APPLICABLE.into()),
            field("Labels", "LABELS", |volume| listing::labels(&volume.labels)),
            field("Links", "LINKS", |_| NOT_APPLICABLE.into()),
            field("Mountpoint", "MOUNTPOINT", |volume| volume.mountpoint.to_string_lossy().into_owned()),
            field("Name", "VOLUME NAME", |volume| volume.name.to_string()),
            field("Scope", "SCOPE", |_| "local".into()),
            field("Size", "SIZE", |_| NOT_APPLICABLE.into()),
            field("Status", "STATUS", |_| NOT_APPLICABLE.into()),
        ]
    }

    fn labels(&self) -> Option<&BTreeMap<String, String>> {
        Some(&self.labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::testing;

    #[test]
    fn the_table_is_dockers() {
        let volume = Volume {
            name: "data".parse().unwrap(),
            mountpoint: "/v".into(),
            created_unix_s: 0,
            labels: [("a.b".to_owned(), "c".to_owned())].into(),
            options: Default::default(),
            anonymous: false,
        };
        let check = |format: Option<&str>, quiet: bool, expected: &str| {
            let style = Style { format, quiet, columns: &COLUMNS };
            assert_eq!(testing::shown(std::slice::from_ref(&volume), &style), expected, "{format:?}");
        };
        check(None, false, "DRIVER    VOLUME NAME\nlocal     data\n");
        check(None, true, "data\n");
        check(Some("raw"), false, "name: data\ndriver: local\n\n");
        check(Some("table {{.Name}}\\t{{.Label \"a.b\"}}"), false, "VOLUME NAME   b\ndata          c\n");
        check(Some("{{.Name}}: {{.Labels}}"), true, "data: a.b=c\n");
    }
}
