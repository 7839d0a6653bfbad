//! A host of its own for one test: its own data root and run root, so that tests run side by side.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tempfile::TempDir;

use crate::account::Account;
use crate::call::Call;
use crate::image::{BUSYBOX, busybox_files};
use crate::leftovers;
use crate::output::Output;
use crate::wait::wait_for;
use crate::{SETTLE_DEADLINE, wait_until};

/// The binary under test.
pub fn binary() -> PathBuf {
    match std::env::var_os("CORTEN_BIN") {
        Some(path) if Path::new(&path).is_file() => path.into(),
        Some(path) => panic!("CORTEN_BIN names {path:?}, which isn't there: run `cargo xtask test`"),
        None => panic!("CORTEN_BIN names no binary to test: run `cargo xtask test`"),
    }
}

/// A store of its own, and who uses it.
pub struct Host {
    dir: TempDir,
    binary: PathBuf,
    account: Option<(u32, u32)>,
    /// Ids of all containers this test has heard of.
    ids: Mutex<BTreeSet<String>>,
    checks: bool,
}

impl Host {
    /// An empty store, used by root.
    pub fn new() -> Self {
        // Short: a socket's path has room for 108 bytes.
        let dir = tempfile::Builder::new().prefix("ct").tempdir_in("/tmp").expect("/tmp can be written");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        Self { dir, binary: binary(), account: None, ids: Mutex::default(), checks: true }
    }

    /// A store with the image `busybox`.
    #[track_caller]
    pub fn with_busybox() -> Self {
        let host = Self::new();
        host.import_busybox();
        host
    }

    /// An empty store in the default places of an ordinary user.
    pub fn of(account: &Account) -> Self {
        // The work tree may lie where nobody else may look.
        let mut host = Self::new().with_own_binary();
        for name in ["home", "runtime"] {
            let path = host.dir.path().join(name);
            fs::create_dir(&path).expect("a new directory");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("it is ours");
            account.give(&path);
        }
        host.account = Some(account.ids());
        host
    }

    /// With a copy of the binary, for tests in which somebody tries to change it.
    pub fn with_own_binary(mut self) -> Self {
        let copy = self.dir.path().join("corten");
        fs::copy(&self.binary, &copy).expect("room for a copy of the binary");
        self.binary = copy;
        self
    }

    /// From now on this program is run instead.
    pub(crate) fn set_binary(&mut self, program: PathBuf) {
        self.binary = program;
    }

    /// For tests that leave things on purpose: the drop cleans up and doesn't look.
    pub fn leaves_things(mut self) -> Self {
        self.checks = false;
        self
    }

    /// A directory of this host for files of the test.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The binary this host runs.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The data root.
    pub fn data_root(&self) -> PathBuf {
        match self.account {
            None => self.path().join("store"),
            Some(_) => self.path().join("home/.local/share/corten"),
        }
    }

    /// The run root.
    pub fn run_root(&self) -> PathBuf {
        match self.account {
            None => self.path().join("run"),
            Some(_) => self.path().join("runtime/corten"),
        }
    }

