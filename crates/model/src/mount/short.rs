//! `-v [SOURCE:]TARGET[:OPTIONS]` and `--volumes-from CONTAINER[:OPTIONS]`.

use serde::{Deserialize, Serialize};

use super::fields::{once, unknown};
use super::{
    Bind, CONSISTENCIES, Flag, MountSource, MountSpec, Owner, PROPAGATIONS, Propagation, ReadOnlyBelow,
    Volume, clean_target, propagation, volume_name,
};
use crate::Invalid;

/// Options beside propagation and consistency.
const OPTIONS: [&str; 11] = ["ro", "rw", "rro", "z", "Z", "nocopy", "bind", "rbind", "idmap", "uid", "gid"];

/// Options of a `-v`; of each kind one at most.
#[derive(Default)]
struct Options {
    access: Option<(bool, ReadOnlyBelow)>,
    relabel: Option<bool>,
    propagation: Option<(Propagation, bool)>,
    no_copy: Option<bool>,
    consistency: Option<String>,
    recursive: Option<bool>,
    root: Option<bool>,
    uid: Option<u32>,
    gid: Option<u32>,
}

impl Options {
    fn parse(text: &str) -> Result<Self, String> {
        let mut options = Self::default();
        for word in text.split(',').filter(|word| !word.is_empty()) {
            options.set(word)?;
        }
        if options.root.is_some() && (options.uid.is_some() || options.gid.is_some()) {
            return Err("`idmap` and `uid=` or `gid=` exclude each other".into());
        }
        Ok(options)
    }

    fn set(&mut self, word: &str) -> Result<(), String> {
        let below = ReadOnlyBelow::Default;
        match word {
            "ro" => once(&mut self.access, "ro or rw", (true, below)),
            "rw" => once(&mut self.access, "ro or rw", (false, below)),
            "rro" => once(&mut self.access, "ro or rw", (true, ReadOnlyBelow::Forced)),
            "z" | "Z" => once(&mut self.relabel, "z or Z", true),
            "nocopy" => once(&mut self.no_copy, word, true),
            "rbind" => once(&mut self.recursive, "bind or rbind", true),
            "bind" => once(&mut self.recursive, "bind or rbind", false),
            "idmap" => once(&mut self.root, word, true),
            _ if CONSISTENCIES[..3].contains(&word) => {
                once(&mut self.consistency, "consistency", word.to_owned())
            }
            _ => match (propagation(word), word.split_once('=')) {
                (Some(propagation), _) => once(&mut self.propagation, "propagation", propagation),
                (None, Some(("uid", id))) => once(&mut self.uid, "uid", parse_id("uid", id)?),
                (None, Some(("gid", id))) => once(&mut self.gid, "gid", parse_id("gid", id)?),
                _ => {
                    let known = OPTIONS.into_iter().chain(CONSISTENCIES);
                    Err(unknown("option", word, known.chain(PROPAGATIONS.map(|(word, ..)| word))))
                }
            },
        }
    }

    fn owner(&self) -> Owner {
        match (self.root, self.uid, self.gid) {
            (Some(true), ..) => Owner::ROOT,
            (_, None, None) => Owner::Plain,
            (_, uid, gid) => Owner::As { uid, gid },
        }
    }
}

/// An id of a user or group.
pub(super) fn parse_id(key: &str, text: &str) -> Result<u32, String> {
    let id = text.parse::<u32>().ok().filter(|id| *id != u32::MAX);
    id.ok_or_else(|| format!("`{key}` is a number, not `{text}`"))
}

/// Parses `-v [SOURCE:]TARGET[:OPTIONS]`.
pub fn parse_volume(text: &str) -> Result<MountSpec, Invalid> {
    let bad = |why: String| {
        Invalid::new("volume", text, why).hint("write `[NAME|/HOST/PATH:]/CONTAINER/PATH[:ro]`")
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts[..] {
        // A path that ends in options would be taken for a source.
        [_, target] if !target.is_empty() && !target.starts_with('/') && Options::parse(target).is_ok() => {
            return Err(bad(format!("`{target}` are options, and a volume without a name has none")));
        }
        [target] => (None, target, ""),
        [source, target] => (Some(source), target, ""),
        [source, target, mode] => (Some(source), target, mode),
        _ => return Err(bad("too many colons".into())),
    };
    let target = clean_target(target).map_err(|why| bad(why.into()))?;
    let options = Options::parse(mode).map_err(bad)?;
    let (read_only, read_only_below) = options.access.unwrap_or_default();
    let source = match source {
        Some("") => return Err(bad("the source is empty".into())),
        Some(path) if path.starts_with('/') || path.starts_with('.') => {
            if options.no_copy.is_some() {
                return Err(bad("`nocopy` is for volumes".into()));
            }
            let (propagation, propagation_recursive) =
                options.propagation.unwrap_or((Propagation::Private, true));
            let recursive = options.recursive.unwrap_or(true);
            let bind = Bind::new(path, true);
            MountSource::Bind(Bind { recursive, propagation, propagation_recursive, read_only_below, ..bind })
        }
        volume => {
            if options.propagation.is_some() || options.recursive.is_some() {
                return Err(bad("propagation and recursion are for paths of the host".into()));
            }
            let name = volume.map(volume_name).transpose().map_err(bad)?;
            MountSource::Volume(Volume {
                name,
                no_copy: options.no_copy.unwrap_or(false),
                ..Volume::default()
            })
        }
    };
    Ok(MountSpec {
        read_only,
        mode: mode.to_owned(),
        relabel: options.relabel.unwrap_or(false),
        owner: options.owner(),
        consistency: options.consistency,
        ..MountSpec::new(source, target, Flag::Volume)
    })
}

/// A container whose mounts another one gets too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VolumesFrom {
    /// Its name or id, as it was typed.
    pub container: String,
    /// What was typed after it.
    pub mode: String,
}

