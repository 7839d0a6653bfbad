//! When something that failed is tried again: how long the pauses are, and what a registry may ask for. Pure.

use std::time::{Duration, SystemTime};

use ureq::http::{HeaderMap, StatusCode, header};

use super::settings::Retries;

/// Statuses that may be others a little later.
pub(crate) fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// The pause after try number `tried`, from 1: twice as long as the one before, and by chance up to half shorter, so
/// that many who failed together don't come back together.
pub(crate) fn pause(retries: &Retries, tried: u32, chance: u32) -> Duration {
    let doubled = retries.first_pause.saturating_mul(1 << (tried - 1).min(16)).min(retries.longest_pause);
    doubled.mul_f64(1.0 - f64::from(chance % 1000) / 2000.0)
}

/// What `Retry-After` says: seconds, or a date (RFC 9110, 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = imf_date(text)?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    Some(Duration::from_secs(then.saturating_sub(now)))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` in seconds since 1970.
fn imf_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let words: Vec<&str> = rest.split(' ').collect();
    let [day, month, year, time, "GMT"] = words[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let (day, year) = (day.parse::<u64>().ok()?, year.parse::<u64>().ok()?);
    let clock: Vec<u64> = time.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = clock[..] else { return None };
    if !(1970..10_000).contains(&year)
        || !(1..=31).contains(&day)
        || hours > 23
        || minutes > 59
        || seconds > 60
    {
        return None;
    }
    // Days since 1970 by the calendar that begins its years in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    const DAYS_BEFORE_1970: u64 = 719_468;
    Some(((days.checked_sub(DAYS_BEFORE_1970)? * 24 + hours) * 60 + minutes) * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let retries = Retries::default();
        let millis = |tried, chance| pause(&retries, tried, chance).as_millis();
        assert_eq!((millis(1, 0), millis(2, 0), millis(3, 1000), millis(30, 0)), (500, 1000, 2000, 60_000));
        assert!((250..=500).contains(&millis(1, 999)));
    }

    #[test]
    fn both_forms_of_retry_after() {
        let check = |text: &str, expected: Option<u64>| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]);
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_700);
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{text}");
        };
        check("120", Some(120));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(77));
        check("Sun, 06 Nov 1994 08:40:37 GMT", Some(0));
        check("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400 - 784_111_700));
        check("soon", None);
        check("-1", None);
        check("Sun, 99 Nov 1994 08:49:37 GMT", None);
    }
}
