//! Work on files that have other owners: done directly as root, in a user namespace of its own for an ordinary user.
//!
//! An ordinary user's containers write files with subordinate ids, which the user itself can neither make nor remove. For
//! them the binary spawns itself, enters a new user namespace with the user's whole map, does one [`Job`] and ends.
//! Such a process never opens the database.

mod files;
mod layers;
mod namespaces;

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use corten_model::{Digest, Kind, VolumeId};
use corten_storage::tree::{self, Hands};
use corten_storage::{Account, Limits, Live, Store, Unpacked, snapshot};
use serde::{Deserialize, Serialize};

use crate::keeper::protocol::{self, Failure};
use crate::{Engine, Result, call, ids};

pub(crate) use files::{Stopped, View, ViewMount, ViewSource, changes, commit, copy_in, copy_out, export};
pub(crate) use layers::{Tars, Unpacker, unpack_error};
pub(crate) use namespaces::Enter;

/// The name under which the binary is spawned for it.
pub const PERSONALITY: &str = "corten-inside";
/// What is said when the whole input was handed over.
const ALL_CAME: &str = "all came";
/// Copied at once to a spawned process.
const CHUNK_BYTES: usize = 128 << 10;

/// Errors of such work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process can't be spawned or spoken with.
    #[error("work in a user namespace")]
    Spawn(#[source] io::Error),
    /// The bytes for it can't be read.
    #[error("read the input")]
    Input(#[source] io::Error),
    /// The namespace's maps can't be written.
    #[error("write the id maps")]
    Maps(#[source] corten_runtime::StartError),
    /// The process ended without an answer.
    #[error("the process in the user namespace ended without an answer")]
    Silent,
    /// The work failed there.
    #[error(transparent)]
    Failed(call::Refusal),
}

impl Error {
    /// What a caller can do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Error::Spawn(_) | Error::Silent => Kind::Unavailable,
            Error::Input(_) => Kind::Invalid,
            Error::Maps(e) => e.kind(),
            Error::Failed(refusal) => refusal.kind(),
        }
    }

    /// What to try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Maps(e) => e.hint(),
            Error::Failed(refusal) => refusal.hint(),
            Error::Spawn(e) if e.kind() == io::ErrorKind::PermissionDenied => Some(
                "user namespaces may be switched off: see `sysctl kernel.unprivileged_userns_clone`".into(),
            ),
            _ => None,
        }
    }
}

/// One piece of work.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "kebab-case")]
enum Job {
    /// Unpack the tar that comes through the second descriptor.
    Unpack { root: PathBuf, diff_id: Option<Digest>, parent: Option<Digest>, limits: Limits },
    /// Write a layer's tar to the output.
    LayerTar { root: PathBuf, chain: Digest },
    /// Remove whole trees.
    RemoveTrees { paths: Vec<PathBuf>, hands: Hands },
    /// Make a volume's data, filled with what layers (top first) have at a path.
    MakeVolume { root: PathBuf, id: VolumeId, image: Option<(Vec<PathBuf>, String)> },
    /// Fill a volume that is there likewise, if it is empty.
    FillVolume { root: PathBuf, id: VolumeId, image: (Vec<PathBuf>, String) },
    /// Compare the store with its rows.
    Check { root: PathBuf, live: Box<Live>, repair: bool },
    /// Add up what every byte belongs to.
    Account { root: PathBuf },
    /// Add up the bytes of each of these trees.
    Sizes { paths: Vec<PathBuf> },
    /// Read or write a container's files.
    Files(files::Work),
}

/// What came of it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Outcome {
    unpacked: Option<Unpacked>,
    findings: Vec<Finding>,
    account: Option<Account>,
    sizes: Vec<u64>,
}

/// A finding on its way between processes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub what: String,
    pub path: PathBuf,
    pub repaired: bool,
}

