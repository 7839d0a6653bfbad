//! Freezing the container: for good, or for as long as a caller holds on.
//!
//! A hold is for a command that wants the files to stand still, and ends with that command however it ends. It is no
//! state of the container: nothing is journalled. Whoever ends the container ends its pause first, because what is frozen
//! doesn't die.

use super::Keeper;
use super::slots::Key;
use crate::journal::Event;

/// Who wants the container frozen.
#[derive(Debug, Default)]
pub struct Pause {
    /// Somebody paused it, until somebody lets it go on.
    pub asked: bool,
    /// Clients that hold it.
    pub holders: Vec<Key>,
}

impl Pause {
    /// Whether it is frozen.
    pub fn is_on(&self) -> bool {
        self.asked || !self.holders.is_empty()
    }
}

/// Why it can't be paused, or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is.
    #[error("the container is paused already")]
    Already,
    /// It isn't.
    #[error("the container is not paused")]
    Not,
    /// The cgroup.
    #[error(transparent)]
    Cgroup(#[from] corten_runtime::cgroup::Error),
}

impl Keeper {
    /// Stops all processes where they are.
    pub(super) fn pause(&mut self, holder: Option<Key>) -> Result<(), Error> {
        if holder.is_none() && self.pause.asked {
            return Err(Error::Already);
        }
        if !self.pause.is_on() {
            self.prepared.cgroup.freeze(true)?;
        }
        match holder {
            Some(key) => self.pause.holders.push(key),
            None => {
                self.pause.asked = true;
                // On a full disk the row says that it runs: unpausing it is possible all the same.
                let _ = self.journal.append(Event::Paused);
            }
        }
        Ok(())
    }

    /// Lets them go on, unless somebody still holds them.
    pub(super) fn unpause(&mut self) -> Result<(), Error> {
        if !self.pause.asked {
            return Err(Error::Not);
        }
        if self.pause.holders.is_empty() {
            self.prepared.cgroup.freeze(false)?;
        }
        self.pause.asked = false;
        let _ = self.journal.append(Event::Unpaused);
        Ok(())
    }

    /// A client is gone, and with it its hold.
    pub(super) fn let_go(&mut self, key: Key) {
        let before = self.pause.holders.len();
        self.pause.holders.retain(|holder| *holder != key);
        if self.pause.holders.len() < before && !self.pause.is_on() {
            // It can't be refused what it was before; if it is, ending the container tries again.
            let _ = self.prepared.cgroup.freeze(false);
        }
    }

    /// Nobody's pause outlives the container.
    pub(super) fn end_pause(&mut self) {
        if self.pause.is_on() {
            self.pause.holders.clear();
            let _ = self.prepared.cgroup.freeze(false);
            if std::mem::take(&mut self.pause.asked) {
                let _ = self.journal.append(Event::Unpaused);
            }
        }
    }
}
