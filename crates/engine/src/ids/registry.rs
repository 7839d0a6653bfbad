//! Which host ids are in use on this machine, whatever store their container is of.
//!
//! A file for each range in a directory that is the same for every store. Whoever uses the range holds its file locked
//! (flock, shared): the command from its choice until the keeper runs, each keeper of the sandbox while it lives. What
//! the file says, the container's first process, counts when a keeper was killed: ids of one that runs stay taken.
//! The files are empty or a line long, on a tmpfs, and stay: one that is removed could be locked by two.

use std::fs::{DirBuilder, File};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::Path;

use corten_model::idmap::DEFAULT_RANGE;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::keeper::open_process;

/// The directory, for root alone.
pub const DIRECTORY: &str = "/run/corten-ids";
/// Bytes of a file that are read.
const READ_MAX: u64 = 64;
/// Two numbers and a blank, filled up with blanks.
const NOTE_BYTES: usize = 40;

/// Ranges that are ours while this lives.
#[derive(Debug, Default)]
pub struct Claim(Vec<File>);

impl Claim {
    /// Takes these ids for a new sandbox. `None`: somebody else's container has some of them.
    pub fn take(dir: &Path, ids: Range<u32>) -> io::Result<Option<Claim>> {
        let mut claim = Claim::default();
        for base in bases(ids) {
            let file = open(dir, base)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) => return Ok(None),
                other => other?,
            }
            if is_used(&file)? {
                return Ok(None);
            }
            // Shared from now on: the keeper takes its own before this one goes.
            flock(&file, FlockOperation::NonBlockingLockShared)?;
            claim.0.push(file);
        }
        Ok(Some(claim))
    }

    /// Holds ids that the container's command or another container of its sandbox holds already.
    pub fn hold(dir: &Path, ids: impl Iterator<Item = Range<u32>>) -> io::Result<Claim> {
        let mut claim = Claim::default();
        let mut all: Vec<u32> = ids.flat_map(bases).collect();
        all.sort_unstable();
        all.dedup();
        for base in all {
            let file = open(dir, base)?;
            flock(&file, FlockOperation::NonBlockingLockShared)?;
            claim.0.push(file);
        }
        Ok(claim)
    }

    /// Notes the process that has the ids.
    pub fn note(&self, pid: i32, ticks: u64) -> io::Result<()> {
        // As long as can be: over what stood there it leaves nothing of that.
        let text = format!("{:<NOTE_BYTES$}\n", format!("{pid} {ticks}"));
        self.0.iter().try_for_each(|file| file.write_all_at(text.as_bytes(), 0))
    }

    /// Makes this one as long-lived as both.
    pub fn add(&mut self, other: Claim) {
        self.0.extend(other.0);
    }
}

/// The first ids of the multiples of 65,536 that `ids` lie in, wherever a store's own pool begins.
fn bases(ids: Range<u32>) -> impl Iterator<Item = u32> {
    (ids.start / DEFAULT_RANGE..ids.end.div_ceil(DEFAULT_RANGE)).map(|slot| slot * DEFAULT_RANGE)
}

fn open(dir: &Path, base: u32) -> io::Result<File> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    let found = std::fs::symlink_metadata(dir)?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is no directory of root's"));
    }
    File::options().read(true).write(true).create(true).truncate(false).open(dir.join(base.to_string()))
}

/// Whether the process that is noted in the file still runs. Another boot has another tmpfs.
fn is_used(file: &File) -> io::Result<bool> {
    let mut text = String::new();
    file.take(READ_MAX).read_to_string(&mut text)?;
    let noted = text.trim().split_once(' ').and_then(|(p, t)| Some((p.parse().ok()?, t.parse().ok()?)));
    Ok(noted.is_some_and(|(pid, ticks)| open_process(pid, ticks).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST_ID: u32 = 0x7000_0000;
    const ONE: Range<u32> = FIRST_ID..FIRST_ID + DEFAULT_RANGE;
    const BOTH: Range<u32> = FIRST_ID..FIRST_ID + 2 * DEFAULT_RANGE;

    #[test]
    fn a_range_has_one_owner_and_its_containers() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("ids");
        let command = Claim::take(&dir, BOTH).unwrap().unwrap();
        assert!(Claim::take(&dir, ONE).unwrap().is_none(), "another store's");
        let keeper = Claim::hold(&dir, [ONE, BOTH].into_iter()).unwrap();
        assert_eq!(keeper.0.len(), 2);
        drop(command);
        assert!(Claim::take(&dir, ONE).unwrap().is_none(), "its keeper holds it");
        drop(keeper);
        assert!(Claim::take(&dir, BOTH).unwrap().is_some());
    }

    #[test]
    fn ids_of_a_container_without_keeper_stay_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("ids");
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        let ticks = corten_sys::process::start_time_ticks(&own).unwrap();
        let pid = rustix::process::getpid().as_raw_pid();
        let keeper = Claim::hold(&dir, [ONE].into_iter()).unwrap();
        keeper.note(pid, ticks).unwrap();
        drop(keeper);
        assert!(Claim::take(&dir, ONE).unwrap().is_none(), "it runs");
        Claim::hold(&dir, [ONE].into_iter()).unwrap().note(pid, ticks + 1).unwrap();
        assert!(Claim::take(&dir, ONE).unwrap().is_some(), "that was another process");
    }
}
