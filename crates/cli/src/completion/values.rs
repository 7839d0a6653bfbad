//! What may stand at a place: lists of words, and names out of the store.

use corten_engine::config::KEYS;
use corten_engine::container::{self, ListFilter};
use corten_engine::{Engine, image, volume};
use corten_model::capability::CapSet;
use corten_model::signal::Signal;
use corten_model::state::Status;
use corten_model::ulimit;

use super::{Candidate, Offer};
use crate::caller::Caller;
use crate::filter::ps::{HEALTHS, STATUSES};
use crate::{commands, filter, prune, remote};

/// What a word may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Any container.
    Containers,
    /// One that runs.
    Running,
    /// One that doesn't run.
    Stopped,
    /// Any image.
    Images,
    /// Any volume.
    Volumes,
    /// A container, an image or a volume.
    Objects,
    /// A key of the configuration.
    Keys,
    /// A name of a host.
    Contexts,
    /// A signal.
    Signals,
    /// A capability, or ALL.
    Capabilities,
    /// A limit of setrlimit(2), with its `=`.
    Ulimits,
    /// `container:NAME` beside these.
    Joined(&'static [&'static str]),
    /// One of these.
    Words(&'static [&'static str]),
    /// A file of the host.
    Files,
}

use Kind::*;

/// The values of flags, whatever command has them.
const FLAGS: &[(&str, Kind)] = &[
    ("cap-add", Capabilities),
    ("cap-drop", Capabilities),
    ("cgroupns", Words(&["private", "host"])),
    ("cidfile", Files),
    ("device", Files),
    ("docker", Words(&["host=ssh://", "host=local"])),
    ("env-file", Files),
    ("format", Words(&["json", "table"])),
    ("ipc", Joined(&["private", "shareable", "none", "host"])),
    ("label-file", Files),
    ("mount", Words(&["type=bind,", "type=tmpfs,", "type=volume,"])),
    ("network", Joined(&["none", "host"])),
    ("output", Files),
    ("pid", Joined(&["private", "host"])),
    ("pull", Words(&["always", "missing", "never"])),
    ("restart", Words(&["no", "always", "on-failure", "unless-stopped"])),
    (
        "security-opt",
        Words(&[
            "no-new-privileges",
            "seccomp=unconfined",
            "seccomp=builtin",
            "systempaths=unconfined",
            "apparmor=",
        ]),
    ),
    ("signal", Signals),
    ("stop-signal", Signals),
    ("type", Words(&["container", "image", "volume"])),
    ("ulimit", Ulimits),
    ("userns", Words(&["auto", "host"])),
    ("uts", Words(&["private", "host"])),
    ("volumes-from", Containers),
];

/// The keys of `--filter`.
const FILTERS: &[(&str, &[&str])] = &[
    ("container prune", &prune::KEYS),
    ("events", &commands::events::KEYS),
    ("image prune", &prune::KEYS),
    ("images", &filter::images::KEYS),
    ("ps", &filter::ps::KEYS),
    ("system prune", &prune::KEYS),
    ("volume ls", &commands::volume::ls::KEYS),
    ("volume prune", &prune::VOLUME_KEYS),
];

/// What stands after a command; the last kind of a list is that of all further words.
const POSITIONALS: &[(&str, &[Kind])] = &[
    ("attach", &[Running]),
    ("commit", &[Containers, Images]),
    ("config explain", &[Keys]),
    ("config get", &[Keys]),
    ("config import", &[Files]),
    ("config set", &[Keys]),
    ("config unset", &[Keys]),
    ("container inspect", &[Containers]),
    ("completion", &[Words(&["bash", "zsh", "fish"])]),
    ("context export", &[Contexts, Files]),
    ("context inspect", &[Contexts]),
    ("context rm", &[Contexts]),
    ("context update", &[Contexts]),
    ("context use", &[Contexts]),
    ("cp", &[Files]),
    ("create", &[Images, Files]),
    ("diff", &[Containers]),
    ("exec", &[Running, Files]),
    ("export", &[Containers]),
    ("history", &[Images]),
    ("image inspect", &[Images]),
    ("import", &[Files]),
    ("inspect", &[Objects]),
    ("kill", &[Running]),
    ("load", &[Files]),
    ("logs", &[Containers]),
    ("pause", &[Running]),
    ("port", &[Containers]),
    ("rename", &[Containers]),
    ("restart", &[Containers]),
    ("rm", &[Containers]),
    ("rmi", &[Images]),
    ("run", &[Images, Files]),
    ("save", &[Images]),
    ("start", &[Stopped]),
    ("stats", &[Running]),
    ("stop", &[Running]),
    ("tag", &[Images]),
    ("top", &[Running]),
    ("unpause", &[Running]),
    ("update", &[Containers]),
    ("volume inspect", &[Volumes]),
    ("volume rm", &[Volumes]),
    ("wait", &[Running]),
];

/// The value of a flag before the command.
pub fn of_global(flag: &str, caller: &mut Caller) -> Offer {
    match flag {
        "--root" | "--run-root" => Offer::Directories,
        "--context" => offer(Contexts, caller),
        "--host" => Offer::of([("ssh://", "a host that ssh reaches")]),
        _ => Offer::Files,
    }
}

