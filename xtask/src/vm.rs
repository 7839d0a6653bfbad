//! `cargo xtask vm`: programs on another kernel, in a virtual machine without disk or network.
//!
//! ```text
//! vm/kernel.rs  Debian's cloud kernel, unpacked into the build directory
//! vm/cpio.rs    the initramfs format
//! vm/image.rs   what the machine boots into: busybox and the programs, or a whole Debian with systemd
//! vm/containers.rs  the binary that is shipped, used as a user would
//! vm/boot.rs    qemu, its serial console, a deadline
//! ```
//!
//! The kernel has only cgroup v2, which the machine that builds need not have. qemu emulates: nested
//! virtualisation hangs on some hosts, and the tests are short. Without arguments the runtime's tests of
//! control groups run: without systemd, with some controllers on v1, and with systemd.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

mod boot;
mod containers;
mod cpio;
mod image;
mod kernel;

/// What every step returns.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "\
cargo xtask vm [--systemd | --hybrid] [--memory MIB] [--deadline SECONDS] [--add FILE:PLACE]...
               [--suite cgroups|containers|systemd] [PROGRAM [ARG...]] [-- PROGRAM [ARG...]]...

  Boots Debian's kernel with cgroup v2 and runs static programs in it as root, one after the other; the first
  that fails decides the exit code. --systemd boots a whole Debian, --hybrid has some controllers on cgroup v1.
  Without PROGRAM, all suites or one: the runtime's tests of control groups on v2 and with some controllers on
  v1, the binary that is shipped used as a user would, control groups with systemd.";

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What is to be run.
struct Request {
    systemd: bool,
    /// Some controllers of control groups on v1.
    hybrid: bool,
    memory_mib: u32,
    deadline: Duration,
    /// Files of this machine, and their places in the other.
    added: Vec<(PathBuf, String)>,
    /// The only suite to run.
    suite: Option<String>,
    programs: Vec<Vec<String>>,
}

impl Request {
    fn wants(&self, suite: &str) -> bool {
        self.suite.as_deref().is_none_or(|only| only == suite)
    }
}

/// Runs `cargo xtask vm` with these arguments.
pub fn run(args: &[String]) -> Result<()> {
    if args.first().is_some_and(|a| a == "--help" || a == "-h") {
        println!("{USAGE}");
        return Ok(());
    }
    let request = parse(args)?;
    if !request.programs.is_empty() {
        return once(&request);
    }
    ["cgroups", "containers", "systemd"]
        .into_iter()
        .filter(|name| request.wants(name))
        .try_for_each(|name| suite(name, &request))
}

fn suite(name: &str, request: &Request) -> Result<()> {
    if name == "containers" {
        let binary = crate::dist::build().map_err(|failure| failure.to_string())?;
        return once(&containers::request(&binary)?);
    }
    let tests = runtime_tests()?.display().to_string();
    let test = |hybrid: bool, systemd: bool, filter: &str| {
        let program = vec![tests.clone(), filter.into(), "--test-threads=1".into()];
        once(&Request {
            systemd,
            hybrid,
            added: request.added.clone(),
            suite: None,
            programs: vec![program],
            ..*request
        })
    };
    if name == "systemd" {
        return test(false, true, "cgroup::systemd::");
    }
    test(false, false, "cgroup::")?;
    test(true, false, "cgroup::")
}

fn parse(args: &[String]) -> Result<Request> {
    let mut request = Request {
        systemd: false,
        hybrid: false,
        memory_mib: 1024,
        deadline: Duration::from_secs(1200),
        added: Vec::new(),
        suite: None,
        programs: Vec::new(),
    };
    let mut rest = args.iter();
    while let Some(word) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("`{word}` needs a value\n\n{USAGE}"));
        match word.as_str() {
            "--systemd" => request.systemd = true,
            "--hybrid" => request.hybrid = true,
            "--suite" => request.suite = Some(value()?.clone()),
            "--memory" => request.memory_mib = value()?.parse()?,
            "--deadline" => request.deadline = Duration::from_secs(value()?.parse()?),
            "--add" => {
                let (file, place) = value()?.split_once(':').ok_or("--add needs FILE:PLACE")?;
                request.added.push((file.into(), place.into()));
            }
            flag if flag.starts_with("--") && flag != "--" => {
                return Err(format!("there is no `{flag}`\n\n{USAGE}").into());
            }
            _ if request.systemd && request.hybrid => return Err("--systemd is v2 only".into()),
            _ => {
                let all: Vec<String> = std::iter::once(word).chain(rest).cloned().collect();
                request.programs =
                    all.split(|w| w == "--").filter(|p| !p.is_empty()).map(<[String]>::to_vec).collect();
                break;
            }
        }
    }
    Ok(request)
}

fn once(request: &Request) -> Result<()> {
    let cache = cache_dir()?;
    let kernel = kernel::fetch(&cache)?;
    let image = image::build(&cache, request)?;
    let codes = boot::run(&kernel, &image, request);
    std::fs::remove_file(&image)?;
    let codes = codes?;
    for (program, code) in request.programs.iter().zip(codes.iter().map(Some).chain(std::iter::repeat(None)))
    {
        match code {
            Some(0) => {}
            Some(code) => {
                return Err(
                    format!("`{}` ended with {code} in the virtual machine", program.join(" ")).into()
                );
            }
            None => return Err(format!("the virtual machine ended before `{}`", program.join(" ")).into()),
        }
    }
    Ok(())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"))
}

fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Kernels and systems are kept between runs: unpacking them takes longer than booting them.
fn cache_dir() -> Result<PathBuf> {
    let dir = target_dir().join("vm");
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// Builds the runtime's tests as one static program.
fn runtime_tests() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root())
        .env("RUSTFLAGS", "-C target-feature=+crt-static -C debuginfo=0 -C strip=symbols")
        .args(["test", "--package", "corten-runtime", "--lib", "--no-run", "--target", TARGET])
        .arg("--target-dir")
        .arg(target_dir().join("vm/build"))
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let path = |line: &str| {
        Some(
            line.trim()
                .strip_prefix("Executable unittests ")?
                .split_once('(')?
                .1
                .trim_end_matches(')')
                .to_owned(),
        )
    };
    match said.lines().find_map(path) {
        Some(path) if output.status.success() => Ok(root().join(path)),
        _ => Err(format!("the runtime's tests can't be built for the virtual machine:\n{said}").into()),
    }
}

/// Runs a program of this machine; what it said is in the error.
fn command(program: &str, args: &[&str], dir: &Path) -> Result<()> {
    let output = Command::new(program)
        .args(args)
        .current_dir(dir)
        .output()
        .map_err(|e| format!("run `{program}`: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("`{program} {}` ended with {}: {}", args.join(" "), output.status, said.trim_end()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(String::from).collect()
    }

    #[test]
    fn programs_are_split_and_keep_their_flags() {
        let request = parse(&words("--systemd --memory 512 --add /a:/b prog --memory 1 -- other x")).unwrap();
        assert!(request.systemd);
        assert_eq!(request.memory_mib, 512);
        assert_eq!(request.added, [(PathBuf::from("/a"), "/b".to_owned())]);
        assert_eq!(request.programs, [words("prog --memory 1"), words("other x")]);
        assert!(parse(&words("--nonsense")).is_err());
        assert!(parse(&words("--memory")).is_err());
    }
}
