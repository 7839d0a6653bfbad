//! What this host lacks for containers, and what mends it.
//!
//! Looking is pure over a root directory, so that trees of files stand for machines in tests. Nothing here asks for
//! leave or changes anything: the caller shows what a [`Remedy`] does, and `mend.rs` does it.

use std::fs;
use std::path::{Path, PathBuf};

use corten_model::idmap::DEFAULT_RANGE;

use crate::ids::{self, Subordinate};
use crate::{Error, Result};

/// The first subordinate id that is given to anybody, as useradd(8) has it.
const FIRST_SUBORDINATE: u32 = 100_000;
/// Where the ranges of root's containers begin: nobody is given ids from there on.
const LAST_SUBORDINATE: u32 = 0x7000_0000;
/// Namespaces that one user may have where somebody forbade them altogether.
const NAMESPACES: &str = "15000";
/// What containers of a user can be limited by.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];
/// The oldest kernel that containers run on.
const OLDEST_KERNEL: (u32, u32) = (5, 15);
/// Namespaces that every container has, as /proc/sys/user calls them.
const KINDS: [&str; 6] = ["user", "mnt", "pid", "net", "ipc", "uts"];

/// Somebody of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The number.
    pub uid: u32,
}

/// Something that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// What it is, and what can't be had without it: a sentence without its full stop.
    pub what: String,
    /// What mends it.
    pub remedy: Remedy,
    /// Whether something can't be had without it; else it is only a good thing to have.
    pub hurts: bool,
}

/// What mends something; all of it needs root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Subordinate ids for a user: a line at the end of a file.
    Ids {
        /// `/etc/subuid` or `/etc/subgid`.
        file: &'static str,
        /// The line.
        line: String,
    },
    /// A file, and the file of /proc/sys that has the same effect at once.
    Sysctl {
        /// `user.max_user_namespaces`.
        name: String,
        /// Its value.
        value: &'static str,
    },
    /// A file of systemd's, which is then told to read its files anew.
    DropIn {
        /// Where.
        path: PathBuf,
        /// Its text.
        text: String,
    },
    /// A program of the host's, and the words that take it back.
    Run {
        /// The words.
        words: Vec<String>,
        /// What takes it back.
        undo: Vec<String>,
    },
    /// A directory.
    Directory(PathBuf),
    /// It is for this host's administrator to do, and nobody else.
    Yours(String),
}

impl std::fmt::Display for Remedy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Remedy::Ids { file, line } => write!(f, "add the line `{line}` to {file}"),
            Remedy::Sysctl { name, value } => {
                write!(f, "set {name} to {value}, now and in {}", sysctl_file(name).display())
            }
            Remedy::DropIn { path, text } => {
                let line = text.lines().last().unwrap_or_default();
                write!(f, "write `{line}` to {}, then `systemctl daemon-reload`", path.display())
            }
            Remedy::Run { words, .. } => write!(f, "run `{}`", words.join(" ")),
            Remedy::Directory(path) => write!(f, "make the directory {}", path.display()),
            Remedy::Yours(text) => f.write_str(text),
        }
    }
}

impl Remedy {
    /// How it is taken back; `None` if it isn't done here.
    pub fn undo(&self) -> Option<String> {
        match self {
            Remedy::Ids { file, line } => Some(format!("remove the line `{line}` from {file}")),
            Remedy::Sysctl { name, .. } => Some(format!("remove {}", sysctl_file(name).display())),
            Remedy::DropIn { path, .. } => Some(format!("remove {}", path.display())),
            Remedy::Run { undo, .. } => Some(format!("run `{}`", undo.join(" "))),
            Remedy::Directory(path) => Some(format!("remove {}", path.display())),
            Remedy::Yours(_) => None,
        }
    }
}

/// The file in which a kernel parameter outlives the next start.
pub(super) fn sysctl_file(name: &str) -> PathBuf {
    format!("/etc/sysctl.d/60-corten-{}.conf", name.rsplit('.').next().unwrap_or(name)).into()
}

/// The user with this name, or this number.
pub fn user(name: &str) -> Result<User> {
    let passwd = ids::read("/etc/passwd")?;
    let found = passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let uid: u32 = fields.get(2)?.parse().ok()?;
        (fields[0] == name || name.parse() == Ok(uid)).then(|| User { name: fields[0].to_owned(), uid })
    });
    found.ok_or_else(|| Error::NoSuch { what: "user", name: name.to_owned() })
}

/// What is missing on this host, for the containers of root and of `user`.
pub fn needs(user: &User) -> Vec<Need> {
    Look { root: Path::new("/"), needs: Vec::new() }.all(user)
}

struct Look<'a> {
    root: &'a Path,
    needs: Vec<Need>,
}

