//! Which host ids a container gets: ranges of our own as root, /etc/subuid's for an ordinary user.

pub mod registry;

use std::path::Path;

use corten_model::idmap::{Extent, IdMap};

use crate::db::sandboxes::Pool;
use crate::error::OnFile;
use crate::{Engine, Result};

/// The longest of /etc/subuid, /etc/subgid and /etc/passwd that is read.
const FILE_MAX_BYTES: u64 = 16 << 20;

/// A line of /etc/subuid: whose, first id, count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subordinate {
    /// A user's name or number.
    pub owner: String,
    /// The first id.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// Parses /etc/subuid or /etc/subgid; lines that make no sense are not ours to judge.
pub fn parse_subordinate(text: &str) -> Vec<Subordinate> {
    let line = |line: &str| {
        let mut parts = line.trim().split(':');
        let (owner, first, count) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Subordinate { owner: owner.to_owned(), first, count })
    };
    text.lines().filter_map(line).collect()
}

/// The name of the user `uid` in the text of /etc/passwd.
fn user_name(passwd: &str, uid: u32) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

/// The text of one of the files above; none is empty.
pub fn read(path: &str) -> Result<String> {
    use std::io::Read;
    let path = Path::new(path);
    let mut text = String::new();
    match std::fs::File::open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        opened => {
            let file = opened.on("read", path)?;
            file.take(FILE_MAX_BYTES).read_to_string(&mut text).on("read", path)?;
        }
    }
    Ok(text)
}

/// The ids that sandboxes may get: those of the configuration without the ranges that /etc/subuid and /etc/subgid give
/// to anybody.
pub fn pool(engine: &Engine) -> Result<Pool> {
    let mut taken = Vec::new();
    for path in ["/etc/subuid", "/etc/subgid"] {
        let lines = parse_subordinate(&read(path)?);
        taken.extend(lines.into_iter().map(|s| s.first..s.first.saturating_add(s.count)));
    }
    Ok(Pool { range: engine.config()?.userns_range.clone(), taken })
}

/// The map of an ordinary user's containers: 0 is the user, the rest are subordinate ids. The second value is a
/// warning if there are none: then 0 is the only id.
pub fn rootless_map() -> Result<(IdMap, Option<String>)> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let passwd = read("/etc/passwd")?;
    let subuids = parse_subordinate(&read("/etc/subuid")?);
    let subgids = parse_subordinate(&read("/etc/subgid")?);
    Ok(map_for(uid, gid, user_name(&passwd, uid), &subuids, &subgids, has_map_tools()))
}

/// Whether the set-uid tools that write other ids into a map are there.
fn has_map_tools() -> bool {
    ["newuidmap", "newgidmap"].iter().all(|tool| {
        ["/usr/bin", "/bin", "/usr/local/bin"].iter().any(|dir| Path::new(dir).join(tool).exists())
    })
}

fn map_for(
    uid: u32,
    gid: u32,
    name: Option<&str>,
    subuids: &[Subordinate],
    subgids: &[Subordinate],
    tools: bool,
) -> (IdMap, Option<String>) {
    let number = uid.to_string();
    let extents = |own: u32, list: &[Subordinate]| {
        let mut extents = vec![Extent { inside: 0, outside: own, count: 1 }];
        let mut next = 1;
        for s in list.iter().filter(|s| s.count > 0 && (Some(s.owner.as_str()) == name || s.owner == number))
        {
            extents.push(Extent { inside: next, outside: s.first, count: s.count });
            next = next.saturating_add(s.count);
        }
        extents
    };
    let (uids, gids) = (extents(uid, subuids), extents(gid, subgids));
    if tools && uids.len() > 1 && gids.len() > 1 {
        return (IdMap { uids, gids }, None);
    }
    let why = if tools {
        "there are no ids for you in /etc/subuid and /etc/subgid"
    } else {
        "newuidmap and newgidmap are missing (package uidmap)"
    };
    (IdMap::single(uid, gid), Some(format!("containers have one user id only: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_user_has_its_own_id_and_subordinate_ones() {
        let list = parse_subordinate("root:1:2\nme:100000:65536\nbroken\n1000:300000:10\n");
        let (map, warning) = map_for(1000, 1001, Some("me"), &list, &list, true);
        assert_eq!(
            map.uids.iter().map(|e| (e.inside, e.outside, e.count)).collect::<Vec<_>>(),
            [(0, 1000, 1), (1, 100_000, 65_536), (65_537, 300_000, 10)]
        );
        assert_eq!((map.gids[0].outside, warning), (1001, None));
        let (map, warning) = map_for(7, 7, Some("other"), &list, &list, true);
        assert_eq!(map, IdMap::single(7, 7));
        assert!(warning.unwrap().contains("/etc/subuid"));
        assert!(map_for(1000, 1000, Some("me"), &list, &list, false).1.unwrap().contains("newuidmap"));
    }

    #[test]
    fn names_are_found_by_number() {
        assert_eq!(user_name("root:x:0:0::/:\nme:x:1000:1000::/:\n", 1000), Some("me"));
    }
}
