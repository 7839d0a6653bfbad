//! What the container sees of cgroups: its own directories, read-only, and none of the host's.
//!
//! Bound from outside, for both versions and with or without a cgroup namespace: the kernel refuses mounts of
//! version 1 to a user namespace, and a bind of the group can't be walked up from.

use std::os::fd::AsFd;
use std::path::{Component, Path, PathBuf};

use corten_sys::mount::{Attributes, clone_path, set_attributes};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountPropagationFlags};

use super::binds::Piece;
use crate::step::{Failure, Step, at};

const MOUNT_DIR: &str = "/sys/fs/cgroup";
/// Hierarchies of version 1 that programs size themselves by; each mount more costs every start.
const SHOWN: [&str; 5] = ["cpu", "cpuacct", "cpuset", "memory", "pids"];

/// The group's directories as mounts. One with an empty name is mounted on the target itself (version 2 alone),
/// others get directories of their names.
pub fn open(directories: &[PathBuf], attributes: MountAttrFlags) -> Result<Vec<Piece>, Failure> {
    let mut pieces = Vec::new();
    for (directory, below) in named(directories) {
        let path = directory.to_string_lossy();
        let mount = match clone_path(&path, false) {
            Ok(mount) => mount,
            // The caller made no such group; the container sees less.
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(at(Step::BindSource, path)(errno)),
        };
        let attributes = Attributes {
            set: attributes | MountAttrFlags::MOUNT_ATTR_RDONLY,
            propagation: Some(MountPropagationFlags::PRIVATE),
            ..Attributes::default()
        };
        set_attributes(mount.as_fd(), attributes).map_err(at(Step::MountAttributes, path))?;
        pieces.push(Piece { below, mount });
    }
    Ok(pieces)
}

/// The directories with the name of the hierarchy that each is in.
fn named(directories: &[PathBuf]) -> Vec<(&Path, String)> {
    if let [only] = directories
        && !is_hierarchy_of_version_1(only)
    {
        return vec![(only.as_path(), String::new())];
    }
    let shown = |name: &String| name.split(',').any(|controller| SHOWN.contains(&controller));
    directories.iter().filter_map(|d| Some((d.as_path(), hierarchy(d).filter(shown)?))).collect()
}

fn hierarchy(directory: &Path) -> Option<String> {
    match directory.strip_prefix(MOUNT_DIR).ok()?.components().next()? {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    }
}

fn is_hierarchy_of_version_1(directory: &Path) -> bool {
    // Only version 1 has this file.
    directory.join("tasks").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_have_names_and_version_2_alone_has_none() {
        let check = |paths: &[&str], expected: &[&str]| {
            let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
            assert_eq!(named(&paths).into_iter().map(|(_, name)| name).collect::<Vec<_>>(), expected);
        };
        check(&["/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/cpu,cpuacct/b"], &["memory", "cpu,cpuacct"]);
        check(&["/sys/fs/cgroup/user.slice/x"], &[""]);
        check(&["/elsewhere/a", "/sys/fs/cgroup/pids/a"], &["pids"]);
        check(&[], &[]);
    }
}
