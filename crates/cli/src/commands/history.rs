//! `corten history`: the steps by which an image came to be.

use corten_engine::image::{self, Step};
use corten_model::bytes;
use corten_model::platform::Platform;

use crate::caller::Caller;
use crate::error::Result;
use crate::listing::{Field, Layout, Row, Style, field};
use crate::table::ellipsis;
use crate::{parse, timestamps};

/// The columns of the table.
const COLUMNS: [&str; 5] = ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"];
/// What stands for the id of a step that has none.
const MISSING: &str = "<missing>";
/// Characters of a command in the table.
const COMMAND_WIDTH: usize = 45;

/// Show the history of an image
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten history [OPTIONS] IMAGE")]
pub struct Args {
    /// Format output: json, or a template such as '{{.ID}}: {{.CreatedBy}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print sizes and dates in human readable format
    #[arg(
        short = 'H',
        long,
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value = "true",
        default_missing_value = "true",
        value_parser = parse::boolean
    )]
    human: bool,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Show the history for the given platform, such as linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// Only show image IDs
    #[arg(short, long)]
    quiet: bool,
    /// The image
    #[arg(required = true, value_name = "IMAGE", hide = true)]
    image: String,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let style = Style { format: args.format.as_deref(), quiet: args.quiet, columns: &COLUMNS };
    let layout = Layout::new::<Line<'_>>(&style)?;
    let steps = image::history(&mut caller.engine()?, &args.image, args.platform.as_ref())?;
    let view = View { now_unix_s: timestamps::now_unix_s(), human: args.human, no_trunc: args.no_trunc };
    let lines: Vec<Line<'_>> = steps.iter().map(|step| Line { step, view: &view }).collect();
    layout.print(&lines, caller)
}

/// A step, and how it is shown.
struct Line<'a> {
    step: &'a Step,
    view: &'a View,
}

impl Row for Line<'_> {
    const TYPE: &'static str = "*formatter.historyContext";
    const ID: &'static str = "ID";

    fn fields() -> Vec<Field<Self>> {
        vec![
            field("Comment", "COMMENT", |line| line.step.comment.clone()),
            field("CreatedAt", "CREATED AT", |line| line.view.created_at(line.step)),
            field("CreatedBy", "CREATED BY", |line| line.view.command(line.step)),
            field("CreatedSince", "CREATED", |line| line.view.created_since(line.step)),
            field("ID", "IMAGE", |line| line.view.id(line.step)),
            field("Size", "SIZE", |line| line.view.size(line.step)),
        ]
    }
}

/// How steps are shown.
struct View {
    now_unix_s: i64,
    human: bool,
    no_trunc: bool,
}

impl View {
    fn id(&self, step: &Step) -> String {
        match &step.id {
            Some(id) if self.no_trunc => id.to_string(),
            Some(id) => id.short().to_owned(),
            None => MISSING.to_owned(),
        }
    }

    fn created_at(&self, step: &Step) -> String {
        step.created_unix_s.map(timestamps::rfc3339).unwrap_or_default()
    }

    fn created_since(&self, step: &Step) -> String {
        match step.created_unix_s {
            _ if !self.human => self.created_at(step),
            // Reproducible images carry no date, or the epoch: an age of fifty years would be no news.
            None | Some(..=0) => "N/A".to_owned(),
            Some(created) => format!("{} ago", timestamps::span_since(created, self.now_unix_s)),
        }
    }

    fn command(&self, step: &Step) -> String {
        // A tab or a line break would tear the table.
        let command: String = step.created_by.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if self.no_trunc { command } else { ellipsis(&command, COMMAND_WIDTH) }
    }

    fn size(&self, step: &Step) -> String {
        if self.human { bytes::human(step.size_bytes) } else { step.size_bytes.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_for_people_and_for_programs() {
        let step = Step {
            id: None,
            created_unix_s: Some(1_000_000 - 7200),
            created_by: format!("/bin/sh -c {}\tx", "a".repeat(60)),
            size_bytes: 4_420_000,
            comment: String::new(),
        };
        let human = View { now_unix_s: 1_000_000, human: true, no_trunc: false };
        assert_eq!(human.id(&step), "<missing>");
        assert_eq!(human.created_since(&step), "2 hours ago");
        assert_eq!(human.size(&step), "4.42MB");
        assert_eq!(human.command(&step).chars().count(), COMMAND_WIDTH);
        let plain = View { now_unix_s: 1_000_000, human: false, no_trunc: true };
        assert_eq!(plain.created_since(&step), "1970-01-12T11:46:40Z");
        assert_eq!(plain.size(&step), "4420000");
        assert!(plain.command(&step).ends_with(" x"));
    }
}
