//! `bench layers`: what images cost to bring in, to write out, to make and to remove, side by side with docker, podman
//! and plain tar on the same disk.
//!
//! Everybody gets the same bytes. Before each time everything is synced, so that nobody pays for the one before.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::report::Report;
use super::sample::{Rounds, Sample};
use crate::failure::{Context, Failure, Outcome};
use crate::machine;

const BINARY: &str = "/src/target/dist/corten";
const NAME: &str = "bench.local/tree:1";
/// Makes what is committed: 1,000 files of 20 KiB.
const WRITE: &str =
    "mkdir /new; i=0; while [ $i -lt 1000 ]; do head -c 20480 /dev/zero >/new/$i; i=$((i+1)); done";
const MIB: f64 = 1024.0;

/// How much of everything.
struct Size {
    rounds: Rounds,
    files: usize,
    file_bytes: usize,
    many_entries: usize,
    large_bytes: u64,
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
    let bench = Bench { dir: dir.clone(), size };
    let mut report = Report::default();
    let went = bench.all(&mut report);
    report.print();
    let cleaned = bench.clean();
    went.and(cleaned).and(std::fs::remove_dir_all(&dir).context("remove the bench's directory"))
}

struct Bench {
    dir: PathBuf,
    size: Size,
}

/// What is timed, and what is done before it.
struct Entrant {
    name: &'static str,
    before: String,
    timed: String,
}

fn entrant(name: &'static str, before: impl Into<String>, timed: impl Into<String>) -> Entrant {
    Entrant { name, before: before.into(), timed: timed.into() }
}

impl Bench {
    fn all(&self, report: &mut Report) -> Outcome {
        self.make_tree()?;
        self.unpack(report)?;
        self.archives(report)?;
        self.removal(report)?;
        self.memory(report)?;
        self.commit(report)
    }

