//! Making the overlay superblock, with the kernel's newest way and with that of 5.15.
//!
//! Features are explicit, never the kernel's defaults, because what is on disk depends on them: redirect_dir=nofollow
//! and metacopy=off keep upper a plain tree that can be read without overlay and give hostile layers no lever;
//! index=off and xino=off as in every other engine.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use corten_sys::fsid::FsIds;
use corten_sys::{idmap, mountns};
use rustix::fs::{CWD, Mode};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags};

use super::{CLONE, DIRECTORY};
use crate::error::{At, Error};

const FEATURES: [(&str, &str); 4] =
    [("redirect_dir", "nofollow"), ("metacopy", "off"), ("index", "off"), ("xino", "off")];
/// Messages of the kernel that are taken into an error.
const MESSAGES_MAX: usize = 4;
/// mount(2) copies one page of options.
const OPTIONS_BYTES_MAX: usize = 4095;

/// How the kernel is told about layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// fsconfig(2) takes descriptors, also of detached mounts (6.13; idmapped clones 6.15).
    Descriptors,
    /// mount(2) takes paths, in a mount namespace made for it where clones are attached (5.15; idmapped 5.19).
    Paths,
}

/// One overlay to make.
pub(super) struct Overlay<'a> {
    pub lowers: &'a [PathBuf],
    /// Holds upper and work; none: layers only.
    pub dir: Option<&'a Path>,
    pub volatile: bool,
    pub rootless: bool,
    pub userns: Option<BorrowedFd<'a>>,
}

/// Opened directories of one overlay.
struct Parts {
    lowers: Vec<OwnedFd>,
    upper_work: Option<(OwnedFd, OwnedFd)>,
    /// Idmapped clones and where each can be attached.
    clones: Vec<(OwnedFd, PathBuf)>,
    /// What the container's root is on the host.
    root_ids: Option<(u32, u32)>,
}

