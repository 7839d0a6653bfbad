//! The container's `/dev`: a tmpfs with device nodes and links.
//!
//! As root the parent makes it in the host's user namespace: only there mknod(2) makes nodes that open, and a
//! node bound from the host would carry the host's owners. Owners are the container's, by number; so no idmapped
//! tmpfs (6.3) is needed. Rootless the child makes it with empty files, and the host's nodes are bound on them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use corten_model::idmap::IdMap;
use corten_sys::mount::{Parameter, new_detached};
use corten_sys::path::Root;
use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid, chmodat, chownat, makedev, mknodat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use crate::spec::Device;
use crate::step::{Failure, Step, at, at_io};

/// What every container has: name and minor number of major 1, but for tty (5:0).
const STANDARD: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];
const DIRECTORIES: [&str; 3] = ["pts", "shm", "mqueue"];
const NODE_MODE: u32 = 0o666;

/// Who owns what is made, as the maker sees ids.
#[derive(Debug, Clone, Copy)]
pub struct Owners<'a> {
    map: Option<&'a IdMap>,
}

impl<'a> Owners<'a> {
    /// Ids outside of a user namespace with this map; without one they are themselves.
    pub fn new(map: Option<&'a IdMap>) -> Self {
        Self { map }
    }

    /// The ids outside for those inside; what isn't mapped stays with the maker.
    pub fn outside(&self, uid: u32, gid: u32) -> (Option<Uid>, Option<Gid>) {
        let (uid, gid) = match self.map {
            None => (Some(uid), Some(gid)),
            Some(map) => (map.uid_outside(uid), map.gid_outside(gid)),
        };
        (uid.map(Uid::from_raw), gid.map(Gid::from_raw))
    }
}

