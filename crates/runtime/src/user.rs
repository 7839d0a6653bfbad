//! Who a process runs as: names looked up in the container's own `/etc/passwd` and `/etc/group`.
//!
//! Both files are the image's: they are opened below the container's root only, never through a symlink at
//! their own place, must be regular files, and are read up to a limit (CVE-2024-9676). A number is a number even
//! if a user has it as a name (CVE-2016-3697).

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use corten_model::user::{IdOrName, UserSpec};
use corten_sys::path::Root;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::spec::User;
use crate::step::{Failure, Step};

/// The most that is read of either file.
pub const DATABASE_BYTES_MAX: u64 = 4 << 20;
/// The longest line that is looked at.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// The kernel's `NGROUPS_MAX`.
const GROUPS_MAX: usize = 65_536;

/// Who a process becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User id inside the container.
    pub uid: u32,
    /// Group id inside the container.
    pub gid: u32,
    /// All groups, `gid` among them, in order: exactly what was asked for and no more (CVE-2022-36109).
    pub groups: Vec<u32>,
    /// The home directory; `/` if nothing says another.
    pub home: String,
}

/// Finds out who `user` is in the container behind `root`.
pub fn identify(root: &Root, user: &User) -> Result<Identity, Failure> {
    let numeric = UserSpec { user: Some(IdOrName::Id(user.uid)), group: Some(IdOrName::Id(user.gid)) };
    let spec = user.name.as_ref().unwrap_or(&numeric);
    let wanted = spec.user.as_ref().unwrap_or(&IdOrName::Id(0));
    let entry = passwd_entry(root, wanted)?;
    if let (None, IdOrName::Name(name)) = (&entry, wanted) {
        return Err(missing(name, "/etc/passwd has no such user"));
    }
    let uid = match wanted {
        IdOrName::Id(uid) => *uid,
        IdOrName::Name(_) => entry.as_ref().map_or(0, |e| e.uid),
    };
    let mut groups: BTreeSet<u32> = user.additional_gids.iter().copied().collect();
    for group in &user.groups {
        groups.insert(match group {
            IdOrName::Id(gid) => *gid,
            IdOrName::Name(name) => group_id(root, name)?,
        });
    }
    let gid = match &spec.group {
        Some(IdOrName::Id(gid)) => *gid,
        Some(IdOrName::Name(name)) => group_id(root, name)?,
        None => {
            if let Some(entry) = &entry {
                groups.extend(groups_of(root, &entry.name)?);
            }
            entry.as_ref().map_or(0, |e| e.gid)
        }
    };
    groups.insert(gid);
    if groups.len() > GROUPS_MAX {
        return Err(missing("", "the user is in more groups than the kernel knows"));
    }
    let home = entry.map(|e| e.home).filter(|h| h.starts_with('/')).unwrap_or_else(|| "/".into());
    Ok(Identity { uid, gid, groups: groups.into_iter().collect(), home })
}

fn missing(name: &str, why: &str) -> Failure {
    Failure::because(Step::User, name, Errno::NOENT, why)
}

struct Entry {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

/// The first entry for a name or, if it is a number, for that uid.
fn passwd_entry(root: &Root, wanted: &IdOrName) -> Result<Option<Entry>, Failure> {
    let mut found = None;
    each_line(root, "etc/passwd", matches!(wanted, IdOrName::Name(_)), &mut |fields| {
        let [name, _, uid, gid, _, home, ..] = fields else { return false };
        let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse()) else { return false };
        let matches = match wanted {
            IdOrName::Id(id) => *id == uid,
            IdOrName::Name(wanted) => wanted == name,
        };
        if matches {
            found = Some(Entry { name: (*name).to_owned(), uid, gid, home: (*home).to_owned() });
        }
        matches
    })?;
    Ok(found)
}

fn group_id(root: &Root, wanted: &str) -> Result<u32, Failure> {
    let mut found = None;
    each_line(root, "etc/group", true, &mut |fields| {
        if let [name, _, gid, ..] = fields
            && *name == wanted
        {
            found = gid.parse().ok();
        }
        found.is_some()
    })?;
    found.ok_or_else(|| missing(wanted, "/etc/group has no such group"))
}

fn groups_of(root: &Root, user: &str) -> Result<Vec<u32>, Failure> {
    let mut gids = Vec::new();
    each_line(root, "etc/group", false, &mut |fields| {
        if let [_, _, gid, members, ..] = fields
            && members.split(',').any(|m| m == user)
            && let Ok(gid) = gid.parse()
        {
            gids.push(gid);
        }
        gids.len() >= GROUPS_MAX
    })?;
    Ok(gids)
}

