//! What is opened of the world outside, as detached mounts, idmapped where they can be: trees of the host, volumes' file
//! systems, images' files.
//!
//! As root made by the parent, whose view of the host and powers the child lacks; rootless by the child itself,
//! in whose user namespace alone it may.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use corten_model::idmap::IdMap;
use corten_model::mount::Owner;
use corten_sys::mount::{Attributes, clone_fd, clone_path, new_detached, set_attributes};
use corten_sys::path::Root;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::Rootfs;
use crate::plan::{Planned, Source};
use crate::step::{Failure, Step, at, at_io};

/// Mounts of one bind that are looked at one by one.
const SINGLES_MAX: usize = 1000;

/// One mount of a bind.
#[derive(Debug)]
pub struct Piece {
    /// Its path below the bind's target; empty for the top.
    pub below: String,
    /// The detached mount, with what hangs below it.
    pub mount: OwnedFd,
}

/// The pieces of a bind, parents first, and a warning if ids are shown as they are on the host.
#[derive(Debug)]
pub struct Opened {
    /// The mounts.
    pub pieces: Vec<Piece>,
    /// What couldn't be done.
    pub warning: Option<String>,
}

/// What is known where the mounts are opened.
pub struct World<'a> {
    /// The container's user namespace, if mounts are to be idmapped by it.
    pub userns: Option<BorrowedFd<'a>>,
    /// Its maps; absent: the host's.
    pub map: Option<&'a IdMap>,
    /// Files of images, by number.
    pub trees: &'a [&'a dyn Rootfs],
    /// Each mount of a bind is idmapped by itself.
    pub singly: bool,
}

/// Opens what `planned` shows of the world outside, idmapped.
pub fn open(planned: &Planned<'_>, world: &World<'_>) -> Result<Opened, Failure> {
    match &planned.source {
        Source::Bind { path, recursive, recursive_attributes, propagation, .. } => {
            let opened = open_bind(planned, world)?;
            for piece in &opened.pieces {
                let every = Attributes {
                    set: *recursive_attributes,
                    propagation: propagation.1.then_some(propagation.0),
                    recursive: *recursive && opened.pieces.len() == 1,
                    ..Attributes::default()
                };
                let first = Attributes {
                    set: planned.attributes - *recursive_attributes,
                    propagation: (!propagation.1).then_some(propagation.0),
                    ..Attributes::default()
                };
                for (attributes, wanted) in [(every, true), (first, piece.below.is_empty())] {
                    if wanted && !attributes.is_empty() {
                        let mount = piece.mount.as_fd();
                        set_attributes(mount, attributes).map_err(at(Step::MountAttributes, *path))?;
                    }
                }
            }
            Ok(opened)
        }
        Source::Outside { fstype, source, parameters, owner } => {
            let made = new_detached(fstype, Some(source), parameters, planned.attributes);
            let mount =
                made.map_err(at(Step::FileSystem, format!("{} ({fstype}, {source})", planned.target)))?;
            let warning = match map_owner(mount.as_fd(), *owner, world, source)? {
                true => None,
                false => match world.userns.map(|userns| idmap(mount.as_fd(), userns, false)) {
                    None | Some(Ok(())) => None,
                    Some(Err(_)) => Some(plain(source)),
                },
            };
            Ok(Opened { pieces: vec![Piece { below: String::new(), mount }], warning })
        }
        Source::Tree(number) => {
            let fail = |why: String| Failure::because(Step::FileSystem, &planned.target, Errno::INVAL, why);
            let tree = world.trees.get(*number).ok_or_else(|| fail(format!("there is no tree {number}")))?;
            let mount = tree.mount(world.userns).map_err(|error| fail(chain(&*error)))?;
            let attributes = Attributes { set: planned.attributes, ..Attributes::default() };
            set_attributes(mount.as_fd(), attributes).map_err(at(Step::MountAttributes, &planned.target))?;
            Ok(Opened { pieces: vec![Piece { below: String::new(), mount }], warning: None })
        }
        _ => Err(Failure::new(Step::BindSource, &planned.target, Errno::INVAL)),
    }
}

/// An error with all its causes, where only one text can be told.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut why = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        why = format!("{why}: {cause}");
        next = cause.source();
    }
    why
}

fn open_bind(planned: &Planned<'_>, world: &World<'_>) -> Result<Opened, Failure> {
    let Source::Bind { path, recursive, idmap: wanted, owner, .. } = &planned.source else {
        return Err(Failure::new(Step::BindSource, &planned.target, Errno::INVAL));
    };
    if let Some(subpath) = planned.subpath {
        let mount = part(path, subpath)?;
        let mapped = map_owner(mount.as_fd(), *owner, world, path)?;
        if let Some(userns) = world.userns.filter(|_| *wanted && !mapped) {
            idmap(mount.as_fd(), userns, false).map_err(at(Step::MountAttributes, *path))?;
        }
        return Ok(Opened { pieces: vec![Piece { below: String::new(), mount }], warning: None });
    }
    if !owner.is_plain() {
        let piece = whole(path, *recursive)?;
        map_owner(piece.mount.as_fd(), *owner, world, path)?;
        return Ok(Opened { pieces: vec![piece], warning: None });
    }
    match world.userns.filter(|_| *wanted) {
        Some(userns) => open_mapped(path, *recursive, userns, world.singly),
        None => Ok(Opened { pieces: vec![whole(path, *recursive)?], warning: None }),
    }
}

