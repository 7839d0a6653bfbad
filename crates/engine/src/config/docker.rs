//! What the keys of Docker's daemon.json mean here.
//!
//! Each key that is known there is in [`TABLE`]: a key of ours with the same meaning, or a sentence that says why there
//! is none.

use std::path::Path;

use serde_json::Value as Json;

use super::{Error, Key, Value, edit, file, key};

/// What Docker's file became.
#[derive(Debug, Default)]
pub struct Imported {
    /// Docker's key, ours, the value.
    pub settings: Vec<(String, &'static Key, Value)>,
    /// Docker's key, and why nothing became of it.
    pub left: Vec<(String, String)>,
}

impl Imported {
    /// Writes the settings to a file of ours.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let settings: Vec<(&Key, Value)> =
            self.settings.iter().map(|(_, key, value)| (*key, value.clone())).collect();
        if settings.is_empty() { Ok(()) } else { edit::set_all(path, &settings) }
    }
}

/// What one of Docker's keys means.
#[derive(Clone, Copy)]
enum Means {
    /// The same as a key of ours; the words of its value.
    Ours(&'static str, fn(&Json) -> Option<Vec<String>>),
    /// The keys below it are in the table too: `log-opts.max-size`.
    Table,
    /// Nothing, and why.
    Nothing(&'static str),
}

use Means::{Nothing, Ours, Table};

const NO_DAEMON: &str = "there is no daemon";
const NO_API: &str = "there is no Engine API yet";
const NO_BRIDGE: &str = "there are no bridge networks yet";
const NO_SWARM: &str = "there is no Swarm";
const ONE_RUNTIME: &str = "the runtime is built in; others are not called";

/// Every key of Docker's file.
const TABLE: &[(&str, Means)] = &[
    ("allow-direct-routing", Nothing(NO_BRIDGE)),
    ("allow-nondistributable-artifacts", Nothing("layers are fetched from nowhere but their registry")),
    ("api-cors-header", Nothing(NO_API)),
    (
        "authorization-plugins",
        Nothing("there are no plugins: who may use the store is who may open its files"),
    ),
    ("bip", Nothing(NO_BRIDGE)),
    ("bip6", Nothing(NO_BRIDGE)),
    ("bridge", Nothing(NO_BRIDGE)),
    ("bridge-accept-fwmark", Nothing(NO_BRIDGE)),
    ("builder", Nothing("there are no builds yet")),
    ("cdi-spec-dirs", Nothing("there are no CDI devices; `--device` takes device nodes")),
    ("cgroup-parent", Nothing("containers are below one group of Corten's own")),
    ("containerd", Nothing("layers and processes are looked after by Corten itself")),
    ("containerd-namespace", Nothing("layers and processes are looked after by Corten itself")),
    ("containerd-plugins-namespace", Nothing("there are no plugins")),
    ("cpu-rt-period", Nothing("limits of real-time scheduling are not built")),
    ("cpu-rt-runtime", Nothing("limits of real-time scheduling are not built")),
    ("data-root", Nothing("it holds Docker's own format; set `root` to keep Corten's store elsewhere")),
    ("debug", Nothing("`corten --debug` shows more about one command")),
    ("default-address-pools", Nothing(NO_BRIDGE)),
    ("default-cgroupns-mode", Nothing("it is private; `--cgroupns host` changes it for one container")),
    ("default-gateway", Nothing(NO_BRIDGE)),
    ("default-gateway-v6", Nothing(NO_BRIDGE)),
    ("default-ipc-mode", Nothing("it is private; `--ipc` changes it for one container")),
    ("default-network-opts", Nothing(NO_BRIDGE)),
    ("default-runtime", Nothing(ONE_RUNTIME)),
    ("default-shm-size", Ours("container.shm_size", word)),
    ("default-ulimits", Ours("container.ulimits", ulimits)),
    ("dns", Nothing("containers get the host's resolvers")),
    ("dns-opts", Nothing("containers get the host's resolvers")),
    ("dns-search", Nothing("containers get the host's resolvers")),
    ("exec-opts", Nothing("systemd is asked for a delegated group where it runs the machine")),
    ("exec-root", Nothing("it holds Docker's own state; set `run_root` to keep Corten's elsewhere")),
    ("experimental", Nothing("nothing is hidden behind it")),
    ("features", Nothing("nothing is hidden behind it")),
    ("firewall-backend", Nothing(NO_BRIDGE)),
    ("fixed-cidr", Nothing(NO_BRIDGE)),
    ("fixed-cidr-v6", Nothing(NO_BRIDGE)),
    ("group", Nothing("there is no socket: no group gets root's powers")),
    ("host-gateway-ip", Nothing(NO_BRIDGE)),
    ("host-gateway-ips", Nothing(NO_BRIDGE)),
    ("hosts", Nothing(NO_API)),
    ("http-proxy", Ours("registries.http_proxy", word)),
    ("https-proxy", Ours("registries.https_proxy", word)),
    ("icc", Nothing(NO_BRIDGE)),
    ("init", Ours("container.init", word)),
    ("init-path", Nothing("the init is built in")),
    ("insecure-registries", Ours("registries.insecure", list)),
    ("ip", Nothing("there are no published ports yet")),
    ("ip-forward", Nothing(NO_BRIDGE)),
    ("ip-forward-no-drop", Nothing(NO_BRIDGE)),
    ("ip-masq", Nothing(NO_BRIDGE)),
    ("ip6tables", Nothing("there are no rules of iptables")),
    ("iptables", Nothing("there are no rules of iptables")),
    ("ipv6", Nothing(NO_BRIDGE)),
    ("labels", Nothing(NO_DAEMON)),
    ("live-restore", Nothing("containers always outlive the command that started them")),
    ("log-driver", Nothing("logs are files; there are no other drivers yet")),
    ("log-format", Nothing(NO_DAEMON)),
    ("log-level", Nothing(NO_DAEMON)),
    ("log-opts", Table),
    ("log-opts.max-size", Ours("log.max_size", word)),
    ("log-opts.max-file", Ours("log.max_files", word)),
    ("max-concurrent-downloads", Ours("pull.max_downloads", word)),
    ("max-concurrent-uploads", Nothing("how many layers go up at the same time can't be chosen")),
    ("max-download-attempts", Nothing("what breaks off is gone on with several times")),
    ("metrics-addr", Nothing(NO_DAEMON)),
    ("min-api-version", Nothing(NO_API)),
    ("mtu", Nothing(NO_BRIDGE)),
    ("no-new-privileges", Ours("container.no_new_privileges", word)),
    ("no-proxy", Ours("registries.no_proxy", between_commas)),
    ("node-generic-resources", Nothing(NO_SWARM)),
    ("oom-score-adjust", Nothing(NO_DAEMON)),
    ("pidfile", Nothing(NO_DAEMON)),
    ("proxies", Table),
    ("proxies.http-proxy", Ours("registries.http_proxy", word)),
    ("proxies.https-proxy", Ours("registries.https_proxy", word)),
    ("proxies.no-proxy", Ours("registries.no_proxy", between_commas)),
    ("raw-logs", Nothing(NO_DAEMON)),
    ("registry-mirrors", Ours("registries.mirrors", mirrors)),
    ("rootless", Nothing("who runs `corten` as an ordinary user has rootless containers")),
    ("runtimes", Nothing(ONE_RUNTIME)),
    ("seccomp-profile", Ours("container.seccomp_profile", seccomp)),
    ("selinux-enabled", Nothing("labels of SELinux are not built")),
    ("shutdown-timeout", Nothing(NO_DAEMON)),
    ("storage-driver", Nothing("layers are mounted with overlay; there is no other driver")),
    ("storage-opts", Nothing("layers are mounted with overlay; there is nothing to choose")),
    ("swarm-default-advertise-addr", Nothing(NO_SWARM)),
    ("tls", Nothing(NO_API)),
    ("tlscacert", Nothing(NO_API)),
    ("tlscert", Nothing(NO_API)),
    ("tlskey", Nothing(NO_API)),
    ("tlsverify", Nothing(NO_API)),
    ("userland-proxy", Nothing("there are no published ports yet")),
    ("userland-proxy-path", Nothing("there are no published ports yet")),
    ("userns-remap", Nothing("each container has a user namespace of its own; `userns.range` is where from")),
];

/// Reads Docker's file.
pub fn import(path: &Path) -> Result<Imported, Error> {
    let not_there = || Error::File {
        what: "read the configuration",
        path: path.to_owned(),
        source: rustix::io::Errno::NOENT.into(),
    };
    let text = file::read(path)?.ok_or_else(not_there)?;
    let bad = |source| Error::NotDockers { path: path.to_owned(), source };
    // An empty file is what a fresh installation may have.
    let text = if text.trim().is_empty() { "{}" } else { text.as_str() };
    let object: serde_json::Map<String, Json> = serde_json::from_str(text).map_err(bad)?;
    let mut imported = Imported::default();
    for (name, value) in &object {
        take(name, value, &mut imported)?;
    }
    Ok(imported)
}

fn take(name: &str, value: &Json, imported: &mut Imported) -> Result<(), Error> {
    let mut leave = |why: String| imported.left.push((name.to_owned(), why));
    match TABLE.iter().find(|(known, _)| *known == name).map(|(_, means)| means) {
        Some(Nothing(why)) => leave((*why).to_owned()),
        Some(Ours(ours, words)) => {
            let ours = key(ours)?;
            let value = words(value).ok_or_else(|| "its value is not what Docker takes".to_owned());
            match value.and_then(|words| ours.shape.parse(&words)) {
                Ok(value) => imported.settings.push((name.to_owned(), ours, value)),
                Err(why) => leave(format!("`{}` can't have it: {why}", ours.name)),
            }
        }
        Some(Table) => {
            for (inner, value) in value.as_object().into_iter().flatten() {
                take(&format!("{name}.{inner}"), value, imported)?;
            }
        }
        None if name.starts_with("log-opts.") => {
            leave("logs are files that are rotated, and nothing else".into())
        }
        None => leave("Docker's documentation doesn't name it".into()),
    }
    Ok(())
}

/// One word: a text, a number, a flag.
fn word(value: &Json) -> Option<Vec<String>> {
    match value {
        Json::String(text) => Some(vec![text.clone()]),
        Json::Number(_) | Json::Bool(_) => Some(vec![value.to_string()]),
        _ => None,
    }
}

/// A list of texts.
fn list(value: &Json) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

/// `a,b`.
fn between_commas(value: &Json) -> Option<Vec<String>> {
    let words = value.as_str()?.split(',').map(str::trim).filter(|word| !word.is_empty());
    Some(words.map(str::to_owned).collect())
}

/// Docker's mirrors are Docker Hub's.
fn mirrors(value: &Json) -> Option<Vec<String>> {
    let hub = corten_model::reference::DEFAULT_REGISTRY;
    let lines = list(value)?;
    Some(lines.iter().map(|address| format!("{hub}={}", address.trim_end_matches('/'))).collect())
}

/// `{"nofile": {"Name": "nofile", "Soft": 1, "Hard": 2}}`.
fn ulimits(value: &Json) -> Option<Vec<String>> {
    let limit = |(name, limit): (&String, &Json)| {
        Some(format!("{name}={}:{}", limit["Soft"].as_i64()?, limit["Hard"].as_i64()?))
    };
    value.as_object()?.iter().map(limit).collect()
}

/// `builtin` is Docker's word for ours.
fn seccomp(value: &Json) -> Option<Vec<String>> {
    let text = value.as_str()?;
    Some(vec![if text == "builtin" { String::new() } else { text.to_owned() }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imported(json: &str) -> Imported {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemon.json");
        std::fs::write(&path, json).unwrap();
        import(&path).unwrap()
    }

    #[test]
    fn every_key_of_ours_in_the_table_is_one() {
        for (name, means) in TABLE {
            if let Ours(ours, _) = means {
                assert!(key(ours).is_ok(), "{name}");
            }
        }
        assert!(TABLE.windows(2).all(|pair| pair[0].0 != pair[1].0));
    }

    #[test]
    fn what_means_the_same_is_taken() {
        let found = imported(
            r#"{"log-opts": {"max-size": "20m", "max-file": "5"}, "default-shm-size": "128M",
                "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 64000, "Soft": -1}},
                "no-new-privileges": true, "seccomp-profile": "builtin",
                "registry-mirrors": ["https://m.example/"], "insecure-registries": ["r:5000", "10.0.0.0/8"],
                "proxies": {"no-proxy": "a.example, b"}}"#,
        );
        let settings: Vec<_> = found
            .settings
            .iter()
            .map(|(from, key, value)| (from.as_str(), key.name, value.plain()))
            .collect();
        assert_eq!(
            settings,
            [
                ("default-shm-size", "container.shm_size", "128m".into()),
                ("insecure-registries", "registries.insecure", "r:5000\n10.0.0.0/8".into()),
                ("log-opts.max-file", "log.max_files", "5".into()),
                ("log-opts.max-size", "log.max_size", "20m".into()),
                ("no-new-privileges", "container.no_new_privileges", "true".into()),
                ("proxies.no-proxy", "registries.no_proxy", "a.example\nb".into()),
                ("registry-mirrors", "registries.mirrors", "docker.io=https://m.example".into()),
                ("seccomp-profile", "container.seccomp_profile", String::new()),
            ]
        );
        assert!(found.left[0].1.contains("soft limit"), "{:?}", found.left);
    }

    #[test]
    fn what_has_no_equivalent_gets_a_sentence() {
        let found = imported(
            r#"{"live-restore": true, "log-opts": {"tag": "x"}, "frob": 1, "default-shm-size": []}"#,
        );
        let left: Vec<_> = found.left.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(left, ["default-shm-size", "frob", "live-restore", "log-opts.tag"]);
        assert!(imported(" ").left.is_empty());
    }
}
