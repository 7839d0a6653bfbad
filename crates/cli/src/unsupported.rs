//! Docker's commands and flags whose part isn't built yet: each is an error that says so, never silence.
//!
//! With the commands and the flags that they define, these tables cover every command and flag of Docker's pages; tests compare.

use std::fmt;

/// A flag that Docker has and this build hasn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsupported {
    /// The name after the two dashes.
    pub long: &'static str,
    /// The letter after the single dash.
    pub short: Option<char>,
    /// What it would need.
    pub why: &'static str,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{}", self.long)
    }
}

const fn long(long: &'static str, why: &'static str) -> Unsupported {
    Unsupported { long, short: None, why }
}

const fn both(short: char, long: &'static str, why: &'static str) -> Unsupported {
    Unsupported { long, short: Some(short), why }
}

const NO_DAEMON: &str = "there is no daemon to speak to";
const NO_BRIDGE: &str = "bridge networks are not built yet";
const NO_API: &str = "the Engine API is not built yet";
const NO_CHECKPOINT: &str = "checkpoints are not built yet";
const NO_SWARM: &str = "there is no Swarm";
const NOT_YET: &str = "it is not built yet";
const WINDOWS: &str = "it is only supported on a Docker daemon running on windows";
const KERNEL_MEMORY: &str = "the kernel has no limit of its own memory any more (Linux 5.16)";
const STORAGE: &str =
    "a limit of the writable layer's size needs quotas of the file system, which are not built yet";
const NO_BUILDS: &str = "images can't be built yet";
const NO_NETWORKS: &str = "there are no networks beside `none`, `host` and `container:NAME` yet";
const NO_PLUGINS: &str = "there are no plugins: everything is built in";

/// Commands, or first words of commands, and why they aren't there.
const VERBS: &[(&str, &str)] = &[
    ("bake", NO_BUILDS),
    ("build", NO_BUILDS),
    ("builder", NO_BUILDS),
    ("buildx", NO_BUILDS),
    ("checkpoint", NO_CHECKPOINT),
    ("compose", "Compose is not built yet"),
    ("config create", NO_SWARM),
    ("config inspect", NO_SWARM),
    ("config remove", NO_SWARM),
    ("config rm", NO_SWARM),
    ("image build", NO_BUILDS),
    ("network", NO_NETWORKS),
    ("node", NO_SWARM),
    ("plugin", NO_PLUGINS),
    ("secret", NO_SWARM),
    ("service", NO_SWARM),
    ("stack", NO_SWARM),
    ("swarm", NO_SWARM),
    ("system dial-stdio", "there is no daemon whose stream it could be"),
    ("trust", NOT_YET),
    ("volume update", NO_SWARM),
];

/// Why a command of Docker's isn't there: one that was typed as `network` or `image build`.
pub fn find_verb(form: &str) -> Option<&'static str> {
    VERBS.iter().find(|(known, _)| *known == form).map(|(_, why)| *why)
}

/// Flags before the command.
pub const GLOBAL: &[Unsupported] = &[
    both('l', "log-level", NO_DAEMON),
    long("tls", NO_DAEMON),
    long("tlscacert", NO_DAEMON),
    long("tlscert", NO_DAEMON),
    long("tlskey", NO_DAEMON),
    long("tlsverify", NO_DAEMON),
];

/// What `run` and `create` have in common.
const CONTAINER: &[Unsupported] = &[
    long("cpu-count", WINDOWS),
    long("cpu-percent", WINDOWS),
    long("gpus", NOT_YET),
    long("io-maxbandwidth", WINDOWS),
    long("io-maxiops", WINDOWS),
    long("ip", NO_BRIDGE),
    long("ip6", NO_BRIDGE),
    long("kernel-memory", KERNEL_MEMORY),
    long("link", NO_BRIDGE),
    long("link-local-ip", NO_BRIDGE),
    long("mac-address", NO_BRIDGE),
    long("network-alias", NO_BRIDGE),
    long("net-alias", NO_BRIDGE),
    both('p', "publish", NO_BRIDGE),
    both('P', "publish-all", NO_BRIDGE),
    long("runtime", NOT_YET),
    long("storage-opt", STORAGE),
    long("use-api-socket", NO_API),
];

/// The flags of one command, called by the first of its forms.
pub const COMMANDS: &[(&str, &[Unsupported])] = &[
    ("run", CONTAINER),
    ("create", CONTAINER),
    ("pull", &[both('a', "all-tags", NOT_YET)]),
    ("start", &[long("checkpoint", NO_CHECKPOINT), long("checkpoint-dir", NO_CHECKPOINT)]),
    ("rm", &[both('l', "link", NO_BRIDGE)]),
    ("update", &[long("kernel-memory", KERNEL_MEMORY)]),
    (
        "volume create",
        &[
            long("availability", NO_SWARM),
            long("group", NO_SWARM),
            long("limit-bytes", NO_SWARM),
            long("required-bytes", NO_SWARM),
            long("scope", NO_SWARM),
            long("secret", NO_SWARM),
            long("sharing", NO_SWARM),
            long("topology-preferred", NO_SWARM),
            long("topology-required", NO_SWARM),
            long("type", NO_SWARM),
        ],
    ),
    ("volume ls", &[long("cluster", NO_SWARM)]),
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
