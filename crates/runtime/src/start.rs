//! Starting a container: the parent's side of the plan.
//!
//! One straight line: plan, child, then the parent's steps in order. What fails drops the child, and with it its
//! namespaces and mounts: nothing was mounted in the host's mount namespace, so nothing is left there.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use corten_model::idmap::IdMap;
use corten_sys::{kernel_file, process};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::UnshareFlags;

use crate::cgroup;
use crate::channel::{Channel, PIECES_MAX, Word};
use crate::error::StartError;
use crate::init::{self, Init};
use crate::newborn::{self, Newborn, Roles};
use crate::plan::{self, Facts, Fallbacks, ParentStep, Plan, Source};
use crate::seccomp;
use crate::spec::{NsKind, Spec};
use crate::step::{Failure, Step, at, at_io};

pub(crate) use child::{own_pipes, prepare_child, set_oom_score};
pub use external::External;
use external::external;
pub(crate) use external::streams;

pub(crate) mod binds;
mod cgroup_view;
mod child;
pub(crate) mod devices;
mod external;
pub(crate) mod maps;
mod owner;

/// What makes a container's root file system.
pub trait Rootfs {
    /// Makes a detached mount of the root file system.
    ///
    /// As root it is called in the parent when the user namespace's maps are written, and `userns` is that
    /// namespace, for idmapping (`None`: the host's). Rootless it is called in the child, inside its user and mount
    /// namespaces, with `None`.
    fn mount(
        &self,
        userns: Option<BorrowedFd<'_>>,
    ) -> Result<OwnedFd, Box<dyn std::error::Error + Send + Sync>>;
}

/// A namespace of another container to enter.
#[derive(Debug)]
pub struct Join {
    /// Its kind.
    pub kind: NsKind,
    /// The namespace.
    pub fd: OwnedFd,
}

/// A process's standard streams.
#[derive(Debug)]
pub enum Stdio {
    /// These three.
    Fds {
        /// Standard input.
        stdin: OwnedFd,
        /// Standard output.
        stdout: OwnedFd,
        /// Standard error.
        stderr: OwnedFd,
    },
    /// A terminal of the container's own devpts; its master comes back.
    Terminal,
}

/// Everything that a start needs.
pub struct Launch<'a> {
    /// What is started.
    pub spec: &'a Spec,
    /// The caller isn't root of the host.
    pub rootless: bool,
    /// The root file system.
    pub rootfs: &'a dyn Rootfs,
    /// Namespaces of others.
    pub join: Vec<Join>,
    /// The files of images that the spec mounts by number.
    pub trees: Vec<&'a dyn Rootfs>,
    /// The `/dev/shm` of another container, by [`crate::shm_of`]; the spec has no mount there then.
    pub shm: Option<OwnedFd>,
    /// Where its processes are counted.
    pub cgroup: &'a cgroup::Cgroup,
    /// Its standard streams.
    pub stdio: Stdio,
    /// A reaper of ours is its first process.
    pub init: bool,
    /// Its system call filter.
    pub seccomp: Option<&'a seccomp::Filter>,
    /// What older kernels need, for tests.
    pub fallbacks: Fallbacks,
    /// Is told each stage as it is reached, in both processes.
    pub trace: Option<&'a dyn Fn(&'static str)>,
    /// Is called once while the child is on its way to its program and the parent would only wait for it.
    pub meanwhile: Option<&'a dyn Fn()>,
    /// Is asked last of all: the child waits for it at the edge of its program, and an error ends the start.
    pub consent: Option<&'a dyn Fn() -> Result<(), Withdrawn>>,
}

/// Whoever wanted the start doesn't any more, or can't be heard.
pub type Withdrawn = Box<dyn std::error::Error + Send + Sync>;

/// A process that became its program.
#[derive(Debug)]
pub struct Started {
    /// Its pid in the caller's pid namespace.
    pub pid: i32,
    /// The process itself.
    pub pidfd: OwnedFd,
    /// Its start time in clock ticks since boot: with the pid it names the process, also later and for others.
    pub start_time_ticks: u64,
    /// The master of its terminal.
    pub terminal: Option<OwnedFd>,
    /// What was asked for and couldn't be had.
    pub warnings: Vec<String>,
    /// What came in from outside.
    pub external: Vec<External>,
}

