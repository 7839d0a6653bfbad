//! `bench start`: what it costs to start, enter, stop and keep containers, side by side with crun.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::corten::{Store, memory_kib};
use super::crun::{Crun, Which};
use super::report::Report;
use super::sample::{Entrant, Rounds, Sample, in_turn};
use crate::failure::{Context, Failure, Outcome};
use crate::machine;
use crate::program::Program;

const PROJECT: &str = "/src";
/// Our binary, as it is seen inside.
pub const BINARY: &str = "/src/target/dist/corten";
const FLOOR: &str = "/src/target/release/floor";
const PROFILE: &str = "/src/crates/runtime/src/seccomp/default.json";
/// All CPU time of everything inside, ours and crun's: the peers' own group.
const CPU_USAGE: &str = "/sys/fs/cgroup/cpuacct/cpuacct.usage";
const PROCESSES: &str = "/sys/fs/cgroup/pids/pids.current";
/// How long our last processes may take to end.
const QUIET_DEADLINE: Duration = Duration::from_secs(10);
/// The ordinary user of the rootless runs.
const USER: &str = "bench";

/// Containers that one side starts before it is another's turn.
const HERD_TURN: usize = 10;

/// How much of everything.
struct Size {
    rounds: Rounds,
    herds: usize,
    herd: usize,
    idle: usize,
    stopped: usize,
}

/// Runs all of it and prints the report.
pub fn run(quick: bool) -> Outcome {
    let size = if quick {
        Size { rounds: Rounds { warm_ups: 2, counted: 25 }, herds: 1, herd: 100, idle: 50, stopped: 1000 }
    } else {
        Size { rounds: Rounds { warm_ups: 5, counted: 60 }, herds: 3, herd: 100, idle: 200, stopped: 1000 }
    };
    let dir = PathBuf::from(format!("/tmp/bench-{}", std::process::id()));
    std::fs::create_dir(&dir).context("make the bench's directory")?;
    let bench = Bench::new(&dir, size)?;
    let mut report = Report::default();
    let went = bench.all(&mut report);
    report.print();
    let cleaned = bench.clean();
    went.and(cleaned).and(std::fs::remove_dir_all(&dir).context("remove the bench's directory"))
}

struct Bench {
    size: Size,
    ours: Store,
    rootless: Store,
    cruns: Vec<Yardstick>,
    rootfs: PathBuf,
}

/// One crun with a bundle for each thing that it is compared in.
struct Yardstick {
    name: String,
    plain: Crun,
    duties: Crun,
    sleeping: Crun,
}

impl Yardstick {
    fn new(which: &Which, dir: &Path, rootfs: &Path) -> Outcome<Self> {
        Ok(Self {
            name: which.name.clone(),
            plain: Crun::plain(which, &dir.join("plain"), rootfs, &["true"])?,
            duties: Crun::with_duties(which, &dir.join("duties"), rootfs, &["true"], Path::new(PROFILE))?,
            sleeping: Crun::plain(which, &dir.join("sleeping"), rootfs, &["sleep", "10000"])?,
        })
    }
}

impl Bench {
    fn new(dir: &Path, size: Size) -> Outcome<Self> {
        let rootfs = dir.join("rootfs");
        let tar = tree(dir, &rootfs)?;
        let user = user()?;
        let ours = Store::new(Path::new(BINARY), dir.join("root"), None)?;
        let rootless = Store::new(Path::new(BINARY), dir.join("user"), Some(user))?;
        for store in [&ours, &rootless] {
            store.run(&["import", &tar, "busybox"])?;
        }
        // The targets were set against Debian 12's; today's shows where others have come to since.
        let installed = Some(Which::installed()?);
        let cruns = [installed, Which::of_debian_12(Path::new(PROJECT))?].into_iter().flatten().enumerate();
        let cruns = cruns
            .map(|(n, which)| Yardstick::new(&which, &dir.join(format!("crun{n}")), &rootfs))
            .collect::<Outcome<Vec<_>>>()?;
        Ok(Self { size, ours, rootless, cruns, rootfs })
    }

    fn all(&self, report: &mut Report) -> Outcome {
        self.runs(report)?;
        self.execs(report)?;
        self.stops(report)?;
        self.herds(report)?;
        self.cpu(report)?;
        self.idle(report)?;
        self.stopped(report)
    }

