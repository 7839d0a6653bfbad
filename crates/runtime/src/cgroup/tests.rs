//! Groups of this machine, whichever version it has: made, filled, limited, frozen, killed and removed.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use corten_model::Kind;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// A group of a test's own, removed with what is in it.
struct Fixture {
    host: Host,
    group: Cgroup,
    warnings: Vec<String>,
}

fn name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("corten-test-{}-{}/x", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn fixture(limits: &Limits) -> Fixture {
    let host = Host::detect().unwrap().without_systemd();
    let (group, warnings) = host.create(&name(), limits).unwrap();
    Fixture { host, group, warnings }
}

fn resources(resources: Resources) -> Limits {
    Limits { resources, devices: Vec::new() }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.group.kill_all();
        let _ = self.group.remove();
        remove_above(&self.host, self.group.path());
    }
}

fn remove_above(host: &Host, path: &str) {
    let (above, _) = path.split_once('/').unwrap();
    for hierarchy in &host.v1 {
        let _ = std::fs::remove_dir(hierarchy.base.join(above));
    }
    if let Some(unified) = &host.v2 {
        let _ = std::fs::remove_dir(v2::base(unified).join(above).join("leaving"));
        let _ = std::fs::remove_dir(v2::base(unified).join(above));
    }
}

impl Fixture {
    /// Starts a shell that enters the group and then does `script`.
    fn run(&self, script: &str) -> Child {
        let enter = r#"while [ "$1" != -- ]; do
            if [ -e "$1/tasks" ]; then echo 0 > "$1/tasks"; else echo 0 > "$1/cgroup.procs"; fi || exit 99
            shift
        done; "#;
        Command::new("/bin/sh")
            .args(["-c", &format!("{enter}{script}"), "sh"])
            .args(self.group.directories())
            .arg("--")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn output(&self, script: &str) -> (ExitStatus, String) {
        let output = self.run(script).wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status, String::from_utf8_lossy(&text).into_owned())
    }

    /// What the file says that is called so on v1 or so on v2.
    fn says(&self, v1: &str, v2: &str) -> String {
        let paths = self.group.directories().into_iter().flat_map(|d| [d.join(v1), d.join(v2)]);
        let found = paths.filter(|p| p.is_file()).map(|p| std::fs::read_to_string(p).unwrap());
        found.map(|t| t.trim().to_owned()).next().unwrap_or_else(|| panic!("neither {v1} nor {v2}"))
    }