/// Starts a container. Returns when its first process has become its program, or nothing of it is left.
///
/// The calling process is single-threaded and its parent for good.
pub fn start(mut launch: Launch<'_>) -> Result<Started, StartError> {
    open_joins(&mut launch)?;
    let joins: Vec<NsKind> = launch.join.iter().map(|j| j.kind).collect();
    let facts = Facts {
        rootless: launch.rootless,
        kernel: kernel_version(),
        joins,
        shm: launch.shm.is_some(),
        fallbacks: launch.fallbacks,
    };
    let plan = plan::plan(launch.spec, &facts)?;
    if launch.spec.process.terminal != matches!(launch.stdio, Stdio::Terminal) {
        let invalid =
            corten_model::Invalid::new("standard streams", "", "a terminal is asked for in one place only");
        return Err(invalid.into());
    }
    let (child, channel) = give_birth(&launch, &plan)?;
    stamp(&launch, "cloned");
    let parent = Parent {
        launch: &launch,
        plan: &plan,
        channel,
        pid: child.pid(),
        map: launch.spec.linux.id_map(),
        userns: None,
        warnings: Vec::new(),
        skips_unified: child.in_cgroup(),
    };
    let (terminal, warnings) = parent.run(child.pid())?;
    finish(child, terminal, warnings, external(&launch, &plan))
}

/// What is left to do for a child that became its program.
pub(crate) fn finish(
    child: Newborn,
    terminal: Option<OwnedFd>,
    warnings: Vec<String>,
    external: Vec<External>,
) -> Result<Started, StartError> {
    let pid = child.pid();
    // It can't be reaped by others than us: the pid is still its own, even if it has ended.
    let path = format!("/proc/{pid}/stat");
    let stat = kernel_file::read(&path).map_err(at_io(Step::Inspect, &path))?;
    let start_time_ticks =
        process::start_time_ticks(&stat).ok_or_else(|| Failure::new(Step::Inspect, path, Errno::PROTO))?;
    Ok(Started { pid, pidfd: child.release(), start_time_ticks, terminal, warnings, external })
}

fn stamp(launch: &Launch<'_>, stage: &'static str) {
    if let Some(trace) = launch.trace {
        trace(stage);
    }
}

