//! The options of the `local` driver: where a volume's data is, if not in its own directory.
//!
//! `type` and `device` are those of mount(8), `o` its options. A bind shows a directory of the host; everything else is a
//! file system that each start mounts for its container, detached: the kernel knows a disk that is mounted already.

use std::collections::BTreeMap;
use std::path::PathBuf;

use corten_model::Invalid;
use corten_model::suggest::nearest;

/// The only driver.
pub const DRIVER: &str = "local";
/// Its options.
const KEYS: [&str; 4] = ["type", "device", "o", "size"];

/// Where the data of a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// In a directory: its own, or with options one of the host's.
    Directory {
        /// The directory.
        path: PathBuf,
        /// What is mounted below it is shown too.
        recursive: bool,
        /// Options of mount(8).
        words: Vec<String>,
    },
    /// In a file system of its own.
    FileSystem {
        /// Its type.
        fstype: String,
        /// The disk, or what that type takes for one.
        device: String,
        /// Options of mount(8).
        words: Vec<String>,
    },
}

impl Data {
    /// The volume's own directory.
    pub fn own(path: PathBuf) -> Self {
        Data::Directory { path, recursive: true, words: Vec::new() }
    }
}

/// Refuses a driver that isn't there.
pub fn check_driver(driver: Option<&str>) -> Result<(), Invalid> {
    match driver {
        None | Some("" | DRIVER) => Ok(()),
        Some(other) => {
            let why = "no such plugin: the only driver is `local`";
            Err(Invalid::new("volume driver", other, why).hint("leave the driver out"))
        }
    }
}

/// Refuses options that the driver doesn't have, or that make no sense together.
pub fn check(options: &BTreeMap<String, String>) -> Result<(), Invalid> {
    let bad = |why: String| Invalid::new("volume option", shown(options), why);
    if let Some(unknown) = options.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let near = nearest(unknown, KEYS.into_iter()).map(|near| format!(": did you mean `{near}`?"));
        return Err(bad(format!("the driver has no option `{unknown}`{}", near.unwrap_or_default())));
    }
    if options.contains_key("size") {
        return Err(bad("`size` needs quotas, which aren't built yet".into()));
    }
    let has = |key: &str| options.get(key).is_some_and(|value| !value.is_empty());
    for (key, needs) in [("device", "type"), ("type", "device"), ("o", "device"), ("o", "type")] {
        if has(key) && !has(needs) {
            return Err(bad(format!("`{key}` goes with `{needs}`")));
        }
    }
    match of(options) {
        Some(Data::Directory { path, .. }) if !path.is_absolute() => {
            Err(bad("the device of a bind is an absolute path".into()))
        }
        Some(Data::FileSystem { fstype, .. }) if fstype == "none" => {
            Err(bad("the type `none` goes with `o=bind`".into()))
        }
        // They would be the container's own instead of what the volume keeps.
        Some(Data::FileSystem { fstype, .. }) if matches!(fstype.as_str(), "proc" | "sysfs" | "devpts") => {
            Err(bad(format!("a volume can't be of the type `{fstype}`")))
        }
        _ => Ok(()),
    }
}

/// For messages; a password stays where it is.
fn shown(options: &BTreeMap<String, String>) -> String {
    let hide = |word: &str| match word.split_once('=') {
        Some((key @ ("password" | "pass"), _)) => format!("{key}=********"),
        _ => word.to_owned(),
    };
    let pairs = options
        .iter()
        .map(|(key, value)| format!("{key}={}", value.split(',').map(hide).collect::<Vec<_>>().join(",")));
    pairs.collect::<Vec<_>>().join(" ")
}

/// Where the options say that the data is; none: in the volume's directory.
pub fn of(options: &BTreeMap<String, String>) -> Option<Data> {
    let get = |key: &str| options.get(key).filter(|value| !value.is_empty());
    let (fstype, device) = (get("type")?.clone(), get("device")?.clone());
    let mut recursive = None;
    let mut words = Vec::new();
    for word in get("o").map(String::as_str).unwrap_or_default().split(',').filter(|word| !word.is_empty()) {
        match word {
            "bind" => recursive = Some(false),
            "rbind" => recursive = Some(true),
            other => words.push(other.to_owned()),
        }
    }
    Some(match recursive {
        Some(recursive) => Data::Directory { path: PathBuf::from(device), recursive, words },
        None if fstype == "bind" => Data::Directory { path: PathBuf::from(device), recursive: false, words },
        None => Data::FileSystem { fstype, device, words },
    })
}

/// Where the data of a volume is whose own directory is `own`.
pub fn data(options: &BTreeMap<String, String>, own: PathBuf) -> Data {
    of(options).unwrap_or_else(|| Data::own(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> BTreeMap<String, String> {
        let pairs = text.split_whitespace().map(|pair| pair.split_once('=').unwrap());
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn where_the_data_is() {
        let check = |text: &str, expected: Option<Data>| assert_eq!(of(&options(text)), expected, "{text}");
        let words = |text: &str| -> Vec<String> { text.split(',').map(str::to_owned).collect() };
        check("", None);
        let directory =
            |recursive| Data::Directory { path: "/srv".into(), recursive, words: words("ro,noexec") };
        check("type=none device=/srv o=bind,ro,noexec", Some(directory(false)));
        check("type=none device=/srv o=ro,rbind,noexec", Some(directory(true)));
        check(
            "type=tmpfs device=tmpfs o=size=100m,uid=1000",
            Some(Data::FileSystem {
                fstype: "tmpfs".into(),
                device: "tmpfs".into(),
                words: words("size=100m,uid=1000"),
            }),
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for good in ["", "type=none device=/a o=bind", "type=ext4 device=/dev/sdb1"] {
            check(&options(good)).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        for bad in [
            "colour=red",
            "size=10m",
            "type=tmpfs",
            "device=/dev/sdb1",
            "o=bind",
            "type=none device=/a",
            "type=none device=a o=bind",
            "type=proc device=proc",
        ] {
            assert!(check(&options(bad)).is_err(), "{bad}");
        }
        let error = check(&options("tpye=nfs")).unwrap_err().to_string();
        assert!(error.contains("did you mean `type`?"), "{error}");
        let error = check(&options("type=none device=//h/s o=username=a,password=secret")).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(check_driver(Some("rexray")).is_err() && check_driver(Some("local")).is_ok());
    }
}
