//! `cargo xtask`: what is done to this project, one file per command.
//!
//! It is built in the dev profile before anything else exists, so it uses the standard library and `serde_json` only.

use std::process::ExitCode;

mod bench;
mod check;
mod demo;
mod dist;
mod docs;
mod elf;
mod failure;
mod machine;
mod peers;
mod program;
mod project;
mod setup;
mod test;
mod tidy;
mod vm;

use failure::Outcome;

const USAGE: &str = "\
cargo xtask COMMAND

  demo                       set-up, build, and a tour of what containers can do, with times
  test [ARGS OF NEXTEST]     set-up, build, and every test
  setup                      only the set-up: Debian packages and cargo-nextest, where they are missing
  dist                       one static binary at target/dist/corten, checked
  docs                       docs/reference and target/man, from the definitions of the commands
  check                      formatting, clippy, tidy
  tidy                       the rules of the house that no compiler knows
  bench start|cli [--quick]  times side by side with crun, docker and podman
  bench layers [--quick]     times of images side by side with docker, podman and tar
  peers make|up|run|add|down today's other engines in a tree of their own
  vm                         the tests on another kernel, in a virtual machine";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Outcome {
    let (command, rest) = match words {
        [] => ("", words),
        [command, rest @ ..] => (command.as_str(), rest),
    };
    match command {
        "demo" => demo::run(rest),
        "test" => test::run(rest),
        "setup" => setup::run(rest),
        "dist" => dist::run(rest),
        "docs" => docs::run(rest),
        "check" => check::run(rest),
        "tidy" => tidy::run(rest),
        "bench" => bench::run(rest),
        "peers" => peers::run(rest),
        "vm" => vm::run(rest).map_err(|error| failure::Failure::new(error.to_string())),
        "" | "help" | "-h" | "--help" => {
            println!("{USAGE}");
            Ok(())
        }
        other => Err(failure::Failure::new(format!("there is no `{other}`\n\n{USAGE}"))),
    }
}
