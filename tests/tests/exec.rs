//! `exec`: another process in a running container.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::{BUSYBOX, Host, groups_of};

fn running(flags: &[&str]) -> (Host, String) {
    let host = Host::with_busybox();
    let words =
        ["--name", "one"].iter().chain(flags).chain(&[BUSYBOX, "sleep", "1000"]).copied().collect::<Vec<_>>();
    let id = host.start(words);
    (host, id)
}

#[test]
fn streams_and_exit_code_come_through() {
    let (host, _) = running(&[]);
    let ran = host.run(["exec", "one", "sh", "-c", "echo out; echo err >&2; exit 3"]);
    ran.exits(3).stdout_is("out").check(ran.errors() == "err\n", "stderr isn't the app's");
    host.call(["exec", "-i", "one", "cat"]).stdin("through").output().success().stdout_is("through");
    // Without -i there is nothing to read.
    host.call(["exec", "one", "cat"]).stdin("not through").output().success().stdout_is("");
}

#[test]
fn it_is_in_the_same_container() {
    let (host, id) = running(&["--hostname", "box", "-e", "A=1"]);
    host.run(["exec", "one", "hostname"]).success().stdout_is("box");
    host.run(["exec", "one", "sh", "-c", "echo $A"]).success().stdout_is("1");
    host.run(["exec", "one", "sh", "-c", "ps -o args | grep -c '[s]leep 1000'"]).success().stdout_is("1");
    host.run(["exec", "one", "touch", "/made"]).success();
    host.run(["exec", "one", "ls", "/made"]).success();
    for kind in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        let own = std::fs::read_link(format!("/proc/{}/ns/{kind}", host.pid("one"))).unwrap();
        let link = format!("/proc/self/ns/{kind}");
        host.run(["exec", "one", "readlink", &link]).success().stdout_is(own.to_str().unwrap());
    }
    let spawned = host.call(["exec", "-i", "one", "cat"]).spawn();
    let in_group = || {
        let groups = groups_of(std::slice::from_ref(&id));
        let pids = groups.iter().flat_map(|g| std::fs::read_to_string(g.join("cgroup.procs")));
        pids.map(|p| p.lines().count()).max().unwrap_or(0)
    };
    corten_tests::wait_until("both processes are in the group", || (in_group() >= 2).then_some(()));
    spawned.finish().success();
}

#[test]
fn it_takes_an_environment_a_user_and_a_directory() {
    let (host, _) = running(&["-e", "A=1"]);
    let script = "echo $A $B $(id -un) $(id -G) $(pwd) $HOME";
    let ran = host.run(["exec", "-e", "B=2", "-u", "app", "-w", "/tmp", "one", "sh", "-c", script]);
    ran.success().stdout_is("1 2 app 1000 29 50 /tmp /home/app");
    host.run(["exec", "-u", "nobody-here", "one", "true"]).unsuccessful().stderr_has("nobody-here");
    host.run(["exec", "-w", "/no/such", "one", "true"]).unsuccessful().stderr_has("/no/such");
}

#[test]
fn what_is_missing_has_docker_s_codes() {
    let (host, _) = running(&[]);
    host.run(["exec", "one", "no-such-program"]).fails(127).stderr_has("no-such-program");
    host.run(["exec", "one", "/etc/passwd"]).fails(126).stderr_has("/etc/passwd");
    host.run(["exec", "nobody", "true"]).refuses().stderr_has("nobody");
    host.run(["create", "--name", "new", BUSYBOX]).success();
    host.run(["exec", "new", "true"]).refuses().stderr_has("not running");
}

#[test]
fn detached_it_goes_on_alone() {
    let (host, _) = running(&[]);
    host.run(["exec", "-d", "one", "sh", "-c", "echo done > /result; sleep 1000"]).success().stdout_is("");
    corten_tests::wait_until("it has run", || {
        (host.run(["exec", "one", "cat", "/result"]).text() == "done").then_some(())
    });
}

#[test]
fn it_ends_with_the_container() {
    let (host, _) = running(&[]);
    let session = host.call(["exec", "-i", "one", "sh", "-c", "echo ready; cat"]).spawn();
    session.wait_stdout("ready");
    host.run(["kill", "one"]).success();
    session.finish().exits(137);
}

