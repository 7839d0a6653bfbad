//! `--tmpfs /PATH[:size=64m,mode=1777,noexec]`: the words of mount(8), as far as a new tmpfs has a use for them.

use super::fields::unknown;
use super::{Flag, MountSource, MountSpec, clean_target};
use crate::Invalid;

/// Words that are handed to the runtime; of words that contradict each other the last one counts.
const WORDS: [&str; 18] = [
    "defaults",
    "exec",
    "noexec",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "sync",
    "async",
    "dirsync",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
];
/// Words with a value.
const KEYS: [&str; 7] = ["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"];
/// Words that say what a tmpfs of a container's own is anyway.
const NEEDLESS: [&str; 2] = ["private", "rprivate"];

/// Parses `--tmpfs /PATH[:size=64m,mode=1777,noexec]`.
pub fn parse_tmpfs(text: &str) -> Result<MountSpec, Invalid> {
    let bad =
        |why: String| Invalid::new("tmpfs", text, why).hint("write `/PATH[:size=64m,mode=1777,noexec]`");
    let (target, typed) = text.split_once(':').unwrap_or((text, ""));
    let target = clean_target(target).map_err(|why| bad(why.into()))?;
    let (mut size_bytes, mut mode, mut read_only, mut options) = (None, None, false, Vec::new());
    for option in typed.split(',').filter(|o| !o.is_empty()) {
        match option.split_once('=') {
            Some(("size", v)) if is_percentage(v) => options.push(option.to_owned()),
            Some(("size", v)) => size_bytes = Some(crate::bytes::parse_size("tmpfs size", v)?),
            Some(("mode", v)) => mode = Some(parse_mode(v).map_err(bad)?),
            Some(("uid" | "gid", v)) if v.parse::<u32>().is_ok() => options.push(option.to_owned()),
            Some((key @ ("nr_inodes" | "nr_blocks"), v)) => {
                let count = crate::bytes::parse_size("number", v).map_err(|e| bad(e.to_string()))?;
                options.push(format!("{key}={count}"));
            }
            Some(("mpol", v)) if !v.is_empty() => options.push(option.to_owned()),
            Some((key, v)) if KEYS.contains(&key) => return Err(bad(format!("`{key}` can't be `{v}`"))),
            None if option == "ro" => read_only = true,
            None if option == "rw" => read_only = false,
            None if WORDS.contains(&option) => options.push(option.to_owned()),
            None if NEEDLESS.contains(&option) => {}
            _ => {
                let key = option.split_once('=').map_or(option, |(key, _)| key);
                let known = WORDS.into_iter().chain(KEYS).chain(["ro", "rw"]);
                return Err(bad(unknown("option", key, known)));
            }
        }
    }
    let source = MountSource::Tmpfs { size_bytes, mode, options };
    Ok(MountSpec { read_only, mode: typed.to_owned(), ..MountSpec::new(source, target, Flag::Tmpfs) })
}

/// Of the machine's memory.
fn is_percentage(text: &str) -> bool {
    text.strip_suffix('%').is_some_and(|number| number.parse::<u8>().is_ok())
}

/// Permissions in octal.
pub(super) fn parse_mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|m| *m <= 0o7777);
    mode.ok_or_else(|| format!("the mode is octal, for example 1777, not `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tmpfs_options() {
        let spec = parse_tmpfs("/run:rw,size=64m,mode=755,noexec,nr_inodes=1k,uid=7,private").unwrap();
        let expected = MountSource::Tmpfs {
            size_bytes: Some(64 << 20),
            mode: Some(0o755),
            options: vec!["noexec".into(), "nr_inodes=1024".into(), "uid=7".into()],
        };
        assert_eq!((spec.source, spec.read_only), (expected, false));
        assert_eq!(spec.mode, "rw,size=64m,mode=755,noexec,nr_inodes=1k,uid=7,private");
        let MountSource::Tmpfs { size_bytes, options, .. } = parse_tmpfs("/t:size=50%").unwrap().source
        else {
            panic!("it is a tmpfs")
        };
        assert_eq!((size_bytes, options), (None, vec!["size=50%".to_owned()]));
        assert!(parse_tmpfs("/run:ro").unwrap().read_only);
        for bad in
            ["run", "/run:foo", "/run:mode=999", "/run:uid=x", "/run:size=x", "/run:remount", "/run:shared"]
        {
            assert!(parse_tmpfs(bad).is_err(), "{bad}");
        }
        let error = parse_tmpfs("/run:noexc").unwrap_err().to_string();
        assert!(error.contains("did you mean `noexec`?"), "{error}");
    }
}
