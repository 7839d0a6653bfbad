//! Resource limits: names, and what is left of a wish where the hard limit may not be raised.
//!
//! The parent raises hard limits, if it may, while the child still starts; the child sets both just before it
//! becomes the program, so that a small limit doesn't break the start itself.

use rustix::process::{Resource, Rlimit as Pair};

use crate::spec::Rlimit;

/// The kernel's resource of a name such as `RLIMIT_NOFILE`.
pub fn resource(name: &str) -> Option<Resource> {
    Some(match name.strip_prefix("RLIMIT_")? {
        "CPU" => Resource::Cpu,
        "FSIZE" => Resource::Fsize,
        "DATA" => Resource::Data,
        "STACK" => Resource::Stack,
        "CORE" => Resource::Core,
        "RSS" => Resource::Rss,
        "NPROC" => Resource::Nproc,
        "NOFILE" => Resource::Nofile,
        "MEMLOCK" => Resource::Memlock,
        "AS" => Resource::As,
        "LOCKS" => Resource::Locks,
        "SIGPENDING" => Resource::Sigpending,
        "MSGQUEUE" => Resource::Msgqueue,
        "NICE" => Resource::Nice,
        "RTPRIO" => Resource::Rtprio,
        "RTTIME" => Resource::Rttime,
        _ => return None,
    })
}

/// What can be set of `wish` where the hard limit is `ceiling` (`None` is unlimited) and may not be raised, and
/// whether that is less than what was wished.
pub fn clamp(wish: &Rlimit, ceiling: Option<u64>) -> (Pair, bool) {
    let ceiling = ceiling.unwrap_or(u64::MAX);
    let pair = Pair { current: finite(wish.soft.min(ceiling)), maximum: finite(wish.hard.min(ceiling)) };
    (pair, wish.hard > ceiling)
}

/// rustix's reading of a limit: `u64::MAX` is no limit.
pub fn finite(value: u64) -> Option<u64> {
    (value != u64::MAX).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_cut_at_the_ceiling() {
        let check = |soft, hard, ceiling, expected: (Option<u64>, Option<u64>), cut| {
            let wish = Rlimit { kind: "RLIMIT_NOFILE".into(), soft, hard };
            let (pair, was_cut) = clamp(&wish, ceiling);
            assert_eq!(((pair.current, pair.maximum), was_cut), (expected, cut), "{wish:?} {ceiling:?}");
        };
        check(10, 20, Some(30), (Some(10), Some(20)), false);
        check(10, 40, Some(30), (Some(10), Some(30)), true);
        check(u64::MAX, u64::MAX, Some(30), (Some(30), Some(30)), true);
        check(u64::MAX, u64::MAX, None, (None, None), false);
    }

    #[test]
    fn every_name_of_the_model_is_known() {
        for (name, _) in corten_model::ulimit::NAMES {
            assert!(resource(&format!("RLIMIT_{}", name.to_uppercase())).is_some(), "{name}");
        }
        assert!(resource("NOFILE").is_none() && resource("RLIMIT_FOO").is_none());
    }
}