impl VolumesFrom {
    /// Whether nothing of it may be written to.
    pub fn read_only(&self) -> bool {
        self.mode.split(',').any(|word| word == "ro")
    }

    /// Whether its files are to be relabelled.
    pub fn relabel(&self) -> bool {
        self.mode.split(',').any(|word| matches!(word, "z" | "Z"))
    }
}

impl std::str::FromStr for VolumesFrom {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = |why: String| Invalid::new("volumes-from", text, why).hint("write `CONTAINER[:ro|rw|z|Z]`");
        let (container, mode) = text.split_once(':').unwrap_or((text, ""));
        if container.is_empty() {
            return Err(bad("the container is empty".into()));
        }
        let options = Options::parse(mode).map_err(bad)?;
        let only_access = options.propagation.is_none()
            && options.no_copy.is_none()
            && options.recursive.is_none()
            && options.owner().is_plain();
        if !only_access || mode.split(',').any(|word| word == "rro") {
            return Err(bad(format!("what the other container has can't be changed by `{mode}`")));
        }
        Ok(Self { container: container.to_owned(), mode: mode.to_owned() })
    }
}

impl TryFrom<String> for VolumesFrom {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<VolumesFrom> for String {
    fn from(from: VolumesFrom) -> Self {
        match from.mode.is_empty() {
            true => from.container,
            false => format!("{}:{}", from.container, from.mode),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(name: &str) -> MountSource {
        MountSource::Volume(Volume { name: name.parse().ok(), ..Volume::default() })
    }

    fn parsed(text: &str) -> MountSpec {
        parse_volume(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn volumes_of_the_short_form() {
        let check = |text: &str, source: MountSource, target: &str, read_only| {
            let got = parsed(text);
            assert_eq!(
                (got.source, got.target.as_str(), got.read_only),
                (source, target, read_only),
                "{text}"
            );
        };
        let bind = |path: &str| MountSource::Bind(Bind::new(path, true));
        check("/data", volume(""), "/data", false);
        check("db:/var//lib/.", volume("db"), "/var/lib", false);
        check("/srv:/data:ro", bind("/srv"), "/data", true);
        check("./a:/b:", bind("./a"), "/b", false);
        check(".:/b", bind("."), "/b", false);
        for bad in [
            "",
            "x",
            "/a:b",
            "a/b:/c",
            "~/a:/c",
            "/a:/",
            "/a:/b/../c",
            "/a:/b:what",
            ":/b",
            "/a:/b:ro:x",
            "/a:ro",
            "/a:rw,z",
            "/a:/b:nocopy",
            "db:/b:rslave",
            "/a:/b:uid=x",
            "/a:/b:idmap,uid=1",
            "-x:/b",
        ] {
            assert!(parse_volume(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn options_of_a_kind_exclude_each_other() {
        for bad in ["ro,rw", "ro,ro", "z,Z", "shared,slave", "cached,delegated", "rbind,bind", "uid=1,uid=2"]
        {
            assert!(parse_volume(&format!("/a:/b:{bad}")).is_err(), "{bad}");
        }
        let spec = parsed("/a:/b:ro,Z,rslave,cached,gid=7");
        let MountSource::Bind(bind) = &spec.source else { panic!("{spec:?}") };
        assert_eq!((bind.propagation_word(), spec.relabel, spec.read_only), ("rslave", true, true));
        assert_eq!(spec.owner, Owner::As { uid: None, gid: Some(7) });
        assert_eq!(
            (spec.mode.as_str(), spec.consistency.as_deref()),
            ("ro,Z,rslave,cached,gid=7", Some("cached"))
        );
        let MountSource::Bind(bind) = parsed("/a:/b:rro,private").source else { panic!() };
        assert_eq!((bind.read_only_below, bind.propagation_word()), (ReadOnlyBelow::Forced, "private"));
        assert!(parsed("db:/b:nocopy").volume().unwrap().no_copy);
    }

    #[test]
    fn the_nearest_option_is_named() {
        let error = parse_volume("/a:/b:rsalve").unwrap_err().to_string();
        assert!(error.contains("`rsalve`: did you mean `rslave`?"), "{error}");
    }

    #[test]
    fn volumes_from() {
        let check = |text: &str, expected: Option<(&str, bool, bool)>| {
            let got = text.parse::<VolumesFrom>().ok();
            let got = got.as_ref().map(|f| (f.container.as_str(), f.read_only(), f.relabel()));
            assert_eq!(got, expected, "{text}");
        };
        check("db", Some(("db", false, false)));
        check("db:", Some(("db", false, false)));
        check("db:ro,z", Some(("db", true, true)));
        check("db:rw", Some(("db", false, false)));
        for bad in ["", ":ro", "db:what", "db:nocopy", "db:rslave", "db:ro,rw", "db:rro", "db:uid=1"] {
            check(bad, None);
        }
    }
}
