//! `--timings`: how long each stage took, on standard error.

use std::io::Write as _;

use rustix::time::{ClockId, clock_gettime};

/// A point of CLOCK_MONOTONIC, which every process of the machine shares.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Nanoseconds of the clock.
    pub monotonic_ns: u64,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Monotonic);
        // The clock starts at zero with the machine: neither field is negative.
        Self { monotonic_ns: time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64 }
    }
}

/// The stages of a command.
pub struct Timings {
    wanted: bool,
    /// When the command was called.
    pub typed_at: Moment,
    marks: Vec<(String, Moment)>,
}

impl Timings {
    /// No stage yet.
    pub fn new(wanted: bool, typed_at: Moment) -> Self {
        Self { wanted, typed_at, marks: Vec::new() }
    }

    /// A stage ended.
    pub fn mark(&mut self, stage: &str) {
        if self.wanted {
            self.marks.push((stage.to_owned(), Moment::now()));
        }
    }

    /// Takes the stages that the engine noted: its clock is ours.
    pub fn add(&mut self, stages: &[(String, u64)]) {
        if self.wanted {
            let known =
                |ns: u64, stage: &str| self.marks.iter().any(|(s, m)| m.monotonic_ns == ns && s == stage);
            let new = stages.iter().filter(|(stage, ns)| !known(*ns, stage));
            let new: Vec<_> = new.map(|(stage, ns)| (stage.clone(), Moment { monotonic_ns: *ns })).collect();
            self.marks.extend(new);
            self.marks.sort_by_key(|(_, moment)| moment.monotonic_ns);
        }
    }

    /// Tells all of them.
    pub fn print(&mut self) {
        if self.wanted {
            self.mark("output");
            // Nobody is left to tell if standard error is gone.
            let _ = std::io::stderr().write_all(self.text().as_bytes());
        }
    }

    fn text(&self) -> String {
        let ms = |from: Moment, to: Moment| to.monotonic_ns.saturating_sub(from.monotonic_ns) as f64 / 1e6;
        let mut before = self.typed_at;
        let mut text = String::new();
        for (stage, moment) in &self.marks {
            text.push_str(&format!("timing: {stage:<30}{:9.3} ms\n", ms(before, *moment)));
            before = *moment;
        }
        text.push_str(&format!("timing: {:<30}{:9.3} ms\n", "all", ms(self.typed_at, before)));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_and_their_sum() {
        let at = |us: u64| Moment { monotonic_ns: us * 1_000 };
        let marks = vec![("arguments".to_owned(), at(60)), ("output".into(), at(4_070))];
        let mut timings = Timings { wanted: true, typed_at: at(10), marks };
        let stages = [("started".to_owned(), 4_060_000)];
        timings.add(&stages);
        timings.add(&stages);
        let expected = "timing: arguments                         0.050 ms\n\
                        timing: started                           4.000 ms\n\
                        timing: output                            0.010 ms\n\
                        timing: all                               4.060 ms\n";
        assert_eq!(timings.text(), expected);
    }
}
