//! What is mounted into a container: `-v`, `--mount`, `--tmpfs`.

use serde::{Deserialize, Serialize};

use crate::{Invalid, Name};

/// One mount that a person asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountSpec {
    /// What is mounted.
    pub source: MountSource,
    /// The absolute path in the container, without `.` and `..`.
    pub target: String,
    /// Whether the container can't write to it.
    pub read_only: bool,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountSource {
    /// A path of the host.
    Bind {
        /// The absolute path.
        path: String,
        /// Make a directory there if nothing is (`-v` does, `--mount` doesn't).
        create: bool,
        /// Mounts below the source are shown too.
        recursive: bool,
        /// How mounts travel between the two sides.
        propagation: Propagation,
    },
    /// A volume by name; no name is a new anonymous one.
    Volume {
        /// The volume's name.
        name: Option<Name>,
        /// Leave an empty volume empty: don't copy what the image has there.
        no_copy: bool,
    },
    /// Memory.
    Tmpfs {
        /// Most bytes, if limited.
        size_bytes: Option<u64>,
        /// Permissions of its root, 1777 octal if absent.
        mode: Option<u32>,
        /// `exec`, `noexec`, `suid`, …: options beside size and mode, as mount(8) has them.
        options: Vec<String>,
    },
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

/// Parses `-v [SOURCE:]TARGET[:OPTIONS]`.
pub fn parse_volume(text: &str) -> Result<MountSpec, Invalid> {
    let bad = |why: String| {
        Invalid::new("volume", text, why).hint("write `[NAME|/HOST/PATH:]/CONTAINER/PATH[:ro]`")
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => (None, target, ""),
        [source, target] => (Some(source), target, ""),
        [source, target, options] => (Some(source), target, options),
        _ => return Err(bad("too many colons".into())),
    };
    let target = clean_target(target).map_err(|why| bad(why.into()))?;
    let mut read_only = false;
    let (mut no_copy, mut recursive, mut propagation) = (false, true, Propagation::Private);
    for option in options.split(',').filter(|o| !o.is_empty()) {
        match option {
            "ro" => read_only = true,
            "rw" => read_only = false,
            "nocopy" => no_copy = true,
            "rbind" => recursive = true,
            "bind" => recursive = false,
            "private" | "rprivate" => propagation = Propagation::Private,
            "slave" | "rslave" => propagation = Propagation::Slave,
            "shared" | "rshared" => propagation = Propagation::Shared,
            "z" | "Z" => {}
            other => return Err(bad(format!("unknown option `{other}`"))),
        }
    }
    let source = match source {
        None => MountSource::Volume { name: None, no_copy },
        Some("") => return Err(bad("the source is empty".into())),
        Some(path) if path.starts_with('/') => {
            MountSource::Bind { path: path.to_owned(), create: true, recursive, propagation }
        }
        Some(path) if path.starts_with('.') || path.contains('/') => {
            return Err(bad(format!("the source `{path}` is a relative path")));
        }
        Some(name) => {
            MountSource::Volume { name: Some(name.parse().map_err(|e: Invalid| bad(e.why))?), no_copy }
        }
    };
    Ok(MountSpec { source, target, read_only })
}

/// Parses `--mount type=bind,source=/a,target=/b,readonly`: comma-separated, each key known, each once.
pub fn parse_mount(text: &str) -> Result<MountSpec, Invalid> {
    let bad = |why: String| {
        Invalid::new("mount", text, why)
            .hint("write `type=bind|volume|tmpfs,source=…,target=/PATH[,readonly]`")
    };
    let mut fields = Fields::default();
    for field in text.split(',') {
        let (key, value) = field.split_once('=').map_or((field, None), |(k, v)| (k, Some(v)));
        fields.set(key, value).map_err(bad)?;
    }
    let target = fields.target.take().ok_or_else(|| bad("no target".into()))?;
    let target = clean_target(&target).map_err(|why| bad(why.into()))?;
    let read_only = fields.read_only.unwrap_or(false);
    let source = fields.source().map_err(bad)?;
    Ok(MountSpec { source, target, read_only })
}

/// The fields of a `--mount`, before it is known which kind it is.
#[derive(Default)]
struct Fields {
    kind: Option<String>,
    source: Option<String>,
    target: Option<String>,
    read_only: Option<bool>,
    propagation: Option<Propagation>,
    non_recursive: Option<bool>,
    no_copy: Option<bool>,
    size_bytes: Option<u64>,
    mode: Option<u32>,
}

fn once<T>(slot: &mut Option<T>, key: &str, value: T) -> Result<(), String> {
    if slot.replace(value).is_some() { Err(format!("`{key}` is given twice")) } else { Ok(()) }
}

fn flag(key: &str, value: Option<&str>) -> Result<bool, String> {
    match value {
        None | Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(other) => Err(format!("`{key}` is true or false, not `{other}`")),
    }
}

impl Fields {
    fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        let text = || value.filter(|v| !v.is_empty()).ok_or_else(|| format!("`{key}` needs a value"));
        match key {
            "type" => once(&mut self.kind, key, text()?.to_owned()),
            "source" | "src" => once(&mut self.source, key, text()?.to_owned()),
            "target" | "dst" | "destination" => once(&mut self.target, key, text()?.to_owned()),
            "readonly" | "ro" => once(&mut self.read_only, key, flag(key, value)?),
            "bind-nonrecursive" => once(&mut self.non_recursive, key, flag(key, value)?),
            "bind-recursive" => match text()? {
                "enabled" => once(&mut self.non_recursive, key, false),
                "disabled" => once(&mut self.non_recursive, key, true),
                other => Err(format!("`{key}` is enabled or disabled, not `{other}`")),
            },
            "bind-propagation" => {
                let propagation = match text()? {
                    "private" | "rprivate" => Propagation::Private,
                    "slave" | "rslave" => Propagation::Slave,
                    "shared" | "rshared" => Propagation::Shared,
                    other => return Err(format!("unknown propagation `{other}`")),
                };
                once(&mut self.propagation, key, propagation)
            }
            "volume-nocopy" => once(&mut self.no_copy, key, flag(key, value)?),
            "tmpfs-size" => {
                let size = crate::bytes::parse_size("tmpfs size", text()?).map_err(|e| e.to_string())?;
                once(&mut self.size_bytes, key, size)
            }
            "tmpfs-mode" => {
                let mode = u32::from_str_radix(text()?, 8).ok().filter(|m| *m <= 0o7777);
                once(&mut self.mode, key, mode.ok_or("the mode is octal, for example 1777")?)
            }
            other => Err(format!("unknown key `{other}`")),
        }
    }

    fn source(self) -> Result<MountSource, String> {
        let is_bind_only = self.propagation.is_some() || self.non_recursive.is_some();
        let is_tmpfs_only = self.size_bytes.is_some() || self.mode.is_some();
        let kind = self.kind.as_deref().unwrap_or("volume");
        if is_bind_only && kind != "bind"
            || is_tmpfs_only && kind != "tmpfs"
            || self.no_copy.is_some() && kind != "volume"
        {
            return Err(format!("an option of another type stands with type `{kind}`"));
        }
        match kind {
            "bind" => {
                let path = self.source.ok_or("a bind needs a source")?;
                if !path.starts_with('/') {
                    return Err(format!("the source `{path}` is a relative path"));
                }
                let recursive = !self.non_recursive.unwrap_or(false);
                Ok(MountSource::Bind {
                    path,
                    create: false,
                    recursive,
                    propagation: self.propagation.unwrap_or_default(),
                })
            }
            "volume" => {
                let name = self.source.map(|n| n.parse::<Name>().map_err(|e| e.to_string())).transpose()?;
                Ok(MountSource::Volume { name, no_copy: self.no_copy.unwrap_or(false) })
            }
            "tmpfs" if self.source.is_some() => Err("a tmpfs has no source".into()),
            "tmpfs" => {
                Ok(MountSource::Tmpfs { size_bytes: self.size_bytes, mode: self.mode, options: Vec::new() })
            }
            other => Err(format!("unknown type `{other}`")),
        }
    }
}