fn perform(
    job: Job,
    seen: Option<&namespaces::Seen>,
    rootless: bool,
    input: &mut dyn Read,
    output: &mut dyn Write,
) -> std::result::Result<Outcome, corten_storage::Error> {
    let mut outcome = Outcome::default();
    match job {
        Job::Files(work) => outcome.unpacked = files::perform(work, seen, rootless, input, output)?,
        Job::Unpack { root, diff_id, parent, limits } => {
            let store = Store::open(&root, rootless)?;
            let layers = store.layers();
            outcome.unpacked = Some(match diff_id {
                Some(diff_id) => layers.unpack_expecting(input, &diff_id, parent.as_ref(), &limits)?,
                None => layers.unpack(input, parent.as_ref(), &limits)?,
            });
        }
        Job::LayerTar { root, chain } => layers::write_tar(&root, rootless, &chain, output)?,
        Job::RemoveTrees { paths, hands } => paths.iter().try_for_each(|path| tree::remove(path, hands))?,
        Job::MakeVolume { root, id, image } => {
            let store = Store::open(&root, rootless)?;
            store.volumes().create(&id)?;
            if let Some((lowers, path)) = image {
                let view = snapshot::view(&lowers, rootless)?;
                store.volumes().fill(&id, view.as_fd(), Path::new(&path))?;
            }
        }
        Job::FillVolume { root, id, image: (lowers, path) } => {
            let store = Store::open(&root, rootless)?;
            let view = snapshot::view(&lowers, rootless)?;
            store.volumes().fill_in_place(&id, view.as_fd(), Path::new(&path))?;
        }
        Job::Check { root, live, repair } => {
            let store = Store::open(&root, rootless)?;
            for finding in corten_storage::check(&store, &live, repair)? {
                let what = finding.problem.to_string();
                outcome.findings.push(Finding { what, path: finding.path, repaired: finding.repaired });
            }
        }
        Job::Account { root } => {
            outcome.account = Some(corten_storage::account(&Store::open(&root, rootless)?)?);
        }
        Job::Sizes { paths } => {
            outcome.sizes =
                paths.iter().map(|path| tree::usage(path)).collect::<std::result::Result<_, _>>()?;
        }
    }
    Ok(outcome)
}

/// Does the job here, or in a user namespace if we are not root.
fn run(rootless: bool, job: Job, input: &mut dyn Read) -> Result<Outcome> {
    if !rootless {
        return Ok(perform(job, None, false, input, &mut io::sink())?);
    }
    Ok(Worker::spawn(Enter::NewUser, None)?.run(&job, input)?)
}

/// Removes whole trees.
pub(crate) fn remove_trees(rootless: bool, paths: &[PathBuf], hands: Hands) -> Result<()> {
    let existing: Vec<PathBuf> = paths.iter().filter(|p| p.symlink_metadata().is_ok()).cloned().collect();
    if existing.is_empty() {
        return Ok(());
    }
    run(rootless, Job::RemoveTrees { paths: existing, hands }, &mut io::empty()).map(drop)
}

/// Makes a volume's data, filled with what an image's layers have at a path.
pub(crate) fn make_volume(engine: &Engine, id: &VolumeId, image: Option<(&[PathBuf], &str)>) -> Result<()> {
    let image = image.map(|(lowers, path)| (lowers.to_vec(), path.to_owned()));
    let job = Job::MakeVolume { root: engine.roots().data.clone(), id: id.clone(), image };
    run(engine.is_rootless(), job, &mut io::empty()).map(drop)
}

/// Fills a volume with what an image's layers have at a path, if it is still empty.
pub(crate) fn fill_volume(engine: &Engine, id: &VolumeId, image: Option<(&[PathBuf], &str)>) -> Result<()> {
    let Some((lowers, path)) = image else { return Ok(()) };
    let data = engine.store().volume_data(id);
    // Most volumes are full, and then nobody has to be asked.
    if std::fs::read_dir(&data).is_ok_and(|mut entries| entries.next().is_some()) {
        return Ok(());
    }
    let image = (lowers.to_vec(), path.to_owned());
    let job = Job::FillVolume { root: engine.roots().data.clone(), id: id.clone(), image };
    run(engine.is_rootless(), job, &mut io::empty()).map(drop)
}

/// Compares the store with its rows.
pub(crate) fn check(engine: &Engine, live: Live, repair: bool) -> Result<Vec<Finding>> {
    let job = Job::Check { root: engine.roots().data.clone(), live: Box::new(live), repair };
    Ok(run(engine.is_rootless(), job, &mut io::empty())?.findings)
}

/// Adds up what every byte of the store belongs to.
pub(crate) fn account(engine: &Engine) -> Result<Account> {
    let job = Job::Account { root: engine.roots().data.clone() };
    run(engine.is_rootless(), job, &mut io::empty())?.account.ok_or_else(|| Error::Silent.into())
}

/// Allocated bytes of each of these trees; 0 for what isn't there.
pub(crate) fn sizes(engine: &Engine, paths: Vec<PathBuf>) -> Result<Vec<u64>> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    Ok(run(engine.is_rootless(), Job::Sizes { paths }, &mut io::empty())?.sizes)
}

/// A process of ours that is about to enter its namespaces.
struct Worker {
    socket: OwnedFd,
    input: Option<OwnedFd>,
    enter: Enter,
    pid: i32,
}

impl Worker {
    /// What it writes goes to `output`.
    fn spawn(enter: Enter, output: Option<BorrowedFd<'_>>) -> std::result::Result<Worker, Error> {
        let spawn = |e: rustix::io::Errno| Error::Spawn(e.into());
        let (family, kind) = (rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM);
        let pair = rustix::net::socketpair(family, kind, rustix::net::SocketFlags::CLOEXEC, None);
        let (socket, theirs) = pair.map_err(spawn)?;
        let (reader, input) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(spawn)?;
        let passed: Vec<_> = [theirs.as_fd(), reader.as_fd()].into_iter().chain(output).collect();
        let step = crate::steps::chosen().map(|step| ("CORTEN_STOP_AT", step.to_owned()));
        let environment: Vec<_> = step.into_iter().collect();
        let pid = corten_sys::spawn::spawn_self(PERSONALITY, &passed, &environment).map_err(Error::Spawn)?;
        Ok(Worker { socket, input: Some(input), enter, pid })
    }

