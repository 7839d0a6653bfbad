//! `bench layers`: what images cost to bring in, to write out, to make and to remove, side by side with docker, podman
//! and plain tar on the same disk.
//!
//! Everybody gets the same bytes, and other ones each round: what an engine has already it needn't take in. That it did
//! the work is seen by the files in its directory, which are counted before and after. Before each time everything is
//! synced, so that nobody pays for the one before; and everybody's layers lie apart on the disk (chattr(1), `T`), because an
//! ext4 without a journal steps over each file that was removed within minutes next to a new one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::report::Report;
use super::sample::{Rounds, Sample};
use super::start::BINARY;
use crate::failure::{Context, Failure, Outcome};
use crate::program::Program;
use archive::Tree;

mod archive;

const NAME: &str = "bench.local/tree:1";
const NEW: &str = "bench.local/new:1";
/// Makes what is committed: 1,000 files of 20 KiB.
const WRITE: &str =
    "mkdir /new; i=0; while [ $i -lt 1000 ]; do head -c 20480 /dev/zero >/new/$i; i=$((i+1)); done";
const COMMITTED: i64 = 1000;
const MIB: f64 = 1024.0;
/// Where tar(1) unpacks.
const TREES: &str = "/var/tmp/bench-trees";
/// Directories of which each has many others in it that have nothing to do with each other.
const APART: [&str; 3] = [TREES, "/var/lib/docker/overlay2", "/var/lib/containers/storage/overlay"];

/// How much of everything.
struct Size {
    rounds: Rounds,
    files: usize,
    file_bytes: usize,
    many_entries: usize,
    large_bytes: u64,
}

/// Prepares the peers' tree, from outside: their own tree has no chattr(1).
pub fn prepare(tree: &Path) -> Outcome {
    for place in APART {
        let place = tree.join(place.trim_start_matches('/'));
        std::fs::create_dir_all(&place).context("make a directory for layers")?;
        if let Err(failure) = Program::new("chattr").arg("+T").arg(&place).quiet().check() {
            eprintln!("layers don't lie apart: {failure}");
        }
    }
    Ok(())
}

