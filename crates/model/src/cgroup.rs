//! Below which group a container's is made: `--cgroup-parent`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// The deepest that a parent may be.
const DEPTH_MAX: usize = 8;
/// The longest name of a group.
const NAME_MAX_BYTES: usize = 128;
/// Names that groups of ours have a use for.
const OURS: [&str; 4] = ["corten", "keeper", "payload", "leaving"];

/// A path of groups below the one that is ours; a slash before it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CgroupParent(String);

impl CgroupParent {
    /// As it was typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The groups, from the top down.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|part| !part.is_empty())
    }

    /// The same as a slice of systemd: `a-b.slice` is in `a.slice`.
    pub fn slices(&self) -> Result<Vec<String>, Invalid> {
        let bad = || {
            let why = "cgroup-parent for systemd cgroup should be a valid slice named as \"xxx.slice\"";
            Invalid::new("cgroup parent", &self.0, why)
        };
        let name = self.0.strip_suffix(".slice").filter(|name| !name.is_empty() && !name.contains('/'));
        let words: Vec<&str> = name.ok_or_else(bad)?.split('-').collect();
        if words.iter().any(|word| word.is_empty()) || words.len() > DEPTH_MAX {
            return Err(bad());
        }
        Ok((1..=words.len()).map(|count| format!("{}.slice", words[..count].join("-"))).collect())
    }
}

impl FromStr for CgroupParent {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = |why: &str| {
            Invalid::new("cgroup parent", text, why).hint("it is a path below the group that is Corten's own")
        };
        let parent = Self(text.to_owned());
        let parts: Vec<&str> = parent.parts().collect();
        if parts.is_empty() {
            return Err(bad("it names no group"));
        }
        if parts.len() > DEPTH_MAX {
            return Err(bad("it is more than 8 groups deep"));
        }
        for part in parts {
            let good =
                |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@' | b':' | b'\\');
            // `cgroup.procs` and the like are files of the kernel.
            let file = ["cgroup.", "memory.", "cpu", "pids.", "io.", "devices.", "tasks"];
            if part.starts_with('.') || part.len() > NAME_MAX_BYTES || !part.bytes().all(good) {
                return Err(bad("a group's name has letters, digits and `-_.@:\\`, and begins with no dot"));
            }
            if OURS.contains(&part)
                || file.iter().any(|name| part.starts_with(name)) && !part.ends_with(".slice")
            {
                return Err(bad("the name of one of its groups is taken"));
            }
        }
        Ok(parent)
    }
}

impl TryFrom<String> for CgroupParent {
    type Error = Invalid;
    fn try_from(s: String) -> Result<Self, Invalid> {
        s.parse()
    }
}

impl From<CgroupParent> for String {
    fn from(parent: CgroupParent) -> String {
        parent.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_our_own_group() {
        for (good, parts) in [("team", vec!["team"]), ("/a/b", vec!["a", "b"]), ("a//b/", vec!["a", "b"])] {
            assert_eq!(good.parse::<CgroupParent>().unwrap().parts().collect::<Vec<_>>(), parts, "{good}");
        }
        for bad in [
            "",
            "/",
            "../x",
            "a/..",
            "a/./b",
            "a b",
            "keeper",
            "x/corten",
            "cgroup.procs",
            "a/b/c/d/e/f/g/h/i",
        ] {
            assert!(bad.parse::<CgroupParent>().is_err(), "{bad}");
        }
    }

    #[test]
    fn slices_are_in_each_other() {
        let slices = |text: &str| text.parse::<CgroupParent>().unwrap().slices();
        assert_eq!(slices("a-b-c.slice").unwrap(), ["a.slice", "a-b.slice", "a-b-c.slice"]);
        for bad in ["team", "/a.slice", "a/b.slice", "a--b.slice", "-a.slice", "-.slice"] {
            assert!(slices(bad).is_err(), "{bad}");
        }
    }
}
