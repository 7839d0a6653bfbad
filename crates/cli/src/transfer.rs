//! How far a pull or push is, in Docker's words: a line for each layer that changes in place on a terminal, a line for
//! each step elsewhere, nothing for `--quiet`.

use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use corten_engine::image::{BlobState, Progress};
use corten_model::{Digest, bytes};
use corten_sys::terminal;

/// How often lines on a terminal are drawn anew: more can't be read.
const DRAW: Duration = Duration::from_millis(100);
/// Columns of the bar, and of the narrowest terminal that has room for it.
const BAR: usize = 50;
const BAR_COLUMNS: u16 = 110;
/// Rows and columns of a terminal that doesn't say.
const USUAL_SIZE: (u16, u16) = (24, 80);

/// Where it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Standard output.
    Output,
    /// Standard error: the output is the container's.
    Errors,
}

/// Shows it.
pub struct Shown {
    style: Style,
    to: To,
    layers: Mutex<Layers>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Quiet,
    Plain,
    Terminal,
}

#[derive(Default)]
struct Layers {
    lines: Vec<Layer>,
    /// Lines on the terminal now.
    drawn: usize,
    drawn_at: Option<Instant>,
}

struct Layer {
    digest: Digest,
    state: BlobState,
    /// Since when bytes come, and how many there were then.
    since: Option<(Instant, u64)>,
}

impl Shown {
    /// On standard output or error; `quiet`: nowhere.
    pub fn new(to: To, quiet: bool) -> Self {
        let terminal = match to {
            To::Output => io::stdout().is_terminal(),
            To::Errors => io::stderr().is_terminal(),
        };
        let style = match (quiet, terminal) {
            (true, _) => Style::Quiet,
            (false, true) => Style::Terminal,
            (false, false) => Style::Plain,
        };
        Self { style, to, layers: Mutex::default() }
    }

    /// A line between those of layers, unless it is quiet.
    pub fn line(&self, text: &str) -> io::Result<()> {
        if self.style == Style::Quiet { Ok(()) } else { self.write(&format!("{text}\n")) }
    }

    /// The last state of every layer; further lines come below.
    pub fn end(&self) -> io::Result<()> {
        let mut layers = self.layers();
        let text = if self.style == Style::Terminal { self.draw(&mut layers) } else { String::new() };
        *layers = Layers::default();
        drop(layers);
        self.write(&text)
    }

    fn layers(&self) -> MutexGuard<'_, Layers> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, text: &str) -> io::Result<()> {
        match self.to {
            To::Output => {
                let mut out = io::stdout().lock();
                out.write_all(text.as_bytes())?;
                out.flush()
            }
            To::Errors => io::stderr().lock().write_all(text.as_bytes()),
        }
    }

    /// What brings all lines up to date.
    fn draw(&self, layers: &mut Layers) -> String {
        let size = match self.to {
            To::Output => terminal::size(io::stdout().as_fd()),
            To::Errors => terminal::size(io::stderr().as_fd()),
        };
        let (rows, columns) = size.unwrap_or(USUAL_SIZE);
        // What is above the first row can't be reached any more: only the newest are drawn then.
        let room = usize::from(rows).saturating_sub(1).max(1);
        let first = layers.lines.len().saturating_sub(room);
        let now = Instant::now();
        let mut text = String::new();
        if layers.drawn > 0 {
            text.push_str(&format!("\x1b[{}A", layers.drawn));
        }
        for layer in &layers.lines[first..] {
            let mut line = format!("{}: {}", layer.digest.short(), layer.told(now, columns));
            line.truncate(usize::from(columns));
            text.push_str(&format!("\r\x1b[2K{line}\n"));
        }
        layers.drawn = layers.lines.len() - first;
        layers.drawn_at = Some(now);
        text
    }
}

impl Progress for Shown {
    fn blob(&self, blob: &Digest, state: BlobState) {
        if self.style == Style::Quiet {
            return;
        }
        let mut layers = self.layers();
        let (before, after) = layers.set(blob, state);
        let text = match self.style {
            Style::Plain => plain(before.as_ref(), &after).map(|said| format!("{}: {said}\n", blob.short())),
            _ => {
                let due = layers.drawn_at.is_none_or(|at| at.elapsed() >= DRAW);
                due.then(|| self.draw(&mut layers))
            }
        };
        if let Some(text) = text {
            // Under the lock, so that lines don't overtake each other. Who reads no more is told by the last line.
            let _ = self.write(&text);
        }
    }
}

impl Layers {
    /// The state before, if it was known, and the one now.
    fn set(&mut self, digest: &Digest, state: BlobState) -> (Option<BlobState>, BlobState) {
        let line = match self.lines.iter().position(|layer| layer.digest == *digest) {
            Some(line) => line,
            None => {
                self.lines.push(Layer { digest: digest.clone(), state: state.clone(), since: None });
                return (None, state);
            }
        };
        let layer = &mut self.lines[line];
        // What is unpacked while it still comes in shows how it comes in.
        let behind = matches!(layer.state, BlobState::Downloading { .. })
            && matches!(state, BlobState::Extracting { .. });
        if behind {
            return (Some(layer.state.clone()), layer.state.clone());
        }
        match &state {
            BlobState::Downloading { bytes, resumed, .. } if bytes > resumed => {
                layer.since.get_or_insert((Instant::now(), *bytes));
            }
            BlobState::Pushing { bytes, .. } => drop(layer.since.get_or_insert((Instant::now(), *bytes))),
            _ => {}
        }
        (Some(std::mem::replace(&mut layer.state, state.clone())), state)
    }
}

