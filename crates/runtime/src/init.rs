//! The child's side of the plan: from a fresh process to the edge of `process`.
//!
//! It walks the plan's steps; each is one method here or in `init/`. The first failure ends it: what happens then
//! is `newborn`'s.

use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};

use corten_sys::path::Root;
use corten_sys::{mount, net, process as sys_process};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountPropagationFlags, UnmountFlags};
use rustix::thread::UnshareFlags;

use crate::channel::{Channel, Word};
use crate::newborn::{garbled, hide};
use crate::plan::{ChildStep, Plan};
use crate::process::{Ending, become_program, become_root};
use crate::spec::Process;
use crate::start::binds::{self, Piece};
use crate::start::{Launch, set_oom_score};
use crate::step::{Failure, Step, at, at_io};
use crate::terminal::{self, Pty};

mod attach;
mod protect;

/// Directories of the host that the root may be attached on: in the child's own mount namespace, for the moment
/// until it becomes the root.
const ROOT_PLACES: [&str; 4] = ["/tmp", "/mnt", "/sys", "/proc"];
const UMASK: u32 = 0o022;

/// The child while it starts.
pub struct Init<'a> {
    launch: &'a Launch<'a>,
    plan: &'a Plan<'a>,
    channel: &'a Channel,
    root: Option<Root>,
    /// For each planned mount what will be attached.
    mounts: Vec<Vec<Piece>>,
    /// Rootless: names in `/dev`, and the host's nodes that belong there.
    nodes: Vec<(String, String)>,
    cgroup: Vec<OwnedFd>,
    terminal: Option<Pty>,
    root_attached: bool,
}

/// Walks the steps and becomes the program; returns only if something failed.
pub fn run(init: &mut Init<'_>) -> Result<Infallible, Failure> {
    let plan = init.plan;
    for step in &plan.child {
        init.step(*step)?;
    }
    let launch = init.launch;
    become_program(Ending {
        process: &launch.spec.process,
        stdio: &launch.stdio,
        terminal: init.terminal.take(),
        seccomp: launch.seccomp,
        reaper: launch.init,
        awaits_consent: launch.consent.is_some(),
        channel: init.channel,
        trace: launch.trace,
    })
}

impl<'a> Init<'a> {
    /// A child that hasn't done anything.
    pub fn new(launch: &'a Launch<'a>, plan: &'a Plan<'a>, channel: &'a Channel) -> Self {
        let mounts = plan.mounts.iter().map(|_| Vec::new()).collect();
        Self {
            launch,
            plan,
            channel,
            root: None,
            mounts,
            nodes: Vec::new(),
            cgroup: Vec::new(),
            terminal: None,
            root_attached: false,
        }
    }

    fn step(&mut self, step: ChildStep) -> Result<(), Failure> {
        // Where tests play races: what is about to be protected can be swapped here.
        match step {
            ChildStep::Sysctls => self.stamp("child: sysctls"),
            ChildStep::Mask => self.stamp("child: masks"),
            ChildStep::Console => self.stamp("child: console"),
            _ => {}
        }
        match step {
            ChildStep::Prepare => self.prepare(),
            ChildStep::OwnNetwork => self.own_network(),
            ChildStep::AwaitMaps => self.channel.expect(Word::Maps).map(drop),
            ChildStep::BecomeRoot => self.become_root(),
            ChildStep::CutPropagation => cut_propagation(),
            ChildStep::MakeFileSystem(index) => self.make_file_system(index),
            ChildStep::AwaitFds => self.await_fds(),
            ChildStep::MakeRoot => self.make_root(),
            ChildStep::MakeBind(index) => self.make_bind(index),
            ChildStep::MakeDev(index) => self.make_dev(index),
            ChildStep::JoinCgroup => join_cgroup(&std::mem::take(&mut self.cgroup)),
            ChildStep::OwnCgroups => {
                sys_process::unshare(UnshareFlags::NEWCGROUP).map_err(at(Step::Unshare, "cgroup"))
            }
            ChildStep::AttachRoot => self.attach_root(),
            ChildStep::Attach(index) => self.attach(index),
            ChildStep::Sysctls => self.sysctls(),
            ChildStep::Mask => self.mask(),
            ChildStep::ReadOnlyPaths => self.read_only_paths(),
            ChildStep::MakeCwd => self.make_cwd(),
            ChildStep::Console => self.console(),
            ChildStep::ReadOnlyRoot => self.read_only_root(),
            ChildStep::Pivot => self.pivot(),
            ChildStep::RootPropagation => self.root_propagation(),
            ChildStep::Hostname => self.hostname(),
        }
    }

