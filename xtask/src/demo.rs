//! `cargo xtask demo`: from a fresh Debian to containers that run, with what was done and how long it took.
//!
//! The store is in a directory of its own that is removed at the end, also when a step fails.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::dist;
use crate::failure::{Context, Failure, Outcome, no_arguments};
use crate::machine;
use crate::program::Program;
use crate::setup;

/// Applets of the small image: as many as the tour uses.
const APPLETS: [&str; 12] =
    ["sh", "cat", "echo", "grep", "head", "hostname", "id", "ls", "seq", "sleep", "sort", "wc"];

/// Runs the whole tour.
pub fn run(words: &[String]) -> Outcome {
    no_arguments("demo", words)?;
    let began = Instant::now();
    setup::for_demo()?;
    let binary = dist::build()?;
    let built = began.elapsed();
    let mut tour = Tour::new(binary)?;
    tour.steps.push(("set-up and build".into(), built));
    let went = tour.go();
    let cleaned = tour.clean();
    went.and(cleaned)?;
    tour.report();
    Ok(())
}

/// A store in a directory of its own, and what was done with it.
struct Tour {
    binary: PathBuf,
    dir: PathBuf,
    steps: Vec<(String, Duration)>,
}

impl Tour {
    fn new(binary: PathBuf) -> Outcome<Self> {
        let dir = std::env::temp_dir().join(format!("corten-demo-{}", std::process::id()));
        std::fs::create_dir(&dir).context(format_args!("make {}", dir.display()))?;
        Ok(Self { binary, dir, steps: Vec::new() })
    }

    fn go(&mut self) -> Outcome {
        self.hello()?;
        self.images()?;
        self.busybox()?;
        self.debian()?;
        self.service()
    }

    fn hello(&mut self) -> Outcome {
        self.corten(&["version"], "")?;
        self.corten(&["run", "--rm", "hello"], "")
    }

    fn images(&mut self) -> Outcome {
        let (small, large) = (self.dir.join("busybox.tar"), self.dir.join("debian.tar"));
        self.timed("make a busybox tree", |tour| busybox_tree(&tour.dir, &small))?;
        self.timed("make a Debian tree (mmdebstrap)", |_| debian_tree(&large))?;
        self.corten(&["import", "--change", "CMD [\"sh\"]", &small.to_string_lossy(), "busybox"], "sha256:")?;
        self.corten(
            &["import", "--change", "CMD [\"bash\"]", &large.to_string_lossy(), "debian"],
            "sha256:",
        )?;
        self.corten(&["images"], "debian")
    }

    fn busybox(&mut self) -> Outcome {
        let pipeline = "seq 1 1000 | grep 7 | sort -rn | head -n 3";
        self.corten(&["run", "--rm", "busybox", "sh", "-c", pipeline], "997")
    }

    fn debian(&mut self) -> Outcome {
        self.corten(&["run", "--rm", "debian", "apt-get", "--version"], "apt ")?;
        let sum = "my $sum = 0; $sum += $_ for 1..100; print \"$sum\\n\"";
        self.corten(&["run", "--rm", "debian", "perl", "-e", sum], "5050")
    }

    fn service(&mut self) -> Outcome {
        let script = "trap 'echo bye; exit 0' TERM; echo serving; sleep 1000 & wait";
        self.corten(
            &["run", "-d", "--name", "service", "--hostname", "demo", "busybox", "sh", "-c", script],
            "",
        )?;
        self.corten(&["exec", "service", "hostname"], "demo")?;
        self.corten(&["ps"], "service")?;
        self.corten(&["logs", "service"], "serving")?;
        self.corten(&["stop", "service"], "service")?;
        self.corten(&["logs", "--tail", "1", "service"], "bye")?;
        self.corten(&["rm", "service"], "service")?;
        self.corten(&["system", "check"], "")
    }

    /// Runs a command, shows what it prints, and wants `expected` in it.
    fn corten(&mut self, words: &[&str], expected: &str) -> Outcome {
        let label = format!("corten {}", shown(words));
        println!("\n$ {label}");
        self.timed(&label, |tour| {
            let said = tour.program().args(words).output()?;
            print!("{said}");
            if said.contains(expected) {
                return Ok(());
            }
            Err(Failure::new(format!("`{label}` should have said {expected:?}")))
        })
    }

