//! The flags that `run` and `create` share, and what they ask of a container.
//!
//! Parsing touches nothing; [`ContainerFlags::request`] reads the files and the variables that were named.

use std::collections::BTreeMap;
use std::path::PathBuf;

use corten_engine::container::CreateRequest;
use corten_model::capability::CapChange;
use corten_model::container::ContainerConfig;
use corten_model::device::Device;
use corten_model::mount::{self, MountSource, MountSpec, VolumesFrom};
use corten_model::namespace::{CgroupnsMode, IpcMode, NetworkMode, PidMode, UsernsMode, UtsMode};
use corten_model::security::SecurityOpt;
use corten_model::signal::Signal;
use corten_model::ulimit::Ulimit;
use corten_model::user::UserSpec;
use corten_model::{Invalid, Name, bytes};

use crate::cidfile::CidFile;
use crate::error::{Failure, Result};
use crate::key_values::{self, Lookup};
use crate::more_flags::MoreFlags;
use crate::parse::boolean;
use crate::pulling::PullFlags;
use crate::resource_flags::{FixedResourceFlags, ResourceFlags, online_cpus};

// No doc comment: clap would take it for the help of the command that these flags are part of.
#[derive(clap::Args, Debug)]
pub struct ContainerFlags {
    /// Assign a name to the container
    #[arg(long)]
    name: Option<Name>,
    /// Keep STDIN open even if not attached
    #[arg(short, long)]
    interactive: bool,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    tty: bool,
    /// Automatically remove the container when it exits
    #[arg(long)]
    rm: bool,
    /// Run an init inside the container that forwards signals and reaps processes
    #[arg(long, value_name = "BOOLEAN", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = boolean)]
    init: Option<bool>,
    /// Overwrite the default ENTRYPOINT of the image
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// Set environment variables; one without a value gets yours
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Username or UID (format: <name|uid>[:<group|gid>])
    #[arg(short, long)]
    user: Option<UserSpec>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Container host name
    #[arg(short = 'h', long, value_name = "NAME")]
    hostname: Option<String>,
    /// Set meta data on a container
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    label: Vec<String>,
    /// Read in a line delimited file of labels
    #[arg(long, value_name = "FILE")]
    label_file: Vec<PathBuf>,
    /// Mount a volume or a directory of the host: [SOURCE:]TARGET[:ro]
    #[arg(short, long, value_name = "VOLUME", value_parser = mount::parse_volume)]
    volume: Vec<MountSpec>,
    /// Optional volume driver for the container: only local is there
    #[arg(long, value_name = "DRIVER")]
    volume_driver: Option<String>,
    /// Mount volumes from the specified container: CONTAINER[:ro]
    #[arg(long, value_name = "CONTAINER")]
    volumes_from: Vec<VolumesFrom>,
    /// Attach a filesystem mount to the container: type=TYPE,source=SOURCE,target=TARGET
    #[arg(long, value_name = "MOUNT", value_parser = mount::parse_mount)]
    mount: Vec<MountSpec>,
    /// Mount a tmpfs directory: TARGET[:size=BYTES,mode=MODE]
    #[arg(long, value_name = "TMPFS", value_parser = mount::parse_tmpfs)]
    tmpfs: Vec<MountSpec>,
    /// Mount the container's root filesystem as read only
    #[arg(long)]
    read_only: bool,
    /// Add a host device to the container: HOST[:CONTAINER][:rwm]
    #[arg(long, value_name = "DEVICE")]
    device: Vec<Device>,
    /// Add Linux capabilities
    #[arg(long, value_name = "CAPABILITY")]
    cap_add: Vec<CapChange>,
    /// Drop Linux capabilities
    #[arg(long, value_name = "CAPABILITY")]
    cap_drop: Vec<CapChange>,
    /// Give the container the powers of the host's root
    #[arg(long)]
    privileged: bool,
    /// Security options
    #[arg(long, value_name = "OPTION")]
    security_opt: Vec<SecurityOpt>,
    #[command(flatten)]
    resources: ResourceFlags,
    #[command(flatten)]
    fixed_resources: FixedResourceFlags,
    #[command(flatten)]
    more: MoreFlags,
    /// Tune host's OOM preferences (-1000 to 1000)
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true,
        value_parser = clap::value_parser!(i32).range(-1000..=1000))]
    oom_score_adj: Option<i32>,
    /// Ulimit options: NAME=SOFT[:HARD]
    #[arg(long, value_name = "ULIMIT")]
    ulimit: Vec<Ulimit>,
    /// Size of /dev/shm
    #[arg(long, value_name = "BYTES", value_parser = shm_size)]
    shm_size: Option<u64>,
    /// Sysctl options
    #[arg(long, value_name = "KEY=VALUE")]
    sysctl: Vec<String>,
    /// Connect the container to a network: none, host or container:NAME
    #[arg(long, alias = "net", value_name = "NETWORK")]
    network: Vec<NetworkMode>,
    /// PID namespace to use: private, host or container:NAME
    #[arg(long, value_name = "MODE")]
    pid: Option<PidMode>,
    /// IPC mode to use: private, shareable, none, host or container:NAME
    #[arg(long, value_name = "MODE")]
    ipc: Option<IpcMode>,
    /// UTS namespace to use: private or host
    #[arg(long, value_name = "MODE")]
    uts: Option<UtsMode>,
    /// User namespace to use: auto or host
    #[arg(long, value_name = "MODE")]
    userns: Option<UsernsMode>,
    /// Cgroup namespace to use: private or host
    #[arg(long, value_name = "MODE")]
    cgroupns: Option<CgroupnsMode>,
    /// Signal to stop the container
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<Signal>,
    /// Timeout (in seconds) to stop a container; -1 waits for ever
    #[arg(long, value_name = "SECONDS")]
    stop_timeout: Option<i64>,
    #[command(flatten)]
    pull: PullFlags,
    /// The image, the command and its arguments: everything after the image belongs to the container
    #[arg(required = true, trailing_var_arg = true, value_name = "IMAGE", hide = true)]
    words: Vec<String>,
}

