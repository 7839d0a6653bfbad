//! Making and attaching mounts in the child.
//!
//! A target is looked up inside the root, made if it is missing, and mounted on by descriptor: a path that
//! somebody swaps meanwhile leads nowhere else (CVE-2021-30465, CVE-2024-45310). A symlink of the image may lead
//! anywhere inside the root but into proc and sysfs, where a mount would take protections away.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use corten_sys::mount;
use corten_sys::path::{Root, SYMLINKS_MAX};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, UnmountFlags};

use super::Init;
use crate::plan::{Planned, Source};
use crate::start::binds::{self, Piece};
use crate::start::devices;
use crate::step::{Failure, Step, at, at_io};
use crate::terminal::Pty;

const DIR_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o644;
const PROC_MAGIC: u64 = 0x9fa0;
const SYSFS_MAGIC: u64 = 0x6265_6572;

impl Init<'_> {
    pub(super) fn make_file_system(&mut self, index: usize) -> Result<(), Failure> {
        let planned = &self.plan.mounts[index];
        let Source::FileSystem { fstype, source, parameters } = &planned.source else { return Ok(()) };
        let source = (!source.is_empty()).then_some(*source);
        let made = mount::new_detached(fstype, source, parameters, planned.attributes);
        let mount = made.map_err(at(Step::FileSystem, format!("{} ({fstype})", planned.target)))?;
        self.mounts[index].push(Piece { below: String::new(), mount });
        Ok(())
    }

    pub(super) fn make_bind(&mut self, index: usize) -> Result<(), Failure> {
        let world = binds::World { userns: None, map: None, trees: &self.launch.trees, singly: false };
        self.mounts[index] = binds::open(&self.plan.mounts[index], &world)?.pieces;
        Ok(())
    }

    pub(super) fn make_dev(&mut self, index: usize) -> Result<(), Failure> {
        let planned = &self.plan.mounts[index];
        let Source::Dev { parameters } = &planned.source else { return Ok(()) };
        let devices = &self.launch.spec.linux.devices;
        let (mount, nodes) = devices::with_files(parameters, planned.attributes, devices)?;
        self.mounts[index].push(Piece { below: String::new(), mount });
        self.nodes = nodes;
        Ok(())
    }

    pub(super) fn attach(&mut self, index: usize) -> Result<(), Failure> {
        let plan = self.plan;
        let planned = &plan.mounts[index];
        let pieces = std::mem::take(&mut self.mounts[index]);
        match planned.source {
            Source::Cgroup => self.attach_cgroup(planned, &pieces)?,
            Source::Shm => {
                let shm = self.launch.shm.as_ref().ok_or_else(super::garbled)?;
                let mount = shm.try_clone().map_err(at_io(Step::Attach, &planned.target))?;
                self.attach_pieces(planned, &[Piece { below: String::new(), mount }])?;
            }
            Source::Outside { .. } | Source::Tree(_) if let Some(subpath) = planned.subpath => {
                let whole = pieces.first().ok_or_else(super::garbled)?;
                let mount = part_of(whole.mount.as_fd(), subpath)?;
                self.attach_pieces(planned, &[Piece { below: String::new(), mount }])?;
            }
            _ => self.attach_pieces(planned, &pieces)?,
        }
        if matches!(planned.source, Source::Dev { .. }) {
            for (name, host) in std::mem::take(&mut self.nodes) {
                let node = mount::clone_path(&host, false).map_err(at(Step::Device, &host))?;
                let dev = pieces.first().ok_or_else(|| Failure::new(Step::Device, &name, Errno::NOENT))?;
                let file = open_below(dev.mount.as_fd(), &name)?;
                mount::attach(node.as_fd(), file.as_fd()).map_err(at(Step::Device, &host))?;
            }
        }
        if planned.target == "/proc" {
            // Kernel parameters are written through it.
            self.mounts[index] = pieces;
        }
        Ok(())
    }

    fn attach_pieces(&mut self, planned: &Planned<'_>, pieces: &[Piece]) -> Result<(), Failure> {
        let Some((top, rest)) = pieces.split_first() else {
            return Err(Failure::because(
                Step::Attach,
                &planned.target,
                Errno::NOENT,
                "nothing was made for it",
            ));
        };
        let stat = rustix::fs::fstat(&top.mount).map_err(at(Step::Attach, &planned.target))?;
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let target = target(self.root()?, planned, is_dir)?;
        if !planned.plain_target {
            // Where tests play races: what was found can be moved away here.
            self.stamp("child: target");
        }
        let attached = match mount::attach(top.mount.as_fd(), target.as_fd()) {
            // A tree that was cloned in another mount namespace takes no mounts while it is detached; only one
            // that was made anew does.
            Err(Errno::INVAL) if !self.root_attached => {
                self.attach_root()?;
                mount::attach(top.mount.as_fd(), target.as_fd())
            }
            other => other,
        };
        attached.map_err(at(Step::Attach, &planned.target))?;
        for piece in rest {
            let target = open_below(top.mount.as_fd(), &piece.below)?;
            mount::attach(piece.mount.as_fd(), target.as_fd())
                .map_err(at(Step::Attach, format!("{}/{}", planned.target, piece.below)))?;
        }
        Ok(())
    }

    /// One directory a hierarchy in a small tmpfs, or the one of version 2 itself.
    fn attach_cgroup(&mut self, planned: &Planned<'_>, pieces: &[Piece]) -> Result<(), Failure> {
        if let [Piece { below, .. }] = pieces
            && below.is_empty()
        {
            return self.attach_pieces(planned, pieces);
        }
        let fail = |errno| Failure::new(Step::FileSystem, &planned.target, errno);
        let attributes = planned.attributes - MountAttrFlags::MOUNT_ATTR_RDONLY;
        let parameters = [("mode", Some("755")), ("size", Some("64k"))];
        let top = mount::new_detached("tmpfs", Some("tmpfs"), &parameters, attributes).map_err(fail)?;
        for piece in pieces {
            rustix::fs::mkdirat(&top, piece.below.as_str(), Mode::from_raw_mode(DIR_MODE)).map_err(fail)?;
        }
        // Before it is attached: a mount below a detached one can't be changed any more.
        let read_only =
            mount::Attributes { set: MountAttrFlags::MOUNT_ATTR_RDONLY, ..mount::Attributes::default() };
        mount::set_attributes(top.as_fd(), read_only).map_err(fail)?;
        let mount = top.try_clone().map_err(at_io(Step::FileSystem, &planned.target))?;
        self.attach_pieces(planned, &[Piece { below: String::new(), mount }])?;
        for piece in pieces {
            let target = open_below(top.as_fd(), &piece.below)?;
            mount::attach(piece.mount.as_fd(), target.as_fd())
                .map_err(at(Step::Attach, format!("{}/{}", planned.target, piece.below)))?;
        }
        Ok(())
    }
}

