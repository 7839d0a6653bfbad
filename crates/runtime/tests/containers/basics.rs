//! A container's process: its code, streams, user, capabilities, limits, name.

use corten_model::capability::Capability;
use corten_runtime::seccomp;
use corten_runtime::spec::{ConsoleSize, Rlimit};
use corten_runtime::{StartError, Stdio, Step};

use crate::Case;
use crate::world::{World, collect, read_terminal, streams, wait};

pub const CASES: &[Case] = &[
    ("basics::exit_codes_and_streams", exit_codes_and_streams),
    ("basics::the_host_user_namespace", the_host_user_namespace),
    ("basics::a_terminal", a_terminal),
    ("basics::users", users),
    ("basics::a_user_outside_of_the_map", a_user_outside_of_the_map),
    ("basics::capabilities", capabilities),
    ("basics::ambient_capabilities", ambient_capabilities),
    ("basics::no_new_privileges_and_filter", no_new_privileges_and_filter),
    ("basics::limits", limits),
    ("basics::programs_that_cannot_be", programs_that_cannot_be),
    ("basics::the_environment", the_environment),
    ("basics::the_reaper", the_reaper),
    ("basics::started_tells_the_truth", started_tells_the_truth),
    ("basics::signals_are_at_their_default", signals_are_at_their_default),
    ("basics::the_program_runs_by_consent", the_program_runs_by_consent),
];

fn the_program_runs_by_consent() {
    let mut world = World::new();
    world.consent = Some(&|| Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted).into()));
    world.spec.process.args = ["sh", "-c", "touch /ran"].map(String::from).to_vec();
    assert!(matches!(world.error(), StartError::Withdrawn(_)));
    assert!(!world.root().join("ran").exists());
    world.consent = Some(&|| Ok(()));
    assert_eq!(world.run().unwrap().code, 0);
    assert!(world.root().join("ran").exists());
    // The first failure counts, wherever the other side is.
    world.spec.process.args = vec!["nothing".into()];
    assert_eq!(world.error().exit_code(), 127);
}

fn exit_codes_and_streams() {
    let mut world = World::new();
    let output = world.sh("echo out; echo err >&2; hostname; exit 7");
    assert_eq!((output.code, output.out.as_str(), output.err.as_str()), (7, "out\nbox\n", "err\n"));
    assert_eq!(output.warnings, Vec::<String>::new());
    assert_eq!(
        world.sh("kill -9 $$").code,
        0,
        "the first process of a pid namespace takes no signal of its own"
    );
    assert_eq!(world.sh("echo through the path > /dev/stdout").out, "through the path\n");
}

fn the_host_user_namespace() {
    let mut world = World::new().without_userns();
    let output = world.sh("cat /proc/self/uid_map; id -u; ls /dev/null; readlink /proc/1/exe");
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.out.contains("4294967295\n0\n/dev/null\n/bin/busybox"), "{output:?}");
}

fn a_terminal() {
    let mut world = World::new();
    world.spec.process.terminal = true;
    world.spec.process.console_size = Some(ConsoleSize { height: 33, width: 77 });
    for (init, user) in [(false, ""), (true, ""), (false, "web")] {
        world.init = init;
        world.spec.process.user.name = Some(user.parse().unwrap());
        let script = "tty; stty size; echo typed > /dev/tty; echo console > /dev/console; test -t 0; echo $?";
        world.spec.process.args = ["sh", "-c", script].map(String::from).to_vec();
        let mut started = world.launch(Stdio::Terminal).unwrap();
        let text = read_terminal(started.terminal.take().unwrap());
        assert_eq!(text, "/dev/pts/0\r\n33 77\r\ntyped\r\nconsole\r\n0\r\n", "init {init}, user {user}");
        assert_eq!(wait(&started.pidfd), 0);
    }
}

