//! From a spec and what is known of the host to a plan: the steps of the parent and of the child, pure and
//! printable. Whatever can be known to be wrong without asking the kernel is refused here.
//!
//! ```text
//! parent                                     child
//! clone (through a joining process) ───────▶ prepare; own network namespace, loopback
//! id maps ───────────── sync 1: maps ──────▶ become root of the user namespace; make file systems, detached
//! root, /dev, binds, cgroup ─ sync 2: fds ─▶ cgroup; attach everything; mask; pivot
//!         ◀──── sync 3: terminal, warnings ─ user, terminal, ids
//! consent ────────────── run, if awaited ──▶ capabilities, seccomp
//!         ◀──── sync 4: end of the channel ─ execve
//! ```
//! The order of the child's steps is measured and argued: what may run while the parent works comes first, and
//! a comment says what breaks where a step may not move.

use std::fmt;

use corten_model::Invalid;
use corten_model::mount::{Owner, clean_target};
use rustix::mount::{MountAttrFlags, MountPropagationFlags};

use crate::spec::{Mount, NsKind, Spec};

pub use check::{process as check_process, sysctl_path};

mod check;
pub mod options;
#[cfg(test)]
mod tests;

/// Switches that force what is done on older kernels, for tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fallbacks {
    /// Nothing is mounted into a detached tree (6.15).
    pub attached_mounts: bool,
    /// A recursive bind isn't idmapped in one call, but each of its mounts by itself.
    pub single_idmaps: bool,
    /// The child isn't born in its cgroup of version 2 (5.7, and refused where delegation is missing).
    pub join_cgroup: bool,
}

/// What is known of the host and the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The caller isn't root of the host.
    pub rootless: bool,
    /// The kernel's version.
    pub kernel: (u32, u32),
    /// Namespaces that exist and are joined.
    pub joins: Vec<NsKind>,
    /// The `/dev/shm` of another container is given.
    pub shm: bool,
    /// Forced fallbacks.
    pub fallbacks: Fallbacks,
}

/// The kernel from which mounts can be attached to detached ones.
const DETACHED_MOUNTS_SINCE: (u32, u32) = (6, 15);

/// How a mount comes to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source<'a> {
    /// A new instance of a file system, made by the child: its user namespace owns it.
    FileSystem {
        /// The type.
        fstype: &'a str,
        /// What the mount table shows.
        source: &'a str,
        /// Parameters.
        parameters: Vec<(&'a str, Option<&'a str>)>,
    },
    /// A tmpfs with device nodes. As root the parent makes it: nodes need the host's powers.
    Dev {
        /// Parameters of the tmpfs.
        parameters: Vec<(&'a str, Option<&'a str>)>,
    },
    /// A tree of the host.
    Bind {
        /// Its path.
        path: &'a str,
        /// With what is mounted below.
        recursive: bool,
        /// It may be idmapped.
        idmap: bool,
        /// Attributes for the mounts below too.
        recursive_attributes: MountAttrFlags,
        /// Propagation, and whether of those below too.
        propagation: (MountPropagationFlags, bool),
        /// Whose files those of the source's owner are.
        owner: Owner,
    },
    /// A file system that is made with the powers of who starts the container, and idmapped: a volume on a disk.
    Outside {
        /// The type.
        fstype: &'a str,
        /// The disk, or what that type takes for one.
        source: &'a str,
        /// Parameters.
        parameters: Vec<(&'a str, Option<&'a str>)>,
        /// Whose files those of its root's owner are.
        owner: Owner,
    },
    /// The files of an image: what the caller gave under this number.
    Tree(usize),
    /// The container's own cgroup directories, one below the other for version 1.
    Cgroup,
    /// The `/dev/shm` of another container, which the caller has as a detached mount.
    Shm,
}

/// One mount, planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned<'a> {
    /// The clean path in the container.
    pub target: String,
    /// Symlinks on the way to the target are an error: what is there is the kernel's and not the image's.
    pub plain_target: bool,
    /// How it comes to be.
    pub source: Source<'a>,
    /// Attributes of its top mount.
    pub attributes: MountAttrFlags,
    /// What of the source is shown, if not all of it; resolved inside of it only.
    pub subpath: Option<&'a str>,
}

impl Planned<'_> {
    /// Whether it is opened on the side that has the powers for it: the parent's as root, else the child's.
    pub fn is_opened(&self) -> bool {
        matches!(self.source, Source::Bind { .. } | Source::Outside { .. } | Source::Tree(_))
    }
}

