//! A disk that fills up while containers run: what is known of them is told, and nothing is lost that had a place.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use corten_tests::{BUSYBOX, Host, wait_until};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// A host whose store is a small file system of its own.
fn small() -> Host {
    let host = Host::new();
    let store = host.directory("store");
    mount("tmpfs", store.as_str(), "tmpfs", MountFlags::empty(), Some(c"size=48m,mode=700")).unwrap();
    host.import_busybox();
    host
}

/// Writes until not one byte more is taken.
fn fill(store: &Path) {
    let mut file = File::create(store.join("filler")).unwrap();
    let mut size = 1 << 20;
    while size > 0 {
        match file.write(&vec![b'x'; size]) {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::StorageFull => size /= 2,
            Err(e) => panic!("{e}"),
        }
    }
}

fn done(host: Host) {
    host.run(["rm", "-f", "one", "two"]).success();
    host.is_clean();
    // A keeper takes its container's mounts down after it told of the end.
    let store = host.path().join("store");
    wait_until("nobody uses the store", || unmount(&store, UnmountFlags::empty()).ok());
}

#[test]
fn an_exit_code_survives_a_full_disk() {
    let host = small();
    let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let id = host.start(["--name", "one", BUSYBOX, "sh", "-c", script]);
    host.start(["--name", "two", BUSYBOX, "sleep", "1000"]);
    host.wait_logs("one", "ready");
    let waiting = host.call(["wait", "one"]).spawn();
    let client = waiting.pid();
    wait_until("`wait` waits", || {
        fs::read_to_string(format!("/proc/{client}/wchan")).ok().filter(|w| w.contains("unix")).map(drop)
    });
    fill(&host.data_root());
    for _ in 0..5 {
        host.run(["exec", "two", "true"]).success();
    }
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(host.pid("one") as i32).unwrap(),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    waiting.finish().success().stdout_is("7");
    let run = host.run_root().join("c").join(&id[..12]);
    wait_until("its keeper is gone", || (!run.exists()).then_some(()));
    host.run(["ps", "-a", "--format", "{{.Names}}"]).success().stdout_has("two").stdout_has("one");
    fs::remove_file(host.data_root().join("filler")).unwrap();
    let state = &host.inspect("one")["State"];
    assert_eq!((&state["Status"], &state["ExitCode"]), (&"exited".into(), &7.into()), "{state}");
    assert_eq!(state["Error"], "", "it is known how it ended");
    done(host);
}
