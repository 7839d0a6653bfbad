//! From what was asked for to the runtime's spec: pure, given what the host and the image say.

use corten_model::capability::{self, CapSet};
use corten_model::container::ContainerConfig;
use corten_model::idmap::{Extent, IdMap};
use corten_model::image::ImageDefaults;
use corten_model::mount::{Bind, MountSource, MountSpec, ReadOnlyBelow};
use corten_model::namespace::{CgroupnsMode, IpcMode, NetworkMode, PidMode, UtsMode};
use corten_model::security::SecurityOpt;
use corten_model::user::UserSpec;
use corten_model::{ContainerId, Invalid};
use corten_runtime::plan::TREE;
use corten_runtime::spec::{
    ConsoleSize, Device, IdMapping, Linux, Mount, Namespace, NsKind, Process, Rlimit, Root, Spec, User,
};

use crate::exec::{Template, capability_sets, merge};
use crate::keeper::protocol::Seccomp;
use crate::volume::Data;

/// The search path of a container whose image and command name none.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Files that Corten gives every container, with where they appear.
pub const GENERATED: [(&str, &str); 3] =
    [("resolv.conf", "/etc/resolv.conf"), ("hostname", "/etc/hostname"), ("hosts", "/etc/hosts")];

/// Docker's list: what of /proc and /sys tells or does too much.
const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
/// Docker's list: what of /proc may be read only.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What the spec is made of.
pub struct Inputs<'a> {
    /// The container.
    pub id: &'a ContainerId,
    /// What was asked for.
    pub config: &'a ContainerConfig,
    /// The image's defaults.
    pub image: &'a ImageDefaults,
    /// The command, the image's merged in.
    pub command: &'a [String],
    /// The maps of its user namespace; absent in the host's.
    pub map: Option<&'a IdMap>,
    /// The directory with the generated files.
    pub generated: &'a str,
    /// Where the data of its volumes is, by target.
    pub volumes: &'a [(String, Data)],
    /// Where images are mounted, in the order of the trees that the keeper is given.
    pub images: &'a [String],
    /// Device nodes to make.
    pub devices: Vec<Device>,
    /// Namespaces that it joins.
    pub joined: &'a [NsKind],
    /// The caller's terminal.
    pub size: Option<(u16, u16)>,
}

/// The command: what was typed, completed by the image as Docker does.
pub fn command(config: &ContainerConfig, image: &ImageDefaults) -> Vec<String> {
    let given = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let entrypoint = match &config.entrypoint {
        Some(text) if text.is_empty() => Vec::new(),
        Some(text) => vec![text.clone()],
        None => given(&image.entrypoint),
    };
    let cmd = match (config.cmd.is_empty(), &config.entrypoint) {
        (false, _) => config.cmd.clone(),
        // An entrypoint that was typed doesn't get the image's arguments.
        (true, Some(_)) => Vec::new(),
        (true, None) => given(&image.cmd),
    };
    [entrypoint, cmd].concat()
}

/// The host name in the container.
pub fn hostname(id: &ContainerId, config: &ContainerConfig) -> String {
    config.hostname.clone().unwrap_or_else(|| id.short().to_owned())
}

/// The capabilities that its processes may have.
pub fn capabilities(config: &ContainerConfig) -> CapSet {
    if config.privileged { CapSet::ALL } else { capability::resolve(&config.cap_add, &config.cap_drop) }
}

/// The seccomp filter that it gets; `profiles` are the texts of named profile files.
pub fn seccomp(config: &ContainerConfig, profile: Option<String>) -> Option<Seccomp> {
    let unconfined = config.security.contains(&SecurityOpt::SeccompUnconfined);
    if unconfined || config.privileged && profile.is_none() {
        return None;
    }
    Some(Seccomp { profile, capabilities: capabilities(config) })
}

