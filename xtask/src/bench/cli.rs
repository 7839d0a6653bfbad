//! `bench cli`: what it costs to ask, side by side with docker and podman, each with ten containers that run.

use std::path::{Path, PathBuf};

use super::corten::Store;
use super::report::Report;
use super::sample::{Entrant, Rounds, in_turn};
use super::start::{BINARY, tree};
use crate::failure::{Context, Outcome};
use crate::program::Program;

/// How many containers each engine has.
const CONTAINERS: usize = 10;
/// The engines beside ours.
const PEERS: [&str; 2] = ["docker", "podman"];

/// A question: its words, and the most that ours may take in milliseconds.
const QUESTIONS: [(&[&str], f64); 5] = [
    (&["--version"], 1.2),
    (&["ps"], 3.0),
    (&["images"], 4.0),
    (&["inspect", "bench0"], 4.0),
    (&["logs", "bench0"], 4.0),
];

/// Runs all of it and prints the report.
pub fn run(quick: bool) -> Outcome {
    let rounds = Rounds { warm_ups: 3, counted: if quick { 10 } else { 60 } };
    let dir = PathBuf::from(format!("/tmp/bench-{}", std::process::id()));
    std::fs::create_dir(&dir).context("make the bench's directory")?;
    let mut report = Report::default();
    let went = all(&dir, rounds, &mut report);
    report.print();
    let cleaned = PEERS.iter().try_for_each(|peer| remove(peer));
    went.and(cleaned).and(std::fs::remove_dir_all(&dir).context("remove the bench's directory"))
}

fn all(dir: &Path, rounds: Rounds, report: &mut Report) -> Outcome {
    let tar = tree(dir, &dir.join("rootfs"))?;
    let ours = Store::new(Path::new(BINARY), dir.join("root"), None)?;
    ours.run(&["import", &tar, "corten-bench"])?;
    for peer in PEERS {
        ask(peer, &["import", &tar, "corten-bench"])?;
    }
    for index in 0..CONTAINERS {
        let name = name(index);
        let words = [
            "run",
            "-d",
            "--network",
            "none",
            "--name",
            &name,
            "corten-bench",
            "sh",
            "-c",
            "echo up; sleep 10000",
        ];
        ours.run(&words)?;
        PEERS.iter().try_for_each(|peer| ask(peer, &words))?;
    }
    for (words, most_ms) in QUESTIONS {
        let mut entrants: Vec<Entrant<'_>> = vec![("corten".to_owned(), Box::new(|| ours.run(words)))];
        for peer in PEERS {
            entrants.push((peer.to_owned(), Box::new(move || ask(peer, words))));
        }
        let samples = in_turn(rounds, &mut entrants, &|| Ok(()))?;
        let line = words[0];
        for ((name, _), sample) in entrants.iter().zip(&samples) {
            report.times(format!("{name} {line}"), sample);
        }
        report.target(format!("corten {line}"), samples[0].median(), most_ms, "ms");
        for (peer, sample) in PEERS.iter().zip(&samples[1..]) {
            report.target(format!("{line}: corten / {peer}"), samples[0].ratios(sample).median(), 1.0, "×");
        }
    }
    ours.remove()
}

fn name(index: usize) -> String {
    format!("bench{index}")
}

/// One of the others, for its time: it has to end well.
fn ask(peer: &str, words: &[&str]) -> Outcome {
    Program::new(peer).args(words).quiet().output().map(drop)
}

/// What the others were given. Those of a bench that broke off are gone then too.
fn remove(peer: &str) -> Outcome {
    let names: Vec<String> = (0..CONTAINERS).map(name).collect();
    Program::new(peer).args(["rm", "--force"]).args(names).quiet().output()?;
    Program::new(peer).args(["rmi", "--force", "corten-bench"]).quiet().output().map(drop)
}
