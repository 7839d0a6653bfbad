//! A user namespace that nobody lives in: only its maps count, for an idmapped mount.

use std::convert::Infallible;
use std::os::fd::OwnedFd;

use corten_model::idmap::IdMap;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::UnshareFlags;

use super::binds::chain;
use super::maps;
use crate::channel::{Channel, Word};
use crate::newborn::{self, Roles};
use crate::step::{Failure, Step, at};

/// Makes one with these maps. The process that it is born with ends at once.
///
/// The calling process is single-threaded.
pub fn namespace(map: &IdMap) -> Result<OwnedFd, Failure> {
    let main = |channel: &Channel| -> Result<Infallible, Failure> {
        newborn::hide()?;
        // Nothing comes: it waits until it is killed, or its parent is gone.
        channel.expect(Word::Maps)?;
        Err(newborn::garbled())
    };
    type NoJoin = fn(&Channel, bool) -> Result<(), Failure>;
    let (child, _channel) =
        newborn::spawn(UnshareFlags::NEWUSER, None, Roles { join: None::<NoJoin>, main })?;
    let written = maps::write(child.pid(), map, false);
    written.map_err(|error| Failure::because(Step::Maps, "", Errno::PERM, chain(&error)))?;
    let path = format!("/proc/{}/ns/user", child.pid());
    rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(at(Step::Inspect, path))
}
