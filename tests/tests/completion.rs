//! What shells offer: the answers of the binary, and the scripts in the real shells.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::process::Command;

use corten_tests::{BUSYBOX, Host};

/// The candidates for a command line's last word.
fn offered(host: &Host, words: &[&str]) -> Vec<String> {
    let answer = host.run([&["__complete"], words].concat());
    answer.success().quiet();
    answer.lines().iter().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
fn names_out_of_the_store() {
    let host = Host::with_busybox();
    host.start(["--name", "runs", BUSYBOX, "sleep", "1000"]);
    host.run(["create", "--name", "stands", BUSYBOX]).success();
    host.run(["volume", "create", "data"]).success();
    let check = |words: &[&str], expected: &[&str]| {
        let mut offered = offered(&host, words);
        offered.sort();
        assert_eq!(offered, expected, "{words:?}");
    };
    check(&["rm", ""], &["runs", "stands"]);
    check(&["stop", ""], &["runs"]);
    check(&["start", ""], &["stands"]);
    check(&["container", "rm", "st"], &["stands"]);
    check(&["exec", "-it", "r"], &["runs"]);
    check(&["run", "--rm", "bu"], &[BUSYBOX]);
    check(&["run", BUSYBOX, ""], &[":files"]);
    check(&["volume", "rm", ""], &["data"]);
    check(&["inspect", "d"], &["data"]);
    check(&["run", "--network", "c"], &["container:runs"]);
    check(&["run", "--network=h"], &["--network=host"]);
    check(&["run", "-v", "d"], &["data"]);
    check(&["run", "-v", "/"], &[":files"]);
    check(&["kill", "-s", "TER"], &["TERM"]);
    check(&["run", "--cap-add", "NET_A"], &["NET_ADMIN"]);
    check(&["ps", "-f", "st"], &["status="]);
    check(&["ps", "--filter=stat"], &["--filter=status="]);
    check(&["ps", "-f", "status=r"], &["status=removing", "status=restarting", "status=running"]);
    check(&["ps", "--filter=since=r"], &["--filter=since=runs"]);
    check(&["ps", "-f", "volume="], &["volume=data"]);
    check(&["ps", "-f", "ancestor=b"], &["ancestor=busybox"]);
    check(&["images", "-f", "d"], &["dangling="]);
    check(&["images", "-f", "dangling="], &["dangling=false", "dangling=true"]);
    check(&["volume", "prune", "--filter", ""], &["all=", "label!=", "label="]);
    check(&["events", "-f", "type="], &["type=container", "type=image", "type=volume"]);
    check(&["context", "create", "--docker", "host=s"], &["host=ssh://"]);
    check(&["--context", "d"], &["default"]);
    check(&["config", "get", "log."], &["log.max_files", "log.max_size"]);
    check(&["--root", ""], &[":directories"]);
    check(&["run", "--priv"], &["--privileged"]);
    check(&["frob"], &[]);
    assert!(offered(&host, &[""]).contains(&"run".to_owned()));
    assert!(offered(&host, &["volume", ""]).contains(&"create".to_owned()));
}

#[test]
fn asking_makes_nothing_and_never_fails() {
    let host = Host::new();
    for words in [&["rm", ""][..], &["nothing", ""], &["run", "--frob", ""], &["rm", "\u{fffd}"]] {
        assert_eq!(offered(&host, words), Vec::<String>::new(), "{words:?}");
    }
    assert!(!host.data_root().exists());
    std::fs::write(host.path().join("config.toml"), "broken = [").unwrap();
    assert_eq!(offered(&host, &["rm", ""]), Vec::<String>::new());
}

/// What a shell says, with `corten` in its path and this host's store.
fn shell(host: &Host, program: &str, script: &str) -> String {
    let bin = host.directory("bin");
    let _ = std::os::unix::fs::symlink(host.binary(), format!("{bin}/corten"));
    let said = Command::new(program)
        .args(if program == "bash" { &["--norc", "-c"][..] } else { &["-c"] })
        .arg(script)
        .env("PATH", format!("{bin}:/usr/bin:/bin"))
        .env("HOME", host.path())
        .env("CORTEN_ROOT", host.data_root())
        .env("CORTEN_RUN_ROOT", host.run_root())
        .env("CORTEN_CONFIG", host.path())
        .current_dir(host.path())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; run `cargo xtask setup`"));
    let errors = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && errors.is_empty(), "{program}: {errors}");
    String::from_utf8(said.stdout).unwrap()
}

