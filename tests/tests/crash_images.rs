//! Crashes and power cuts in the life of an image: whatever happens at whichever step, the store has the old state or
//! the new one, `system check` says what is left and puts it right, and every image that is listed runs.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::{BUSYBOX, Disk, Host, Session, busybox_files, kill_all, wait_stopped, wait_until};

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// Every process of ours is killed.
    Killed,
    /// The power fails: what was not synced is gone.
    PowerCut,
}

/// What an image of these tests has in it.
fn archive() -> Vec<u8> {
    busybox_files().file("second", 0o644, b"2").bytes()
}

/// Lets `act` run up to `step`, ends it, and looks at what is left.
fn check(step: &str, end: End, before: fn(&Host), act: fn(&Host, &str) -> Session, again: fn(&Host)) {
    let (disk, host) = match end {
        End::Killed => (None, Host::new()),
        End::PowerCut => {
            let (disk, host) = Disk::host();
            (Some(disk), host)
        }
    };
    let what = format!("{step} {end:?}");
    host.import_busybox();
    before(&host);
    settled(&host);
    let acting = act(&host, step);
    wait_stopped(&host, &what);
    match &disk {
        None => kill_all(&host),
        Some(disk) => disk.cut(&host),
    }
    drop(acting);
    everything_listed_runs(&host, &what);
    host.run(["system", "check", "--repair"]).success();
    host.is_clean();
    again(&host);
    settled(&host);
    everything_listed_runs(&host, &what);
    host.run(["system", "check"]).success();
    // It goes before its disk.
    drop(host);
    drop(disk);
}

/// Waits for whoever works behind a command.
fn settled(host: &Host) {
    wait_until("nobody works", || corten_tests::processes_of(host.path()).is_empty().then_some(()));
}

fn everything_listed_runs(host: &Host, what: &str) {
    let listed = host.run(["images", "--all", "--no-trunc", "--format", "{{.ID}}"]);
    listed.success();
    let ids = listed.lines();
    assert!(!ids.is_empty(), "{what}: nothing is left");
    for id in ids {
        host.run(["run", "--rm", &id, "/bin/true"]).success();
    }
    host.run(["run", "--rm", BUSYBOX, "true"]).success();
}

fn nothing(_: &Host) {}

/// An import that stops at a step; of a file, because nobody would read a pipe then.
fn import_until(host: &Host, step: &str) -> Session {
    import_of(host, step, archive())
}

fn import_of(host: &Host, step: &str, tar: Vec<u8>) -> Session {
    let file = host.path().join("archive.tar");
    std::fs::write(&file, tar).unwrap();
    host.call(["import", file.to_str().unwrap(), "second"]).env("CORTEN_STOP_AT", step).spawn()
}

fn import(host: &Host) {
    host.import("second", archive());
    host.run(["run", "--rm", "second", "cat", "/second"]).success().stdout_is("2");
}

/// While the layer is made.
const LAYER: [&str; 5] = ["lease.taken", "unpack.begun", "unpack.entries", "unpack.synced", "unpack.renamed"];
/// While manifest, config and rows are made.
const IMAGE: [&str; 5] = ["blob.written", "blob.synced", "blob.renamed", "image.stored", "image.named"];
/// While an image goes.
const REMOVAL: [&str; 5] = ["rmi.forgotten", "sweep.begun", "sweep.layers", "sweep.moved", "gc.condemned"];

#[test]
fn an_import_is_killed_while_it_makes_a_layer() {
    LAYER.iter().for_each(|step| check(step, End::Killed, nothing, import_until, import));
}

#[test]
fn an_import_is_killed_while_it_makes_an_image() {
    IMAGE.iter().for_each(|step| check(step, End::Killed, nothing, import_until, import));
}

#[test]
fn the_power_fails_while_an_import_makes_a_layer() {
    LAYER.iter().for_each(|step| check(step, End::PowerCut, nothing, import_until, import));
}

#[test]
fn the_power_fails_while_an_import_makes_an_image() {
    IMAGE.iter().for_each(|step| check(step, End::PowerCut, nothing, import_until, import));
}

fn remove_until(host: &Host, step: &str) -> Session {
    host.call(["rmi", "second"]).env("CORTEN_STOP_AT", step).spawn()
}

#[test]
fn a_removal_is_killed() {
    REMOVAL.iter().for_each(|step| check(step, End::Killed, import, remove_until, import));
}

#[test]
fn the_power_fails_while_an_image_is_removed() {
    REMOVAL.iter().for_each(|step| check(step, End::PowerCut, import, remove_until, import));
}

/// The name is going to move to another image, so there is something to forget; and somebody left something.
fn import_and_leave_something(host: &Host) {
    import(host);
    std::fs::create_dir_all(host.data_root().join("layers/.tmp-1-1/fs")).unwrap();
}

fn collect_until(host: &Host, step: &str) -> Session {
    import_of(host, step, busybox_files().file("second", 0o644, b"3").bytes())
}

#[test]
fn a_collection_is_killed() {
    for step in ["gc.forgotten", "sweep.begun", "sweep.moved", "gc.condemned"] {
        check(step, End::Killed, import_and_leave_something, collect_until, import);
    }
}

#[test]
fn the_power_fails_while_a_collection_forgets() {
    check("gc.forgotten", End::PowerCut, import, collect_until, import);
}

/// An archive of the image lies beside the store, and the image is gone.
fn save_and_remove(host: &Host) {
    import(host);
    host.run(["save", "--output", &archive_of(host), "second"]).success();
    host.run(["rmi", "second"]).success();
}

fn archive_of(host: &Host) -> String {
    host.path().join("saved.tar").to_string_lossy().into_owned()
}

fn load_until(host: &Host, step: &str) -> Session {
    host.call(["load", "--input", &archive_of(host)]).env("CORTEN_STOP_AT", step).spawn()
}

fn load(host: &Host) {
    host.run(["load", "--input", &archive_of(host)]).success();
    host.run(["run", "--rm", "second", "cat", "/second"]).success().stdout_is("2");
}

#[test]
fn the_power_fails_while_a_load_makes_layers() {
    for step in ["unpack.begun", "unpack.entries", "unpack.synced", "unpack.renamed", "load.layers"] {
        check(step, End::PowerCut, save_and_remove, load_until, load);
    }
}

#[test]
fn the_power_fails_while_a_load_makes_images() {
    for step in ["blob.written", "blob.synced", "blob.renamed", "load.blobs", "load.rows"] {
        check(step, End::PowerCut, save_and_remove, load_until, load);
    }
}

/// A container whose changes make the image.
fn change(host: &Host) {
    host.run(["run", "--name", "changed", BUSYBOX, "sh", "-c", "printf 2 >/second"]).success();
    // A container's end is not synced by itself: the next durable commit takes it along.
    host.run(["volume", "create", "data"]).success();
}

fn commit_until(host: &Host, step: &str) -> Session {
    host.call(["commit", "changed", "second"]).env("CORTEN_STOP_AT", step).spawn()
}

fn commit(host: &Host) {
    host.run(["commit", "changed", "second"]).success();
    host.run(["run", "--rm", "second", "cat", "/second"]).success().stdout_is("2");
}

#[test]
fn the_power_fails_while_a_container_is_committed() {
    for step in ["unpack.entries", "unpack.renamed", "blob.renamed", "image.stored", "image.named"] {
        check(step, End::PowerCut, change, commit_until, commit);
    }
}
