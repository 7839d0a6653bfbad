//! Several objects at once: what one name can mean, and what becomes of the others after an error.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::tar::Tar;
use corten_tests::{BUSYBOX, Host};

/// As many random ids that two of them begin with the same digit.
const MORE_THAN_DIGITS: usize = 17;

/// A digit with which two of the ids begin at least.
fn shared_digit(ids: &[String]) -> String {
    let of = |digit: &str| ids.iter().filter(|id| id.starts_with(digit)).count();
    let digits: Vec<String> = (0..16).map(|digit| format!("{digit:x}")).collect();
    digits.into_iter().find(|digit| of(digit) > 1).unwrap()
}

#[test]
fn a_prefix_of_several_containers_names_them() {
    let host = Host::new();
    let made: Vec<String> =
        (0..MORE_THAN_DIGITS).map(|_| host.run(["create", "hello"]).success().text()).collect();
    let digit = shared_digit(&made);
    let told = format!("multiple container IDs found with provided prefix `{digit}`: ");
    for verb in ["rm", "stop", "kill", "start", "inspect", "logs", "wait", "pause", "port", "top"] {
        let said = host.run([verb, &digit]);
        let said = said.unsuccessful().stderr_has(&told).stderr_has("hint: type more digits, or the name");
        let named =
            made.iter().filter(|id| id.starts_with(&digit)).filter(|id| said.errors().contains(&id[..12]));
        assert!(named.count() > 1, "{verb}");
    }
    host.run(["ps", "-a", "-f", &format!("before={digit}")]).fails(1).stderr_has(&told);
    host.run(["rm", &made[0]]).success();
}

#[test]
fn a_prefix_of_several_images_names_them() {
    let host = Host::new();
    for index in 0..MORE_THAN_DIGITS {
        host.import(&format!("i{index}"), Tar::new().file("x", 0o644, index.to_string().as_bytes()).bytes());
    }
    let ids = host.run(["images", "-q"]).success().lines();
    let digit = shared_digit(&ids);
    for verb in [&["rmi"][..], &["history"], &["image", "inspect"], &["save", "-o", "/dev/null"], &["create"]]
    {
        let said = host.run([verb, &[&digit]].concat());
        said.unsuccessful()
            .stderr_has(&format!("multiple image IDs found with provided prefix `{digit}`: "))
            .stderr_has(" (i");
    }
}

#[test]
fn the_others_are_done_and_each_error_is_told() {
    let host = Host::with_busybox();
    let names = ["a", "b"];
    for name in names {
        host.start(["--name", name, BUSYBOX, "sleep", "1000"]);
        host.run(["tag", BUSYBOX, &format!("image-{name}")]).success();
        host.run(["volume", "create", &format!("volume-{name}")]).success();
    }
    let check = |words: &[&str], code: i32, prefix: &str| {
        let targets =
            ["nothing-1", &format!("{prefix}a"), "nothing-2", &format!("{prefix}b")].map(str::to_owned);
        let words = words.iter().map(|word| (*word).to_owned()).chain(targets);
        let said = host.run(words);
        let errors = said.errors();
        assert_eq!(said.code, code, "{}: {errors}", said.line);
        assert_eq!(errors.matches("error: ").count(), 2, "{}: {errors}", said.line);
        for name in ["nothing-1", "nothing-2"] {
            assert!(errors.contains(name), "{}: {errors}", said.line);
        }
        said
    };
    let both = |said: corten_tests::Output| said.stdout_is("a\nb").code;
    both(check(&["pause"], 1, ""));
    both(check(&["unpause"], 1, ""));
    both(check(&["restart", "-t", "0"], 1, ""));
    both(check(&["kill"], 1, ""));
    let _ = check(&["wait"], 1, "").stdout_is("137\n137");
    both(check(&["start"], 125, ""));
    both(check(&["stop", "-t", "0"], 1, ""));
    let inspected = check(&["inspect", "--format", "{{.Name}}"], 1, "").text();
    assert_eq!(inspected, "/a\n/b");
    let _ = check(&["container", "inspect", "--format", "{{.Name}}"], 1, "").stdout_is("/a\n/b");
    both(check(&["rm"], 1, ""));
    let _ = check(&["image", "inspect", "--format", "{{len .RepoTags}}"], 1, "image-").stdout_is("3\n3");
    let _ = check(&["rmi"], 1, "image-").stdout_is("Untagged: image-a:latest\nUntagged: image-b:latest");
    let _ =
        check(&["volume", "inspect", "--format", "{{.Name}}"], 1, "volume-").stdout_is("volume-a\nvolume-b");
    let _ = check(&["volume", "rm"], 1, "volume-").stdout_is("volume-a\nvolume-b");
    for name in names {
        host.run(["context", "create", "--docker", "host=ssh://x", &format!("context-{name}")]).success();
    }
    let _ =
        check(&["context", "inspect", "-f", "{{.Name}}"], 1, "context-").stdout_is("context-a\ncontext-b");
    let _ = check(&["context", "rm"], 1, "context-").stdout_is("context-a\ncontext-b");
}

#[test]
fn inspect_finds_several_kinds_at_once() {
    let host = Host::with_busybox();
    host.run(["create", "--name", "box", BUSYBOX]).success();
    host.run(["volume", "create", "data"]).success();
    let found = host.run(["inspect", "box", "nothing", BUSYBOX, "data"]);
    found.exits(1).stderr_has("error: no such object: nothing\n");
    let found = found.json();
    assert_eq!(found[0]["Name"], "/box");
    assert_eq!(found[1]["RepoTags"][0], "busybox:latest");
    assert_eq!(found[2]["Name"], "data");
    // A container's name goes before that of a volume or an image.
    host.run(["volume", "create", "box"]).success();
    assert_eq!(host.inspect("box")["Name"], "/box");
    let typed = host.run(["inspect", "--type", "volume", "-f", "{{.Name}}", "box"]);
    typed.success().stdout_is("box");
    host.run(["inspect", "-s", "-f", "{{.SizeRw}}", "box"]).success().stdout_lacks("nil");
    host.run(["inspect", "--type", "image", "data"]).exits(1).stdout_is("[]");
}
