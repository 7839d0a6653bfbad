//! What is mounted into a container: `-v`, `--mount`, `--tmpfs`, `--volumes-from`.
//!
//! Here is what a mount is; how each flag writes it is in `mount/`. A source that begins with a dot is relative to where
//! the caller is, which nothing here knows: whoever parsed it makes it absolute.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Name;

mod fields;
mod long;
mod owner;
mod short;
mod tmpfs;

pub use long::parse_mount;
pub use owner::Owner;
pub use short::{VolumesFrom, parse_volume};
pub use tmpfs::parse_tmpfs;

/// One mount that a person asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountSpec {
    /// What is mounted.
    pub source: MountSource,
    /// The absolute path in the container, without `.` and `..`.
    pub target: String,
    /// Whether the container can't write to it.
    pub read_only: bool,
    /// The flag that asked for it: `inspect` tells each at a place of its own.
    #[serde(default)]
    pub flag: Flag,
    /// The options as they were typed after the last colon of `-v` or `--tmpfs`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// `consistent`, `cached`, `delegated`: for hosts that aren't Linux, kept for `inspect` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<String>,
    /// `z` or `Z`: its files get the container's SELinux label.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub relabel: bool,
    /// Whose files those of the source's owner are in the container.
    #[serde(default, skip_serializing_if = "Owner::is_plain")]
    pub owner: Owner,
}

/// The flag that asked for a mount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flag {
    /// `-v`.
    #[default]
    Volume,
    /// `--mount`.
    Mount,
    /// `--tmpfs`.
    Tmpfs,
    /// `--volumes-from`.
    VolumesFrom,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountSource {
    /// A path of the host.
    Bind(Bind),
    /// A volume by name; no name is a new anonymous one.
    Volume(Volume),
    /// Memory.
    Tmpfs {
        /// Most bytes, if limited.
        size_bytes: Option<u64>,
        /// Permissions of its root, 1777 octal if absent.
        mode: Option<u32>,
        /// `exec`, `noexec`, `suid`, …: options beside size and mode, as mount(8) has them.
        options: Vec<String>,
    },
    /// The files of an image; never to be written to.
    Image {
        /// The image as it was typed.
        reference: String,
        /// A path in it; absent is all of it.
        #[serde(default)]
        subpath: Option<String>,
    },
}

/// A path of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// The absolute path.
    pub path: String,
    /// Make a directory there if nothing is (`-v` does, `--mount` doesn't).
    pub create: bool,
    /// Mounts below the source are shown too.
    pub recursive: bool,
    /// How mounts travel between the two sides.
    pub propagation: Propagation,
    /// Whether those below the source travel likewise: `rshared` and not `shared`.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub propagation_recursive: bool,
    /// What read-only means for mounts below the source.
    #[serde(default, skip_serializing_if = "ReadOnlyBelow::is_default")]
    pub read_only_below: ReadOnlyBelow,
}

impl Bind {
    /// A directory or file with everything that is mounted below it.
    pub fn new(path: impl Into<String>, create: bool) -> Self {
        Self {
            path: path.into(),
            create,
            recursive: true,
            propagation: Propagation::Private,
            propagation_recursive: true,
            read_only_below: ReadOnlyBelow::Default,
        }
    }

    /// The propagation as mount(8) and Docker write it.
    pub fn propagation_word(&self) -> &'static str {
        match (self.propagation, self.propagation_recursive) {
            (Propagation::Private, true) => "rprivate",
            (Propagation::Private, false) => "private",
            (Propagation::Slave, true) => "rslave",
            (Propagation::Slave, false) => "slave",
            (Propagation::Shared, true) => "rshared",
            (Propagation::Shared, false) => "shared",
        }
    }
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

/// A volume, and how it is made if it isn't there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The volume's name.
    pub name: Option<Name>,
    /// Leave an empty volume empty: don't copy what the image has there.
    pub no_copy: bool,
    /// A path in it; absent is all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subpath: Option<String>,
    /// Labels of a new one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What makes a new one; absent is `local`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Options of the driver for a new one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// What `ro` means for what is mounted below the source of a bind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadOnlyBelow {
    /// It is read-only too.
    #[default]
    Default,
    /// It keeps what it had: `bind-recursive=writable`.
    Writable,
    /// It is read-only too, or the container doesn't start: `bind-recursive=readonly`.
    Forced,
}

impl ReadOnlyBelow {
    fn is_default(&self) -> bool {
        *self == ReadOnlyBelow::Default
    }
}

/// Mount propagation, as mount_namespaces(7) has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// Nothing travels.
    #[default]
    Private,
    /// From host to container.
    Slave,
    /// Both ways.
    Shared,
}

/// The words of propagation, whether each is of the mounts below too.
const PROPAGATIONS: [(&str, Propagation, bool); 6] = [
    ("private", Propagation::Private, false),
    ("rprivate", Propagation::Private, true),
    ("slave", Propagation::Slave, false),
    ("rslave", Propagation::Slave, true),
    ("shared", Propagation::Shared, false),
    ("rshared", Propagation::Shared, true),
];

fn propagation(word: &str) -> Option<(Propagation, bool)> {
    PROPAGATIONS.iter().find(|(known, ..)| *known == word).map(|(_, kind, recursive)| (*kind, *recursive))
}

/// Words of consistency that Docker knows.
const CONSISTENCIES: [&str; 4] = ["consistent", "cached", "delegated", "default"];

impl MountSpec {
    /// A mount without anything special.
    pub fn new(source: MountSource, target: impl Into<String>, flag: Flag) -> Self {
        Self {
            source,
            target: target.into(),
            read_only: false,
            flag,
            mode: String::new(),
            consistency: None,
            relabel: false,
            owner: Owner::Plain,
        }
    }