/// Has the mount show its owner's files as somebody else's, with all that is mounted below it; false if nothing is to be
/// changed. Unlike the map that every bind gets, this one was asked for: it is there or nothing starts.
fn map_owner(mount: BorrowedFd<'_>, owner: Owner, world: &World<'_>, path: &str) -> Result<bool, Failure> {
    if owner.is_plain() {
        return Ok(false);
    }
    let stat = rustix::fs::fstat(mount).map_err(at(Step::BindSource, path))?;
    let map = owner.map((stat.st_uid, stat.st_gid), world.map);
    let userns = super::owner::namespace(&map)?;
    match idmap(mount, userns.as_fd(), true) {
        Ok(()) => Ok(true),
        Err(errno) => {
            let why = "its file system, or that of a mount below it, can't show files as another owner's";
            Err(Failure::because(Step::MountAttributes, path, errno, why))
        }
    }
}

fn whole(path: &str, recursive: bool) -> Result<Piece, Failure> {
    let mount = clone_path(path, recursive).map_err(at(Step::BindSource, path))?;
    Ok(Piece { below: String::new(), mount })
}

/// What is at `subpath` of the directory `path`, without what is mounted below it. A container that has the directory too
/// may have put symlinks there, and may swap them now: they lead nowhere outside.
fn part(path: &str, subpath: &str) -> Result<OwnedFd, Failure> {
    let shown = || format!("{path}/{subpath}");
    let top = Root::open(Path::new(path)).map_err(at_io(Step::BindSource, path))?;
    let found = top.open_at(Path::new(subpath), OFlags::PATH, Mode::empty());
    clone_fd(found.map_err(at_io(Step::BindSource, shown()))?.as_fd(), false)
        .map_err(at(Step::BindSource, shown()))
}

fn open_mapped(path: &str, recursive: bool, userns: BorrowedFd<'_>, singly: bool) -> Result<Opened, Failure> {
    if !(singly && recursive) {
        let piece = whole(path, recursive)?;
        // All or none of a tree: one procfs below is enough for none.
        match idmap(piece.mount.as_fd(), userns, recursive) {
            Ok(()) => return Ok(Opened { pieces: vec![piece], warning: None }),
            Err(_) if recursive => {}
            Err(_) => {
                return Ok(Opened { pieces: vec![piece], warning: Some(plain(path)) });
            }
        }
    }
    let source = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(at(Step::BindSource, path))?;
    let mut pieces = Vec::new();
    let mut left_plain = Vec::new();
    for below in mounts_below(&source)? {
        let full = if below.is_empty() {
            path.to_owned()
        } else {
            format!("{}/{below}", path.trim_end_matches('/'))
        };
        let mount = match below.is_empty() {
            true => clone_fd(source.as_fd(), false),
            false => clone_path(&full, false),
        };
        let mount = match mount {
            Ok(mount) => mount,
            // Unbindable, or gone by now: a recursive clone leaves it out too.
            Err(Errno::INVAL | Errno::NOENT) if !below.is_empty() => continue,
            Err(errno) => return Err(at(Step::BindSource, full)(errno)),
        };
        if idmap(mount.as_fd(), userns, false).is_err() {
            left_plain.push(full);
        }
        pieces.push(Piece { below, mount });
    }
    let warning = (!left_plain.is_empty()).then(|| plain(&left_plain.join(", ")));
    Ok(Opened { pieces, warning })
}

fn idmap(mount: BorrowedFd<'_>, userns: BorrowedFd<'_>, recursive: bool) -> Result<(), Errno> {
    set_attributes(mount, Attributes { idmap: Some(userns), recursive, ..Attributes::default() })
}

fn plain(what: &str) -> String {
    format!(
        "{what}: the file system can't map ids; files in it belong to the host's ids, which the container lacks"
    )
}

/// The relative paths of the mounts at and below what `source` refers to, parents first; the top one is empty.
fn mounts_below(source: &OwnedFd) -> Result<Vec<String>, Failure> {
    let link = format!("/proc/self/fd/{}", source.as_raw_fd());
    let top = fs::read_link(&link).map_err(at_io(Step::Inspect, &link))?;
    let top = top.to_string_lossy().into_owned();
    let table = fs::read_to_string("/proc/self/mountinfo").map_err(at_io(Step::Inspect, "mountinfo"))?;
    let mut below = vec![String::new()];
    below.extend(points_below(&table, &top));
    match below.len() {
        0..=SINGLES_MAX => Ok(below),
        _ => Err(Failure::because(Step::BindSource, top, Errno::TOOBIG, "too many mounts below it")),
    }
}

/// Mount points of a mountinfo `table` below `top`, relative to it; sorted, so that parents come first.
fn points_below(table: &str, top: &str) -> BTreeSet<String> {
    let prefix = format!("{}/", top.trim_end_matches('/'));
    table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescape)
        .filter_map(|point| point.strip_prefix(&prefix).map(str::to_owned))
        .filter(|below| !below.is_empty())
        .collect()
}

/// Blanks, tabs, newlines and backslashes of a path are octal in mountinfo.
pub fn unescape(field: &str) -> String {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.get(..3).and_then(|d| std::str::from_utf8(d).ok());
        match digits.and_then(|d| u8::from_str_radix(d, 8).ok()) {
            Some(code) if byte == b'\\' => {
                bytes.push(code);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_below_a_path() {
        let table = "1 0 8:1 / / rw - ext4 a rw\n2 1 0:1 / /a/b rw - t t rw\n3 1 0:1 / /a rw - t t rw\n\
            4 1 0:1 / /a/b/c\\040d rw - t t rw\n5 1 0:1 / /ab rw - t t rw\n6 1 0:1 / /a/b rw - t t rw\n";
        let check = |top: &str, expected: &[&str]| {
            assert_eq!(points_below(table, top).into_iter().collect::<Vec<_>>(), expected, "{top}");
        };
        check("/a", &["b", "b/c d"]);
        check("/", &["a", "a/b", "a/b/c d", "ab"]);
        check("/x", &[]);
    }
}
