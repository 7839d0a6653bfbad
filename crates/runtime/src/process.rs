//! The last part of a process's making, the same for a start and an exec: it is in its namespaces, its root is the
//! container's, and it has all their capabilities. What follows gives them up, one after the other, and ends in
//! execve.

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use corten_model::capability::{CapSet, Capability};
use corten_sys::path::Root;
use corten_sys::process::{CloneInto, Forked, block_signals, clone3, execve, exit_now, reset_signals};
use corten_sys::{caps, prctl, seccomp as sys_seccomp};
use rustix::fs::{FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;
use rustix::process::{getrlimit, setrlimit};
use rustix::thread::{CapabilitiesSecureBits, UnshareFlags};

use crate::channel::{Channel, Word};
use crate::limits;
use crate::newborn::hide;
use crate::program;
use crate::reaper;
use crate::seccomp;
use crate::spec::{Capabilities, Process};
use crate::start::Stdio;
use crate::step::{Failure, Step, at, at_io};
use crate::terminal::{self, Pty};
use crate::user::{Identity, identify};

const FIRST_FD: u32 = 3;
const UMASK: u32 = 0o022;
const PROC_MAGIC: u64 = 0x9fa0;

/// What the last part needs.
pub struct Ending<'a> {
    /// What it becomes.
    pub process: &'a Process,
    /// Its standard streams.
    pub stdio: &'a Stdio,
    /// Its terminal, if that was made before.
    pub terminal: Option<Pty>,
    /// Its filter.
    pub seccomp: Option<&'a seccomp::Filter>,
    /// It stays as a reaper, and the program is its child.
    pub reaper: bool,
    /// The parent says when the program may run.
    pub awaits_consent: bool,
    /// Where the parent listens.
    pub channel: &'a Channel,
    /// Is told each stage.
    pub trace: Option<&'a dyn Fn(&'static str)>,
}

/// Id 0 of the user namespace, without the groups that came along.
pub fn become_root() -> Result<(), Failure> {
    match rustix::thread::set_thread_groups(&[]) {
        // A map that was written without privileges: groups can't be changed there.
        Ok(()) | Err(Errno::PERM) => {}
        Err(errno) => return Err(at(Step::BecomeRoot, "groups")(errno)),
    }
    let (gid, uid) = (Gid::ROOT, Uid::ROOT);
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(at(Step::BecomeRoot, "gid"))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(at(Step::BecomeRoot, "uid"))
}

/// Becomes the program. Returns only if something failed.
pub fn become_program(mut ending: Ending<'_>) -> Result<Infallible, Failure> {
    let process = ending.process;
    let root = Root::open(Path::new("/")).map_err(at_io(Step::Pivot, "/"))?;
    if matches!(ending.stdio, Stdio::Terminal) && ending.terminal.is_none() {
        ending.terminal = Some(terminal::open(&root, process.console_size)?);
    }
    let identity = identify(&root, &process.user)?;
    rustix::process::setsid().map_err(at(Step::Stdio, "session"))?;
    arrange_streams(&mut ending, &identity)?;
    change_directory(&root, &process.cwd)?;
    drop(root);
    let label = open_label(process)?;
    rustix::process::umask(Mode::from_raw_mode(process.user.umask.unwrap_or(UMASK) & 0o777));
    let sets = Sets::of(process.capabilities.as_ref());
    limit_capabilities(&sets, ending.channel)?;
    take_identity(&identity, ending.channel)?;
    // Changed ids made it dumpable again if the host's sysctl says so, and took the death signal.
    hide()?;
    let environment = environment(process, &identity);
    let program = program::find(&process.args[0], &environment)?;
    program::refuse_magic(&program)?;
    let arguments = strings(&process.args)?;
    let environment = strings(&environment)?;
    write_label(process, label)?;
    set_limits(process, ending.channel)?;
    if process.no_new_privileges {
        rustix::thread::set_no_new_privs(true).map_err(at(Step::Capabilities, "no_new_privs"))?;
    }
    prctl::close_on_exec_from(FIRST_FD).map_err(at(Step::Stdio, "descriptors"))?;
    if let Some(trace) = ending.trace {
        trace("child: ready");
    }
    if ending.awaits_consent {
        // Before the filter, which may forbid to hear.
        ending.channel.expect(Word::Run)?;
    }
    ending.channel.send(Word::Ready, &[], &[])?;
    if ending.reaper {
        fork_program(&ending, &sets)?;
    }
    reset_signals();
    // Here and not later: a filter may forbid prctl.
    prctl::outlive_parent().map_err(at(Step::Prepare, ""))?;
    confine(process, ending.seccomp, &sets)?;
    let errno = execve(&program, &arguments, &environment);
    Err(Failure::new(Step::Exec, &process.args[0], errno))
}

