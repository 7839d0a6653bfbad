//! `cargo xtask setup`: what a fresh Debian with Rust lacks. As root it installs, else it says what to install;
//! what is there is not touched.

use std::path::Path;

use crate::failure::{Context, Failure, Outcome, no_arguments};
use crate::machine;
use crate::program::Program;
use crate::project;

/// A Debian package, the file that shows it is there, and what it is for.
struct Package {
    name: &'static str,
    program: &'static str,
    purpose: &'static str,
}

/// What the build needs.
const BUILD: [Package; 2] = [
    Package { name: "gcc", program: "cc", purpose: "links, and compiles SQLite" },
    Package { name: "binutils", program: "strip", purpose: "strips the binary" },
];

/// What the tests and the demo make images of and run with.
const RUN: [Package; 14] = [
    Package { name: "busybox-static", program: "busybox", purpose: "the small image" },
    Package { name: "mmdebstrap", program: "mmdebstrap", purpose: "the Debian image" },
    Package { name: "uidmap", program: "newuidmap", purpose: "rootless containers with more than one id" },
    Package { name: "strace", program: "strace", purpose: "tests that count system calls" },
    Package { name: "util-linux", program: "setsid", purpose: "terminals for tests" },
    Package { name: "zstd", program: "zstd", purpose: "compressed archives for tests" },
    Package { name: "xz-utils", program: "xz", purpose: "compressed archives for tests" },
    Package { name: "bzip2", program: "bzip2", purpose: "compressed archives for tests" },
    Package { name: "passwd", program: "useradd", purpose: "ordinary users for tests" },
    Package { name: "zsh", program: "zsh", purpose: "the shells that complete" },
    Package { name: "fish", program: "fish", purpose: "the shells that complete" },
    Package { name: "openssh-client", program: "ssh", purpose: "commands on another host" },
    Package { name: "e2fsprogs", program: "mkfs.ext4", purpose: "disks that lose their power in tests" },
    Package { name: "perl-base", program: "perl", purpose: "shuts such a disk down" },
];

/// Version of nextest to install where there is none: the lowest that knows all of .config/nextest.toml.
const NEXTEST: &str = "0.9.100";

/// Everything.
pub fn run(words: &[String]) -> Outcome {
    no_arguments("setup", words)?;
    packages(BUILD.iter().chain(&RUN))?;
    unpacked("openssh-server", "usr/sbin/sshd", "sshd", &["libwrap0"])?;
    unpacked("docker-registry", "usr/bin/docker-registry", "docker-registry", &[])?;
    nextest()
}

/// Only what the demo needs.
pub fn for_demo() -> Outcome {
    packages(BUILD.iter().chain(&RUN[..3]))
}

/// Debian packages by name, for a command that needs them and no other does.
pub fn also(names: &[(&'static str, &'static str, &'static str)]) -> Outcome {
    let wanted: Vec<Package> =
        names.iter().map(|&(name, program, purpose)| Package { name, program, purpose }).collect();
    packages(wanted.iter())
}

fn packages<'a>(wanted: impl Iterator<Item = &'a Package>) -> Outcome {
    let missing: Vec<&Package> = wanted.filter(|p| machine::find_program(p.program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|p| p.name).collect();
    let install = format!("apt-get install --no-install-recommends {}", names.join(" "));
    let list: Vec<String> = missing.iter().map(|p| format!("  {:<16} {}", p.name, p.purpose)).collect();
    if machine::find_program("apt-get").is_none() {
        let system = machine::os_release("PRETTY_NAME").unwrap_or_else(|| "this system".into());
        return Err(Failure::new(format!(
            "{system} has no apt-get; install what these Debian packages hold:\n{}",
            list.join("\n")
        )));
    }
    if !machine::is_root() {
        return Err(Failure::new(format!(
            "missing, and only root can install:\n{}\nas root: {install}",
            list.join("\n")
        )));
    }
    let apt = || Program::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive");
    apt().args(["update", "--quiet"]).check()?;
    apt().args(["install", "--quiet", "--yes", "--no-install-recommends"]).args(names).check()
}

/// A server for tests, below target/. It is unpacked, not installed: an installed one would listen.
fn unpacked(package: &'static str, program: &str, directory: &str, needs: &[&'static str]) -> Outcome {
    let directory = project::target().join(directory);
    if Path::new("/").join(program).exists() || directory.join(program).exists() {
        return Ok(());
    }
    if !machine::is_root() || machine::find_program("apt-get").is_none() {
        return Err(Failure::new(format!("there is no {program} for the tests (package {package})")));
    }
    std::fs::create_dir_all(&directory).context(format_args!("make {}", directory.display()))?;
    let apt = || Program::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").directory(&directory);
    if !needs.is_empty() {
        let install = ["install", "--quiet", "--yes", "--no-install-recommends"];
        apt().args(install).args(needs.to_vec()).check()?;
    }
    apt().args(["download", "--quiet", package]).check()?;
    Program::new("sh")
        .args(["-c", "dpkg -x \"$1\"_*.deb . && rm \"$1\"_*.deb", "sh", package])
        .directory(&directory)
        .check()
}

fn nextest() -> Outcome {
    if Program::cargo().args(["nextest", "--version"]).try_output().is_ok_and(|o| o.status.success()) {
        return Ok(());
    }
    // `--locked`: the versions nextest was released with, not the newest of each.
    let newest = Program::cargo().args(["install", "--locked", "cargo-nextest"]).check();
    newest.or_else(|_| {
        Program::cargo().args(["install", "--locked", "cargo-nextest", "--version", NEXTEST]).check()
    })
}