    fn at(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// Our command line, on the bench's store.
    fn ours(&self, words: &str) -> String {
        let (root, run) = (self.at("store"), self.at("run"));
        format!("CORTEN_ROOT={root} CORTEN_RUN_ROOT={run} {BINARY} {words}")
    }

    /// Waits until nobody of ours works behind a command.
    fn settled(&self) -> String {
        "while pgrep -x corten-janitor >/dev/null; do sleep 0.01; done".to_owned()
    }

    /// The archive of a file system: small files in many directories, and a shell.
    fn make_tree(&self) -> Outcome {
        let path = self.dir.join("tree.tar");
        let mut out = BufWriter::new(File::create(&path).context("make the tree's archive")?);
        let program = machine::find_program("busybox").ok_or_else(|| Failure::new("no busybox inside"))?;
        let shell = std::fs::read(program).context("read busybox")?;
        let mut noise = Noise(42);
        entry(&mut out, "bin/busybox", 0o755, &shell)?;
        for name in ["sh", "mkdir", "head", "true"] {
            entry(&mut out, &format!("bin/{name}"), 0o755, &shell)?;
        }
        for number in 0..self.size.files {
            // Half of it can be compressed, as of programs.
            let mut bytes = vec![0; self.size.file_bytes / 2 + number % self.size.file_bytes];
            let half = bytes.len() / 2;
            noise.fill(&mut bytes[..half]);
            entry(&mut out, &format!("usr/share/d{}/file{number}", number / 20), 0o644, &bytes)?;
        }
        out.write_all(&[0; 1024]).and_then(|()| out.flush()).context("write the tree's archive")
    }

    fn unpack(&self, report: &mut Report) -> Outcome {
        let (tar, tree) = (self.at("tree.tar"), self.at("tree"));
        let remove = self.ours(&format!("rmi --force {NAME} >/dev/null 2>&1; true"));
        let samples = self.times(
            report,
            "unpack",
            &[
                entrant("corten import", remove, self.ours(&format!("import {tar} {NAME} >/dev/null"))),
                entrant(
                    "tar -xf, sync -f",
                    format!("rm -rf {tree}; mkdir {tree}"),
                    format!("tar -xf {tar} -C {tree} && sync -f {tree}"),
                ),
            ],
        )?;
        report.target("unpack, of tar -xf and sync -f", samples[0].ratios(&samples[1]).median(), 1.3, "×");
        Ok(())
    }

    /// `load` and `save` of the same image by everybody.
    fn archives(&self, report: &mut Report) -> Outcome {
        let (tar, archive) = (self.at("tree.tar"), self.at("image.tar"));
        shell(&format!("docker import {tar} {NAME} >/dev/null && docker save -o {archive} {NAME}"))?;
        let ours = self.ours(&format!("rmi --force {NAME} >/dev/null 2>&1; {}", self.settled()));
        let loads = self.times(
            report,
            "load",
            &[
                entrant("corten load", ours, self.ours(&format!("load -q -i {archive} >/dev/null"))),
                entrant(
                    "docker load",
                    format!("docker rmi -f {NAME} >/dev/null 2>&1; true"),
                    format!("docker load -q -i {archive} >/dev/null"),
                ),
                entrant(
                    "podman load",
                    format!("podman rmi -f {NAME} >/dev/null 2>&1; true"),
                    format!("podman load -q -i {archive} >/dev/null"),
                ),
            ],
        )?;
        report.target("load, of the faster engine", faster(&loads), 0.5, "×");
        let out = |name: &str| format!("{}.out", self.at(name));
        let removed = |name: &str| format!("rm -f {}", out(name));
        let saves = self.times(
            report,
            "save",
            &[
                entrant("corten save", removed("c"), self.ours(&format!("save -o {} {NAME}", out("c")))),
                entrant("docker save", removed("d"), format!("docker save -o {} {NAME}", out("d"))),
                entrant("podman save", removed("p"), format!("podman save -q -o {} {NAME}", out("p"))),
            ],
        )?;
        report.target("save, of the faster engine", faster(&saves), 0.6, "×");
        shell(&format!("rm -f {} {} {}", out("c"), out("d"), out("p")))
    }

    /// `commit` of a container with 1,000 new files, 20 MB.
    fn commit(&self, report: &mut Report) -> Outcome {
        let load = format!("load -q -i {} >/dev/null", self.at("image.tar"));
        for engine in [self.ours(""), "docker ".into(), "podman ".into()] {
            shell(&format!("{engine}{load}"))?;
        }
        let run = format!("run --name bench-commit --network none {NAME} /bin/sh -c '{WRITE}'");
        shell(&self.ours(&format!("{run} >/dev/null")))?;
        for engine in ["docker", "podman"] {
            shell(&format!("{engine} {run} >/dev/null"))?;
        }
        let commit = |engine: &str| format!("{engine} commit bench-commit bench.local/new:1 >/dev/null 2>&1");
        let remove = |engine: &str| format!("{engine} rmi -f bench.local/new:1 >/dev/null 2>&1; true");
        let ours = self.ours("rmi --force bench.local/new:1 >/dev/null 2>&1; ") + &self.settled();
        let commits = self.times(
            report,
            "commit",
            &[
                entrant("corten commit", ours, self.ours("commit bench-commit bench.local/new:1 >/dev/null")),
                entrant("docker commit", remove("docker"), commit("docker")),
                entrant("podman commit", remove("podman"), commit("podman")),
            ],
        )?;
        report.target("commit of 1,000 files, of the faster engine", faster(&commits), 0.3, "×");
        shell(&self.ours("rm -f bench-commit >/dev/null"))?;
        shell(&self.ours("rmi -f bench.local/new:1 >/dev/null"))?;
        for engine in ["docker", "podman"] {
            shell(&format!("{engine} rm -f bench-commit >/dev/null; {}", remove(engine)))?;
        }
        Ok(())
    }

    fn removal(&self, report: &mut Report) -> Outcome {
        let archive = self.at("image.tar");
        let load = format!("load -q -i {archive} >/dev/null");
        let removals = self.times(
            report,
            "rmi",
            &[
                entrant("corten rmi", self.ours(&load), self.ours(&format!("rmi {NAME} >/dev/null"))),
                entrant("docker rmi", format!("docker {load}"), format!("docker rmi {NAME} >/dev/null")),
                entrant("podman rmi", format!("podman {load}"), format!("podman rmi {NAME} >/dev/null")),
            ],
        )?;
        report.target("rmi of 20,000 files, of the faster engine", faster(&removals), 0.3, "×");
        Ok(())
    }

    /// The most memory that one of our processes has, whatever the image.
    fn memory(&self, report: &mut Report) -> Outcome {
        let many = self.dir.join("many.tar");
        let mut out = BufWriter::new(File::create(&many).context("make an archive of many entries")?);
        for number in 0..self.size.many_entries {
            entry(&mut out, &format!("d{}/{number}", number / 1000), 0o644, b"")?;
        }
        out.write_all(&[0; 1024]).and_then(|()| out.flush()).context("write an archive of many entries")?;
        drop(out);
        let large = self.dir.join("large.tar");
        let mut out = BufWriter::new(File::create(&large).context("make an archive of one large file")?);
        header(&mut out, "large", 0o644, self.size.large_bytes)?;
        drop(out);
        // The content is a hole of the archive; on the other side it is written out.
        let length = 512 + self.size.large_bytes.next_multiple_of(512) + 1024;
        File::options().write(true).open(&large).and_then(|f| f.set_len(length)).context("extend it")?;
        for (path, what) in
            [(&many, "many entries"), (&large, "one large file"), (&self.dir.join("tree.tar"), "the tree")]
        {
            let (archive, name) = (path.display(), "bench.local/memory:1");
            let saved = self.at("memory.out");
            let peak = |words: &str| self.peak_mib(words);
            report.target(
                format!("memory of import, {what}"),
                peak(&format!("import {archive} {name}"))?,
                64.0,
                "MiB",
            );
            report.target(
                format!("memory of save, {what}"),
                peak(&format!("save -o {saved} {name}"))?,
                64.0,
                "MiB",
            );
            report.target(format!("memory of rmi, {what}"), peak(&format!("rmi {name}"))?, 64.0, "MiB");
            report.target(format!("memory of load, {what}"), peak(&format!("load -i {saved}"))?, 64.0, "MiB");
            shell(&format!("{}; rm -f {saved} {archive}", self.ours(&format!("rmi {name} >/dev/null"))))?;
        }
        Ok(())
    }

    /// The largest resident set of a command and of what it waits for, as time(1) tells it.
    fn peak_mib(&self, words: &str) -> Outcome<f64> {
        let file = self.at("peak");
        let (root, run) = (self.at("store"), self.at("run"));
        let environment = format!("CORTEN_ROOT={root} CORTEN_RUN_ROOT={run}");
        shell(&format!("{environment} /usr/bin/time -f %M -o {file} {BINARY} {words} >/dev/null"))?;
        let text = std::fs::read_to_string(&file).context("read what time(1) says")?;
        let kib: f64 = text.trim().parse().context("read a number of KiB")?;
        Ok(kib / MIB)
    }

    /// Times everybody in turn; every other round backwards.
    fn times(&self, report: &mut Report, what: &str, entrants: &[Entrant]) -> Outcome<Vec<Sample>> {
        let mut samples = vec![Sample::default(); entrants.len()];
        for round in 0..self.size.rounds.warm_ups + self.size.rounds.counted {
            let mut order: Vec<usize> = (0..entrants.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                shell(&entrants[index].before)?;
                shell(&format!("{}; sync", self.settled()))?;
                let began = Instant::now();
                shell(&entrants[index].timed)?;
                if round >= self.size.rounds.warm_ups {
                    samples[index].push(began.elapsed());
                }
            }
        }
        for (entrant, sample) in entrants.iter().zip(&samples) {
            report.times(format!("{what}: {}", entrant.name), sample);
        }
        Ok(samples)
    }

    fn clean(&self) -> Outcome {
        for engine in ["docker", "podman"] {
            let remove = format!("{engine} rm -f bench-commit; {engine} rmi -f {NAME} bench.local/new:1");
            shell(&format!("{{ {remove}; }} >/dev/null 2>&1; true"))?;
        }
        Ok(())
    }
}

/// Ours, as a share of the faster one of the others, pair by pair.
fn faster(samples: &[Sample]) -> f64 {
    let ratios = samples[1..].iter().map(|other| samples[0].ratios(other).median());
    ratios.fold(0.0, f64::max)
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

/// Bytes that don't compress, the same every time.
struct Noise(u64);

impl Noise {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}

fn entry(out: &mut impl Write, name: &str, mode: u32, bytes: &[u8]) -> Outcome {
    header(out, name, mode, bytes.len() as u64)?;
    let padding = bytes.len().next_multiple_of(512) - bytes.len();
    out.write_all(bytes).and_then(|()| out.write_all(&vec![0; padding])).context("write an archive")
}

/// A header of the POSIX format; sizes from 8 GiB on have no room in it.
fn header(out: &mut impl Write, name: &str, mode: u32, size: u64) -> Outcome {
    let mut block = [0u8; 512];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, "14000000000");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar");
    put(263, "00");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    out.write_all(&block).context("write an archive")
}
