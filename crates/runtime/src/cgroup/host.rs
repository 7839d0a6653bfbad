//! What this machine has: which hierarchies are mounted where, and which group in each is ours to use.
//!
//! Reads `/proc/self/mountinfo` and `/proc/self/cgroup` once, nothing else. Pure over a root directory, so
//! that trees of files stand for machines in tests. Ours is the group that we are in, or, if that is a group
//! that Corten itself made for a keeper or a container, the one above it: the place is the same whoever asks.

use std::path::{Path, PathBuf};

use super::systemd::{self, Manager};
use super::{Error, file, v2};

/// The name of the group below which all of ours are.
pub(super) const OWN: &str = "corten";

/// Who makes the group that ours are below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// We do, below the group that we are in.
    Cgroupfs,
    /// systemd, as one delegated scope for all containers of the host or user.
    Systemd,
}

/// The hierarchies of this machine.
#[derive(Debug)]
pub struct Host {
    pub(super) v1: Vec<Hierarchy>,
    pub(super) v2: Option<Unified>,
    pub(super) systemd: Option<Systemd>,
}

/// The systemd that runs this machine.
#[derive(Debug)]
pub(super) struct Systemd {
    pub(super) manager: Manager,
    /// Where a v1 or hybrid machine's systemd keeps track of processes: the scope in that hierarchy.
    pub(super) tracking: Option<PathBuf>,
}

/// A v1 hierarchy with at least one controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) controllers: Vec<String>,
    /// Our own group in it.
    pub(super) base: PathBuf,
    /// Where systemd's scope for ours is, or would be.
    pub(super) scope: Option<PathBuf>,
}

/// The v2 hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unified {
    pub(super) mount: PathBuf,
    /// Our own group in it.
    pub(super) base: PathBuf,
    /// Where systemd's scope for ours is, or would be.
    pub(super) scope: Option<PathBuf>,
    /// Whether it has what v1 lacks.
    pub(super) is_used: bool,
}

impl Host {
    /// Looks at this machine.
    pub fn detect() -> Result<Host, Error> {
        Self::detect_at(Path::new("/"))
    }

    /// Looks at the machine whose `/proc`, `/sys` and `/run` are below `root`.
    pub fn detect_at(root: &Path) -> Result<Host, Error> {
        Self::look(root, root.join("proc/self/cgroup"), rustix::process::geteuid().as_raw())
    }

    /// As [`Host::detect`], from the place of another process, whose `/proc/<pid>/cgroup` is kept in this file: the
    /// groups that a keeper made are below the group that it was started in, which need not be ours.
    pub fn detect_as(own: &Path) -> Result<Host, Error> {
        Self::look(Path::new("/"), own.to_owned(), rustix::process::geteuid().as_raw())
    }

    fn look(root: &Path, own_path: PathBuf, uid: u32) -> Result<Host, Error> {
        let mountinfo = file::read(&root.join("proc/self/mountinfo"))?;
        let own = file::read(&own_path)?;
        let mounts: Vec<Mount<'_>> = mountinfo.lines().filter_map(Mount::parse).collect();
        let groups = own.lines().map(|line| Own::parse(line).ok_or(line)).collect::<Result<Vec<_>, _>>();
        let groups = groups.map_err(|line| Error::Parse { path: own_path, line: line.into() })?;
        // The directory is systemd's own way to say that it is the one who runs this machine: sd_booted(3).
        let is_systemd = root.join("run/systemd/system").is_dir();
        let manager = is_systemd.then(|| Manager::of_user(root, uid));
        let scope = manager.as_ref().map(|m| scope_group(root, &groups, m));
        let mut host = Host { v1: Vec::new(), v2: None, systemd: None };
        let mut tracking = None;
        for group in &groups {
            let fits = mounts.iter().filter(|m| m.has(group));
            let seen = |g: &str| fits.clone().find_map(|m| Some((m, m.directory(root, g)?)));
            let Some((mount, base)) = seen(outside_of_ours(group.path)) else { continue };
            let scope = scope.as_deref().and_then(|s| mount.directory(root, s));
            match group.controllers {
                "" => {
                    tracking = scope.clone().or(tracking);
                    host.v2 = Some(Unified { mount: mount.point(root), base, scope, is_used: true });
                }
                "name=systemd" => tracking = tracking.or(scope),
                named if named.starts_with("name=") => {}
                some => {
                    let controllers = some.split(',').map(String::from).collect();
                    host.v1.push(Hierarchy { controllers, base, scope });
                }
            }
        }
        if let Some(unified) = host.v2.as_mut().filter(|_| !host.v1.is_empty()) {
            // A controller is on one side only: what v2 has here was left to it on purpose. Devices aren't
            // a controller of v2, so they are its if v1 doesn't have them.
            let has = file::read(&unified.mount.join("cgroup.controllers")).unwrap_or_default();
            let wanted = has.split_whitespace().any(|name| v2::WANTED.contains(&name));
            let devices = host.v1.iter().any(|h| h.controllers.iter().any(|c| c == "devices"));
            unified.is_used = wanted || !devices;
        }
        host.systemd = manager.map(|manager| Systemd { manager, tracking });
        Ok(host)
    }