/// Parses `--tmpfs /PATH[:size=64m,mode=1777,noexec]`.
pub fn parse_tmpfs(text: &str) -> Result<MountSpec, Invalid> {
    let bad =
        |why: String| Invalid::new("tmpfs", text, why).hint("write `/PATH[:size=64m,mode=1777,noexec]`");
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let target = clean_target(target).map_err(|why| bad(why.into()))?;
    let (mut size_bytes, mut mode, mut read_only, mut rest) = (None, None, false, Vec::new());
    for option in options.split(',').filter(|o| !o.is_empty()) {
        match option.split_once('=') {
            Some(("size", v)) => size_bytes = Some(crate::bytes::parse_size("tmpfs size", v)?),
            Some(("mode", v)) => {
                let parsed = u32::from_str_radix(v, 8).ok().filter(|m| *m <= 0o7777);
                mode = Some(parsed.ok_or_else(|| bad("the mode is octal".into()))?);
            }
            Some(("uid" | "gid" | "nr_inodes", v)) if v.parse::<u32>().is_ok() => {
                rest.push(option.to_owned())
            }
            None if option == "ro" => read_only = true,
            None if option == "rw" => read_only = false,
            None if matches!(option, "exec" | "noexec" | "suid" | "nosuid" | "dev" | "nodev") => {
                rest.push(option.to_owned())
            }
            _ => return Err(bad(format!("unknown option `{option}`"))),
        }
    }
    Ok(MountSpec { source: MountSource::Tmpfs { size_bytes, mode, options: rest }, target, read_only })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(path: &str, create: bool) -> MountSource {
        MountSource::Bind { path: path.into(), create, recursive: true, propagation: Propagation::Private }
    }

    #[test]
    fn volumes_of_the_short_form() {
        let check = |text: &str, source: MountSource, target: &str, read_only| {
            assert_eq!(
                parse_volume(text),
                Ok(MountSpec { source, target: target.into(), read_only }),
                "{text}"
            );
        };
        check("/data", MountSource::Volume { name: None, no_copy: false }, "/data", false);
        check(
            "db:/var//lib/.",
            MountSource::Volume { name: Some("db".parse().unwrap()), no_copy: false },
            "/var/lib",
            false,
        );
        check("/srv:/data:ro", bind("/srv", true), "/data", true);
        for bad in
            ["", "x", "/a:b", "./a:/b", "a/b:/c", "/a:/", "/a:/b/../c", "/a:/b:what", ":/b", "/a:/b:ro:x"]
        {
            assert!(parse_volume(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mounts_of_the_long_form() {
        let check = |text: &str, source: MountSource, read_only| {
            assert_eq!(parse_mount(text), Ok(MountSpec { source, target: "/t".into(), read_only }), "{text}");
        };
        check("type=bind,src=/a,dst=/t,readonly", bind("/a", false), true);
        check(
            "source=db,target=/t",
            MountSource::Volume { name: Some("db".parse().unwrap()), no_copy: false },
            false,
        );
        let tmpfs = MountSource::Tmpfs { size_bytes: Some(1 << 20), mode: Some(0o700), options: vec![] };
        check("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=700", tmpfs, false);
    }

    #[test]
    fn a_smuggled_or_doubled_option_is_refused() {
        for bad in [
            "",
            "type=bind,target=/t",
            "type=bind,source=a,target=/t",
            "type=bind,source=/a,target=/t,bind-propagation=evil",
            "type=bind,source=/a,target=/t,target=/u",
            "type=bind,source=/a,target=/t,dst=/u",
            "type=bind,source=/a,target=/t,tmpfs-size=1m",
            "type=volume,target=/t,bind-propagation=shared",
            "type=tmpfs,source=/a,target=/t",
            "type=npipe,target=/t",
            "type=bind,source=/a,target=/t,readonly=maybe",
            "type=bind,source=/a,target=/t,",
        ] {
            assert!(parse_mount(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tmpfs_options() {
        let spec = parse_tmpfs("/run:size=64m,mode=755,noexec").unwrap();
        let expected = MountSource::Tmpfs {
            size_bytes: Some(64 << 20),
            mode: Some(0o755),
            options: vec!["noexec".into()],
        };
        assert_eq!(spec.source, expected);
        for bad in ["run", "/run:foo", "/run:mode=999", "/run:uid=x"] {
            assert!(parse_tmpfs(bad).is_err(), "{bad}");
        }
    }
}