fn users() {
    let mut world = World::new();
    let mut check = |name: &str, expected: &str| {
        world.spec.process.user.name = Some(name.parse().unwrap());
        let output =
            world.sh("echo $(id -u) $(id -g) $(id -G) $HOME; echo x > /dev/stdout; touch /proc/self/comm");
        assert_eq!(output.out, format!("{expected}\nx\n"), "{name}: {output:?}");
    };
    check("", "0 0 0 /root");
    check("web", "33 44 44 4 /srv");
    check("web:log", "33 4 4 /srv");
    check("1000:1000", "1000 1000 1000 /");
    world.spec.process.user.name = Some("nobody".parse().unwrap());
    let error = world.error();
    assert_eq!(error.to_string(), "cannot find the user `nobody`: /etc/passwd has no such user");
}

fn a_user_outside_of_the_map() {
    let mut world = World::new();
    world.spec.process.user.name = Some("70000".parse().unwrap());
    world.spec.process.args = vec!["true".into()];
    let error = world.error();
    assert_eq!(error.exit_code(), 125);
    assert!(error.hint().unwrap().contains("user namespace"), "{error}");
}

const STATUS: &str = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status";

fn status(text: &str, key: &str) -> String {
    let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':')).expect("the key is there");
    line.trim().to_owned()
}

fn capabilities() {
    for mut world in [World::new(), World::new().without_userns()] {
        let text = world.sh(STATUS).out;
        assert_eq!(status(&text, "CapInh"), "0000000000000000");
        assert_eq!(status(&text, "CapAmb"), "0000000000000000");
        for set in ["CapPrm", "CapEff", "CapBnd"] {
            assert_eq!(status(&text, set), "00000000a80425fb", "{set}");
        }
        world.spec.process.user.name = Some("web".parse().unwrap());
        let text = world.sh(STATUS).out;
        assert_eq!(status(&text, "CapEff"), "0000000000000000");
        assert_eq!(status(&text, "CapBnd"), "00000000a80425fb");
        world.spec.process.capabilities = None;
        world.spec.process.user.name = None;
        assert_eq!(status(&world.sh(STATUS).out, "CapBnd"), "0000000000000000");
    }
}

fn ambient_capabilities() {
    let mut world = World::new();
    world.spec.process.user.name = Some("web".parse().unwrap());
    let bind: Capability = "NET_BIND_SERVICE".parse().unwrap();
    world.spec.process.capabilities.as_mut().unwrap().ambient = vec![bind];
    world.seccomp = Some(filter());
    let text = world.sh(STATUS).out;
    for set in ["CapInh", "CapAmb", "CapEff"] {
        assert_eq!(status(&text, set), "0000000000000400", "{set}");
    }
}

fn filter() -> seccomp::Filter {
    let caps = corten_model::capability::CapSet::DEFAULT;
    seccomp::filter(None, seccomp::default_profile(), caps, (6, 0)).unwrap()
}

fn no_new_privileges_and_filter() {
    for (nnp, init) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut world = World::new();
        world.spec.process.no_new_privileges = nnp;
        world.init = init;
        world.seccomp = Some(filter());
        let text = world.sh(&format!("{STATUS}; unshare -U true; unshare -m true")).out;
        assert_eq!(status(&text, "NoNewPrivs"), if nnp { "1" } else { "0" });
        assert_eq!(status(&text, "Seccomp"), "2");
        assert_eq!(status(&text, "CapEff"), "00000000a80425fb");
    }
}

fn limits() {
    let mut world = World::new();
    let limit = |kind: &str, soft, hard| Rlimit { kind: kind.into(), soft, hard };
    world.spec.process.rlimits = vec![
        limit("RLIMIT_NOFILE", 8, 9),
        limit("RLIMIT_CORE", 0, 0),
        limit("RLIMIT_NPROC", 1 << 40, 1 << 40),
    ];
    world.spec.process.user.umask = Some(0o077);
    world.spec.process.oom_score_adj = Some(500);
    let output = world.sh("ulimit -n; ulimit -Hn; ulimit -c; umask; cat /proc/self/oom_score_adj");
    assert_eq!(output.out, "8\n9\n0\n0077\n500\n", "{output:?}");
    let had = corten_sys::caps::get().unwrap().effective & corten_sys::caps::SYS_RESOURCE != 0;
    assert_eq!(output.warnings.len(), usize::from(!had), "{output:?}");
    if !had {
        assert!(output.warnings[0].contains("RLIMIT_NPROC"), "{output:?}");
    }
}

