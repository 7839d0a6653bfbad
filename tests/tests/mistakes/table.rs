//! Every mistake: the verb, and for each what is typed, the exit code and the answer.

use super::Says::{self, *};

/// What is typed, the exit code, the answer.
pub type Mistake = (&'static str, i32, Says);

const NO_LIST: &str = "error: No such manifest: docker.io/library/x:latest\nhint: `corten manifest create x:latest` makes one\n";

/// By verb, in the order of the alphabet.
#[rustfmt::skip]
pub const MISTAKES: &[(&str, &[Mistake])] = &[
    ("attach", &[
        ("attach", 1, Missing("CONTAINER")),
        ("attach nothing", 1, NoContainer("")),
        ("attach web", 1, NotRunning("attach to container")),
        ("attach --frob web", 125, NoFlag("--frob")),
    ]),
    ("commit", &[
        ("commit", 1, Missing("CONTAINER")),
        ("commit nothing", 1, NoContainer("commit container")),
        ("commit web UPPER", 1, Text(
            "error: `corten commit`: invalid image reference `UPPER`: a repository's name is lowercase\n\
             hint: see `corten commit --help`\n"
        )),
        ("commit -c RUN web", 1, Text(
            "error: cannot commit container `web`\n\
             caused by: invalid change `RUN`: an instruction and its argument are needed\n\
             hint: use CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, SHELL, STOPSIGNAL, USER, VOLUME or WORKDIR\n"
        )),
    ]),
    ("completion", &[
        ("completion", 1, Missing("SHELL")),
        ("completion tcsh", 1, Text(
            "error: `corten completion`: invalid value `tcsh`: there are `bash`, `zsh`, `fish`\n\
             hint: see `corten completion --help`\n"
        )),
        ("completion bash zsh", 1, Extra("zsh")),
    ]),
    ("config check", &[
        ("config check x", 1, Extra("x")),
        ("config check --frob", 125, NoFlag("--frob")),
        ("config chek", 1, Nearest("config chek")),
    ]),
    ("config explain", &[
        ("config explain", 1, Missing("KEY")),
        ("config explain x", 1, NoKey),
        ("config explain log.max_sise", 1, Text(
            "error: unknown configuration key `log.max_sise`\n\
             hint: did you mean `log.max_size`?\n"
        )),
    ]),
    ("config get", &[
        ("config get", 1, Missing("KEY")),
        ("config get x", 1, NoKey),
        ("config get max_size", 1, Text(
            "error: unknown configuration key `max_size`\n\
             hint: did you mean `log.max_size`?\n"
        )),
    ]),
    ("config import", &[
        ("config import /no/such", 1, Text(
            "error: read the configuration `/no/such`\n\
             caused by: No such file or directory (ENOENT)\n"
        )),
        ("config import /dev/null x", 1, Extra("x")),
        ("config import --frob", 125, NoFlag("--frob")),
    ]),
    ("config set", &[
        ("config set", 1, Missing("KEY")),
        ("config set log.max_files many", 1, Text(
            "error: `log.max_files`: `many` is given, and a number from 1 to 1000 is expected\n\
             hint: see `corten config explain log.max_files`\n"
        )),
        ("config set x 1", 1, NoKey),
        ("config set log.max_files", 1, Text(
            "error: `log.max_files`: one value is expected, not 0\n\
             hint: see `corten config explain log.max_files`\n"
        )),
    ]),
    ("config show", &[
        ("config show --frob", 125, NoFlag("--frob")),
        ("config show x", 1, Extra("x")),
        ("config show --all", 125, NoFlag("--all")),
    ]),
    ("config unset", &[
        ("config unset", 1, Missing("KEY")),
        ("config unset x", 1, NoKey),
        ("config unset log.max_files log.max_size", 1, Extra("log.max_size")),
    ]),
    ("container inspect", &[
        ("container inspect", 1, Missing("CONTAINER")),
        ("container inspect nothing", 1, NoContainer("")),
        ("container inspect -f {{.Nothing}} web", 1, Text(
            "error: template at line 1, column 3: map has no entry for key \"Nothing\"\n\
             \x20 {{.Nothing}}\n\
             \x20   ^\n"
        )),
        ("container inspect hello", 1, Text(
            "error: no such container: `hello`\n\
             hint: `corten ps -a` lists them\n"
        )),
    ]),
    ("container prune", &[
        ("container prune x", 1, Extra("x")),
        ("container prune --filter x=1", 1, Text(
            "error: invalid filter `x=1`: there is no such filter here\n\
             hint: there are `until`, `label`, `label!`\n"
        )),
        ("container prune --filter until=never", 1, Text(
            "error: invalid time `never`: neither a time nor a duration\n\
             hint: for example `2026-01-02T13:23:37Z`, `1767360217` or `10m`\n"
        )),
    ]),
    ("context create", &[
        ("context create", 1, Missing("CONTEXT")),
        ("context create --frob far", 125, Text(
            "error: unknown flag `--frob` of `corten context create`\n\
             hint: did you mean `--from`?\n"
        )),
        ("context create --docker host=tcp://box:2375 far", 1, Text(
            "error: the host `tcp://box:2375` of --docker can't be used: nothing listens on a port: hosts are reached through ssh\n"
        )),
        ("context create a/b --docker host=ssh://x", 1, Text(
            "error: context `a/b`: a name is letters, digits and `_.+-`, a letter or a digit first\n"
        )),
    ]),
    ("context export", &[
        ("context export", 1, Missing("CONTEXT")),
        ("context export nothing", 1, NoContext),
        ("context export default /no/such/x", 1, Text(
            "error: write `/no/such/x`\n\
             caused by: No such file or directory (ENOENT)\n"
        )),
    ]),
    ("context import", &[
        ("context import", 1, Missing("CONTEXT")),
        ("context import far", 1, Missing("FILE")),
        ("context import far /no/such", 1, Text(
            "error: read `/no/such`\n\
             caused by: No such file or directory (ENOENT)\n"
        )),
    ]),
    ("context inspect", &[
        ("context inspect nothing", 1, NoContext),
        ("context inspect --frob", 125, NoFlag("--frob")),
        ("context inspet", 1, Nearest("context inspet")),
    ]),
    ("context ls", &[
        ("context ls x", 1, Extra("x")),
        ("context ls --frob", 125, NoFlag("--frob")),
        ("context ls --format {{.Nothing}}", 1, Text(
            "error: template at line 1, column 3: can't evaluate field Nothing in type *formatter.clientContextContext\n\
             \x20 {{.Nothing}}\n\
             \x20   ^\n"
        )),
    ]),
    ("context rm", &[
        ("context rm", 1, Missing("CONTEXT")),
        ("context rm nothing", 1, NoContext),
        ("context rm default", 1, Text(
            "error: context `default`: it is this host, and stays so\n"
        )),
    ]),
    ("context show", &[
        ("context show x", 1, Extra("x")),
        ("context show --frob", 125, NoFlag("--frob")),
        ("context shwo", 1, Nearest("context shwo")),
    ]),
    ("context update", &[
        ("context update", 1, Missing("CONTEXT")),
        ("context update nothing", 1, NoContext),
        ("context update --docker host=unix:///x default", 1, Text(
            "error: the host `unix:///x` of --docker can't be used: there is no daemon behind a socket to talk to\n"
        )),
    ]),
    ("context use", &[
        ("context use", 1, Missing("CONTEXT")),
        ("context use nothing", 1, NoContext),
        ("context use a b", 1, Extra("b")),
    ]),
    ("cp", &[
        ("cp", 1, Missing("SRC_PATH")),
        ("cp web", 1, Missing("DEST_PATH")),
        ("cp web:/x nothing:/y", 1, Text(
            "error: `corten cp`: copying between containers is not supported\n\
             hint: see `corten cp --help`\n"
        )),
        ("cp nothing:/x .", 1, NoContainer("copy from container")),
        ("cp web:/x", 1, Missing("DEST_PATH")),
        ("cp a b", 1, Text(
            "error: `corten cp`: one of the two paths is in a container: `CONTAINER:PATH`\n\
             hint: see `corten cp --help`\n"
        )),
    ]),
    ("create", &[
        ("create", 125, Missing("IMAGE")),
        ("create -m lots hello", 125, Text(
            "error: flag `--memory` of `corten create`\n\
             caused by: invalid memory limit `lots`: unknown unit\n\
             hint: for example `512m` or `1.5g`\n"
        )),
        ("create --name web hello", 125, Text(
            "error: cannot create a container of `hello`\n\
             caused by: the name `web` is in use by container ID\n\
             hint: remove it (`corten rm web`) or choose another `--name`\n"
        )),
        ("create --pull=never nothing", 125, NoImage("create a container of")),
    ]),
    ("diff", &[
        ("diff", 1, Missing("CONTAINER")),
        ("diff nothing", 1, NoContainer("")),
        ("diff web web", 1, Extra("web")),
    ]),
    ("events", &[
        ("events x", 1, Extra("x")),
        ("events --since never", 1, Text(
            "error: invalid time `never`: neither a time nor a duration\n\
             hint: for example `2026-01-02T13:23:37Z`, `1767360217` or `10m`\n"
        )),
        ("events -f color=red", 1, NoFilter("`container`, `daemon`, `event`, `image`, `label`, `network`, `plugin`, `scope`, `type`, `volume`")),
    ]),
    ("exec", &[
        ("exec", 125, Missing("CONTAINER")),
        ("exec web", 125, Text(
            "error: `corten exec`: a command is missing\n\
             hint: see `corten exec --help`\n"
        )),
        ("exec web true", 125, NotRunning("run a process in container")),
        ("exec nothing true", 125, NoContainer("run a process in container")),
    ]),
    ("export", &[
        ("export", 1, Missing("CONTAINER")),
        ("export nothing", 1, NoContainer("export container")),
        ("export -o /no/such/x web", 1, Text(
            "error: write `/no/such/x`\n\
             caused by: No such file or directory (ENOENT)\n"
        )),
    ]),
    ("history", &[
        ("history", 1, Missing("IMAGE")),
        ("history nothing", 1, NoImage("")),
        ("history hello hello", 1, Extra("hello")),
    ]),
    ("image inspect", &[
        ("image inspect", 1, Missing("IMAGE")),
        ("image inspect nothing", 1, NoImage("")),
        ("image inspect --frob hello", 125, NoFlag("--frob")),
    ]),
    ("image prune", &[
        ("image prune x", 1, Extra("x")),
        ("image prune --filter color=red", 1, NoFilter("`until`, `label`, `label!`")),
        ("image prune --filter label", 1, Text(
            "error: invalid filter `label`: no `=`\n\
             hint: write `KEY=VALUE`\n"
        )),
    ]),
    ("images", &[
        ("images a b", 1, Extra("b")),
        ("images --filter color=red", 1, NoFilter("`before`, `dangling`, `label`, `label!`, `reference`, `since`, `until`")),
        ("images --tree -q", 1, Text(
            "error: conflicting options: `--tree` shows everything: only `--no-trunc` and `--all` go with it\n"
        )),
        ("images UPPER", 1, Text(
            "error: invalid image reference `UPPER`: a repository's name is lowercase\n"
        )),
    ]),
    ("import", &[
        ("import", 1, Missing("FILE")),
        ("import /no/such", 1, Text(
            "error: read `/no/such`\n\
             caused by: No such file or directory (ENOENT)\n"
        )),
        ("import - UPPER", 1, Text(
            "error: `corten import`: invalid image reference `UPPER`: a repository's name is lowercase\n\
             hint: see `corten import --help`\n"
        )),
        ("import https://x/y.tar", 1, Text(
            "error: invalid file `https://x/y.tar`: importing from a URL is not supported\n\
             hint: fetch it first: `curl -L URL | corten import -`\n"
        )),
    ]),
    ("info", &[
        ("info x", 1, Extra("x")),
        ("info --frob", 125, NoFlag("--frob")),
        ("info -f {{.Nothing}}", 1, Text(
            "error: template at line 1, column 3: map has no entry for key \"Nothing\"\n\
             \x20 {{.Nothing}}\n\
             \x20   ^\n"
        )),
    ]),
    ("inspect", &[
        ("inspect", 1, Missing("NAME|ID")),
        ("inspect nothing", 1, Text(
            "error: no such object: nothing\n"
        )),
        ("inspect --type x web", 125, Text(
            "error: flag `--type` of `corten inspect`\n\
             caused by: invalid type `x`: no such type of object\n\
             hint: use `container`, `image` or `volume`\n"
        )),
    ]),
    ("kill", &[
        ("kill", 1, Missing("CONTAINER")),
        ("kill web", 1, NotRunning("kill container")),
        ("kill -s FOO web", 125, Text(
            "error: flag `--signal` of `corten kill`\n\
             caused by: invalid signal `FOO`: not a signal's name or a number from 1 to 64\n\
             hint: for example `SIGTERM` or `15`\n"
        )),
        ("kill nothing", 1, NoContainer("kill container")),
    ]),
    ("load", &[
        ("load -i /no/such", 1, Text(
            "error: read `/no/such`\n\
             caused by: No such file or directory (ENOENT)\n"
        )),
        ("load x", 1, Extra("x")),
        ("load --platform x/y/z/w", 125, Text(
            "error: flag `--platform` of `corten load`\n\
             caused by: invalid platform `x/y/z/w`: it is `os[/architecture[/variant]]`\n\
             hint: for example `linux/amd64`\n"
        )),
    ]),
    ("login", &[("login a b", 1, Extra("b")), ("login --frob a", 125, NoFlag("--frob")), ("login --password-stdin", 1, Text("error: Must provide --username with --password-stdin\n"))]),
    ("logout", &[("logout a b", 1, Extra("b")), ("logout --frob a", 125, NoFlag("--frob")), ("logout r.example/team", 1, Text("error: invalid registry `r.example/team`: an address of a registry has no path\nhint: for example `r.example`\n"))]),
    ("logs", &[
        ("logs", 1, Missing("CONTAINER")),
        ("logs nothing", 1, NoContainer("read the log of container")),
        ("logs --tail x web", 125, Text(
            "error: flag `--tail` of `corten logs`\n\
             caused by: invalid number of lines `x`: neither a number nor `all`\n"
        )),
        ("logs --since never web", 1, Text(
            "error: invalid time `never`: neither a time nor a duration\n\
             hint: for example `2026-01-02T13:23:37Z`, `1767360217` or `10m`\n"
        )),
    ]),
    ("man", &[
        ("man", 1, Missing("DIRECTORY")),
        ("man /dev/null/x", 1, Text(
            "error: write `/dev/null/x`\n\
             caused by: Not a directory (ENOTDIR)\n"
        )),
        ("man --format pdf /tmp", 125, Text(
            "error: flag `--format` of `corten man`: invalid value `pdf`: there are `man`, `markdown`\n\
             hint: see `corten man --help`\n"
        )),
    ]),
    ("manifest annotate", &[("manifest annotate x y z", 1, Extra("z")), ("manifest annotate --frob x y", 125, NoFlag("--frob")), ("manifest annotate x y", 1, Text(NO_LIST))]),
    ("manifest create", &[("manifest create x", 1, Missing("MANIFEST")), ("manifest create --frob x y", 125, NoFlag("--frob")), ("manifest create x UPPER", 1, Text("error: `corten manifest create`: invalid image reference `UPPER`: a repository's name is lowercase\nhint: see `corten manifest create --help`\n"))]),
    ("manifest inspect", &[("manifest inspect", 1, Missing("MANIFEST")), ("manifest inspect --frob x", 125, NoFlag("--frob")), ("manifest inspect UPPER", 1, Text("error: `corten manifest inspect`: invalid image reference `UPPER`: a repository's name is lowercase\nhint: see `corten manifest inspect --help`\n"))]),
    ("manifest push", &[("manifest push x y", 1, Extra("y")), ("manifest push --frob x", 125, NoFlag("--frob")), ("manifest push x", 1, Text(NO_LIST))]),
    ("manifest rm", &[("manifest rm", 1, Missing("MANIFEST_LIST")), ("manifest rm --frob x", 125, NoFlag("--frob")), ("manifest rm x", 1, Text(NO_LIST))]),
    ("pause", &[
        ("pause", 1, Missing("CONTAINER")),
        ("pause nothing", 1, NoContainer("pause container")),
        ("pause web", 1, NotRunning("pause container")),
    ]),
    ("port", &[
        ("port", 1, Missing("CONTAINER")),
        ("port nothing", 1, NoContainer("")),
        ("port web 80", 1, Text(
            "error: no public port '80/tcp' published for web\n"
        )),
        ("port web x", 1, Text(
            "error: `corten port`: invalid port `x`: write a port such as `80` or `53/udp`\n\
             hint: see `corten port --help`\n"
        )),
    ]),
    ("ps", &[
        ("ps x", 1, Extra("x")),
        ("ps -f color=red", 1, NoFilter("`ancestor`, `before`, `exited`, `expose`, `health`, `id`, `is-task`, `isolation`, `label`, `label!`, `name`, `network`, `publish`, `since`, `status`, `volume`")),
        ("ps -a --format {{.Nothing}}", 1, Text(
            "error: template at line 1, column 3: can't evaluate field Nothing in type *formatter.ContainerContext\n\
             \x20 {{.Nothing}}\n\
             \x20   ^\n"
        )),
        ("ps --last x", 125, Text(
            "error: flag `--last` of `corten ps`: invalid value `x`: it is no whole number, or too large\n\
             hint: see `corten ps --help`\n"
        )),
    ]),
    ("pull", &[
        ("pull", 1, Missing("NAME")),
        ("pull --frob x", 125, NoFlag("--frob")),
        ("pull a b", 1, Extra("b")),
    ]),
    ("push", &[
        ("push", 1, Missing("NAME")),
        ("push --frob x", 125, NoFlag("--frob")),
        ("push a b", 1, Extra("b")),
    ]),
    ("rename", &[
        ("rename web", 1, Missing("NEW_NAME")),
        ("rename nothing b", 1, NoContainer("rename container")),
        ("rename web a/b", 1, Text(
            "error: `corten rename`: invalid name `a/b`: names are 1 to 200 of `a-z A-Z 0-9 _ . -` and start with a letter or digit\n\
             hint: see `corten rename --help`\n"
        )),
        ("rename web web", 1, Text(
            "error: cannot rename container `web`\n\
             caused by: invalid name `web`: the container has this name already\n"
        )),
    ]),
    ("restart", &[
        ("restart", 1, Missing("CONTAINER")),
        ("restart nothing", 1, NoContainer("restart container")),
        ("restart -t x web", 125, Text(
            "error: flag `--timeout` of `corten restart`: invalid value `x`: it is no whole number, or too large\n\
             hint: see `corten restart --help`\n"
        )),
    ]),
    ("rm", &[
        ("rm", 1, Missing("CONTAINER")),
        ("rm nothing", 1, NoContainer("remove container")),
        ("rm --frce web", 125, Text(
            "error: unknown flag `--frce` of `corten rm`\n\
             hint: did you mean `--force`?\n"
        )),
    ]),
    ("rmi", &[
        ("rmi", 1, Missing("IMAGE")),
        ("rmi nothing", 1, NoImage("remove image")),
        ("rmi hello", 1, Text(
            "error: cannot remove image `hello`\n\
             caused by: image `hello` is in use by container `web`\n\
             hint: remove the container first\n"
        )),
    ]),
    ("run", &[
        ("run", 125, Missing("IMAGE")),
        ("run --pull=never nothing", 125, NoImage("run")),
        ("run --name web hello", 125, Text(
            "error: cannot run `hello`\n\
             caused by: the name `web` is in use by container ID\n\
             hint: remove it (`corten rm web`) or choose another `--name`\n"
        )),
    ]),
    ("save", &[
        ("save", 1, Missing("IMAGE")),
        ("save nothing", 1, NoImage("save image")),
        ("save -o /no/such/x hello", 1, Text(
            "error: write `/no/such/x`\n\
             caused by: No such file or directory (ENOENT)\n"
        )),
    ]),
    ("search", &[("search", 1, Missing("TERM")), ("search a b", 1, Extra("b")), ("search --frob a", 125, NoFlag("--frob"))]),
    ("start", &[
        ("start", 125, Missing("CONTAINER")),
        ("start nothing", 125, NoContainer("start container")),
        ("start -ai a b", 125, Text(
            "error: conflicting options: only one container can be started and attached to at once\n"
        )),
    ]),
    ("stats", &[
        ("stats nothing", 1, NoContainer("read the usage of container")),
        ("stats --frob", 125, NoFlag("--frob")),
        ("stats --nostream", 125, Text(
            "error: unknown flag `--nostream` of `corten stats`\n\
             hint: did you mean `--no-stream`?\n"
        )),
    ]),
    ("stop", &[
        ("stop", 1, Missing("CONTAINER")),
        ("stop nothing", 1, NoContainer("stop container")),
        ("stop -t x web", 125, Text(
            "error: flag `--timeout` of `corten stop`: invalid value `x`: it is no whole number, or too large\n\
             hint: see `corten stop --help`\n"
        )),
    ]),
    ("system check", &[
        ("system check x", 1, Extra("x")),
        ("system check --frob", 125, NoFlag("--frob")),
        ("system chek", 1, Nearest("system chek")),
    ]),
    ("system df", &[
        ("system df x", 1, Extra("x")),
        ("system df --frob", 125, NoFlag("--frob")),
        ("system df --format {{.Nothing}}", 1, Text(
            "error: template at line 1, column 3: can't evaluate field Nothing in type *formatter.diskUsageContext\n\
             \x20 {{.Nothing}}\n\
             \x20   ^\n"
        )),
    ]),
    ("system prune", &[
        ("system prune x", 1, Extra("x")),
        ("system prune --volumes --filter until=1h", 1, Text(
            "error: conflicting options: the `until` filter and `--volumes`\n"
        )),
        ("system prune --filter color=red", 1, NoFilter("`until`, `label`, `label!`")),
    ]),
    ("system setup", &[
        ("system setup x", 1, Extra("x")),
        ("system setup --user nobody-of-that-name", 1, Text(
            "error: no such user: `nobody-of-that-name`\n\
             hint: /etc/passwd lists them\n"
        )),
        ("system setup --chek", 125, Text(
            "error: unknown flag `--chek` of `corten system setup`\n\
             hint: did you mean `--check`?\n"
        )),
    ]),
    ("tag", &[
        ("tag hello", 1, Missing("TARGET_IMAGE[:TAG")),
        ("tag nothing x", 1, NoImage("tag image")),
        ("tag hello UPPER", 1, Text(
            "error: `corten tag`: invalid image reference `UPPER`: a repository's name is lowercase\n\
             hint: see `corten tag --help`\n"
        )),
    ]),
    ("top", &[
        ("top", 1, Missing("CONTAINER")),
        ("top nothing", 1, NoContainer("list the processes of container")),
        ("top web", 1, NotRunning("list the processes of container")),
    ]),
    ("unpause", &[
        ("unpause", 1, Missing("CONTAINER")),
        ("unpause nothing", 1, NoContainer("unpause container")),
        ("unpause web", 1, NotRunning("unpause container")),
    ]),
    ("update", &[
        ("update", 1, Missing("CONTAINER")),
        ("update nothing --memory 1g", 1, NoContainer("update container")),
        ("update web", 1, Text(
            "error: conflicting options: no limit and no policy is given: there is nothing to change\n"
        )),
        ("update --memory lots web", 125, Text(
            "error: flag `--memory` of `corten update`\n\
             caused by: invalid memory limit `lots`: unknown unit\n\
             hint: for example `512m` or `1.5g`\n"
        )),
    ]),
    ("version", &[
        ("version x", 1, Extra("x")),
        ("version --frob", 125, NoFlag("--frob")),
        ("version -f {{nonsense}}", 64, Text(
            "error: template at line 1, column 3: function \"nonsense\" not defined\n\
             \x20 {{nonsense}}\n\
             \x20   ^\n"
        )),
    ]),
    ("volume create", &[
        ("volume create a/b", 1, Text(
            "error: `corten volume create`: invalid name `a/b`: names are 1 to 200 of `a-z A-Z 0-9 _ . -` and start with a letter or digit\n\
             hint: see `corten volume create --help`\n"
        )),
        ("volume create a b", 1, Extra("b")),
        ("volume create --frob x", 125, NoFlag("--frob")),
    ]),
    ("volume inspect", &[
        ("volume inspect", 1, Missing("VOLUME")),
        ("volume inspect nothing", 1, Text(
            "error: no such volume: `nothing`\n\
             hint: `corten volume ls` lists them\n"
        )),
        ("volume inspect -f {{.Nothing}} data", 1, Text(
            "error: template at line 1, column 3: map has no entry for key \"Nothing\"\n\
             \x20 {{.Nothing}}\n\
             \x20   ^\n"
        )),
    ]),
    ("volume ls", &[
        ("volume ls x", 1, Extra("x")),
        ("volume ls -f color=red", 1, NoFilter("`dangling`, `driver`, `label`, `label!`, `name`")),
        ("volume ls --format {{.Nothing}}", 1, Text(
            "error: template at line 1, column 3: can't evaluate field Nothing in type *formatter.volumeContext\n\
             \x20 {{.Nothing}}\n\
             \x20   ^\n"
        )),
    ]),
    ("volume prune", &[
        ("volume prune x", 1, Extra("x")),
        ("volume prune --filter until=1h", 1, Text(
            "error: invalid filter `until=1h`: there is no such filter here\n\
             hint: there are `label`, `label!`, `all`\n"
        )),
        ("volume prune --filter all=maybe", 1, Text(
            "error: invalid boolean `maybe`: neither `true` nor `false`\n"
        )),
    ]),
    ("volume rm", &[
        ("volume rm", 1, Missing("VOLUME")),
        ("volume rm nothing", 1, Text(
            "error: cannot remove volume `nothing`\n\
             caused by: no such volume: `nothing`\n\
             hint: `corten volume ls` lists them\n"
        )),
        ("volume rm data", 1, Text(
            "error: cannot remove volume `data`\n\
             caused by: volume `data` is in use by container `web`\n\
             hint: remove the container first\n"
        )),
    ]),
    ("wait", &[
        ("wait", 1, Missing("CONTAINER")),
        ("wait nothing", 1, NoContainer("")),
        ("wait --frob web", 125, NoFlag("--frob")),
    ]),
];
