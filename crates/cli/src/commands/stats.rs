//! `corten stats`: what containers use, again and again.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use corten_engine::Engine;
use corten_engine::container::{self, ListFilter, Sample};
use corten_model::{ContainerId, bytes};
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::listing::{Field, Layout, Row, Style, field};
use crate::several;

/// Between two looks: CPU time is counted over it.
const PERIOD: Duration = Duration::from_secs(1);
/// The same where there is only one output to wait for.
const ONCE: Duration = Duration::from_millis(500);
/// To the first cell, and away with everything below it.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Display a live stream of container(s) resource usage statistics
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten stats [OPTIONS] [CONTAINER...]")]
pub struct Args {
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    all: bool,
    /// Format output: json, or a template such as '{{.CPUPerc}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Disable streaming stats and only pull the first result
    #[arg(long)]
    no_stream: bool,
    /// Do not truncate output
    #[arg(long)]
    no_trunc: bool,
    /// The containers
    #[arg(value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let style = Style { format: args.format.as_deref(), quiet: false, columns: &COLUMNS };
    let layout = Layout::new::<Line>(&style)?;
    let mut engine = caller.engine()?;
    let mut before = look(&mut engine, &args)?;
    let clears = !args.no_stream && std::io::stdout().is_terminal();
    loop {
        // The counters say nothing by themselves: a share of time needs two looks.
        if !is_read_after(if args.no_stream { ONCE } else { PERIOD }) {
            return Ok(0);
        }
        let now = look(&mut engine, &args)?;
        let rows: Vec<Line> =
            now.values().map(|sample| Line::new(before.get(&sample.id), sample, args.no_trunc)).collect();
        if clears {
            write!(caller.out, "{CLEAR}")?;
        }
        layout.print(&rows, caller)?;
        caller.out.flush()?;
        if args.no_stream {
            return Ok(0);
        }
        before = now;
    }
}

/// Lets time go by. `false`: nobody reads what we write any more.
fn is_read_after(time: Duration) -> bool {
    let stdout = std::io::stdout();
    let timeout = Timespec::try_from(time).expect("a second fits");
    // No event is asked for: what comes all the same is the end of the other side.
    let ended = rustix::event::poll(&mut [PollFd::new(&stdout, PollFlags::empty())], Some(&timeout));
    ended != Ok(1)
}

/// One look at the containers that were named, or at all that run.
fn look(engine: &mut Engine, args: &Args) -> Result<BTreeMap<ContainerId, Sample>> {
    let named = !args.containers.is_empty();
    let targets = if named {
        args.containers.clone()
    } else {
        let all = container::list(engine, &ListFilter { all: args.all })?;
        all.into_iter().map(|summary| summary.id.to_string()).collect()
    };
    let (mut samples, mut failures) = (BTreeMap::new(), Vec::new());
    for target in &targets {
        match container::sample(engine, target).map_err(Failure::from) {
            Ok(sample) => drop(samples.insert(sample.id.clone(), sample)),
            // It went between the list and the look.
            Err(failure) if !named && failure.is_not_found() => {}
            Err(failure) => failures.push(failure),
        }
    }
    several::all(failures).map(|()| samples)
}

/// What is shown of a container.
struct Line {
    sample: Sample,
    cpu_percent: Option<f64>,
    no_trunc: bool,
}

impl Line {
    fn new(before: Option<&Sample>, sample: &Sample, no_trunc: bool) -> Self {
        let share = |before: &Sample| {
            let busy = sample.cpu?.checked_sub(before.cpu?)?;
            let wall = sample.taken.checked_duration_since(before.taken)?.as_secs_f64();
            (wall > 0.0).then(|| busy.as_secs_f64() / wall * 100.0)
        };
        Self { sample: sample.clone(), cpu_percent: before.and_then(share), no_trunc }
    }

    fn memory_percent(&self) -> Option<f64> {
        let limit = self.sample.memory_limit_bytes;
        let used = self.sample.memory_bytes?;
        (limit > 0).then(|| used as f64 / limit as f64 * 100.0)
    }
}

/// What can't be known.
const UNKNOWN: &str = "--";

fn percent(share: Option<f64>) -> String {
    share.map_or(UNKNOWN.into(), |share| format!("{share:.2}%"))
}

fn decimal(bytes: Option<u64>) -> String {
    bytes.map_or(UNKNOWN.into(), bytes::human)
}

fn memory(line: &Line) -> String {
    let used = line.sample.memory_bytes.map_or(UNKNOWN.into(), bytes::human_binary);
    format!("{used} / {}", bytes::human_binary(line.sample.memory_limit_bytes))
}

fn network(line: &Line) -> String {
    let sample = &line.sample;
    format!("{} / {}", bytes::human(sample.received_bytes), bytes::human(sample.sent_bytes))
}

fn block(line: &Line) -> String {
    format!("{} / {}", decimal(line.sample.block_read_bytes), decimal(line.sample.block_write_bytes))
}

fn id(line: &Line) -> String {
    if line.no_trunc { line.sample.id.to_string() } else { line.sample.id.short().to_owned() }
}

/// The columns of the table.
const COLUMNS: [&str; 8] =
    ["Container", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"];

impl Row for Line {
    const TYPE: &'static str = "*formatter.statsContext";
    const ID: &'static str = "ID";

    fn fields() -> Vec<Field<Self>> {
        vec![
            field("Container", "CONTAINER ID", id),
            field("ID", "CONTAINER ID", id),
            field("Name", "NAME", |line| line.sample.name.to_string()),
            field("CPUPerc", "CPU %", |line| percent(line.cpu_percent)),
            field("MemUsage", "MEM USAGE / LIMIT", memory),
            field("MemPerc", "MEM %", |line| percent(line.memory_percent())),
            field("NetIO", "NET I/O", network),
            field("BlockIO", "BLOCK I/O", block),
            field("PIDs", "PIDS", |line| line.sample.pids.map_or(UNKNOWN.into(), |n| n.to_string())),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::testing;
    use std::time::Instant;

    fn sample(taken: Instant, cpu: Option<Duration>) -> Sample {
        Sample {
            id: ContainerId::from_bytes([1; 32]),
            name: "web".parse().unwrap(),
            taken,
            cpu,
            memory_bytes: cpu.map(|_| 16 << 20),
            memory_limit_bytes: 64 << 20,
            received_bytes: 1_500,
            sent_bytes: 0,
            block_read_bytes: Some(4_096),
            block_write_bytes: None,
            pids: Some(3),
        }
    }

    #[test]
    fn shares_are_of_the_time_between_two_looks() {
        let start = Instant::now();
        let (first, second) =
            (sample(start, Some(Duration::ZERO)), sample(start + PERIOD, Some(Duration::from_millis(500))));
        let line = Line::new(Some(&first), &second, false);
        let style = Style { format: None, quiet: false, columns: &COLUMNS[1..] };
        let shown = testing::shown(&[line], &style);
        let row: Vec<&str> = shown.lines().nth(1).unwrap().split("   ").map(str::trim).collect();
        let row: Vec<&str> = row.into_iter().filter(|cell| !cell.is_empty()).collect();
        assert_eq!(row, ["web", "50.00%", "16MiB / 64MiB", "25.00%", "1.5kB / 0B", "4.1kB / --", "3"]);
    }

    #[test]
    fn what_is_not_known_is_not_zero() {
        let start = Instant::now();
        let unknown = sample(start, None);
        let line = Line::new(None, &unknown, false);
        assert_eq!((percent(line.cpu_percent), memory(&line)), ("--".into(), "-- / 64MiB".into()));
    }
}