/// Namespaces that the spec names by path are joined like those that the caller has open.
fn open_joins(launch: &mut Launch<'_>) -> Result<(), StartError> {
    for namespace in launch.spec.linux.namespaces.iter().filter(|n| !n.path.is_empty()) {
        if launch.join.iter().all(|j| j.kind != namespace.kind) {
            let fd = rustix::fs::open(&namespace.path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .map_err(at(Step::Join, &namespace.path))?;
            launch.join.push(Join { kind: namespace.kind, fd });
        }
    }
    Ok(())
}

/// The running kernel's version; an unreadable one counts as the oldest.
fn kernel_version() -> (u32, u32) {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(['.', '-']).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The clone flag of a namespace.
pub(crate) fn flag(kind: NsKind) -> UnshareFlags {
    match kind {
        NsKind::User => UnshareFlags::NEWUSER,
        NsKind::Mount => UnshareFlags::NEWNS,
        NsKind::Pid => UnshareFlags::NEWPID,
        NsKind::Net => UnshareFlags::NEWNET,
        NsKind::Ipc => UnshareFlags::NEWIPC,
        NsKind::Uts => UnshareFlags::NEWUTS,
        NsKind::Cgroup => UnshareFlags::NEWCGROUP,
    }
}

fn give_birth(launch: &Launch<'_>, plan: &Plan<'_>) -> Result<(Newborn, Channel), Failure> {
    let namespaces = plan.new.iter().fold(UnshareFlags::empty(), |flags, kind| flags | flag(*kind));
    let cgroup = launch.cgroup.clone_into().filter(|_| !launch.fallbacks.join_cgroup);
    let join = (!plan.joins.is_empty()).then_some(|channel: &Channel, _: bool| {
        init::own_oom_score(&launch.spec.process, launch.rootless, channel)?;
        newborn::hide()?;
        for kind in &plan.joins {
            for join in launch.join.iter().filter(|j| j.kind == *kind) {
                rustix::thread::move_into_link_name_space(join.fd.as_fd(), Some(link_type(*kind)))
                    .map_err(at(Step::Join, kind.word()))?;
            }
        }
        Ok(())
    });
    let main = |channel: &Channel| init::run(&mut Init::new(launch, plan, channel));
    newborn::spawn(namespaces, cgroup, Roles { join, main })
}

fn link_type(kind: NsKind) -> rustix::thread::LinkNameSpaceType {
    use rustix::thread::LinkNameSpaceType as Link;
    match kind {
        NsKind::User => Link::User,
        NsKind::Mount => Link::Mount,
        NsKind::Pid => Link::ProcessID,
        NsKind::Net => Link::Network,
        NsKind::Ipc => Link::InterProcessCommunication,
        NsKind::Uts => Link::HostNameAndNISDomainName,
        NsKind::Cgroup => Link::ControlGroup,
    }
}

struct Parent<'a> {
    launch: &'a Launch<'a>,
    plan: &'a Plan<'a>,
    channel: Channel,
    pid: i32,
    map: IdMap,
    userns: Option<OwnedFd>,
    warnings: Vec<String>,
    skips_unified: bool,
}

impl Parent<'_> {
    fn run(mut self, pid: i32) -> Result<(Option<OwnedFd>, Vec<String>), StartError> {
        let steps = &self.plan.parent;
        for step in steps {
            if let Err(error) = self.step(*step) {
                return Err(self.failure_of_child(error));
            }
            if matches!(step, ParentStep::Clone { .. }) && self.plan.in_userns && !self.plan.writes_maps {
                self.enter_userns(pid)?;
            }
        }
        if let Some(meanwhile) = self.launch.meanwhile {
            meanwhile();
        }
        if let Some(consent) = self.launch.consent {
            consent().map_err(StartError::Withdrawn)?;
            self.channel.send(Word::Run, &[], &[]).map_err(|failure| self.failure_of_child(failure))?;
        }
        let (terminal, mut warnings) = await_exec(&self.channel)?;
        stamp(self.launch, "started");
        self.warnings.append(&mut warnings);
        Ok((terminal, self.warnings))
    }

    /// A child that failed is often why: what it said is worth more than our EPIPE.
    fn failure_of_child(&self, ours: impl Into<StartError>) -> StartError {
        self.channel.last_failure().map_or_else(|| ours.into(), Into::into)
    }

    fn step(&mut self, step: ParentStep) -> Result<(), StartError> {
        match step {
            // Done before, and after.
            ParentStep::Clone { .. } | ParentStep::AwaitExec => Ok(()),
            ParentStep::WriteMaps => self.write_maps(),
            ParentStep::PrepareChild => {
                self.warnings.extend(prepare_child(
                    self.pid,
                    &self.launch.spec.process,
                    self.launch.rootless,
                )?);
                Ok(())
            }
            ParentStep::OwnPipes => Ok(self.own_pipes()?),
            ParentStep::MakeRoot => self.make_root(),
            ParentStep::MakeDev(index) => Ok(self.make_dev(index)?),
            ParentStep::MakeBind(index) => Ok(self.make_bind(index)?),
            ParentStep::MakeCgroupView(index) => Ok(self.make_cgroup_view(index)?),
            ParentStep::OpenCgroup => self.open_cgroup(),
            ParentStep::SendGo => Ok(self.channel.send(Word::Go, &[], &[])?),
        }
    }

    fn write_maps(&mut self) -> Result<(), StartError> {
        maps::write(self.pid, &self.map, self.launch.rootless)?;
        self.channel.send(Word::Maps, &[], &[])?;
        stamp(self.launch, "mapped");
        self.open_userns()
    }

    /// The user namespace was made by others: its map is asked of the kernel.
    fn enter_userns(&mut self, pid: i32) -> Result<(), StartError> {
        self.map = maps::read(pid)?;
        self.open_userns()
    }

    fn open_userns(&mut self) -> Result<(), StartError> {
        if !self.launch.rootless {
            let path = format!("/proc/{}/ns/user", self.pid);
            let fd = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
            self.userns = Some(fd.map_err(at(Step::Inspect, path))?);
        }
        Ok(())
    }

    /// A pipe belongs to whoever made it: the container's root, another id, couldn't open `/dev/stdout`.
    fn own_pipes(&self) -> Result<(), Failure> {
        let Stdio::Fds { stdin, stdout, stderr } = &self.launch.stdio else { return Ok(()) };
        let (uid, gid) = devices::Owners::new(Some(&self.map)).outside(0, 0);
        own_pipes([stdin, stdout, stderr], uid, gid)
    }

    fn make_root(&mut self) -> Result<(), StartError> {
        let root =
            self.launch.rootfs.mount(self.userns.as_ref().map(AsFd::as_fd)).map_err(StartError::RootFs)?;
        stamp(self.launch, "rootfs");
        Ok(self.channel.send(Word::Root, &[], &[root.as_fd()])?)
    }

    fn make_dev(&mut self, index: usize) -> Result<(), Failure> {
        let planned = &self.plan.mounts[index];
        let Source::Dev { parameters } = &planned.source else { return Ok(()) };
        let owners = devices::Owners::new(self.plan.in_userns.then_some(&self.map));
        let devices = &self.launch.spec.linux.devices;
        let dev = devices::with_nodes(parameters, planned.attributes, &owners, devices)?;
        stamp(self.launch, "devices");
        self.send_pieces(index, &[binds::Piece { below: String::new(), mount: dev }])
    }

    fn make_bind(&mut self, index: usize) -> Result<(), Failure> {
        let world = binds::World {
            userns: self.userns.as_ref().map(AsFd::as_fd),
            map: self.plan.in_userns.then_some(&self.map),
            trees: &self.launch.trees,
            singly: self.launch.fallbacks.single_idmaps,
        };
        let opened = binds::open(&self.plan.mounts[index], &world)?;
        self.warnings.extend(opened.warning);
        self.send_pieces(index, &opened.pieces)
    }

    fn make_cgroup_view(&mut self, index: usize) -> Result<(), Failure> {
        let planned = &self.plan.mounts[index];
        let pieces = cgroup_view::open(&self.launch.cgroup.directories(), planned.attributes)?;
        self.send_pieces(index, &pieces)
    }

    fn send_pieces(&self, index: usize, pieces: &[binds::Piece]) -> Result<(), Failure> {
        for chunk in pieces.chunks(PIECES_MAX) {
            let mut bytes = (index as u16).to_le_bytes().to_vec();
            bytes.extend_from_slice(
                chunk.iter().map(|p| p.below.as_str()).collect::<Vec<_>>().join("\0").as_bytes(),
            );
            let fds: Vec<BorrowedFd<'_>> = chunk.iter().map(|p| p.mount.as_fd()).collect();
            self.channel.send(Word::Pieces, &bytes, &fds)?;
        }
        Ok(())
    }

    fn open_cgroup(&self) -> Result<(), StartError> {
        let fds = join_fds(self.launch.cgroup, self.skips_unified)?;
        let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        stamp(self.launch, "cgroup");
        Ok(self.channel.send(Word::Cgroup, &[], &fds)?)
    }
}

