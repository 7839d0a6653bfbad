//! `corten context ls`: the names of hosts in a table.

use crate::caller::Caller;
use crate::error::Result;
use crate::listing::{Field, Layout, Row, Style, field};
use crate::remote;
use crate::remote::contexts::{Context, Contexts};

/// List contexts
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten context ls [OPTIONS]")]
pub struct Args {
    /// Format output: json, or a template such as '{{.Name}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Only show context names
    #[arg(short, long)]
    quiet: bool,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let format = args.format.as_deref().or((!args.quiet).then_some(TABLE));
    let style = Style { format, quiet: args.quiet, columns: &COLUMNS };
    let layout = Layout::new::<Line>(&style)?;
    let current = remote::chosen(caller)?.context;
    let line = |context: Context| Line { is_current: context.name == current, context };
    let lines: Vec<Line> = Contexts::of(caller)?.all()?.into_iter().map(line).collect();
    layout.print(&lines, caller)
}

/// The table as Docker has it: the current one has a star.
const TABLE: &str = "table {{.Name}}{{if eq .Current \"true\"}} *{{end}}\\t{{.Description}}\\t{{.DockerEndpoint}}\\t{{.Error}}";
/// The columns of a table without a star.
const COLUMNS: [&str; 4] = ["Name", "Description", "DockerEndpoint", "Error"];

/// A context, and whether commands use it.
struct Line {
    context: Context,
    is_current: bool,
}

impl Row for Line {
    const TYPE: &'static str = "*formatter.clientContextContext";
    const ID: &'static str = "Name";

    fn fields() -> Vec<Field<Self>> {
        vec![
            field("Current", "CURRENT", |line| line.is_current.to_string()),
            field("Description", "DESCRIPTION", |line| line.context.description.clone()),
            field("DockerEndpoint", "DOCKER ENDPOINT", |line| {
                line.context.address.as_ref().map_or_else(|| "local".to_owned(), ToString::to_string)
            }),
            field("Error", "ERROR", |_| String::new()),
            field("Name", "NAME", |line| line.context.name.clone()),
        ]
    }
}
