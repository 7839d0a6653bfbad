//! The inside of the peers' namespaces: a root of their own, and control groups as they like them.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::{HIERARCHIES, Peers};
use crate::failure::{Context, Failure, Outcome};
use crate::program::Program;

const GROUPS: &str = "/sys/fs/cgroup";
const OWN: &str = "corten-peers";

/// Configures the engines for this place, starts dockerd and the registry, and waits for both.
pub const SERVICES: &str = r#"set -e
mkdir -p /etc/containers/registries.conf.d /etc/docker
printf '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n' >/etc/containers/containers.conf
printf '[[registry]]\nlocation = "127.0.0.1:5000"\ninsecure = true\n' >/etc/containers/registries.conf.d/local.conf
[ -s /etc/docker/daemon.json ] || echo '{"storage-driver":"overlay2"}' >/etc/docker/daemon.json
rm -f /run/docker.pid /var/run/docker.pid
nohup dockerd >/var/log/dockerd.log 2>&1 &
printf 'version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /var/lib/registry\n  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:5000\n' >/etc/docker/registry/plain.yml
nohup docker-registry serve /etc/docker/registry/plain.yml >/var/log/registry.log 2>&1 &
n=0; until docker version >/dev/null 2>&1; do n=$((n+1)); [ $n -lt 300 ] || { tail /var/log/dockerd.log; exit 1; }; sleep 0.1; done
docker version --format 'docker {{.Server.Version}}'; podman --version; crun --version | head -n 1"#;

/// A group of the peers' own in every v1 hierarchy.
pub fn make_groups() -> Outcome {
    for hierarchy in HIERARCHIES {
        let top = Path::new(GROUPS).join(hierarchy);
        let own = top.join(OWN);
        if !top.exists() {
            return Err(Failure::new(format!("there is no v1 hierarchy `{hierarchy}` on this machine")));
        }
        std::fs::create_dir_all(&own).context(format_args!("make {}", own.display()))?;
        if hierarchy == "cpuset" {
            // A process can't enter a cpuset without CPUs and memory nodes.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let value = std::fs::read_to_string(top.join(file)).context("read the cpuset")?;
                std::fs::write(own.join(file), value.trim()).context("fill the cpuset")?;
            }
        }
    }
    Ok(())
}

/// Removes the groups and what the engines left below them.
pub fn remove_groups() {
    for hierarchy in HIERARCHIES {
        remove_group(&Path::new(GROUPS).join(hierarchy).join(OWN));
    }
}

fn remove_group(group: &Path) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove_group(&entry.path());
        }
    }
    // A group that is still busy stays: it is empty and costs nothing.
    let _ = std::fs::remove_dir(group);
}

/// Runs as the first process of the new namespaces, and becomes catatonit in the new root.
pub fn run(tree: &Path, view: &str) -> Outcome {
    let peers = Peers::new()?;
    let at = |path: &str| tree.join(path);
    mount(&["--make-rprivate", "/"])?;
    Program::new("ip").args(["link", "set", "lo", "up"]).quiet().check()?;
    mount(&["--bind", &text(tree), &text(tree)])?;
    for dir in [".old", "run", "src", "share", "proc", "sys", "dev"] {
        std::fs::create_dir_all(at(dir)).context(format_args!("make /{dir} inside"))?;
    }
    mount(&["-t", "proc", "proc", &text(&at("proc"))])?;
    mount(&["-t", "sysfs", "sysfs", &text(&at("sys"))])?;
    groups(&at("sys/fs/cgroup"), view)?;
    mount(&["--rbind", "/dev", &text(&at("dev"))])?;
    mount(&["--make-rslave", &text(&at("dev"))])?;
    mount(&["-t", "tmpfs", "-o", "mode=755", "tmpfs", &text(&at("run"))])?;
    for dir in ["run/lock", "run/user", "run/netns"] {
        std::fs::create_dir_all(at(dir)).context(format_args!("make /{dir} inside"))?;
    }
    mount(&["--bind", &text(&Peers::project()), &text(&at("src"))])?;
    mount(&["--bind", &text(&peers.share()), &text(&at("share"))])?;
    let last = "cd \"$1\" && pivot_root . .old && cd / && umount -l /.old && hostname peers && mount --make-rshared / \
        && mkdir -p /var/devtun && { [ -e /var/devtun/tun ] || mknod -m 666 /var/devtun/tun c 10 200; } \
        && { [ ! -e /dev/net/tun ] || mount --bind /var/devtun/tun /dev/net/tun; } \
        && echo 1 >/proc/sys/net/ipv4/ip_forward && exec /usr/bin/catatonit -P";
    let error = Command::new("sh").args(["-ec", last, "sh"]).arg(tree).exec();
    Err(Failure::new(format!("cannot run sh: {error}")))
}

/// What is seen of the control groups.
fn groups(place: &Path, view: &str) -> Outcome {
    let v1 = || -> Outcome {
        mount(&["-t", "tmpfs", "-o", "mode=755", "tmpfs", &text(place)])?;
        for hierarchy in HIERARCHIES {
            let options = if hierarchy == "systemd" { "none,name=systemd" } else { hierarchy };
            let dir = place.join(hierarchy);
            std::fs::create_dir(&dir).context("make a hierarchy's directory")?;
            mount(&["-t", "cgroup", "-o", options, "cgroup", &text(&dir)])?;
        }
        Ok(())
    };
    match view {
        "v1" => v1(),
        "hybrid" => {
            v1()?;
            let unified = place.join("unified");
            std::fs::create_dir(&unified).context("make a hierarchy's directory")?;
            mount(&["-t", "cgroup2", "cgroup2", &text(&unified)])
        }
        "v2" => mount(&["-t", "cgroup2", "cgroup2", &text(place)]),
        other => Err(Failure::new(format!("CORTEN_PEERS_CGROUPS is `{other}`; it is v1, hybrid or v2"))),
    }
}

fn mount(words: &[&str]) -> Outcome {
    Program::new("mount").args(words).quiet().check()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
