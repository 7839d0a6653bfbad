//! Durations as Go writes them: `1h30m`, `1.5s`, `300ms`.

use std::time::Duration;

use crate::Invalid;

/// Parses a Go duration. A bare number is an error, except `0`.
pub fn parse_duration(what: &'static str, text: &str) -> Result<Duration, Invalid> {
    let bad = |why: &str| Invalid::new(what, text, why).hint("for example `10s` or `1h30m`");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut total_ns) = (text, 0f64);
    while !rest.is_empty() {
        let end =
            rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(|| bad("a unit is missing"))?;
        let value: f64 = rest[..end].parse().map_err(|_| bad("not a duration"))?;
        rest = &rest[end..];
        let units =
            [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];
        let (unit, ns) =
            units.into_iter().find(|(u, _)| rest.starts_with(u)).ok_or_else(|| bad("unknown unit"))?;
        rest = &rest[unit.len()..];
        total_ns += value * ns;
    }
    if text.is_empty() {
        return Err(bad("empty"));
    }
    if total_ns > 9e18 {
        return Err(bad("too long"));
    }
    Ok(Duration::from_nanos(total_ns as u64))
}

/// A span for people, as `docker ps` prints it: `About a minute`, `3 hours`.
pub fn human(span: Duration) -> String {
    let seconds = span.as_secs();
    let minutes = seconds / 60;
    let hours = (seconds + 1800) / 3600;
    match () {
        () if seconds < 1 => "Less than a second".into(),
        () if seconds == 1 => "1 second".into(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".into(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".into(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations() {
        for (text, ms) in [("0", 0), ("300ms", 300), ("1.5s", 1_500), ("1h30m", 5_400_000), ("2m3s", 123_000)]
        {
            assert_eq!(parse_duration("duration", text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "5", "s", "1x", "1s2", "-1s", "1.2.3s", "9999999999h"] {
            assert!(parse_duration("duration", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_read_as_docker_prints_them() {
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (61, "About a minute"),
            (150, "2 minutes"),
            (3_700, "About an hour"),
            (7_300, "2 hours"),
            (200_000, "2 days"),
            (2_000_000, "3 weeks"),
        ] {
            assert_eq!(human(Duration::from_secs(seconds)), text);
        }
    }
}