fn strings(strings: &[String]) -> Result<Vec<CString>, Failure> {
    let convert =
        |s: &String| CString::new(s.as_str()).map_err(|_| Failure::new(Step::Exec, s, Errno::INVAL));
    strings.iter().map(convert).collect()
}

/// The process's environment, with the home of its user if it says none.
fn environment(process: &Process, identity: &Identity) -> Vec<String> {
    let mut environment = process.env.clone();
    if !environment.iter().any(|v| v.starts_with("HOME=")) {
        environment.push(format!("HOME={}", identity.home));
    }
    environment
}

fn arrange_streams(ending: &mut Ending<'_>, identity: &Identity) -> Result<(), Failure> {
    let fail = |errno| Failure::new(Step::Stdio, "", errno);
    match ending.stdio {
        Stdio::Fds { stdin, stdout, stderr } => {
            // A source may have the number that another one goes to: all are moved out of the way first.
            let above = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, FIRST_FD as i32).map_err(fail);
            let (stdin, stdout, stderr) = (above(stdin)?, above(stdout)?, above(stderr)?);
            place_streams(stdin.as_fd(), stdout.as_fd(), stderr.as_fd()).map_err(fail)?;
        }
        Stdio::Terminal => {
            let pty = ending.terminal.take().ok_or_else(|| fail(Errno::NOTTY))?;
            ending.channel.send(Word::Terminal, &[], &[pty.master.as_fd()])?;
            rustix::process::ioctl_tiocsctty(&pty.slave)
                .map_err(at(Step::Terminal, "controlling terminal"))?;
            place_streams(pty.slave.as_fd(), pty.slave.as_fd(), pty.slave.as_fd()).map_err(fail)?;
        }
    }
    own_streams(identity).map_err(fail)
}

fn place_streams(stdin: BorrowedFd<'_>, stdout: BorrowedFd<'_>, stderr: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::stdio::dup2_stdin(stdin)?;
    rustix::stdio::dup2_stdout(stdout)?;
    rustix::stdio::dup2_stderr(stderr)
}

