//! Everything that can go wrong with bytes on disk, and what a caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

use corten_model::{Digest, Kind};

use crate::tar::TarError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One step on one path failed.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// The step, as a verb.
        doing: &'static str,
        /// The object.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// What is set aside can't be read or written.
    #[error("cannot set bytes aside in the store")]
    Spool(#[source] io::Error),
    /// The file system of the store is too full.
    #[error("the store's file system has {free} bytes free, {needed} are needed")]
    NoSpace {
        /// Bytes that there must be.
        needed: u64,
        /// Bytes that there are.
        free: u64,
    },
    /// The store was made by a newer Corten.
    #[error("the store `{}` has format {found}, this build knows up to {known}", path.display())]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format of this build.
        known: u32,
    },
    /// The version file is not one of ours.
    #[error("`{}` is not a version file of a store", path.display())]
    VersionFile {
        /// The file.
        path: PathBuf,
    },
    /// A rootless store opened as root, or the other way round.
    #[error("the store `{}` was made {found}", path.display())]
    OtherMode {
        /// The store.
        path: PathBuf,
        /// `rootless` or `as root`.
        found: &'static str,
    },
    /// A directory with other things in it and no version file.
    #[error("`{}` is not a store: it holds `{found}`", path.display())]
    NotAStore {
        /// The directory.
        path: PathBuf,
        /// Something in it.
        found: String,
    },
    /// Others are making something new in the store, so it can't be repaired now.
    #[error("the store `{}` is in use", path.display())]
    Busy {
        /// The store.
        path: PathBuf,
    },
    /// No such blob.
    #[error("no blob {0}")]
    NoBlob(Digest),
    /// The blob's bytes are not what its name says.
    #[error("the blob {0} is damaged")]
    BlobDamaged(Digest),
    /// The blob is larger than any manifest or config.
    #[error("a blob of more than {max} bytes")]
    BlobTooLarge {
        /// The limit.
        max: u64,
    },
    /// No such layer.
    #[error("no layer {0}")]
    NoLayer(Digest),
    /// The file that describes a layer can't be read.
    #[error("the layer {chain} is damaged")]
    LayerDamaged {
        /// The layer.
        chain: Digest,
        /// The parser's error.
        #[source]
        source: serde_json::Error,
    },
    /// The layer's format is newer than this build.
    #[error("the layer {chain} has format {found}, this build knows up to {known}")]
    LayerNewer {
        /// The layer.
        chain: Digest,
        /// Its format.
        found: u32,
        /// The newest format of this build.
        known: u32,
    },
    /// The layer's files are not those that were unpacked.
    #[error("the files of the layer {chain} were changed{}", path.as_ref().map(|p| format!(": `{}`", p.display())).unwrap_or_default())]
    LayerChanged {
        /// The layer.
        chain: Digest,
        /// The first file that can't be right, where one is known.
        path: Option<PathBuf>,
    },
    /// The file that rebuilds a layer's archive can't be followed.
    #[error("the recipe of the layer {chain} is damaged")]
    RecipeDamaged {
        /// The layer.
        chain: Digest,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// The layer was unpacked before recipes were kept.
    #[error("the layer {0} was unpacked by an older corten, which kept nothing to rebuild its archive from")]
    NoRecipe(Digest),
    /// The archive is not the one that was asked for.
    #[error("the bytes of {expected} have the digest {found}")]
    WrongDiffId {
        /// What it must be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// More layers than an image may have.
    #[error("more than {max} layers")]
    TooManyLayers {
        /// The limit.
        max: usize,
    },
    /// The archive itself is wrong.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// An entry of the archive that must not or can't be unpacked.
    #[error("entry `{entry}`: {problem}")]
    Entry {
        /// The entry's name.
        entry: String,
        /// What is wrong with it.
        problem: EntryProblem,
    },
    /// A step of unpacking an entry failed.
    #[error("cannot {doing} entry `{entry}`")]
    Unpack {
        /// The step, as a verb.
        doing: &'static str,
        /// The entry's name.
        entry: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The first bytes of a stream can't be read.
    #[error("cannot read the archive")]
    Sniff(#[source] io::Error),
    /// Compressed in a way that is not built.
    #[error("{0} compression is not supported")]
    Compression(&'static str),
    /// A step of mounting a container's file system failed.
    #[error("cannot {doing} the overlay of `{}`{detail}", path.display())]
    Overlay {
        /// The step, as a verb.
        doing: &'static str,
        /// The container's directory or the top layer.
        path: PathBuf,
        /// The kernel's own words, if it had some.
        detail: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The file system can't show its files with a container's ids.
    #[error("cannot map the ids of `{}`", path.display())]
    Idmap {
        /// The directory.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// Something is mounted inside a directory that is to be removed.
    #[error("something is mounted on `{}`", path.display())]
    Mounted {
        /// Where.
        path: PathBuf,
    },
    /// Directories nested deeper than we follow them.
    #[error("`{}` is nested deeper than {max} directories", path.display())]
    TooDeep {
        /// The tree.
        path: PathBuf,
        /// The limit.
        max: usize,
    },
    /// An archive can't be written to where it goes.
    #[error("cannot write the archive")]
    WriteArchive(#[source] io::Error),
    /// A copy of what is not stored anywhere.
    #[error("`{}` is the kernel's, not a file", path.display())]
    NotFiles {
        /// The path.
        path: PathBuf,
    },
    /// Something else where a directory is needed.
    #[error("`{}` is not a directory", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// A file that is to go into a directory which isn't there.
    #[error("there is no directory `{}`", path.display())]
    NoDirectory {
        /// The path.
        path: PathBuf,
    },
    /// A directory that is to go where a file is.
    #[error("a directory can't be copied to `{}`, which is a file", path.display())]
    OverFile {
        /// The path.
        path: PathBuf,
    },
    /// A copy of a socket.
    #[error("`{}` is a socket, which has no content", path.display())]
    Socket {
        /// The path.
        path: PathBuf,
    },
    /// A name of a container that would be a mark in a layer.
    #[error("`{}` can't be part of a layer: names that begin with `.wh.` are marks there", path.display())]
    MarkName {
        /// The file.
        path: PathBuf,
    },
    /// Somebody moved directories of a tree while it was walked.
    #[error("`{}` changed while it was read", path.display())]
    Changed {
        /// The tree.
        path: PathBuf,
    },
}

/// What is wrong with one entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryProblem {
    /// `..` in its name or its hard link's target.
    #[error("its path has a `..`")]
    DotDot,
    /// A name that is the root itself, for something that is not a directory.
    #[error("its name is the root")]
    Root,
    /// More components than allowed.
    #[error("nested deeper than {0} directories")]
    TooDeep(u32),
    /// `.wh.`, `.wh..`, `.wh...`, or something below a whiteout.
    #[error("not a valid whiteout")]
    Whiteout,
    /// An extended attribute that only overlayfs or the host's administrator may set.
    #[error("the extended attribute `{0}` is not allowed in a layer")]
    Xattr(String),
    /// A device, where none can be made.
    #[error("a device can't be made without root")]
    Device,
    /// Device 0:0, which overlayfs takes for a whiteout.
    #[error("the device 0:0 is not allowed in a layer")]
    ZeroDevice,
    /// A component of its path is a file.
    #[error("`{0}` is not a directory")]
    NotADirectory(String),
    /// A hard link to nothing.
    #[error("a hard link to `{0}`, which is not there or is a directory")]
    NoTarget(String),
    /// Too many symlinks in its path.
    #[error("too many symlinks in its path")]
    Loop,
    /// A directory where something else is.
    #[error("a directory can't take the place of something else")]
    OverFile,
    /// Something else where a directory is.
    #[error("it can't take the place of a directory")]
    OverDirectory,
    /// A container's device, copied out.
    #[error("a device of a container is copied with `-a` only")]
    DeviceCopied,
    /// A name outside of what was packed.
    #[error("its name is not below the first one's")]
    NotBelow,
}

impl Error {
    /// What a caller can act on.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Io { source, .. }
            | Self::Unpack { source, .. }
            | Self::Overlay { source, .. }
            | Self::Tar(
                TarError::Read { source, .. } | TarError::Recipe(source) | TarError::Thread(source),
            )
            | Self::Sniff(source)
            | Self::Spool(source)
            | Self::WriteArchive(source) => kind_of(source),
            Self::NoSpace { .. } => Kind::Unavailable,
            Self::Newer { .. }
            | Self::LayerNewer { .. }
            | Self::NoRecipe(_)
            | Self::Compression(_)
            | Self::Idmap { .. } => Kind::Unsupported,
            Self::OtherMode { .. } | Self::Mounted { .. } | Self::NotAStore { .. } => Kind::Conflict,
            Self::Busy { .. } | Self::Changed { .. } => Kind::Unavailable,
            Self::NoBlob(_) | Self::NoLayer(_) => Kind::NotFound,
            Self::Tar(TarError::Type { .. }) => Kind::Unsupported,
            Self::NoDirectory { .. } => Kind::NotFound,
            Self::NotADirectory { .. } | Self::OverFile { .. } => Kind::Conflict,
            Self::NotFiles { .. } | Self::Socket { .. } | Self::MarkName { .. } => Kind::Unsupported,
            Self::BlobTooLarge { .. }
            | Self::TooManyLayers { .. }
            | Self::WrongDiffId { .. }
            | Self::Tar(_)
            | Self::Entry { .. }
            | Self::TooDeep { .. } => Kind::Invalid,
            Self::VersionFile { .. }
            | Self::BlobDamaged(_)
            | Self::LayerDamaged { .. }
            | Self::LayerChanged { .. }
            | Self::RecipeDamaged { .. } => Kind::Internal,
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Newer { .. } | Self::LayerNewer { .. } => {
                "use the newer corten that made it, or another `--root`".into()
            }
            Self::NotAStore { .. } => "name an empty or a new directory with `--root`".into(),
            Self::OtherMode { found, .. } => format!("run corten {found}, or name another `--root`"),
            Self::NoRecipe(_) | Self::LayerChanged { .. } | Self::RecipeDamaged { .. } => {
                "load, import or pull the image again".into()
            }
            Self::Compression(_) => "decompress it first, or use gzip or zstd".into(),
            Self::Entry { problem: EntryProblem::Device, .. } => {
                "leave devices out of the archive (`tar --exclude`), or import as root".into()
            }
            Self::Idmap { .. } => {
                "its file system or this kernel has no idmapped mounts: use `--userns=host`".into()
            }
            Self::NoSpace { .. } => "free some space, or name another `--root`".into(),
            Self::WrongDiffId { .. } => "the archive is damaged or cut off: make or fetch it again".into(),
            Self::Busy { .. } => "wait until other corten commands have ended".into(),
            Self::Io { source, .. } | Self::Unpack { source, .. }
                if source.kind() == io::ErrorKind::StorageFull =>
            {
                "the disk is full".into()
            }
            Self::Tar(TarError::Truncated { .. } | TarError::Empty) => {
                "the program or the transfer that made it may have failed".into()
            }
            _ => return None,
        })
    }
}

fn kind_of(source: &io::Error) -> Kind {
    match source.kind() {
        io::ErrorKind::PermissionDenied => Kind::Denied,
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::OutOfMemory => Kind::Unavailable,
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Kind::Invalid
        }
        io::ErrorKind::Unsupported => Kind::Unsupported,
        _ => Kind::Internal,
    }
}

/// Gives a failed step its name and its object.
pub(crate) trait At<T> {
    fn at(self, doing: &'static str, path: impl AsRef<Path>) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, doing: &'static str, path: impl AsRef<Path>) -> Result<T, Error> {
        self.map_err(|e| Error::Io { doing, path: path.as_ref().to_owned(), source: e.into() })
    }
}
