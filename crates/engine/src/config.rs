//! Configuration: which keys there are, what files say of them, and where each value comes from.
//!
//! [`KEYS`] is the one table. Whoever uses a setting reads a field of [`Config`]; a key that nobody uses isn't in the
//! table, and one that isn't in the table is an error in the file. Where the files are is the caller's to know.
//!
//! ```text
//! value.rs    shapes of values          file.rs     one file → settings and what is wrong in it
//! keys.rs     the table                 edit.rs     set and unset, comments kept
//! docker.rs   what Docker's daemon.json means here
//! ```

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use corten_model::detach_keys::Keys;
use corten_model::ulimit::Ulimit;
use corten_model::{Kind, suggest};

use crate::keeper::protocol::LogLimits;

mod docker;
mod edit;
mod file;
mod keys;
mod value;

pub use docker::{Imported, import};
pub use edit::{set, unset};
pub use keys::{KEYS, Key};
pub use value::{Shape, Value};

/// Every setting, as its users need it.
#[derive(Debug, Clone)]
pub struct Config {
    /// `root`; absent: the usual place.
    pub root: Option<PathBuf>,
    /// `run_root`; absent: the usual place.
    pub run_root: Option<PathBuf>,
    /// `detach_keys`.
    pub detach_keys: Keys,
    /// `log.…`.
    pub log: LogLimits,
    /// `container.…`.
    pub container: ContainerDefaults,
    /// `gc.…`.
    pub gc: Collection,
    /// `events.max_count`.
    pub events_max: u32,
    /// `layers.…`.
    pub layers: corten_storage::Limits,
    /// `pull.…`.
    pub pull: PullDefaults,
    /// `registries.…`.
    pub registries: corten_images::registry::Settings,
    /// `push.…`.
    pub push: PushDefaults,
    /// `userns.range`: the host ids that containers of root get ranges of.
    pub userns_range: Range<u32>,
}

/// How images are pushed.
#[derive(Debug, Clone)]
pub struct PushDefaults {
    /// `push.max_uploads`.
    pub uploads: u32,
    /// `push.compression`.
    pub compression: corten_storage::Compression,
}

/// How images are pulled.
#[derive(Debug, Clone)]
pub struct PullDefaults {
    /// `pull.max_downloads`.
    pub downloads: u32,
    /// `pull.keep_blobs`.
    pub keep_blobs: bool,
}

/// What a container gets that doesn't say otherwise.
#[derive(Debug, Clone)]
pub struct ContainerDefaults {
    /// `container.shm_size`.
    pub shm_size_bytes: u64,
    /// `container.stop_timeout`; negative waits for ever.
    pub stop_timeout_s: i64,
    /// `container.pids_limit`; 0 is none.
    pub pids_limit: i64,
    /// `container.ulimits`.
    pub ulimits: Vec<Ulimit>,
    /// `container.env`.
    pub env: Vec<String>,
    /// `container.seccomp_profile`; absent: the built-in one.
    pub seccomp_profile: Option<PathBuf>,
    /// `container.no_new_privileges`.
    pub no_new_privileges: bool,
    /// `container.init`.
    pub init: bool,
}

/// When what nobody uses goes by itself.
#[derive(Debug, Clone, Copy)]
pub struct Collection {
    /// `gc.automatic`.
    pub automatic: bool,
    /// `gc.every_days`; 0 is never.
    pub every_days: u32,
    /// `gc.unnamed_days`.
    pub unnamed_days: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            root: None,
            run_root: None,
            detach_keys: Keys::default(),
            log: LogLimits::default(),
            container: ContainerDefaults {
                shm_size_bytes: corten_model::container::SHM_SIZE_BYTES,
                stop_timeout_s: corten_model::container::STOP_TIMEOUT.as_secs() as i64,
                pids_limit: 0,
                ulimits: Vec::new(),
                env: Vec::new(),
                seccomp_profile: None,
                no_new_privileges: false,
                init: false,
            },
            gc: Collection { automatic: true, every_days: 7, unnamed_days: 7 },
            events_max: 10_000,
            layers: corten_storage::Limits::default(),
            push: PushDefaults { uploads: 5, compression: corten_storage::Compression::Gzip },
            pull: PullDefaults { downloads: 3, keep_blobs: false },
            registries: corten_images::registry::Settings::default(),
            userns_range: crate::db::sandboxes::POOL,
        }
    }
}

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The file.
    pub file: PathBuf,
    /// Somebody named the file: that it isn't there is an error. Else it says nothing.
    pub must_exist: bool,
    /// The directory of further ones, `*.toml` in the order of their names: the last that has a key counts.
    pub drop_ins: Option<PathBuf>,
}

impl Places {
    /// `config.toml` and `config.d` in a directory.
    pub fn of_directory(dir: &Path) -> Self {
        Self { file: dir.join("config.toml"), must_exist: false, drop_ins: Some(dir.join("config.d")) }
    }

