//! A world of its own for each case: an image of busybox, a spec to change, a cgroup that is removed.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use corten_model::capability::CapSet;
use corten_runtime::cgroup::{Cgroup, Host, Limits};
use corten_runtime::spec::{
    Capabilities, IdMapping, Linux, Mount, Namespace, NsKind, Process, Root, Spec, User,
};
use corten_runtime::{
    ExecLaunch, Fallbacks, Join, Launch, Rootfs, StartError, Started, Stdio, Withdrawn, exec, start,
};
use corten_sys::mount::{Attributes, clone_path, set_attributes};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

/// The first id of the containers on the host.
pub const FIRST_ID: u32 = 1_500_000_000;
const PATIENCE: Duration = Duration::from_secs(20);
const APPLETS: &str = "sh cat ls id echo env mount mkdir touch sleep true false hostname ip stat readlink test \
    tty stty kill ps grep mknod chmod ln rm wc head dd pwd umask printf sync unshare nc";

/// A stage, and what somebody else does just then.
pub type Race = (&'static str, Box<dyn Fn()>);

/// The image, the cgroup and the spec of one case.
pub struct World {
    pub dir: tempfile::TempDir,
    pub cgroup: Cgroup,
    pub spec: Spec,
    pub fallbacks: Fallbacks,
    pub init: bool,
    pub rootless: bool,
    pub overlay: bool,
    pub seccomp: Option<corten_runtime::seccomp::Filter>,
    pub join: Vec<Join>,
    /// What the child does when it comes to this stage: somebody else's part of a race.
    pub at: Option<Race>,
    /// What is asked before the program runs.
    pub consent: Option<&'static dyn Fn() -> Result<(), Withdrawn>>,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.cgroup.kill_all();
        let _ = self.cgroup.remove();
    }
}

/// A root file system that is a directory of the host.
pub struct Directory<'a>(pub &'a Path);

impl Rootfs for Directory<'_> {
    fn mount(
        &self,
        userns: Option<BorrowedFd<'_>>,
    ) -> Result<OwnedFd, Box<dyn std::error::Error + Send + Sync>> {
        let mount = clone_path(self.0.to_str().unwrap(), false)?;
        set_attributes(mount.as_fd(), Attributes { idmap: userns, ..Attributes::default() })?;
        Ok(mount)
    }
}

/// The same as a read-only overlay, a file system of its own.
pub struct Overlay<'a>(pub &'a Path);

impl Rootfs for Overlay<'_> {
    fn mount(&self, _: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Box<dyn std::error::Error + Send + Sync>> {
        let lower = format!("{0}:{0}/../empty", self.0.to_str().unwrap());
        let none = rustix::mount::MountAttrFlags::empty();
        Ok(corten_sys::mount::new_detached("overlay", None, &[("lowerdir", Some(&lower))], none)?)
    }
}

/// What a process left behind.
#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub out: String,
    pub err: String,
    pub warnings: Vec<String>,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        for name in ["bin", "etc", "tmp", "proc", "sys", "dev", "root", "srv"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        fs::create_dir(dir.path().join("empty")).unwrap();
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        for applet in APPLETS.split_ascii_whitespace() {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:33:44::/srv:/bin/sh\n").unwrap();
        fs::write(root.join("etc/group"), "root:x:0:\nweb:x:44:\nlog:x:4:web\n").unwrap();
        let name = format!(
            "corten-test-{}",
            dir.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.')
        );
        let (cgroup, _) = Host::detect().unwrap().create(&name, &Limits::default()).unwrap();
        Self {
            dir,
            cgroup,
            spec: spec(),
            fallbacks: Fallbacks::default(),
            init: false,
            rootless: false,
            overlay: false,
            seccomp: None,
            join: Vec::new(),
            at: None,
            consent: None,
        }
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// The host's user namespace.
    pub fn without_userns(mut self) -> Self {
        self.spec.linux.namespaces.retain(|n| n.kind != NsKind::User);
        self.spec.linux.uid_mappings.clear();
        self.spec.linux.gid_mappings.clear();
        self
    }

    pub fn launch(&mut self, stdio: Stdio) -> Result<Started, StartError> {
        let root = self.root();
        let (directory, overlay) = (Directory(&root), Overlay(&root));
        let join = std::mem::take(&mut self.join);
        let trace = |stage: &'static str| self.come_to(stage);
        start(Launch {
            spec: &self.spec,
            rootless: self.rootless,
            rootfs: if self.overlay { &overlay } else { &directory },
            join,
            trees: Vec::new(),
            shm: None,
            cgroup: &self.cgroup,
            stdio,
            init: self.init,
            seccomp: self.seccomp.as_ref(),
            fallbacks: self.fallbacks,
            trace: Some(&trace),
            meanwhile: None,
            consent: self.consent,
        })
    }

    /// Plays the part that belongs to a stage; in the process that comes to it.
    fn come_to(&self, stage: &'static str) {
        if let Some((_, act)) = self.at.as_ref().filter(|(at, _)| *at == stage) {
            act();
        }
    }

    /// Runs `sh -c script` to its end.
    pub fn sh(&mut self, script: &str) -> Output {
        self.spec.process.args = ["sh", "-c", script].map(String::from).to_vec();
        self.run().unwrap()
    }

    pub fn run(&mut self) -> Result<Output, StartError> {
        let (stdio, out, err) = streams();
        let started = self.launch(stdio)?;
        Ok(collect(&started, out, err))
    }

    /// The error of a start that must fail; nothing may be left of it.
    pub fn error(&mut self) -> StartError {
        let (stdio, _out, _err) = streams();
        let error = self.launch(stdio).expect_err("it must not start");
        let left = waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        assert_eq!(left.unwrap_err(), rustix::io::Errno::CHILD, "a child is left");
        assert_eq!(self.cgroup.pids().unwrap(), Vec::<i32>::new(), "a process is left");
        error
    }

    /// Starts a container that sleeps until it is killed.
    pub fn sleeper(&mut self) -> Sleeper {
        self.spec.process.args = ["sleep", "1000"].map(String::from).to_vec();
        let (stdio, _out, _err) = streams();
        Sleeper(self.launch(stdio).unwrap())
    }

    pub fn exec(&self, into: &Sleeper, process: &Process) -> Result<Output, StartError> {
        let (stdio, out, err) = streams();
        let started = self.exec_with(into, process, stdio)?;
        Ok(collect(&started, out, err))
    }

    pub fn exec_with(&self, into: &Sleeper, process: &Process, stdio: Stdio) -> Result<Started, StartError> {
        exec(ExecLaunch {
            pid: into.0.pid,
            pidfd: into.0.pidfd.as_fd(),
            rootless: self.rootless,
            process,
            cgroup: &self.cgroup,
            stdio,
            seccomp: self.seccomp.as_ref(),
            trace: Some(&|stage| self.come_to(stage)),
        })
    }
}

/// A running container, killed when it is dropped.
pub struct Sleeper(pub Started);

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(&self.0.pidfd, Signal::KILL);
        wait(&self.0.pidfd);
    }
}