/// What is at `subpath` of a mount that isn't attached anywhere yet, as a mount of its own. Symlinks on the way stay
/// inside of it.
///
/// Before Linux 6.15 only what is attached can be cloned: it is, for that moment, to a directory of the host's tree in our
/// own mount namespace.
fn part_of(whole: BorrowedFd<'_>, subpath: &str) -> Result<OwnedFd, Failure> {
    let fail = |errno| Failure::new(Step::BindSource, subpath, errno);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let place = super::ROOT_PLACES.into_iter().find_map(|p| rustix::fs::open(p, flags, Mode::empty()).ok());
    let place = place.ok_or_else(|| fail(Errno::NOENT))?;
    mount::attach(whole, place.as_fd()).map_err(fail)?;
    let root = Root::from_fd(whole.try_clone_to_owned().map_err(at_io(Step::BindSource, subpath))?);
    let found = root.open_at(Path::new(subpath), OFlags::PATH, Mode::empty());
    let part = found
        .map_err(at_io(Step::BindSource, subpath))
        .and_then(|found| mount::clone_fd(found.as_fd(), false).map_err(fail));
    rustix::process::fchdir(whole).map_err(fail)?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(fail)?;
    rustix::process::chdir("/").map_err(fail)?;
    part
}

/// What is at `path` below a mount of ours, without symlinks on the way.
fn open_below(mount: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Failure> {
    let mount = mount.try_clone_to_owned().map_err(at_io(Step::MountTarget, path))?;
    Root::from_fd(mount)
        .open_plain(Path::new(path), OFlags::PATH, Mode::empty())
        .map_err(at_io(Step::MountTarget, path))
}

/// Where `planned` belongs, made if it is missing.
fn target(root: &Root, planned: &Planned<'_>, is_dir: bool) -> Result<OwnedFd, Failure> {
    let path = Path::new(&planned.target);
    let fail = |error: std::io::Error| match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::LOOP) if planned.plain_target => {
            Failure::because(Step::MountTarget, &planned.target, Errno::LOOP, "the image has a symlink there")
        }
        _ => at_io(Step::MountTarget, &planned.target)(error),
    };
    if planned.plain_target {
        return match root.open_plain(path, OFlags::PATH, Mode::empty()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                make(root, path, is_dir).map_err(fail)?;
                root.open_plain(path, OFlags::PATH, Mode::empty()).map_err(fail)
            }
            other => other.map_err(fail),
        };
    }
    let target = match root.open_at(path, OFlags::PATH, Mode::empty()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(root, path, is_dir),
        other => other,
    };
    let target = target.map_err(fail)?;
    let magic = rustix::fs::fstatfs(&target).map_err(at(Step::MountTarget, &planned.target))?.f_type as u64;
    match magic {
        PROC_MAGIC | SYSFS_MAGIC => {
            let why = "a symlink of the image leads it into proc or sysfs";
            Err(Failure::because(Step::MountTarget, &planned.target, Errno::PERM, why))
        }
        _ => Ok(target),
    }
}

