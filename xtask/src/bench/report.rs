//! The table that a bench ends with.

use super::sample::Sample;

/// Lines of times, then lines of targets.
#[derive(Debug, Default)]
pub struct Report {
    times: Vec<(String, Sample)>,
    targets: Vec<(String, f64, f64, &'static str)>,
}

impl Report {
    /// Adds the times of one thing.
    pub fn times(&mut self, what: impl Into<String>, sample: &Sample) {
        self.times.push((what.into(), sample.clone()));
    }

    /// Adds a figure and the most it should be.
    pub fn target(&mut self, what: impl Into<String>, got: f64, most: f64, unit: &'static str) {
        self.targets.push((what.into(), got, most, unit));
    }

    /// Prints everything.
    pub fn print(&self) {
        println!("\n{:<44}{:>9}{:>9}{:>9}{:>9}", "times in ms", "median", "min", "p90", "spread");
        for (what, sample) in &self.times {
            let (median, min, p90) = (sample.median(), sample.min(), sample.quantile(0.9));
            println!("{what:<44}{median:>9.2}{min:>9.2}{p90:>9.2}{:>8.0}%", sample.spread() * 100.0);
        }
        println!("\n{:<52}{:>10}{:>10}", "against the targets", "here", "target");
        for (what, got, most, unit) in &self.targets {
            let mark = if got <= most { " " } else { "!" };
            let shown =
                |value: f64| if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
            println!("{mark} {what:<50}{:>10}{:>10} {unit}", shown(*got), format!("≤{}", shown(*most)));
        }
    }
}