impl Overlay<'_> {
    pub fn mount(&self, way: Way) -> Result<OwnedFd, Error> {
        match way {
            Way::Descriptors => self.by_descriptors(&self.open()?),
            Way::Paths => mountns::with_private_mounts(|| self.by_paths(&self.open()?))
                .map_err(|source| self.failed("make a mount namespace for", String::new(), source))?,
        }
    }

    fn open(&self) -> Result<Parts, Error> {
        let mut parts = Parts { lowers: Vec::new(), upper_work: None, clones: Vec::new(), root_ids: None };
        let open = |at: BorrowedFd<'_>, path: &Path, name: &Path| {
            rustix::fs::openat(at, name, DIRECTORY, Mode::empty()).at("open the directory", path)
        };
        match (self.userns, self.common_root()) {
            (None, _) => {
                for lower in self.lowers {
                    parts.lowers.push(open(CWD, lower, lower)?);
                }
            }
            // One clone of the directory that holds all layers, instead of one each: an idmap costs 30 µs.
            (Some(userns), Some(root)) => {
                let clone = parts.clone_idmapped(root, userns)?;
                for lower in self.lowers {
                    let name = lower.strip_prefix(root).expect("its ancestor by common_root");
                    parts.lowers.push(open(parts.clones[clone].0.as_fd(), lower, name)?);
                }
            }
            (Some(userns), None) => {
                for lower in self.lowers {
                    let clone = parts.clone_idmapped(lower, userns)?;
                    parts.lowers.push(open(parts.clones[clone].0.as_fd(), lower, Path::new("."))?);
                }
            }
        }
        if let Some(dir) = self.dir {
            // Upper and work must be on one mount, so one clone of what holds them.
            let opened = match self.userns {
                Some(userns) => {
                    let clone = parts.clone_idmapped(dir, userns)?;
                    parts.clones[clone].0.as_fd()
                }
                None => CWD,
            };
            let name = |n: &str| if self.userns.is_some() { PathBuf::from(n) } else { dir.join(n) };
            let upper = open(opened, dir, &name("upper"))?;
            parts.upper_work = Some((upper, open(opened, dir, &name("work"))?));
        }
        Ok(parts)
    }

    /// `layers/` of `layers/<chain>/fs`, if that is where all are.
    fn common_root(&self) -> Option<&Path> {
        let root = self.lowers.first()?.parent()?.parent()?;
        self.lowers.iter().all(|l| l.parent().and_then(Path::parent) == Some(root)).then_some(root)
    }

    /// Overlay keeps the credentials of the thread that makes the superblock and touches the layers with them: they
    /// must be ids that the idmapped mounts know, with every capability.
    fn switch_ids(&self, parts: &Parts) -> Result<Option<FsIds>, Error> {
        let Some((uid, gid)) = parts.root_ids else { return Ok(None) };
        let ids = FsIds::switch(uid, gid);
        ids.map(Some).map_err(|e| self.failed("take the ids of the container's root for", String::new(), e))
    }

    fn by_descriptors(&self, parts: &Parts) -> Result<OwnedFd, Error> {
        let fail = |doing, source: Errno| self.failed(doing, String::new(), source.into());
        let fs = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(|e| fail("open", e))?;
        let told = |doing, done: Result<(), Errno>| {
            done.map_err(|e| self.failed(doing, messages(fs.as_fd()), e.into()))
        };
        for lower in &parts.lowers {
            told("set a layer of", rustix::mount::fsconfig_set_fd(&fs, "lowerdir+", lower))?;
        }
        if let Some((upper, work)) = &parts.upper_work {
            told("set the upper directory of", rustix::mount::fsconfig_set_fd(&fs, "upperdir", upper))?;
            told("set the work directory of", rustix::mount::fsconfig_set_fd(&fs, "workdir", work))?;
        }
        for (key, value) in FEATURES {
            told("set a feature of", rustix::mount::fsconfig_set_string(&fs, key, value))?;
        }
        if self.rootless {
            told("set userxattr on", rustix::mount::fsconfig_set_flag(&fs, "userxattr"))?;
        }
        if self.volatile {
            told("set volatile on", rustix::mount::fsconfig_set_flag(&fs, "volatile"))?;
        }
        {
            let _ids = self.switch_ids(parts)?;
            told("make", rustix::mount::fsconfig_create(&fs))?;
        }
        rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, self.attributes())
            .map_err(|e| self.failed("mount", messages(fs.as_fd()), e.into()))
    }

    /// In a mount namespace of our own.
    fn by_paths(&self, parts: &Parts) -> Result<OwnedFd, Error> {
        // From 5.14 to 6.14 overlay takes only attached mounts (CVE-2021-3732's fix).
        for (clone, place) in &parts.clones {
            let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
            rustix::mount::move_mount(clone, "", CWD, place, flags).at("attach a mount to", place)?;
        }
        // Paths by descriptor are short (128 layers fit the page of options) and need no escaping of `:` and `,`.
        let path = |fd: &OwnedFd| format!("/proc/thread-self/fd/{}", fd.as_raw_fd());
        let lowers: Vec<_> = parts.lowers.iter().map(path).collect();
        let mut options = format!("lowerdir={}", lowers.join(":"));
        if let Some((upper, work)) = &parts.upper_work {
            options += &format!(",upperdir={},workdir={}", path(upper), path(work));
        }
        for (key, value) in FEATURES {
            options += &format!(",{key}={value}");
        }
        options += if self.rootless { ",userxattr" } else { "" };
        options += if self.volatile { ",volatile" } else { "" };
        if options.len() > OPTIONS_BYTES_MAX {
            return Err(self.failed("name the layers of", String::new(), Errno::TOOBIG.into()));
        }
        let options = std::ffi::CString::new(options).expect("digits and fixed words");
        let target = &self.lowers[0];
        {
            let _ids = self.switch_ids(parts)?;
            rustix::mount::mount("overlay", target, "overlay", MountFlags::empty(), options.as_c_str())
                .map_err(|e| self.failed("make", String::new(), e.into()))?;
        }
        let mount = clone_tree(target)?;
        if self.dir.is_none() {
            idmap::set_read_only(mount.as_fd()).at("make a read-only mount of", target)?;
        }
        Ok(mount)
    }

    fn attributes(&self) -> MountAttrFlags {
        if self.dir.is_none() { MountAttrFlags::MOUNT_ATTR_RDONLY } else { MountAttrFlags::empty() }
    }

    fn failed(&self, doing: &'static str, detail: String, source: io::Error) -> Error {
        let path = self.dir.or(self.lowers.first().map(PathBuf::as_path)).unwrap_or(Path::new(""));
        Error::Overlay { doing, path: path.to_owned(), detail, source }
    }
}

impl Parts {
    /// The index of a detached clone of `path` with the namespace's ids.
    fn clone_idmapped(&mut self, path: &Path, userns: BorrowedFd<'_>) -> Result<usize, Error> {
        let clone = clone_tree(path)?;
        let failed = |source| Error::Idmap { path: path.to_owned(), source };
        idmap::set_idmap(clone.as_fd(), userns, false).map_err(failed)?;
        if self.root_ids.is_none() {
            // The store's own directories belong to 0 on disk: seen through the idmap they tell what the container's
            // root is on the host.
            let stat = rustix::fs::fstat(&clone).at("read the attributes of", path)?;
            self.root_ids = Some((stat.st_uid, stat.st_gid));
        }
        self.clones.push((clone, path.to_owned()));
        Ok(self.clones.len() - 1)
    }
}

pub(super) fn clone_tree(path: &Path) -> Result<OwnedFd, Error> {
    rustix::mount::open_tree(CWD, path, CLONE).at("clone a mount of", path)
}

/// Whether the kernel may only lack the way that was tried.
pub(super) fn is_too_old(error: &Error) -> bool {
    let Error::Overlay { source, .. } = error else { return false };
    let errno = Errno::from_io_error(source);
    matches!(errno, Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::BADF))
}

/// What the kernel wrote into the file-system context: `e overlay: …`, one message a read.
fn messages(fs: BorrowedFd<'_>) -> String {
    let mut text = String::new();
    let mut buffer = [0; 512];
    for _ in 0..MESSAGES_MAX {
        match rustix::io::read(fs, &mut buffer) {
            Ok(length) if length > 0 => {
                let message = String::from_utf8_lossy(&buffer[..length]);
                text += ": ";
                text += message.trim_end().trim_start_matches(['e', 'w', 'i']).trim_start();
            }
            _ => break,
        }
    }
    text
}
