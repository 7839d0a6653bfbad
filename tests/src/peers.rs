//! Other engines as clients of what we write, and as writers of what we read: Debian sid's docker, podman, skopeo and
//! umoci, in namespaces of their own on a copy of their tree that is thrown away.
//!
//! `CORTEN_PEERS_TREE` names the tree; `cargo xtask test` makes it and sets the variable. There is no network inside,
//! and whatever runs there ends with [`Peers`].

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use tempfile::TempDir;

/// Makes the root and becomes what everything inside ends with. Docker's and podman's stores can't lie on an overlay.
const SET_UP: &str = r#"
tree=$1 dir=$2
mount -t tmpfs tmpfs "$dir/layer" && mkdir "$dir/layer/upper" "$dir/layer/work"
mount -t overlay overlay -o "lowerdir=$tree,upperdir=$dir/layer/upper,workdir=$dir/layer/work" "$dir/root"
cd "$dir/root"
mkdir -p proc sys dev run share var/lib/docker var/lib/containers var/lib/containerd etc/containers
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs tmpfs run
for place in docker containers containerd; do mount -t tmpfs tmpfs "var/lib/$place"; done
mount --bind "$dir/share" share
rm -f etc/docker/daemon.json etc/containers/containers.conf
printf '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n' >etc/containers/containers.conf
ip link set lo up
echo ready
exec cat
"#;

/// Starts dockerd, which needs no network for what we want, and waits until it answers.
const DOCKERD: &str = r#"
dockerd --iptables=false --ip6tables=false --bridge=none --storage-driver=overlay2 >/run/dockerd.log 2>&1 &
tries=0
until docker version >/dev/null 2>&1; do
    tries=$((tries+1)); [ $tries -lt 600 ] || { tail /run/dockerd.log; exit 1; }
    sleep 0.1
done
"#;

/// The other engines, up.
pub struct Peers {
    dir: TempDir,
    holder: Child,
    /// Everything ends when it is closed.
    stdin: Option<ChildStdin>,
    inside: u32,
}

impl Peers {
    /// Their namespaces, with nothing running in them.
    pub fn new() -> Self {
        let tree = std::env::var_os("CORTEN_PEERS_TREE").map(PathBuf::from);
        let tree = tree.expect("CORTEN_PEERS_TREE names no tree: run `cargo xtask test interop`");
        let dir = tempfile::Builder::new().prefix("ctp").tempdir_in("/tmp").expect("/tmp can be written");
        for name in ["layer", "root", "share"] {
            std::fs::create_dir(dir.path().join(name)).expect("our own directory");
        }
        let mut holder = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "--net", "--ipc", "--uts"])
            .args(["--propagation", "private", "sh", "-ec", SET_UP, "sh"])
            .args([&tree, dir.path()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("util-linux is installed");
        let stdin = holder.stdin.take();
        let mut line = String::new();
        let said = BufReader::new(holder.stdout.take().expect("it is piped")).read_line(&mut line);
        assert!(said.is_ok() && line == "ready\n", "the peers' namespaces didn't come up: {line}");
        let children = format!("/proc/{0}/task/{0}/children", holder.id());
        let children = std::fs::read_to_string(children).expect("it lives");
        let inside = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
        Self { dir, stdin, inside: inside.expect("it forked"), holder }
    }

    /// A directory that they see as `/share`.
    pub fn share(&self) -> PathBuf {
        self.dir.path().join("share")
    }

    /// Runs a program there to its end, and gives back what it printed.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> String {
        let output = self.command(words).output().expect("util-linux is installed");
        let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        assert!(
            output.status.success(),
            "{words:?}: {}\n{text}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    /// Starts dockerd.
    #[track_caller]
    pub fn with_docker(self) -> Self {
        self.run(&["sh", "-ec", DOCKERD]);
        self
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.inside.to_string(), "--mount", "--pid", "--net", "--ipc", "--uts"])
            .arg("chroot")
            .arg(self.root())
            .args(["/usr/bin/env", "-i", "HOME=/root", "LANG=C.UTF-8", "PODMAN_IGNORE_CGROUPSV1_WARNING=1"])
            .arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .args(words)
            .stdin(Stdio::null());
        command
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }
}

impl Default for Peers {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.holder.wait();
    }
}
