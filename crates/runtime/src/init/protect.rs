//! Kernel parameters, masked paths, read-only paths: what is done to proc and sysfs before the container sees
//! them.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use corten_sys::mount;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountPropagationFlags};

use super::Init;
use super::attach::is_device;
use crate::plan::{Source, sysctl_path};
use crate::step::{Failure, Step, at, at_io};

const NULL: (u32, u32) = (1, 3);

impl Init<'_> {
    /// Writes through the descriptor of the proc that we made ourselves, never out of it: whatever is mounted over a
    /// path of the container can't take the write (CVE-2025-52881).
    pub(super) fn sysctls(&mut self) -> Result<(), Failure> {
        let proc = self.plan.mounts.iter().zip(&self.mounts).find_map(|(planned, pieces)| {
            let own = matches!(planned.source, Source::FileSystem { fstype: "proc", .. });
            pieces.first().filter(|_| own && planned.target == "/proc")
        });
        for (key, value) in &self.launch.spec.linux.sysctl {
            let why = "it is written through a proc of the container's own, which it lacks";
            let proc = proc.ok_or_else(|| Failure::because(Step::Sysctl, key, Errno::OPNOTSUPP, why))?;
            let path = format!("sys/{}", sysctl_path(key));
            let how = ResolveFlags::BENEATH
                | ResolveFlags::NO_XDEV
                | ResolveFlags::NO_SYMLINKS
                | ResolveFlags::NO_MAGICLINKS;
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            let file = rustix::fs::openat2(&proc.mount, path, flags, Mode::empty(), how)
                .map_err(at(Step::Sysctl, key))?;
            rustix::io::write(&file, value.as_bytes()).map_err(at(Step::Sysctl, format!("{key}={value}")))?;
        }
        Ok(())
    }

    /// Directories get one empty read-only tmpfs, everything else the null device. Both are what we made or verified, held
    /// by descriptor, never a path of the container's (CVE-2025-31133).
    pub(super) fn mask(&mut self) -> Result<(), Failure> {
        let (mut empty, mut null): (Option<OwnedFd>, Option<OwnedFd>) = (None, None);
        for path in &self.launch.spec.linux.masked_paths {
            let Some(target) = self.existing(path, Step::Mask)? else { continue };
            let stat = rustix::fs::fstat(&target).map_err(at(Step::Mask, path))?;
            let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            let first = if is_dir { &mut empty } else { &mut null };
            let mask = match first {
                // Attached by now, so that kernels before 6.15 clone it too.
                Some(first) => mount::clone_fd(first.as_fd(), false).map_err(at(Step::Mask, path))?,
                None if is_dir => empty_dir().map_err(at(Step::Mask, path))?,
                None => host_null()?,
            };
            mount::attach(mask.as_fd(), target.as_fd()).map_err(at(Step::Mask, path))?;
            first.get_or_insert(mask);
        }
        Ok(())
    }

    /// Binds each path on itself, read-only with all that is mounted below it.
    pub(super) fn read_only_paths(&mut self) -> Result<(), Failure> {
        for path in &self.launch.spec.linux.readonly_paths {
            let Some(target) = self.existing(path, Step::ReadOnly)? else { continue };
            let copy = mount::clone_fd(target.as_fd(), true).map_err(at(Step::ReadOnly, path))?;
            let read_only = mount::Attributes {
                set: MountAttrFlags::MOUNT_ATTR_RDONLY,
                recursive: true,
                ..mount::Attributes::default()
            };
            mount::set_attributes(copy.as_fd(), read_only).map_err(at(Step::ReadOnly, path))?;
            mount::attach(copy.as_fd(), target.as_fd()).map_err(at(Step::ReadOnly, path))?;
        }
        Ok(())
    }

    fn existing(&self, path: &str, step: Step) -> Result<Option<OwnedFd>, Failure> {
        match self.root()?.open_at(Path::new(path), OFlags::PATH, Mode::empty()) {
            Ok(fd) => Ok(Some(fd)),
            Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
                // What isn't there needs no protection; kernels differ in what they have.
                Some(Errno::NOENT | Errno::NOTDIR) => Ok(None),
                _ => Err(at_io(step, path)(error)),
            },
        }
    }
}

fn empty_dir() -> Result<OwnedFd, Errno> {
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    mount::new_detached("tmpfs", Some("tmpfs"), &[("size", Some("0")), ("nr_inodes", Some("1"))], attributes)
}

/// The host's null device, which is still in sight, as a mount of ours.
fn host_null() -> Result<OwnedFd, Failure> {
    const PATH: &str = "/dev/null";
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let null = rustix::fs::open(PATH, flags, Mode::empty()).map_err(at(Step::Mask, PATH))?;
    if !is_device(null.as_fd(), NULL.0, NULL.1) {
        return Err(Failure::because(Step::Mask, PATH, Errno::NODEV, "it is not the null device"));
    }
    let mount = mount::clone_fd(null.as_fd(), false).map_err(at(Step::Mask, PATH))?;
    let private = mount::Attributes {
        propagation: Some(MountPropagationFlags::PRIVATE),
        ..mount::Attributes::default()
    };
    mount::set_attributes(mount.as_fd(), private).map_err(at(Step::Mask, PATH))?;
    Ok(mount)
}
