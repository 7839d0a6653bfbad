//! Real containers on this kernel. Run as root, with /bin/busybox linked statically.
//!
//! Each case runs in a process of its own, because a start forks and the forking process must have one thread.
//! The command line is libtest's as far as cargo and nextest use it: `--list`, a filter, `--exact`. `--measure`
//! tells what a start and an exec cost.
#![allow(clippy::unwrap_used)]

use std::process::{Command, ExitCode, Stdio};

mod attacks;
mod basics;
mod execs;
mod measure;
mod mounts;
mod namespaces;
mod races;
mod world;

/// A case: its name, and what it does in its own process.
pub type Case = (&'static str, fn());

fn cases() -> Vec<Case> {
    [basics::CASES, mounts::CASES, execs::CASES, namespaces::CASES, attacks::CASES, races::CASES].concat()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name] = &arguments[..]
        && flag == "--alone"
    {
        let case = cases()
            .iter()
            .chain(namespaces::INNER)
            .copied()
            .find(|(case, _)| case == name)
            .expect("the name is one of ours");
        case.1();
        return ExitCode::SUCCESS;
    }
    if arguments.first().is_some_and(|a| a == "--measure") {
        measure::measure();
        return ExitCode::SUCCESS;
    }
    let has = |flag: &str| arguments.iter().any(|a| a == flag);
    // `--format terse` is said by nextest: its word is no filter.
    let values = |n: usize| n > 0 && arguments[n - 1] == "--format";
    let words = arguments.iter().enumerate().filter(|(n, a)| !a.starts_with('-') && !values(*n));
    let filters: Vec<&String> = words.map(|(_, a)| a).collect();
    let chosen = |name: &str| match has("--exact") {
        true => filters.iter().any(|f| *f == name),
        false => filters.is_empty() || filters.iter().any(|f| name.contains(f.as_str())),
    };
    let chosen: Vec<Case> = cases().into_iter().filter(|(name, _)| chosen(name)).collect();
    if has("--list") {
        if !has("--ignored") {
            chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let mut failed = Vec::new();
    for (name, _) in &chosen {
        let alone =
            Command::new("/proc/self/exe").args(["--alone", name]).stdin(Stdio::null()).output().unwrap();
        let word = if alone.status.success() { "ok" } else { "FAILED" };
        println!("test {name} ... {word}");
        if !alone.status.success() {
            println!("{}{}", String::from_utf8_lossy(&alone.stdout), String::from_utf8_lossy(&alone.stderr));
            failed.push(*name);
        }
    }
    println!("\ntest result: {} passed; {} failed {failed:?}", chosen.len() - failed.len(), failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