    fn runs(&self, report: &mut Report) -> Outcome {
        let limits =
            ["run", "--rm", "--network", "none", "--memory", "512m", "--pids-limit", "512", "--cpus", "1"];
        let limits: Vec<&str> = limits.into_iter().chain(["busybox", "true"]).collect();
        let plain = ["run", "--rm", "--network", "none", "busybox", "true"];
        let mut entrants: Vec<Entrant<'_>> = vec![
            ("corten run".into(), Box::new(|| self.ours.run(&plain))),
            ("corten run, limits".into(), Box::new(|| self.ours.run(&limits))),
            ("corten run, rootless".into(), Box::new(|| self.rootless.run(&plain))),
            ("the raw limit: namespaces, pivot_root, exec".into(), Box::new(|| floor(&self.rootfs))),
        ];
        let own = entrants.len();
        for crun in &self.cruns {
            entrants.push((format!("{} run, plain", crun.name), Box::new(|| crun.plain.run("a"))));
            let name = format!("{} run, limits + seccomp + userns", crun.name);
            entrants.push((name, Box::new(|| crun.duties.run("a"))));
        }
        let samples = in_turn(self.size.rounds, &mut entrants, &self.settled()?)?;
        for ((name, _), sample) in entrants.iter().zip(&samples) {
            report.times(name, sample);
        }
        let [ours, limits, rootless, _] = &samples[..own] else { unreachable!("four of ours") };
        for (crun, theirs) in self.cruns.iter().zip(samples[own..].chunks(2)) {
            let (plain, duties) = (ours.ratios(&theirs[0]), limits.ratios(&theirs[1]));
            report.target(format!("run: corten / {}, plain", crun.name), plain.median(), 0.6, "×");
            let what = format!("run: with limits / {}, same duties", crun.name);
            report.target(what, duties.median(), 0.25, "×");
        }
        report.target("run: rootless / root's", rootless.ratios(ours).median(), 1.7, "×");
        Ok(())
    }

    fn execs(&self, report: &mut Report) -> Outcome {
        self.start_sleeping("target")?;
        let mut entrants: Vec<Entrant<'_>> =
            vec![("corten exec".into(), Box::new(|| self.ours.run(&["exec", "target", "true"])))];
        for crun in &self.cruns {
            crun.sleeping.start("target")?;
            let exec = Box::new(|| crun.sleeping.exec("target", "true"));
            entrants.push((format!("{} exec", crun.name), exec));
        }
        let samples = in_turn(self.size.rounds, &mut entrants, &self.settled()?)?;
        for ((name, _), sample) in entrants.iter().zip(&samples) {
            report.times(name, sample);
        }
        for (crun, theirs) in self.cruns.iter().zip(&samples[1..]) {
            let ratio = samples[0].ratios(theirs).median();
            report.target(format!("exec: corten / {}", crun.name), ratio, 0.7, "×");
        }
        self.ours.run(&["rm", "--force", "target"])?;
        self.cruns.iter().try_for_each(|crun| crun.sleeping.delete("target"))
    }

    /// The app ends at once when it is asked to: what remains is ours.
    fn stops(&self, report: &mut Report) -> Outcome {
        let script = "trap 'exit 0' TERM; echo ready; sleep 10000 & wait";
        let (mut stops, mut removals) = (Sample::default(), Sample::default());
        for round in 0..self.size.rounds.warm_ups + self.size.rounds.counted {
            self.ours.run(&[
                "run",
                "-d",
                "--name",
                "stopping",
                "--network",
                "none",
                "busybox",
                "sh",
                "-c",
                script,
            ])?;
            let deadline = Instant::now() + QUIET_DEADLINE;
            while !self.ours.output(&["logs", "stopping"])?.contains("ready") && Instant::now() < deadline {}
            let began = Instant::now();
            self.ours.run(&["stop", "stopping"])?;
            let stopped = Instant::now();
            self.ours.run(&["rm", "stopping"])?;
            if round >= self.size.rounds.warm_ups {
                stops.push(stopped - began);
                removals.push(stopped.elapsed());
            }
        }
        report.times("corten stop", &stops);
        report.times("corten rm", &removals);
        report.target("stop, over the app's own time", stops.median(), 10.0, "ms");
        Ok(())
    }

    /// Many starts one after the other. Who is compared takes turns every few of them: the machine's speed changes within
    /// the time of a hundred.
    fn herds(&self, report: &mut Report) -> Outcome {
        let names: Vec<String> = (0..self.size.herd).map(|n| format!("herd{n}")).collect();
        let (mut ours, mut removals) = (Sample::default(), Sample::default());
        let mut theirs = vec![Sample::default(); self.cruns.len()];
        for _ in 0..self.size.herds {
            let mut took = vec![Duration::ZERO; 1 + self.cruns.len()];
            for (turn, names) in names.chunks(HERD_TURN).enumerate() {
                let mut order: Vec<usize> = (0..took.len()).collect();
                order.rotate_left(turn % took.len());
                for index in order {
                    let began = Instant::now();
                    for name in names {
                        match index.checked_sub(1) {
                            None => self.start_sleeping(name)?,
                            Some(crun) => self.cruns[crun].sleeping.start(name)?,
                        }
                    }
                    took[index] += began.elapsed();
                }
            }
            ours.push(took[0]);
            for (sample, took) in theirs.iter_mut().zip(&took[1..]) {
                sample.push(*took);
            }
            for crun in &self.cruns {
                names.iter().try_for_each(|name| crun.sleeping.delete(name))?;
            }
            let began = Instant::now();
            self.remove(&names)?;
            removals.push(began.elapsed());
        }
        let herd = self.size.herd;
        report.times(format!("{herd} × corten run -d"), &ours);
        for (crun, sample) in self.cruns.iter().zip(&theirs) {
            report.times(format!("{herd} × {} run -d, plain", crun.name), sample);
            let ratio = ours.ratios(sample).median();
            report.target(format!("{herd} starts: corten / {}", crun.name), ratio, 0.7, "×");
        }
        report.times(format!("corten rm -f of {herd}"), &removals);
        report.target(format!("{herd} starts"), ours.median() / 1000.0, 1.1, "s");
        report.target(format!("removal of {herd}"), removals.median() / 1000.0, 0.3, "s");
        Ok(())
    }

    /// A container of ours that stays.
    fn start_sleeping(&self, name: &str) -> Outcome {
        self.ours.run(&["run", "-d", "--name", name, "--network", "none", "busybox", "sleep", "10000"])
    }

    fn remove(&self, names: &[String]) -> Outcome {
        let words: Vec<&str> =
            ["rm", "--force"].into_iter().chain(names.iter().map(String::as_str)).collect();
        self.ours.run(&words)
    }

    /// Waits until as many processes run as do now. What we do after an exit code is told must not slow the next one.
    fn settled(&self) -> Outcome<impl Fn() -> Outcome> {
        let quiet = number(PROCESSES)?;
        Ok(move || {
            let deadline = Instant::now() + QUIET_DEADLINE;
            while number(PROCESSES)? > quiet && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        })
    }

    /// CPU time of everything that one run starts, until nothing of it runs.
    fn cpu(&self, report: &mut Report) -> Outcome {
        let runs = self.size.rounds.counted.max(20);
        let settled = self.settled()?;
        let measured = |run: &dyn Fn() -> Outcome| -> Outcome<f64> {
            let before = number(CPU_USAGE)?;
            for _ in 0..runs {
                run()?;
            }
            settled()?;
            Ok((number(CPU_USAGE)? - before) / runs as f64 / 1e6)
        };
        let ours = measured(&|| self.ours.run(&["run", "--rm", "--network", "none", "busybox", "true"]))?;
        report.times("CPU of a corten run, all processes to the end", &Sample::of(vec![ours]));
        for crun in &self.cruns {
            let theirs = measured(&|| crun.plain.run("a"))?;
            report.times(format!("CPU of a {} run, plain", crun.name), &Sample::of(vec![theirs]));
        }
        Ok(())
    }

    fn idle(&self, report: &mut Report) -> Outcome {
        for n in 0..self.size.idle {
            self.start_sleeping(&format!("idle{n}"))?;
        }
        let keepers = self.ours.keepers()?;
        if keepers.len() != self.size.idle {
            return Err(Failure::new(format!("{} keepers of {} containers", keepers.len(), self.size.idle)));
        }
        let all = |field: &str| Sample::of(keepers.iter().map(|pid| memory_kib(*pid, field)).collect());
        let (dirty, pss) = (all("Private_Dirty"), all("Pss"));
        let total: f64 = keepers.iter().map(|pid| memory_kib(*pid, "Pss")).sum();
        report.target("a keeper's own memory (Private_Dirty, median)", dirty.median() / 1024.0, 0.15, "MiB");
        report.target(
            "a keeper's own memory (Private_Dirty, most)",
            dirty.quantile(1.0) / 1024.0,
            0.15,
            "MiB",
        );
        report.target("a keeper's share of memory (PSS, median)", pss.median() / 1024.0, 0.2, "MiB");
        let most = 40.0 * self.size.idle as f64 / 200.0;
        report.target(format!("{} idle keepers (PSS)", self.size.idle), total / 1024.0, most, "MiB");
        for chunk in (0..self.size.idle).map(|n| format!("idle{n}")).collect::<Vec<_>>().chunks(100) {
            self.remove(chunk)?;
        }
        Ok(())
    }

    fn stopped(&self, report: &mut Report) -> Outcome {
        for _ in 0..self.size.stopped {
            self.ours.run(&["create", "--network", "none", "busybox", "true"])?;
        }
        let mut entrants: Vec<Entrant<'_>> = vec![
            ("corten ps -a".into(), Box::new(|| self.ours.run(&["ps", "--all"]))),
            ("corten ps".into(), Box::new(|| self.ours.run(&["ps"]))),
            ("corten version".into(), Box::new(|| self.ours.run(&["version"]))),
        ];
        let samples = in_turn(self.size.rounds, &mut entrants, &self.settled()?)?;
        for ((name, _), sample) in entrants.iter().zip(&samples) {
            report.times(format!("{name}, {} stopped containers", self.size.stopped), sample);
        }
        report.target(format!("ps -a with {} stopped", self.size.stopped), samples[0].median(), 30.0, "ms");
        Ok(())
    }

    fn clean(&self) -> Outcome {
        // Deleting what isn't there is no failure of the bench.
        for crun in &self.cruns {
            let _ = crun.sleeping.delete("target");
        }
        self.ours.remove()?;
        self.rootless.remove()
    }
}