/// A process as `sh -c script`.
pub fn shell(script: &str) -> Process {
    Process { args: ["sh", "-c", script].map(String::from).to_vec(), ..spec().process }
}

pub fn streams() -> (Stdio, OwnedFd, OwnedFd) {
    let stdin = File::open("/dev/null").unwrap().into();
    let (out, stdout) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let (err, stderr) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    (Stdio::Fds { stdin, stdout, stderr }, out, err)
}

pub fn collect(started: &Started, out: OwnedFd, err: OwnedFd) -> Output {
    let code = wait(&started.pidfd);
    let text = |fd: OwnedFd| {
        let mut text = String::new();
        File::from(fd).read_to_string(&mut text).unwrap();
        text
    };
    Output { code, out: text(out), err: text(err), warnings: started.warnings.clone() }
}

/// Waits for the end of a process, not for ever.
pub fn wait(pidfd: &OwnedFd) -> i32 {
    readable(pidfd.as_fd());
    let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
    status.exit_status().or(status.terminating_signal().map(|s| 128 + s)).unwrap()
}

pub fn readable(fd: BorrowedFd<'_>) {
    let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    let ready = poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&patience)).unwrap();
    assert_eq!(ready, 1, "nothing happened in {PATIENCE:?}");
}

/// Reads a terminal's master until its slave is closed.
pub fn read_terminal(master: OwnedFd) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        readable(master.as_fd());
        match rustix::io::read(&master, &mut buffer) {
            Ok(0) | Err(rustix::io::Errno::IO) => break,
            Ok(length) => text.write_all(&buffer[..length]).unwrap(),
            Err(error) => panic!("{error}"),
        }
    }
    String::from_utf8(text).unwrap()
}

pub fn mount(destination: &str, kind: &str, source: &str, options: &str) -> Mount {
    let options = options.split(',').filter(|o| !o.is_empty()).map(str::to_owned).collect();
    let (destination, kind, source) = (destination.into(), kind.into(), source.into());
    Mount { destination, kind, source, options, ..Mount::default() }
}

fn spec() -> Spec {
    use NsKind::{Cgroup, Ipc, Net, Pid, User as UserNs, Uts};
    let kinds = [NsKind::Mount, Pid, Ipc, Uts, Net, Cgroup, UserNs];
    let mapping = vec![IdMapping { container_id: 0, host_id: FIRST_ID, size: 65_536 }];
    let default: Vec<_> = CapSet::DEFAULT.iter().collect();
    let strings = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<String>>();
    Spec {
        oci_version: "1.2.0".into(),
        process: Process {
            user: User::default(),
            args: strings(&["true"]),
            env: strings(&["PATH=/bin"]),
            cwd: "/".into(),
            capabilities: Some(Capabilities {
                bounding: default.clone(),
                effective: default.clone(),
                permitted: default,
                ..Capabilities::default()
            }),
            ..Process::default()
        },
        root: Root::default(),
        hostname: "box".into(),
        mounts: vec![
            mount("/proc", "proc", "proc", "nosuid,noexec,nodev"),
            mount("/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"),
            mount("/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"),
            mount("/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro"),
            mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro,nosuid,noexec,nodev"),
            mount("/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"),
            mount("/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=67108864"),
        ],
        linux: Linux {
            namespaces: kinds.map(|kind| Namespace { kind, path: String::new() }).to_vec(),
            uid_mappings: mapping.clone(),
            gid_mappings: mapping,
            masked_paths: strings(&[
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
            ]),
            readonly_paths: strings(&[
                "/proc/bus",
                "/proc/fs",
                "/proc/irq",
                "/proc/sys",
                "/proc/sysrq-trigger",
            ]),
            ..Linux::default()
        },
        ..Spec::default()
    }
}
