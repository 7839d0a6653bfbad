//! Health checks: `--health-cmd` and an image's HEALTHCHECK, and what came of them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// Between two checks.
pub const INTERVAL: Duration = Duration::from_secs(30);
/// How long one may take.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// Between two checks while the container starts.
pub const START_INTERVAL: Duration = Duration::from_secs(5);
/// Failures in a row that make it unhealthy.
pub const RETRIES: u32 = 3;
/// The shortest time that a setting may have.
pub const SETTING_MIN: Duration = Duration::from_millis(1);
/// Results that are kept.
pub const LOG_MAX: usize = 5;
/// Bytes of a check's output that are kept.
pub const OUTPUT_MAX_BYTES: usize = 4096;

/// A health check as Docker's configs have it; 0 and nothing are "inherited", and in the end the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthConfig {
    /// `["NONE"]`, `["CMD", program, …]`, `["CMD-SHELL", text]`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub test: Vec<String>,
    /// Nanoseconds between two checks.
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// Nanoseconds that one may take.
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// Nanoseconds after the start in which failures don't count.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Nanoseconds between two checks in that time.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// Failures in a row that make it unhealthy.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Go writes what is empty as `null`.
fn or_default<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

impl HealthConfig {
    /// What was asked for, completed by what the image says, as Docker merges them.
    #[must_use]
    pub fn merged(mut self, image: HealthConfig) -> HealthConfig {
        if self.test.is_empty() {
            self.test = image.test;
        }
        for (own, images) in [
            (&mut self.interval, image.interval),
            (&mut self.timeout, image.timeout),
            (&mut self.start_period, image.start_period),
            (&mut self.start_interval, image.start_interval),
            (&mut self.retries, image.retries),
        ] {
            if *own == 0 {
                *own = images;
            }
        }
        self
    }

    /// Whether the settings can be used.
    pub fn validate(&self) -> Result<(), Invalid> {
        let times = [
            ("--health-interval", self.interval),
            ("--health-timeout", self.timeout),
            ("--health-start-period", self.start_period),
            ("--health-start-interval", self.start_interval),
        ];
        let min = SETTING_MIN.as_nanos() as i64;
        for (flag, ns) in times {
            if ns != 0 && ns < min {
                return Err(Invalid::new("health check", flag, "it cannot be less than 1ms"));
            }
        }
        if self.retries < 0 {
            return Err(Invalid::new("health check", "--health-retries", "it cannot be negative"));
        }
        Ok(())
    }

    /// What is run, when and how often; `None`: nothing is checked. `shell` runs texts.
    pub fn probe(&self, shell: &[String]) -> Option<Probe> {
        let (kind, words) = self.test.split_first()?;
        let command = match kind.as_str() {
            "CMD" if !words.is_empty() => words.to_vec(),
            "CMD-SHELL" if !words.is_empty() => shell.iter().chain(words).cloned().collect(),
            _ => return None,
        };
        let ms = |ns: i64, default: Duration| match u64::try_from(ns) {
            Ok(0) | Err(_) => default.as_millis() as u64,
            Ok(ns) => (ns / 1_000_000).max(1),
        };
        Some(Probe {
            command,
            interval_ms: ms(self.interval, INTERVAL),
            timeout_ms: ms(self.timeout, TIMEOUT),
            start_period_ms: ms(self.start_period, Duration::ZERO),
            start_interval_ms: ms(self.start_interval, START_INTERVAL),
            retries: u32::try_from(self.retries).ok().filter(|retries| *retries > 0).unwrap_or(RETRIES),
        })
    }
}

/// A health check with everything in it decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Between the end of one check and the next.
    pub interval_ms: u64,
    /// How long one may take.
    pub timeout_ms: u64,
    /// How long after the start failures don't count.
    pub start_period_ms: u64,
    /// Between two checks in that time, as long as none has succeeded.
    pub start_interval_ms: u64,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
}

/// What a container is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// No check has told yet.
    Starting,
    /// The last check succeeded.
    Healthy,
    /// Too many failed in a row, or nobody checks any more.
    Unhealthy,
}

impl HealthStatus {
    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            HealthStatus::Starting => "starting",
            HealthStatus::Healthy => "healthy",
            HealthStatus::Unhealthy => "unhealthy",
        }
    }

    /// The status that a stored word names.
    pub fn from_word(word: &str) -> Option<Self> {
        [HealthStatus::Starting, HealthStatus::Healthy, HealthStatus::Unhealthy]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One check that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthResult {
    /// When it began, nanoseconds since the epoch.
    pub start_ns: i64,
    /// When it ended.
    pub end_ns: i64,
    /// What its program ended with; -1: it took too long, or could not be run.
    pub exit_code: i32,
    /// The beginning of what it wrote.
    pub output: String,
}

/// What is known of a container's health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Its status.
    pub status: HealthStatus,
    /// Failures since the last success.
    pub failing_streak: u32,
    /// The last checks, oldest first.
    pub log: Vec<HealthResult>,
}

