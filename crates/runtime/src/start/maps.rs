//! The id maps of a new user namespace.

use std::fs;
use std::process::{Command, Stdio};

use corten_model::idmap::{Extent, IdMap, lines};
use rustix::process::{getegid, geteuid};

use crate::error::StartError;
use crate::step::{Step, at_io};

/// Where the two setuid programs of shadow are looked for; never along a PATH that a user sets.
const HELPER_DIRS: [&str; 4] = ["/usr/bin", "/bin", "/usr/sbin", "/usr/local/bin"];

/// Writes the maps of the user namespace that process `pid` is alone in.
pub fn write(pid: i32, map: &IdMap, rootless: bool) -> Result<(), StartError> {
    if !rootless {
        put(pid, "uid_map", &lines(&map.uids))?;
        return put(pid, "gid_map", &lines(&map.gids));
    }
    if is_own(&map.uids, geteuid().as_raw()) && is_own(&map.gids, getegid().as_raw()) {
        // Without privileges groups may be mapped only once setgroups(2) is given up: else a process could drop
        // a group that denies it something.
        put(pid, "setgroups", "deny")?;
        put(pid, "uid_map", &lines(&map.uids))?;
        return put(pid, "gid_map", &lines(&map.gids));
    }
    helper("newuidmap", pid, &map.uids)?;
    helper("newgidmap", pid, &map.gids)
}

/// The map that a process lives in, for a user namespace that somebody else made.
pub fn read(pid: i32) -> Result<IdMap, StartError> {
    let get = |file: &str| -> Result<Vec<Extent>, StartError> {
        let path = format!("/proc/{pid}/{file}");
        let text = corten_sys::kernel_file::read(&path).map_err(at_io(Step::Inspect, path))?;
        Ok(text.lines().filter_map(extent).collect())
    };
    Ok(IdMap { uids: get("uid_map")?, gids: get("gid_map")? })
}

fn extent(line: &str) -> Option<Extent> {
    let mut numbers = line.split_ascii_whitespace().map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(Extent { inside: next()?, outside: next()?, count: next()? })
}

fn is_own(extents: &[Extent], id: u32) -> bool {
    matches!(extents, [Extent { outside, count: 1, .. }] if *outside == id)
}

fn put(pid: i32, file: &str, text: &str) -> Result<(), StartError> {
    let path = format!("/proc/{pid}/{file}");
    fs::write(&path, text).map_err(|e| at_io(Step::Maps, path)(e).into())
}

fn helper(program: &'static str, pid: i32, extents: &[Extent]) -> Result<(), StartError> {
    let path = HELPER_DIRS.iter().map(|dir| format!("{dir}/{program}")).find(|p| fs::metadata(p).is_ok());
    let refused = |said: String| StartError::MapHelper { program, said };
    let path = path.ok_or_else(|| refused("it is not installed".into()))?;
    let mut command = Command::new(&path);
    command.arg(pid.to_string());
    for extent in extents {
        command.args([extent.inside, extent.outside, extent.count].map(|n| n.to_string()));
    }
    let output = command.env_clear().stdin(Stdio::null()).output().map_err(at_io(Step::Maps, path))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(refused(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_are_read_back() {
        let expected = Extent { inside: 0, outside: 200_000, count: 65_536 };
        assert_eq!(extent("         0     200000      65536"), Some(expected));
        assert_eq!(extent("0 1"), None);
    }

    #[test]
    fn only_the_callers_own_id_is_mapped_without_help() {
        let one = |outside, count| [Extent { inside: 0, outside, count }];
        assert!(is_own(&one(1000, 1), 1000));
        assert!(!is_own(&one(1000, 2), 1000) && !is_own(&one(1, 1), 1000) && !is_own(&[], 1000));
    }
}
