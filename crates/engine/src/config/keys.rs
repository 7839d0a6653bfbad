//! The table of keys: everything that `config.toml` can say, and who listens.

use std::ops::Range;
use std::path::{Path, PathBuf};

use corten_images::registry::ShortNames;
use corten_images::registry::settings::{HostPattern, Mirror, Place, Rewrite};
use corten_model::Invalid;
use corten_model::detach_keys::{self, Keys};
use corten_model::idmap::DEFAULT_RANGE;
use corten_model::ulimit::{UNLIMITED, Ulimit};

use super::{Config, Shape, Value};
use crate::image::push::compression;

/// One key.
#[derive(Clone, Copy)]
pub struct Key {
    /// `log.max_size`.
    pub name: &'static str,
    /// What values it takes.
    pub shape: Shape,
    /// What it is for: a sentence without its full stop.
    pub about: &'static str,
    /// Who uses it, and when.
    pub used_by: &'static str,
    /// Puts a value of this shape into the configuration.
    pub(super) set: fn(&mut Config, Value),
    /// The value that a configuration has.
    pub get: fn(&Config) -> Value,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const ABSOLUTE_PATH: Shape = Shape::Text { form: "an absolute path", check: absolute_path };

const HOSTS: Shape = Shape::List {
    form: "HOST[:PORT], *.DOMAIN or NETWORK/BITS",
    check: |text| text.parse::<HostPattern>().map(drop),
};
const PROXY: Shape = Shape::Text { form: "http://[USER:PASSWORD@]HOST:PORT", check: proxy };

/// Every key, in the order in which `config show` lists them.
pub const KEYS: &[Key] = &[
    Key {
        name: "root",
        shape: ABSOLUTE_PATH,
        about: "Where images, volumes and containers are kept; empty is the usual place",
        used_by: "every command that opens the store; `--root` and CORTEN_ROOT go before it",
        set: |config, value| config.root = path(value),
        get: |config| path_value(config.root.as_deref()),
    },
    Key {
        name: "run_root",
        shape: ABSOLUTE_PATH,
        about: "Where sockets and locks are kept, on a tmpfs; empty is the usual place",
        used_by: "every command that opens the store; `--run-root` and CORTEN_RUN_ROOT go before it",
        set: |config, value| config.run_root = path(value),
        get: |config| path_value(config.run_root.as_deref()),
    },
    Key {
        name: "detach_keys",
        shape: Shape::Text { form: "keys between commas, such as ctrl-p,ctrl-q", check: keys },
        about: "The keys that leave a container without ending it",
        used_by: "run, start, attach and exec with a terminal; `--detach-keys` goes before it",
        set: |config, value| config.detach_keys = detach_keys::parse(&value.text()).unwrap_or_default(),
        get: |config| Value::Text(config.detach_keys.to_string()),
    },
    Key {
        name: "log.max_size",
        shape: Shape::Size { min: 4 << 10, max: 1 << 40 },
        about: "How large one file of a container's log grows before the next is begun",
        used_by: "the container's keeper, from the next start on",
        set: |config, value| config.log.file_bytes = value.size(),
        get: |config| Value::Size(config.log.file_bytes),
    },
    Key {
        name: "log.max_files",
        shape: Shape::Number { min: 1, max: 1000 },
        about: "How many files of a container's log are kept, the newest included",
        used_by: "the container's keeper, from the next start on",
        set: |config, value| config.log.files = value.number() as u32,
        get: |config| Value::Number(config.log.files.into()),
    },
    Key {
        name: "container.shm_size",
        shape: Shape::Size { min: 4 << 10, max: 1 << 50 },
        about: "Size of /dev/shm",
        used_by: "run and create; `--shm-size` goes before it",
        set: |config, value| config.container.shm_size_bytes = value.size(),
        get: |config| Value::Size(config.container.shm_size_bytes),
    },
    Key {
        name: "container.stop_timeout",
        shape: Shape::Number { min: -1, max: 1_000_000 },
        about: "Seconds between the stop signal and the kill; -1 waits for ever",
        used_by: "stop; `--stop-timeout` of the container and `--timeout` of the command go before it",
        set: |config, value| config.container.stop_timeout_s = value.number(),
        get: |config| Value::Number(config.container.stop_timeout_s),
    },
    Key {
        name: "container.pids_limit",
        shape: Shape::Number { min: 0, max: 4_194_304 },
        about: "Limit of processes and threads; 0 is none",
        used_by: "run and create; `--pids-limit` goes before it",
        set: |config, value| config.container.pids_limit = value.number(),
        get: |config| Value::Number(config.container.pids_limit),
    },
    Key {
        name: "container.ulimits",
        shape: Shape::List { form: "NAME=SOFT[:HARD]", check: |text| text.parse::<Ulimit>().map(drop) },
        about: "Resource limits of processes",
        used_by: "run and create; a `--ulimit` of the same name goes before it",
        set: |config, value| {
            config.container.ulimits = value.list().iter().filter_map(|text| text.parse().ok()).collect();
        },
        get: |config| Value::List(config.container.ulimits.iter().map(ulimit).collect()),
    },
    Key {
        name: "container.env",
        shape: Shape::List { form: "KEY=VALUE", check: variable },
        about: "Environment variables, for example of a proxy",
        used_by: "run and create; a `--env` of the same name goes before it",
        set: |config, value| config.container.env = value.list(),
        get: |config| Value::List(config.container.env.clone()),
    },
    Key {
        name: "container.seccomp_profile",
        shape: ABSOLUTE_PATH,
        about: "The seccomp profile, in Docker's JSON format; empty is the built-in one",
        used_by: "every start and exec; `--security-opt seccomp=…` and `--privileged` go before it",
        set: |config, value| config.container.seccomp_profile = path(value),
        get: |config| path_value(config.container.seccomp_profile.as_deref()),
    },
    Key {
        name: "container.no_new_privileges",
        shape: Shape::Flag,
        about: "Whether set-uid programs and file capabilities give no powers",
        used_by: "run and create; `--security-opt no-new-privileges=…` goes before it",
        set: |config, value| config.container.no_new_privileges = value.flag(),
        get: |config| Value::Flag(config.container.no_new_privileges),
    },
    Key {
        name: "container.init",
        shape: Shape::Flag,
        about: "Whether an init forwards signals and reaps processes in containers",
        used_by: "run and create; `--init` and `--init=false` go before it",
        set: |config, value| config.container.init = value.flag(),
        get: |config| Value::Flag(config.container.init),
    },
    Key {
        name: "events.max_count",
        shape: Shape::Number { min: 100, max: 100_000_000 },
        about: "How many events are kept, the newest ones",
        used_by: "whoever folds the database's log, which happens every few hundred events",
        set: |config, value| config.events_max = value.number() as u32,
        get: |config| Value::Number(config.events_max.into()),
    },
    Key {
        name: "gc.automatic",
        shape: Shape::Flag,
        about: "Whether what nobody uses is collected in the background; if not, `rmi` and the prune commands do it",
        used_by: "every command, at its end, after which something may be left over",
        set: |config, value| config.gc.automatic = value.flag(),
        get: |config| Value::Flag(config.gc.automatic),
    },
    Key {
        name: "gc.every_days",
        shape: Shape::Number { min: 0, max: 3650 },
        about: "After how many days what nobody uses is looked for although no command left anything; 0 is never",
        used_by: "every command that opens the database, at its end; `gc.automatic = false` goes before it",
        set: |config, value| config.gc.every_days = value.number() as u32,
        get: |config| Value::Number(config.gc.every_days.into()),
    },
    Key {
        name: "gc.unnamed_days",
        shape: Shape::Number { min: 0, max: 3650 },
        about: "How many days an image stays after its last name and its last container went",
        used_by: "the collection that finds it so first; `image prune` and `rmi` don't wait",
        set: |config, value| config.gc.unnamed_days = value.number() as u32,
        get: |config| Value::Number(config.gc.unnamed_days.into()),
    },
    Key {
        name: "layers.max_entries",
        shape: Shape::Number { min: 1, max: 1_000_000_000 },
        about: "How many files and directories one layer may have",
        used_by: "whatever unpacks a layer",
        set: |config, value| config.layers.entries = value.number() as u64,
        get: |config| Value::Number(config.layers.entries as i64),
    },
    Key {
        name: "layers.max_size",
        shape: Shape::Size { min: 1 << 20, max: 1 << 50 },
        about: "How large the files of one layer may be together, the holes of sparse ones included",
        used_by: "whatever unpacks a layer",
        set: |config, value| config.layers.content_bytes = value.size(),
        get: |config| Value::Size(config.layers.content_bytes),
    },
    Key {
        name: "layers.max_archive_size",
        shape: Shape::Size { min: 1 << 20, max: 1 << 50 },
        about: "How large the uncompressed archive of one layer may be",
        used_by: "whatever unpacks a layer",
        set: |config, value| config.layers.stream_bytes = value.size(),
        get: |config| Value::Size(config.layers.stream_bytes),
    },
    Key {
        name: "layers.max_depth",
        shape: Shape::Number { min: 1, max: 2048 },
        about: "How many directories deep a layer may go",
        used_by: "whatever unpacks a layer",
        set: |config, value| config.layers.depth = value.number() as u32,
        get: |config| Value::Number(config.layers.depth.into()),
    },
    Key {
        name: "layers.max_ratio",
        shape: Shape::Number { min: 10, max: 1_000_000_000 },
        about: "How many bytes may come out of one compressed byte, beyond `layers.free_expansion`; zeros come to 1,030 with gzip",
        used_by: "load, import and pull",
        set: |config, value| config.layers.expansion.ratio = value.number() as u64,
        get: |config| Value::Number(config.layers.expansion.ratio as i64),
    },
    Key {
        name: "layers.free_expansion",
        shape: Shape::Size { min: 1 << 20, max: 1 << 50 },
        about: "How many bytes may come out of a compressed stream before `layers.max_ratio` is asked",
        used_by: "load, import and pull",
        set: |config, value| config.layers.expansion.free_bytes = value.size(),
        get: |config| Value::Size(config.layers.expansion.free_bytes),
    },
    Key {
        name: "layers.max_window",
        shape: Shape::Size { min: 8 << 20, max: 2 << 30 },
        about: "How much memory zstd and xz may take to unpack a stream: `zstd --long` and `xz -9` want 128m, `zstd --ultra --long=31` 2g",
        used_by: "load, import and pull; zstd's is a power of two",
        set: |config, value| config.layers.expansion.window_bytes = value.size(),
        get: |config| Value::Size(config.layers.expansion.window_bytes),
    },
    Key {
        name: "pull.max_downloads",
        shape: Shape::Number { min: 1, max: 32 },
        about: "How many layers of an image are downloaded at the same time",
        used_by: "pull, and run and create of images that aren't here",
        set: |config, value| config.pull.downloads = value.number() as u32,
        get: |config| Value::Number(config.pull.downloads.into()),
    },
    Key {
        name: "pull.keep_blobs",
        shape: Shape::Flag,
        about: "Whether compressed layers are kept beside the unpacked ones, as the registry gave them",
        used_by: "pull; layers of images that are pulled by digest are always kept",
        set: |config, value| config.pull.keep_blobs = value.flag(),
        get: |config| Value::Flag(config.pull.keep_blobs),
    },
    Key {
        name: "registries.short_names",
        shape: Shape::Text {
            form: "docker or full-only",
            check: |text| text.parse::<ShortNames>().map(drop),
        },
        about: "What a name without a registry means: an image of Docker Hub, or nothing",
        used_by: "whatever talks to registries",
        set: |config, value| config.registries.short_names = value.text().parse().unwrap_or_default(),
        get: |config| Value::Text(config.registries.short_names.to_string()),
    },
    Key {
        name: "registries.blocked",
        shape: Shape::List { form: "HOST[:PORT][/PATH]", check: |text| text.parse::<Place>().map(drop) },
        about: "Registries, or parts of them, that nothing is asked of; *.DOMAIN is every host below one",
        used_by: "whatever talks to registries",
        set: |config, value| config.registries.blocked = each(value),
        get: |config| words(&config.registries.blocked),
    },
    Key {
        name: "registries.mirrors",
        shape: Shape::List {
            form: "REGISTRY[/PATH]=ADDRESS[/PATH]",
            check: |text| text.parse::<Mirror>().map(drop),
        },
        about: "Who is asked for images before their registry, in this order",
        used_by: "pull, and what else only reads",
        set: |config, value| config.registries.mirrors = each(value),
        get: |config| words(&config.registries.mirrors),
    },
    Key {
        name: "registries.rewrites",
        shape: Shape::List {
            form: "REGISTRY[/PATH]=OTHER[/PATH]",
            check: |text| text.parse::<Rewrite>().map(drop),
        },
        about: "Repositories that are somewhere else than their names say",
        used_by: "whatever talks to registries",
        set: |config, value| config.registries.rewrites = each(value),
        get: |config| words(&config.registries.rewrites),
    },
    Key {
        name: "registries.insecure",
        shape: HOSTS,
        about: "Registries whose certificates aren't verified, and which may speak plain HTTP",
        used_by: "whatever talks to registries; those of this machine always may",
        set: |config, value| config.registries.insecure = each(value),
        get: |config| words(&config.registries.insecure),
    },
    Key {
        name: "registries.plain_http",
        shape: HOSTS,
        about: "Registries that speak plain HTTP and nothing else",
        used_by: "whatever talks to registries",
        set: |config, value| config.registries.plain_http = each(value),
        get: |config| words(&config.registries.plain_http),
    },
    Key {
        name: "registries.http_proxy",
        shape: PROXY,
        about: "The proxy of registries that speak plain HTTP",
        used_by: "whatever talks to registries; it goes before HTTP_PROXY",
        set: |config, value| {
            config.registries.proxies.http = Some(value.text()).filter(|text| !text.is_empty())
        },
        get: |config| Value::Text(config.registries.proxies.http.clone().unwrap_or_default()),
    },
    Key {
        name: "registries.https_proxy",
        shape: PROXY,
        about: "The proxy of all other registries",
        used_by: "whatever talks to registries; it goes before HTTPS_PROXY",
        set: |config, value| {
            config.registries.proxies.https = Some(value.text()).filter(|text| !text.is_empty())
        },
        get: |config| Value::Text(config.registries.proxies.https.clone().unwrap_or_default()),
    },
    Key {
        name: "registries.no_proxy",
        shape: HOSTS,
        about: "Hosts, and the hosts below them, that are talked to without a proxy",
        used_by: "whatever talks to registries; it goes before NO_PROXY",
        set: |config, value| config.registries.proxies.except = value.list(),
        get: |config| Value::List(config.registries.proxies.except.clone()),
    },
    Key {
        name: "push.max_uploads",
        shape: Shape::Number { min: 1, max: 32 },
        about: "How many layers of an image are uploaded at the same time",
        used_by: "push",
        set: |config, value| config.push.uploads = value.number() as u32,
        get: |config| Value::Number(config.push.uploads.into()),
    },
    Key {
        name: "push.compression",
        shape: Shape::Text { form: "gzip or zstd", check: |text| compression(text).map(drop) },
        about: "What layers are compressed with that no registry has given or taken yet",
        used_by: "push",
        set: |config, value| config.push.compression = compression(&value.text()).unwrap_or_default(),
        get: |config| {
            let zstd = config.push.compression == corten_storage::Compression::Zstd;
            Value::Text(if zstd { "zstd" } else { "gzip" }.into())
        },
    },
    Key {
        name: "userns.range",
        shape: Shape::Text { form: "FIRST-LAST", check: |text| ids(text).map(drop) },
        about: "The host ids that root's containers get ranges of, 65,536 each; an ordinary user's come from /etc/subuid",
        used_by: "every start as root",
        set: |config, value| config.userns_range = ids(&value.text()).unwrap_or_default(),
        get: |config| {
            let Range { start, end } = &config.userns_range;
            Value::Text(format!("{start}-{}", end.saturating_sub(1)))
        },
    },
];

/// Every word of a list that was checked.
fn each<T: std::str::FromStr>(value: Value) -> Vec<T> {
    value.list().iter().filter_map(|text| text.parse().ok()).collect()
}

fn words<T: ToString>(values: &[T]) -> Value {
    Value::List(values.iter().map(T::to_string).collect())
}

fn proxy(text: &str) -> Result<(), Invalid> {
    if text.is_empty() || text.starts_with("http://") || text.starts_with("https://") {
        return Ok(());
    }
    Err(Invalid::new("proxy", "***", "its address begins with `http://` or `https://`"))
}

fn path(value: Value) -> Option<PathBuf> {
    Some(value.text()).filter(|text| !text.is_empty()).map(PathBuf::from)
}

fn path_value(path: Option<&Path>) -> Value {
    Value::Text(path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default())
}

fn absolute_path(text: &str) -> Result<(), Invalid> {
    if text.is_empty() || text.starts_with('/') {
        return Ok(());
    }
    Err(Invalid::new("path", text, "it does not begin with `/`"))
}

fn keys(text: &str) -> Result<(), Invalid> {
    detach_keys::parse(text).map(|_: Keys| ())
}

fn variable(text: &str) -> Result<(), Invalid> {
    match text.split_once('=') {
        Some((name, _)) if !name.is_empty() => Ok(()),
        _ => Err(Invalid::new("environment variable", text, "it is written `KEY=VALUE`")),
    }
}

fn ulimit(limit: &Ulimit) -> String {
    let number = |value: u64| if value == UNLIMITED { "unlimited".into() } else { value.to_string() };
    format!("{}={}:{}", limit.name, number(limit.soft), number(limit.hard))
}

/// `FIRST-LAST`: room for one container at least, and none of the ids that mean "nobody" to the kernel.
fn ids(text: &str) -> Result<Range<u32>, Invalid> {
    let bad = |why: &str| Invalid::new("range of ids", text, why).hint("for example `1879048192-2147352575`");
    let (first, last) = text.split_once('-').ok_or_else(|| bad("it is written `FIRST-LAST`"))?;
    let number = |text: &str| text.parse::<u32>().map_err(|_| bad("an id is a number below 4294967295"));
    let (first, last) = (number(first)?, number(last)?);
    if last == u32::MAX || first < DEFAULT_RANGE {
        return Err(bad("ids of users of this machine, or the kernel's word for nobody, are in it"));
    }
    if last < first || last - first < DEFAULT_RANGE - 1 {
        return Err(bad("a container needs 65536 ids"));
    }
    Ok(first..last + 1)
}