/// A step of the child until its last part, which is the same for every process; numbers are of [`Plan::mounts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildStep {
    /// Bind its life to the parent's, set the OOM score, hide from tracers.
    Prepare,
    /// A network namespace of its own with a loopback interface. Before the maps are awaited: it takes 0.5 ms, in
    /// which the parent writes them.
    OwnNetwork,
    /// Sync 1.
    AwaitMaps,
    /// Ids 0 of the user namespace: files made with an unmapped id are EOVERFLOW.
    BecomeRoot,
    /// No mount of ours travels to the host. A mount namespace of another user namespace is born so.
    CutPropagation,
    /// Make a file system, detached. Before the host's tree goes: the kernel gives /proc and /sys to a user
    /// namespace only while a whole one is to be seen.
    MakeFileSystem(usize),
    /// Sync 2: root, /dev, binds, cgroup.
    AwaitFds,
    /// Rootless: root and binds are made here.
    MakeRoot,
    /// Rootless: open a bind, a volume's file system or an image's files.
    MakeBind(usize),
    /// Rootless: the tmpfs with the host's nodes bound.
    MakeDev(usize),
    /// Into the cgroup: before the cgroup namespace, which takes the place of that moment as its root.
    JoinCgroup,
    /// A cgroup namespace of its own.
    OwnCgroups,
    /// Attach the root to the mount namespace.
    AttachRoot,
    /// Attach a mount inside the root.
    Attach(usize),
    /// Kernel parameters: before `/proc/sys` becomes read-only.
    Sysctls,
    /// Mask paths.
    Mask,
    /// Make paths read-only.
    ReadOnlyPaths,
    /// Make the working directory: before the root becomes read-only.
    MakeCwd,
    /// Bind the terminal on `/dev/console`.
    Console,
    /// The root becomes read-only.
    ReadOnlyRoot,
    /// The root becomes the root, the host's tree goes.
    Pivot,
    /// Propagation of the root, if it isn't private.
    RootPropagation,
    /// Host and domain name.
    Hostname,
}

/// A step of the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParentStep {
    /// Make the child, through a process that joins other namespaces first.
    Clone {
        /// Whether there is such a process.
        joining: bool,
    },
    /// Write the id maps.
    WriteMaps,
    /// Give the child limits and an OOM score that it may not take itself.
    PrepareChild,
    /// The standard streams' pipes are given to the container's root.
    OwnPipes,
    /// Make the root's mount.
    MakeRoot,
    /// Make the tmpfs with device nodes.
    MakeDev(usize),
    /// Open a bind, a volume's file system or an image's files, idmapped.
    MakeBind(usize),
    /// Open the container's cgroup directories.
    MakeCgroupView(usize),
    /// Open the files that the child joins the cgroup with.
    OpenCgroup,
    /// Sync 2.
    SendGo,
    /// Syncs 3 and 4.
    AwaitExec,
}

/// What will be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan<'a> {
    /// Namespaces that are joined, in this order: the user namespace first, its powers are needed for the rest.
    pub joins: Vec<NsKind>,
    /// Namespaces that the child is born in.
    pub new: Vec<NsKind>,
    /// The child's user namespace isn't ours.
    pub in_userns: bool,
    /// The maps have to be written.
    pub writes_maps: bool,
    /// The mounts.
    pub mounts: Vec<Planned<'a>>,
    /// The parent's steps.
    pub parent: Vec<ParentStep>,
    /// The child's steps.
    pub child: Vec<ChildStep>,
}

impl fmt::Display for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |kinds: &[NsKind]| kinds.iter().map(|k| k.word()).collect::<Vec<_>>().join(" ");
        writeln!(f, "join: {}\nnew: {}", words(&self.joins), words(&self.new))?;
        for (number, mount) in self.mounts.iter().enumerate() {
            writeln!(f, "mount {number}: {} from {:?}", mount.target, mount.source)?;
        }
        self.parent.iter().try_for_each(|step| writeln!(f, "parent: {step:?}"))?;
        self.child.iter().try_for_each(|step| writeln!(f, "child: {step:?}"))
    }
}

const JOIN_ORDER: [NsKind; 6] =
    [NsKind::User, NsKind::Ipc, NsKind::Uts, NsKind::Net, NsKind::Pid, NsKind::Cgroup];

/// Plans a start.
pub fn plan<'a>(spec: &'a Spec, facts: &Facts) -> Result<Plan<'a>, Invalid> {
    check::spec(spec, facts)?;
    let joins: Vec<NsKind> = JOIN_ORDER.into_iter().filter(|k| facts.joins.contains(k)).collect();
    let writes_maps = !spec.linux.uid_mappings.is_empty() && !joins.contains(&NsKind::User);
    let in_userns = writes_maps || joins.contains(&NsKind::User);
    let fresh = |kind: NsKind| spec.linux.has(kind) && !joins.contains(&kind);
    let mut new = vec![NsKind::Mount];
    if writes_maps {
        new.push(NsKind::User);
    }
    new.extend([NsKind::Pid, NsKind::Ipc, NsKind::Uts].into_iter().filter(|k| fresh(*k)));
    let mut mounts = mounts(spec, &Owned::of(spec, &joins, in_userns))?;
    if facts.shm {
        mounts.push(Planned {
            target: crate::shm::PATH.into(),
            plain_target: true,
            source: Source::Shm,
            attributes: MountAttrFlags::empty(),
            subpath: None,
        });
    }
    let mut plan = Plan { joins, new, in_userns, writes_maps, mounts, parent: Vec::new(), child: Vec::new() };
    plan.parent = parent_steps(&plan, facts, spec);
    plan.child = child_steps(&plan, facts, spec);
    Ok(plan)
}

