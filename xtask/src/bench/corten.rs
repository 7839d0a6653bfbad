//! Our side of a bench: a store of its own, and its processes looked at from outside.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Context, Failure, Outcome};

/// How often the removal of a store is begun anew.
const REMOVAL_TRIES_MAX: u32 = 1000;

/// A store and who uses it.
pub struct Store {
    binary: PathBuf,
    dir: PathBuf,
    user: Option<u32>,
}

impl Store {
    /// An empty store below `dir`, used by root or by an ordinary user.
    pub fn new(binary: &Path, dir: PathBuf, user: Option<u32>) -> Outcome<Self> {
        std::fs::create_dir_all(dir.join("run")).context("make a store")?;
        if let Some(uid) = user {
            for path in [dir.clone(), dir.join("run")] {
                std::os::unix::fs::chown(&path, Some(uid), Some(uid)).context("give the store away")?;
            }
        }
        Ok(Self { binary: binary.to_path_buf(), dir, user })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(words).env_clear().env("PATH", "/usr/sbin:/usr/bin").env("HOME", &self.dir);
        command.env("CORTEN_ROOT", self.dir.join("data")).env("CORTEN_RUN_ROOT", self.dir.join("run/corten"));
        command.env("XDG_RUNTIME_DIR", self.dir.join("run"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(uid) = self.user {
            command.uid(uid).gid(uid);
        }
        command
    }

    /// Runs a command for its time: it has to end well.
    pub fn run(&self, words: &[&str]) -> Outcome {
        let status = self.command(words).status().context("run corten")?;
        if status.success() {
            return Ok(());
        }
        // Once more, to see what it says.
        let said = self.command(words).stderr(Stdio::piped()).output().context("run corten")?;
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        Err(Failure::new(format!("`corten {}` ended with {status}: {said}", words.join(" "))))
    }

    /// What a command prints.
    pub fn output(&self, words: &[&str]) -> Outcome<String> {
        let output = self.command(words).stdout(Stdio::piped()).output().context("run corten")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The keepers of everything that runs.
    pub fn keepers(&self) -> Outcome<Vec<u32>> {
        let ids = self.output(&["ps", "--quiet", "--no-trunc"])?;
        let mut keepers = Vec::new();
        for chunk in ids.lines().collect::<Vec<_>>().chunks(100) {
            let words: Vec<&str> = ["inspect"].iter().chain(chunk).copied().collect();
            let inspected: serde_json::Value =
                serde_json::from_str(&self.output(&words)?).context("read `corten inspect`")?;
            for container in inspected.as_array().into_iter().flatten() {
                let pid = container["State"]["Pid"].as_u64().unwrap_or_default();
                keepers.extend(parent(pid));
            }
        }
        Ok(keepers)
    }

    /// Removes every container and the store.
    pub fn remove(&self) -> Outcome {
        let ids = self.output(&["ps", "--all", "--quiet", "--no-trunc"])?;
        for chunk in ids.lines().collect::<Vec<_>>().chunks(500) {
            let words: Vec<&str> = ["rm", "--force"].iter().chain(chunk).copied().collect();
            self.run(&words)?;
        }
        let images = self.output(&["images", "--quiet"])?;
        for image in images.lines() {
            self.run(&["rmi", "--force", image])?;
        }
        // A keeper that has told of the end may still be taking its container's bytes away.
        let mut removed = std::fs::remove_dir_all(&self.dir);
        for _ in 1..REMOVAL_TRIES_MAX {
            match &removed {
                Err(e) if e.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
                    removed = std::fs::remove_dir_all(&self.dir);
                }
                _ => break,
            }
        }
        removed.context("remove the store")
    }
}

fn parent(pid: u64) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|l| l.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// A field of /proc/PID/smaps_rollup, in KiB.
pub fn memory_kib(pid: u32, field: &str) -> f64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(f64::NAN)
}
