//! The scope's life: against a played manager here, and against the real one where there is one.

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;

use super::super::dbus::tests::Played;
use super::super::{Driver, Host, Limits, Resources};
use super::*;

/// What happens at each try to enter.
struct Script(RefCell<Vec<Result<(), Error>>>);

impl Script {
    fn new(steps: Vec<Result<(), Error>>) -> Script {
        Script(RefCell::new(steps.into_iter().rev().collect()))
    }
}

impl Entering for Script {
    fn enter(&self) -> Result<(), Error> {
        self.0.borrow_mut().pop().expect("no more tries than steps")
    }
    fn subgroup(&self) -> String {
        "/corten/x/keeper".into()
    }
}

fn failed(errno: i32) -> Result<(), Error> {
    Err(Error::write(Path::new("/scope"), "0", std::io::Error::from_raw_os_error(errno)))
}

const ENOENT: i32 = 2;
const EACCES: i32 = 13;

/// What the played manager says to a call: an error's name, or a job's result, or just yes.
#[derive(Clone, Copy)]
enum Answer {
    Refuse(&'static str),
    Job(&'static str),
    Yes,
}

/// What was called, with its strings.
type Calls = Vec<(String, Vec<String>)>;

/// Plays a manager that takes a connection for each answer.
fn played(answers: &[Answer], enter: Vec<Result<(), Error>>) -> (Result<(), Error>, Calls) {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager { private: dir.path().join("private"), bus: dir.path().join("none"), uid: 1000 };
    let listener = UnixListener::bind(&manager.private).unwrap();
    let answers = answers.to_vec();
    let thread = std::thread::spawn(move || {
        let mut calls = Vec::new();
        for answer in answers {
            let mut s = Played::accept(&listener);
            let call = s.receive();
            calls.push((call.member.clone().unwrap(), call.strings()));
            match answer {
                Answer::Refuse(name) => s.answer(Ok(call.serial), Some(name), &Body::new("s").text("no")),
                Answer::Yes => s.answer(Ok(call.serial), None, &Body::default()),
                Answer::Job(result) => {
                    let removed = |job| Body::new("uoss").u32(5).text(job).text(SCOPE).text(result);
                    s.answer(Err("JobRemoved"), None, &removed("/job/other"));
                    s.answer(Ok(call.serial), None, &Body::new("o").text("/job/1"));
                    s.answer(Err("JobRemoved"), None, &removed("/job/1"));
                }
            }
        }
        calls
    });
    let result = manager.bring(&Script::new(enter));
    (result, thread.join().unwrap())
}

#[test]
fn a_scope_that_is_there_needs_no_manager() {
    let (result, calls) = played(&[], vec![Ok(())]);
    assert!(result.is_ok() && calls.is_empty());
}

#[test]
fn a_missing_scope_is_made_and_entered() {
    let (result, calls) = played(&[Answer::Job("done")], vec![failed(ENOENT), Ok(())]);
    result.unwrap();
    assert_eq!(calls, [("StartTransientUnit".to_owned(), vec![SCOPE.to_owned(), "fail".into()])]);
}

#[test]
fn a_scope_that_comes_or_goes_meanwhile_is_tried_again() {
    let taken = Answer::Refuse("org.freedesktop.systemd1.UnitExists");
    let steps = vec![failed(ENOENT), failed(ENOENT), failed(ENOENT), Ok(())];
    let (result, calls) = played(&[taken, Answer::Job("canceled"), Answer::Job("done")], steps);
    result.unwrap();
    assert_eq!(calls.len(), 3);
}

#[test]
fn who_may_not_move_itself_is_moved() {
    let gone = Answer::Refuse("org.freedesktop.systemd1.NoSuchUnit");
    let (result, calls) = played(&[gone, Answer::Yes], vec![failed(EACCES), failed(EACCES)]);
    result.unwrap();
    let attach = ("AttachProcessesToUnit".to_owned(), vec![SCOPE.to_owned(), "/corten/x/keeper".into()]);
    assert_eq!(calls, [attach.clone(), attach]);
}

#[test]
fn refusals_come_back_typed() {
    let (result, _) =
        played(&[Answer::Refuse("org.freedesktop.DBus.Error.AccessDenied")], vec![failed(ENOENT)]);
    let error = result.unwrap_err();
    assert_eq!(error.kind(), corten_model::Kind::Denied, "{error}");
    let (result, _) = played(&[Answer::Job("failed")], vec![failed(ENOENT)]);
    assert!(matches!(result, Err(Error::Job { result, .. }) if result == "failed"));
    let (result, _) = played(&[], vec![failed(28)]);
    assert!(matches!(result, Err(Error::Write { .. })));
}

#[test]
fn where_managers_are() {
    let check =
        |uid, own: &str, first: &str, expected: &str| assert_eq!(manager_group(uid, own, first), expected);
    check(0, "/user.slice/user-0.slice/session-1.scope", "/init.scope", "");
    check(0, "/system.slice/x.service", "/machine/abc/init.scope", "/machine/abc");
    check(0, "/", "/", "");
    let user = "/user.slice/user-1000.slice/user@1000.service";
    check(1000, "/user.slice/user-1000.slice/session-1.scope", "/init.scope", user);
    check(1000, &format!("{user}/app.slice/terminal.scope"), "/init.scope", user);
    check(1000, user, "/init.scope", user);
    assert_eq!(Manager::of_user(Path::new("/"), 0).private, Path::new("/run/systemd/private"));
    assert_eq!(Manager::of_user(Path::new("/"), 7).bus, Path::new("/run/user/7/bus"));
}

/// Not a test of its own: a keeper, in a process that the tests below start. Its life: leave, make a group,
/// run something in it, tell where both are, wait for a line, remove the group.
#[test]
fn child_as_keeper() {
    let Ok(path) = std::env::var("CORTEN_TEST_KEEPER") else { return };
    let host = Host::detect().unwrap();
    let host = if std::env::var_os("CORTEN_TEST_NO_MANAGER").is_some() {
        let none = PathBuf::from("/nonexistent");
        host.with_manager(Manager {
            private: none.clone(),
            bus: none,
            uid: rustix::process::geteuid().as_raw(),
        })
    } else {
        host
    };
    // Both orders are right: whatever comes first brings the process into the scope.
    let leaves_first = path.ends_with('1');
    if leaves_first {
        host.leave_for_keeper(&path).unwrap();
    }
    let resources = Resources {
        pids_limit: Some(50),
        cpuset_cpus: Some("0".into()),
        nano_cpus: Some(500_000_000),
        memory_bytes: Some(64 << 20),
        ..Default::default()
    };
    let (group, warnings) = host.create(&path, &Limits { resources, devices: Vec::new() }).unwrap();
    if !leaves_first {
        host.leave_for_keeper(&path).unwrap();
    }
    let script = r#"for d; do
        if [ -e "$d/tasks" ]; then echo 0 > "$d/tasks"; else echo 0 > "$d/cgroup.procs"; fi || exit 99
    done; cat /proc/self/cgroup; exec sleep 1000"#;
    let mut payload = std::process::Command::new("/bin/sh")
        .args(["-c", script, "sh"])
        .args(group.directories())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(payload.stdout.take().unwrap());
    let mut inside = String::new();
    out.read_line(&mut inside).unwrap();
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let pids = group.directories().iter().find_map(|d| std::fs::read_to_string(d.join("pids.max")).ok());
    println!(
        "\nkeeper {} payload {} pids {} warnings {warnings:?}",
        own.trim(),
        inside.trim(),
        pids.unwrap_or_default().trim()
    );
    std::io::stdin().read_line(&mut String::new()).unwrap();
    group.kill_all().unwrap();
    payload.wait().unwrap();
    group.remove().unwrap();
}

struct Keeper {
    child: std::process::Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Keeper {
    fn start(path: &str, uid: u32, manager: bool) -> Keeper {
        // The test program may be in a directory that only root may look into.
        let program = std::env::temp_dir().join(format!("corten-test-keeper-{}", std::process::id()));
        if !program.exists() {
            let mine = std::env::temp_dir().join(format!("corten-test-keeper-{}.new", std::process::id()));
            std::fs::copy(std::env::current_exe().unwrap(), &mine).unwrap();
            std::fs::rename(mine, &program).unwrap();
        }
        let mut command = std::process::Command::new(program);
        command
            .args(["--exact", "cgroup::systemd::tests::child_as_keeper", "--nocapture", "--test-threads=1"])
            .env("CORTEN_TEST_KEEPER", path)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped());
        if !manager {
            command.env("CORTEN_TEST_NO_MANAGER", "1");
        }
        if uid != 0 {
            command.uid(uid).gid(uid);
        }
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Keeper { child, out }
    }

    /// What it told.
    fn line(&mut self) -> String {
        let mut all = String::new();
        let mut line = String::new();
        while self.out.read_line(&mut line).unwrap() > 0 {
            if line.starts_with("keeper ") {
                return line;
            }
            all += &std::mem::take(&mut line);
        }
        panic!("the keeper failed: {all}")
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        std::io::copy(&mut self.out, &mut std::io::sink()).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

/// On a host with systemd: what a keeper of `uid` finds, twice, and what is left after both.
fn live_and_die(uid: u32, scope: &str) {
    let path = |n: u32| format!("corten/test-{}-{uid}-{n}", std::process::id());
    let mut first = Keeper::start(&path(1), uid, true);
    let line = first.line();
    assert!(line.contains(&format!("keeper 0::{scope}/{}/keeper ", path(1))), "{line}");
    assert!(line.contains(&format!("payload 0::{scope}/{}/payload ", path(1))), "{line}");
    assert!(line.contains("pids 50 warnings ["), "{line}");
    // systemd's own default for users is to delegate cpu, memory and pids only.
    let missing = line.contains("not delegated to us: cpuset\"]");
    assert!(line.contains("warnings []") || (uid != 0 && missing), "{line}");
    // The scope is there: root's next keeper needs no D-Bus. A user's does where it comes from outside of its
    // manager's groups.
    let mut second = Keeper::start(&path(2), uid, uid != 0);
    let line = second.line();
    assert!(line.contains(&format!("payload 0::{scope}/{}/payload ", path(2))), "{line}");
    first.end();
    let groups = Path::new("/sys/fs/cgroup").join(&scope[1..]).join("corten");
    assert!(groups.is_dir(), "the scope lives while a keeper does");
    second.end();
    let end = Instant::now() + PATIENCE;
    while groups.exists() {
        assert!(Instant::now() < end, "systemd removes the empty scope");
        std::thread::yield_now();
    }
}

/// On a host without systemd this checks that nothing of it is tried.
#[test]
fn keepers_of_root_live_in_the_scope() {
    let host = Host::detect().unwrap();
    if host.driver() == Driver::Cgroupfs {
        assert!(host.systemd.is_none() && host.v1.iter().all(|h| h.scope.is_none()));
        return;
    }
    live_and_die(0, "/system.slice/corten.scope");
    // Many at once: one makes the scope, the others find it taken or there; and it vanishes while others
    // come.
    for round in 0..3 {
        let path = |n: u32| format!("corten/test-{}-{round}-{n}", std::process::id());
        let mut keepers: Vec<Keeper> = (0..6).map(|n| Keeper::start(&path(n), 0, true)).collect();
        for keeper in &mut keepers {
            let line = keeper.line();
            assert!(
                line.contains("/system.slice/corten.scope/corten/") && line.contains("pids 50 warnings []"),
                "{line}"
            );
        }
        keepers.into_iter().for_each(Keeper::end);
    }
}

#[test]
fn keepers_of_a_user_live_in_the_users_scope() {
    let manager = Manager::of_user(Path::new("/"), 1000);
    if !manager.private.exists() {
        assert!(Connection::open(&manager.private, Peer::Service, 1000, TIMEOUT).is_err());
        return;
    }
    live_and_die(1000, "/user.slice/user-1000.slice/user@1000.service/app.slice/corten.scope");
}