    fn program(&self) -> Program {
        let (root, run_root) = (self.dir.join("data"), self.dir.join("run"));
        Program::new(&self.binary).quiet().arg("--root").arg(root).arg("--run-root").arg(run_root)
    }

    fn timed(&mut self, label: &str, step: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        let began = Instant::now();
        step(self)?;
        self.steps.push((label.to_owned(), began.elapsed()));
        Ok(())
    }

    /// Removes everything, running containers included.
    fn clean(&mut self) -> Outcome {
        if self.dir.join("data").exists() {
            let ids = self.program().args(["ps", "--all", "--quiet"]).output().unwrap_or_default();
            for id in ids.lines() {
                self.program().args(["rm", "--force", "--volumes", id]).output()?;
            }
            // Layers of a rootless store hold files of ids that only its user namespace may remove.
            let images = self.program().args(["images", "--quiet"]).output().unwrap_or_default();
            for image in images.lines() {
                self.program().args(["rmi", "--force", image]).output()?;
            }
        }
        std::fs::remove_dir_all(&self.dir).context(format_args!("remove {}", self.dir.display()))
    }

    fn report(&self) {
        println!("\nwhat was done                                                               ms");
        for (label, took) in &self.steps {
            let short: String = label.chars().take(66).collect();
            println!("{short:<68}{:>10.1}", took.as_secs_f64() * 1000.0);
        }
        let who = if machine::is_root() { "root" } else { "an ordinary user" };
        println!("\nThe binary is {}; all of this ran as {who}, without a daemon.", self.binary.display());
    }
}

fn shown(words: &[&str]) -> String {
    let quoted = |word: &&str| match (word.contains(' '), word.contains('\'')) {
        (false, _) => (*word).to_owned(),
        (true, false) => format!("'{word}'"),
        (true, true) => format!("\"{word}\""),
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// A root directory with the static busybox and links to it, as a tar.
fn busybox_tree(dir: &Path, tar: &Path) -> Outcome {
    let tree = dir.join("busybox");
    for sub in ["bin", "dev", "etc", "proc", "root", "sys", "tmp"] {
        std::fs::create_dir_all(tree.join(sub)).context("make the busybox tree")?;
    }
    let busybox = machine::find_program("busybox").ok_or_else(|| Failure::new("there is no busybox"))?;
    std::fs::copy(busybox, tree.join("bin/busybox")).context("copy busybox")?;
    for applet in APPLETS {
        std::os::unix::fs::symlink("busybox", tree.join("bin").join(applet)).context("link an applet")?;
    }
    std::fs::write(tree.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").context("write passwd")?;
    Program::new("tar")
        .arg("-C")
        .arg(&tree)
        .args(["--owner=0", "--group=0", "-cf"])
        .arg(tar)
        .arg(".")
        .quiet()
        .check()
}

/// Debian 12, the smallest set, from the mirror this machine uses.
fn debian_tree(tar: &Path) -> Outcome {
    let mirror = mirror().unwrap_or_else(|| "http://deb.debian.org/debian".into());
    let log = tar.with_extension("log");
    let into = File::create(&log).context(format_args!("make {}", log.display()))?;
    let status = Program::new("mmdebstrap")
        .args(["--variant=minbase", "--aptopt=Acquire::Check-Valid-Until \"false\"", "bookworm"])
        .arg(tar)
        .arg(mirror)
        .stderr(into)
        .quiet()
        .status()?;
    if status.success() {
        return Ok(());
    }
    let said = std::fs::read_to_string(log).unwrap_or_default();
    Err(Failure::new(format!("mmdebstrap ended with {status}: {}", said.trim_end())))
}

/// The first mirror in this machine's own lists of sources.
pub fn mirror() -> Option<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let modern = read("/etc/apt/sources.list.d/debian.sources");
    let uri = modern.lines().find_map(|l| l.strip_prefix("URIs:")).map(|l| l.trim().to_owned());
    uri.or_else(|| {
        let classic = read("/etc/apt/sources.list");
        let line = classic.lines().find(|l| l.starts_with("deb "))?.to_owned();
        line.split_whitespace().find(|w| w.contains("://")).map(str::to_owned)
    })
}