/// Pipes and the terminal belong to the user, who could not open `/dev/stdout` else.
fn own_streams(identity: &Identity) -> Result<(), Errno> {
    for fd in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        let stat = rustix::fs::fstat(fd)?;
        let ours = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Fifo => true,
            FileType::CharacterDevice => rustix::termios::isatty(fd),
            _ => false,
        };
        if ours && stat.st_uid != identity.uid {
            match rustix::fs::fchown(fd, Some(Uid::from_raw(identity.uid)), None) {
                // The owner isn't of this user namespace, or the id isn't in its map, which setresuid will say: what
                // the descriptors allow is left.
                Ok(()) | Err(Errno::PERM | Errno::INVAL | Errno::ROFS) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    Ok(())
}

/// Changes to the working directory, and makes sure that it is one of the container: one that a leaked descriptor
/// or a magic link leads to is outside of the root (CVE-2024-21626).
fn change_directory(root: &Root, cwd: &str) -> Result<(), Failure> {
    let dir = root.dir(Path::new(cwd)).map_err(at_io(Step::Cwd, cwd))?;
    rustix::process::fchdir(&dir).map_err(at(Step::Cwd, cwd))?;
    let outside = || Failure::because(Step::Cwd, cwd, Errno::XDEV, "it is outside of the container's root");
    let now = rustix::process::getcwd(Vec::new()).map_err(|_| outside())?;
    match now.to_bytes().first() {
        Some(b'/') => Ok(()),
        _ => Err(outside()),
    }
}

/// The sets of a process, as bits.
#[derive(Debug, Clone, Copy, Default)]
struct Sets {
    bounding: u64,
    effective: u64,
    permitted: u64,
    ambient: u64,
}

impl Sets {
    fn of(capabilities: Option<&Capabilities>) -> Self {
        let Some(capabilities) = capabilities else { return Self::default() };
        let bits = |list: &[Capability]| list.iter().fold(CapSet::default(), |set, c| set.with(*c)).bits();
        let bounding = bits(&capabilities.bounding);
        let permitted = bits(&capabilities.permitted) & bounding;
        Self {
            bounding,
            permitted,
            effective: bits(&capabilities.effective) & permitted,
            ambient: bits(&capabilities.ambient) & permitted,
        }
    }

    /// What capset takes, of what there is: inheritable is only what is ambient (CVE-2022-24769).
    fn within(&self, have: u64) -> caps::Sets {
        caps::Sets {
            effective: self.effective & have,
            permitted: self.permitted & have,
            inheritable: self.ambient & have,
        }
    }
}

/// Takes the bounding set down, and keeps the permitted one over the change of ids.
fn limit_capabilities(sets: &Sets, channel: &Channel) -> Result<(), Failure> {
    let fail = |errno| Failure::new(Step::Capabilities, "", errno);
    let bits = rustix::thread::capabilities_secure_bits().map_err(fail)?;
    if !bits.is_empty() {
        // The caller's own way with ids is none of the container's.
        rustix::thread::set_capabilities_secure_bits(CapabilitiesSecureBits::empty()).map_err(fail)?;
    }
    let left = caps::limit_bounding(sets.bounding).map_err(at(Step::Capabilities, "bounding set"))?;
    let missing = CapSet::from_bits(sets.bounding & !left);
    if missing != CapSet::default() {
        let names: Vec<String> = missing.iter().map(|c| c.to_string()).collect();
        channel.warn(&format!("{} can't be given: we don't have it ourselves", names.join(", ")))?;
    }
    rustix::thread::set_keep_capabilities(true).map_err(fail)
}

fn take_identity(identity: &Identity, channel: &Channel) -> Result<(), Failure> {
    let groups: Vec<Gid> = identity.groups.iter().map(|g| Gid::from_raw(*g)).collect();
    match rustix::thread::set_thread_groups(&groups) {
        Ok(()) => {}
        // In a map written without privileges: what the group itself gives is all there is.
        Err(Errno::PERM) if identity.groups == [identity.gid] => {}
        Err(Errno::PERM) => {
            channel.warn("supplementary groups can't be set in a user namespace of a single id")?;
        }
        Err(errno) => return Err(at(Step::Identity, format!("groups {:?}", identity.groups))(errno)),
    }
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    rustix::thread::set_thread_res_gid(gid, gid, gid)
        .map_err(at(Step::Identity, identity.gid.to_string()))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(at(Step::Identity, identity.uid.to_string()))
}

/// Sets the limits; late, as a small one would break what comes before.
fn set_limits(process: &Process, channel: &Channel) -> Result<(), Failure> {
    for wish in &process.rlimits {
        let resource = limits::resource(&wish.kind)
            .ok_or_else(|| Failure::new(Step::Rlimit, &wish.kind, Errno::INVAL))?;
        let (pair, cut) = limits::clamp(wish, getrlimit(resource).maximum);
        setrlimit(resource, pair).map_err(at(Step::Rlimit, &wish.kind))?;
        if cut {
            let hard = pair.maximum.map_or_else(|| "unlimited".into(), |m| m.to_string());
            let (kind, wanted) = (&wish.kind, wish.hard);
            channel.warn(&format!("{kind} stays at {hard}: {wanted} needs CAP_SYS_RESOURCE"))?;
        }
    }
    Ok(())
}

/// The file that a security label is written to, opened through a proc that is checked to be one
/// (CVE-2025-52881).
fn open_label(process: &Process) -> Result<Option<OwnedFd>, Failure> {
    let apparmor = process.apparmor_profile.as_deref().filter(|p| !p.is_empty() && *p != "unconfined");
    let selinux = process.selinux_label.as_deref().filter(|l| !l.is_empty());
    let (name, label) = match (apparmor, selinux) {
        (None, None) => return Ok(None),
        (Some(profile), None) => ("attr/apparmor/exec", profile),
        (None, Some(label)) => ("attr/exec", label),
        (Some(_), Some(label)) => {
            return Err(Failure::because(Step::Label, label, Errno::INVAL, "AppArmor or SELinux, not both"));
        }
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let proc = rustix::fs::open("/proc", flags, Mode::empty()).map_err(at(Step::Label, label))?;
    let magic = rustix::fs::fstatfs(&proc).map_err(at(Step::Label, label))?.f_type as u64;
    if magic != PROC_MAGIC {
        return Err(Failure::because(Step::Label, label, Errno::NODEV, "/proc is not procfs"));
    }
    // `thread-self` is a symlink of proc itself.
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    let path = format!("thread-self/{name}");
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    match rustix::fs::openat2(&proc, path, flags, Mode::empty(), how) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT) => {
            Err(Failure::because(Step::Label, label, Errno::OPNOTSUPP, "the kernel has no such module"))
        }
        Err(errno) => Err(at(Step::Label, label)(errno)),
    }
}