/// Whether the kernel will make these file systems for us: each asks for power over a namespace.
struct Owned {
    proc: bool,
    sysfs: bool,
}

impl Owned {
    fn of(spec: &Spec, joins: &[NsKind], in_userns: bool) -> Self {
        // In the host's user namespace everything is; else the namespace must have been made by the user
        // namespace that the child is in.
        let owned = |kind: NsKind| {
            let made = spec.linux.has(kind) && !joins.contains(&kind);
            !in_userns || made || (joins.contains(&kind) && joins.contains(&NsKind::User))
        };
        Self { proc: owned(NsKind::Pid), sysfs: owned(NsKind::Net) }
    }
}

fn mounts<'a>(spec: &'a Spec, owned: &Owned) -> Result<Vec<Planned<'a>>, Invalid> {
    spec.mounts.iter().map(|mount| planned(mount, spec, owned)).collect()
}

fn planned<'a>(mount: &'a Mount, spec: &Spec, owned: &Owned) -> Result<Planned<'a>, Invalid> {
    let bad = |why: &str| Invalid::new("mount", &mount.destination, why);
    let target = clean_target(&mount.destination).map_err(bad)?;
    let options = options::parse(&target, &mount.options)?;
    let plain_target = ["/proc", "/sys", "/dev"].iter().any(|top| is_below(&target, top));
    let (kind, bind) = (mount.kind.as_str(), options.bind.or((mount.kind == "bind").then_some(false)));
    match target.as_str() {
        // Masks and read-only paths would be made on what a volume shows, the real ones stay open behind
        // another mount of proc (CVE-2019-16884).
        "/proc" if !(kind == "proc" || bind.is_some() && mount.source == "/proc") => {
            return Err(bad("only proc can be mounted there"));
        }
        "/sys" if !(kind == "sysfs" || bind.is_some() && mount.source == "/sys") => {
            return Err(bad("only sysfs can be mounted there"));
        }
        _ if is_below(&target, "/proc") && target != "/proc" && !PROC_FILES.contains(&&target[6..]) => {
            return Err(bad("nothing can be mounted inside of proc"));
        }
        _ => {}
    }
    let mut attributes = options.attributes;
    let subpath = options.subpath;
    let source = if let Some(recursive) = bind {
        if !mount.source.starts_with('/') {
            return Err(bad("the source of a bind is an absolute path"));
        }
        bind_source(mount, recursive, &options)
    } else {
        attributes |= options.recursive_attributes;
        let parameters = options.parameters;
        match kind {
            TREE => Source::Tree(mount.source.parse().map_err(|_| bad("an image's files have a number"))?),
            fstype if options.outside => {
                Source::Outside { fstype, source: &mount.source, parameters, owner: mount.owner }
            }
            "proc" if !owned.proc => host_tree("/proc", MountAttrFlags::empty()),
            "sysfs" if !owned.sysfs => host_tree("/sys", attributes | MountAttrFlags::MOUNT_ATTR_RDONLY),
            "cgroup" | "cgroup2" => {
                // Never writable: a release_agent or a limit of the host's could be in it (CVE-2023-25809).
                attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
                Source::Cgroup
            }
            "tmpfs" if target == "/dev" => Source::Dev { parameters },
            "" => return Err(bad("it has no type")),
            fstype => {
                Source::FileSystem { fstype, source: &mount.source, parameters: fitting(parameters, spec) }
            }
        }
    };
    Ok(Planned { target, plain_target, source, attributes, subpath })
}

/// The type of a mount whose source is a number of [`crate::Launch::trees`].
pub const TREE: &str = "corten-tree";

fn bind_source<'a>(mount: &'a Mount, recursive: bool, options: &options::Options<'a>) -> Source<'a> {
    // A mount below a read-only one would be a hole in it, unless that is asked for.
    let inherited = if recursive { options.attributes - options.only_top } else { MountAttrFlags::empty() };
    Source::Bind {
        path: &mount.source,
        recursive,
        idmap: !options.plain_ids,
        recursive_attributes: options.recursive_attributes | inherited,
        propagation: options.propagation.unwrap_or((MountPropagationFlags::PRIVATE, true)),
        owner: mount.owner,
    }
}

