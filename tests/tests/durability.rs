//! What a run costs the disk: a container of an image that is there syncs nothing, before it starts and at its end.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::process::Command;

use corten_tests::{BUSYBOX, Host};

/// Calls that wait for the disk.
const SYNCS: &str = "trace=fsync,fdatasync,sync,syncfs,sync_file_range,msync";

/// The sync calls of a command and of everything that it starts.
fn syncs(host: &Host, words: &[&str]) -> Vec<String> {
    let record = host.path().join("syncs");
    let status = Command::new("strace")
        .args(["-f", "-qq", "-e", SYNCS, "-e", "signal=none", "-o"])
        .arg(&record)
        .arg(host.binary())
        .args(words)
        .env_clear()
        .env("CORTEN_ROOT", host.data_root())
        .env("CORTEN_RUN_ROOT", host.run_root())
        .status()
        .unwrap();
    assert!(status.success(), "{words:?}");
    let text = std::fs::read_to_string(&record).unwrap();
    text.lines()
        .filter(|line| line.contains("sync(") || line.contains("syncfs("))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_container_of_an_image_that_is_there_syncs_nothing() {
    let host = Host::with_busybox();
    let none: Vec<String> = Vec::new();
    assert_eq!(syncs(&host, &["run", "--rm", BUSYBOX, "true"]), none);
    assert_eq!(syncs(&host, &["run", "--name", "one", BUSYBOX, "true"]), none);
    assert_eq!(syncs(&host, &["start", "-a", "one"]), none);
    assert_eq!(syncs(&host, &["rm", "one"]), none);
}

#[test]
fn an_image_is_on_the_disk_when_it_is_there() {
    let host = Host::with_busybox();
    let volume = syncs(&host, &["volume", "create", "data"]);
    assert!(!volume.is_empty(), "a volume's row is committed durably");
}
