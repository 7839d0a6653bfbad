//! `corten ps`: the containers in a table.

use std::io::Write as _;

use corten_engine::container::{self, ListFilter, Summary};
use corten_model::state::Status;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::error::Result;
use crate::table::{Table, ellipsis};
use crate::{listing, timestamps};

/// Letters of a command that the table shows.
const COMMAND_LETTERS: usize = 20;

/// List containers
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten ps [OPTIONS]")]
pub struct Args {
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    all: bool,
    /// Format output: json, or a template such as '{{.ID}} {{.Names}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show n last created containers (includes all states)
    #[arg(short = 'n', long, value_name = "NUMBER")]
    last: Option<i64>,
    /// Show the latest created container (includes all states)
    #[arg(short, long)]
    latest: bool,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only display container IDs
    #[arg(short, long)]
    quiet: bool,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let last = if args.latest { Some(1) } else { args.last.and_then(|n| usize::try_from(n).ok()) };
    let filter = ListFilter { all: args.all || last.is_some() };
    let mut summaries = container::list(&mut caller.engine()?, &filter)?;
    summaries.truncate(last.unwrap_or(usize::MAX));
    let view = View { now_unix_s: timestamps::now_unix_s(), no_trunc: args.no_trunc };
    if args.quiet {
        for summary in &summaries {
            writeln!(caller.out, "{}", view.id(summary))?;
        }
        return Ok(0);
    }
    if let Some(format) = &args.format {
        let objects: Vec<Value> = summaries.iter().map(|summary| view.object(summary)).collect();
        return listing::templated(format, &objects, caller);
    }
    view.table(&summaries).write(&mut caller.out)?;
    Ok(0)
}

/// How summaries are shown.
struct View {
    now_unix_s: i64,
    no_trunc: bool,
}

impl View {
    fn table(&self, summaries: &[Summary]) -> Table {
        let mut table =
            Table::new(&["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]);
        for summary in summaries {
            table.push(vec![
                self.id(summary).to_owned(),
                self.image(summary),
                self.command(summary),
                self.ago(summary.created_unix_s),
                self.status(summary),
                String::new(),
                summary.name.to_string(),
            ]);
        }
        table
    }

    fn object(&self, summary: &Summary) -> Value {
        json!({
            "Command": self.command(summary),
            "CreatedAt": timestamps::local(summary.created_unix_s),
            "ID": self.id(summary),
            "Image": self.image(summary),
            "Labels": listing::labels(&summary.labels),
            "Mounts": summary.mounts.join(","),
            "Names": summary.name.as_str(),
            "Ports": "",
            "RunningFor": self.ago(summary.created_unix_s),
            "State": summary.status.as_str(),
            "Status": self.status(summary),
        })
    }

    fn id<'a>(&self, summary: &'a Summary) -> &'a str {
        if self.no_trunc { summary.id.as_str() } else { summary.id.short() }
    }

    /// An image that was named by its id is shown by its short id.
    fn image(&self, summary: &Summary) -> String {
        let typed = summary.image.strip_prefix("sha256:").unwrap_or(&summary.image);
        let is_id =
            typed.len() >= summary.image_id.short().len() && summary.image_id.hex().starts_with(typed);
        if is_id && !self.no_trunc { summary.image_id.short().to_owned() } else { summary.image.clone() }
    }

    fn command(&self, summary: &Summary) -> String {
        let mut words = summary.command.iter();
        let mut line = words.next().cloned().unwrap_or_default();
        for word in words {
            let spaced = word.contains(' ');
            line.push_str(&if spaced { format!(" '{word}'") } else { format!(" {word}") });
        }
        quoted(&if self.no_trunc { line } else { ellipsis(&line, COMMAND_LETTERS) })
    }

    fn ago(&self, then_unix_s: i64) -> String {
        format!("{} ago", timestamps::span_since(then_unix_s, self.now_unix_s))
    }