/// The files to join `cgroup` with; without version 2 where the child was born in it, as a write to
/// `cgroup.procs` waits for RCU.
pub(crate) fn join_fds(cgroup: &cgroup::Cgroup, skips_unified: bool) -> Result<Vec<OwnedFd>, StartError> {
    let mut fds =
        cgroup.join_fds().map_err(|source| StartError::Cgroup { path: cgroup.path().to_owned(), source })?;
    if skips_unified {
        fds.retain(|fd| !is_version_2(fd));
    }
    Ok(fds)
}

/// Whether this is a file of control groups of version 2.
pub(crate) fn is_version_2(fd: &OwnedFd) -> bool {
    rustix::fs::fstatfs(fd).is_ok_and(|fs| fs.f_type as u64 == CGROUP2_MAGIC)
}

const CGROUP2_MAGIC: u64 = 0x6367_7270;

/// Hears the child out: its terminal and warnings, until it is its program or failed.
pub(crate) fn await_exec(channel: &Channel) -> Result<(Option<OwnedFd>, Vec<String>), StartError> {
    let (mut terminal, mut warnings, mut ready) = (None, Vec::new(), false);
    while let Some(message) = channel.receive_in_time()? {
        match message.word {
            Word::Terminal => terminal = message.fds.into_iter().next(),
            Word::Warning => warnings.push(String::from_utf8_lossy(&message.bytes).into_owned()),
            Word::Ready => ready = true,
            Word::Failed => {
                return Err(Failure::decode(&message.bytes).unwrap_or_else(newborn::garbled).into());
            }
            _ => return Err(newborn::garbled().into()),
        }
    }
    if ready { Ok((terminal, warnings)) } else { Err(StartError::Died) }
}
