//! Times taken in turn, and what they say.

use std::time::{Duration, Instant};

use crate::failure::Outcome;

/// The times of one thing, in milliseconds, in the order they were taken.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// A sample of these times.
    pub fn of(times_ms: Vec<f64>) -> Self {
        Self(times_ms)
    }

    /// Adds one time.
    pub fn push(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1000.0);
    }

    /// The value below which `share` of the times are.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        sorted.get(at).copied().unwrap_or(f64::NAN)
    }

    /// The middle one.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The quickest.
    pub fn min(&self) -> f64 {
        self.quantile(0.0)
    }

    /// How far the middle four fifths lie apart, as a share of the median.
    pub fn spread(&self) -> f64 {
        (self.quantile(0.9) - self.quantile(0.1)) / self.median()
    }

    /// This one's times divided by the other's of the same round.
    pub fn ratios(&self, other: &Sample) -> Sample {
        Sample(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }
}

/// How often.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    /// Rounds whose times are dropped.
    pub warm_ups: usize,
    /// Rounds that count.
    pub counted: usize,
}

impl Rounds {
    /// Their numbers.
    pub fn all(self) -> std::ops::Range<usize> {
        0..self.warm_ups + self.counted
    }

    /// Whose turn it is in a round, one after the other.
    pub fn order(self, round: usize, entrants: usize) -> Vec<usize> {
        if round % 2 == 1 { (0..entrants).rev().collect() } else { (0..entrants).collect() }
    }

    /// Adds a time, unless the round is a warm-up.
    pub fn note(self, round: usize, sample: &mut Sample, took: Duration) {
        if round >= self.warm_ups {
            sample.push(took);
        }
    }
}

/// One thing to be timed: a name and what to do.
pub type Entrant<'a> = (String, Box<dyn FnMut() -> Outcome + 'a>);

/// Times all of them, each once a round. Every other round goes backwards, so that nobody always runs after the
/// same one; before each, `settle` waits until the one before has left no work behind.
pub fn in_turn(
    rounds: Rounds,
    entrants: &mut [Entrant<'_>],
    settle: &dyn Fn() -> Outcome,
) -> Outcome<Vec<Sample>> {
    let mut samples = vec![Sample::default(); entrants.len()];
    for round in rounds.all() {
        for index in rounds.order(round, entrants.len()) {
            settle()?;
            let began = Instant::now();
            (entrants[index].1)()?;
            rounds.note(round, &mut samples[index], began.elapsed());
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_ratios() {
        let sample = Sample(vec![5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!((sample.min(), sample.median(), sample.quantile(1.0)), (1.0, 3.0, 5.0));
        let half = Sample(vec![10.0, 2.0, 6.0, 4.0, 8.0]);
        assert_eq!(sample.ratios(&half).median(), 0.5);
        assert!(Sample::default().median().is_nan());
    }

    #[test]
    fn warm_ups_are_dropped_and_orders_change() {
        let seen = std::cell::RefCell::new(String::new());
        let rounds = Rounds { warm_ups: 1, counted: 2 };
        let entrant = |name: &'static str| -> Entrant<'_> {
            let seen = &seen;
            (
                name.into(),
                Box::new(move || {
                    seen.borrow_mut().push_str(name);
                    Ok(())
                }),
            )
        };
        let samples = in_turn(rounds, &mut [entrant("a"), entrant("b")], &|| Ok(())).unwrap();
        assert_eq!(*seen.borrow(), "abbaab");
        assert!(samples.iter().all(|s| s.0.len() == 2));
    }
}