impl Health {
    /// Before the first check.
    pub fn starting() -> Self {
        Self { status: HealthStatus::Starting, failing_streak: 0, log: Vec::new() }
    }

    /// Takes a check in, which began so long after the container's start. Gives back the status if it is another one.
    pub fn record(
        &mut self,
        result: HealthResult,
        after_start: Duration,
        probe: &Probe,
    ) -> Option<HealthStatus> {
        let before = self.status;
        if result.exit_code == 0 {
            self.failing_streak = 0;
            self.status = HealthStatus::Healthy;
        } else if before != HealthStatus::Starting
            || after_start >= Duration::from_millis(probe.start_period_ms)
        {
            self.failing_streak = self.failing_streak.saturating_add(1);
            if self.failing_streak >= probe.retries {
                self.status = HealthStatus::Unhealthy;
            }
        }
        if self.log.len() >= LOG_MAX {
            self.log.drain(..=self.log.len() - LOG_MAX);
        }
        self.log.push(result);
        (self.status != before).then_some(self.status)
    }

    /// How long to wait for the next check.
    pub fn pause(&self, since_start: Duration, probe: &Probe) -> Duration {
        let starts = self.status == HealthStatus::Starting
            && since_start < Duration::from_millis(probe.start_period_ms);
        Duration::from_millis(if starts { probe.start_interval_ms } else { probe.interval_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> HealthConfig {
        serde_json::from_str(text).unwrap()
    }

    fn shell() -> Vec<String> {
        vec!["/bin/sh".into(), "-c".into()]
    }

    #[test]
    fn what_was_asked_is_completed_by_the_image() {
        let image = config(r#"{"Test":["CMD","a"],"Interval":5000000000,"Retries":7}"#);
        let merged = config(r#"{"Interval":1000000000}"#).merged(image.clone());
        assert_eq!(merged, config(r#"{"Test":["CMD","a"],"Interval":1000000000,"Retries":7}"#));
        let probe = merged.probe(&shell()).unwrap();
        assert_eq!((probe.interval_ms, probe.timeout_ms, probe.retries), (1000, 30_000, 7));
        assert_eq!(config(r#"{"Test":["NONE"]}"#).merged(image).probe(&shell()), None);
        assert_eq!(config(r#"{"Test":null}"#).probe(&shell()), None);
        let text = config(r#"{"Test":["CMD-SHELL","exit 1"]}"#).probe(&shell()).unwrap();
        assert_eq!(text.command, ["/bin/sh", "-c", "exit 1"]);
    }

    #[test]
    fn settings_below_a_millisecond_are_refused() {
        assert!(config(r#"{"Interval":1000000}"#).validate().is_ok());
        assert!(config(r#"{"Interval":999999}"#).validate().is_err());
        assert!(config(r#"{"Timeout":-5}"#).validate().is_err());
        assert!(config(r#"{"Retries":-1}"#).validate().is_err());
    }

    #[test]
    fn a_streak_of_failures_makes_it_unhealthy_and_one_success_healthy() {
        let config = config(r#"{"Test":["CMD","a"],"StartPeriod":10000000000,"Retries":2}"#);
        let probe = config.probe(&shell()).unwrap();
        let mut health = Health::starting();
        let mut check = |exit_code: i32, second: u64, status: Option<HealthStatus>, streak: u32| {
            let result = HealthResult { start_ns: 0, end_ns: 1, exit_code, output: String::new() };
            assert_eq!(health.record(result, Duration::from_secs(second), &probe), status, "{second}");
            assert_eq!(health.failing_streak, streak, "{second}");
            assert!(health.log.len() <= LOG_MAX);
        };
        check(1, 5, None, 0);
        check(1, 11, None, 1);
        check(0, 12, Some(HealthStatus::Healthy), 0);
        check(1, 13, None, 1);
        check(-1, 14, Some(HealthStatus::Unhealthy), 2);
        check(1, 15, None, 3);
        check(0, 16, Some(HealthStatus::Healthy), 0);
        // Once healthy, the time in which it starts is over.
        check(1, 2, None, 1);
        assert_eq!(health.log.len(), LOG_MAX);
        assert_eq!(health.log[4].exit_code, 1);
    }

    #[test]
    fn it_is_looked_at_more_often_while_it_starts() {
        let probe = config(r#"{"Test":["CMD","a"],"StartPeriod":10000000000}"#).probe(&shell()).unwrap();
        let mut health = Health::starting();
        assert_eq!(health.pause(Duration::from_secs(9), &probe), START_INTERVAL);
        assert_eq!(health.pause(Duration::from_secs(10), &probe), INTERVAL);
        health.status = HealthStatus::Healthy;
        assert_eq!(health.pause(Duration::from_secs(1), &probe), INTERVAL);
    }
}
