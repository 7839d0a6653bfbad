//! `cargo xtask peers`: today's other engines, to compare with and as clients.
//!
//! They are Debian sid's packages in a tree of their own, run as real root in namespaces of their own (network
//! included), with a view of the control groups in which only v1 hierarchies are seen: crun and podman refuse the
//! hybrid layout. Nothing of the host is changed, and there is no way to the internet inside.
//!
//! ```text
//! make ─▶ tree        up ─▶ holder (PID 1 inside) + dockerd + a registry on 127.0.0.1:5000        down ─▶ gone
//! ```

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::failure::{Context, Failure, Outcome};
use crate::machine;
use crate::program::Program;
use crate::project;
use crate::{demo, setup};

mod inside;

/// sid's packages: engines, their parts, clients, and tools to look with.
const PACKAGES: [&str; 52] = [
    "ca-certificates",
    "podman",
    "buildah",
    "skopeo",
    "crun",
    "runc",
    "containerd",
    "docker.io",
    "docker-cli",
    "docker-compose",
    "docker-buildx",
    "conmon",
    "netavark",
    "aardvark-dns",
    "criu",
    "fuse-overlayfs",
    "passt",
    "slirp4netns",
    "uidmap",
    "bubblewrap",
    "iptables",
    "nftables",
    "docker-registry",
    "hyperfine",
    "busybox-static",
    "umoci",
    "catatonit",
    "iproute2",
    "iperf3",
    "wrk",
    "nginx-light",
    "time",
    "procps",
    "jq",
    "strace",
    "git",
    "curl",
    "socat",
    "dbus-user-session",
    "util-linux",
    "debootstrap",
    "xz-utils",
    "zstd",
    "python3-minimal",
    "iputils-ping",
    "crane",
    "cosign",
    "golang-github-containers-common",
    "mount",
    "coreutils",
    "bash",
    "hostname",
];

/// v1 hierarchies that are shown inside.
pub const HIERARCHIES: [&str; 9] =
    ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd"];

/// How long the namespaces and dockerd may take to come up.
const UP_DEADLINE: Duration = Duration::from_secs(30);

/// A shell enters the peers' groups and becomes what follows: a cgroup namespace made after that is rooted there, and
/// one that is entered after that doesn't show groups above its root.
const ENTER: &str = "for g in /sys/fs/cgroup/*/corten-peers; do echo 0 > $g/tasks; done; exec \"$@\"";

const USAGE: &str = "\
cargo xtask peers make         makes the tree (1-5 minutes, 1.2 GB) below $CORTEN_PEERS, or the user's cache
cargo xtask peers up           starts the namespaces, dockerd and a registry on 127.0.0.1:5000
cargo xtask peers run CMD ...  runs CMD inside; the project is /src, the folder `share` of the cache is /share
cargo xtask peers add PKG ...  installs more of sid's packages
cargo xtask peers down         ends it

CORTEN_PEERS_CGROUPS=v1|hybrid|v2 chooses what `up` shows of the control groups.";

/// Where the tree and the state of the running namespaces are.
pub struct Peers {
    cache: PathBuf,
}

/// The subcommands.
pub fn run(words: &[String]) -> Outcome {
    let peers = Peers::new()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["make"] => peers.make(),
        ["up"] => peers.up(),
        ["down"] => peers.down(),
        ["run", command @ ..] if !command.is_empty() => peers.inside(command)?.check(),
        ["add", packages @ ..] if !packages.is_empty() => peers.add(packages),
        // The first process of the namespaces: not for people.
        ["inside", tree, view] => inside::run(Path::new(tree), view),
        _ => Err(Failure::new(USAGE)),
    }
}