/// The whole spec.
pub fn build(inputs: Inputs<'_>) -> Result<Spec, Invalid> {
    let config = inputs.config;
    let map = |extents: &[Extent]| {
        extents
            .iter()
            .map(|e| IdMapping { container_id: e.inside, host_id: e.outside, size: e.count })
            .collect()
    };
    let open = config.privileged || config.security.contains(&SecurityOpt::SystemPathsUnconfined);
    let paths =
        |list: &[&str]| if open { Vec::new() } else { list.iter().map(|p| (*p).to_owned()).collect() };
    let has_uts = config.uts == UtsMode::Private;
    Ok(Spec {
        oci_version: "1.2.0".into(),
        process: process(&inputs)?,
        root: Root { path: String::new(), readonly: config.read_only },
        hostname: if has_uts { hostname(inputs.id, config) } else { String::new() },
        domainname: config.more.domainname.clone().filter(|_| has_uts).unwrap_or_default(),
        annotations: config.more.annotations.clone(),
        mounts: mounts(&inputs),
        linux: Linux {
            namespaces: namespaces(&inputs),
            uid_mappings: inputs.map.map(|m| map(&m.uids)).unwrap_or_default(),
            gid_mappings: inputs.map.map(|m| map(&m.gids)).unwrap_or_default(),
            devices: inputs.devices.clone(),
            sysctl: config.sysctls.clone(),
            masked_paths: paths(&MASKED),
            readonly_paths: paths(&READ_ONLY),
            ..Linux::default()
        },
    })
}

/// The container's first process.
fn process(inputs: &Inputs<'_>) -> Result<Process, Invalid> {
    let size = inputs.size.map(|(rows, cols)| ConsoleSize { height: rows, width: cols });
    Ok(Process {
        terminal: inputs.config.tty,
        console_size: size.filter(|_| inputs.config.tty),
        args: inputs.command.to_vec(),
        ..base_process(inputs.id, inputs.config, inputs.image)?
    })
}

/// What all processes of the container have in common.
fn base_process(
    id: &ContainerId,
    config: &ContainerConfig,
    image: &ImageDefaults,
) -> Result<Process, Invalid> {
    Ok(Process {
        user: User {
            name: Some(user(config, image)?),
            groups: config.more.group_add.clone(),
            ..User::default()
        },
        env: environment(id, config, image),
        cwd: working_dir(config, image),
        capabilities: Some(capability_sets(capabilities(config))),
        rlimits: rlimits(config),
        oom_score_adj: config.oom_score_adj,
        no_new_privileges: config.security.contains(&SecurityOpt::NoNewPrivileges(true)),
        apparmor_profile: apparmor_profile(config),
        ..Process::default()
    })
}

fn rlimits(config: &ContainerConfig) -> Vec<Rlimit> {
    let limit = |u: &corten_model::ulimit::Ulimit| Rlimit {
        kind: format!("RLIMIT_{}", u.name.to_uppercase()),
        soft: u.soft,
        hard: u.hard,
    };
    config.ulimits.iter().map(limit).collect()
}

fn apparmor_profile(config: &ContainerConfig) -> Option<String> {
    config.security.iter().find_map(|option| match option {
        SecurityOpt::AppArmor(profile) if profile != "unconfined" => Some(profile.clone()),
        _ => None,
    })
}

/// What further processes of the container are made of; `seccomp` is its own filter.
pub fn template(
    id: &ContainerId,
    config: &ContainerConfig,
    image: &ImageDefaults,
    seccomp: Option<Seccomp>,
) -> Result<Template, Invalid> {
    let process = base_process(id, config, image)?;
    Ok(Template { process, term_is_ours: term_is_ours(config, image), seccomp })
}

/// Whether `TERM` is what we give to a container with a terminal, not the image's or the user's.
pub fn term_is_ours(config: &ContainerConfig, image: &ImageDefaults) -> bool {
    let mut typed = image.env.iter().flatten().chain(&config.env);
    config.tty && !typed.any(|variable| variable == "TERM" || variable.starts_with("TERM="))
}