    /// One file, which somebody named.
    pub fn of_file(file: PathBuf) -> Self {
        Self { file, must_exist: true, drop_ins: None }
    }
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// A key that a file has.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Which.
    pub key: &'static Key,
    /// Its value there.
    pub value: Value,
    /// Where.
    pub place: Place,
}

/// Why a file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file or the directory can't be read, or not be written.
    #[error("{what} `{}`", .path.display())]
    File {
        /// What was to be done.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It isn't TOML.
    #[error("{place}: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser says.
        message: String,
    },
    /// No such key.
    #[error("{}unknown configuration key `{key}`", at(.place))]
    UnknownKey {
        /// Where, if it stands in a file.
        place: Option<Place>,
        /// What stands there.
        key: String,
        /// The known key that is nearest to it.
        nearest: Option<&'static str>,
    },
    /// A value that the key doesn't take.
    #[error("{}`{key}`: {why}", at(.place))]
    Value {
        /// Where, if it stands in a file.
        place: Option<Place>,
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Docker's file isn't what it should be.
    #[error("`{}` is not Docker's daemon.json", .path.display())]
    NotDockers {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

fn at(place: &Option<Place>) -> String {
    place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default()
}

impl Error {
    /// What a caller can do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Error::File { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => Kind::NotFound,
                std::io::ErrorKind::PermissionDenied => Kind::Denied,
                _ => Kind::Internal,
            },
            _ => Kind::Invalid,
        }
    }

    /// What to do instead.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::UnknownKey { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Error::UnknownKey { .. } => Some("`corten config show` lists the keys".into()),
            Error::Value { key, .. } => Some(format!("see `corten config explain {key}`")),
            _ => None,
        }
    }
}

/// What all files together say.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Every key that a file has, in the order of reading: the last of a key counts.
    pub settings: Vec<Setting>,
    /// What is wrong.
    pub problems: Vec<Error>,
}

impl Loaded {
    /// The setting that counts, if any file has the key.
    pub fn setting(&self, key: &Key) -> Option<&Setting> {
        self.settings.iter().rev().find(|setting| setting.key.name == key.name)
    }

    /// The settings together with the defaults.
    pub fn config(&self) -> Config {
        let mut config = Config::default();
        for setting in &self.settings {
            (setting.key.set)(&mut config, setting.value.clone());
        }
        config
    }
}

/// Reads every file, and goes on after what is wrong.
pub fn load(places: &Places) -> Loaded {
    let mut loaded = Loaded::default();
    if !file::read_into(&places.file, &mut loaded) && places.must_exist {
        let (path, source) = (places.file.clone(), rustix::io::Errno::NOENT.into());
        loaded.problems.push(Error::File { what: "read the configuration", path, source });
    }
    if let Some(dir) = &places.drop_ins {
        for path in file::drop_ins(dir, &mut loaded) {
            file::read_into(&path, &mut loaded);
        }
    }
    loaded
}

/// The configuration, read when it is first asked for; its clones share what was read.
#[derive(Debug, Clone)]
pub struct Settings {
    places: Option<Places>,
    config: Arc<OnceLock<Config>>,
}

impl Settings {
    /// Those of files.
    pub fn at(places: Places) -> Self {
        Self { places: Some(places), config: Arc::default() }
    }

    /// Those of nobody's files: a user without a home has none.
    pub fn without_files() -> Self {
        Self { places: None, config: Arc::default() }
    }

    /// Those of a file that somebody named, or of the directory of the usual ones: as [`Settings::path`] has it.
    pub fn of_path(path: PathBuf) -> Self {
        Self::at(if path.is_dir() { Places::of_directory(&path) } else { Places::of_file(path) })
    }

    /// What [`Settings::of_path`] makes the same settings of in another process.
    pub fn path(&self) -> Option<&Path> {
        let places = self.places.as_ref()?;
        if places.must_exist { Some(&places.file) } else { places.file.parent().filter(|dir| dir.is_dir()) }
    }

    /// Where the files are.
    pub fn places(&self) -> Option<&Places> {
        self.places.as_ref()
    }

    /// All of them; the first thing that is wrong in a file is the error.
    pub fn config(&self) -> Result<&Config, Error> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let mut loaded = self.places.as_ref().map(load).unwrap_or_default();
        if !loaded.problems.is_empty() {
            return Err(loaded.problems.swap_remove(0));
        }
        Ok(self.config.get_or_init(|| loaded.config()))
    }
}

/// The key with this name; an error that names the nearest one.
pub fn key(name: &str) -> Result<&'static Key, Error> {
    KEYS.iter().find(|key| key.name == name).ok_or_else(|| unknown(name.to_owned(), None))
}

fn unknown(key: String, place: Option<Place>) -> Error {
    let names = || KEYS.iter().map(|key| key.name);
    // People also forget the table: `max_size`.
    let in_table = || names().find(|name| name.rsplit('.').next() == Some(key.as_str()));
    let nearest = suggest::nearest(&key, names()).or_else(in_table);
    Error::UnknownKey { place, nearest, key }
}

#[cfg(test)]
mod tests;
