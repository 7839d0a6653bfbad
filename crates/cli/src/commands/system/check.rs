//! `corten system check`: what crashes have left behind.

use std::io::Write as _;

use corten_engine::system::{self, Finding};

use crate::caller::Caller;
use crate::error::{EXIT_FAILED, Result};

/// Look for what a crash can leave behind: mounts, cgroups, directories, rows
///
/// Ends with 1 if something is found that isn't put right.
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten system check [OPTIONS]")]
pub struct Args {
    /// Put right what is found
    #[arg(long)]
    repair: bool,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let findings = system::check(&mut caller.engine()?, args.repair)?;
    caller.out.write_all(text(&findings).as_bytes())?;
    Ok(if findings.iter().all(|finding| finding.repaired) { 0 } else { EXIT_FAILED })
}

fn text(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "clean\n".into();
    }
    let line = |finding: &Finding| {
        let end = if finding.repaired { " (repaired)" } else { "" };
        format!("{}: {}{end}\n", finding.object, finding.what)
    };
    findings.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_told() {
        assert_eq!(text(&[]), "clean\n");
        let finding =
            |repaired| Finding { what: "belongs to no container".into(), object: "/c/a".into(), repaired };
        let expected = "/c/a: belongs to no container\n/c/a: belongs to no container (repaired)\n";
        assert_eq!(text(&[finding(false), finding(true)]), expected);
    }
}