#[test]
fn it_may_have_fewer_or_more_powers() {
    let (host, _) = running(&[]);
    let effective = "sed -n 's/^CapEff:\\t//p' /proc/self/status";
    host.run(["exec", "one", "sh", "-c", effective]).success().stdout_is("00000000a80425fb");
    host.run(["exec", "-u", "app", "one", "sh", "-c", effective]).success().stdout_is("0000000000000000");
    let more = host.run(["exec", "--privileged", "one", "sh", "-c", effective]);
    more.success().check(more.text().as_str() > "00000000a80425fb", "it has no more");
    host.run(["exec", "one", "grep", "Seccomp:", "/proc/self/status"]).success().stdout_is("Seccomp:\t2");
}

#[test]
fn many_at_the_same_time() {
    let (host, _) = running(&[]);
    let sessions: Vec<_> = (0..20)
        .map(|n| host.call(["exec", "one", "sh", "-c", &format!("echo {n}; exit {n}")]).spawn())
        .collect();
    for (n, session) in sessions.into_iter().enumerate() {
        session.finish().exits(n as i32).stdout_is(&n.to_string());
    }
}

#[test]
fn nothing_of_a_hundred_is_left_in_the_keeper() {
    let (host, _) = running(&[]);
    let keeper = host.keeper("one");
    let open = || std::fs::read_dir(format!("/proc/{keeper}/fd")).unwrap().count();
    host.run(["exec", "one", "true"]).success();
    let before = open();
    for _ in 0..100 {
        host.run(["exec", "one", "true"]).success();
    }
    corten_tests::wait_until("its descriptors are closed", || (open() <= before).then_some(()));
    let children = std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).unwrap();
    assert_eq!(children.split_whitespace().count(), 1, "only the app is its child: {children}");
}

/// A command that reaches the keeper by itself works without the database.
#[test]
fn a_name_or_a_whole_id_leads_to_the_keeper_without_the_database() {
    let (host, id) = running(&["-e", "A=1", "-w", "/tmp", "-u", "app"]);
    let database = host.data_root().join("corten.db");
    let aside = host.data_root().join("aside.db");
    std::fs::rename(&database, &aside).unwrap();
    for target in ["one", "/one", &id] {
        let ran = host.run(["exec", "-e", "B=2", target, "sh", "-c", "echo $A $B $(id -un) $(pwd); exit 3"]);
        ran.exits(3).stdout_is("1 2 app /tmp");
        host.run(["kill", "--signal", "WINCH", target]).success();
    }
    assert!(!database.exists(), "somebody made a database");
    std::fs::rename(&aside, &database).unwrap();
    host.run(["rm", "--force", "one"]).success();
}

#[test]
fn names_mean_what_the_database_says() {
    let (host, first) = running(&[]);
    let hostname = |target: &str| host.run(["exec", target, "hostname"]).success().text();
    // A beginning of an id gives way to a name that looks like it.
    let looks = &first[..12];
    host.run(["create", "--name", looks, BUSYBOX]).success();
    host.run(["exec", looks, "true"]).refuses().stderr_has("not running");
    host.run(["rm", looks]).success();
    assert_eq!(hostname(looks), first[..12]);
    // An id that is wrong behind its first digits is none.
    let wrong = format!("{}{}", &first[..63], if first.ends_with('0') { '1' } else { '0' });
    host.run(["exec", &wrong, "true"]).refuses().stderr_has("no such container");
    // A name goes over to the next container that gets it.
    host.run(["rm", "--force", "one"]).success();
    host.run(["exec", "one", "true"]).refuses().stderr_has("no such container");
    let second = host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    assert_eq!(hostname("one"), second[..12]);
    host.run(["exec", &first, "true"]).refuses().stderr_has("no such container");
    host.run(["kill", "one"]).success();
    host.run(["exec", "one", "true"]).refuses().stderr_has("not running");
}

#[test]
fn an_adopted_container_is_entered_as_before() {
    let (host, _) = running(&["-e", "A=1", "--hostname", "box"]);
    let keeper = host.keeper("one");
    let pid = rustix::process::Pid::from_raw(keeper as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let gone = || (!std::path::Path::new(&format!("/proc/{keeper}/exe")).exists()).then_some(());
    corten_tests::wait_until("the keeper is gone", gone);
    for _ in 0..2 {
        host.run(["exec", "one", "sh", "-c", "echo $A $(hostname)"]).success().stdout_is("1 box");
    }
}
