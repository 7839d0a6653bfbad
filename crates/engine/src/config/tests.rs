//! Files as people write them.

use super::*;

fn loaded(text: &str) -> Loaded {
    let mut loaded = Loaded::default();
    file::parse_into(text, Path::new("/c"), &mut loaded);
    loaded
}

fn problem(text: &str) -> (String, Option<String>) {
    let mut problems = loaded(text).problems;
    assert_eq!(problems.len(), 1, "{text}: {problems:?}");
    let error = problems.remove(0);
    (error.to_string(), error.hint())
}

#[test]
fn names_are_unique_and_every_default_is_of_its_shape() {
    let default = Config::default();
    for (index, key) in KEYS.iter().enumerate() {
        assert!(KEYS[..index].iter().all(|other| other.name != key.name), "{}", key.name);
        assert!(
            !key.about.ends_with('.') && !key.about.is_empty() && !key.used_by.is_empty(),
            "{}",
            key.name
        );
        let value = (key.get)(&default);
        let document: toml_edit::DocumentMut = format!("k = {}", value.toml()).parse().unwrap();
        assert_eq!(key.shape.read(&document["k"]), Ok(value), "{}", key.name);
    }
}

#[test]
fn what_is_set_is_what_is_got() {
    let check = |line: &str, name: &str, expected: &str| {
        let config = loaded(line).config();
        assert_eq!((key(name).unwrap().get)(&config).plain(), expected, "{line}");
    };
    check("root = '/d'", "root", "/d");
    check("run_root = '/r'", "run_root", "/r");
    check("detach_keys = 'ctrl-a,d'", "detach_keys", "ctrl-a,d");
    check("log.max_size = '1m'", "log.max_size", "1m");
    check("[log]\nmax_files = 7", "log.max_files", "7");
    check("container = { shm_size = '1g' }", "container.shm_size", "1g");
    check("container.stop_timeout = -1", "container.stop_timeout", "-1");
    check("container.pids_limit = 9", "container.pids_limit", "9");
    check(
        "container.ulimits = ['core=0', 'nofile=1:-1']",
        "container.ulimits",
        "core=0:0\nnofile=1:unlimited",
    );
    check("container.env = ['A=b']", "container.env", "A=b");
    check("container.seccomp_profile = '/p'", "container.seccomp_profile", "/p");
    check("container.no_new_privileges = true", "container.no_new_privileges", "true");
    check("container.init = true", "container.init", "true");
    check("events.max_count = 100", "events.max_count", "100");
    check("gc.automatic = false", "gc.automatic", "false");
    check("gc.every_days = 0", "gc.every_days", "0");
    check("gc.unnamed_days = 30", "gc.unnamed_days", "30");
    check("layers.max_entries = 5", "layers.max_entries", "5");
    check("layers.max_size = '2m'", "layers.max_size", "2m");
    check("layers.max_archive_size = '3m'", "layers.max_archive_size", "3m");
    check("layers.max_depth = 6", "layers.max_depth", "6");
    check("registries.short_names = 'full-only'", "registries.short_names", "full-only");
    check("registries.blocked = ['*.evil.example']", "registries.blocked", "*.evil.example");
    let mirrors = "docker.io=https://m.example/hub\nghcr.io/me=http://n.example:80";
    check(
        "registries.mirrors = ['docker.io=m.example/hub', 'ghcr.io/me=http://n.example:80/']",
        "registries.mirrors",
        mirrors,
    );
    check("registries.rewrites = ['a.example/b=c.example']", "registries.rewrites", "a.example/b=c.example");
    check(
        "registries.insecure = ['R:5000', '*.x', '10.0.0.0/8']",
        "registries.insecure",
        "r:5000\n*.x\n10.0.0.0/8",
    );
    check("registries.plain_http = ['r:5000']", "registries.plain_http", "r:5000");
    check("registries.http_proxy = 'http://p:1'", "registries.http_proxy", "http://p:1");
    check("registries.https_proxy = 'https://p:1'", "registries.https_proxy", "https://p:1");
    check("registries.no_proxy = ['a', '*']", "registries.no_proxy", "a\n*");
    check("userns.range = '100000-165535'", "userns.range", "100000-165535");
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let check = |text: &str, expected: &str, hint: &str| {
        assert_eq!(problem(text), (expected.to_owned(), Some(hint.to_owned())), "{text}");
    };
    check(
        "\nlog.max_sise = 1",
        "/c:2: unknown configuration key `log.max_sise`",
        "did you mean `log.max_size`?",
    );
    check("max_size = 1", "/c:1: unknown configuration key `max_size`", "did you mean `log.max_size`?");
    check("[frob]\nx = 1", "/c:1: unknown configuration key `frob`", "`corten config show` lists the keys");
    check(
        "[log]\n\nmax_files = 'x'",
        "/c:3: `log.max_files`: it is a text, and a number from 1 to 1000 is expected",
        "see `corten config explain log.max_files`",
    );
    check("log = 1", "/c:1: unknown configuration key `log`", "`corten config show` lists the keys");
    check(
        "container.env = ['A']",
        "/c:1: `container.env`: invalid environment variable `A`: it is written `KEY=VALUE`",
        "see `corten config explain container.env`",
    );
    for range in ["1", "0-65535", "1-2", "100000-165534", "100000-4294967295", "a-b"] {
        assert!(problem(&format!("userns.range = '{range}'")).0.contains("range of ids"), "{range}");
    }
    let (said, hint) = problem("a = 1\nb = \n");
    assert!(said.starts_with("/c:2: ") && hint.is_none(), "{said}");
}

