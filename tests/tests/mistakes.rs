//! The mistakes that people make most, verb by verb: the exact text that each is answered with, and the exit code.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::Host;

/// No such container, as a command says it that was doing something to it.
fn no_container(doing: &str) -> String {
    format!(
        "error: cannot {doing} `nothing`\ncaused by: no such container: `nothing`\nhint: `corten ps -a` lists them\n"
    )
}

fn missing(verb: &str, what: &str) -> String {
    format!("error: `corten {verb}`: {what} is missing\nhint: see `corten {verb} --help`\n")
}

const NOT_RUNNING: &str = "caused by: container `web` is not running\nhint: `corten start web` starts it\n";
const NO_IMAGE: &str = "caused by: no such image: `nothing`\nhint: `corten pull nothing` brings it from its registry, \
                        `corten load` from an archive; `corten run hello` needs none\n";

/// A store with the container `web` of the image `hello`, which is made and does not run.
fn host() -> (Host, String) {
    let host = Host::new();
    let id = host.run(["create", "--name", "web", "hello"]).success().text();
    (host, id[..12].to_owned())
}

fn check(host: &Host, words: &[&str], code: i32, expected: impl AsRef<str>) {
    let said = host.run(words);
    said.exits(code)
        .check(said.errors() == expected.as_ref(), &format!("it should say:\n{}", expected.as_ref()));
}

#[test]
fn run_create_start_exec() {
    let (host, id) = host();
    let in_use = format!(
        "caused by: the name `web` is in use by container {id}\n\
         hint: remove it (`corten rm web`) or choose another `--name`\n"
    );
    check(&host, &["run"], 125, missing("run", "IMAGE"));
    check(
        &host,
        &["run", "--pull=never", "nothing"],
        125,
        format!("error: cannot run `nothing`\n{NO_IMAGE}"),
    );
    check(&host, &["run", "--name", "web", "hello"], 125, format!("error: cannot run `hello`\n{in_use}"));
    check(&host, &["create"], 125, missing("create", "IMAGE"));
    check(
        &host,
        &["create", "-m", "lots", "hello"],
        125,
        "error: flag `--memory` of `corten create`\ncaused by: invalid memory limit `lots`: unknown unit\n\
         hint: for example `512m` or `1.5g`\n",
    );
    let taken = format!("error: cannot create a container of `hello`\n{in_use}");
    check(&host, &["create", "--name", "web", "hello"], 125, taken);
    check(&host, &["start"], 125, missing("start", "CONTAINER"));
    check(&host, &["start", "nothing"], 125, no_container("start container"));
    let one = "error: conflicting options: only one container can be started and attached to at once\n";
    check(&host, &["start", "-ai", "a", "b"], 125, one);
    check(&host, &["exec"], 125, missing("exec", "CONTAINER"));
    let stands = format!("error: cannot run a process in container `web`\n{NOT_RUNNING}");
    check(&host, &["exec", "web", "true"], 125, stands);
    check(&host, &["exec", "nothing", "true"], 125, no_container("run a process in container"));
}

#[test]
fn stop_kill_rm_logs() {
    let (host, _) = host();
    check(&host, &["stop"], 1, missing("stop", "CONTAINER"));
    check(&host, &["stop", "nothing"], 1, no_container("stop container"));
    check(
        &host,
        &["stop", "-t", "x", "web"],
        125,
        "error: flag `--timeout` of `corten stop`: invalid value `x`: invalid digit found in string\n\
         hint: see `corten stop --help`\n",
    );
    check(&host, &["kill"], 1, missing("kill", "CONTAINER"));
    check(&host, &["kill", "web"], 1, format!("error: cannot kill container `web`\n{NOT_RUNNING}"));
    check(
        &host,
        &["kill", "-s", "FOO", "web"],
        125,
        "error: flag `--signal` of `corten kill`\n\
         caused by: invalid signal `FOO`: not a signal's name or a number from 1 to 64\n\
         hint: for example `SIGTERM` or `15`\n",
    );
    check(&host, &["rm"], 1, missing("rm", "CONTAINER"));
    check(&host, &["rm", "nothing"], 1, no_container("remove container"));
    let near = "error: unknown flag `--frce` of `corten rm`\nhint: did you mean `--force`?\n";
    check(&host, &["rm", "--frce", "web"], 125, near);
    check(&host, &["logs"], 1, missing("logs", "CONTAINER"));
    check(&host, &["logs", "nothing"], 1, no_container("read the log of container"));
    check(
        &host,
        &["logs", "--tail", "x", "web"],
        125,
        "error: flag `--tail` of `corten logs`\n\
         caused by: invalid number of lines `x`: neither a number nor `all`\n",
    );
}

