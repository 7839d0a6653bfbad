//! Processes in running containers.

use corten_model::Kind;
use corten_runtime::{StartError, Stdio};
use rustix::process::{Signal, pidfd_send_signal};

use crate::Case;
use crate::world::{World, read_terminal, shell, streams, wait};

pub const CASES: &[Case] = &[
    ("execs::it_is_inside", it_is_inside),
    ("execs::in_the_host_user_namespace", in_the_host_user_namespace),
    ("execs::a_terminal", a_terminal),
    ("execs::a_finished_container", a_finished_container),
    ("execs::a_paused_container", a_paused_container),
    ("execs::a_pid_of_another", a_pid_of_another),
    ("execs::programs_that_cannot_be", programs_that_cannot_be),
    ("execs::it_does_not_see_descriptors", it_does_not_see_descriptors),
];

fn it_is_inside() {
    let mut world = World::new();
    let sleeper = world.sleeper();
    let script = "hostname; id -u; id -g; cat /proc/1/cmdline | tr '\\0' ' '; echo; pwd; ls /proc/self/ns | wc -l; \
        grep -E 'CapInh|CapEff|CapBnd' /proc/self/status; readlink /proc/self/cwd; echo x > /dev/stdout; exit 9";
    let script = script.replace("| tr '\\0' ' '; echo", "| grep -c sleep");
    let mut process = shell(&script);
    process.cwd = "/srv".into();
    let output = world.exec(&sleeper, &process).unwrap();
    let caps = "CapInh:\t0000000000000000\nCapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\n";
    assert_eq!(output.out, format!("box\n0\n0\n1\n/srv\n10\n{caps}/srv\nx\n"), "{output:?}");
    assert_eq!(output.code, 9);
    process.user.name = Some("web".parse().unwrap());
    process.args = ["sh", "-c", "id -u; id -G; cat /proc/self/cgroup | grep -v ':/$' | wc -l"]
        .map(String::from)
        .to_vec();
    let output = world.exec(&sleeper, &process).unwrap();
    assert_eq!(output.out, "33\n44 4\n0\n", "it is in the container's cgroup: {output:?}");
    // Every namespace is the container's.
    let names = |pid: &str| -> Vec<_> {
        ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"]
            .map(|n| std::fs::read_link(format!("/proc/{pid}/ns/{n}")).unwrap())
            .to_vec()
    };
    let (stdio, _out, _err) = streams();
    let mut process = shell("");
    process.args = ["sleep", "1000"].map(String::from).to_vec();
    let started = world.exec_with(&sleeper, &process, stdio).unwrap();
    assert_eq!(names(&started.pid.to_string()), names(&sleeper.0.pid.to_string()));
    let pids = world.cgroup.pids().unwrap();
    assert!(pids.contains(&started.pid) && pids.len() == 2, "{pids:?}");
    pidfd_send_signal(&started.pidfd, Signal::KILL).unwrap();
    assert_eq!(wait(&started.pidfd), 137);
}

fn in_the_host_user_namespace() {
    let mut world = World::new().without_userns();
    let sleeper = world.sleeper();
    let output = world.exec(&sleeper, &shell("hostname; id -u; ls /bin/busybox")).unwrap();
    assert_eq!(output.out, "box\n0\n/bin/busybox\n", "{output:?}");
}

fn a_terminal() {
    let mut world = World::new();
    let sleeper = world.sleeper();
    let mut process = shell("tty; echo hello > /dev/tty");
    process.terminal = true;
    let mut started = world.exec_with(&sleeper, &process, Stdio::Terminal).unwrap();
    assert_eq!(read_terminal(started.terminal.take().unwrap()), "/dev/pts/0\r\nhello\r\n");
    assert_eq!(wait(&started.pidfd), 0);
}

fn a_finished_container() {
    let mut world = World::new();
    let sleeper = world.sleeper();
    pidfd_send_signal(&sleeper.0.pidfd, Signal::KILL).unwrap();
    crate::world::readable(std::os::fd::AsFd::as_fd(&sleeper.0.pidfd));
    let error = world.exec(&sleeper, &shell("true")).unwrap_err();
    assert!(matches!(error, StartError::NotRunning { .. }), "{error:?}");
    assert_eq!((error.kind(), error.exit_code()), (Kind::Conflict, 125));
}

fn a_paused_container() {
    let mut world = World::new();
    let sleeper = world.sleeper();
    world.cgroup.freeze(true).unwrap();
    let result = world.exec(&sleeper, &shell("true"));
    world.cgroup.freeze(false).unwrap();
    assert!(matches!(result.unwrap_err(), StartError::Paused { .. }));
    assert_eq!(world.exec(&sleeper, &shell("true")).unwrap().code, 0);
}

fn a_pid_of_another() {
    let (mut a, mut b) = (World::new(), World::new());
    let (mut first, second) = (a.sleeper(), b.sleeper());
    let own = first.0.pid;
    first.0.pid = second.0.pid;
    let error = a.exec(&first, &shell("true")).unwrap_err();
    first.0.pid = own;
    assert!(matches!(error, StartError::NotRunning { .. }), "the pid is of another process: {error:?}");
}

fn programs_that_cannot_be() {
    let mut world = World::new();
    let sleeper = world.sleeper();
    let check = |args: &[&str], cwd: &str, code| {
        let mut process = shell("");
        process.args = args.iter().map(|a| (*a).to_owned()).collect();
        process.cwd = cwd.into();
        let error = world.exec(&sleeper, &process).unwrap_err();
        assert_eq!(error.exit_code(), code, "{args:?}: {error}");
    };
    check(&["missing"], "/", 127);
    check(&["/bin"], "/", 126);
    check(&["true"], "/missing", 126);
    check(&[], "/", 125);
    assert_eq!(world.cgroup.pids().unwrap(), [sleeper.0.pid], "nothing is left of them");
}

fn it_does_not_see_descriptors() {
    // A descriptor that somebody forgot to mark.
    let leaked = rustix::fs::open("/", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
    let mut world = World::new();
    let sleeper = world.sleeper();
    let mut process = shell("");
    process.args = ["ls", "/proc/self/fd"].map(String::from).to_vec();
    // The fourth is ls's own.
    assert_eq!(world.exec(&sleeper, &process).unwrap().out, "0\n1\n2\n3\n");
    let inside = std::fs::read_dir(format!("/proc/{}/fd", sleeper.0.pid)).unwrap().count();
    assert_eq!(inside, 3);
    drop(leaked);
}
