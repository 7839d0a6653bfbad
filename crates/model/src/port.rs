//! Ports that a container exposes: `--expose 80`, `--expose 8000-8010/udp`.

use crate::Invalid;

/// Every port of `--expose`, as `80/tcp`.
pub fn parse_expose(text: &str) -> Result<Vec<String>, Invalid> {
    let bad =
        |why: &str| Invalid::new("expose", text, why).hint("for example `80`, `80/udp` or `8000-8010/tcp`");
    if text.contains(':') {
        return Err(bad("invalid port format for --expose"));
    }
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = if protocol.is_empty() { "tcp".to_owned() } else { protocol.to_lowercase() };
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(bad("the protocol is neither tcp, udp nor sctp"));
    }
    let port = |text: &str| text.parse::<u16>().map_err(|_| bad("invalid range format for --expose"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(bad("invalid range format for --expose"));
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_ranges() {
        let check = |text: &str, expected: &[&str]| {
            let ports = parse_expose(text).unwrap();
            assert_eq!(ports, expected, "{text}");
        };
        check("80", &["80/tcp"]);
        check("80/UDP", &["80/udp"]);
        check("80-82/sctp", &["80/sctp", "81/sctp", "82/sctp"]);
        for bad in ["", "80:80", "x", "82-80", "80/icmp", "70000"] {
            assert!(parse_expose(bad).is_err(), "{bad}");
        }
    }
}