/// What of the caller's world the flags may refer to.
pub struct Around<'a> {
    /// The caller's variables.
    pub lookup: Lookup<'a>,
    /// What relative sources of `-v` are relative to.
    pub directory: &'a dyn Fn() -> std::io::Result<PathBuf>,
    /// How many CPUs there are.
    pub cpus: &'a dyn Fn() -> usize,
}

impl Around<'_> {
    /// The world of this process.
    pub const OURS: Around<'static> =
        Around { lookup: &crate::caller::variable, directory: &std::env::current_dir, cpus: &online_cpus };
}

impl ContainerFlags {
    /// `-t`.
    pub fn tty(&self) -> bool {
        self.tty
    }

    /// `-i`.
    pub fn interactive(&self) -> bool {
        self.interactive
    }

    /// When the image is pulled, and for which platform.
    pub fn pulling(&self) -> PullFlags {
        self.pull.clone()
    }

    /// What the engine is asked for.
    pub fn request(mut self, around: &Around<'_>) -> Result<CreateRequest> {
        let mut words = std::mem::take(&mut self.words);
        let image = words.remove(0);
        let config = ContainerConfig {
            cmd: words,
            env: variables(&self.env_file, &self.env, around.lookup)?,
            labels: self.labels()?,
            mounts: self.mounts(around)?,
            volumes_from: std::mem::take(&mut self.volumes_from),
            volume_driver: self.volume_driver.take().filter(|driver| !driver.is_empty()),
            resources: self.fixed_resources.add_to(self.resources.limits(around.cpus)?),
            oom_score_adj: self.oom_score_adj,
            sysctls: sysctls(&self.sysctl)?,
            network: network(&self.network)?,
            entrypoint: self.entrypoint,
            working_dir: self.workdir.filter(|dir| !dir.is_empty()),
            user: self.user,
            hostname: self.hostname.filter(|name| !name.is_empty()),
            tty: self.tty,
            open_stdin: self.interactive,
            auto_remove: self.rm,
            init: self.init,
            read_only: self.read_only,
            cap_add: self.cap_add,
            cap_drop: self.cap_drop,
            privileged: self.privileged,
            security: self.security_opt,
            ulimits: self.ulimit,
            shm_size_bytes: self.shm_size.unwrap_or_default(),
            devices: self.device,
            pid: self.pid.unwrap_or(PidMode::Private),
            ipc: self.ipc.unwrap_or(IpcMode::Private),
            uts: self.uts.unwrap_or(UtsMode::Private),
            userns: self.userns.unwrap_or(UsernsMode::Default),
            cgroupns: self.cgroupns.unwrap_or(CgroupnsMode::Private),
            stop_signal: self.stop_signal,
            stop_timeout_s: self.stop_timeout,
            more: self.more.config()?,
            ..ContainerConfig::default()
        };
        let platform = self.pull.platform();
        Ok(CreateRequest { name: self.name, platform, ..CreateRequest::new(image, config) })
    }

