//! The corten binary: picks the personality and nothing else.
//!
//! One static binary is everything that Corten runs: the command, the keeper of each container, the small processes
//! beside them, and what runs inside the `hello` image. Which one is decided by the name that it was started under,
//! before any thread exists and before the arguments are looked at.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use corten_engine::{inside, janitor, keeper, steps};

/// The name of the program in the `hello` image.
const HELLO: &str = "corten-hello";
/// Names the step at which a process stops itself, for tests of crashes.
const STOP_AT: &str = "CORTEN_STOP_AT";

fn main() -> ExitCode {
    if let Ok(step) = std::env::var(STOP_AT) {
        steps::stop_at(step);
    }
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let name = arguments.first().map(PathBuf::from).unwrap_or_default();
    let code = match name.file_name().and_then(OsStr::to_str) {
        Some(keeper::PERSONALITY) => keeper::main(),
        Some(inside::PERSONALITY) => inside::main(),
        Some(janitor::PERSONALITY) => janitor::main(path_in),
        Some(HELLO) => corten_cli::hello(),
        _ => corten_cli::main(arguments),
    };
    // What standard output still holds is written by whoever wrote to it; this is for what was printed last.
    let _ = std::io::stdout().flush();
    ExitCode::from(code)
}

/// The path in a variable of the environment.
fn path_in(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}
