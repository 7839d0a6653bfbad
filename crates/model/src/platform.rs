//! Platforms: `os[/architecture[/variant]]`, named as Go names them, with the other names that people type.

use std::fmt;
use std::str::FromStr;

use crate::Invalid;
use crate::image::HOST_ARCHITECTURE;

/// Operating systems that a word alone can mean.
const SYSTEMS: [&str; 7] = ["linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris"];
/// A program of another architecture that the machine runs is worse than one of any variant of its own.
const OTHER_FAMILY: u32 = 100;
/// Bytes of each part.
const PART_MAX: usize = 64;

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, `arm`.
    pub architecture: String,
    /// `v7`; `None` for the usual one.
    pub variant: Option<String>,
}

impl Platform {
    /// A platform in its usual form: `x86_64` is `amd64`, and `arm64/v8` is `arm64`.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let architecture = architecture.to_ascii_lowercase();
        let variant = variant.filter(|v| !v.is_empty()).map(str::to_ascii_lowercase);
        let (architecture, implied) = match architecture.as_str() {
            "x86_64" | "x86-64" => ("amd64", None),
            "i386" | "i686" | "x86" => ("386", None),
            "aarch64" => ("arm64", None),
            "armhf" => ("arm", Some("v7")),
            "armel" => ("arm", Some("v6")),
            other => (other, None),
        };
        let variant = variant.or_else(|| implied.map(str::to_owned));
        let variant = match (architecture, variant.as_deref()) {
            ("arm64", Some("v8" | "8")) | ("amd64", Some("v1")) => None,
            ("arm", None | Some("7")) => Some("v7".to_owned()),
            ("arm", Some("5" | "6" | "8")) => variant.map(|digit| format!("v{digit}")),
            _ => variant,
        };
        Self { os: os.to_ascii_lowercase(), architecture: architecture.to_owned(), variant }
    }

    /// This machine's.
    pub fn host() -> Self {
        Self::new("linux", HOST_ARCHITECTURE, None)
    }

    /// How well images for `other` run on a machine of this platform, the least best; `None`: not at all.
    pub fn rank(&self, other: &Platform) -> Option<u32> {
        if self.os != other.os {
            return None;
        }
        match (self.architecture.as_str(), other.architecture.as_str()) {
            _ if self == other => Some(0),
            // Newer variants need what not every machine of the family has.
            (ours, theirs) if ours == theirs => Some(1),
            ("amd64", "386") | ("arm64", "arm") => Some(2),
            _ => None,
        }
    }

    /// How well images for `other` serve who wants this platform, the least best; `None`: not at all. As containerd has
    /// it: an `amd64/v3` takes everything from its level down, then `386`, and nothing above.
    pub fn fit(&self, other: &Platform) -> Option<u32> {
        if self.os != other.os {
            return None;
        }
        let down = |ours: u32, theirs: u32| ours.checked_sub(theirs);
        match (self.architecture.as_str(), other.architecture.as_str()) {
            _ if self == other => Some(0),
            ("amd64", "amd64") => down(self.level(1)?, other.level(1)?),
            ("arm", "arm") => down(self.level(7)?, other.level(7)?),
            ("arm64", "arm64") => down(self.level(8)?, other.level(8)?),
            ("amd64", "386") => Some(OTHER_FAMILY),
            ("arm64", "arm") => Some(OTHER_FAMILY + down(8, other.level(7)?)?),
            (ours, theirs) if ours == theirs && other.variant.is_none() => Some(1),
            _ => None,
        }
    }

    /// The number of the variant, or the usual one of its architecture.
    fn level(&self, usual: u32) -> Option<u32> {
        match &self.variant {
            None => Some(usual),
            Some(variant) => variant.strip_prefix('v').unwrap_or(variant).parse().ok(),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match (self.architecture.as_str(), &self.variant) {
            (_, Some(variant)) => write!(f, "/{variant}"),
            ("arm64", None) => f.write_str("/v8"),
            _ => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = |why| Invalid::new("platform", text, why).hint("for example `linux/amd64`");
        let parts: Vec<&str> = text.split('/').collect();
        let sound = |part: &&str| {
            part.starts_with(|first: char| first.is_ascii_alphanumeric())
                && part.len() <= PART_MAX
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        if !parts.iter().all(sound) {
            return Err(bad(
                "its parts are words of letters, digits, `_`, `-` and `.`, and begin with none of the last three",
            ));
        }
        match parts.as_slice() {
            [os] if SYSTEMS.contains(&os.to_ascii_lowercase().as_str()) => {
                Ok(Self::new(os, HOST_ARCHITECTURE, None))
            }
            [architecture] => Ok(Self::new("linux", architecture, None)),
            [os, architecture] => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] => Ok(Self::new(os, architecture, Some(variant))),
            _ => Err(bad("it is `os[/architecture[/variant]]`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_in_their_usual_form() {
        for (typed, shown) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("amd64", "linux/amd64"),
            ("Linux/arm64", "linux/arm64/v8"),
            ("linux/arm64/v8", "linux/arm64/v8"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/v6", "linux/arm/v6"),
            ("windows/amd64", "windows/amd64"),
        ] {
            let platform: Platform = typed.parse().unwrap();
            assert_eq!(platform.to_string(), shown);
            assert_eq!(shown.parse::<Platform>().unwrap(), platform);
        }
        assert_eq!("linux".parse::<Platform>().unwrap(), Platform::host());
        for bad in ["", "/", "linux/", "a/b/c/d", "li nux", "../etc"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_runs_where() {
        let check = |ours: &str, theirs: &str, rank: Option<u32>| {
            let (ours, theirs): (Platform, Platform) = (ours.parse().unwrap(), theirs.parse().unwrap());
            assert_eq!(ours.rank(&theirs), rank, "{ours} {theirs}");
        };
        check("linux/amd64", "linux/amd64", Some(0));
        check("linux/amd64", "linux/amd64/v3", Some(1));
        check("linux/amd64", "linux/386", Some(2));
        check("linux/amd64", "linux/arm64", None);
        check("linux/amd64", "windows/amd64", None);
    }
    #[test]
    fn what_serves_whom() {
        let best = |wanted: &str, there: &[&str]| {
            let wanted: Platform = wanted.parse().unwrap();
            let there = there.iter().map(|text| text.parse::<Platform>().unwrap());
            let best =
                there.filter_map(|other| Some((wanted.fit(&other)?, other))).min_by_key(|(fit, _)| *fit);
            best.map(|(_, other)| other.to_string()).unwrap_or_default()
        };
        let all = ["linux/386", "linux/amd64", "linux/amd64/v2", "linux/amd64/v3", "linux/amd64/v4"];
        assert_eq!(best("linux/amd64/v3", &all), "linux/amd64/v3");
        assert_eq!(best("linux/amd64/v3", &[all[0], all[1], all[4]]), "linux/amd64");
        assert_eq!(best("linux/amd64", &all[2..]), "");
        assert_eq!(best("linux/amd64", &all[..1]), "linux/386");
        assert_eq!(best("linux/arm64", &["linux/arm/v6", "linux/arm/v7", "linux/amd64"]), "linux/arm/v7");
        assert_eq!(best("linux/arm/v6", &["linux/arm/v7", "linux/arm/v5"]), "linux/arm/v5");
        assert_eq!(best("linux/riscv64", &["linux/riscv64"]), "linux/riscv64");
        assert_eq!(best("linux/amd64", &["windows/amd64"]), "");
    }
}