fn user(config: &ContainerConfig, image: &ImageDefaults) -> Result<UserSpec, Invalid> {
    match &config.user {
        Some(user) => Ok(user.clone()),
        None => image.user.parse(),
    }
}

fn working_dir(config: &ContainerConfig, image: &ImageDefaults) -> String {
    let typed = config.working_dir.as_ref().unwrap_or(&image.working_dir);
    if typed.starts_with('/') { typed.clone() } else { format!("/{typed}") }
}

/// Defaults, then the image's, then what was typed; each key once.
pub fn environment(id: &ContainerId, config: &ContainerConfig, image: &ImageDefaults) -> Vec<String> {
    let mut env = vec![DEFAULT_PATH.to_owned(), format!("HOSTNAME={}", hostname(id, config))];
    if config.tty {
        env.push("TERM=xterm".into());
    }
    merge(&mut env, image.env.as_deref().unwrap_or_default());
    merge(&mut env, &config.env);
    env
}

fn namespaces(inputs: &Inputs<'_>) -> Vec<Namespace> {
    let config = inputs.config;
    let own = [
        (NsKind::User, inputs.map.is_some()),
        (NsKind::Mount, true),
        (NsKind::Pid, config.pid == PidMode::Private),
        (NsKind::Net, config.network == NetworkMode::None),
        (NsKind::Ipc, matches!(config.ipc, IpcMode::Private | IpcMode::Shareable | IpcMode::None)),
        (NsKind::Uts, config.uts == UtsMode::Private),
        (NsKind::Cgroup, config.cgroupns == CgroupnsMode::Private),
    ];
    let kinds = own.into_iter().filter(|(kind, own)| *own && !inputs.joined.contains(kind));
    kinds.map(|(kind, _)| Namespace { kind, path: String::new() }).collect()
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.into(),
        kind: kind.into(),
        source: source.into(),
        options: options.iter().map(|o| (*o).to_owned()).collect(),
        ..Mount::default()
    }
}

fn mounts(inputs: &Inputs<'_>) -> Vec<Mount> {
    let config = inputs.config;
    let access = if config.privileged { "rw" } else { "ro" };
    let shm_size = format!("size={}", config.shm_size_bytes);
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", access]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", access]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ];
    match &config.ipc {
        IpcMode::None => {}
        // Its keeper takes the one of the container that it joins.
        _ if inputs.joined.contains(&NsKind::Ipc) => {}
        IpcMode::Host => {
            mounts.push(mount("/dev/shm", "bind", "/dev/shm", &["rbind", "nosuid", "noexec", "nodev"]))
        }
        _ => {
            let options = ["nosuid", "noexec", "nodev", "mode=1777", &shm_size];
            mounts.push(mount("/dev/shm", "tmpfs", "shm", &options));
        }
    }
    for (name, target) in GENERATED {
        if !config.mounts.iter().any(|m| m.target == target) {
            mounts.push(mount(target, "bind", &format!("{}/{name}", inputs.generated), &["bind", "noidmap"]));
        }
    }
    // What lies deeper comes later, or it would be hidden.
    let mut asked: Vec<Mount> = config.mounts.iter().filter_map(|m| asked_mount(inputs, m)).collect();
    for (target, data) in inputs.volumes {
        if !config.mounts.iter().any(|m| m.target == *target) {
            asked.push(volume_mount(target, data, None, "rw"));
        }
    }
    asked.sort_by_key(|m| m.destination.matches('/').count());
    // One that was asked for takes the place of a default one at the same path.
    mounts.retain(|m| !asked.iter().any(|a| a.destination == m.destination));
    mounts.extend(asked);
    mounts
}

