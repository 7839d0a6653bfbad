//! What a start and an exec cost: `cargo test --release … --test containers -- --measure`. Not a test: absolute
//! times are the machine's.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::Instant;

use corten_runtime::{Launch, start};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::world::{Overlay, World, shell, streams, wait};

const ROUNDS: usize = 150;
const WARM_UPS: usize = 10;

/// Prints medians and minima in microseconds: of the whole, and of each stage since the start's beginning.
pub fn measure() {
    let mut world = World::new();
    let profile = corten_runtime::seccomp::default_profile();
    let caps = corten_model::capability::CapSet::DEFAULT;
    world.seccomp = Some(corten_runtime::seccomp::filter(None, profile, caps, (6, 0)).unwrap());
    for (name, userns, cgroup) in
        [("userns", true, true), ("userns, no cgroup view", true, false), ("host userns", false, true)]
    {
        let mut spec = world.spec.clone();
        if !userns {
            spec = World::new().without_userns().spec.clone();
        }
        if !cgroup {
            spec.mounts.retain(|m| m.kind != "cgroup");
        }
        spec.process.args = vec!["true".into()];
        rounds(name, &world, &spec);
    }
    let sleeper = world.sleeper();
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let (stdio, _out, _err) = streams();
        let mut process = shell("");
        process.args = vec!["true".into()];
        let begin = Instant::now();
        let started = world.exec_with(&sleeper, &process, stdio).unwrap();
        times.push(begin.elapsed().as_micros());
        wait(&started.pidfd);
    }
    println!("exec: {}", summary(&mut times[WARM_UPS..]));
}

fn rounds(name: &str, world: &World, spec: &corten_runtime::spec::Spec) {
    let root = world.root();
    let mut stages: BTreeMap<String, Vec<u128>> = BTreeMap::new();
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let (stdio, _out, _err) = streams();
        let begin = Instant::now();
        let trace = |stage: &'static str| {
            let line = format!("{}|{stage}\n", begin.elapsed().as_micros());
            rustix::io::write(&write, line.as_bytes()).unwrap();
        };
        let started = start(Launch {
            spec,
            rootless: false,
            rootfs: &Overlay(&root),
            join: Vec::new(),
            trees: Vec::new(),
            shm: None,
            cgroup: &world.cgroup,
            stdio,
            init: false,
            seccomp: world.seccomp.as_ref(),
            fallbacks: world.fallbacks,
            trace: Some(&trace),
            meanwhile: None,
            consent: None,
        })
        .unwrap();
        let time = begin.elapsed().as_micros();
        wait(&started.pidfd);
        drop(write);
        if round >= WARM_UPS {
            times.push(time);
            collect(read, &mut stages);
        }
    }
    println!("start ({name}): {}", summary(&mut times));
    let mut lines: Vec<_> = stages.iter_mut().map(|(stage, times)| (summary(times), stage)).collect();
    lines.sort_by_key(|(text, _)| text.split(' ').nth(1).and_then(|n| n.parse::<u128>().ok()));
    lines.iter().for_each(|(text, stage)| println!("    {text}  {stage}"));
}

fn collect(read: OwnedFd, stages: &mut BTreeMap<String, Vec<u128>>) {
    let mut text = String::new();
    std::fs::File::from(read).read_to_string(&mut text).unwrap();
    for line in text.lines() {
        let (time, stage) = line.split_once('|').unwrap();
        stages.entry(stage.into()).or_default().push(time.parse().unwrap());
    }
}

fn summary(times: &mut [u128]) -> String {
    times.sort_unstable();
    format!("median {} min {} p90 {}", times[times.len() / 2], times[0], times[times.len() * 9 / 10])
}