    fn run(mut self, job: &Job, input: &mut dyn Read) -> std::result::Result<Outcome, Error> {
        let answer = self.converse(job, input);
        self.end();
        answer
    }

    /// It ends by itself when its socket closes; without this it stays a zombie until we end.
    fn end(self) {
        let pid = rustix::process::Pid::from_raw(self.pid).expect("a spawned process has a pid");
        let Worker { socket, input, .. } = self;
        drop((socket, input));
        let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
    }

    fn converse(&mut self, job: &Job, input: &mut dyn Read) -> std::result::Result<Outcome, Error> {
        self.begin(job)?;
        if let Job::Unpack { .. } | Job::Files(files::Work::CopyIn { .. }) = job {
            self.feed(input)?;
        }
        self.answer()
    }

    /// From the first word to the job.
    fn begin(&mut self, job: &Job) -> std::result::Result<(), Error> {
        self.say(&self.enter)?;
        // First it says that it is in its namespaces, or why it can't be.
        self.answer()?;
        if self.enter == Enter::NewUser {
            let (map, _) = ids::rootless_map().map_err(|e| Error::Spawn(io::Error::other(e)))?;
            corten_runtime::write_id_maps(self.pid, &map, true).map_err(Error::Maps)?;
        }
        self.say(job)
    }

    fn say<T: Serialize>(&self, words: &T) -> std::result::Result<(), Error> {
        let mut frame = Vec::new();
        protocol::push_json(&mut frame, protocol::Kind::Request, words);
        protocol::send_all(self.socket.as_fd(), &frame).map_err(Error::Spawn)
    }

    /// Hands the input over and closes the pipe; a worker that doesn't want all of it says why in its answer. Only what
    /// we say after it makes the pipe's end the input's end: else ours failed, or we are gone.
    fn feed(&mut self, input: &mut dyn Read) -> std::result::Result<(), Error> {
        let Some(pipe) = self.input.take() else { return Ok(()) };
        let mut pipe = std::fs::File::from(pipe);
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let count = match input.read(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(Error::Input)?,
            };
            if count == 0 || pipe.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        drop(pipe);
        // One that failed before doesn't listen any more, and has said why.
        let _ = self.say(&ALL_CAME);
        Ok(())
    }

    fn answer(&self) -> std::result::Result<Outcome, Error> {
        let frame = protocol::receive_frame(&self.socket).map_err(Error::Spawn)?;
        let (_, payload) = frame.ok_or(Error::Silent)?;
        match serde_json::from_slice(&payload) {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(failure)) => Err(Error::Failed(Failure::into(failure))),
            Err(e) => Err(Error::Spawn(e.into())),
        }
    }
}

/// The main function of the spawned process.
pub fn main() -> u8 {
    match work() {
        Ok(()) => 0,
        // Whoever asked was told over the socket, or is gone.
        Err(_) => 1,
    }
}

fn work() -> io::Result<()> {
    let socket = corten_sys::spawn::take_passed(0)?;
    let input = std::fs::File::from(corten_sys::spawn::take_passed(1)?);
    // Looked at before anything else is opened: without one the number is free.
    let output = corten_sys::spawn::take_passed(2).ok();
    let say = |answer: &std::result::Result<Outcome, Failure>| {
        let mut frame = Vec::new();
        protocol::push_json(&mut frame, protocol::Kind::Reply, answer);
        protocol::send_all(socket.as_fd(), &frame)
    };
    let Some((_, payload)) = protocol::receive_frame(&socket)? else { return Ok(()) };
    let enter: Enter = serde_json::from_slice(&payload)?;
    let seen = match namespaces::enter(enter) {
        Ok(seen) => seen,
        Err(error) => return say(&Err(Failure::new(&Error::Spawn(error), Kind::Denied, 125, None))),
    };
    say(&Ok(Outcome::default()))?;
    let Some((_, payload)) = protocol::receive_frame(&socket)? else { return Ok(()) };
    let job: Job = serde_json::from_slice(&payload)?;
    if enter == Enter::NewUser {
        namespaces::become_root()?;
    }
    let mut output: Box<dyn Write> = match output {
        Some(output) => Box::new(std::fs::File::from(output)),
        None => Box::new(io::sink()),
    };
    let rootless = enter == Enter::NewUser;
    let mut input = layers::Confirmed::new(&input, &socket);
    let result = perform(job, seen.as_ref(), rootless, &mut input, &mut output);
    say(&result.map_err(|e| Failure::new(&e, e.kind(), 125, e.hint())))
}