#[test]
fn images_and_objects() {
    let (host, _) = host();
    check(&host, &["rmi"], 1, missing("rmi", "IMAGE"));
    check(&host, &["rmi", "nothing"], 1, format!("error: cannot remove image `nothing`\n{NO_IMAGE}"));
    check(
        &host,
        &["rmi", "hello"],
        1,
        "error: cannot remove image `hello`\ncaused by: image `hello` is in use by container `web`\n\
         hint: remove the container first\n",
    );
    check(&host, &["import"], 1, missing("import", "FILE"));
    let absent = "error: read `/no/such`\ncaused by: No such file or directory (ENOENT)\n";
    check(&host, &["import", "/no/such"], 1, absent);
    check(&host, &["inspect"], 1, missing("inspect", "NAME|ID"));
    check(&host, &["inspect", "nothing"], 1, "error: no such object: nothing\n");
    check(
        &host,
        &["inspect", "--type", "x", "web"],
        125,
        "error: flag `--type` of `corten inspect`\ncaused by: invalid type `x`: no such type of object\n\
         hint: use `container`, `image` or `volume`\n",
    );
    let more = |verb: &str| {
        format!("error: `corten {verb}`: unexpected argument `x`\nhint: see `corten {verb} --help`\n")
    };
    check(&host, &["ps", "x"], 1, more("ps"));
    check(&host, &["volume", "ls", "x"], 1, more("volume ls"));
    check(&host, &["info", "x"], 1, more("info"));
}

#[test]
fn volumes_configuration_and_contexts() {
    let (host, _) = host();
    let hint = "hint: `corten volume ls` lists them\n";
    check(&host, &["volume", "rm"], 1, missing("volume rm", "VOLUME"));
    check(
        &host,
        &["volume", "create", "a/b"],
        1,
        "error: `corten volume create`: invalid name `a/b`: names are 1 to 200 of `a-z A-Z 0-9 _ . -` and start with \
         a letter or digit\nhint: see `corten volume create --help`\n",
    );
    let shell = "error: `corten completion`: invalid value `tcsh`\nhint: see `corten completion --help`\n";
    check(&host, &["completion", "tcsh"], 1, shell);
    let gone = format!("error: cannot remove volume `nothing`\ncaused by: no such volume: `nothing`\n{hint}");
    check(&host, &["volume", "rm", "nothing"], 1, gone);
    check(&host, &["volume", "inspect", "nothing"], 1, format!("error: no such volume: `nothing`\n{hint}"));
    let near = "error: unknown command `system chek`\nhint: did you mean `system check`?\n";
    check(&host, &["system", "chek"], 1, near);
    check(&host, &["config", "get"], 1, missing("config get", "KEY"));
    let unknown = "error: unknown configuration key `x`\nhint: `corten config show` lists the keys\n";
    check(&host, &["config", "explain", "x"], 1, unknown);
    check(
        &host,
        &["config", "set", "log.max_files", "many"],
        1,
        "error: `log.max_files`: `many` is given, and a number from 1 to 1000 is expected\n\
         hint: see `corten config explain log.max_files`\n",
    );
    let none = "error: no such context: `nothing`\nhint: `corten context ls` lists them\n";
    check(&host, &["context", "use", "nothing"], 1, none);
    check(&host, &["context", "rm"], 1, missing("context rm", "CONTEXT"));
    check(&host, &["completion"], 1, missing("completion", "SHELL"));
}
