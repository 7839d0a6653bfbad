//! `corten system setup`: what the host lacks for containers, and with leave what mends it.

use std::io::Write as _;

use corten_engine::system::{self, Need, User};

use crate::caller::{Caller, variable};
use crate::error::{EXIT_FAILED, Result};
use crate::prune;

/// Prepare this host for containers of root or of a user
///
/// Shows what is missing, what mends it and what takes that back; asks; and does it, which only root can. Namespaces
/// that the kernel forbids, subordinate ids, what systemd hands on, a place for the configuration. Doing it again
/// changes nothing.
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten system setup [OPTIONS]")]
pub struct Args {
    /// Change nothing; the exit code is 1 if something is missing
    #[arg(long)]
    check: bool,
    /// Whose containers, by name or number (default: you, or who called sudo)
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    yes: bool,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let uid = rustix::process::geteuid();
    let named = args.user.or_else(|| variable("SUDO_USER").filter(|_| uid.is_root()));
    let user = system::user(&named.unwrap_or_else(|| uid.as_raw().to_string()))?;
    let needs = system::needs(&user);
    let hurts = needs.iter().any(|need| need.hurts);
    if needs.is_empty() || args.check && !hurts {
        writeln!(caller.out, "Nothing is missing for containers of {}.", user.name)?;
        return Ok(0);
    }
    show(&needs, &user, caller)?;
    if args.check {
        return Ok(EXIT_FAILED);
    }
    if !uid.is_root() {
        writeln!(caller.out, "\nOnly root can do it: sudo corten system setup --user {}", user.name)?;
        return Ok(if hurts { EXIT_FAILED } else { 0 });
    }
    let is_ours = |need: &&Need| need.remedy.undo().is_some();
    if needs.iter().any(|need| is_ours(&need)) && !args.yes && !prune::is_confirmed(WARNING, caller)? {
        return Ok(EXIT_FAILED);
    }
    mend(&needs, caller)
}

/// What is asked.
const WARNING: &str = "This changes the host as shown.";

fn show(needs: &[Need], user: &User, caller: &mut Caller) -> Result<()> {
    writeln!(caller.out, "For containers of {}:\n", user.name)?;
    for need in needs {
        writeln!(caller.out, "* {}", need.what)?;
        match need.remedy.undo() {
            Some(undo) => writeln!(caller.out, "    would {}\n    undo: {undo}", need.remedy)?,
            None => writeln!(caller.out, "    for you to do: {}", need.remedy)?,
        }
    }
    Ok(())
}

fn mend(needs: &[Need], caller: &mut Caller) -> Result<u8> {
    let mut is_left = false;
    writeln!(caller.out)?;
    for need in needs {
        let is_done = system::mend(&need.remedy)?;
        is_left |= !is_done && need.hurts;
        writeln!(caller.out, "{}: {}", if is_done { "done" } else { "left to you" }, need.remedy)?;
        caller.out.flush()?;
    }
    Ok(if is_left { EXIT_FAILED } else { 0 })
}
