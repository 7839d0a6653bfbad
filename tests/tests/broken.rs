//! A container whose journal can't be read: it is told of, mended or removed, and everything else goes on.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::fs;

use corten_tests::{BUSYBOX, Host, wait_until};

/// A host with the container `bad`, which ended after its journal had become a directory, and the running `fine`.
fn with_bad_journal() -> (Host, String) {
    let host = Host::with_busybox();
    host.start(["--name", "fine", BUSYBOX, "sleep", "1000"]);
    let id = host.start(["--name", "bad", BUSYBOX, "sleep", "1000"]);
    // Its start is known to the row before the journal is spoilt.
    host.pid("bad");
    let journal = host.data_root().join("containers").join(&id).join("journal");
    fs::rename(&journal, host.path().join("journal")).unwrap();
    fs::create_dir(&journal).unwrap();
    host.run(["kill", "bad"]).refuses().stderr_has("journal").stderr_has("system check --repair");
    let run = host.run_root().join("c").join(&id[..12]);
    wait_until("its keeper is gone", || (!run.exists()).then_some(()));
    (host, id)
}

#[test]
fn a_journal_that_cannot_be_read_stops_no_other_command() {
    let (host, id) = with_bad_journal();
    let all = host.run(["ps", "-a", "--format", "{{.Names}}: {{.State}}: {{.Status}}"]);
    all.success().stdout_has("bad: dead: Broken (").stdout_has("journal").stdout_has("fine: running: Up ");
    let told = host.inspect("bad");
    assert!(told["State"]["Error"].as_str().unwrap().contains("journal"), "{told}");
    host.run(["start", "bad"]).unsuccessful().stderr_has("journal").stderr_has("rm -f");
    host.run(["exec", "fine", "true"]).success();
    host.run(["run", "--rm", BUSYBOX, "true"]).success();
    host.run(["system", "check"]).unsuccessful().stdout_has(&id[..12]).stdout_has("journal");
    host.run(["system", "check", "--repair"]).success();
    host.is_clean();
    assert_eq!(host.status("bad"), "exited");
    assert!(host.inspect("bad")["State"]["Error"].as_str().unwrap().contains("unknown"));
    host.run(["start", "bad"]).success();
    assert_eq!(host.status("bad"), "running");
}

#[test]
fn a_container_with_a_bad_journal_is_removed_by_force() {
    let (host, _) = with_bad_journal();
    host.run(["rm", "bad"]).refuses().stderr_has("journal");
    host.run(["rm", "-f", "bad"]).success();
    host.run(["ps", "-a", "--format", "{{.Names}}"]).success().stdout_is("fine");
}