/// `mkdir -p`, or an empty file in such a directory. A dangling symlink's own target is made, inside the root: the
/// image's `/etc/resolv.conf` is often one.
fn make(root: &Root, path: &Path, is_dir: bool) -> std::io::Result<OwnedFd> {
    let dir_mode = Mode::from_raw_mode(DIR_MODE);
    if is_dir {
        return root.create_dirs(path, dir_mode);
    }
    let mut path = PathBuf::from(path);
    for _ in 0..SYMLINKS_MAX {
        match root.create_file(&path, Mode::from_raw_mode(FILE_MODE), dir_mode) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            other => return other,
        }
        let (parent, name) = root.parent(&path)?;
        let link = rustix::fs::readlinkat(&parent, &name, Vec::new())?;
        let link = Path::new(std::ffi::OsStr::new(link.to_str().map_err(|_| Errno::ILSEQ)?)).to_owned();
        path.pop();
        path.push(link);
    }
    Err(Errno::LOOP.into())
}

/// Binds the terminal on `/dev/console`, by descriptor: there is no path that could be swapped (CVE-2025-52565).
pub(super) fn console(root: &Root, pty: &Pty) -> Result<(), Failure> {
    const PATH: &str = "/dev/console";
    let path = Path::new(PATH);
    let target = match root.open_plain(path, OFlags::PATH, Mode::empty()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            make(root, path, false).map_err(at_io(Step::Terminal, PATH))?;
            root.open_plain(path, OFlags::PATH, Mode::empty())
        }
        other => other,
    };
    let target = target.map_err(at_io(Step::Terminal, PATH))?;
    let slave = mount::clone_fd(pty.slave.as_fd(), false).map_err(at(Step::Terminal, PATH))?;
    mount::attach(slave.as_fd(), target.as_fd()).map_err(at(Step::Terminal, PATH))
}

/// Whether `fd` is the character device of this number.
pub(super) fn is_device(fd: BorrowedFd<'_>, major: u32, minor: u32) -> bool {
    rustix::fs::statat(fd, c"", AtFlags::EMPTY_PATH).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
            && stat.st_rdev == rustix::fs::makedev(major, minor)
    })
}
