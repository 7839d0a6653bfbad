//! Points in time: what `--since` takes, and how times are printed.

use std::time::Duration;

use corten_model::{Invalid, duration};
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

/// Parses a time: RFC 3339, the same without a zone (then it is local), seconds since the epoch with an optional
/// fraction, or a Go duration before `now`.
pub fn parse(what: &'static str, text: &str, now_unix_ns: i128) -> Result<i128, Invalid> {
    if let Some(moment) = unix_seconds(text) {
        return Ok(moment);
    }
    if let Ok(span) = duration::parse_duration(what, text) {
        return Ok(now_unix_ns - span.as_nanos() as i128);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment.as_nanosecond());
    }
    let civil = text.parse::<civil::DateTime>().ok().and_then(|time| time.to_zoned(TimeZone::system()).ok());
    civil.map(|time| time.timestamp().as_nanosecond()).ok_or_else(|| {
        Invalid::new(what, text, "neither a time nor a duration")
            .hint("for example `2026-01-02T13:23:37Z`, `1767360217` or `10m`")
    })
}

/// `1136073845` or `1136073845.000000001`.
fn unix_seconds(text: &str) -> Option<i128> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(seconds) || !digits(fraction) || seconds.len() > 12 || fraction.len() > 9 {
        return None;
    }
    let nanoseconds: i128 = format!("{fraction:0<9}").parse().ok()?;
    Some(seconds.parse::<i128>().ok()? * 1_000_000_000 + nanoseconds)
}

/// RFC 3339 in UTC with all nine digits of the fraction, so that lines sort and align.
pub fn rfc3339_nano(unix_ns: i128) -> String {
    let moment = Timestamp::from_nanosecond(unix_ns).unwrap_or(Timestamp::UNIX_EPOCH);
    moment.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

/// RFC 3339 in UTC, whole seconds.
pub fn rfc3339(unix_s: i64) -> String {
    let moment = Timestamp::from_second(unix_s).unwrap_or(Timestamp::UNIX_EPOCH);
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Local time with its zone, as the `CreatedAt` of Docker's templates has it.
pub fn local(unix_s: i64) -> String {
    let moment = Timestamp::from_second(unix_s).unwrap_or(Timestamp::UNIX_EPOCH);
    moment.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

/// How long ago: `3 seconds`. A time in the future (the clock was set back) counts as now.
pub fn span_since(then_unix_s: i64, now_unix_s: i64) -> String {
    duration::human(Duration::from_secs(u64::try_from(now_unix_s - then_unix_s).unwrap_or(0)))
}

/// Nanoseconds since the epoch.
pub fn now_unix_ns() -> i128 {
    Timestamp::now().as_nanosecond()
}

/// Seconds since the epoch.
pub fn now_unix_s() -> i64 {
    Timestamp::now().as_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i128 = 1_000_000_000;

    #[test]
    fn times_and_durations() {
        let now = 1_000_000 * SECOND;
        let check = |text: &str, expected: Option<i128>| {
            assert_eq!(parse("time", text, now).ok(), expected, "{text}");
        };
        check("1136073845", Some(1_136_073_845 * SECOND));
        check("1136073845.000000001", Some(1_136_073_845 * SECOND + 1));
        check("1.5", Some(SECOND + SECOND / 2));
        check("0", Some(0));
        check("10m", Some(now - 600 * SECOND));
        check("1h30m", Some(now - 5_400 * SECOND));
        check("1970-01-01T00:00:02Z", Some(2 * SECOND));
        check("1970-01-01T01:00:02.5+01:00", Some(2 * SECOND + SECOND / 2));
        assert!(parse("time", "2026-01-02T13:23:37", now).is_ok());
        assert!(parse("time", "2026-01-02", now).is_ok());
        for bad in ["", "yesterday", "10x", "1.2.3", ".5", "-5m", "2026-13-01T00:00:00Z"] {
            check(bad, None);
        }
    }

    #[test]
    fn printed_times_have_all_their_digits() {
        assert_eq!(rfc3339_nano(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(rfc3339_nano(1_500_000_000), "1970-01-01T00:00:01.500000000Z");
        assert_eq!(rfc3339_nano(1_136_073_845 * SECOND + 1), "2006-01-01T00:04:05.000000001Z");
        assert_eq!(rfc3339(1_136_073_845), "2006-01-01T00:04:05Z");
    }

    #[test]
    fn spans_do_not_run_backwards() {
        assert_eq!(span_since(10, 13), "3 seconds");
        assert_eq!(span_since(13, 10), "Less than a second");
    }
}