#[test]
fn bash_completes() {
    let host = Host::with_busybox();
    host.run(["create", "--name", "stands", BUSYBOX]).success();
    host.directory("somewhere");
    let check = |line: &str, words: &[&str], expected: &str| {
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let script = format!(
            "source <(corten completion bash)\n[[ $(complete -p corten) == 'complete -F _corten_complete corten' ]] || exit 9\n\
             COMP_LINE='{line}' COMP_POINT={} COMP_WORDS=({}) COMP_CWORD={}\n_corten_complete\necho \"${{COMPREPLY[*]}}\"",
            line.len(),
            quoted.join(" "),
            words.len() - 1
        );
        assert_eq!(shell(&host, "bash", &script).trim_end(), expected, "{line}");
    };
    check("corten volu", &["corten", "volu"], "volume");
    check("corten rm ", &["corten", "rm", ""], "stands");
    check("corten run --netw", &["corten", "run", "--netw"], "--network");
    // bash makes words of `=` and `:`.
    check("corten run --network=ho", &["corten", "run", "--network", "=", "ho"], "host");
    check("corten run --uts=", &["corten", "run", "--uts", "="], "private host");
    check("corten ps -f statu", &["corten", "ps", "-f", "statu"], "status=");
    check("corten ps -f status=exi", &["corten", "ps", "-f", "status", "=", "exi"], "exited");
    check("corten run busybox ./some", &["corten", "run", "busybox", "./some"], "./somewhere");
}

#[test]
fn zsh_and_fish_understand_their_scripts() {
    let host = Host::with_busybox();
    host.run(["create", "--name", "stands", BUSYBOX]).success();
    let script = host.run(["completion", "zsh"]);
    let path = host.file("_corten", &script.success().text());
    shell(&host, "zsh", &format!("zsh -n {path}"));
    // What zsh would be given: its own functions stand aside.
    let told = "compdef() { :; }; _describe() { print -l -- ${(P)2}; }; source <(corten completion zsh)\n\
                words=(corten rm ''); CURRENT=3; PREFIX=''; _corten";
    assert_eq!(shell(&host, "zsh", told), "stands:busybox\n");
    let script = host.run(["completion", "fish"]);
    let path = host.file("corten.fish", &script.success().text());
    shell(&host, "fish", &format!("fish -n {path}"));
    let told = shell(&host, "fish", "corten completion fish | source; complete -C 'corten rm '");
    assert_eq!(told, "stands\tbusybox\n");
    let told = shell(&host, "fish", "corten completion fish | source; complete -C 'corten volume cr'");
    assert!(told.starts_with("create\t"), "{told}");
}

#[test]
fn a_link_called_docker_answers_to_that_name() {
    let host = Host::with_busybox();
    let link = host.path().join("docker");
    std::os::unix::fs::symlink(host.binary(), &link).unwrap();
    let docker = |words: &[&str]| {
        let said = Command::new(&link)
            .args(words)
            .env("CORTEN_ROOT", host.data_root())
            .env("CORTEN_RUN_ROOT", host.run_root())
            .env("CORTEN_CONFIG", host.path())
            .output()
            .unwrap();
        String::from_utf8([said.stdout, said.stderr].concat()).unwrap()
    };
    assert!(docker(&["--version"]).starts_with("Docker version "));
    assert!(
        docker(&["run", "--help"]).starts_with("Usage:  docker run")
            || docker(&["run", "--help"]).contains("Usage: docker run")
    );
    assert!(docker(&["rm", "--frob"]).contains("hint: see `docker rm --help`"));
    assert!(docker(&["completion", "bash"]).ends_with("complete -F _docker_complete docker\n"));
    assert_eq!(docker(&["run", "--rm", BUSYBOX, "echo", "hi"]), "hi\n");
}

#[test]
fn the_manual_is_written_and_man_can_read_it() {
    let host = Host::new();
    let dir = host.directory("man");
    host.run(["man", &dir]).success().stdout_has(" pages");
    let page = std::fs::read_to_string(format!("{dir}/corten-run.1")).unwrap();
    assert!(
        page.starts_with(".TH \"CORTEN\\-RUN\" \"1\"")
            && page.contains("\\fB\\-e, \\-\\-env KEY[=VALUE]\\fR"),
        "{page}"
    );
    let keys = std::fs::read_to_string(format!("{dir}/corten-config.5")).unwrap();
    assert!(keys.contains("\\fBlog.max_size\\fR"), "{keys}");
    host.run(["man", "--format", "markdown", &dir]).success();
    assert!(std::fs::read_to_string(format!("{dir}/volume_ls.md")).unwrap().contains("# corten volume ls"));
}
