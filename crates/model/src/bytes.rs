//! Sizes in bytes: `512m`, `1.5g`, `64KiB`, and how they are printed.

use crate::Invalid;

/// Parses a size as Docker does: a number, optionally with a fraction, and an optional unit of 1024
/// (`b`, `k`, `m`, `g`, `t`, `p`, each also with `b` or `ib`, in any case).
pub fn parse_size(what: &'static str, text: &str) -> Result<u64, Invalid> {
    let bad = |why: &str| Invalid::new(what, text, why).hint("for example `512m` or `1.5g`");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start().to_ascii_lowercase();
    let shift = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit) {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return Err(bad("unknown unit")),
    };
    let scale = 1u64 << shift;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(scale).ok_or_else(|| bad("too large"));
    }
    let value: f64 = number.parse().map_err(|_| bad("not a number of bytes"))?;
    let bytes = value * scale as f64;
    if bytes < 9e18 { Ok(bytes as u64) } else { Err(bad("too large")) }
}

/// A size for people, in units of 1000 and with three digits, as `docker images` prints it: `4.42MB`.
pub fn human(bytes: u64) -> String {
    scaled(bytes, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], 3)
}

/// A size for people, in units of 1024 and with four digits, as `docker stats` prints it: `1.944GiB`.
pub fn human_binary(bytes: u64) -> String {
    scaled(bytes, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], 4)
}

fn scaled(bytes: u64, base: f64, units: &[&str], digits: usize) -> String {
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    let whole = if value < 1.0 { 1 } else { value.log10().floor() as usize + 1 };
    let text = format!("{value:.*}", digits.saturating_sub(whole));
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_parse_as_docker_parses_them() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("64k", 65_536),
            ("512m", 512 << 20),
            ("1.5g", 3 << 29),
            ("2GiB", 2 << 30),
            ("1 MB", 1 << 20),
        ] {
            assert_eq!(parse_size("size", text), Ok(bytes), "{text}");
        }
        for bad in ["", "m", "-1", "1x", "1.2.3g", "99999999999g", "1e3", "é"] {
            assert!(parse_size("size", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_print_as_docker_prints_them() {
        for (bytes, text) in
            [(0, "0B"), (999, "999B"), (4_420_000, "4.42MB"), (117_000_000, "117MB"), (1_000, "1kB")]
        {
            assert_eq!(human(bytes), text);
        }
        assert_eq!(human_binary(2_087_354_100), "1.944GiB");
    }
}