    fn status(&self, summary: &Summary) -> String {
        let up = || {
            let since = summary.started_unix_s.unwrap_or(summary.created_unix_s);
            let host = match summary.host_powers.as_slice() {
                [] => String::new(),
                // Root in there is root out here: that is worth a word.
                powers => format!(" (host: {})", powers.join(", ")),
            };
            format!("Up {}{host}", timestamps::span_since(since, self.now_unix_s))
        };
        let ended = |word: &str| {
            // What nobody saw end has no code that could be shown.
            let code = summary.exit.map_or("unknown".to_owned(), |exit| exit.code.to_string());
            match summary.finished_unix_s {
                Some(finished) => format!("{word} ({code}) {}", self.ago(finished)),
                None => format!("{word} ({code})"),
            }
        };
        if let Some(problem) = &summary.problem {
            return format!("Broken ({problem})");
        }
        match summary.status {
            Status::Created => "Created".into(),
            Status::Running => up(),
            Status::Paused => format!("{} (Paused)", up()),
            Status::Restarting => ended("Restarting"),
            Status::Removing => "Removal In Progress".into(),
            Status::Exited => ended("Exited"),
            Status::Dead => "Dead".into(),
        }
    }
}

/// A text between quotes, as Go's `strconv.Quote` writes it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use corten_model::state::Exit;
    use corten_model::{ContainerId, Digest};

    const NOW: i64 = 1_000_000;

    fn summary(name: &str, status: Status) -> Summary {
        Summary {
            id: ContainerId::from_bytes([0xa5; 32]),
            name: name.parse().unwrap(),
            image: "busybox".into(),
            image_id: Digest::from_sha256([0xc3; 32]),
            command: vec!["sh".into()],
            created_unix_s: NOW - 7_200,
            status,
            started_unix_s: Some(NOW - 120),
            finished_unix_s: Some(NOW - 3),
            exit: Some(Exit { code: 137, oom_killed: false }),
            labels: [("a".into(), "b".into()), ("c".into(), String::new())].into(),
            host_powers: Vec::new(),
            mounts: vec!["data".into(), "/host".into()],
            problem: None,
        }
    }

    fn view() -> View {
        View { now_unix_s: NOW, no_trunc: false }
    }

    #[test]
    fn the_table_is_dockers() {
        let mut long = summary("old", Status::Exited);
        long.image = "sha256:c3c3c3c3c3c3c3".into();
        long.command = vec!["/bin/sh".into(), "-c".into(), "echo \"hi there\"; sleep 3".into()];
        let mut out = Vec::new();
        view().table(&[summary("web", Status::Running), long]).write(&mut out).unwrap();
        let expected = "\
CONTAINER ID   IMAGE          COMMAND                   CREATED       STATUS                       PORTS     NAMES
a5a5a5a5a5a5   busybox        \"sh\"                      2 hours ago   Up 2 minutes                           web
a5a5a5a5a5a5   c3c3c3c3c3c3   \"/bin/sh -c 'echo \\\"h…\"   2 hours ago   Exited (137) 3 seconds ago             old
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn what_the_status_says() {
        let check =
            |status: Status, expected: &str| assert_eq!(view().status(&summary("aa", status)), expected);
        check(Status::Created, "Created");
        check(Status::Running, "Up 2 minutes");
        check(Status::Paused, "Up 2 minutes (Paused)");
        check(Status::Restarting, "Restarting (137) 3 seconds ago");
        check(Status::Removing, "Removal In Progress");
        check(Status::Exited, "Exited (137) 3 seconds ago");
        check(Status::Dead, "Dead");
        let unseen = Summary { exit: None, ..summary("aa", Status::Exited) };
        assert_eq!(view().status(&unseen), "Exited (unknown) 3 seconds ago");
        let broken = Summary { problem: Some("no journal".into()), ..summary("aa", Status::Dead) };
        assert_eq!(view().status(&broken), "Broken (no journal)");
        let host = Summary { host_powers: vec!["--privileged".into()], ..summary("aa", Status::Running) };
        assert_eq!(view().status(&host), "Up 2 minutes (host: --privileged)");
    }

    #[test]
    fn templates_have_dockers_fields() {
        let object = view().object(&summary("web", Status::Running));
        let template =
            crate::template::Template::parse("{{.ID}} {{.Names}} {{.Labels}} {{.Mounts}} {{.State}}", true);
        assert_eq!(template.unwrap().render(&object).unwrap(), "a5a5a5a5a5a5 web a=b,c= data,/host running");
    }

    #[test]
    fn quotes_are_gos() {
        assert_eq!(quoted("a\"b\\c\n\u{1}é"), "\"a\\\"b\\\\c\\n\\x01é\"");
    }
}