fn asked_mount(inputs: &Inputs<'_>, spec: &MountSpec) -> Option<Mount> {
    let access = if spec.read_only { "ro" } else { "rw" };
    let mounted = match &spec.source {
        MountSource::Bind(bind) => bind_mount(&spec.target, bind, access),
        MountSource::Volume(volume) => {
            let (_, data) = inputs.volumes.iter().find(|(target, _)| *target == spec.target)?;
            volume_mount(&spec.target, data, volume.subpath.as_deref(), access)
        }
        MountSource::Image { subpath, .. } => {
            let number = inputs.images.iter().position(|target| *target == spec.target)?;
            let mut mounted = mount(&spec.target, TREE, &number.to_string(), &["ro", "nodev"]);
            mounted.options.extend(subpath.as_ref().map(|path| format!("subpath={path}")));
            mounted
        }
        MountSource::Tmpfs { size_bytes, mode, options } => {
            let mut all: Vec<String> = ["nosuid", "nodev", "noexec"].map(str::to_owned).to_vec();
            for option in options {
                // `exec` takes the default `noexec` back.
                let opposite = option.strip_prefix("no").map_or(format!("no{option}"), str::to_owned);
                all.retain(|o| *o != opposite && o != option);
                all.push(option.clone());
            }
            all.push(access.into());
            all.extend(size_bytes.map(|s| format!("size={s}")));
            all.push(format!("mode={:o}", mode.unwrap_or(0o1777)));
            Mount { options: all, ..mount(&spec.target, "tmpfs", "tmpfs", &[]) }
        }
    };
    Some(Mount { owner: spec.owner, ..mounted })
}

fn bind_mount(target: &str, bind: &Bind, access: &str) -> Mount {
    let how = if bind.recursive { "rbind" } else { "bind" };
    let mut mounted = mount(target, "bind", &bind.path, &[how, access, bind.propagation_word()]);
    if bind.read_only_below == ReadOnlyBelow::Writable {
        mounted.options.push("rrw".into());
    }
    mounted
}

