//! `corten ps`: the containers in a table.

use std::collections::BTreeMap;

use corten_engine::container::{self, Size, Summary};
use corten_model::bytes;
use corten_model::health::HealthStatus;
use corten_model::state::Status;

use crate::caller::Caller;
use crate::error::Result;
use crate::filter::ps;
use crate::listing::{self, Field, Layout, Row, Style, field};
use crate::table::ellipsis;
use crate::template::escape;
use crate::timestamps;

/// Letters of a command that the table shows.
const COMMAND_LETTERS: usize = 20;
/// Letters of a mount that templates show.
const MOUNT_LETTERS: usize = 15;
/// The columns of the table.
const COLUMNS: [&str; 7] = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"];
/// The same with `--size`.
const COLUMNS_WITH_SIZE: [&str; 8] =
    ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names", "Size"];

/// List containers
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten ps [OPTIONS]")]
pub struct Args {
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    all: bool,
    /// Filter output based on conditions provided
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
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
    /// Display total file sizes
    #[arg(short, long)]
    size: bool,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    // Only here does `-q` win over a template.
    let format = args.format.as_deref().filter(|_| !args.quiet);
    let columns: &[&str] = if args.size { &COLUMNS_WITH_SIZE } else { &COLUMNS };
    let layout = Layout::new::<Line<'_>>(&Style { format, quiet: args.quiet, columns })?;
    let wanted = ps::Wanted::parse(&args.filter)?;
    let last = if args.latest { Some(1) } else { args.last.and_then(|n| usize::try_from(n).ok()) };
    let mut engine = caller.engine()?;
    let mut summaries = wanted.list(&mut engine, args.all || last.is_some())?;
    summaries.truncate(last.unwrap_or(usize::MAX));
    let mut more = vec![More::default(); summaries.len()];
    if !args.quiet && (args.size || layout.names("Size")) {
        let files: Vec<_> = summaries.iter().map(|s| (s.id.clone(), s.image_id.clone())).collect();
        for (more, size) in more.iter_mut().zip(container::sizes(&mut engine, &files)?) {
            more.size = Some(size);
        }
    }
    if layout.uses("Networks") {
        let ids: Vec<_> = summaries.iter().map(|s| s.id.clone()).collect();
        for (more, details) in more.iter_mut().zip(container::details(&mut engine, &ids)?) {
            more.network = details.network;
        }
    }
    let view = View { now_unix_s: timestamps::now_unix_s(), no_trunc: args.no_trunc };
    let lines = summaries.iter().zip(&more).map(|(summary, more)| Line { summary, more, view: &view });
    layout.print(&lines.collect::<Vec<_>>(), caller)
}

/// What only some formats ask for.
#[derive(Debug, Clone, Default)]
struct More {
    size: Option<Size>,
    network: String,
}

/// A container and how it is shown.
struct Line<'a> {
    summary: &'a Summary,
    more: &'a More,
    view: &'a View,
}

impl Row for Line<'_> {
    const TYPE: &'static str = "*formatter.ContainerContext";
    const ID: &'static str = "ID";
    const RAW: &'static str = "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\n\
        created_at: {{.CreatedAt}}\nstate: {{- pad .State 1 0}}\nstatus: {{- pad .Status 1 0}}\n\
        names: {{.Names}}\nlabels: {{- pad .Labels 1 0}}\nports: {{- pad .Ports 1 0}}\n";

    fn fields() -> Vec<Field<Self>> {
        vec![
            field("Command", "COMMAND", |line| line.view.command(line.summary)),
            field("CreatedAt", "CREATED AT", |line| timestamps::local(line.summary.created_unix_s)),
            field("ID", "CONTAINER ID", |line| line.view.id(line.summary).to_owned()),
            field("Image", "IMAGE", |line| line.view.image(line.summary)),
            field("Labels", "LABELS", |line| listing::labels(&line.summary.labels)),
            field("LocalVolumes", "LOCAL VOLUMES", |line| local_volumes(line.summary)),
            field("Mounts", "MOUNTS", |line| line.view.mounts(line.summary)),
            field("Names", "NAMES", |line| line.summary.name.to_string()),
            field("Networks", "NETWORKS", |line| line.more.network.clone()),
            field("Ports", "PORTS", |_| String::new()),
            field("RunningFor", "CREATED", |line| line.view.ago(line.summary.created_unix_s)),
            field("Size", "SIZE", |line| size(line.more.size.unwrap_or_default())),
            field("State", "STATE", |line| line.summary.status.as_str().to_owned()),
            field("Status", "STATUS", |line| line.view.status(line.summary)),
        ]
    }

    fn labels(&self) -> Option<&BTreeMap<String, String>> {
        Some(&self.summary.labels)
    }
}