impl Peers {
    /// The cache's place: `$CORTEN_PEERS`, or `corten-peers` in the user's cache.
    pub fn new() -> Outcome<Self> {
        let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let cache = variable("CORTEN_PEERS")
            .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("corten-peers")))
            .or_else(|| Some(variable("HOME")?.join(".cache/corten-peers")));
        let cache =
            cache.ok_or_else(|| Failure::new("neither CORTEN_PEERS, XDG_CACHE_HOME nor HOME is set"))?;
        Ok(Self { cache })
    }

    /// The tree.
    pub fn tree(&self) -> PathBuf {
        self.cache.join("tree")
    }

    fn holder_file(&self) -> PathBuf {
        self.cache.join("holder.pid")
    }

    /// Makes the tree unless it is there.
    pub fn make(&self) -> Outcome {
        let tree = self.tree();
        if tree.join("usr/bin/podman").exists() {
            eprintln!("there already: {}", tree.display());
            return Ok(());
        }
        setup::also(&[("mmdebstrap", "mmdebstrap", "makes the tree")])?;
        std::fs::create_dir_all(self.cache.join("share")).context("make the cache")?;
        let mirror = demo::mirror().unwrap_or_else(|| "http://deb.debian.org/debian".into());
        Program::new("nice")
            .args(["mmdebstrap", "--variant=minbase", "--aptopt=Acquire::Check-Valid-Until \"false\""])
            .arg("--aptopt=Apt::Install-Recommends \"false\"")
            .arg(format!("--include={}", PACKAGES.join(",")))
            .arg("sid")
            .arg(&tree)
            .arg(mirror)
            .check()
    }

    fn add(&self, packages: &[&str]) -> Outcome {
        let install = ["apt-get", "install", "--quiet", "--yes", "--no-install-recommends"];
        Program::new("chroot").arg(self.tree()).args(install).args(packages).check()
    }

    /// The pid of PID 1 inside, if it lives.
    pub fn holder(&self) -> Option<u32> {
        let pid: u32 = std::fs::read_to_string(self.holder_file()).ok()?.trim().parse().ok()?;
        // The number may belong to somebody else by now.
        let command = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        (command.trim() == "catatonit").then_some(pid)
    }

    /// Starts everything unless it runs.
    pub fn up(&self) -> Outcome {
        if !machine::is_root() {
            return Err(Failure::new("the peers run as real root"));
        }
        if self.holder().is_some() {
            eprintln!("up already");
            return Ok(());
        }
        if !self.tree().join("usr/bin/podman").exists() {
            return Err(Failure::new("there is no tree yet: `cargo xtask peers make`"));
        }
        std::fs::create_dir_all(self.cache.join("share")).context("make the cache")?;
        let pid = self.start_holder()?;
        std::fs::write(self.holder_file(), pid.to_string()).context("note the pid")?;
        self.start_services()
    }

    /// Starts `unshare … xtask peers inside`, which becomes PID 1 of the namespaces and ends as catatonit.
    fn start_holder(&self) -> Outcome<u32> {
        let view = std::env::var("CORTEN_PEERS_CGROUPS").unwrap_or_else(|_| "v1".into());
        let log = self.cache.join("holder.log");
        let into = std::fs::File::create(&log).context(format_args!("make {}", log.display()))?;
        let own = std::env::current_exe().context("find our own executable")?;
        inside::make_groups()?;
        let holder = Program::new("sh")
            .args([
                "-c",
                ENTER,
                "sh",
                "unshare",
                "-C",
                "-m",
                "-p",
                "-f",
                "-n",
                "-u",
                "-i",
                "--propagation",
                "private",
            ])
            .arg(own)
            .args(["peers", "inside"])
            .arg(self.tree())
            .arg(view)
            .env("CORTEN_PEERS", &self.cache)
            .stdin(Stdio::null())
            .stdout(into.try_clone().context("share the log")?)
            .stderr(into)
            .spawn()?;
        let deadline = Instant::now() + UP_DEADLINE;
        while Instant::now() < deadline {
            let children = format!("/proc/{0}/task/{0}/children", holder.id());
            let child = std::fs::read_to_string(children).unwrap_or_default();
            if let Some(pid) = child.split_whitespace().next()
                && std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c.trim() == "catatonit")
            {
                return pid.parse().context("read a pid");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let said = std::fs::read_to_string(log).unwrap_or_default();
        Err(Failure::new(format!("the namespaces didn't come up: {}", said.trim_end())))
    }

    fn start_services(&self) -> Outcome {
        self.inside(&["sh", "-c", inside::SERVICES])?.quiet().check()
    }

    /// A program inside.
    pub fn inside(&self, command: &[&str]) -> Outcome<Program> {
        let holder = self.holder().ok_or_else(|| Failure::new("not up: `cargo xtask peers up`"))?;
        let program = Program::new("sh")
            .args(["-c", ENTER, "sh", "nsenter", "-t"])
            .arg(holder.to_string())
            .args(["-C", "-m", "-p", "-n", "-u", "-i", "-W", "/", "--", "/usr/bin/env", "-i", "HOME=/root"])
            .args(["TERM=xterm", "LANG=C.UTF-8", "PODMAN_IGNORE_CGROUPSV1_WARNING=1"])
            .arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .args(command)
            .quiet();
        Ok(program)
    }

    /// Ends everything: with PID 1 the kernel ends the rest.
    pub fn down(&self) -> Outcome {
        if let Some(pid) = self.holder() {
            Program::new("kill").args(["-KILL", &pid.to_string()]).quiet().check()?;
            let deadline = Instant::now() + UP_DEADLINE;
            while Path::new(&format!("/proc/{pid}")).exists() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = std::fs::remove_file(self.holder_file());
        inside::remove_groups();
        Ok(())
    }

    /// The project, which is /src inside.
    pub fn project() -> PathBuf {
        project::root()
    }

    /// The folder that is /share inside.
    pub fn share(&self) -> PathBuf {
        self.cache.join("share")
    }
}