/// Runs all of it and prints the report.
pub fn run(quick: bool) -> Outcome {
    let size = if quick {
        let rounds = Rounds { warm_ups: 0, counted: 3 };
        Size { rounds, files: 20_000, file_bytes: 4_000, many_entries: 100_000, large_bytes: 256 << 20 }
    } else {
        let rounds = Rounds { warm_ups: 1, counted: 7 };
        Size { rounds, files: 20_000, file_bytes: 16_000, many_entries: 1_000_000, large_bytes: 4 << 30 }
    };
    let dir = PathBuf::from(format!("/var/tmp/bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).context("make the bench's directory")?;
    let engines = Engine::all(&dir);
    let tree = Tree::new(dir.join("tree.tar"), size.files, size.file_bytes)?;
    let mut bench = Bench { dir: dir.clone(), size, engines, tree };
    let mut report = Report::default();
    // What a bench that broke off left would be known to the engines.
    bench.clean()?;
    let went = bench.all(&mut report);
    report.print();
    let cleaned = bench.clean();
    went.and(cleaned).and(std::fs::remove_dir_all(&dir).context("remove the bench's directory"))
}

/// Ours or another one.
struct Engine {
    name: &'static str,
    /// How its command line begins.
    command: String,
    /// Where its bytes are.
    root: PathBuf,
}

impl Engine {
    fn all(dir: &Path) -> Vec<Self> {
        let (root, run) = (dir.join("store"), dir.join("run"));
        let ours = format!("CORTEN_ROOT={} CORTEN_RUN_ROOT={} {BINARY}", root.display(), run.display());
        vec![
            Self { name: "corten", command: ours, root },
            Self { name: "docker", command: "docker".into(), root: "/var/lib/docker".into() },
            Self { name: "podman", command: "podman".into(), root: "/var/lib/containers".into() },
        ]
    }

    /// Has it do something, which has to end well.
    fn run(&self, words: &str) -> Outcome {
        shell(&format!("{} {words} >/dev/null", self.command))
    }

    /// Has it remove what may not be there.
    fn clean(&self, words: &str) -> Outcome {
        shell(&format!("{} {words} >/dev/null 2>&1; true", self.command))
    }

    /// How many files it has.
    fn files(&self) -> Outcome<u64> {
        if !self.root.exists() {
            return Ok(0);
        }
        let output =
            Command::new("du").args(["--inodes", "-s"]).arg(&self.root).output().context("run du")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split_whitespace().next().unwrap_or_default().parse().context("read what du says")
    }

    /// Has it do something that makes `new` files more, or as many fewer.
    fn does(&self, words: &str, new: i64) -> Outcome<Duration> {
        let before = self.files()?;
        quiet()?;
        let began = Instant::now();
        self.run(words)?;
        let took = began.elapsed();
        let made = self.files()? as i64 - before as i64;
        if made.signum() == new.signum() && made.abs() >= new.abs() {
            return Ok(took);
        }
        Err(Failure::new(format!("`{} {words}` made {made} files, not {new}", self.name)))
    }
}

struct Bench {
    dir: PathBuf,
    size: Size,
    /// Ours comes first.
    engines: Vec<Engine>,
    tree: Tree,
}

impl Bench {
    fn all(&mut self, report: &mut Report) -> Outcome {
        self.unpack(report)?;
        self.loads(report)?;
        self.saves(report)?;
        self.commits(report)?;
        self.memory(report)
    }

    fn at(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    fn unpack(&mut self, report: &mut Report) -> Outcome {
        let rounds = self.size.rounds;
        let tar = self.tree.path().display().to_string();
        let ours = &self.engines[0];
        let names = ["unpack: corten import", "unpack: tar -xf, sync -f"];
        let mut samples = vec![Sample::default(); names.len()];
        for round in rounds.all() {
            self.tree.stamp()?;
            // Another name each round is another place on the disk.
            let tree = format!("{TREES}/{}-{round}", std::process::id());
            shell(&format!("rm -rf {TREES}/*; mkdir {tree}"))?;
            let lines = [
                format!("{} import {tar} {NAME} >/dev/null", ours.command),
                format!("tar -xf {tar} -C {tree} && sync -f {tree}"),
            ];
            for index in rounds.order(round, lines.len()) {
                ours.clean(&format!("rmi --force {NAME}"))?;
                quiet()?;
                let began = Instant::now();
                shell(&lines[index])?;
                rounds.note(round, &mut samples[index], began.elapsed());
            }
        }
        for (name, sample) in names.iter().zip(&samples) {
            report.times(*name, sample);
        }
        report.target("unpack, of tar -xf and sync -f", samples[0].ratios(&samples[1]).median(), 1.3, "×");
        shell(&format!("rm -rf {TREES}/*"))?;
        ours.clean(&format!("rmi --force {NAME}"))
    }

    /// `load` and `rmi` of images that nobody has.
    fn loads(&mut self, report: &mut Report) -> Outcome {
        let archive = self.dir.join("image.tar");
        let (rounds, files) = (self.size.rounds, self.size.files as i64);
        let (mut loads, mut removals) = (self.samples(), self.samples());
        for round in rounds.all() {
            self.tree.stamp()?;
            self.tree.image(&archive, NAME)?;
            for index in rounds.order(round, self.engines.len()) {
                let engine = &self.engines[index];
                let loaded = engine.does(&format!("load -q -i {}", archive.display()), files)?;
                let removed = engine.does(&format!("rmi {NAME}"), -files)?;
                rounds.note(round, &mut loads[index], loaded);
                rounds.note(round, &mut removals[index], removed);
            }
        }
        self.report(report, "load", &loads);
        self.report(report, "rmi", &removals);
        report.target("load, of the faster engine", faster(&loads), 0.5, "×");
        report.target(
            "rmi of 20,000 files until they are gone, of the faster engine",
            faster(&removals),
            0.3,
            "×",
        );
        Ok(())
    }

    /// `save` of the same image by everybody. It stays for what comes after.
    fn saves(&self, report: &mut Report) -> Outcome {
        let archive = self.at("image.tar");
        self.engines.iter().try_for_each(|engine| engine.run(&format!("load -q -i {archive}")))?;
        let (rounds, mut saves) = (self.size.rounds, self.samples());
        for round in rounds.all() {
            for index in rounds.order(round, self.engines.len()) {
                let out = self.at("saved.tar");
                shell(&format!("rm -f {out}"))?;
                quiet()?;
                let began = Instant::now();
                self.engines[index].run(&format!("save -o {out} {NAME}"))?;
                rounds.note(round, &mut saves[index], began.elapsed());
            }
        }
        self.report(report, "save", &saves);
        report.target("save, of the faster engine", faster(&saves), 0.6, "×");
        shell(&format!("rm -f {}", self.at("saved.tar")))
    }

    /// `commit` of a container with 1,000 new files, 20 MB.
    fn commits(&self, report: &mut Report) -> Outcome {
        let stamp = self.at("stamp");
        for engine in &self.engines {
            engine.run(&format!("run --name bench-commit --network none {NAME} /bin/sh -c '{WRITE}'"))?;
        }
        let (rounds, mut commits) = (self.size.rounds, self.samples());
        for round in rounds.all() {
            std::fs::write(&stamp, format!("{round}")).context("write a stamp")?;
            for index in rounds.order(round, self.engines.len()) {
                let engine = &self.engines[index];
                engine.clean(&format!("rmi -f {NEW}"))?;
                engine.run(&format!("cp {stamp} bench-commit:/new/stamp"))?;
                let took = engine.does(&format!("commit bench-commit {NEW} 2>&1"), COMMITTED)?;
                rounds.note(round, &mut commits[index], took);
            }
        }
        self.report(report, "commit", &commits);
        report.target("commit of 1,000 files, of the faster engine", faster(&commits), 0.3, "×");
        self.clean()
    }

    /// The most memory that one of our processes has, whatever the image.
    fn memory(&self, report: &mut Report) -> Outcome {
        let (many, large) = (self.dir.join("many.tar"), self.dir.join("large.tar"));
        archive::many(&many, self.size.many_entries)?;
        archive::large(&large, self.size.large_bytes)?;
        let archives =
            [(many.as_path(), "many entries"), (&large, "one large file"), (self.tree.path(), "the tree")];
        for (path, what) in archives {
            let (archive, name) = (path.display(), "bench.local/memory:1");
            let saved = self.at("memory.out");
            let lines = [
                ("import", format!("import {archive} {name}")),
                ("save", format!("save -o {saved} {name}")),
                ("rmi", format!("rmi {name}")),
                ("load", format!("load -i {saved}")),
            ];
            for (verb, words) in lines {
                report.target(format!("memory of {verb}, {what}"), self.peak_mib(&words)?, 64.0, "MiB");
            }
            self.engines[0].run(&format!("rmi {name}"))?;
            shell(&format!("rm -f {saved} {archive}"))?;
        }
        Ok(())
    }

    /// The largest resident set of a command and of what it waits for, as time(1) tells it.
    fn peak_mib(&self, words: &str) -> Outcome<f64> {
        let file = self.at("peak");
        let command =
            self.engines[0].command.replace(BINARY, &format!("/usr/bin/time -f %M -o {file} {BINARY}"));
        shell(&format!("{command} {words} >/dev/null"))?;
        let text = std::fs::read_to_string(&file).context("read what time(1) says")?;
        let kib: f64 = text.trim().parse().context("read a number of KiB")?;
        Ok(kib / MIB)
    }

    fn samples(&self) -> Vec<Sample> {
        vec![Sample::default(); self.engines.len()]
    }

    fn report(&self, report: &mut Report, what: &str, samples: &[Sample]) {
        for (engine, sample) in self.engines.iter().zip(samples) {
            report.times(format!("{what}: {}", engine.name), sample);
        }
    }

    fn clean(&self) -> Outcome {
        for engine in &self.engines {
            engine.clean("rm -f bench-commit")?;
            engine.clean(&format!("rmi -f {NAME}"))?;
            engine.clean(&format!("rmi -f {NEW}"))?;
            engine.clean("image prune -f")?;
        }
        Ok(())
    }
}

/// Ours, as a share of the faster one of the others, pair by pair.
fn faster(samples: &[Sample]) -> f64 {
    let ratios = samples[1..].iter().map(|other| samples[0].ratios(other).median());
    ratios.fold(0.0, f64::max)
}

/// Waits until nobody works behind a command, and the disk has everything.
fn quiet() -> Outcome {
    shell("while pgrep -x corten-janitor >/dev/null; do sleep 0.01; done; sync")
}

/// Runs a line of shell, which has to end well.
fn shell(line: &str) -> Outcome {
    let output = Command::new("sh").args(["-c", line]).stdin(Stdio::null()).output().context("run sh")?;
    if output.status.success() {
        return Ok(());
    }
    let mut said = String::new();
    let _ = write!(
        said,
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Err(Failure::new(format!("`{line}` ended with {}: {}", output.status, said.trim_end())))
}
