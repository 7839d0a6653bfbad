//! The errors at the engine's door.

use std::path::PathBuf;

use corten_model::platform::Platform;
use corten_model::{Invalid, Kind};

use crate::{attach, call, db};

/// What the engine returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Any error of the engine. Its text names the operation and the object; the cause is its source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value can't be used.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// An object that isn't there.
    #[error("no such {what}: `{name}`")]
    NoSuch {
        /// `container`, `image`, `volume`.
        what: &'static str,
        /// What was typed.
        name: String,
    },
    /// A prefix that several objects have.
    #[error("multiple {what} IDs found with provided prefix `{prefix}`: {}", several(.matches))]
    Ambiguous {
        /// `container`, `image`.
        what: &'static str,
        /// What was typed.
        prefix: String,
        /// What it can mean, id and name, [`MATCHES_MAX`] at most.
        matches: Vec<String>,
    },
    /// A name that another container has.
    #[error("the name `{name}` is in use by container {by}")]
    NameInUse {
        /// The name.
        name: String,
        /// The other container's short id.
        by: String,
    },
    /// The container's state forbids it.
    #[error("container `{name}` is {state}")]
    State {
        /// The container.
        name: String,
        /// `not running`, `running`.
        state: &'static str,
    },
    /// Containers use it.
    #[error("{what} `{name}` is in use by container `{by}`")]
    InUse {
        /// `image`, `volume`.
        what: &'static str,
        /// The object.
        name: String,
        /// One of its users.
        by: String,
    },
    /// It takes more along than was named.
    #[error("{what}")]
    NeedsForce {
        /// What it takes along.
        what: &'static str,
    },
    /// Several names.
    #[error("image `{id}` has several names: {names}")]
    SeveralNames {
        /// The image.
        id: String,
        /// Its names.
        names: String,
    },
    /// The name is there, for other platforms.
    #[error("image `{name}` is there, but not for {wanted}")]
    NotForPlatform {
        /// What was typed.
        name: String,
        /// What was asked for.
        wanted: Platform,
    },
    /// gc was there while the work took longer than its lease.
    #[error("it took longer than a day, and what was made of it is gone")]
    LeaseExpired,
    /// No command in the image and none given.
    #[error("no command is given and image `{0}` has none")]
    NoCommand(String),
    /// All ranges of ids are in use by running containers.
    #[error("no {0} free host ids are left for the container's user namespace")]
    NoIds(u32),
    /// A file or directory.
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
    /// A seccomp profile of the user's.
    #[error("the seccomp profile `{}` can't be used", .path.display())]
    Profile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: corten_runtime::seccomp::Error,
    },
    /// Two things that were asked for exclude each other.
    #[error("conflicting options: {what} and {with}")]
    Conflict {
        /// The one.
        what: &'static str,
        /// The other.
        with: &'static str,
    },
    /// Nobody keeps what the container writes.
    #[error("configured logging driver does not support reading")]
    NoLog,
    /// Random bytes for an id.
    #[error("read random bytes")]
    Random(#[source] rustix::io::Errno),
    /// What was asked for isn't built for this situation.
    #[error("{what} is not supported {when}")]
    Unsupported {
        /// The feature.
        what: String,
        /// The situation.
        when: &'static str,
    },
    /// The configuration.
    #[error(transparent)]
    Config(#[from] crate::config::Error),
    /// The database.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// The store.
    #[error(transparent)]
    Storage(#[from] corten_storage::Error),
    /// Images.
    #[error(transparent)]
    Images(#[from] corten_images::Error),
    /// A pull or push.
    #[error(transparent)]
    Transfer(#[from] corten_images::TransferError),
    /// Cgroups.
    #[error(transparent)]
    Cgroup(#[from] corten_runtime::cgroup::Error),
    /// The keeper.
    #[error(transparent)]
    Keeper(#[from] call::Error),
    /// A session.
    #[error(transparent)]
    Session(#[from] attach::Error),
    /// The user namespace of an ordinary user's commands.
    #[error(transparent)]
    Inside(#[from] crate::inside::Error),
    /// What is known of a container can't be read.
    #[error("container `{name}` is broken")]
    Broken {
        /// The container.
        name: String,
        /// What can't be read.
        #[source]
        source: Box<Error>,
    },
    /// An operation on an object, and why it failed.
    #[error("cannot {doing} `{name}`")]
    Cannot {
        /// `start container`.
        doing: &'static str,
        /// The object as it was typed.
        name: String,
        /// Why.
        #[source]
        source: Box<Error>,
    },
}

/// How many of the objects that a prefix can mean are looked up; all but the last are told.
pub const MATCHES_MAX: usize = 6;

fn several(matches: &[String]) -> String {
    match matches.len() {
        ..MATCHES_MAX => matches.join(", "),
        _ => format!("{} and others", matches[..MATCHES_MAX - 1].join(", ")),
    }
}

impl From<corten_images::registry::Error> for Error {
    fn from(error: corten_images::registry::Error) -> Self {
        corten_images::TransferError::from(error).into()
    }
}

impl Error {
    /// What a caller can do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Error::Invalid(_) | Error::NoCommand(_) | Error::Conflict { .. } => Kind::Invalid,
            Error::NoSuch { .. } | Error::NotForPlatform { .. } => Kind::NotFound,
            Error::Ambiguous { .. }
            | Error::NameInUse { .. }
            | Error::State { .. }
            | Error::InUse { .. }
            | Error::NeedsForce { .. }
            | Error::SeveralNames { .. } => Kind::Conflict,
            Error::NoIds(_) | Error::LeaseExpired => Kind::Unavailable,
            Error::File { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => Kind::NotFound,
                std::io::ErrorKind::PermissionDenied => Kind::Denied,
                std::io::ErrorKind::StorageFull => Kind::Unavailable,
                _ => Kind::Internal,
            },
            Error::Profile { source, .. } => source.kind(),
            Error::Random(_) => Kind::Internal,
            Error::Unsupported { .. } | Error::NoLog => Kind::Unsupported,
            Error::Config(e) => e.kind(),
            Error::Database(e) => e.kind(),
            Error::Storage(e) => e.kind(),
            Error::Images(e) => e.kind(),
            Error::Transfer(e) => e.kind(),
            Error::Cgroup(e) => e.kind(),
            Error::Keeper(e) => e.kind(),
            Error::Session(_) => Kind::Internal,
            Error::Inside(e) => e.kind(),
            Error::Cannot { source, .. } | Error::Broken { source, .. } => source.kind(),
        }
    }

    /// What to try instead.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Invalid(e) => e.hint.clone(),
            Error::NoSuch { what: "image", name } => Some(format!(
                "`corten pull {name}` brings it from its registry, `corten load` from an archive; `corten run hello` needs none"
            )),
            Error::NoSuch { what: "container", .. } => Some("`corten ps -a` lists them".into()),
            Error::NoSuch { what: "user", .. } => Some("/etc/passwd lists them".into()),
            Error::NoSuch { .. } => Some("`corten volume ls` lists them".into()),
            Error::Ambiguous { .. } => Some("type more digits, or the name".into()),
            Error::NameInUse { name, .. } => {
                Some(format!("remove it (`corten rm {name}`) or choose another `--name`"))
            }
            Error::State { state: "running", .. } => Some("stop it first, or use `-f`".into()),
            Error::State { name, .. } => Some(format!("`corten start {name}` starts it")),
            Error::InUse { .. } => Some("remove the container first".into()),
            Error::NeedsForce { .. } => Some("use `-f` to do it all the same".into()),
            Error::SeveralNames { .. } => Some("use `-f` to remove all of them".into()),
            Error::NotForPlatform { .. } => Some("`corten images --tree` shows the platforms".into()),
            Error::NoCommand(_) => Some("write the command after the image".into()),
            Error::NoIds(_) => Some("stop some containers, or use `--userns=host`".into()),
            Error::File { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("the disk is full: free some space".into())
            }
            Error::LeaseExpired => Some("do it once more, from a source that is faster".into()),
            Error::NoLog => Some("its `--log-driver` is `none`".into()),
            Error::File { .. }
            | Error::Random(_)
            | Error::Unsupported { .. }
            | Error::Conflict { .. }
            | Error::Session(_) => None,
            Error::Config(e) => e.hint(),
            Error::Database(e) => e.hint(),
            Error::Storage(e) => e.hint(),
            Error::Images(e) => e.hint(),
            Error::Transfer(e) => e.hint(),
            Error::Profile { source, .. } => source.hint(),
            Error::Cgroup(e) => e.hint(),
            Error::Keeper(e) => e.hint(),
            Error::Inside(e) => e.hint(),
            Error::Cannot { source, .. } => source.hint(),
            Error::Broken { source, .. } if source.is_disk_full() => source.hint(),
            Error::Broken { name, .. } => Some(format!(
                "`corten system check --repair` sets aside what can't be read, `corten rm -f {name}` removes the container"
            )),
        }
    }

    /// Whether an image isn't here, or not for the platform that was asked for: a pull may help.
    pub fn is_missing_image(&self) -> bool {
        match self {
            Error::NoSuch { what, .. } => *what == "image",
            Error::NotForPlatform { .. } => true,
            Error::Cannot { source, .. } => source.is_missing_image(),
            _ => false,
        }
    }

    /// Whether the trouble is one container's, so that all others can be looked at. What can't be folded for want of
    /// room is folded later.
    pub(crate) fn is_of_one_container(&self) -> bool {
        match self {
            Error::Database(e) => e.is_of_one_row() || e.is_disk_full(),
            Error::Cannot { source, .. } | Error::Broken { source, .. } => source.is_of_one_container(),
            _ => true,
        }
    }

    /// Whether what is known of the container can't be read; making room doesn't help.
    pub(crate) fn is_broken(&self) -> bool {
        match self {
            Error::Database(e) => e.is_of_one_row(),
            Error::Broken { source, .. } => !source.is_disk_full(),
            Error::Cannot { source, .. } => source.is_broken(),
            _ => false,
        }
    }

    fn is_disk_full(&self) -> bool {
        match self {
            Error::Database(e) => e.is_disk_full(),
            Error::File { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
            Error::Cannot { source, .. } | Error::Broken { source, .. } => source.is_disk_full(),
            _ => false,
        }
    }

    /// The error and its causes in one line.
    pub(crate) fn told(&self) -> String {
        let mut told = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            told.push_str(": ");
            told.push_str(&error.to_string());
            cause = error.source();
        }
        told
    }

    /// The exit code of `run`, `create`, `start` and `exec`: 125 is ours, 126 and 127 the command's.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Keeper(e) => e.exit_code(),
            Error::Cannot { source, .. } => source.exit_code(),
            _ => 125,
        }
    }
}

/// Says what was being done to which object when it failed.
pub(crate) trait Doing<T> {
    /// `cannot {doing} {name}`, caused by the error.
    fn doing(self, doing: &'static str, name: &str) -> Result<T>;
}

impl<T, E: Into<Error>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, doing: &'static str, name: &str) -> Result<T> {
        self.map_err(|e| Error::Cannot { doing, name: name.to_owned(), source: Box::new(e.into()) })
    }
}

/// Names the file of an I/O error.
pub(crate) trait OnFile<T> {
    /// `{what} {path}`, caused by the error.
    fn on(self, what: &'static str, path: &std::path::Path) -> Result<T>;
}

impl<T> OnFile<T> for std::io::Result<T> {
    fn on(self, what: &'static str, path: &std::path::Path) -> Result<T> {
        self.map_err(|source| Error::File { what, path: path.to_owned(), source })
    }
}
