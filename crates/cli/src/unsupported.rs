//! Docker's flags whose part isn't built yet: each is an error that says so, never silence.
//!
//! With the flags that the commands define, this table covers every flag of Docker's pages; a test compares.

use std::fmt;

/// A flag that Docker has and this build hasn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsupported {
    /// The name after the two dashes.
    pub long: &'static str,
    /// The letter after the single dash.
    pub short: Option<char>,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{}", self.long)
    }
}

const fn long(long: &'static str) -> Unsupported {
    Unsupported { long, short: None }
}

const fn both(short: char, long: &'static str) -> Unsupported {
    Unsupported { long, short: Some(short) }
}

/// Flags before the command.
pub const GLOBAL: &[Unsupported] = &[
    both('l', "log-level"),
    long("tls"),
    long("tlscacert"),
    long("tlscert"),
    long("tlskey"),
    long("tlsverify"),
];

/// What `run` and `create` have in common.
const CONTAINER: &[Unsupported] = &[
    long("add-host"),
    long("annotation"),
    both('a', "attach"),
    long("cgroup-parent"),
    long("cidfile"),
    long("cpu-count"),
    long("cpu-percent"),
    long("device-cgroup-rule"),
    long("dns"),
    long("dns-opt"),
    long("dns-option"),
    long("dns-search"),
    long("domainname"),
    long("expose"),
    long("gpus"),
    long("group-add"),
    long("health-cmd"),
    long("health-interval"),
    long("health-retries"),
    long("health-start-interval"),
    long("health-start-period"),
    long("health-timeout"),
    long("io-maxbandwidth"),
    long("io-maxiops"),
    long("ip"),
    long("ip6"),
    long("isolation"),
    long("kernel-memory"),
    long("link"),
    long("link-local-ip"),
    long("log-driver"),
    long("log-opt"),
    long("mac-address"),
    long("network-alias"),
    long("net-alias"),
    long("no-healthcheck"),
    long("platform"),
    both('p', "publish"),
    both('P', "publish-all"),
    long("pull"),
    both('q', "quiet"),
    long("restart"),
    long("runtime"),
    long("storage-opt"),
    long("use-api-socket"),
    long("volume-driver"),
    long("volumes-from"),
];

/// The flags of one command, called by the first of its forms.
pub const COMMANDS: &[(&str, &[Unsupported])] = &[
    ("run", CONTAINER),
    ("create", CONTAINER),
    ("start", &[long("checkpoint"), long("checkpoint-dir")]),
    ("rm", &[both('l', "link")]),
    ("update", &[long("kernel-memory"), long("restart")]),
    ("logs", &[long("details")]),
    (
        "volume create",
        &[
            long("availability"),
            both('d', "driver"),
            long("group"),
            long("limit-bytes"),
            both('o', "opt"),
            long("required-bytes"),
            long("scope"),
            long("secret"),
            long("sharing"),
            long("topology-preferred"),
            long("topology-required"),
            long("type"),
        ],
    ),
    ("volume ls", &[long("cluster")]),
];

/// The unsupported flag of the command `name` that was typed as `--long` or `-s`.
pub fn find(name: &str, typed: &str) -> Option<Unsupported> {
    let (_, flags) = COMMANDS.iter().find(|(command, _)| *command == name)?;
    find_in(flags, typed)
}

/// The same among flags before the command.
pub fn find_global(typed: &str) -> Option<Unsupported> {
    find_in(GLOBAL, typed)
}

fn find_in(flags: &[Unsupported], typed: &str) -> Option<Unsupported> {
    let matches = |flag: &&Unsupported| match typed.strip_prefix("--") {
        Some(name) => flag.long == name,
        None => {
            flag.short.is_some() && typed.strip_prefix('-').and_then(|rest| rest.chars().next()) == flag.short
        }
    };
    flags.iter().find(matches).copied()
}