impl Look<'_> {
    fn all(mut self, user: &User) -> Vec<Need> {
        self.kernel();
        self.namespaces();
        match user.uid {
            0 => self.of_root(),
            _ => self.of_user(user),
        }
        self.needs
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok().map(|text| text.trim().to_owned())
    }

    fn need(&mut self, what: impl Into<String>, remedy: Remedy) {
        self.needs.push(Need { what: what.into(), remedy, hurts: true });
    }

    fn sysctl(&mut self, what: &str, name: &str, value: &'static str) {
        self.need(what, Remedy::Sysctl { name: name.into(), value });
    }

    fn kernel(&mut self) {
        let release = self.read("proc/sys/kernel/osrelease").unwrap_or_default();
        if release_of(&release).is_some_and(|found| found < OLDEST_KERNEL) {
            let (major, minor) = OLDEST_KERNEL;
            let remedy = Remedy::Yours(format!("boot Linux {major}.{minor} or a newer one"));
            self.need(format!("Linux {release} is too old for containers"), remedy);
        }
    }

    fn namespaces(&mut self) {
        for kind in KINDS {
            let name = format!("user.max_{kind}_namespaces");
            if self.read(&format!("proc/sys/{}", name.replace('.', "/"))).as_deref() == Some("0") {
                self.sysctl(
                    &format!("no {kind} namespaces can be made, so there are no containers"),
                    &name,
                    NAMESPACES,
                );
            }
        }
    }

    fn of_root(&mut self) {
        let configuration = Path::new("/etc/corten");
        if !self.root.join("etc/corten").exists() {
            let remedy = Remedy::Directory(configuration.to_owned());
            self.needs.push(Need {
                what: "there is no place for a configuration".into(),
                remedy,
                hurts: false,
            });
        }
        let memory = self.root.join("sys/fs/cgroup/memory");
        if memory.is_dir() && !memory.join("memory.memsw.limit_in_bytes").exists() {
            self.need("swap can't be limited", Remedy::Yours("boot with `swapaccount=1`".into()));
        }
    }

    fn of_user(&mut self, user: &User) {
        let is = |path: &str, value: &str| self.read(path).as_deref() == Some(value);
        let cloning = is("proc/sys/kernel/unprivileged_userns_clone", "0");
        let confined = is("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1");
        let what = "ordinary users can't make user namespaces, so they have no containers";
        if cloning {
            self.sysctl(what, "kernel.unprivileged_userns_clone", "1");
        }
        if confined {
            self.sysctl(what, "kernel.apparmor_restrict_unprivileged_userns", "0");
        }
        self.ids(user);
        self.groups(user);
    }

    fn ids(&mut self, user: &User) {
        let has_tool = |tool: &str| {
            ["usr/bin", "bin", "usr/local/bin"].iter().any(|dir| self.root.join(dir).join(tool).exists())
        };
        if !has_tool("newuidmap") || !has_tool("newgidmap") {
            let package = "install the package uidmap (shadow-utils on Fedora, shadow on Alpine and Arch)";
            self.need(
                "newuidmap and newgidmap are missing, so containers have one user id only",
                Remedy::Yours(package.into()),
            );
        }
        let files = ["/etc/subuid", "/etc/subgid"];
        let lists = files.map(|file| ids::parse_subordinate(&self.read(&file[1..]).unwrap_or_default()));
        let Some(first) = free_range(lists.iter().flatten()) else { return };
        let number = user.uid.to_string();
        for (file, list) in files.into_iter().zip(&lists) {
            if list.iter().any(|s| s.count > 0 && (s.owner == user.name || s.owner == number)) {
                continue;
            }
            let line = format!("{}:{first}:{DEFAULT_RANGE}", user.name);
            self.need(
                format!("{} has no ids in {file}, so containers have one id only", user.name),
                Remedy::Ids { file, line },
            );
        }
    }

    /// Limits, which an ordinary user has only where v2's groups are handed on to it.
    fn groups(&mut self, user: &User) {
        let has_systemd = self.root.join("run/systemd/system").is_dir();
        if !self.root.join("sys/fs/cgroup/cgroup.controllers").exists() {
            let boot = if has_systemd {
                "boot with `systemd.unified_cgroup_hierarchy=1`"
            } else {
                "mount cgroup v2 alone"
            };
            let what = format!("containers of {} can't be limited: this host has cgroup v1", user.name);
            self.need(what, Remedy::Yours(boot.into()));
        }
        if !has_systemd {
            return;
        }
        let uid = user.uid;
        let group =
            format!("sys/fs/cgroup/user.slice/user-{uid}.slice/user@{uid}.service/cgroup.controllers");
        let has = |list: &str, wanted: &str| list.split_whitespace().any(|word| word == wanted);
        if let Some(delegated) = self.read(&group) {
            let missing: Vec<&str> = CONTROLLERS.into_iter().filter(|c| !has(&delegated, c)).collect();
            if !missing.is_empty() {
                let remedy = Remedy::DropIn {
                    path: "/etc/systemd/system/user@.service.d/60-corten.conf".into(),
                    text: "[Service]\nDelegate=cpu cpuset io memory pids\n".into(),
                };
                self.need(
                    format!(
                        "{} of {} can't be limited: systemd doesn't delegate it",
                        missing.join(", "),
                        user.name
                    ),
                    remedy,
                );
            }
        }
        if !self.root.join("var/lib/systemd/linger").join(&user.name).exists() {
            let linger = |verb: &str| ["loginctl", verb, &user.name].map(str::to_owned).to_vec();
            let remedy = Remedy::Run { words: linger("enable-linger"), undo: linger("disable-linger") };
            self.need(format!("containers of {} end when the last session ends", user.name), remedy);
        }
    }
}

