//! How a keeper brings its container to life: what it can do before the image is known, then the start itself.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use corten_model::{Kind, Name};
use corten_runtime::cgroup::{self, Cgroup, Limits};
use corten_runtime::{Fallbacks, Launch, NsKind, Stdio, seccomp};
use corten_storage::snapshot::Snapshot;
use rustix::process::{Pid, PidfdFlags};

use super::names;
use super::places::{self, Pipe};
use super::process::Process;
use super::protocol::{Join, Prepare, Request, Seccomp, Start};
use crate::ids::registry::{self, Claim};
use crate::journal;

/// A step of a start that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The run directory can't be made ready.
    #[error("{what} in the container's run directory")]
    RunDirectory {
        /// What was to be done.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another keeper looks after the container.
    #[error("the container is running")]
    Running,
    /// The journal can't be written.
    #[error("write the container's journal")]
    Journal(#[source] io::Error),
    /// The cgroup can't be made.
    #[error("make the cgroup")]
    Cgroup(#[source] cgroup::Error),
    /// The writable layer can't be made.
    #[error("make the writable layer")]
    Snapshot(#[source] corten_storage::Error),
    /// The seccomp filter can't be made.
    #[error("compile the seccomp profile")]
    Seccomp(#[source] seccomp::Error),
    /// Its host ids can't be held.
    #[error("hold the container's host ids in `{}`", registry::DIRECTORY)]
    Ids(#[source] io::Error),
    /// The container to join is gone.
    #[error("join the namespaces of process {pid}")]
    Join {
        /// The process whose namespaces were to be joined.
        pid: i32,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// What it was started with can't be read.
    #[error("read what the container was started with")]
    Plan(#[source] io::Error),
    /// The runtime failed.
    #[error(transparent)]
    Runtime(#[from] corten_runtime::StartError),
}

impl Error {
    /// What a caller can do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Error::RunDirectory { .. } | Error::Plan(_) => Kind::Internal,
            Error::Running => Kind::Conflict,
            Error::Journal(_) | Error::Ids(_) => Kind::Unavailable,
            Error::Cgroup(e) => e.kind(),
            Error::Snapshot(e) => e.kind(),
            Error::Seccomp(e) => e.kind(),
            Error::Join { .. } => Kind::Conflict,
            Error::Runtime(e) => e.kind(),
        }
    }

    /// The exit code of `run`.
    pub fn exit_code(&self) -> u8 {
        if let Error::Runtime(e) = self { e.exit_code() } else { 125 }
    }

    /// What to try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Runtime(e) => e.hint().or_else(|| storage_hint(e)),
            Error::Cgroup(e) => e.hint(),
            Error::Snapshot(e) => e.hint(),
            _ => None,
        }
    }
}

/// What the store says about a root file system that can't be mounted: the runtime hands its errors through.
fn storage_hint(error: &corten_runtime::StartError) -> Option<String> {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if let Some(storage) = error.downcast_ref::<corten_storage::Error>() {
            return storage.hint();
        }
        cause = error.source();
    }
    None
}

fn in_run(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::RunDirectory { what, source }
}

/// What is ready before the image is known.
pub struct Prepared {
    /// What was asked for.
    pub request: Prepare,
    /// Ours until the end.
    pub _lock: File,
    /// Where callers come in, until the end.
    pub listener: Option<OwnedFd>,
    /// The host's cgroups.
    host: cgroup::Host,
    /// The container's cgroup.
    pub cgroup: Cgroup,
    /// What was asked for and can't be had.
    pub warnings: Vec<String>,
    /// Open before anything runs: what can't be journalled isn't started.
    pub journal: Option<journal::Writer>,
    /// Its host ids, until the end.
    ids: Claim,
    /// The name under which it stands in the run directory.
    pub name: Option<Name>,
    /// Mounts that nobody needs any more, dropped when nobody waits.
    pub spare: Vec<OwnedFd>,
    /// The container's mounts: they are taken down when we let go of them, not by its first process before its end is
    /// known.
    pub mounts: Option<File>,
}

impl Prepared {
    /// Notes which process has the host ids. It counts only if this keeper is killed; then the next one's lock is late at
    /// worst.
    pub fn note_ids(&self, pid: i32, ticks: u64) {
        let _ = self.ids.note(pid, ticks);
    }
}

/// The cgroup path of a container, below what the host gives us.
pub fn cgroup_path(run: &std::path::Path, id: &corten_model::ContainerId) -> String {
    let parent = corten_sys::kernel_file::read(places::directory(run, id).join(PARENT)).unwrap_or_default();
    path_below(parent.split('/').filter(|part| !part.is_empty()), id)
}

fn path_below<'a>(parents: impl Iterator<Item = &'a str>, id: &corten_model::ContainerId) -> String {
    let above: String = parents.map(|part| format!("{part}/")).collect();
    format!("corten/{above}{id}")
}

/// The file in the run directory that names the groups between ours and the container's, if there are any.
const PARENT: &str = "cgroup-parent";

/// The file in the run directory that keeps the cgroups below which a keeper made the container's.
const ORIGIN: &str = "origin";

/// The host's cgroups as the container's first keeper saw them: they are below the group of who started it, and the next
/// command may come from another one.
pub fn cgroup_host(
    run: &std::path::Path,
    id: &corten_model::ContainerId,
) -> Result<cgroup::Host, cgroup::Error> {
    let origin = places::directory(run, id).join(ORIGIN);
    match cgroup::Host::detect_as(&origin) {
        // Its keeper hasn't come that far, or is removing it right now.
        Err(_) if !origin.exists() => cgroup::Host::detect(),
        other => other,
    }
}

/// Takes the lock, leaves the caller's cgroup, makes the container's, listens.
pub fn prepare(request: Prepare) -> Result<Prepared, Error> {
    let lock =
        places::lock(&request.run, &request.id).map_err(in_run("take the lock"))?.ok_or(Error::Running)?;
    let made = places::own(&lock, &request.id).map_err(in_run("write our id"));
    let made = made.and_then(|()| make_ready(&request));
    let (listener, host, cgroup, warnings) = match made {
        Ok(made) => made,
        Err(error) => {
            places::remove(&request.run, &request.id);
            return Err(error);
        }
    };
    let (listener, journal, ids) = (Some(listener), None, Claim::default());
    let (name, spare, mounts) = (None, Vec::new(), None);
    Ok(Prepared { request, _lock: lock, listener, host, cgroup, warnings, journal, ids, name, spare, mounts })
}

/// Puts the container's name into the run directory.
pub fn known_as(request: &Prepare, name: Option<&Name>) -> Option<Name> {
    // A name that can't be written there is asked of the database.
    name.filter(|name| names::add(&request.run, name, &request.id).is_ok()).cloned()
}

fn make_ready(request: &Prepare) -> Result<(OwnedFd, cgroup::Host, Cgroup, Vec<String>), Error> {
    let listener = places::listen(&request.run, &request.id).map_err(in_run("make the socket"))?;
    if request.adopt {
        let path = cgroup_path(&request.run, &request.id);
        let host = cgroup_host(&request.run, &request.id).map_err(Error::Cgroup)?;
        let cgroup = host.open(&path).map_err(Error::Cgroup)?;
        host.leave_for_keeper(&path).map_err(Error::Cgroup)?;
        return Ok((listener, host, cgroup, Vec::new()));
    }
    let host = cgroup::Host::detect().map_err(Error::Cgroup)?;
    let own =
        corten_sys::kernel_file::read("/proc/self/cgroup").map_err(in_run("read our own cgroup for"))?;
    let origin = places::directory(&request.run, &request.id).join(ORIGIN);
    std::fs::write(origin, own).map_err(in_run("note our own cgroup"))?;
    if !request.cgroup_parent.is_empty() {
        let note = places::directory(&request.run, &request.id).join(PARENT);
        std::fs::write(note, request.cgroup_parent.join("/")).map_err(in_run("note the parent cgroup"))?;
    }
    let path = path_below(request.cgroup_parent.iter().map(String::as_str), &request.id);
    for pipe in [Pipe::Out, Pipe::Err] {
        places::make_pipe(&request.run, &request.id, pipe).map_err(in_run("make a pipe"))?;
    }
    let (cgroup, warnings) = host.create(&path, &limits(request)).map_err(Error::Cgroup)?;
    Ok((listener, host, cgroup, warnings))
}

fn limits(request: &Prepare) -> Limits {
    Limits { resources: request.resources.clone(), devices: request.devices.clone() }
}

/// Makes the container's cgroup once more: it is started again.
pub fn make_group(prepared: &mut Prepared) -> Result<(), Error> {
    let path = prepared.cgroup.path().to_owned();
    let made = prepared.host.create(&path, &limits(&prepared.request));
    let (cgroup, warnings) = made.map_err(Error::Cgroup)?;
    prepared.cgroup = cgroup;
    prepared.warnings.extend(warnings);
    Ok(())
}

/// The container's root file system as the runtime asks for it.
struct Layers<'a> {
    snapshot: &'a Snapshot,
    /// What it was made from.
    spare: &'a RefCell<Vec<OwnedFd>>,
}

impl corten_runtime::Rootfs for Layers<'_> {
    fn mount(
        &self,
        userns: Option<BorrowedFd<'_>>,
    ) -> Result<OwnedFd, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.snapshot.mount_sparing(userns, &mut self.spare.borrow_mut())?)
    }
}

