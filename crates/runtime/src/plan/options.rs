//! Mount options as words, and what they ask of the kernel.
//!
//! Words of mount(8) that belong to the mount become attributes; words of the superblock and unknown ones become
//! parameters of the file system. A word is never dropped in silence.

use corten_model::Invalid;
use rustix::mount::{MountAttrFlags, MountPropagationFlags};

/// What the options of one mount ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options<'a> {
    /// `bind` is `Some(false)`, `rbind` is `Some(true)`.
    pub bind: Option<bool>,
    /// A bind isn't idmapped: its owners are ids of the host's that the container has already.
    pub plain_ids: bool,
    /// Attributes of the mount.
    pub attributes: MountAttrFlags,
    /// Attributes of the mount and of those below it.
    pub recursive_attributes: MountAttrFlags,
    /// Attributes that those below keep as they are, though the mount gets them.
    pub only_top: MountAttrFlags,
    /// What of the source is shown, if not all of it.
    pub subpath: Option<&'a str>,
    /// The file system is made with the host's powers, outside of the container's user namespace.
    pub outside: bool,
    /// Its propagation, and whether that of those below changes too.
    pub propagation: Option<(MountPropagationFlags, bool)>,
    /// Parameters of the file system, in order.
    pub parameters: Vec<(&'a str, Option<&'a str>)>,
}

/// An attribute's word: what it sets, or what it takes back of the words before it.
fn attribute(word: &str) -> Option<(MountAttrFlags, bool)> {
    let nothing = MountAttrFlags::empty();
    Some(match word {
        "ro" => (MountAttrFlags::MOUNT_ATTR_RDONLY, true),
        "rw" => (MountAttrFlags::MOUNT_ATTR_RDONLY, false),
        "nosuid" => (MountAttrFlags::MOUNT_ATTR_NOSUID, true),
        "suid" => (MountAttrFlags::MOUNT_ATTR_NOSUID, false),
        "nodev" => (MountAttrFlags::MOUNT_ATTR_NODEV, true),
        "dev" => (MountAttrFlags::MOUNT_ATTR_NODEV, false),
        "noexec" => (MountAttrFlags::MOUNT_ATTR_NOEXEC, true),
        "exec" => (MountAttrFlags::MOUNT_ATTR_NOEXEC, false),
        "noatime" => (MountAttrFlags::MOUNT_ATTR_NOATIME, true),
        "atime" => (MountAttrFlags::MOUNT_ATTR_NOATIME, false),
        "strictatime" => (MountAttrFlags::MOUNT_ATTR_STRICTATIME, true),
        "nostrictatime" => (MountAttrFlags::MOUNT_ATTR_STRICTATIME, false),
        "nodiratime" => (MountAttrFlags::MOUNT_ATTR_NODIRATIME, true),
        "diratime" => (MountAttrFlags::MOUNT_ATTR_NODIRATIME, false),
        "nosymfollow" => (MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW, true),
        "symfollow" => (MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW, false),
        // What the kernel does anyway; relatime is its field's zero.
        "relatime" | "norelatime" | "defaults" => (nothing, true),
        _ => return None,
    })
}

fn propagation(word: &str) -> Option<MountPropagationFlags> {
    Some(match word {
        "private" => MountPropagationFlags::PRIVATE,
        "slave" => MountPropagationFlags::DOWNSTREAM,
        "shared" => MountPropagationFlags::SHARED,
        "unbindable" => MountPropagationFlags::UNBINDABLE,
        _ => return None,
    })
}

/// Reads the options of the mount on `destination`; of words that contradict each other the last one wins.
pub fn parse<'a>(destination: &str, words: &'a [String]) -> Result<Options<'a>, Invalid> {
    let mut options = Options {
        bind: None,
        plain_ids: false,
        attributes: MountAttrFlags::empty(),
        recursive_attributes: MountAttrFlags::empty(),
        only_top: MountAttrFlags::empty(),
        subpath: None,
        outside: false,
        propagation: None,
        parameters: Vec::new(),
    };
    for word in words.iter().map(String::as_str).filter(|w| !w.is_empty()) {
        let bad = |why: &str| Invalid::new("mount option", format!("{word} ({destination})"), why);
        // `relatime` and `ro` begin with an `r` of their own: the plain reading goes first.
        let below = word.strip_prefix('r').unwrap_or("");
        match word {
            "bind" => options.bind = Some(false),
            "rbind" => options.bind = Some(true),
            // Every bind into a user namespace is idmapped, unless it says otherwise.
            "idmap" | "ridmap" => options.plain_ids = false,
            "noidmap" => options.plain_ids = true,
            "outside" => options.outside = true,
            "remount" | "move" => return Err(bad("a container's mounts are new ones")),
            "tmpcopyup" => return Err(bad("not supported")),
            _ if let Some((flags, on)) = attribute(word) => options.attributes.set(flags, on),
            _ if let Some((flags, on)) = attribute(below) => {
                options.recursive_attributes.set(flags, on);
                options.only_top.set(flags, !on);
            }
            _ if let Some(flags) = propagation(word) => options.propagation = Some((flags, false)),
            _ if let Some(flags) = propagation(below) => options.propagation = Some((flags, true)),
            _ if let Some(path) = word.strip_prefix("subpath=") => options.subpath = Some(path),
            _ => options.parameters.push(match word.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (word, None),
            }),
        }
    }
    if let (Some(_), Some((key, _))) = (options.bind, options.parameters.first()) {
        return Err(Invalid::new(
            "mount option",
            format!("{key} ({destination})"),
            "a bind mount has no such",
        ));
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn words_become_attributes_or_parameters() {
        let text = words("nosuid,strictatime,mode=755,size=65536k,sync");
        let options = parse("/dev", &text).unwrap();
        assert_eq!(
            options.attributes,
            MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_STRICTATIME
        );
        assert_eq!(options.parameters, [("mode", Some("755")), ("size", Some("65536k")), ("sync", None)]);
    }

    #[test]
    fn binds_recursion_and_the_last_word() {
        let text = words("rbind,ro,rw,rro,rslave,relatime");
        let options = parse("/d", &text).unwrap();
        assert_eq!(options.bind, Some(true));
        assert!(options.attributes.is_empty());
        assert_eq!(options.recursive_attributes, MountAttrFlags::MOUNT_ATTR_RDONLY);
        assert_eq!(options.propagation, Some((MountPropagationFlags::DOWNSTREAM, true)));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for bad in ["remount,ro", "bind,size=3", "rbind,bind-propagation=shared", "tmpcopyup"] {
            assert!(parse("/d", &words(bad)).is_err(), "{bad}");
        }
    }
}
