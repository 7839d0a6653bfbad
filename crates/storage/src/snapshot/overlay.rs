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
use rustix::fs::{AtFlags, CWD, Mode, StatxFlags};
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
    /// The mounts that it was made from, which nobody needs any more, go to `spare`.
    pub fn mount(&self, way: Way, spare: &mut Vec<OwnedFd>) -> Result<OwnedFd, Error> {
        match way {
            Way::Descriptors => {
                let parts = self.open()?;
                let mounted = self.by_descriptors(&parts);
                spare.extend(parts.clones.into_iter().map(|(clone, _)| clone));
                mounted
            }
            Way::Paths => mountns::with_private_mounts(|| self.by_paths(&self.open()?))
                .map_err(|source| self.failed("make a mount namespace for", String::new(), source))?,
        }
    }

    fn open(&self) -> Result<Parts, Error> {
        let mut parts = Parts { lowers: Vec::new(), upper_work: None, clones: Vec::new(), root_ids: None };
        let Some(userns) = self.userns else {
            for lower in self.lowers {
                parts.lowers.push(open_dir(CWD, lower)?);
            }
            if let Some(dir) = self.dir {
                parts.upper_work =
                    Some((open_dir(CWD, &dir.join("upper"))?, open_dir(CWD, &dir.join("work"))?));
            }
            return Ok(parts);
        };
        // One clone of the directory that holds all, where that is one mount: an idmap costs 30 µs and dropping the
        // clone an RCU grace period.
        let root = self.common_root().filter(|root| self.is_one_mount(root));
        let whole = root.map(|root| parts.clone_idmapped(root, userns)).transpose()?;
        let open = |parts: &mut Parts, path: &Path, name: &str| {
            let (clone, place) = match whole {
                Some(clone) => (clone, parts.clones[clone].1.clone()),
                None => (parts.clone_idmapped(path, userns)?, path.to_owned()),
            };
            let below = path.strip_prefix(&place).expect("its ancestor by common_root, or itself").join(name);
            let below = if below.as_os_str().is_empty() { Path::new(".") } else { &below };
            open_dir(parts.clones[clone].0.as_fd(), below)
        };
        for lower in self.lowers {
            let fd = open(&mut parts, lower, "")?;
            parts.lowers.push(fd);
        }
        if let Some(dir) = self.dir {
            // Upper and work must be on one mount, so both from the one clone of what holds them.
            let held = open(&mut parts, dir, "")?;
            let (upper, work) = (Path::new("upper"), Path::new("work"));
            parts.upper_work = Some((open_dir(held.as_fd(), upper)?, open_dir(held.as_fd(), work)?));
        }
        Ok(parts)
    }

    /// The store's root above `layers/<chain>/fs` and `containers/<id>`, if that is where all are; for layers alone
    /// what holds them.
    fn common_root(&self) -> Option<&Path> {
        let layers = self.lowers.first()?.parent()?.parent()?;
        let root = match self.dir {
            None => layers,
            Some(dir) => dir.parent()?.parent().filter(|root| layers.parent() == Some(root))?,
        };
        self.lowers.iter().all(|l| l.parent().and_then(Path::parent) == Some(layers)).then_some(root)
    }

    /// A clone has no submounts, so a store whose layers or containers are a mount of their own needs clones of them.
    fn is_one_mount(&self, root: &Path) -> bool {
        let id = |path: &Path| {
            let stat = rustix::fs::statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok()?;
            (stat.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(stat.stx_mnt_id)
        };
        let wanted = id(root);
        let layers = self.lowers.first().and_then(|l| l.parent()?.parent());
        wanted.is_some() && [layers, self.dir].into_iter().flatten().all(|path| id(path) == wanted)
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
        let fs =
            rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(|e| fail("open", e))?;
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

fn open_dir(at: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Error> {
    rustix::fs::openat(at, path, DIRECTORY, Mode::empty()).at("open the directory", path)
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