/// A tmpfs with everything but the nodes.
fn tmpfs(
    parameters: &[Parameter<'_>],
    attributes: MountAttrFlags,
    owners: &Owners<'_>,
) -> Result<OwnedFd, Failure> {
    let fail = |errno| Failure::new(Step::FileSystem, "/dev", errno);
    let attributes = attributes - MountAttrFlags::MOUNT_ATTR_NODEV - MountAttrFlags::MOUNT_ATTR_RDONLY;
    let dev = new_detached("tmpfs", Some("tmpfs"), parameters, attributes).map_err(fail)?;
    let (uid, gid) = owners.outside(0, 0);
    chownat(&dev, c"", uid, gid, AtFlags::EMPTY_PATH).map_err(fail)?;
    for name in DIRECTORIES {
        rustix::fs::mkdirat(&dev, name, Mode::from_raw_mode(0o755)).map_err(fail)?;
        chownat(&dev, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
    }
    for (name, target) in LINKS {
        rustix::fs::symlinkat(target, &dev, name).map_err(fail)?;
        chownat(&dev, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
    }
    Ok(dev)
}

/// A regular file to mount on.
fn file(dir: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    mknodat(dir, name, FileType::RegularFile, Mode::from_raw_mode(NODE_MODE), 0)
}

/// Makes `/dev` with nodes. Needs the host's CAP_MKNOD and CAP_CHOWN.
pub fn with_nodes(
    parameters: &[Parameter<'_>],
    attributes: MountAttrFlags,
    owners: &Owners<'_>,
    devices: &[Device],
) -> Result<OwnedFd, Failure> {
    // mknod obeys the umask, and so would a node's permissions.
    let umask = rustix::process::umask(Mode::empty());
    let made = tmpfs(parameters, attributes, owners).and_then(|dev| {
        for (name, major, minor) in STANDARD {
            node(
                dev.as_fd(),
                name,
                FileType::CharacterDevice,
                (major, minor),
                NODE_MODE,
                owners.outside(0, 0),
            )?;
        }
        extra_nodes(&dev, owners, devices)?;
        Ok(dev)
    });
    rustix::process::umask(umask);
    made
}

fn extra_nodes(dev: &OwnedFd, owners: &Owners<'_>, devices: &[Device]) -> Result<(), Failure> {
    for device in devices {
        let (parent, name) = place(dev, device)?;
        let kind = match device.kind.as_str() {
            "b" => FileType::BlockDevice,
            "p" => FileType::Fifo,
            _ => FileType::CharacterDevice,
        };
        let owner = owners.outside(device.uid.unwrap_or(0), device.gid.unwrap_or(0));
        let mode = device.file_mode.unwrap_or(NODE_MODE) & 0o7777;
        // A node of the spec takes the place of a standard one.
        match rustix::fs::unlinkat(&parent, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(at(Step::Device, &device.path)(errno)),
        }
        node(parent.as_fd(), &name, kind, (device.major, device.minor), mode, owner)
            .map_err(|failure| Failure { object: device.path.clone(), ..failure })?;
    }
    Ok(())
}

/// The directory in which a device belongs, made if it is missing, and its name.
fn place(dev: &OwnedFd, device: &Device) -> Result<(OwnedFd, String), Failure> {
    let below = device.path.strip_prefix("/dev/").unwrap_or_default();
    let dev = dev.try_clone().map_err(at_io(Step::Device, &device.path))?;
    let (parent, name) = Root::from_fd(dev)
        .create_parent(Path::new(below), Mode::from_raw_mode(0o755))
        .map_err(at_io(Step::Device, &device.path))?;
    Ok((parent, name.to_string_lossy().into_owned()))
}

fn node(
    dir: BorrowedFd<'_>,
    name: &str,
    kind: FileType,
    number: (u32, u32),
    mode: u32,
    (uid, gid): (Option<Uid>, Option<Gid>),
) -> Result<(), Failure> {
    let fail = |errno| Failure::new(Step::Device, format!("/dev/{name}"), errno);
    mknodat(dir, name, kind, Mode::from_raw_mode(mode), makedev(number.0, number.1)).map_err(fail)?;
    chownat(dir, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
    match mode & 0o7000 {
        0 => Ok(()),
        // chown took the bits above the permissions.
        _ => chmodat(dir, name, Mode::from_raw_mode(mode), AtFlags::empty()).map_err(fail),
    }
}

/// Makes `/dev` with empty files, and says which node of the host belongs on which of them.
pub fn with_files(
    parameters: &[Parameter<'_>],
    attributes: MountAttrFlags,
    devices: &[Device],
) -> Result<(OwnedFd, Vec<(String, String)>), Failure> {
    let dev = tmpfs(parameters, attributes, &Owners::new(None))?;
    let mut binds = Vec::new();
    for (name, ..) in STANDARD {
        file(dev.as_fd(), name).map_err(at(Step::Device, name))?;
        binds.push((name.to_owned(), format!("/dev/{name}")));
    }
    for device in devices {
        let (parent, name) = place(&dev, device)?;
        let stat = rustix::fs::stat(&device.path).map_err(at(Step::Device, &device.path))?;
        if stat.st_rdev != makedev(device.major, device.minor) {
            let why = "without root only the host's node of the same path and number can be had";
            return Err(Failure::because(Step::Device, &device.path, Errno::NODEV, why));
        }
        match file(parent.as_fd(), &name) {
            Ok(()) => binds.push((device.path["/dev/".len()..].to_owned(), device.path.clone())),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(at(Step::Device, &device.path)(errno)),
        }
    }
    Ok((dev, binds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_belong_to_the_containers_ids() {
        let map = IdMap::contiguous(200_000, 65_536);
        let device = Device {
            path: "/dev/net/tun".into(),
            kind: "c".into(),
            major: 10,
            minor: 200,
            file_mode: Some(0o600),
            gid: Some(5),
            ..Device::default()
        };
        let empty = MountAttrFlags::empty();
        let dev = with_nodes(&[("mode", Some("755"))], empty, &Owners::new(Some(&map)), &[device]).unwrap();
        let check = |name: &str, expected: (u32, u32, u32, u64)| {
            let s = rustix::fs::statat(&dev, name, AtFlags::SYMLINK_NOFOLLOW).unwrap();
            assert_eq!((s.st_uid, s.st_gid, s.st_mode & 0o7777, s.st_rdev), expected, "{name}");
        };
        check("null", (200_000, 200_000, 0o666, makedev(1, 3)));
        check("net/tun", (200_000, 200_005, 0o600, makedev(10, 200)));
        check(".", (200_000, 200_000, 0o755, 0));
        check("fd", (200_000, 200_000, 0o777, 0));
        assert!(rustix::fs::openat(&dev, "null", rustix::fs::OFlags::WRONLY, Mode::empty()).is_ok());
    }
}
