//! `cargo xtask test`: set-up, the binary, then every test of the workspace against it.

use std::path::Path;

use crate::dist;
use crate::failure::{Failure, Outcome};
use crate::machine;
use crate::peers::Peers;
use crate::program::Program;
use crate::setup;
use crate::vm;

/// Runs the tests; `words` go to nextest, for example a part of a test's name.
pub fn run(words: &[String]) -> Outcome {
    if !machine::is_root() {
        let why = "the tests make namespaces, mounts, cgroups and users: run them as root";
        return Err(Failure::new(why));
    }
    setup::run(&[])?;
    let binary = dist::build()?;
    let peers = Peers::new()?;
    if wants_peers(words) {
        peers.make()?;
    }
    nextest(&binary, &peers, words)?;
    if words.is_empty() { in_virtual_machine() } else { Ok(()) }
}

/// Control groups and containers on Debian's own kernel with cgroup v2.
fn in_virtual_machine() -> Outcome {
    setup::also(&[
        ("qemu-system-x86", "qemu-system-x86_64", "the virtual machine"),
        ("e2fsprogs", "mkfs.ext4", "its disk"),
    ])?;
    // Not "systemd": an emulated machine's user manager now and then leaves a request unanswered for minutes.
    for suite in ["cgroups", "containers"] {
        vm::run(&["--suite".into(), suite.into()]).map_err(|error| Failure::new(error.to_string()))?;
    }
    Ok(())
}

/// Whether tests with other engines may be among those that run: all, all of the black-box tests, or these.
fn wants_peers(words: &[String]) -> bool {
    let names = |word: &str| words.iter().any(|w| w.contains(word));
    let is_part = |w: &String| !w.starts_with('-') && w != "corten-tests";
    words.is_empty() || names("interop") || names("corten-tests") && !words.iter().any(is_part)
}

fn nextest(binary: &Path, peers: &Peers, words: &[String]) -> Outcome {
    // `--workspace` would outvote a package that was named.
    let named = words.iter().any(|w| w == "-p" || w.starts_with("--package"));
    let all: &[&str] = if named { &[] } else { &["--workspace"] };
    Program::cargo()
        .args(["nextest", "run", "--release"])
        .args(all)
        .args(words)
        .env("CORTEN_BIN", binary)
        .env("CORTEN_PEERS_TREE", peers.tree())
        .check()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_made_for_those_who_need_it() {
        let check = |line: &str, expected: bool| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert_eq!(wants_peers(&words), expected, "{line}");
        };
        check("", true);
        check("interop", true);
        check("-p corten-tests", true);
        check("-p corten-tests --test interop", true);
        check("-p corten-tests volumes", false);
        check("volumes", false);
        check("-p corten-storage", false);
    }
}