/// Files of proc that LXCFS and the like may show their own of.
const PROC_FILES: [&str; 9] =
    ["cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo", "net/dev"];

fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn host_tree(path: &'static str, recursive_attributes: MountAttrFlags) -> Source<'static> {
    let propagation = (MountPropagationFlags::PRIVATE, true);
    let owner = Owner::Plain;
    Source::Bind { path, recursive: true, idmap: false, recursive_attributes, propagation, owner }
}

/// Without ids that the map lacks: devpts' group 5 in a map of one id is EINVAL.
fn fitting<'a>(parameters: Vec<(&'a str, Option<&'a str>)>, spec: &Spec) -> Vec<(&'a str, Option<&'a str>)> {
    let map = spec.linux.id_map();
    let mapped = |(key, value): &(&str, Option<&str>)| {
        let Some(id) = value.and_then(|v| v.parse::<u32>().ok()) else { return true };
        match *key {
            "gid" => map.gids.is_empty() || map.gid_outside(id).is_some(),
            "uid" => map.uids.is_empty() || map.uid_outside(id).is_some(),
            _ => true,
        }
    };
    parameters.into_iter().filter(mapped).collect()
}

fn parent_steps(plan: &Plan<'_>, facts: &Facts, spec: &Spec) -> Vec<ParentStep> {
    let mut steps = vec![ParentStep::Clone { joining: !plan.joins.is_empty() }];
    if plan.writes_maps {
        steps.push(ParentStep::WriteMaps);
    }
    if !spec.process.rlimits.is_empty() || spec.process.oom_score_adj.is_some() {
        steps.push(ParentStep::PrepareChild);
    }
    if plan.in_userns && !facts.rootless {
        steps.push(ParentStep::OwnPipes);
    }
    if !facts.rootless {
        // The root first: a slow file system is then waited for while the child still works.
        steps.push(ParentStep::MakeRoot);
    }
    for (index, mount) in plan.mounts.iter().enumerate() {
        match mount.source {
            Source::Dev { .. } if !facts.rootless => steps.push(ParentStep::MakeDev(index)),
            _ if mount.is_opened() && !facts.rootless => steps.push(ParentStep::MakeBind(index)),
            Source::Cgroup if !facts.rootless => steps.push(ParentStep::MakeCgroupView(index)),
            _ => {}
        }
    }
    steps.extend([ParentStep::OpenCgroup, ParentStep::SendGo, ParentStep::AwaitExec]);
    steps
}

fn child_steps(plan: &Plan<'_>, facts: &Facts, spec: &Spec) -> Vec<ChildStep> {
    use ChildStep::*;
    let mut steps = vec![Prepare];
    if spec.linux.has(NsKind::Net) && !plan.joins.contains(&NsKind::Net) {
        steps.push(OwnNetwork);
    }
    if plan.writes_maps {
        steps.push(AwaitMaps);
    }
    steps.push(if plan.in_userns { BecomeRoot } else { CutPropagation });
    let indices = |wanted: fn(&Planned<'_>) -> bool| {
        plan.mounts.iter().enumerate().filter(move |(_, m)| wanted(m)).map(|(index, _)| index)
    };
    steps.extend(indices(|m| matches!(m.source, Source::FileSystem { .. })).map(MakeFileSystem));
    if facts.rootless {
        steps.push(MakeRoot);
        steps.extend(indices(|m| m.is_opened()).map(MakeBind));
        steps.extend(indices(|m| matches!(m.source, Source::Dev { .. })).map(MakeDev));
    }
    steps.extend([AwaitFds, JoinCgroup]);
    if spec.linux.has(NsKind::Cgroup) && !plan.joins.contains(&NsKind::Cgroup) {
        steps.push(OwnCgroups);
    }
    let detached = facts.kernel >= DETACHED_MOUNTS_SINCE && !facts.fallbacks.attached_mounts;
    if !detached {
        steps.push(AttachRoot);
    }
    steps.extend((0..plan.mounts.len()).map(Attach));
    if !spec.linux.sysctl.is_empty() {
        steps.push(Sysctls);
    }
    steps.extend([Mask, ReadOnlyPaths, MakeCwd]);
    if detached {
        steps.push(AttachRoot);
    }
    if spec.process.terminal {
        steps.push(Console);
    }
    if spec.root.readonly {
        steps.push(ReadOnlyRoot);
    }
    steps.push(Pivot);
    if !matches!(spec.linux.rootfs_propagation.as_str(), "" | "private" | "rprivate") {
        steps.push(RootPropagation);
    }
    // The name of a UTS namespace that is joined is its owner's.
    let named = !spec.hostname.is_empty() || !spec.domainname.is_empty();
    if named && !plan.joins.contains(&NsKind::Uts) {
        steps.push(Hostname);
    }
    steps
}
