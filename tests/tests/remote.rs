//! Commands on another host: what ssh is asked for, what comes back, and names for hosts.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use corten_tests::{Account, BUSYBOX, Call, Host, wait_until};
use rustix::process::Signal;

/// A directory with a program called `ssh`, which notes its words and runs the line here, and with `corten`.
fn fake(host: &Host) -> PathBuf {
    let dir = PathBuf::from(host.directory("bin"));
    let log = dir.join("log");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >> {}\nfor line; do :; done\nexec sh -c \"$line\"\n",
        log.display()
    );
    program(&dir, "ssh", &script);
    std::os::unix::fs::symlink(host.binary(), dir.join("corten")).unwrap();
    dir
}

fn program(dir: &Path, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(dir.join(name), script).unwrap();
    std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn through(host: &Host, dir: &Path, words: &[&str]) -> Call {
    host.call(words).env("PATH", &format!("{}:/usr/bin:/bin", dir.display()))
}

#[test]
fn words_streams_and_exit_codes_pass_as_they_are() {
    let host = Host::with_busybox();
    let bin = fake(&host);
    let script = "printf '%s|' \"$@\"; cat; echo err >&2; exit 7";
    let odd = ["a  b", "it's", "$HOME", "back\\slash", "", "*"];
    let words = ["-H", "ssh://me@box:2222", "run", "--rm", "-i", BUSYBOX, "sh", "-c", script, "sh"];
    let ran = through(&host, &bin, &[&words[..], &odd].concat()).stdin("input\n").output();
    ran.exits(7).stdout_is("a  b|it's|$HOME|back\\slash||*|input").check(ran.errors() == "err\n", "stderr");
    let log = std::fs::read_to_string(bin.join("log")).unwrap();
    assert!(log.starts_with("-T\n-p\n2222\n-l\nme\n--\nbox\nenv CORTEN_REMOTE="), "{log}");
    through(&host, &bin, &["-H", "ssh://box", "rm", "nothing"]).output().fails(1).stderr_has("nothing");
    let root = host.directory("other");
    let address = format!("ssh://box{root}");
    through(&host, &bin, &["-H", &address, "images", "-q"]).output().success().stdout_is("");
    assert!(Path::new(&root).join("version").exists(), "the path is the root over there");
}

#[test]
fn signals_are_handed_on() {
    let host = Host::with_busybox();
    let bin = fake(&host);
    let script = "trap 'echo got; exit 5' INT; echo up; while :; do sleep 0.1; done";
    let words = ["-H", "ssh://box", "run", "--rm", BUSYBOX, "sh", "-c", script];
    let session = through(&host, &bin, &words).spawn();
    session.wait_stdout("up\n");
    session.signal(Signal::INT);
    session.finish().exits(5).stdout_is("up\ngot");
}

#[test]
fn a_terminal_is_asked_for_where_there_is_one() {
    let host = Host::with_busybox();
    let bin = fake(&host);
    let words = ["-H", "ssh://box", "run", "--rm", "-it", BUSYBOX, "sh", "-c", "test -t 0 && echo tty"];
    through(&host, &bin, &words).terminal().finish().exits(0).stdout_has("tty");
    assert!(std::fs::read_to_string(bin.join("log")).unwrap().starts_with("-t\n--\nbox\n"));
    through(&host, &bin, &words).output().fails(125).stderr_has("not a TTY");
}

#[test]
fn contexts_are_names_for_hosts() {
    let host = Host::with_busybox();
    let bin = fake(&host);
    let run = |words: &[&str]| through(&host, &bin, words).output();
    run(&["context", "show"]).success().stdout_is("default");
    let create = ["context", "create", "far", "--docker", "host=ssh://me@box", "--description", "a box"];
    run(&create).success().stdout_is("far");
    run(&create).fails(1).stderr_has("it is there already");
    run(&["--context", "far", "run", "--rm", BUSYBOX, "echo", "hi"]).success().stdout_is("hi");
    run(&["context", "use", "far"]).success().stdout_is("far");
    run(&["context", "show"]).success().stdout_is("far");
    run(&["ps", "-q"]).success();
    assert!(std::fs::read_to_string(bin.join("log")).unwrap().ends_with("corten ps -q\n"));
    let listed = run(&["context", "ls"]);
    listed.success().stdout_has("far *").stdout_has("a box").stdout_has("ssh://me@box");
    run(&["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"])
        .success()
        .stdout_is("ssh://me@box");
    run(&["context", "update", "far", "--docker", "host=ssh://box:22"]).success();
    run(&["context", "export", "far"]).success();
    run(&["context", "import", "near", "far.dockercontext"]).success().stdout_is("near");
    assert_eq!(run(&["context", "inspect", "near"]).json()[0]["Endpoints"]["docker"]["Host"], "ssh://box:22");
    run(&["context", "rm", "far"]).fails(1).stderr_has("it is in use");
    run(&["context", "rm", "--force", "far", "near"]).success();
    run(&["context", "show"]).success().stdout_is("default");
    run(&["--context", "far", "ps"]).fails(125).stderr_has("no such context: `far`");
    run(&["context", "create", "a/b", "--docker", "host=ssh://x"]).fails(1);
    run(&["context", "rm", "default"]).fails(1);
}

#[test]
fn hosts_that_cant_be_used_are_said() {
    let host = Host::new();
    let check = |variable: &str, value: &str, expected: &[&str]| {
        let said = host.call(["ps"]).env(variable, value).output();
        said.fails(125);
        for text in expected {
            said.stderr_has(text);
        }
    };
    check("DOCKER_HOST", "unix:///var/run/docker.sock", &["of DOCKER_HOST", "no daemon", "hint: unset it"]);
    check("CORTEN_HOST", "tcp://box:2375", &["of CORTEN_HOST", "nothing listens on a port"]);
    check("DOCKER_HOST", "tcp://1.2.3.4:2376", &["of DOCKER_HOST", "nothing listens on a port"]);
    check(
        "DOCKER_CONTEXT",
        "desktop",
        &["`desktop`, which DOCKER_CONTEXT names", "corten context import desktop -"],
    );
    check("CORTEN_CONTEXT", "none", &["no such context: `none`", "context ls"]);
    host.call(["ps"]).env("DOCKER_HOST", "tcp://x").env("CORTEN_HOST", "local").output().success();
    // Docker's precedence: a host of the environment goes before a context of the environment, `default` is here.
    host.call(["ps"]).env("DOCKER_CONTEXT", "none").env("DOCKER_HOST", "local").output().success();
    host.call(["ps"]).env("DOCKER_CONTEXT", "default").output().success();
    host.run(["-H", "ssh://-oProxyCommand=x", "ps"]).fails(125).stderr_has("dash");
    host.run(["-H", "ssh://x", "--context", "y", "ps"]).fails(125).stderr_has("conflicting options");
    let empty = host.directory("empty");
    host.call(["-H", "ssh://x", "ps"]).env("PATH", &empty).output().fails(125).stderr_has("run `ssh`");
}

/// A server of OpenSSH's on a port of its own, which lets one account in.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(host: &Host, account: &Account) -> Self {
        let dir = PathBuf::from(host.directory("ssh"));
        account.give(&dir);
        let path = |name: &str| dir.join(name).display().to_string();
        for key in ["host_key", "user_key"] {
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]).status();
            assert!(made.unwrap().success());
        }
        account.give(&dir.join("host_key"));
        std::fs::copy(path("user_key.pub"), path("authorized")).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let home = host.path().join("home");
        let environment = format!(
            "\"HOME={}\" \"XDG_RUNTIME_DIR={}\" \"PATH={}:/usr/bin:/bin:/usr/sbin:/sbin\"",
            home.display(),
            host.path().join("runtime").display(),
            host.path().display()
        );
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nUsePAM no\nStrictModes no\n\
             AuthorizedKeysFile {}\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nSetEnv {environment}\n",
            path("host_key"),
            path("authorized")
        );
        std::fs::write(path("config"), config).unwrap();
        let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/sshd/usr/sbin/sshd");
        let program =
            if unpacked.exists() { unpacked.canonicalize().unwrap() } else { "/usr/sbin/sshd".into() };
        // The work tree may lie where nobody else may look.
        std::fs::copy(program, dir.join("sshd")).expect("there is an sshd: run `cargo xtask setup`");
        use std::os::unix::process::CommandExt as _;
        let (uid, gid) = account.ids();
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let child = Command::new(dir.join("sshd"))
            .args(["-D", "-e", "-f", &path("config")])
            .uid(uid)
            .gid(gid)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self { child, port };
        wait_until("the server listens", || std::net::TcpStream::connect(("127.0.0.1", port)).ok().map(drop));
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_round_through_a_real_server() {
    let account = Account::with_subordinate_ids();
    let there = Host::of(&account);
    let server = Server::start(&there, &account);
    let here = Host::new();
    let bin = PathBuf::from(here.directory("bin"));
    let key = there.path().join("ssh/user_key");
    let script = format!(
        "#!/bin/sh\nexec /usr/bin/ssh -F none -i {} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no \
         -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \"$@\"\n",
        key.display()
    );
    program(&bin, "ssh", &script);
    let address = format!("ssh://{}@127.0.0.1:{}", account.name(), server.port);
    let run = |words: &[&str]| through(&here, &bin, &[&["-H", &address], words].concat());
    run(&["run", "--rm", "hello"]).output().success();
    // The server has a word of its own about the account's home.
    run(&["inspect", "nothing"]).output().exits(1).stderr_has("error: no such object: nothing");
    let archive = corten_tests::busybox_files().bytes();
    run(&["import", "-", BUSYBOX]).stdin(archive).output().success();
    let script = "read word; echo \"$word $(id -u) it's\"; exit 9";
    let ran = run(&["run", "--rm", "-i", BUSYBOX, "sh", "-c", script]).stdin("in\n").output();
    ran.exits(9).stdout_is("in 0 it's");
    let trap = "trap 'echo got; exit 5' INT; echo up; while :; do sleep 0.1; done";
    let session = run(&["run", "--rm", BUSYBOX, "sh", "-c", trap]).spawn();
    session.wait_stdout("up\n");
    session.signal(Signal::INT);
    session.finish().exits(5).stdout_is("up\ngot");
    assert!(there.run(["images", "-q"]).success().lines().len() == 2, "they are over there");
    here.run(["images", "-q"]).success().stdout_is("");
}