    /// `1`, `2`, `hybrid` (controllers on v1, v2 mounted as well), or `none`.
    pub fn version(&self) -> &'static str {
        match (self.v1.is_empty(), &self.v2) {
            (false, None) => "1",
            (false, Some(_)) => "hybrid",
            (true, Some(_)) => "2",
            (true, None) => "none",
        }
    }

    /// What groups can be limited by on this machine, whoever may do so.
    pub fn controllers(&self) -> Vec<String> {
        let v1 = self.v1.iter().flat_map(|hierarchy| hierarchy.controllers.iter().cloned());
        let mount = self.unified().map(|unified| unified.mount.join("cgroup.controllers"));
        let v2 = mount.and_then(|path| file::read(&path).ok()).unwrap_or_default();
        v1.chain(v2.split_whitespace().map(str::to_owned)).collect()
    }

    /// Who makes the group that ours are below.
    pub fn driver(&self) -> Driver {
        if self.systemd.is_some() { Driver::Systemd } else { Driver::Cgroupfs }
    }

    /// The host as if it had no systemd: groups are made below the one that we are in.
    #[must_use]
    pub fn without_systemd(mut self) -> Host {
        self.systemd = None;
        self.v1.iter_mut().for_each(|h| h.scope = None);
        self.v2.iter_mut().for_each(|u| u.scope = None);
        self
    }

    /// The host with its systemd to be spoken to elsewhere than at the usual places.
    #[must_use]
    pub fn with_manager(mut self, manager: Manager) -> Host {
        if let Some(systemd) = &mut self.systemd {
            systemd.manager = manager;
        }
        self
    }

    /// The v2 hierarchy, if containers are to be in it: a hybrid host's often has nothing that they need.
    pub(super) fn unified(&self) -> Option<&Unified> {
        self.v2.as_ref().filter(|unified| unified.is_used)
    }
}

/// Whether this process is root in the first user namespace.
pub(super) fn is_real_root() -> bool {
    let whole = |map: String| map.split_whitespace().eq(["0", "0", "4294967295"]);
    rustix::process::geteuid().is_root() && std::fs::read_to_string("/proc/self/uid_map").is_ok_and(whole)
}

/// The group above ours, if `group` is one of ours or below one.
fn outside_of_ours(group: &str) -> &str {
    let mut at = 0;
    for part in group.split('/') {
        if part == OWN {
            return group[..at].trim_end_matches('/');
        }
        at += part.len() + 1;
    }
    group
}

/// The scope's group, in every hierarchy that has it.
fn scope_group(root: &Path, groups: &[Own<'_>], manager: &Manager) -> String {
    let own = groups.iter().find(|g| g.controllers.is_empty());
    let own = own.or_else(|| groups.iter().find(|g| g.controllers == "name=systemd"));
    // Process 1 is systemd itself; who may not look at it (hidepid) takes it to be where it usually is.
    let first = file::read(&root.join("proc/1/cgroup")).unwrap_or_default();
    let of_first =
        first.lines().filter_map(Own::parse).find(|g| own.is_some_and(|o| o.controllers == g.controllers));
    let group = systemd::manager_group(
        manager.uid,
        own.map_or("/", |g| g.path),
        of_first.map_or("/init.scope", |g| g.path),
    );
    format!("{group}/{}/{}", manager.slice(), systemd::SCOPE)
}

/// A line of /proc/PID/cgroup.
struct Own<'a> {
    controllers: &'a str,
    path: &'a str,
}

impl<'a> Own<'a> {
    fn parse(line: &'a str) -> Option<Own<'a>> {
        let mut fields = line.splitn(3, ':').skip(1);
        Some(Own { controllers: fields.next()?, path: fields.next()? })
    }
}

/// A line of mountinfo that is a mount of a hierarchy.
struct Mount<'a> {
    version: u8,
    /// The group that is seen at the mount's top.
    root: &'a str,
    point: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Mount<'a>> {
        let (front, back) = line.split_once(" - ")?;
        let mut back = back.split(' ');
        let version = match back.next()? {
            "cgroup" => 1,
            "cgroup2" => 2,
            _ => return None,
        };
        let mut front = front.split(' ').skip(3);
        let (root, point) = (front.next()?, front.next()?);
        Some(Mount { version, root, point, options: back.nth(1).unwrap_or_default() })
    }

    /// Whether it shows the hierarchy of this line: each controller, or the name, is an option of the mount.
    fn has(&self, own: &Own<'_>) -> bool {
        match own.controllers {
            "" => self.version == 2,
            names => self.version == 1 && names.split(',').all(|n| self.options.split(',').any(|o| o == n)),
        }
    }

    fn point(&self, root: &Path) -> PathBuf {
        root.join(unescape(self.point).trim_start_matches('/'))
    }

    /// Where `group` is seen through this mount; not at all if it is above the mount's top.
    fn directory(&self, root: &Path, group: &str) -> Option<PathBuf> {
        let top = unescape(self.root);
        let top = top.trim_end_matches('/');
        let below = group.strip_prefix(top).filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
        // A process outside of its cgroup namespace's root sees its group as `/../…`.
        if below.split('/').any(|part| part == "..") {
            return None;
        }
        let below = below.trim_start_matches('/');
        let point = self.point(root);
        Some(if below.is_empty() { point } else { point.join(below) })
    }
}

/// mountinfo writes blanks, tabs, newlines and backslashes as octal numbers.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let code = rest.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        out.push_str(&rest[..at]);
        match code {
            Some(byte) if byte.is_ascii() => {
                out.push(char::from(byte));
                rest = &rest[at + 4..];
            }
            _ => {
                out.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests;