    /// The volume, if it is one.
    pub fn volume(&self) -> Option<&Volume> {
        match &self.source {
            MountSource::Volume(volume) => Some(volume),
            _ => None,
        }
    }

    /// `-v /PATH`: what Docker keeps with the image's volumes; any other mount at its target takes its place.
    pub fn gives_way(&self) -> bool {
        self.flag == Flag::Volume && self.volume().is_some_and(|volume| volume.name.is_none())
    }
}

/// The mounts as they count: of several equal ones one, and no volume without a name where something else is mounted.
pub fn settled(mounts: Vec<MountSpec>) -> Vec<MountSpec> {
    let mut kept: Vec<MountSpec> = Vec::new();
    for mount in &mounts {
        let is_beaten = mount.gives_way()
            && mounts.iter().any(|other| other.target == mount.target && !other.gives_way());
        if !is_beaten && !kept.contains(mount) {
            kept.push(mount.clone());
        }
    }
    kept
}

/// A target that two mounts have.
pub fn duplicate(mounts: &[MountSpec]) -> Option<&str> {
    let mut targets: Vec<&str> = mounts.iter().map(|mount| mount.target.as_str()).collect();
    targets.sort_unstable();
    targets.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

/// An absolute target without empty parts; `..` and the root itself are refused.
pub fn clean_target(target: &str) -> Result<String, &'static str> {
    if !target.starts_with('/') {
        return Err("the path in the container is absolute");
    }
    let parts: Vec<&str> = target.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    if parts.contains(&"..") {
        return Err("the path in the container has `..` in it");
    }
    if parts.is_empty() {
        return Err("the root itself can't be mounted over");
    }
    Ok(format!("/{}", parts.join("/")))
}

/// A path inside of a volume or image: relative, and not above it even on its way.
fn clean_subpath(path: &str) -> Result<String, &'static str> {
    if path.starts_with('/') {
        return Err("it is relative to what is mounted");
    }
    let mut parts = Vec::new();
    for part in path.split('/').filter(|p| !p.is_empty() && *p != ".") {
        match part {
            ".." if parts.pop().is_none() => return Err("it leads out of what is mounted"),
            ".." => {}
            part => parts.push(part),
        }
    }
    if parts.is_empty() { Err("it is empty") } else { Ok(parts.join("/")) }
}

/// What a volume is called; the hint is for whoever meant a directory.
fn volume_name(text: &str) -> Result<Name, String> {
    match text.parse::<Name>() {
        Ok(name) if name.as_str() == text => Ok(name),
        _ if text.contains('/') || text.starts_with('~') => Err(format!(
            "the source `{text}` is no volume's name, and a relative path: a directory of the host begins with `/` or `./`"
        )),
        _ => Err(format!(
            "the source `{text}` is no volume's name: 1 to 200 of `a-z A-Z 0-9 _ . -`, a letter or digit first"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_and_subpaths() {
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(clean_target(path).ok().as_deref(), expected, "{path}");
        };
        check("/a//b/.", Some("/a/b"));
        for bad in ["", "a", "/", "/./", "/a/../b"] {
            check(bad, None);
        }
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(clean_subpath(path).ok().as_deref(), expected, "{path}");
        };
        check("a/./b//c", Some("a/b/c"));
        check("a/../b", Some("b"));
        for bad in ["", ".", "/a", "..", "a/../../b", "a/.."] {
            check(bad, None);
        }
    }

    #[test]
    fn mounts_at_the_same_target() {
        let check = |texts: &[&str], expected: &[&str], twice: Option<&str>| {
            let mounts = settled(texts.iter().map(|text| parse_volume(text).unwrap()).collect());
            let wanted: Vec<_> = expected.iter().map(|text| parse_volume(text).unwrap()).collect();
            assert_eq!((&mounts, duplicate(&mounts)), (&wanted, twice), "{texts:?}");
        };
        check(&["/a", "/b:/a"], &["/b:/a"], None);
        check(&["/b:/a", "/a"], &["/b:/a"], None);
        check(&["/a", "/a", "/c"], &["/a", "/c"], None);
        check(&["/b:/a", "/b:/a"], &["/b:/a"], None);
        check(&["/b:/a", "/c", "/b:/a:ro"], &["/b:/a", "/c", "/b:/a:ro"], Some("/a"));
        check(&["v:/a/", "w:/a"], &["v:/a", "w:/a"], Some("/a"));
    }

    #[test]
    fn what_an_older_binary_wrote_is_read() {
        let text = r#"[{"source":{"bind":{"path":"/a","create":true,"recursive":true,"propagation":"slave"}},
            "target":"/b","read_only":true},
            {"source":{"volume":{"name":"db","no_copy":false}},"target":"/c","read_only":false},
            {"source":{"tmpfs":{"size_bytes":1,"mode":null,"options":["exec"]}},"target":"/d","read_only":false}]"#;
        let mounts: Vec<MountSpec> = serde_json::from_str(text).unwrap();
        let MountSource::Bind(bind) = &mounts[0].source else { panic!("{mounts:?}") };
        assert_eq!((bind.propagation_word(), mounts[0].flag), ("rslave", Flag::Volume));
        assert_eq!(mounts[1].volume().unwrap().name.as_ref().unwrap().as_str(), "db");
        let again: Vec<MountSpec> = serde_json::from_str(&serde_json::to_string(&mounts).unwrap()).unwrap();
        assert_eq!(again, mounts);
    }
}