fn write_label(process: &Process, file: Option<OwnedFd>) -> Result<(), Failure> {
    let Some(file) = file else { return Ok(()) };
    let text = match (&process.apparmor_profile, &process.selinux_label) {
        (_, Some(label)) if !label.is_empty() => label.clone(),
        (Some(profile), _) => format!("exec {profile}"),
        _ => return Ok(()),
    };
    rustix::io::write(&file, text.as_bytes()).map_err(at(Step::Label, text)).map(drop)
}

/// Gives up what is left: capabilities, and by the filter system calls.
///
/// Without no_new_privs the kernel takes a filter only from CAP_SYS_ADMIN, so that is kept until the filter is
/// loaded and one capset follows it; with it the filter comes last of all.
fn confine(process: &Process, filter: Option<&seccomp::Filter>, sets: &Sets) -> Result<(), Failure> {
    let fail = |errno| Failure::new(Step::Capabilities, "", errno);
    let have = caps::get().map_err(fail)?.permitted;
    let last = sets.within(have);
    let keep = if process.no_new_privileges || filter.is_none() { 0 } else { caps::SYS_ADMIN & have };
    let first = caps::Sets { effective: last.effective | keep, permitted: last.permitted | keep, ..last };
    caps::set(first).map_err(fail)?;
    caps::set_ambient(last.inheritable).map_err(at(Step::Capabilities, "ambient set"))?;
    if let Some(filter) = filter {
        sys_seccomp::load(&filter.program, filter.flags).map_err(at(Step::Seccomp, ""))?;
    }
    match first == last {
        true => Ok(()),
        false => caps::set(last).map_err(fail),
    }
}

/// Forks the program's process from the reaper. Returns in the new one; the other never does.
///
/// Before the filter: Docker's default one refuses clone3.
fn fork_program(ending: &Ending<'_>, sets: &Sets) -> Result<(), Failure> {
    let subreaper = Some(rustix::process::getpid());
    rustix::process::set_child_subreaper(subreaper).map_err(at(Step::Clone, "reaper"))?;
    block_signals();
    let into = CloneInto { namespaces: UnshareFlags::empty(), sibling: false, cgroup: None };
    match clone3(into).map_err(at(Step::Clone, "program"))? {
        Forked::Child => {
            // A group of its own, in the foreground: what a terminal sends reaches the program, not the reaper.
            rustix::process::setpgid(None, None).map_err(at(Step::Clone, "process group"))?;
            if matches!(ending.stdio, Stdio::Terminal) {
                let group = rustix::process::getpid();
                rustix::termios::tcsetpgrp(rustix::stdio::stdin(), group)
                    .map_err(at(Step::Terminal, "foreground process group"))?;
            }
            Ok(())
        }
        Forked::Parent { pid, .. } => {
            let confined = prctl::outlive_parent()
                .map_err(at(Step::Prepare, ""))
                .and_then(|()| confine(ending.process, ending.seccomp, sets));
            // The channel too: its end is what tells the parent that the program was executed.
            let closed = prctl::close_from(0);
            match confined.is_ok() && closed.is_ok() {
                true => reaper::supervise(pid),
                false => exit_now(125),
            }
        }
    }
}