/// The value of a flag of a command.
pub fn of_flag(verb: &str, flag: &str, typed: &str, caller: &mut Caller) -> Offer {
    if flag == "filter" {
        return of_filter(verb, typed, caller);
    }
    if flag == "volume" {
        // A path of the host, or the name of a volume.
        return if typed.starts_with(['/', '.', '~']) { Offer::Files } else { offer(Volumes, caller) };
    }
    match FLAGS.iter().find(|(name, _)| *name == flag) {
        Some((_, kind)) => offer(*kind, caller),
        None => Offer::Nothing,
    }
}

/// A filter: a key of the command, then a value of the key.
fn of_filter(verb: &str, typed: &str, caller: &mut Caller) -> Offer {
    let Some((_, keys)) = FILTERS.iter().find(|(name, _)| *name == verb) else { return Offer::Nothing };
    let Some((key, _)) = typed.split_once('=') else {
        return Offer::Words(keys.iter().map(|key| candidate(format!("{key}="), "")).collect());
    };
    let words = |list: &[&str]| list.iter().map(|word| candidate(*word, "")).collect::<Vec<_>>();
    let values = match (verb, key) {
        ("ps", "status") => STATUSES.iter().map(|status| candidate(status.as_str(), "")).collect(),
        ("ps", "health") => words(&HEALTHS),
        ("ps", "network") => words(&["none", "host"]),
        ("ps", "before" | "since") | ("events", "container") => containers(caller, &|_| true),
        ("ps", "ancestor") | ("images", "before" | "since" | "reference") | ("events", "image") => {
            images(caller)
        }
        ("ps" | "events", "volume") => volumes(caller),
        ("volume ls", "driver") => words(&["local"]),
        ("events", "type") => words(&["container", "image", "volume"]),
        (_, "dangling" | "is-task" | "all") => words(&["true", "false"]),
        _ => return Offer::Nothing,
    };
    let whole = |value: Candidate| candidate(format!("{key}={}", value.word), value.about);
    Offer::Words(values.into_iter().map(whole).collect())
}

/// The word at a place after a command.
pub fn of_positional(verb: &str, index: usize, caller: &mut Caller) -> Offer {
    let Some((_, kinds)) = POSITIONALS.iter().find(|(name, _)| *name == verb) else { return Offer::Nothing };
    match kinds.get(index).or_else(|| kinds.last()) {
        Some(kind) => offer(*kind, caller),
        None => Offer::Nothing,
    }
}

fn offer(kind: Kind, caller: &mut Caller) -> Offer {
    let words = |list: &[&str]| list.iter().map(|word| candidate(*word, "")).collect::<Vec<_>>();
    Offer::Words(match kind {
        Files => return Offer::Files,
        Words(list) => words(list),
        Joined(list) => {
            let mut all = words(list);
            for Candidate { word, about } in containers(caller, &|status| status.is_alive()) {
                all.push(candidate(format!("container:{word}"), about));
            }
            all
        }
        Containers => containers(caller, &|_| true),
        Running => containers(caller, &|status| status.is_alive()),
        Stopped => containers(caller, &|status| !status.is_alive()),
        Images => images(caller),
        Volumes => volumes(caller),
        Objects => [containers(caller, &|_| true), images(caller), volumes(caller)].concat(),
        Contexts => contexts(caller),
        Keys => KEYS.iter().map(|key| candidate(key.name, key.about)).collect(),
        Signals => (1..=31)
            .filter_map(Signal::from_number)
            .map(|s| candidate(s.to_string().trim_start_matches("SIG"), ""))
            .collect(),
        Capabilities => {
            CapSet::ALL.iter().map(|c| candidate(c.short_name(), "")).chain([candidate("ALL", "")]).collect()
        }
        Ulimits => ulimit::NAMES.iter().map(|(name, _)| candidate(format!("{name}="), "")).collect(),
    })
}

fn candidate(word: impl Into<String>, about: impl Into<String>) -> Candidate {
    Candidate { word: word.into(), about: about.into() }
}

/// The store, unless there is none: asking what can be typed makes nothing.
fn engine(caller: &mut Caller) -> Option<Engine> {
    // Names of another host would come too late.
    remote::chosen(caller).ok().filter(|chosen| chosen.address.is_none())?;
    caller.roots().ok().filter(|roots| roots.data.join("version").exists())?;
    caller.engine().ok()
}

fn containers(caller: &mut Caller, wanted: &dyn Fn(Status) -> bool) -> Vec<Candidate> {
    let listed = engine(caller).and_then(|mut e| container::list(&mut e, &ListFilter { all: true }).ok());
    let listed = listed.unwrap_or_default().into_iter().filter(|container| wanted(container.status));
    listed.map(|container| candidate(container.name.as_str(), container.image)).collect()
}

fn images(caller: &mut Caller) -> Vec<Candidate> {
    let listed = engine(caller).and_then(|mut e| image::list(&mut e).ok()).unwrap_or_default();
    let names = listed.iter().flat_map(|image| &image.tags).map(|tag| tag.familiar());
    // Who types no tag means `latest`.
    names.map(|name| candidate(name.strip_suffix(":latest").unwrap_or(&name), "image")).collect()
}

fn contexts(caller: &Caller) -> Vec<Candidate> {
    let kept = remote::contexts::Contexts::of(caller).and_then(|contexts| contexts.all());
    kept.unwrap_or_default().into_iter().map(|context| candidate(context.name, context.description)).collect()
}

fn volumes(caller: &mut Caller) -> Vec<Candidate> {
    let listed = engine(caller).and_then(|mut e| volume::list(&mut e).ok()).unwrap_or_default();
    listed.into_iter().map(|volume| candidate(volume.name.as_str(), "volume")).collect()
}
