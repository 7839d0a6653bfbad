//! The store's root directory: its version, its modes, its lock.
//!
//! Nobody but the owner may pass into layers, containers and volumes (CVE-2021-41091, CVE-2021-41103: setuid programs
//! of images and world-writable files were in reach of every user). Containers need no such right: they see their
//! files through mounts that were made from descriptors.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use corten_model::{ContainerId, VolumeId};
use rustix::fs::{CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::blobs::Blobs;
use crate::error::{At, Error};
use crate::layers::Layers;
use crate::temp;

/// The format that this build writes. It covers the directories and the overlay's features (redirect_dir=nofollow,
/// metacopy=off, index=off, xino=off); each layer.json has its own.
pub const STORE_VERSION: u32 = 1;

const VERSION_FILE: &str = "version";
const LOCK_FILE: &str = "lock";
const MAGIC: &str = "corten-store";
/// Bytes of a version file that are read.
const VERSION_BYTES_MAX: u64 = 64;
const DIRECTORIES: [&str; 6] = ["blobs", "blobs/sha256", "layers", "containers", "volumes", SKELETON];
const SKELETON: &str = "skeleton";
/// What every root directory needs to be mounted on.
const SKELETON_DIRECTORIES: [&str; 4] = ["dev", "etc", "proc", "sys"];
const SKELETON_FILES: [&str; 3] = ["etc/hosts", "etc/hostname", "etc/resolv.conf"];

/// An open store.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    rootless: bool,
}

/// Somebody makes something new ([`Store::writing`]), or nobody does ([`Store::alone`]). The kernel takes it from a
/// process that ends: whoever is alone knows that what has no row was left by a command that ended half-way.
#[derive(Debug)]
#[must_use]
pub struct Writing {
    lock: File,
}

impl Drop for Writing {
    fn drop(&mut self) {
        // Not left to close(2): a process that another thread is just spawning has a copy of the descriptor until its
        // exec, and the lock would stay with it.
        let _ = rustix::fs::flock(&self.lock, FlockOperation::Unlock);
    }
}

impl Store {
    /// Opens the store at `root`, an absolute path, and makes it if it is missing or empty. When all is there this is
    /// one small file read.
    pub fn open(root: &Path, rootless: bool) -> Result<Self, Error> {
        let path = root.join(VERSION_FILE);
        match File::open(&path) {
            Ok(file) => {
                let mut text = String::new();
                file.take(VERSION_BYTES_MAX).read_to_string(&mut text).at("read", &path)?;
                check_version(root, &path, &text, rootless)?;
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => create(root, rootless)?,
            Err(e) => return Err(e).at("open", &path),
        }
        Ok(Self { root: root.to_owned(), rootless })
    }

    /// Its root directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether it belongs to a user without root: overlay's marks are `user.*` then.
    pub fn is_rootless(&self) -> bool {
        self.rootless
    }

    /// Manifests and configs.
    pub fn blobs(&self) -> Blobs<'_> {
        Blobs { store: self }
    }

    /// Unpacked layers.
    pub fn layers(&self) -> Layers<'_> {
        Layers { store: self }
    }

    /// What a container has on disk.
    pub fn container_dir(&self, id: &ContainerId) -> PathBuf {
        self.join("containers").join(id.as_str())
    }

    /// The layer below all others: empty places for what every container has mounted. An image that has its own hides
    /// them; for one that hasn't, none of them has to be made in each container's upper directory.
    pub fn skeleton(&self) -> PathBuf {
        self.join(SKELETON)
    }

    /// A volume's files.
    pub fn volume_data(&self, id: &VolumeId) -> PathBuf {
        self.join("volumes").join(id.as_str()).join("data")
    }

    /// Keeps repairs away until the result is dropped; waits for one that is under way.
    pub fn writing(&self) -> Result<Writing, Error> {
        let file = self.lock_file()?;
        rustix::fs::flock(&file, FlockOperation::LockShared).at("lock", self.join(LOCK_FILE))?;
        Ok(Writing { lock: file })
    }

    /// Keeps everybody else from making something new; `Busy` if somebody is. Hold it for short.
    pub fn alone(&self) -> Result<Writing, Error> {
        let file = self.lock_file()?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Err(Error::Busy { path: self.root.clone() }),
            other => other.at("lock", self.join(LOCK_FILE)).map(|()| Writing { lock: file }),
        }
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn lock_file(&self) -> Result<File, Error> {
        let path = self.join(LOCK_FILE);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR).at("open", &path)?;
        Ok(File::from(fd))
    }
}

fn mode_word(rootless: bool) -> &'static str {
    if rootless { "rootless" } else { "as root" }
}