    fn wait_populated(&self) {
        wait_until("the child is in its group", || self.group.is_populated().unwrap());
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_group_is_made_entered_killed_and_removed() {
    let f = fixture(&Limits::default());
    assert_eq!(f.warnings, Vec::<String>::new());
    assert!(!f.group.directories().is_empty());
    assert!(!f.group.is_populated().unwrap());
    assert_eq!(f.group.join_fds().unwrap().len(), f.group.directories().len());
    assert_eq!(f.group.clone_into().is_some(), f.host.unified().is_some());
    let mut child = f.run("echo in; exec sleep 1000");
    let mut said = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(f.group.pids().unwrap(), [child.id() as i32]);
    assert!(f.group.is_populated().unwrap());
    let again = f.host.open(f.group.path()).unwrap();
    assert_eq!(again.pids().unwrap(), [child.id() as i32]);
    let busy = again.remove().unwrap_err();
    assert_eq!(busy.kind(), Kind::Conflict, "{busy}");
    f.group.kill_all().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert!(!f.group.is_populated().unwrap());
    f.group.kill_all().unwrap();
    f.group.remove().unwrap();
    assert!(f.group.directories().iter().all(|d| !d.exists()));
    f.group.remove().unwrap();
    assert_eq!(f.host.open(f.group.path()).unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn a_child_enters_by_the_descriptors() {
    let f = fixture(&Limits::default());
    let fds = f.group.join_fds().unwrap();
    if f.host.unified().is_some() {
        // There the whole process would move, which is the test harness: a shell does it.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo 0 >&0; cat /proc/self/cgroup"]);
        let output = command.stdin(fds.into_iter().next_back().unwrap()).output().unwrap();
        let groups = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(groups.contains(&format!("{}/payload", f.group.path())), "{groups}");
        return;
    }
    // A thread of its own: `tasks` moves one thread, and it leaves the group by ending.
    let groups = std::thread::spawn(move || {
        assert!(fds.iter().all(|fd| rustix::io::write(fd, b"0").is_ok()));
        std::fs::read_to_string("/proc/thread-self/cgroup").unwrap()
    });
    let groups = groups.join().unwrap();
    assert_eq!(groups.matches(f.group.path()).count(), f.group.directories().len(), "{groups}");
}

#[test]
fn limits_reach_the_kernel() {
    let f = fixture(&resources(Resources {
        memory_bytes: Some(64 << 20),
        memory_swap_bytes: Some(96 << 20),
        nano_cpus: Some(500_000_000),
        cpuset_cpus: Some("0".into()),
        pids_limit: Some(77),
        ..Default::default()
    }));
    assert_eq!(f.says("memory.limit_in_bytes", "memory.max"), (64 << 20).to_string());
    let on_v1 = f.group.v1.iter().any(|g| g.has("memory"));
    let swap = if on_v1 { 96 << 20 } else { 32 << 20 };
    if f.warnings.is_empty() {
        assert_eq!(f.says("memory.memsw.limit_in_bytes", "memory.swap.max"), swap.to_string());
    } else {
        // A kernel without swap accounting: the warning names the file.
        assert!(f.warnings[0].contains("memory."), "{:?}", f.warnings);
    }
    assert!(["50000", "50000 100000"].contains(&f.says("cpu.cfs_quota_us", "cpu.max").as_str()));
    assert_eq!(f.says("cpuset.cpus", "cpuset.cpus"), "0");
    assert_eq!(f.says("pids.max", "pids.max"), "77");
}

#[test]
fn limits_of_a_living_group_change_both_ways() {
    let memory = |memory: u64, both: i64| Resources {
        memory_bytes: Some(memory),
        memory_swap_bytes: Some(both),
        ..Resources::default()
    };
    let f = fixture(&resources(memory(64 << 20, 64 << 20)));
    for (now, both) in [(128 << 20, 128 << 20), (32 << 20, 48 << 20), (256 << 20, -1)] {
        f.group.set(&memory(now, both)).unwrap();
        assert_eq!(f.says("memory.limit_in_bytes", "memory.max"), now.to_string());
    }
    f.group.set(&Resources { memory_bytes: Some(0), ..Resources::default() }).unwrap();
    assert_ne!(f.says("memory.limit_in_bytes", "memory.max"), (256 << 20).to_string());
    f.group.set(&Resources { pids_limit: Some(-1), ..Resources::default() }).unwrap();
    assert_eq!(f.says("pids.max", "pids.max"), "max");
}

#[test]
fn a_refused_limit_names_file_and_value_and_leaves_nothing() {
    let host = Host::detect().unwrap().without_systemd();
    let path = name();
    let limits = resources(Resources { cpuset_cpus: Some("900".into()), ..Resources::default() });
    let error = host.create(&path, &limits).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    assert!(error.to_string().contains("900") && error.to_string().contains("cpuset.cpus"), "{error}");
    assert!(error.hint().is_some());
    assert_eq!(host.open(&path).unwrap_err().kind(), Kind::NotFound);
    remove_above(&host, &path);
}

#[test]
fn memory_beyond_the_limit_is_an_oom_kill() {
    let limits =
        Resources { memory_bytes: Some(16 << 20), memory_swap_bytes: Some(16 << 20), ..Resources::default() };
    let f = fixture(&resources(limits));
    assert_eq!(f.group.oom_kills(), 0);
    let (status, _) = f.output("exec dd if=/dev/zero of=/dev/null bs=64M count=1");
    assert_eq!(status.signal(), Some(9));
    assert!(f.group.oom_kills() >= 1);
}

#[test]
fn no_more_processes_than_allowed() {
    let f = fixture(&resources(Resources { pids_limit: Some(1), ..Resources::default() }));
    let (status, text) = f.output("/bin/true; echo forked");
    assert!(!status.success() && !text.contains("forked"), "{status} {text}");
}

#[test]
fn devices_that_are_not_listed_do_not_open() {
    let rule = |allow, kind, major, minor, access: &str| DeviceRule {
        allow,
        kind,
        major,
        minor,
        access: access.into(),
    };
    let devices = vec![
        rule(false, 'a', None, None, "rwm"),
        rule(true, 'c', None, None, "m"),
        rule(true, 'c', Some(1), Some(3), "rwm"),
        rule(true, 'c', Some(1), Some(5), "w"),
    ];
    let f = fixture(&Limits { devices, ..Limits::default() });
    let (status, text) = f.output(
        "echo a > /dev/null && echo null; echo b > /dev/zero && echo zero; head -c 1 /dev/zero || echo no read; \
         (: < /dev/urandom) || echo no random; exit 0",
    );
    assert!(status.success(), "{text}");
    for part in ["null", "zero", "no read", "no random", "ot permitted"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_frozen_group_stands_still() {
    let f = fixture(&Limits::default());
    let mut child = f.run("while :; do echo tick; done");
    let mut out = child.stdout.take().unwrap();
    let mut buffer = [0; 1 << 16];
    assert!(out.read(&mut buffer).unwrap() > 0);
    f.group.freeze(true).unwrap();
    // What was in the pipe can be read; nothing comes after it.
    rustix::io::ioctl_fionbio(&out, true).unwrap();
    while out.read(&mut buffer).is_ok() {}
    let readable = |out: &std::process::ChildStdout, ms: i64| {
        let time = rustix::event::Timespec { tv_sec: ms / 1000, tv_nsec: ms % 1000 * 1_000_000 };
        let fd = rustix::event::PollFd::new(out, rustix::event::PollFlags::IN);
        rustix::event::poll(&mut [fd], Some(&time)).unwrap() > 0
    };
    assert!(!readable(&out, 100), "a frozen process wrote");
    f.group.freeze(false).unwrap();
    assert!(readable(&out, 20_000), "a thawed process writes");
    f.group.freeze(true).unwrap();
    f.group.kill_all().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9), "a frozen one can be killed");
}

#[test]
fn what_forks_without_end_is_killed_as_well() {
    let f = fixture(&resources(Resources { pids_limit: Some(60), ..Resources::default() }));
    let mut child = f.run("while :; do (sleep 1000 &) & done 2>/dev/null");
    wait_until("it forks", || f.group.pids().unwrap().len() > 20);
    f.group.kill_all().unwrap();
    assert_eq!(f.group.pids().unwrap(), Vec::<i32>::new());
    // The shell may have ended by itself, when it couldn't fork any more.
    child.wait().unwrap();
}

#[test]
fn groups_made_inside_are_counted_killed_and_removed() {
    let f = fixture(&Limits::default());
    let inner = f.group.directories()[0].join("inner");
    // The directory whose members are counted may be another one: make it in all.
    for dir in f.group.directories() {
        std::fs::create_dir_all(dir.join("inner/most")).unwrap();
    }
    let mut child = f.run("for d in /sys/fs/cgroup/*/ /sys/fs/cgroup/; do :; done; exec sleep 1000");
    f.wait_populated();
    for dir in f.group.directories() {
        let file = if dir.join("tasks").exists() { "tasks" } else { "cgroup.procs" };
        let cpuset = dir.join("inner/cpuset.cpus");
        assert!(
            !cpuset.exists()
                || !std::fs::read_to_string(cpuset).unwrap().is_empty()
                || file == "cgroup.procs"
        );
        std::fs::write(dir.join("inner/most").join(file), child.id().to_string()).unwrap();
    }
    assert_eq!(f.group.pids().unwrap(), [child.id() as i32]);
    assert!(f.group.is_populated().unwrap());
    f.group.kill_all().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    f.group.remove().unwrap();
    assert!(!inner.exists());
}

#[test]
fn a_keeper_leaves_its_callers_groups() {
    let host = Host::detect().unwrap().without_systemd();
    let path = name();
    if host.unified().is_some() {
        // A process moves as a whole: a shell stands for the keeper.
        let base = v2::base(host.unified().unwrap());
        let (group, _) = host.create(&path, &Limits::default()).unwrap();
        let keeper = base.join(&path).join("keeper");
        std::fs::create_dir(&keeper).unwrap();
        let script = format!("echo 0 > {}/cgroup.procs; cat /proc/self/cgroup", keeper.display());
        let output = Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("{path}/keeper")), "{output:?}");
        group.remove().unwrap();
    } else {
        let (above, _) = path.split_once('/').unwrap();
        let inner = path.clone();
        let groups = std::thread::spawn(move || {
            Host::detect().unwrap().without_systemd().leave_for_keeper(&inner).unwrap();
            std::fs::read_to_string("/proc/thread-self/cgroup").unwrap()
        });
        assert_eq!(groups.join().unwrap().matches(above).count(), host.v1.len());
    }
    remove_above(&host, &path);
}

/// Not a test of its own: what a user finds to whom nothing was delegated.
#[test]
fn child_as_user() {
    let Ok(path) = std::env::var("CORTEN_TEST_USER") else { return };
    let host = Host::detect().unwrap().without_systemd();
    host.leave_for_keeper(&path).unwrap();
    let limited = Resources { memory_bytes: Some(64 << 20), pids_limit: Some(9), ..Resources::default() };
    let rule = DeviceRule { allow: false, kind: 'a', major: None, minor: None, access: "rwm".into() };
    let (group, warnings) = host.create(&path, &Limits { resources: limited, devices: vec![rule] }).unwrap();
    group.kill_all().unwrap();
    group.remove().unwrap();
    let (_, none) = host.create(&path, &Limits::default()).unwrap();
    println!("\nuser: {} groups, {warnings:?} {none:?}", group.directories().len());
}

#[test]
fn a_user_to_whom_nothing_is_delegated_is_told_once() {
    // A copy: the build directory may be out of that user's reach.
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = Command::new(&program)
        .args(["--exact", "cgroup::tests::child_as_user", "--nocapture", "--test-threads=1"])
        .env("CORTEN_TEST_USER", name())
        .current_dir("/")
        .uid(54321)
        .gid(54321)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|l| l.starts_with("user: ")).unwrap_or_else(|| panic!("{output:?}"));
    let warning =
        "these limits are not applied, their control group controllers are not delegated to us: memory, pids";
    assert_eq!(line, format!("user: 0 groups, [{warning:?}] []"));
}

#[test]
fn the_place_of_another_process() {
    let f = fixture(&Limits::default());
    let mut child = f.run("echo in; exec sleep 1000");
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
    let own = std::path::PathBuf::from(format!("/proc/{}/cgroup", child.id()));
    let there = Host::detect_as(&own).unwrap().without_systemd();
    assert!(there.v1.iter().all(|h| h.base.ends_with(f.group.path())));
    if let Some(unified) = there.unified() {
        assert!(unified.base.ends_with("payload"));
        // It has a process, so it can't have groups with controllers: the one above it can.
        assert!(v2::base(unified).ends_with(f.group.path()));
    }
    let (inner, warnings) =
        there.create("inner/y", &resources(Resources { pids_limit: Some(5), ..Default::default() })).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert!(inner.directories().iter().all(|d| d.display().to_string().contains(f.group.path())));
    inner.remove().unwrap();
    remove_above(&there, inner.path());
    f.group.kill_all().unwrap();
    child.wait().unwrap();
}

#[test]
fn creating_twice_is_the_same_group() {
    let f = fixture(&Limits::default());
    let (again, _) = f.host.create(f.group.path(), &Limits::default()).unwrap();
    assert_eq!(again.directories(), f.group.directories());
}

#[test]
fn looking_is_cheap() {
    let best = (0..20)
        .map(|_| {
            let start = Instant::now();
            Host::detect().unwrap();
            start.elapsed()
        })
        .min()
        .unwrap();
    // Generous: an unoptimised build on a busy machine.
    assert!(best < Duration::from_millis(3), "{best:?}");
    assert!(Path::new("/proc/self/cgroup").exists());
}