/// The files of both sides: busybox and links to it, as a directory and as a tar.
pub fn tree(dir: &Path, rootfs: &Path) -> Outcome<String> {
    for sub in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        std::fs::create_dir_all(rootfs.join(sub)).context("make the tree")?;
    }
    let busybox = machine::find_program("busybox").ok_or_else(|| Failure::new("there is no busybox"))?;
    std::fs::copy(busybox, rootfs.join("bin/busybox")).context("copy busybox")?;
    for applet in ["sh", "sleep", "true"] {
        std::os::unix::fs::symlink("busybox", rootfs.join("bin").join(applet)).context("link an applet")?;
    }
    let tar = dir.join("busybox.tar").to_string_lossy().into_owned();
    Program::new("tar").arg("-C").arg(rootfs).args(["-cf", &tar, "."]).quiet().check()?;
    Ok(tar)
}

/// The ordinary user's id; made with subordinate ids if it isn't there.
fn user() -> Outcome<u32> {
    let known = || -> Option<u32> {
        let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
        let line = passwd.lines().find_map(|l| l.strip_prefix(USER)?.strip_prefix(':'))?;
        line.split(':').nth(1)?.parse().ok()
    };
    if let Some(uid) = known() {
        return Ok(uid);
    }
    for file in ["/etc/subuid", "/etc/subgid"] {
        std::fs::OpenOptions::new().create(true).append(true).open(file).context("open a list of ids")?;
    }
    Program::new("useradd").args(["--no-create-home", "--shell", "/bin/sh", USER]).quiet().check()?;
    known().ok_or_else(|| Failure::new("useradd made no user"))
}

fn floor(rootfs: &Path) -> Outcome {
    let status = Command::new(FLOOR)
        .arg(rootfs)
        .arg("/bin/true")
        .stdin(Stdio::null())
        .status()
        .context("run floor")?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("floor ended with {status}"))) }
}

fn number(path: &str) -> Outcome<f64> {
    let text = std::fs::read_to_string(path).context(format_args!("read {path}"))?;
    text.trim().parse().context(format_args!("understand {path}"))
}
