//! What is let off a rule, and why. The lists are a ratchet: numbers only go down, and an entry that is no
//! longer needed is a finding.

/// Files over the usual length: path, lines it may have, why it is one thing.
pub const LONG_FILES: [(&str, usize, &str); 0] = [];

/// Functions over the usual length: path, name, lines it may have, why it is one thing.
pub const LONG_FUNCTIONS: [(&str, &str, usize, &str); 0] = [];

/// Files that sleep, and why no event can be waited for.
pub const SLEEPS: [(&str, &str); 8] = [
    (
        "crates/engine/src/keeper/places.rs",
        "a keeper that tears down may not be waited for by flock: it could start again",
    ),
    (
        "crates/runtime/src/cgroup/file.rs",
        "rmdir of a group says EBUSY until its dead are reaped, and nothing tells when",
    ),
    ("crates/runtime/src/cgroup/signal.rs", "the v1 freezer has no event for frozen, nor v1 for empty"),
    ("crates/runtime/src/cgroup/systemd.rs", "another process of ours may be making the same scope"),
    ("crates/runtime/src/cgroup/v2.rs", "a controller is busy while processes leave, and nothing tells when"),
    ("tests/src/wait.rs", "looks again at what the kernel tells nobody about, always with a deadline"),
    ("xtask/src/bench/start.rs", "the end of processes that aren't its children, with a deadline"),
    ("xtask/src/peers.rs", "processes that aren't its children, with a deadline"),
];

/// Files below commands/ that are no commands.
pub const NO_VERBS: [(&str, &str); 0] = [];