    fn stamp(&self, stage: &'static str) {
        if let Some(trace) = self.launch.trace {
            trace(stage);
        }
    }

    fn root(&self) -> Result<&Root, Failure> {
        self.root.as_ref().ok_or_else(garbled)
    }

    fn prepare(&mut self) -> Result<(), Failure> {
        self.stamp("child");
        rustix::process::umask(Mode::from_raw_mode(UMASK));
        if self.plan.joins.is_empty() {
            own_oom_score(&self.launch.spec.process, self.launch.rootless, self.channel)?;
        }
        match self.launch.rootless && self.plan.writes_maps {
            // The parent, not root, writes the maps through /proc: it must own them until then. Nobody else is in
            // these namespaces yet.
            true => corten_sys::prctl::die_with_parent().map_err(at(Step::Prepare, "")),
            false => hide(),
        }
    }

    fn own_network(&mut self) -> Result<(), Failure> {
        sys_process::unshare(UnshareFlags::NEWNET).map_err(at(Step::Unshare, "net"))?;
        net::loopback_up().map_err(at(Step::Loopback, "lo"))?;
        self.stamp("child: network");
        Ok(())
    }

    fn become_root(&mut self) -> Result<(), Failure> {
        become_root()?;
        self.stamp("child: root");
        hide()
    }

    fn await_fds(&mut self) -> Result<(), Failure> {
        self.stamp("child: waits");
        loop {
            let message = self.channel.receive()?;
            let message = message.ok_or_else(|| Failure::new(Step::Talk, "", Errno::PIPE))?;
            match message.word {
                Word::Go => break,
                Word::Root => self.adopt_root(message.fds.into_iter().next().ok_or_else(garbled)?)?,
                Word::Cgroup => self.cgroup = message.fds,
                Word::Pieces => {
                    let (index, names) = message.bytes.split_first_chunk::<2>().ok_or_else(garbled)?;
                    let slot = self.mounts.get_mut(usize::from(u16::from_le_bytes(*index)));
                    let names = names.split(|b| *b == 0).map(|n| String::from_utf8_lossy(n).into_owned());
                    let pieces = names.zip(message.fds).map(|(below, mount)| Piece { below, mount });
                    slot.ok_or_else(garbled)?.extend(pieces);
                }
                _ => return Err(garbled()),
            }
        }
        self.stamp("child: goes on");
        Ok(())
    }

    fn make_root(&mut self) -> Result<(), Failure> {
        let failed = |why| Failure::because(Step::RootFs, "", Errno::INVAL, why);
        let mount = self.launch.rootfs.mount(None).map_err(|error| failed(binds::chain(&*error)))?;
        self.adopt_root(mount)
    }

    /// A clone of a shared mount, which all are on hosts with systemd, is one of its peers: mounts of the container
    /// would travel to the host, and pivot_root refuses such a root.
    fn adopt_root(&mut self, root: OwnedFd) -> Result<(), Failure> {
        let private = mount::Attributes {
            propagation: Some(MountPropagationFlags::PRIVATE),
            recursive: true,
            ..mount::Attributes::default()
        };
        mount::set_attributes(root.as_fd(), private).map_err(at(Step::MountAttributes, "/"))?;
        self.root = Some(Root::from_fd(root));
        Ok(())
    }