impl Layer {
    fn told(&self, now: Instant, columns: u16) -> String {
        let amounts = |word: &str, bytes: u64, of: u64| {
            let bar = if columns > BAR_COLUMNS { format!("{}  ", bar(bytes, of)) } else { String::new() };
            format!("{word} {bar}{}/{}", bytes::human(bytes), bytes::human(of))
        };
        let rate = |bytes: u64| {
            let (since, first) = self.since?;
            let seconds = now.duration_since(since).as_secs_f64();
            let rate = (bytes.saturating_sub(first)) as f64 / seconds;
            (seconds > 0.5).then(|| format!("  {}/s", bytes::human(rate as u64)))
        };
        match &self.state {
            BlobState::Downloading { bytes, of, resumed } => {
                let resumed = if *resumed > 0 {
                    format!("  ({} resumed)", bytes::human(*resumed))
                } else {
                    String::new()
                };
                format!(
                    "{}{}{resumed}",
                    amounts("Downloading", *bytes, *of),
                    rate(*bytes).unwrap_or_default()
                )
            }
            BlobState::Extracting { bytes, of } => amounts("Extracting", *bytes, *of),
            BlobState::Pushing { bytes, of } => {
                format!("{}{}", amounts("Pushing", *bytes, *of), rate(*bytes).unwrap_or_default())
            }
            state => words(state),
        }
    }
}

/// `[=====>    ]`, as Docker draws it.
fn bar(bytes: u64, of: u64) -> String {
    let share = bytes.min(of) as u128 * BAR as u128 / u128::from(of.max(1));
    let done = usize::try_from(share).unwrap_or(BAR);
    let head = if done < BAR { ">" } else { "" };
    format!("[{}{head}{}]", "=".repeat(done), " ".repeat(BAR - done - head.len()))
}

/// The states that have no figures.
fn words(state: &BlobState) -> String {
    match state {
        BlobState::Queued => "Pulling fs layer".into(),
        BlobState::Waiting => "Waiting".into(),
        BlobState::Elsewhere => "Waiting for another pull".into(),
        BlobState::Exists => "Already exists".into(),
        BlobState::Downloading { .. } => "Downloading".into(),
        BlobState::Downloaded => "Download complete".into(),
        BlobState::Extracting { .. } => "Extracting".into(),
        BlobState::Pulled => "Pull complete".into(),
        BlobState::Preparing => "Preparing".into(),
        BlobState::Pushing { .. } => "Pushing".into(),
        BlobState::Pushed => "Pushed".into(),
        BlobState::InRegistry => "Layer already exists".into(),
        BlobState::Mounted(from) => format!("Mounted from {from}"),
    }
}

/// The line of a step, where nothing can be drawn anew: figures are left out, and nothing is said twice.
fn plain(before: Option<&BlobState>, now: &BlobState) -> Option<String> {
    let same = before.is_some_and(|before| std::mem::discriminant(before) == std::mem::discriminant(now));
    match now {
        BlobState::Downloading { resumed, .. } if *resumed > 0 && !same => {
            Some(format!("Resuming after {}", bytes::human(*resumed)))
        }
        BlobState::Downloading { .. } | BlobState::Extracting { .. } | BlobState::Pushing { .. } => None,
        _ if same => None,
        state => Some(words(state)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars() {
        let check = |bytes, of, shown: &str| assert_eq!(bar(bytes, of).trim_end_matches([' ', ']']), shown);
        check(0, 10, "[>");
        check(1, 10, "[=====>");
        check(10, 10, &format!("[{}", "=".repeat(BAR)));
        check(u64::MAX, 1, &format!("[{}", "=".repeat(BAR)));
        check(0, 0, "[>");
    }

    #[test]
    fn a_line_for_each_step_and_none_for_figures() {
        let mut layers = Layers::default();
        let digest = Digest::from_sha256([7; 32]);
        let coming = |bytes, resumed| BlobState::Downloading { bytes, of: 9, resumed };
        let states = [
            BlobState::Queued,
            coming(1, 1),
            coming(2, 1),
            BlobState::Extracting { bytes: 1, of: 9 },
            BlobState::Downloaded,
            BlobState::Extracting { bytes: 9, of: 9 },
            BlobState::Pulled,
        ];
        let mut said = Vec::new();
        for state in states {
            let (before, now) = layers.set(&digest, state);
            said.extend(plain(before.as_ref(), &now));
        }
        assert_eq!(said, ["Pulling fs layer", "Resuming after 1B", "Download complete", "Pull complete"]);
        assert_eq!(layers.lines.len(), 1);
    }
}