    /// Makes the file of `--cidfile`.
    pub fn cidfile(&self) -> Result<Option<CidFile>> {
        self.more.cidfile().map(|path| CidFile::create(path)).transpose()
    }

    fn labels(&self) -> Result<BTreeMap<String, String>> {
        let mut labels = BTreeMap::new();
        for path in &self.label_file {
            // As in Docker: what has no value there is left out.
            for line in key_values::file("label", path, &|_| None)? {
                labels.extend([key_values::pair("label", &line)?]);
            }
        }
        for label in &self.label {
            labels.extend([key_values::pair("label", label)?]);
        }
        Ok(labels)
    }

    fn mounts(&mut self, around: &Around<'_>) -> Result<Vec<MountSpec>> {
        let typed = [&mut self.volume, &mut self.mount, &mut self.tmpfs];
        let mut mounts: Vec<MountSpec> = typed.into_iter().flat_map(std::mem::take).collect();
        for mount in &mut mounts {
            if let MountSource::Bind(bind) = &mut mount.source {
                absolute(&mut bind.path, around)?;
            }
        }
        Ok(mount::settled(mounts))
    }
}

/// The variables of files, then those of `-e`: the later one counts.
pub fn variables(files: &[PathBuf], typed: &[String], lookup: Lookup<'_>) -> Result<Vec<String>> {
    const WHAT: &str = "environment variable";
    let mut variables = Vec::new();
    for path in files {
        variables.append(&mut key_values::file(WHAT, path, lookup)?);
    }
    for text in typed {
        variables.push(key_values::variable(text, lookup)?);
    }
    Ok(variables)
}

fn sysctls(typed: &[String]) -> std::result::Result<BTreeMap<String, String>, Invalid> {
    typed.iter().map(|text| key_values::full_pair("sysctl", text)).collect()
}

fn network(typed: &[NetworkMode]) -> Result<NetworkMode> {
    match typed {
        [] => Ok(NetworkMode::None),
        [one] => Ok(one.clone()),
        _ => Err(Failure::Conflict("`--network` is given more than once")),
    }
}

