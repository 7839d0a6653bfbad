//! When each stage of a command ended: `--timings`.

/// CLOCK_MONOTONIC in nanoseconds: the same in all processes of one boot.
pub fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The stages of one command, in the order in which they ended.
#[derive(Debug, Clone, Default)]
pub struct Timings {
    stages: Vec<(String, u64)>,
}

impl Timings {
    /// A stage ended now.
    pub fn mark(&mut self, stage: &str) {
        self.stages.push((stage.to_owned(), monotonic_ns()));
    }

    /// Takes the stages of another process over.
    pub fn add(&mut self, stages: Vec<(String, u64)>) {
        self.stages.extend(stages);
        self.stages.sort_by_key(|(_, ns)| *ns);
    }

    /// Names of stages and when each ended, CLOCK_MONOTONIC nanoseconds.
    pub fn stages(&self) -> &[(String, u64)] {
        &self.stages
    }
}
