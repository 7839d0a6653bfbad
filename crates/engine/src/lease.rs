//! Leases: whoever makes an image keeps gc from what it is making, from before its first byte until its tag is committed.
//!
//! ```text
//! store locked shared ─▶ row with what is held ─▶ bytes ─▶ the image's rows, if the lease is still there ─▶ row removed
//! ```
//! The lock says that somebody works, the row what on. A process that ends loses its lock at once; its row is believed
//! until it expires, or until somebody finds that nobody has the lock.

use std::cell::RefCell;
use std::fmt::Write as _;

use rusqlite::Connection;

use crate::db::{Database, leases};
use crate::engine::random_id;
use crate::{Engine, Error, Result, journal};

pub(crate) use crate::db::leases::Ref;

/// How long a lease lasts. Work that takes longer fails at its end, if gc was there meanwhile.
const LEASE_NS: i64 = 24 * 3600 * 1_000_000_000;

/// A lease that was taken.
pub(crate) struct Lease {
    id: String,
    /// A connection of its own: what is held grows deep inside of whoever makes layers.
    database: RefCell<Database>,
}

/// Does `body` with a lease; it ends with `body`, whatever became of that.
pub(crate) fn with<T>(
    engine: &mut Engine,
    owner: &str,
    body: impl FnOnce(&mut Engine, &Lease) -> Result<T>,
) -> Result<T> {
    let writing = engine.store().writing()?;
    // Whatever keepers journalled is folded by the engine's own.
    engine.database()?;
    let mut id = String::new();
    for byte in random_id()? {
        write!(id, "{byte:02x}").expect("a String takes everything");
    }
    let lease = Lease { id, database: RefCell::new(Database::open(&engine.roots().data)?) };
    let now_ns = journal::now_ns();
    lease.write(|connection| leases::insert(connection, &lease.id, owner, now_ns, now_ns + LEASE_NS))?;
    crate::steps::reached("lease.taken");
    let outcome = body(engine, &lease);
    let removed = lease.write(|connection| leases::remove(connection, &lease.id));
    drop(writing);
    // What lost its name to it.
    engine.note_garbage();
    if outcome.is_err() {
        // What it made and didn't name. The failure matters more than what can't be removed now.
        let _ = crate::gc::remove_unnamed(engine);
    }
    let value = outcome?;
    removed?;
    Ok(value)
}

impl Lease {
    /// To be asked in the transaction that makes the image's rows: only then are the bytes safe.
    pub fn check(&self, transaction: &Connection) -> Result<()> {
        if leases::exists(transaction, &self.id)? { Ok(()) } else { Err(Error::LeaseExpired) }
    }

    /// Holds more, and every blob. What is held before it is looked for stays when it is found.
    pub fn hold(&self, refs: &[Ref]) -> Result<()> {
        self.write(|connection| -> Result<()> {
            self.check(connection)?;
            Ok(leases::hold(connection, &self.id, refs)?)
        })
    }

    fn write<T, E: From<crate::db::Error>>(
        &self,
        body: impl FnOnce(&Connection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.database.borrow_mut().write(|transaction| body(transaction))
    }
}
