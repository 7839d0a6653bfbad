//! What happens for every number of a system call, as ranges of numbers with the same answer.
//!
//! Where several rules name one call, libseccomp's reading holds: a rule without conditions beats those with,
//! and the first of those without beats the others. Among rules with conditions the first that fits wins. A
//! rule that says the same as the default is as good as absent.

use std::collections::BTreeMap;

use super::arch::{Arch, X32_BIT};
use super::profile::ERRNO;

/// Some calls and what happens to them if all conditions hold.
pub(super) struct Rule<'a> {
    pub(super) names: Vec<&'a str>,
    pub(super) conditions: Vec<Condition>,
    pub(super) action: u32,
}

/// A comparison of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) index: u32,
    pub(super) compare: Compare,
}

/// Unsigned comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    NotEqual(u64),
    Less(u64),
    LessOrEqual(u64),
    Equal(u64),
    GreaterOrEqual(u64),
    Greater(u64),
    Masked { mask: u64, value: u64 },
}

/// What the filter does about one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Returns this at once.
    Return(u32),
    /// Looks at the arguments: the first check whose conditions all hold decides.
    Check { checks: Vec<Check>, otherwise: u32 },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) conditions: Vec<Condition>,
    pub(super) action: u32,
}

/// The decisions of one architecture; the first range starts at 0, the last one has no end.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) arch: Arch,
    pub(super) ranges: Vec<(u32, Decision)>,
}

#[derive(Default)]
struct Call {
    unconditional: Option<u32>,
    checks: Vec<Check>,
}

/// Builds the table of `arch`. `known` are all names that the profile has, in rules that apply or not;
/// numbers above the highest of them get `newer`.
pub(super) fn build(arch: Arch, rules: &[Rule<'_>], known: &[&str], default: u32, newer: u32) -> Table {
    let mut calls: BTreeMap<u32, Call> = BTreeMap::new();
    for rule in rules.iter().filter(|r| r.action != default) {
        for name in &rule.names {
            if let Some(number) = arch.number(name) {
                calls.entry(number).or_default().add(&rule.conditions, rule.action);
            }
            // A multiplexer passes pointers to its arguments, which a filter can't follow: conditions on the
            // direct call can't be checked there.
            if rule.conditions.is_empty()
                && let Some((multiplexer, call)) = arch.multiplexed(name)
                && let Some(number) = arch.number(multiplexer)
            {
                let condition = Condition { index: 0, compare: Compare::Equal(u64::from(call)) };
                calls.entry(number).or_default().add(&[condition], rule.action);
            }
        }
    }
    let highest = known.iter().filter_map(|name| arch.number(name)).max();
    Table { arch, ranges: ranges(arch, calls, highest, default, newer) }
}

impl Call {
    fn add(&mut self, conditions: &[Condition], action: u32) {
        if conditions.is_empty() {
            self.unconditional.get_or_insert(action);
            return;
        }
        let repeated =
            conditions.iter().enumerate().any(|(i, c)| conditions[..i].iter().any(|d| d.index == c.index));
        if repeated {
            // runc's rule: two conditions on one argument in one rule are alternatives, not both needed.
            self.checks.extend(conditions.iter().map(|c| Check { conditions: vec![*c], action }));
        } else {
            self.checks.push(Check { conditions: conditions.to_vec(), action });
        }
    }

    fn decision(self, default: u32) -> Decision {
        match self.unconditional {
            Some(action) => Decision::Return(action),
            None => Decision::Check { checks: self.checks, otherwise: default },
        }
    }
}

fn ranges(
    arch: Arch,
    calls: BTreeMap<u32, Call>,
    highest: Option<u32>,
    default: u32,
    newer: u32,
) -> Vec<(u32, Decision)> {
    let mut ranges: Vec<(u32, Decision)> = Vec::new();
    let mut push = |start: u32, decision: Decision| match ranges.last() {
        Some((_, last)) if *last == decision => {}
        _ => ranges.push((start, decision)),
    };
    let mut next = 0;
    for (number, call) in calls {
        if number > next {
            push(next, Decision::Return(default));
        }
        push(number, call.decision(default));
        next = number + 1;
    }
    let unknown_from = highest.map_or(0, |h| h + 1);
    if next < unknown_from {
        push(next, Decision::Return(default));
    }
    push(unknown_from, Decision::Return(newer));
    if arch == Arch::X86_64 {
        // The x32 ABI's numbers would pass by every rule of a profile that allows by default.
        let nosys = rustix::io::Errno::NOSYS.raw_os_error() as u32;
        push(X32_BIT, Decision::Return(ERRNO | nosys));
    }
    ranges
}

impl Compare {
    /// The comparison on an architecture whose arguments are 32 bits wide: a profile's -1 is all ones there.
    pub(super) fn low_word(self) -> Compare {
        let low = |v: u64| v & u64::from(u32::MAX);
        match self {
            Compare::NotEqual(v) => Compare::NotEqual(low(v)),
            Compare::Less(v) => Compare::Less(low(v)),
            Compare::LessOrEqual(v) => Compare::LessOrEqual(low(v)),
            Compare::Equal(v) => Compare::Equal(low(v)),
            Compare::GreaterOrEqual(v) => Compare::GreaterOrEqual(low(v)),
            Compare::Greater(v) => Compare::Greater(low(v)),
            Compare::Masked { mask, value } => Compare::Masked { mask: low(mask), value: low(value) },
        }
    }
}