fn programs_that_cannot_be() {
    use std::os::unix::fs::PermissionsExt;
    let mut world = World::new();
    std::fs::write(world.root().join("bin/data"), "x").unwrap();
    let text = world.root().join("bin/garbage");
    std::fs::write(&text, "\0garbage").unwrap();
    std::fs::set_permissions(&text, PermissionsExt::from_mode(0o755)).unwrap();
    let script = world.root().join("bin/script");
    std::fs::write(&script, "#!/nothing\n").unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let mut check = |name: &str, code, step| {
        world.spec.process.args = vec![name.into()];
        let error = world.error();
        assert_eq!(error.exit_code(), code, "{name}: {error}");
        assert!(
            matches!(&error, corten_runtime::StartError::Step { step: s, .. } if *s == step),
            "{name}: {error:?}"
        );
    };
    check("missing", 127, Step::FindProgram);
    check("/bin/missing", 127, Step::FindProgram);
    check("data", 126, Step::FindProgram);
    check("/bin", 126, Step::FindProgram);
    check("garbage", 126, Step::Exec);
    check("script", 127, Step::Exec);
    world.spec.process.args = vec!["true".into()];
    world.spec.process.cwd = "/etc/passwd".into();
    assert_eq!(world.error().exit_code(), 126);
    world.spec.process.cwd = "/made/for/it".into();
    assert_eq!(world.sh("pwd").out, "/made/for/it\n");
}

fn the_environment() {
    let mut world = World::new();
    world.spec.process.env = ["PATH=/bin", "A=b"].map(String::from).to_vec();
    assert_eq!(
        world.sh("env").out.lines().filter(|l| !l.starts_with("SHLVL") && !l.starts_with("PWD")).count(),
        3
    );
    world.spec.process.env.push("HOME=/x".into());
    assert_eq!(world.sh("echo $HOME $A").out, "/x b\n");
}

fn the_reaper() {
    let mut world = World::new();
    world.init = true;
    let output = world.sh("echo $$; (sleep 0.01 &) ; cat /proc/1/cmdline >/dev/null; exit 5");
    assert_eq!((output.code, output.out.as_str()), (5, "2\n"));
    // Orphans don't stay zombies, and signals reach the program.
    world.spec.process.args =
        ["sh", "-c", "trap 'exit 42' TERM; echo ready; while true; do sleep 0.02; done"]
            .map(String::from)
            .to_vec();
    let (stdio, out, err) = streams();
    let started = world.launch(stdio).unwrap();
    crate::world::readable(std::os::fd::AsFd::as_fd(&out));
    rustix::process::pidfd_send_signal(&started.pidfd, rustix::process::Signal::TERM).unwrap();
    assert_eq!(collect(&started, out, err).code, 42);
    let script = "sh -c 'true & true & exec true' & wait; sleep 0.05; ps -o stat= | grep -c Z";
    assert_eq!(world.sh(script).out, "0\n");
    let output = world.sh("readlink /proc/1/exe; ls /proc/1/fd; ls /proc/1/root/; cat /proc/1/environ");
    assert_eq!(output.out, "", "nothing of our binary is reached: {output:?}");
    assert_eq!(world.sh("kill -9 $$").code, 137);
}

fn started_tells_the_truth() {
    let mut world = World::new();
    let sleeper = world.sleeper();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", sleeper.0.pid)).unwrap();
    assert_eq!(corten_sys::process::start_time_ticks(&stat), Some(sleeper.0.start_time_ticks));
    let status = std::fs::read_to_string(format!("/proc/{}/status", sleeper.0.pid)).unwrap();
    assert!(status.contains("NSpid:") && status.contains("\t1\n"), "{status}");
    assert_eq!(world.cgroup.pids().unwrap(), [sleeper.0.pid]);
    assert_eq!(sleeper.0.external.len(), 3, "{:?}", sleeper.0.external);
}

fn signals_are_at_their_default() {
    let mut world = World::new();
    // Not by a shell, which has its own way with SIGQUIT.
    world.spec.process.args =
        ["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"].map(String::from).to_vec();
    let text = world.run().unwrap().out;
    for key in ["SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(status(&text, key), "0000000000000000", "{key}");
    }
}