/// `2B (virtual 21.5MB)`.
fn size(size: Size) -> String {
    let written = bytes::human(size.writable_bytes);
    match size.total_bytes {
        0 => written,
        total => format!("{written} (virtual {})", bytes::human(total)),
    }
}

/// How many of the mounts are volumes: those have names, the others paths.
fn local_volumes(summary: &Summary) -> String {
    summary.mounts.iter().filter(|mount| !mount.starts_with('/')).count().to_string()
}

/// How summaries are shown.
struct View {
    now_unix_s: i64,
    no_trunc: bool,
}

impl View {
    fn mounts(&self, summary: &Summary) -> String {
        let shown =
            |mount: &String| if self.no_trunc { mount.clone() } else { ellipsis(mount, MOUNT_LETTERS) };
        let mounts: Vec<String> = summary.mounts.iter().map(shown).collect();
        mounts.join(",")
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
        escape::quoted(&if self.no_trunc { line } else { ellipsis(&line, COMMAND_LETTERS) }, false)
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
        let health = match summary.health {
            None => "",
            Some(HealthStatus::Starting) => " (health: starting)",
            Some(HealthStatus::Healthy) => " (healthy)",
            Some(HealthStatus::Unhealthy) => " (unhealthy)",
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
            Status::Running => format!("{}{health}", up()),
            Status::Paused => format!("{} (Paused)", up()),
            Status::Restarting => ended("Restarting"),
            Status::Removing => "Removal In Progress".into(),
            Status::Exited => ended("Exited"),
            Status::Dead => "Dead".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corten_model::state::Exit;
    use corten_model::{ContainerId, Digest};

    use crate::listing::testing;

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
            health: None,
            problem: None,
        }
    }

    fn view() -> View {
        View { now_unix_s: NOW, no_trunc: false }
    }

    fn shown(format: Option<&str>, summaries: &[Summary]) -> String {
        let view = view();
        let size = Some(Size { writable_bytes: 2, total_bytes: 21_500_000 });
        let more = More { size, network: "none".into() };
        let lines = summaries.iter().map(|summary| Line { summary, more: &more, view: &view });
        let lines: Vec<Line<'_>> = lines.collect();
        testing::shown(&lines, &Style { format, quiet: false, columns: &COLUMNS })
    }

    #[test]
    fn the_table_is_dockers() {
        let mut long = summary("old", Status::Exited);
        long.image = "sha256:c3c3c3c3c3c3c3".into();
        long.command = vec!["/bin/sh".into(), "-c".into(), "echo \"hi there\"; sleep 3".into()];
        let expected = "\
CONTAINER ID   IMAGE          COMMAND                   CREATED       STATUS                       PORTS     NAMES
a5a5a5a5a5a5   busybox        \"sh\"                      2 hours ago   Up 2 minutes                           web
a5a5a5a5a5a5   c3c3c3c3c3c3   \"/bin/sh -c 'echo \\\"h…\"   2 hours ago   Exited (137) 3 seconds ago             old
";
        assert_eq!(shown(None, &[summary("web", Status::Running), long]), expected);
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
        let health = |health, status, expected: &str| {
            assert_eq!(view().status(&Summary { health: Some(health), ..summary("aa", status) }), expected);
        };
        health(HealthStatus::Starting, Status::Running, "Up 2 minutes (health: starting)");
        health(HealthStatus::Healthy, Status::Running, "Up 2 minutes (healthy)");
        health(HealthStatus::Unhealthy, Status::Running, "Up 2 minutes (unhealthy)");
        health(HealthStatus::Healthy, Status::Paused, "Up 2 minutes (Paused)");
        let host = Summary { host_powers: vec!["--privileged".into()], ..summary("aa", Status::Running) };
        assert_eq!(view().status(&host), "Up 2 minutes (host: --privileged)");
    }

    #[test]
    fn templates_have_dockers_fields() {
        let check = |format: &str, expected: &str| {
            assert_eq!(shown(Some(format), &[summary("web", Status::Running)]), expected, "{format}");
        };
        check(
            "{{.ID}} {{.Names}} {{.Labels}} {{.Mounts}} {{.State}} {{.LocalVolumes}}",
            "a5a5a5a5a5a5 web a=b,c= data,/host running 1\n",
        );
        check("{{.Size}} {{.Networks}}", "2B (virtual 21.5MB) none\n");
        check("{{.Label \"a\"}}{{.Label \"z\"}}", "b\n");
        check("table {{.Names}}\\t{{upper .State}}", "NAMES     STATE\nweb       RUNNING\n");
        check("{{json .Command}}", "\"\\\"sh\\\"\"\n");
        let json = shown(Some("json"), &[summary("web", Status::Running)]);
        assert!(
            json.starts_with("{\"Command\":") && json.contains("\"RunningFor\":\"2 hours ago\""),
            "{json}"
        );
        assert_eq!(shown(Some("json"), &[]), "");
    }
}