    /// Makes a file in this host's directory and returns its path.
    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.path().join(name);
        fs::write(&path, content).expect("our own directory");
        path.to_string_lossy().into_owned()
    }

    /// Makes a directory in this host's directory and returns its path.
    pub fn directory(&self, name: &str) -> String {
        let path = self.path().join(name);
        fs::create_dir_all(&path).expect("our own directory");
        path.to_string_lossy().into_owned()
    }

    /// A command about to be run.
    pub fn call<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Call {
        self.call_by(Command::new(&self.binary), args)
    }

    /// The same with so many bytes of address space: taking more is a crash.
    pub fn call_within<S: AsRef<OsStr>>(&self, bytes: u64, args: impl IntoIterator<Item = S>) -> Call {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -v {}; exec \"$0\" \"$@\"", bytes >> 10)]).arg(&self.binary);
        self.call_by(command, args)
    }

    fn call_by<S: AsRef<OsStr>>(&self, mut command: Command, args: impl IntoIterator<Item = S>) -> Call {
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .current_dir(self.path());
        match self.account {
            None => {
                command.env("HOME", "/root");
                command.env("CORTEN_ROOT", self.data_root()).env("CORTEN_RUN_ROOT", self.run_root());
                // The machine's own configuration is none of a test's business.
                command.env("CORTEN_CONFIG", self.path());
            }
            Some((uid, gid)) => {
                command.uid(uid).gid(gid).env("HOME", self.path().join("home"));
                command.env("XDG_RUNTIME_DIR", self.path().join("runtime"));
            }
        }
        let mut line = String::from("corten");
        for arg in args {
            line.push(' ');
            line.push_str(&arg.as_ref().to_string_lossy());
            command.arg(arg);
        }
        Call::new(line, command)
    }

    /// Runs a command to its end, with nothing to read.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        let output = self.call(args).output();
        self.remember(&output);
        output
    }

    /// Runs a shell script in a new busybox container and returns its output.
    #[track_caller]
    pub fn shell(&self, script: &str) -> Output {
        self.run(["run", "--rm", BUSYBOX, "sh", "-c", script])
    }

    /// Runs a shell script in a new busybox container made with `flags`.
    #[track_caller]
    pub fn shell_with(&self, flags: &[&str], script: &str) -> Output {
        let command = [BUSYBOX, "sh", "-c", script];
        self.run(["run", "--rm"].iter().chain(flags).chain(&command))
    }

    /// `run -d` with these words after it: the new container's id.
    #[track_caller]
    pub fn start<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        let words: Vec<_> = args.into_iter().map(|a| a.as_ref().to_owned()).collect();
        let output = self.run(["run".into(), "-d".into()].into_iter().chain(words));
        output.success();
        let id = output.text();
        output.check(is_id(&id), "that is no container's id");
        id
    }

    /// Imports a tar archive as an image.
    #[track_caller]
    pub fn import(&self, name: &str, tar: Vec<u8>) {
        self.call(["import", "-", name]).stdin(tar).output().success();
    }

    /// Imports the image `busybox`, whose command is `sh`.
    #[track_caller]
    pub fn import_busybox(&self) {
        let import = ["import", "--change", "CMD [\"sh\"]", "-", BUSYBOX];
        self.call(import).stdin(busybox_files().bytes()).output().success();
    }

    /// `inspect` of one thing.
    #[track_caller]
    pub fn inspect(&self, target: &str) -> Value {
        let output = self.run(["inspect", target]);
        output.success();
        output.json()[0].clone()
    }

    /// The state of a container, as `inspect` tells it: `running`, `exited`, …
    #[track_caller]
    pub fn status(&self, target: &str) -> String {
        self.inspect(target)["State"]["Status"].as_str().unwrap_or("nothing").to_owned()
    }

    /// Waits for a state.
    #[track_caller]
    pub fn wait_status(&self, target: &str, status: &str) {
        wait_until(&format!("{target} is {status}"), || (self.status(target) == status).then_some(()));
    }

    /// The pid of a running container's init.
    #[track_caller]
    pub fn pid(&self, target: &str) -> u32 {
        let pid = self.inspect(target)["State"]["Pid"].as_u64().unwrap_or_default();
        assert!(pid > 0, "{target} has no pid");
        pid as u32
    }

    /// The keeper of a running container: its init's parent.
    #[track_caller]
    pub fn keeper(&self, target: &str) -> u32 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid(target))).expect("it runs");
        let parent =
            status.lines().find_map(|l| l.strip_prefix("PPid:")).expect("every process has a parent");
        parent.trim().parse().expect("a pid is a number")
    }

    /// What the log holds once `text` is in it.
    #[track_caller]
    pub fn wait_logs(&self, target: &str, text: &str) -> String {
        wait_until(&format!("the log of {target} has {text:?}"), || {
            let said = self.run(["logs", target]).text();
            said.contains(text).then_some(said)
        })
    }

    /// Fails unless `system check` has nothing to say, once what follows a reported exit code is done.
    #[track_caller]
    pub fn is_clean(&self) {
        if let Some(said) = self.findings() {
            panic!("`system check`: {said}");
        }
    }

    /// What `system check` has to say even when everything had time to go.
    fn findings(&self) -> Option<String> {
        let check = || self.call(["system", "check"]).output();
        match wait_for(SETTLE_DEADLINE, || (check().code == 0).then_some(())) {
            Some(()) => None,
            None => Some(check()).map(|said| format!("{}{}", said.text(), said.errors())),
        }
    }

    /// Notes the containers that the store has now: their control groups have to be gone in the end, also where a
    /// crash or `--rm` takes them away before a command prints their ids.
    pub fn note_containers(&self) {
        let entries = fs::read_dir(self.data_root().join("containers")).into_iter().flatten().flatten();
        let names = entries.filter_map(|e| e.file_name().into_string().ok());
        self.ids().extend(names.filter(|name| is_id(name)));
    }

    fn ids(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, output: &Output) {
        self.ids().extend(output.lines().into_iter().filter(|line| is_id(line)));
    }

    /// Removes every container; returns what went wrong.
    fn remove_containers(&self) -> Option<String> {
        if !self.data_root().exists() {
            return None;
        }
        let listed = self.call(["ps", "--all", "--quiet", "--no-trunc"]).output();
        if listed.code != 0 {
            return Some(format!("`ps` failed: {}", listed.errors()));
        }
        self.remember(&listed);
        let ids = listed.lines();
        if ids.is_empty() {
            return None;
        }
        let words = ["rm", "--force", "--volumes"].into_iter().map(str::to_owned).chain(ids);
        let removed = self.call(words).output();
        (removed.code != 0).then(|| format!("`rm --force` failed: {}", removed.errors()))
    }

    /// What is left on the machine, once everything had time to go.
    fn leftovers(&self) -> Option<String> {
        let ids: Vec<String> = self.ids().iter().cloned().collect();
        let look = || {
            let mut left: Vec<String> = Vec::new();
            let processes = leftovers::processes_of(self.path());
            left.extend(processes.iter().map(|(pid, what)| format!("process {pid}: {what}")));
            left.extend(leftovers::mounts_of(self.path()).into_iter().map(|m| format!("mount: {m}")));
            left.extend(leftovers::groups_of(&ids).iter().map(|g| format!("group: {}", g.display())));
            left
        };
        match wait_for(SETTLE_DEADLINE, || look().is_empty().then_some(())) {
            Some(()) => None,
            None => Some(look().join("\n")),
        }
    }

    fn kill_what_is_left(&self) {
        for (pid, _) in leftovers::processes_of(self.path()) {
            if let Some(pid) = rustix::process::Pid::from_raw(pid as i32) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let quiet = std::thread::panicking() || !self.checks;
        if quiet {
            // Commands may hang where a test has just failed: no more of them than needed, and no second panic.
            self.kill_what_is_left();
            let calls = ["ps", "--all", "--quiet", "--no-trunc"];
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.call(calls).output())).map(
                |listed| {
                    let words = ["rm".to_owned(), "--force".to_owned()].into_iter().chain(listed.lines());
                    self.call(words).output()
                },
            );
            self.kill_what_is_left();
            return;
        }
        let wrong = self.remove_containers();
        let wrong = wrong.or_else(|| if self.data_root().exists() { self.findings() } else { None });
        let wrong = wrong.or_else(|| self.leftovers());
        if let Some(wrong) = wrong {
            self.kill_what_is_left();
            panic!("the test leaves something behind: {wrong}");
        }
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