/// Gives the fields of each line to `visit` until it returns true. A file that can't be used is an error only if
/// something in it is `needed`.
fn each_line(
    root: &Root,
    path: &str,
    needed: bool,
    visit: &mut dyn FnMut(&[&str]) -> bool,
) -> Result<(), Failure> {
    let unusable = |errno: Errno, why: &str| match needed {
        true => Err(Failure::because(Step::User, format!("/{path}"), errno, why)),
        false => Ok(()),
    };
    // NONBLOCK: a FIFO would be waited for. NOCTTY: a terminal would become ours.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match root.open_at(Path::new(path), flags, Mode::empty()) {
        Ok(file) => file,
        Err(error) => {
            let errno = error.raw_os_error().map_or(Errno::INVAL, Errno::from_raw_os_error);
            return unusable(errno, if errno == Errno::LOOP { "it is a symlink" } else { "" });
        }
    };
    let stat = rustix::fs::fstat(&file).map_err(crate::step::at(Step::User, path))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return unusable(Errno::INVAL, "it is not a regular file");
    }
    if stat.st_size as u64 > DATABASE_BYTES_MAX {
        return unusable(Errno::FBIG, "it is too large");
    }
    let mut reader = BufReader::new(std::fs::File::from(file).take(DATABASE_BYTES_MAX));
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        match read {
            Ok(0) => return Ok(()),
            Err(error) => return Err(crate::step::at_io(Step::User, path)(error)),
            Ok(_) => {}
        }
        let Ok(text) = std::str::from_utf8(&line) else { continue };
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = text.split(':').collect();
        if visit(&fields) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    const PASSWD: &str = "# comment\nroot:x:0:0:root:/root:/bin/sh\n\nbroken\n1000:x:0:0::/evil:/bin/sh\n\
        web:x:33:44:Web:/srv/web:/bin/false\nbad:x:notanumber:0::/:\nnohome:x:50:50:::\n";
    const GROUP: &str = "root:x:0:\nweb:x:44:\nlog:x:4:web,other\nextra:x:7:other,web\nfoo:x:8:\n";

    fn image() -> (tempfile::TempDir, Root) {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("etc")).unwrap();
        fs::write(temp.path().join("etc/passwd"), PASSWD).unwrap();
        fs::write(temp.path().join("etc/group"), GROUP).unwrap();
        let root = Root::open(temp.path()).unwrap();
        (temp, root)
    }

    fn user(name: &str) -> User {
        User { name: Some(name.parse().unwrap()), ..User::default() }
    }

    #[test]
    fn names_and_numbers() {
        let (_temp, root) = image();
        let check = |name: &str, uid, gid, groups: &[u32], home: &str| {
            let expected = Identity { uid, gid, groups: groups.to_vec(), home: home.into() };
            assert_eq!(identify(&root, &user(name)).unwrap(), expected, "{name}");
        };
        check("", 0, 0, &[0], "/root");
        check("web", 33, 44, &[4, 7, 44], "/srv/web");
        check("33", 33, 44, &[4, 7, 44], "/srv/web");
        check("web:foo", 33, 8, &[8], "/srv/web");
        check("web:9", 33, 9, &[9], "/srv/web");
        check("1000", 1000, 0, &[0], "/"); // not the user who is called `1000`
        check("1000:1000", 1000, 1000, &[1000], "/");
        check("nohome", 50, 50, &[50], "/");
        for missing in ["nobody", "web:nogroup", "bad"] {
            let failure = identify(&root, &user(missing)).unwrap_err();
            assert_eq!((failure.step, failure.errno), (Step::User, Errno::NOENT), "{missing}");
        }
    }

    #[test]
    fn plain_ids_of_the_spec() {
        let (_temp, root) = image();
        let spec = User { uid: 33, gid: 5, additional_gids: vec![9, 5], ..User::default() };
        let identity = identify(&root, &spec).unwrap();
        assert_eq!((identity.uid, identity.gid, identity.home.as_str()), (33, 5, "/srv/web"));
        assert_eq!(identity.groups, [5, 9]);
    }

    #[test]
    fn groups_that_are_added() {
        let (_temp, root) = image();
        let added = |groups: &[&str]| User {
            groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
            ..user("web")
        };
        assert_eq!(identify(&root, &added(&["foo", "99", "44"])).unwrap().groups, [4, 7, 8, 44, 99]);
        assert_eq!(identify(&root, &added(&["nogroup"])).unwrap_err().errno, Errno::NOENT);
    }

    #[test]
    fn hostile_files_neither_hang_nor_lead_outside() {
        let (temp, root) = image();
        let passwd = temp.path().join("etc/passwd");
        let check = |expected: Errno| {
            assert_eq!(identify(&root, &user("web")).unwrap_err().errno, expected);
            assert_eq!(identify(&root, &user("5")).unwrap().uid, 5, "a number needs no file");
            fs::remove_file(&passwd).unwrap();
        };
        fs::remove_file(&passwd).unwrap();
        for target in ["/dev/zero", "/etc/passwd", "../../../../etc/passwd", "/proc/self/environ"] {
            symlink(target, &passwd).unwrap();
            check(Errno::LOOP);
        }
        rustix::fs::mkfifoat(rustix::fs::CWD, &passwd, Mode::RUSR).unwrap();
        check(Errno::INVAL);
        fs::File::create(&passwd).unwrap().set_len(1 << 40).unwrap();
        check(Errno::FBIG);
        fs::write(&passwd, "x".repeat(200_000)).unwrap();
        check(Errno::NOENT);
        assert!(identify(&root, &user("5")).is_ok());
    }
}