/// The first two numbers of a kernel's release.
pub(super) fn release_of(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|word| word.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// The first ids that are nobody's.
fn free_range<'s>(taken: impl Iterator<Item = &'s Subordinate>) -> Option<u32> {
    let mut sorted: Vec<_> = taken.collect();
    sorted.sort_by_key(|s| s.first);
    let mut first = FIRST_SUBORDINATE;
    for s in sorted {
        if u64::from(first) + u64::from(DEFAULT_RANGE) > u64::from(s.first) {
            first = first.max(s.first.checked_add(s.count)?);
        }
    }
    (first.checked_add(DEFAULT_RANGE)? <= LAST_SUBORDINATE).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine of files.
    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    fn remedies(files: &[(&str, &str)], uid: u32) -> Vec<String> {
        let user = User { name: "me".into(), uid };
        let machine = machine(files);
        let look = Look { root: machine.path(), needs: Vec::new() };
        look.all(&user).iter().map(|need| need.remedy.to_string()).collect()
    }

    const TOOLS: [(&str, &str); 3] =
        [("usr/bin/newuidmap", ""), ("usr/bin/newgidmap", ""), ("sys/fs/cgroup/cgroup.controllers", "")];
    const IDS: [(&str, &str); 2] =
        [("etc/subuid", "me:100000:65536\n"), ("etc/subgid", "1000:100000:65536\n")];

    #[test]
    fn a_host_that_has_everything_needs_nothing() {
        assert_eq!(remedies(&[&TOOLS[..], &IDS].concat(), 1000), Vec::<String>::new());
        assert_eq!(remedies(&[("etc/corten/config.toml", "")], 0), Vec::<String>::new());
        assert_eq!(remedies(&[], 0), ["make the directory /etc/corten"]);
    }

    #[test]
    fn ids_are_the_first_that_are_nobodys() {
        let others = [("etc/subuid", "a:100000:65536\nb:165536:65536\n"), ("etc/subgid", "c:250000:65536\n")];
        let expected = [
            "add the line `me:315536:65536` to /etc/subuid",
            "add the line `me:315536:65536` to /etc/subgid",
        ];
        assert_eq!(remedies(&[&TOOLS[..], &others].concat(), 1000), expected);
        let full = [("etc/subuid", "a:100000:1879048192\n")];
        assert_eq!(remedies(&[&TOOLS[..], &full].concat(), 1000), Vec::<String>::new());
    }

    #[test]
    fn what_the_kernel_forbids_is_a_parameter() {
        let ready = [&TOOLS[..], &IDS].concat();
        let check = |file: &str, value: &str, expected: &[&str]| {
            assert_eq!(remedies(&[&ready[..], &[(file, value)]].concat(), 1000), expected, "{file}");
        };
        let file = "/etc/sysctl.d/60-corten-max_user_namespaces.conf";
        let set = format!("set user.max_user_namespaces to 15000, now and in {file}");
        check("proc/sys/user/max_user_namespaces", "0\n", &[&set]);
        check("proc/sys/user/max_user_namespaces", "1000\n", &[]);
        let file = "/etc/sysctl.d/60-corten-unprivileged_userns_clone.conf";
        let set = format!("set kernel.unprivileged_userns_clone to 1, now and in {file}");
        check("proc/sys/kernel/unprivileged_userns_clone", "0", &[&set]);
        let file = "/etc/sysctl.d/60-corten-apparmor_restrict_unprivileged_userns.conf";
        let set = format!("set kernel.apparmor_restrict_unprivileged_userns to 0, now and in {file}");
        check("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", &[&set]);
        check("proc/sys/kernel/osrelease", "5.4.0-100-generic", &["boot Linux 5.15 or a newer one"]);
        check("proc/sys/kernel/osrelease", "6.1.0-9-amd64", &[]);
    }

    #[test]
    fn systemd_delegates_and_lets_linger() {
        let group = "sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/cgroup.controllers";
        let systemd = [("run/systemd/system/x", ""), (group, "memory pids\n")];
        let ready = [&TOOLS[..], &IDS, &systemd].concat();
        let expected = [
            "write `Delegate=cpu cpuset io memory pids` to /etc/systemd/system/user@.service.d/60-corten.conf, \
             then `systemctl daemon-reload`",
            "run `loginctl enable-linger me`",
        ];
        assert_eq!(remedies(&ready, 1000), expected);
        assert_eq!(
            remedies(&[&ready[..], &[("var/lib/systemd/linger/me", "")]].concat(), 1000),
            expected[..1]
        );
    }

    #[test]
    fn what_only_an_administrator_can_do_is_said() {
        let remedies = remedies(&IDS, 1000);
        assert!(remedies[0].starts_with("install the package uidmap"), "{remedies:?}");
        assert_eq!(remedies[1], "mount cgroup v2 alone");
        assert_eq!(Remedy::Yours("x".into()).undo(), None);
    }
}