#[test]
fn everything_that_is_wrong_is_found_and_the_rest_holds() {
    let loaded = loaded("x = 1\nlog.max_files = 0\nlog.max_size = '1m'\ny = 1\n");
    assert_eq!(loaded.problems.len(), 3);
    assert_eq!(loaded.config().log.file_bytes, 1 << 20);
}

#[test]
fn later_files_go_before_earlier_ones() {
    let dir = tempfile::tempdir().unwrap();
    let places = Places::of_directory(dir.path());
    assert_eq!(Settings::at(places.clone()).config().unwrap().log.files, 3, "no file says nothing");
    std::fs::create_dir(dir.path().join("config.d")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("config.toml", "log.max_files = 4\nlog.max_size = '1m'\n");
    write("config.d/20.toml", "\nlog.max_files = 6\n");
    write("config.d/10.toml", "log.max_files = 5\n");
    write("config.d/30.toml.off", "log.max_files = 7\n");
    let loaded = load(&places);
    let setting = loaded.setting(key("log.max_files").unwrap()).unwrap();
    assert_eq!(setting.place, Place { path: dir.path().join("config.d/20.toml"), line: 2 });
    let config = loaded.config();
    assert_eq!((config.log.files, config.log.file_bytes), (6, 1 << 20));
    write("config.d/40.toml", "x = 1");
    assert!(
        Settings::at(places)
            .config()
            .unwrap_err()
            .to_string()
            .ends_with("40.toml:1: unknown configuration key `x`")
    );
}

#[test]
fn a_change_keeps_what_else_stands_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/config.toml");
    let change = |name: &str, words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let key = key(name).unwrap();
        set(&path, key, &key.shape.parse(&words).unwrap()).unwrap();
    };
    change("log.max_files", &["5"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "[log]\nmax_files = 5\n");
    let written = "# ours\nroot = '/d' # disk\n\n[log] # logs\nmax_files = 5  # five\n\n[container]\nenv = [\n 'A=b', # b\n]\n";
    std::fs::write(&path, written).unwrap();
    change("log.max_files", &["6"]);
    change("log.max_size", &["1m"]);
    change("run_root", &["/r"]);
    let expected = "# ours\nroot = '/d' # disk\nrun_root = \"/r\"\n\n[log] # logs\nmax_files = 6  # five\nmax_size = \"1m\"\n\n[container]\nenv = [\n 'A=b', # b\n]\n";
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    assert!(unset(&path, key("log.max_files").unwrap()).unwrap());
    assert!(!unset(&path, key("log.max_files").unwrap()).unwrap());
    change("container.ulimits", &["core=0", "nofile=5"]);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("max_files") && text.contains("ulimits = [\"core=0\", \"nofile=5\"]"), "{text}");
    let names: Vec<_> =
        std::fs::read_dir(path.parent().unwrap()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(names, ["config.toml"]);
}

#[test]
fn a_change_follows_a_symlink_and_leaves_what_isnt_toml() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    std::fs::write(&real, "").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let files = key("log.max_files").unwrap();
    set(&link, files, &Value::Number(2)).unwrap();
    assert!(link.is_symlink() && std::fs::read_to_string(&real).unwrap().contains("= 2"));
    std::fs::write(&real, "a = \n").unwrap();
    assert!(matches!(set(&link, files, &Value::Number(3)), Err(Error::Syntax { .. })));
    assert_eq!(std::fs::read_to_string(&real).unwrap(), "a = \n");
}

#[test]
fn a_file_that_cant_be_read_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let at = |file: &str| Settings::at(Places::of_file(dir.path().join(file))).config().map(drop);
    assert_eq!(at("absent").unwrap_err().kind(), Kind::NotFound);
    std::fs::create_dir(dir.path().join("dir")).unwrap();
    assert!(matches!(at("dir"), Err(Error::File { .. })));
    std::fs::write(dir.path().join("long"), "#".repeat(2 << 20)).unwrap();
    assert!(matches!(at("long"), Err(Error::File { .. })));
    std::fs::write(dir.path().join("binary"), [0xff, 0xfe]).unwrap();
    assert!(matches!(at("binary"), Err(Error::File { .. })));
}
