//! Streams: nothing lost, nothing doubled, nothing kept in memory.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use corten_tests::{BUSYBOX, Host, wait_until};

const CHUNK: usize = 1 << 20;

/// The `index`th mebibyte of a stream in which no two are alike.
fn chunk(index: u64) -> Vec<u8> {
    let mut state = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(CHUNK);
    while bytes.len() < CHUNK {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

/// The highest memory a process has had, in KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn heavy_a_gibibyte_goes_each_way_unchanged() {
    const CHUNKS: u64 = 1024;
    let host = Host::with_busybox();
    let mut command = std::process::Command::new(host.binary());
    command.args(["run", "-i", "--name", "one", BUSYBOX, "cat"]).env_clear();
    command.env("CORTEN_ROOT", host.data_root()).env("CORTEN_RUN_ROOT", host.run_root());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let writer = std::thread::spawn(move || {
        let mut sent = DefaultHasher::new();
        for index in 0..CHUNKS {
            let bytes = chunk(index);
            sent.write(&bytes);
            stdin.write_all(&bytes).unwrap();
        }
        sent.finish()
    });
    let (mut received, mut total, mut peak) = (DefaultHasher::new(), 0u64, 0);
    let mut buffer = vec![0; CHUNK];
    wait_until("it runs", || (host.run(["ps", "-q"]).lines().len() == 1).then_some(()));
    let keeper = host.keeper("one");
    while total < CHUNKS * CHUNK as u64 {
        // Whole chunks, since a hash of several writes isn't that of one.
        let mut filled = 0;
        while filled < CHUNK {
            let read = stdout.read(&mut buffer[filled..]).unwrap();
            assert!(read > 0, "the stream ends after {} of {} MiB", total >> 20, CHUNKS);
            filled += read;
            total += read as u64;
        }
        received.write(&buffer);
        peak = peak.max(peak_kib(keeper));
    }
    assert_eq!(stdout.read(&mut buffer).unwrap(), 0, "nothing comes after it");
    assert!(child.wait().unwrap().success());
    assert_eq!(writer.join().unwrap(), received.finish(), "what returned isn't what was sent");
    assert!(peak < 16 << 10, "the keeper grew to {peak} KiB");
}

#[test]
fn the_end_of_stdin_arrives_and_output_goes_on() {
    let host = Host::with_busybox();
    let mut session = host
        .call([
            "run",
            "-i",
            "--rm",
            BUSYBOX,
            "sh",
            "-c",
            "cat > /dev/null; echo after; sleep 0.3; echo later",
        ])
        .spawn();
    session.write("some").close_stdin();
    session.finish().success().stdout_is("after\nlater");
}

#[test]
fn an_app_that_closes_its_output_still_reads() {
    let host = Host::with_busybox();
    let script = "exec >&-; read line; [ \"$line\" = go ] && exit 4";
    let mut session = host.call(["run", "-i", "--rm", BUSYBOX, "sh", "-c", script]).spawn();
    session.write("go\n");
    session.finish().exits(4);
}

#[test]
fn a_reader_that_has_enough_does_not_hang() {
    let host = Host::with_busybox();
    let script = format!("{} run --rm {BUSYBOX} yes | head -n 1", host.binary().display());
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", &script])
        .env("CORTEN_ROOT", host.data_root())
        .env("CORTEN_RUN_ROOT", host.run_root());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "y\n");
    child.wait().unwrap();
    for id in host.run(["ps", "-q", "--no-trunc"]).lines() {
        host.run(["kill", &id]).success();
    }
}

#[test]
fn output_is_never_lost_when_the_app_ends_at_once() {
    let host = Host::with_busybox();
    for n in 0..200 {
        let ran = host.run(["run", "--rm", BUSYBOX, "sh", "-c", &format!("echo out {n}; echo err {n} >&2")]);
        ran.success()
            .stdout_is(&format!("out {n}"))
            .check(ran.errors() == format!("err {n}\n"), "stderr is lost");
    }
}

#[test]
fn output_of_exec_is_never_lost_either() {
    let host = Host::with_busybox();
    host.start(["--name", "one", BUSYBOX, "sleep", "1000"]);
    for n in 0..200 {
        host.run(["exec", "one", "echo", &n.to_string()]).success().stdout_is(&n.to_string());
    }
}

#[test]
fn a_big_last_word_is_whole() {
    let host = Host::with_busybox();
    for _ in 0..10 {
        let ran = host
            .call(["run", "--rm", BUSYBOX, "head", "-c", "3000000", "/dev/zero"])
            .within(Duration::from_secs(20))
            .output();
        ran.success().check(ran.stdout.len() == 3_000_000, "it isn't whole");
    }
}

#[test]
fn a_grandchild_that_holds_the_output_ends_with_the_container() {
    let host = Host::with_busybox();
    let ran = host.shell("sleep 1000 & echo parent ends");
    ran.success().stdout_is("parent ends");
}