/// `-v ./data:/data`: a source that begins with a dot is relative to where the caller is.
fn absolute(source: &mut String, around: &Around<'_>) -> Result<()> {
    if !source.starts_with('.') {
        return Ok(());
    }
    let fail = |error: std::io::Error| Failure::Read { path: source.as_str().into(), source: error };
    let mut path = (around.directory)().map_err(fail)?;
    for part in std::path::Path::new(source.as_str()).components() {
        match part {
            std::path::Component::ParentDir => {
                path.pop();
            }
            std::path::Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    let bad = || Invalid::new("volume", source.as_str(), "the working directory is not valid UTF-8");
    let made = path.into_os_string().into_string().map_err(|_| bad())?;
    *source = made;
    Ok(())
}

fn shm_size(text: &str) -> std::result::Result<u64, Invalid> {
    bytes::parse_size("size of /dev/shm", text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::FromArgMatches as _;
    use corten_model::container::StreamName;
    use corten_model::log::LogDriver;
    use corten_model::mount::MountSource;
    use corten_model::resources::Resources;
    use std::io::Write as _;

    fn request(words: &[&str]) -> Result<CreateRequest> {
        let words: Vec<_> = words.iter().map(std::ffi::OsString::from).collect();
        let fill = <ContainerFlags as clap::Args>::augment_args;
        let crate::parse::Parsed::Matches(matches) = crate::parse::parse("create", fill, &words)? else {
            panic!("no help was asked for")
        };
        let flags = ContainerFlags::from_arg_matches(&matches).unwrap();
        flags.request(&Around {
            lookup: &|key| (key == "HOME").then(|| "/root".to_owned()),
            directory: &|| Ok("/work/here".into()),
            cpus: &|| 4,
        })
    }

    fn check(words: &[&str], change: fn(&mut ContainerConfig)) {
        let mut expected = ContainerConfig::default();
        change(&mut expected);
        let request = request(&[words, &["image"]].concat()).unwrap();
        assert_eq!((request.image.as_str(), request.config), ("image", expected), "{words:?}");
    }

    #[test]
    fn each_flag_asks_for_one_thing() {
        check(&[], |_| {});
        check(&["-it", "--rm", "--init", "--read-only"], |c| {
            (c.tty, c.open_stdin, c.auto_remove, c.read_only) = (true, true, true, true);
            c.init = Some(true);
        });
        check(&["--rm=false"], |_| {});
        check(&["-e", "A=1", "-e", "HOME", "-e", "NO"], |c| {
            c.env = vec!["A=1".into(), "HOME=/root".into(), "NO".into()];
        });
        check(&["--entrypoint", ""], |c| c.entrypoint = Some(String::new()));
        check(&["-u", "1:2", "-w", "/w", "-h", "box"], |c| {
            c.user = Some("1:2".parse().unwrap());
            (c.working_dir, c.hostname) = (Some("/w".into()), Some("box".into()));
        });
        check(&["-m", "64m", "--memory-swap", "-1", "--cpus", "1.5", "--pids-limit=-1"], |c| {
            c.resources = Resources {
                memory_bytes: Some(64 << 20),
                memory_swap_bytes: Some(-1),
                nano_cpus: Some(1_500_000_000),
                pids_limit: Some(-1),
                ..Resources::default()
            };
        });
        check(&["-m", "0", "--memory-swap", "0", "--pids-limit", "0", "--cpuset-cpus="], |_| {});
        check(&["-l", "a=b", "--label", "c"], |c| {
            c.labels = [("a".into(), "b".into()), ("c".into(), String::new())].into();
        });
        check(&["--net", "host", "--pid=host", "--ipc", "none", "--uts", "host"], |c| {
            (c.network, c.pid, c.ipc, c.uts) =
                (NetworkMode::Host, PidMode::Host, IpcMode::None, UtsMode::Host);
        });
        check(&["--userns", "host", "--cgroupns", "host"], |c| {
            (c.userns, c.cgroupns) = (UsernsMode::Host, CgroupnsMode::Host);
        });
        check(&["--cap-drop", "ALL", "--cap-add", "net_admin", "--privileged"], |c| {
            (c.cap_drop, c.cap_add) = (vec![CapChange::All], vec!["NET_ADMIN".parse().unwrap()]);
            c.privileged = true;
        });
        check(&["--shm-size", "1g", "--sysctl", "net.ipv4.ip_forward=1", "--stop-signal", "INT"], |c| {
            c.shm_size_bytes = 1 << 30;
            c.sysctls = [("net.ipv4.ip_forward".into(), "1".into())].into();
            c.stop_signal = Some(Signal::INT);
        });
        check(&["--stop-timeout", "-1", "--ulimit", "nofile=1:2", "--device", "/dev/fuse"], |c| {
            c.stop_timeout_s = Some(-1);
            c.ulimits = vec!["nofile=1:2".parse().unwrap()];
            c.devices = vec!["/dev/fuse".parse().unwrap()];
        });
        check(&["--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined"], |c| {
            c.security = vec![SecurityOpt::NoNewPrivileges(true), SecurityOpt::SeccompUnconfined];
        });
    }

    #[test]
    fn each_rare_flag_asks_for_one_thing() {
        check(&["-a", "STDERR", "--domainname", "d", "--group-add", "7", "--isolation", "default"], |c| {
            c.more.attach_only = vec![StreamName::Stderr];
            c.more.domainname = Some("d".into());
            c.more.group_add = vec!["7".parse().unwrap()];
            c.more.isolation = Some("default".into());
        });
        check(
            &["--annotation", "a=b", "--annotation", "c", "--cgroup-parent", "/team", "--expose", "80"],
            |c| {
                c.more.annotations = [("a".into(), "b".into()), ("c".into(), String::new())].into();
                c.more.cgroup_parent = Some("/team".parse().unwrap());
                c.more.exposed_ports = ["80/tcp".into()].into();
            },
        );
        check(
            &["--log-driver", "local", "--log-opt", "max-size=1m", "--device-cgroup-rule", "c 1:3 r"],
            |c| {
                c.more.log.driver = LogDriver::Local;
                c.more.log.options = [("max-size".into(), "1m".into())].into();
                c.more.device_cgroup_rules = vec!["c 1:3 r".parse().unwrap()];
            },
        );
        check(
            &["--dns", "1.2.3.4", "--dns-search", "a.b", "--dns-opt", "debug", "--add-host", "x:::1"],
            |c| {
                c.more.dns = vec!["1.2.3.4".parse().unwrap()];
                c.more.dns_search = vec!["a.b".into()];
                c.more.dns_options = vec!["debug".into()];
                c.more.extra_hosts = vec!["x:::1".parse().unwrap()];
            },
        );
    }

    #[test]
    fn mounts_of_all_three_flags() {
        let words = [
            "-v",
            "./a/../b:/b:ro",
            "-v",
            "data:/d",
            "--mount",
            "type=tmpfs,target=/m",
            "--tmpfs",
            "/t",
            "i",
        ];
        let mounts = request(&words).unwrap().config.mounts;
        let targets: Vec<_> = mounts.iter().map(|mount| (mount.target.as_str(), mount.read_only)).collect();
        assert_eq!(targets, [("/b", true), ("/d", false), ("/m", false), ("/t", false)]);
        assert!(matches!(&mounts[0].source, MountSource::Bind(bind) if bind.path == "/work/here/b"));
        let words = ["-v", "/d", "--tmpfs", "/d", "--mount", "type=bind,source=.,target=/e", "i"];
        let mounts = request(&words).unwrap().config.mounts;
        let targets: Vec<_> = mounts.iter().map(|mount| mount.target.as_str()).collect();
        assert_eq!(targets, ["/e", "/d"], "a volume without a name gives way");
        assert!(matches!(&mounts[0].source, MountSource::Bind(bind) if bind.path == "/work/here"));
        let config = request(&["--volumes-from", "a:ro", "--volumes-from=b", "i"]).unwrap().config;
        assert_eq!(config.volumes_from, ["a:ro".parse().unwrap(), "b".parse().unwrap()]);
    }

    #[test]
    fn what_follows_the_image_is_the_containers() {
        let request = request(&["--name", "web", "image", "sh", "-c", "echo $0", "--rm"]).unwrap();
        assert_eq!(request.config.cmd, ["sh", "-c", "echo $0", "--rm"]);
        assert_eq!(request.name.unwrap().as_str(), "web");
        assert!(!request.config.auto_remove);
    }

    #[test]
    fn variables_and_labels_of_files() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"A=1\nHOME\nB\n").unwrap();
        let path = file.path().to_str().unwrap();
        let config = request(&["-e", "A=2", "--env-file", path, "--label-file", path, "-l", "B=3", "i"])
            .unwrap()
            .config;
        assert_eq!(config.env, ["A=1", "HOME=/root", "A=2"]);
        let labels: Vec<_> = config.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(labels, ["A=1", "B=3"]);
        assert!(matches!(request(&["--env-file", "/no/such", "i"]), Err(Failure::Read { .. })));
    }

    #[test]
    fn values_that_cant_be_used() {
        for words in [
            ["-m", "x", "i"],
            ["--cpus", "5", "i"],
            ["--cpus", "x", "i"],
            ["-e", "=x", "i"],
            ["--sysctl", "a", "i"],
            ["--network", "bridge", "i"],
            ["--name", "-", "i"],
            ["-v", "a:b:c:d", "i"],
            ["--log-opt", "x", "i"],
            ["--expose", "80:80", "i"],
            ["--cgroup-parent", "..", "i"],
            ["--annotation", "=x", "i"],
            ["--memory-swap", "-2", "i"],
        ] {
            assert!(request(&words).is_err(), "{words:?}");
        }
        assert!(request(&["--net", "none", "--network", "host", "i"]).is_err());
    }
}