    fn attach_root(&mut self) -> Result<(), Failure> {
        if std::mem::replace(&mut self.root_attached, true) {
            return Ok(());
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let place = ROOT_PLACES.into_iter().find_map(|p| rustix::fs::open(p, flags, Mode::empty()).ok());
        let place = place.ok_or_else(|| Failure::new(Step::Attach, "/", Errno::NOENT))?;
        mount::attach(self.root()?.as_fd(), place.as_fd()).map_err(at(Step::Attach, "/"))
    }

    fn make_cwd(&mut self) -> Result<(), Failure> {
        let cwd = &self.launch.spec.process.cwd;
        match self.root()?.create_dirs(cwd.as_ref(), Mode::from_raw_mode(0o755)) {
            Ok(_) => Ok(()),
            // A read-only image without it: the change to it will say so.
            Err(error) if error.raw_os_error() == Some(Errno::ROFS.raw_os_error()) => Ok(()),
            Err(error) => Err(at_io(Step::Cwd, cwd)(error)),
        }
    }

    fn console(&mut self) -> Result<(), Failure> {
        let root = self.root()?;
        let pty = terminal::open(root, self.launch.spec.process.console_size)?;
        attach::console(root, &pty)?;
        self.terminal = Some(pty);
        Ok(())
    }

    fn read_only_root(&mut self) -> Result<(), Failure> {
        let read_only =
            mount::Attributes { set: MountAttrFlags::MOUNT_ATTR_RDONLY, ..mount::Attributes::default() };
        mount::set_attributes(self.root()?.as_fd(), read_only).map_err(at(Step::ReadOnly, "/"))
    }

    /// pivot_root with both on the same place stacks the old root on the new one, whence it can be detached without
    /// a directory for it in the image. Unlike chroot, nothing of the host is left to escape to.
    fn pivot(&mut self) -> Result<(), Failure> {
        self.stamp("child: mounted");
        rustix::process::fchdir(self.root()?.as_fd()).map_err(at(Step::Pivot, "/"))?;
        rustix::process::pivot_root(".", ".").map_err(at(Step::Pivot, "/"))?;
        rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(at(Step::Pivot, "the host's root"))?;
        rustix::process::chdir("/").map_err(at(Step::Pivot, "/"))?;
        self.stamp("child: pivoted");
        Ok(())
    }

    fn root_propagation(&mut self) -> Result<(), Failure> {
        let word = self.launch.spec.linux.rootfs_propagation.as_str();
        let (recursive, word) = match word.strip_prefix('r') {
            Some(rest) => (true, rest),
            None => (false, word),
        };
        let propagation = match word {
            "shared" => MountPropagationFlags::SHARED,
            "slave" => MountPropagationFlags::DOWNSTREAM,
            _ => MountPropagationFlags::UNBINDABLE,
        };
        let attributes =
            mount::Attributes { propagation: Some(propagation), recursive, ..mount::Attributes::default() };
        mount::set_attributes(self.root()?.as_fd(), attributes).map_err(at(Step::MountAttributes, "/"))
    }

    fn hostname(&mut self) -> Result<(), Failure> {
        let spec = self.launch.spec;
        if !spec.hostname.is_empty() {
            rustix::system::sethostname(spec.hostname.as_bytes())
                .map_err(at(Step::Hostname, &spec.hostname))?;
        }
        if !spec.domainname.is_empty() {
            rustix::system::setdomainname(spec.domainname.as_bytes())
                .map_err(at(Step::Hostname, &spec.domainname))?;
        }
        Ok(())
    }
}

fn cut_propagation() -> Result<(), Failure> {
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", slave).map_err(at(Step::Propagation, "/"))
}

/// Writes `0`, which is the writer itself, into each file.
pub(crate) fn join_cgroup(files: &[OwnedFd]) -> Result<(), Failure> {
    for file in files {
        rustix::io::write(file, b"0").map_err(at(Step::Cgroup, ""))?;
    }
    Ok(())
}

/// Rootless a process sets its OOM score itself; before it is undumpable, when the file belongs to root.
pub(crate) fn own_oom_score(process: &Process, rootless: bool, channel: &Channel) -> Result<(), Failure> {
    match process.oom_score_adj.filter(|_| rootless) {
        Some(score) => match set_oom_score("/proc/self/oom_score_adj", score)? {
            Some(warning) => channel.warn(&warning),
            None => Ok(()),
        },
        None => Ok(()),
    }
}
