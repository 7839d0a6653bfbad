//! Garbage: what nothing names goes, whatever else is going on; what somebody is making or using stays.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use corten_tests::tar::Tar;
use corten_tests::{Account, BUSYBOX, Host, busybox_files, wait_until};
use rustix::process::Signal;

/// Rounds of each process that makes and removes, unless time is up before.
const ROUNDS: usize = 12;
/// No process begins another round after this.
const TIME: Duration = Duration::from_secs(40);
/// Commands fail for good reasons while others remove what they name.
const REASONS: [&str; 4] = ["no such image", "in use", "no layer", "several names"];

/// Directories and files of the store that hold images' bytes.
fn bytes_on_disk(host: &Host) -> BTreeSet<String> {
    let names = |directory: &str| {
        let entries = std::fs::read_dir(host.data_root().join(directory)).unwrap();
        entries
            .map(|e| format!("{directory}/{}", e.unwrap().file_name().to_string_lossy()))
            .collect::<Vec<_>>()
    };
    names("layers").into_iter().chain(names("blobs/sha256")).collect()
}

fn small(content: &str) -> Vec<u8> {
    Tar::new().file("content", 0o644, content.as_bytes()).bytes()
}

#[test]
fn a_killed_import_is_swept_by_the_next_command_that_makes_something() {
    let host = Host::with_busybox();
    let mut session = host.call(["import", "-", "half"]).spawn();
    let tar = busybox_files().bytes();
    session.write(&tar[..tar.len() / 2]);
    wait_until("it has begun to unpack", || (bytes_on_disk(&host).len() > 3).then_some(()));
    session.signal(Signal::KILL);
    session.finish().exits(137);
    host.run(["system", "check"]).unsuccessful().stdout_has("ended half-way");
    host.import("other", small("1"));
    wait_until("nothing is left of it", || {
        (host.run(["system", "check"]).code == 0 && bytes_on_disk(&host).len() == 6).then_some(())
    });
}

#[test]
fn bytes_go_beside_an_import_and_what_it_makes_stays() {
    let host = Host::with_busybox();
    host.import("old", small("old"));
    let before = bytes_on_disk(&host).len();
    let mut session = host.call(["import", "-", "new"]).spawn();
    let tar = small("old");
    session.write(&tar[..512]);
    wait_until("it has begun to unpack", || (bytes_on_disk(&host).len() > before).then_some(()));
    // The same layer: it is there already, and loses its only name before the import has one for it.
    host.run(["rmi", "old"]).success().stdout_has("Deleted");
    session.write(&tar[512..]).close_stdin();
    session.finish().success();
    assert_eq!(host.run(["images", "--format", "{{.Repository}}"]).lines().len(), 2);
    // Whoever ends last has it collected, by a process that nobody waits for.
    wait_until("what was held is gone", || (bytes_on_disk(&host).len() == before).then_some(()));
    host.run(["system", "check"]).success();
    host.run(["create", "new", "/content"]).success();
}

#[test]
fn an_image_of_a_container_outlives_its_name() {
    let host = Host::with_busybox();
    host.run(["create", "--name", "one", BUSYBOX, "echo", "lives"]).success();
    host.run(["rmi", "--force", BUSYBOX]).success();
    host.import("other", small("1"));
    host.run(["start", "--attach", "one"]).success().stdout_is("lives");
    host.run(["rm", "one"]).success();
    // Nothing but its grace holds it now, and that ends when somebody says so.
    host.run(["image", "prune", "--force"]).success().stdout_has("deleted: sha256:");
    assert_eq!(bytes_on_disk(&host).len(), 3);
}

/// One process: makes images out of a few contents, runs them, lets them go. Ends by itself.
fn worker(host: &Host, number: usize, began: Instant) {
    for round in 0..ROUNDS {
        if began.elapsed() > TIME {
            return;
        }
        // Four processes, three contents: they meet on the same layers.
        let (name, content) = (format!("image{}", (number + round) % 3), format!("{}", round % 3));
        let tar = busybox_files().file("content", 0o644, content.as_bytes()).bytes();
        host.call(["import", "-", &name]).stdin(tar).output().success();
        tolerated(host, &["run", "--rm", "--pull=never", &name, "cat", "/content"]);
        match (number + round) % 4 {
            0 => tolerated(host, &["rmi", &name]),
            1 => tolerated(host, &["rmi", "--force", &name]),
            2 => tolerated(host, &["image", "prune", "--force"]),
            _ => tolerated(host, &["system", "prune", "--force", "--all"]),
        }
    }
}

fn tolerated(host: &Host, words: &[&str]) {
    let output = host.run(words);
    let said = output.errors().to_lowercase();
    let fine = output.code == 0 || REASONS.iter().any(|reason| said.contains(reason));
    output.check(fine, "it failed for no good reason");
}

/// Four processes at once; then every image runs, and the disk has nothing else.
fn four_at_once(host: &Host) {
    // What runs stays, whatever the others do.
    let content = |name: &str| busybox_files().file("own", 0o644, name.as_bytes()).bytes();
    for name in ["own0", "own1"] {
        host.import(name, content(name));
        host.start(["--name", name, name, "sleep", "1000"]);
    }
    let began = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|number| scope.spawn(move || worker(host, number, began))).collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
    for id in host.run(["images", "--all", "--quiet", "--no-trunc"]).lines() {
        host.run(["run", "--rm", &id, "/bin/true"]).success();
    }
    for name in ["own0", "own1"] {
        host.run(["exec", name, "cat", "/own"]).success().stdout_is(name);
        host.run(["run", "--rm", name, "cat", "/own"]).success().stdout_is(name);
        host.run(["rm", "--force", name]).success();
    }
    host.is_clean();
    host.run(["system", "prune", "--force", "--all"]).success();
    assert!(host.run(["images", "--all", "--quiet"]).lines().is_empty());
    assert_eq!(bytes_on_disk(host), BTreeSet::new());
    host.is_clean();
}

#[test]
fn four_processes_make_and_remove() {
    four_at_once(&Host::new());
}

#[test]
fn four_processes_of_an_ordinary_user_make_and_remove() {
    let account = Account::with_subordinate_ids();
    four_at_once(&Host::of(&account));
}