fn check_version(root: &Path, file: &Path, text: &str, rootless: bool) -> Result<(), Error> {
    let bad = || Error::VersionFile { path: file.to_owned() };
    let rest = text.strip_prefix(MAGIC).and_then(|r| r.strip_prefix(' ')).ok_or_else(bad)?;
    let (number, mode) = rest.trim_end().split_once(' ').ok_or_else(bad)?;
    let found: u32 = number.parse().map_err(|_| bad())?;
    if found > STORE_VERSION {
        return Err(Error::Newer { path: root.to_owned(), found, known: STORE_VERSION });
    }
    match (found, mode) {
        (0, _) => Err(bad()),
        (_, m) if m == mode_word(rootless) => Ok(()),
        (_, m) if m == mode_word(!rootless) => {
            Err(Error::OtherMode { path: root.to_owned(), found: mode_word(!rootless) })
        }
        _ => Err(bad()),
    }
}

/// Makes the directories, then the version file: without it the next open goes on here.
fn create(root: &Path, rootless: bool) -> Result<(), Error> {
    fs::create_dir_all(root).at("make the directory", root)?;
    for entry in fs::read_dir(root).at("read the directory", root)? {
        let name = entry.at("read the directory", root)?.file_name();
        let ours = name.to_str().is_some_and(|n| {
            DIRECTORIES.contains(&n) || n == VERSION_FILE || n == LOCK_FILE || n.starts_with(temp::PREFIX)
        });
        // `--root /home/me` must not give somebody's home our modes.
        if !ours && name != "lost+found" {
            let found = name.to_string_lossy().into_owned();
            return Err(Error::NotAStore { path: root.to_owned(), found });
        }
    }
    let mode = Mode::RWXU | Mode::XGRP;
    rustix::fs::chmodat(CWD, root, mode, rustix::fs::AtFlags::empty()).at("set the mode of", root)?;
    for name in DIRECTORIES {
        let path = root.join(name);
        match rustix::fs::mkdirat(CWD, &path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e).at("make the directory", &path),
        }
    }
    make_skeleton(&root.join(SKELETON))?;
    crate::steps::reached("open.directories");
    let text = format!("{MAGIC} {STORE_VERSION} {}\n", mode_word(rootless));
    temp::write_file(root, VERSION_FILE, text.as_bytes(), ["open.version"; 3])
}

/// Fills the skeleton; what a crash or another first command left in it is kept.
fn make_skeleton(skeleton: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).at("set the mode of", path)
    };
    for name in SKELETON_DIRECTORIES {
        let path = skeleton.join(name);
        fs::create_dir_all(&path).at("make the directory", &path)?;
        set(&path, 0o755)?;
    }
    for name in SKELETON_FILES {
        let path = skeleton.join(name);
        File::create(&path).at("make the file", &path)?;
        set(&path, 0o644)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use corten_model::Kind;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn others_cannot_pass_into_the_store() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("a/store");
        let store = Store::open(&root, false).unwrap();
        assert_eq!(mode(&root), 0o710);
        for name in DIRECTORIES {
            assert_eq!(mode(&root.join(name)), 0o700, "{name}");
        }
        Store::open(store.root(), false).unwrap();
    }

    #[test]
    fn foreign_newer_and_other_stores_are_refused() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("store");
        Store::open(&root, false).unwrap();
        let error = Store::open(&root, true).unwrap_err();
        assert!(matches!(error, Error::OtherMode { found: "as root", .. }));
        fs::write(root.join(VERSION_FILE), "corten-store 2 as root\n").unwrap();
        let error = Store::open(&root, false).unwrap_err();
        assert!(matches!(error, Error::Newer { found: 2, .. }));
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.hint().is_some());
        for text in ["", "x", "corten-store 1\n", "corten-store x as root\n", "corten-store 0 as root\n"] {
            fs::write(root.join(VERSION_FILE), text).unwrap();
            assert!(matches!(Store::open(&root, false), Err(Error::VersionFile { .. })), "{text}");
        }
        let home = temp.path().join("home");
        fs::create_dir_all(home.join("music")).unwrap();
        let before = mode(&home);
        assert!(matches!(Store::open(&home, false), Err(Error::NotAStore { .. })));
        assert_eq!(mode(&home), before);
    }

    #[test]
    fn a_repair_waits_for_nobody_and_writers_share() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(&temp.path().join("s"), false).unwrap();
        let one = store.writing().unwrap();
        let two = store.writing().unwrap();
        assert!(matches!(store.alone(), Err(Error::Busy { .. })));
        drop((one, two));
        drop(store.alone().unwrap());
    }
}