fn volume_mount(target: &str, data: &Data, subpath: Option<&str>, access: &str) -> Mount {
    let (mut mounted, words) = match data {
        Data::Directory { path, recursive, words } => {
            let how = if *recursive { "rbind" } else { "bind" };
            (mount(target, "bind", &path.to_string_lossy(), &[how, "nodev"]), words)
        }
        Data::FileSystem { fstype, device, words } => {
            (mount(target, fstype, device, &["outside", "nodev"]), words)
        }
    };
    mounted.options.extend(words.iter().cloned());
    // What the volume says of itself isn't taken back.
    mounted.options.extend((access == "ro").then(|| access.to_owned()));
    mounted.options.extend(subpath.map(|path| format!("subpath={path}")));
    mounted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(entrypoint: &[&str], cmd: &[&str]) -> ImageDefaults {
        let list = |l: &[&str]| Some(l.iter().map(|s| (*s).to_owned()).collect());
        ImageDefaults { entrypoint: list(entrypoint), cmd: list(cmd), ..Default::default() }
    }

    #[test]
    fn the_command_is_completed_by_the_image() {
        let check = |entrypoint: Option<&str>, cmd: &[&str], expected: &[&str]| {
            let config = ContainerConfig {
                entrypoint: entrypoint.map(str::to_owned),
                cmd: cmd.iter().map(|s| (*s).to_owned()).collect(),
                ..Default::default()
            };
            assert_eq!(command(&config, &image(&["/e"], &["a", "b"])), expected);
        };
        check(None, &[], &["/e", "a", "b"]);
        check(None, &["x"], &["/e", "x"]);
        check(Some("/f"), &[], &["/f"]);
        check(Some("/f"), &["x"], &["/f", "x"]);
        check(Some(""), &["x"], &["x"]);
        check(Some(""), &[], &[]);
    }

    fn spec(config: &ContainerConfig, map: Option<&IdMap>, volumes: &[(String, Data)]) -> Spec {
        let id = ContainerId::from_bytes([0xab; 32]);
        build(Inputs {
            id: &id,
            config,
            image: &ImageDefaults {
                env: Some(vec!["PATH=/p".into(), "A=image".into()]),
                ..Default::default()
            },
            command: &["sh".into()],
            map,
            generated: "/run/x",
            volumes,
            images: &["/img".into()],
            devices: Vec::new(),
            joined: &[],
            size: Some((24, 80)),
        })
        .unwrap()
    }

    #[test]
    fn the_environment_is_defaults_then_image_then_typed() {
        let config =
            ContainerConfig { env: vec!["A=typed".into(), "B=".into(), "PATH".into()], ..Default::default() };
        assert_eq!(spec(&config, None, &[]).process.env, ["HOSTNAME=abababababab", "A=typed", "B="]);
    }

    #[test]
    fn a_default_container_shares_nothing_and_a_privileged_one_is_not_masked() {
        let map = IdMap::contiguous(100_000, 65_536);
        let plain = spec(&ContainerConfig::default(), Some(&map), &[]);
        assert_eq!(plain.linux.namespaces.len(), 7);
        assert!(plain.linux.masked_paths.contains(&"/proc/kcore".to_owned()));
        let privileged = ContainerConfig { privileged: true, ..Default::default() };
        let privileged = spec(&privileged, None, &[]);
        assert!(privileged.linux.masked_paths.is_empty() && privileged.linux.readonly_paths.is_empty());
        assert!(!privileged.linux.has(NsKind::User));
    }

    #[test]
    fn mounts_come_parents_first_and_replace_defaults() {
        let parse = |t: &str| corten_model::mount::parse_volume(t).unwrap();
        let own = |target: &str, path: &str| (target.to_owned(), Data::own(path.into()));
        let config = ContainerConfig {
            mounts: vec![
                parse("/a:/x/y/z"),
                parse("/b:/x"),
                parse("vol:/dev/shm:ro"),
                parse("/h:/etc/hosts"),
            ],
            ..Default::default()
        };
        let mounts = spec(&config, None, &[own("/dev/shm", "/v/data"), own("/anon", "/v/2")]).mounts;
        let at = |path: &str| mounts.iter().position(|m| m.destination == path).unwrap();
        assert!(at("/x") < at("/x/y/z"));
        assert_eq!(mounts[at("/dev/shm")].source, "/v/data");
        assert_eq!(mounts.iter().filter(|m| m.destination == "/etc/hosts").count(), 1);
        assert_eq!(mounts[at("/anon")].source, "/v/2");
    }
    #[test]
    fn what_each_mount_asks_of_the_runtime() {
        let check = |text: &str, data: &[(String, Data)], expected: &str| {
            let mount = corten_model::mount::parse_mount(text)
                .or_else(|_| corten_model::mount::parse_volume(text))
                .unwrap();
            let target = mount.target.clone();
            let config = ContainerConfig { mounts: vec![mount], ..Default::default() };
            let mounts = spec(&config, None, data).mounts;
            let found = mounts.iter().find(|m| m.destination == target).unwrap();
            let words = format!("{} {} {}", found.kind, found.source, found.options.join(","));
            assert_eq!(words, expected, "{text}");
        };
        check("/a:/b", &[], "bind /a rbind,rw,rprivate");
        check("/a:/b:ro,shared", &[], "bind /a rbind,ro,shared");
        check(
            "type=bind,source=/a,target=/b,ro,bind-recursive=writable",
            &[],
            "bind /a rbind,ro,rprivate,rrw",
        );
        check("type=bind,source=/a,target=/b,bind-recursive=disabled", &[], "bind /a bind,rw,rprivate");
        let own = [("/b".to_owned(), Data::own("/v".into()))];
        check("v:/b", &own, "bind /v rbind,nodev");
        check(
            "type=volume,source=v,target=/b,ro,volume-subpath=x/y",
            &own,
            "bind /v rbind,nodev,ro,subpath=x/y",
        );
        let words = vec!["size=1m".to_owned()];
        let disk = Data::FileSystem { fstype: "tmpfs".into(), device: "none".into(), words };
        check("v:/b:ro", &[("/b".to_owned(), disk)], "tmpfs none outside,nodev,size=1m,ro");
        check("type=image,source=i,target=/img,image-subpath=x", &[], "corten-tree 0 ro,nodev,subpath=x");
    }
}