/// Compiles the filter, or finds it in the cache.
pub fn filter(prepared: &Prepare, wanted: Option<&Seccomp>) -> Result<Option<seccomp::Filter>, Error> {
    let Some(wanted) = wanted else { return Ok(None) };
    let profile = wanted.profile.as_deref().unwrap_or(seccomp::default_profile());
    let cache = prepared.run.join("seccomp");
    let filter = seccomp::filter(Some(&cache), profile, wanted.capabilities, kernel_version());
    filter.map(Some).map_err(Error::Seccomp)
}

/// The kernel's version: 6, 18.
fn kernel_version() -> (u32, u32) {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Holds the ids that the container's user namespace maps: the command does it until we are started.
fn hold_ids(spec: &corten_runtime::spec::Spec) -> io::Result<Claim> {
    let map = spec.linux.id_map();
    let outside = map.uids.iter().map(|extent| extent.outside..extent.outside.saturating_add(extent.count));
    Claim::hold(std::path::Path::new(registry::DIRECTORY), outside)
}

/// What a container takes over from another one.
#[derive(Default)]
struct Joined {
    namespaces: Vec<corten_runtime::Join>,
    shm: Option<OwnedFd>,
}

/// Opens the namespaces of all processes that are joined. Shared memory is the IPC namespace and `/dev/shm`: the one
/// without the other would be of no use to most programs.
fn join_all(prepared: &Prepare, request: &Start) -> Result<Joined, Error> {
    let mut joined = Joined::default();
    let has_shm = request.spec.mounts.iter().any(|m| m.destination == corten_runtime::SHM_PATH);
    for target in &request.join {
        joined.namespaces.extend(join(target)?);
        if !has_shm && target.kinds.iter().any(|kind| kind == NsKind::Ipc.word()) {
            let failed = |source| Error::Join { pid: target.pid, source };
            let pidfd = open_process(target.pid, target.ticks).map_err(failed)?;
            let shm = corten_runtime::shm_of(pidfd.as_fd(), prepared.rootless);
            joined.shm = Some(shm.map_err(corten_runtime::StartError::from)?);
        }
    }
    Ok(joined)
}

/// Opens the namespaces of a process, which must be the one that was meant.
fn join(target: &Join) -> Result<Vec<corten_runtime::Join>, Error> {
    let failed = |source| Error::Join { pid: target.pid, source };
    let _pidfd = open_process(target.pid, target.ticks).map_err(failed)?;
    let open = |kind: &String| -> io::Result<corten_runtime::Join> {
        let known = match kind.as_str() {
            "user" => NsKind::User,
            "net" => NsKind::Net,
            "ipc" => NsKind::Ipc,
            "uts" => NsKind::Uts,
            "pid" => NsKind::Pid,
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        let fd = File::open(format!("/proc/{}/ns/{kind}", target.pid))?;
        Ok(corten_runtime::Join { kind: known, fd: fd.into() })
    };
    target.kinds.iter().map(open).collect::<io::Result<Vec<_>>>().map_err(failed)
}

/// A pidfd of the process `pid` that started at `ticks`; another one with that pid is NotFound.
pub fn open_process(pid: i32, ticks: u64) -> io::Result<OwnedFd> {
    let not_found = || io::Error::from(io::ErrorKind::NotFound);
    let number = Pid::from_raw(pid).ok_or_else(not_found)?;
    let pidfd = rustix::process::pidfd_open(number, PidfdFlags::empty())?;
    // Read after the pidfd is open: the process it stands for had this pid then.
    let stat = corten_sys::kernel_file::read(format!("/proc/{pid}/stat"))?;
    if corten_sys::process::start_time_ticks(&stat) == Some(ticks) { Ok(pidfd) } else { Err(not_found()) }
}

/// Writes the files that every container gets. They belong to the container's root by its ids on the host: the run
/// directory is on a tmpfs, which can't be idmapped before Linux 6.3.
fn write_generated(prepared: &Prepared, request: &Start) -> io::Result<()> {
    let map = request.spec.linux.id_map();
    let owner = map.uid_outside(0).zip(map.gid_outside(0)).filter(|_| !prepared.request.rootless);
    for (name, content) in &request.files {
        let path = places::directory(&prepared.request.run, &prepared.request.id).join(name);
        std::fs::write(&path, content)?;
        if let Some((uid, gid)) = owner {
            std::os::unix::fs::chown(&path, Some(uid), Some(gid))?;
        }
    }
    Ok(())
}

/// Opens the container's journal.
pub fn open_journal(request: &Prepare) -> io::Result<journal::Writer> {
    let dir = request.data.join("containers").join(request.id.as_str());
    journal::Writer::open(journal::Places::new(&dir, &request.run, &request.id))
}

/// Starts the container's first process. If its rows are still being written, `caller` is heard before its program runs;
/// without a caller they are there.
pub fn start(
    prepared: &mut Prepared,
    request: &Start,
    caller: Option<&OwnedFd>,
    stamp: &dyn Fn(&'static str),
) -> Result<(Process, corten_runtime::Started), Error> {
    let (run, id) = (&prepared.request.run, &prepared.request.id);
    let filter = filter(&prepared.request, request.seccomp.as_ref())?;
    stamp("keeper: seccomp filter");
    request.snapshot.prepare().map_err(Error::Snapshot)?;
    prepared.journal = Some(open_journal(&prepared.request).map_err(Error::Journal)?);
    write_generated(prepared, request).map_err(in_run("write the generated files"))?;
    if request.watch.is_some() {
        super::again::keep_plan(&prepared.request, request).map_err(in_run("keep the plan"))?;
    }
    stamp("keeper: writable layer");
    if !prepared.request.rootless {
        prepared.ids = hold_ids(&request.spec).map_err(Error::Ids)?;
    }
    let joined = join_all(&prepared.request, request)?;
    let (stdio, ours) = if request.spec.process.terminal {
        (Stdio::Terminal, Streams::default())
    } else {
        let open = || -> io::Result<(Stdio, Streams)> {
            let (stdin, input) = open_input(request.open_stdin)?;
            let stdout = places::open_writer(run, id, Pipe::Out)?;
            let stderr = places::open_writer(run, id, Pipe::Err)?;
            let out = Some(places::open_reader(run, id, Pipe::Out)?);
            let err = Some(places::open_reader(run, id, Pipe::Err)?);
            Ok((Stdio::Fds { stdin, stdout, stderr }, Streams { input, out, err }))
        };
        open().map_err(in_run("open a pipe"))?
    };
    // The caller's session, cron job or service may end and take its group along. It is left when the child, which was
    // born in it, has joined its own and nothing is to be done but to wait.
    let left = RefCell::new(None);
    let leave = || drop(left.replace(Some(prepared.host.leave_for_keeper(prepared.cgroup.path()))));
    let name = RefCell::new(request.name.clone());
    let consent = || match caller.map_or(Ok(None), super::receive)? {
        Some(Request::Go { name: written }) => {
            name.replace(Some(written));
            Ok(())
        }
        _ => Err(io::Error::from(io::ErrorKind::ConnectionAborted).into()),
    };
    let spare = RefCell::default();
    let layers = |snapshot| Layers { snapshot, spare: &spare };
    let root = layers(&request.snapshot);
    let trees: Vec<Layers<'_>> = request.trees.iter().map(layers).collect();
    let started = corten_runtime::start(Launch {
        spec: &request.spec,
        rootless: prepared.request.rootless,
        rootfs: &root,
        trees: trees.iter().map(|tree| tree as &dyn corten_runtime::Rootfs).collect(),
        join: joined.namespaces,
        shm: joined.shm,
        cgroup: &prepared.cgroup,
        stdio,
        init: request.init,
        seccomp: filter.as_ref(),
        fallbacks: Fallbacks::default(),
        trace: Some(stamp),
        meanwhile: Some(&leave),
        consent: (request.awaits_rows && caller.is_some()).then_some(&consent),
    })?;
    stamp("app runs");
    if prepared.name.is_none() {
        prepared.name = known_as(&prepared.request, name.into_inner().as_ref());
    }
    prepared.spare = spare.take();
    prepared.mounts = File::open(format!("/proc/{}/ns/mnt", started.pid)).ok();
    if let Some(error) = left.into_inner().and_then(Result::err) {
        prepared.warnings.push(format!("its keeper stays in the caller's control group: {error}"));
    }
    into_process(started, ours, None).map_err(in_run("watch the process"))
}

/// Our ends of a process's streams.
#[derive(Default)]
pub struct Streams {
    /// Where its standard input is written.
    pub input: Option<OwnedFd>,
    /// Where its standard output is read.
    pub out: Option<OwnedFd>,
    /// Where its standard error is read.
    pub err: Option<OwnedFd>,
}

/// Standard input: (the process's end, ours). Closed input is /dev/null.
pub fn open_input(open_stdin: bool) -> io::Result<(OwnedFd, Option<OwnedFd>)> {
    if !open_stdin {
        return Ok((File::open("/dev/null")?.into(), None));
    }
    let (reader, writer) = places::plain_pipe()?;
    places::set_nonblocking(&writer)?;
    Ok((reader, Some(writer)))
}

/// A process of ours from what the runtime gave back.
pub fn into_process(
    mut started: corten_runtime::Started,
    ours: Streams,
    exec: Option<corten_model::ExecId>,
) -> io::Result<(Process, corten_runtime::Started)> {
    let terminal = started.terminal.take();
    if let Some(terminal) = &terminal {
        places::set_nonblocking(terminal)?;
    }
    let process = Process {
        exec,
        pid: started.pid,
        ticks: started.start_time_ticks,
        pidfd: rustix::io::fcntl_dupfd_cloexec(started.pidfd.as_fd(), 0)?,
        terminal: terminal.is_some(),
        out: terminal.or(ours.out),
        err: ours.err,
        input: ours.input,
        backlog: Default::default(),
        input_ends: false,
        held: false,
        exit: None,
        adopted: false,
    };
    Ok((process, started))
}
