//! When a container is started again after its end: `--restart on-failure:3`.
//!
//! ```text
//! exit ──should the policy?──▶ wait 100 ms, 200 ms, … 1 min ──▶ start
//!   │ no: nobody asked for more, it was stopped, the count is reached
//!   ▼
//! exited
//! ```

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// The pause before the first new start.
pub const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Each pause is twice the one before, up to this.
pub const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// Who ran this long begins with the shortest pause again.
pub const BACKOFF_RESET: Duration = Duration::from_secs(10);

/// Docker's restart policies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// It stays as it ended.
    #[default]
    No,
    /// Whatever it ended with.
    Always,
    /// Whatever it ended with; the difference to `Always` is what a boot does with one that was stopped.
    UnlessStopped,
    /// If its exit code isn't 0, so many times at most; 0 is without end.
    OnFailure(u32),
}

impl RestartPolicy {
    /// Docker's word, without the count.
    pub fn name(self) -> &'static str {
        match self {
            RestartPolicy::No => "no",
            RestartPolicy::Always => "always",
            RestartPolicy::UnlessStopped => "unless-stopped",
            RestartPolicy::OnFailure(_) => "on-failure",
        }
    }

    /// The count of `on-failure`; 0 is none.
    pub fn retries_max(self) -> u32 {
        if let RestartPolicy::OnFailure(count) = self { count } else { 0 }
    }

    /// Whether one that nobody stopped is started again, after `restarts` times.
    pub fn wants_restart(self, exit_code: u8, restarts: u32) -> bool {
        match self {
            RestartPolicy::No => false,
            RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
            RestartPolicy::OnFailure(max) => exit_code != 0 && (max == 0 || restarts < max),
        }
    }
}

/// The pause before the next start: `last` is the one before, `ran` how long the container ran after it.
pub fn backoff(last: Option<Duration>, ran: Duration) -> Duration {
    match last.filter(|_| ran < BACKOFF_RESET) {
        None => BACKOFF_MIN,
        Some(last) => (last * 2).min(BACKOFF_MAX),
    }
}

impl FromStr for RestartPolicy {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = |why: &str| {
            Invalid::new("restart policy", text, why)
                .hint("`no`, `always`, `unless-stopped`, `on-failure` or `on-failure:COUNT`")
        };
        let (name, count) = text.split_once(':').map_or((text, ""), |(name, count)| (name, count));
        if name.is_empty() && text.contains(':') {
            return Err(bad("no policy provided before colon"));
        }
        let count = match count {
            "" => 0,
            count => count.parse::<i64>().map_err(|_| bad("maximum retry count must be an integer"))?,
        };
        if count < 0 {
            return Err(bad("maximum retry count cannot be negative"));
        }
        let count = u32::try_from(count).map_err(|_| bad("maximum retry count is too large"))?;
        let policy = match name {
            "" | "no" => RestartPolicy::No,
            "always" => RestartPolicy::Always,
            "unless-stopped" => RestartPolicy::UnlessStopped,
            "on-failure" => return Ok(RestartPolicy::OnFailure(count)),
            _ => return Err(bad("unknown policy")),
        };
        if count > 0 {
            return Err(bad("maximum retry count can only be used with `on-failure`"));
        }
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_as_they_are_typed() {
        let check = |text: &str, expected: RestartPolicy| assert_eq!(text.parse(), Ok(expected), "{text}");
        check("", RestartPolicy::No);
        check("no", RestartPolicy::No);
        check("always", RestartPolicy::Always);
        check("always:0", RestartPolicy::Always);
        check("unless-stopped", RestartPolicy::UnlessStopped);
        check("on-failure", RestartPolicy::OnFailure(0));
        check("on-failure:3", RestartPolicy::OnFailure(3));
        for bad in [":3", "always:1", "on-failure:x", "on-failure:-1", "sometimes", "on-failure:99999999999"]
        {
            assert!(bad.parse::<RestartPolicy>().is_err(), "{bad}");
        }
    }

    #[test]
    fn who_is_started_again() {
        let check = |policy: RestartPolicy, code: u8, restarts: u32, expected: bool| {
            assert_eq!(policy.wants_restart(code, restarts), expected, "{policy:?} {code} {restarts}");
        };
        check(RestartPolicy::No, 1, 0, false);
        check(RestartPolicy::Always, 0, 1000, true);
        check(RestartPolicy::UnlessStopped, 137, 5, true);
        check(RestartPolicy::OnFailure(0), 0, 0, false);
        check(RestartPolicy::OnFailure(0), 1, 1000, true);
        check(RestartPolicy::OnFailure(2), 1, 1, true);
        check(RestartPolicy::OnFailure(2), 1, 2, false);
    }

    #[test]
    fn pauses_double_and_begin_anew() {
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(10));
        let mut pauses = vec![backoff(None, short)];
        for _ in 0..10 {
            pauses.push(backoff(pauses.last().copied(), short));
        }
        let ms: Vec<_> = pauses.iter().map(Duration::as_millis).collect();
        assert_eq!(ms, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000]);
        assert_eq!(backoff(Some(BACKOFF_MAX), long), BACKOFF_MIN);
    }
}
