//! The database: what was asked for, and what was last learned.
//!
//! SQLite in WAL mode. Transitions of containers commit with `synchronous=NORMAL`: no fsync, and after a power
//! cut the newest of them may be gone, never torn. Images, tags and volumes commit with `FULL`. Nobody checkpoints
//! on the way out: the log of a few frames stays, and [`checkpoint`] is a process of its own when it has grown.
//!
//! No process opens this if it, or a parent it was forked from without exec, ever had it open: SQLite's POSIX locks
//! live in process-global state, and a forked copy believes in locks it doesn't hold. [`Database::open`] asserts it.

pub mod blobs;
pub mod broken;
pub mod containers;
pub mod events;
pub mod images;
pub mod leases;
pub mod sandboxes;
mod schema;
pub mod tags;
pub mod volumes;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use corten_model::Kind;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

/// The longest wait for another process's transaction; each takes well under a millisecond.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);
/// Frames of the write-ahead log after which an ended keeper has it folded into the database: each makes an opening
/// 1.5 µs slower, and a checkpoint syncs the disk under the next containers.
const CHECKPOINT_FRAMES: u64 = 256;
/// Compiled statements that are kept for the next time: of those that one command runs more than once.
const STATEMENTS: usize = 32;
/// A page and its header in the write-ahead log.
const FRAME_BYTES: u64 = 4096 + 24;

/// Errors of the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be opened or made.
    #[error("open the database `{}`", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// A newer binary made it.
    #[error("the database `{}` has version {found}, this binary knows up to {known}", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A statement failed.
    #[error("{what} in the database")]
    Statement {
        /// What was to be done.
        what: &'static str,
        /// Why not.
        #[source]
        source: rusqlite::Error,
    },
    /// A column holds what it can't hold.
    #[error("the database has a bad value in {column}: {why}")]
    Corrupt {
        /// The column.
        column: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// What database calls return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// What a caller can do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Error::Newer { .. } => Kind::Unsupported,
            Error::Open { source, .. } | Error::Statement { source, .. } => {
                match source.sqlite_error_code() {
                    Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DiskFull) => {
                        Kind::Unavailable
                    }
                    Some(rusqlite::ErrorCode::PermissionDenied | rusqlite::ErrorCode::ReadOnly) => {
                        Kind::Denied
                    }
                    _ => Kind::Internal,
                }
            }
            Error::Corrupt { .. } => Kind::Internal,
        }
    }

    /// Whether one row is to blame, and the others can be read and written.
    pub fn is_of_one_row(&self) -> bool {
        match self {
            Error::Corrupt { .. } => true,
            // SQLite is content, the value isn't what its column is for.
            Error::Statement { source, .. } => source.sqlite_error_code().is_none(),
            Error::Open { .. } | Error::Newer { .. } => false,
        }
    }

    /// Whether there is no room to write.
    pub fn is_disk_full(&self) -> bool {
        let (Error::Statement { source, .. } | Error::Open { source, .. }) = self else { return false };
        source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
    }

    /// What to try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Newer { .. } => Some("use the newer corten, or another `--root`".into()),
            Error::Statement { source, .. } | Error::Open { source, .. } => {
                match source.sqlite_error_code() {
                    Some(rusqlite::ErrorCode::DiskFull) => Some("the disk is full: free some space".into()),
                    _ => None,
                }
            }
            Error::Corrupt { .. } => Some("`corten system check` tells more".into()),
        }
    }
}

/// Names the statement that failed.
pub(crate) fn doing<T>(what: &'static str, result: rusqlite::Result<T>) -> Result<T> {
    result.map_err(|source| Error::Statement { what, source })
}

/// SQLite's lock on the index of the write-ahead log: whoever has the database open shares this byte of the index, and who
/// opens it while nobody does reads the whole log to make the index anew.
const INDEX_LOCK_BYTE: i64 = 128;

/// Keeps the index of the write-ahead log for others while it lives.
#[derive(Debug)]
pub struct IndexKept {
    _file: File,
}

impl IndexKept {
    /// Keeps the index of the database below `data`, which somebody has open, for all who open it from now on. No SQL is
    /// spoken, and a process that is forked may do this. `None`: it can't be kept; then they make it anew.
    pub fn keep(data: &Path) -> Option<IndexKept> {
        let file = File::options().read(true).write(true).open(data.join("corten.db-shm")).ok()?;
        corten_sys::byte_lock::share(std::os::fd::AsFd::as_fd(&file), INDEX_LOCK_BYTE).ok()?.then_some(())?;
        Some(IndexKept { _file: file })
    }
}

/// An open database.
pub struct Database {
    connection: Connection,
    path: PathBuf,
    /// Written to after each commit, if it is there: who waits for commits watches it.
    told: Option<PathBuf>,
}

impl Database {
    /// Opens `corten.db` below `data`, making it if it isn't there.
    pub fn open(data: &Path) -> Result<Database> {
        assert!(corten_sys::process::database_may_open(), "a forked process must not open the database");
        corten_sys::process::note_database_open();
        let path = data.join("corten.db");
        let open = |source| Error::Open { path: path.clone(), source };
        make_private(&path);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
        let connection = Connection::open_with_flags(&path, flags).map_err(open)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(open)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(open)?;
        connection
            .execute_batch("PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0; PRAGMA foreign_keys=ON;")
            .map_err(open)?;
        let mut database = Database { connection, path, told: None };
        schema::bring_up_to_date(&mut database)?;
        Ok(database)
    }

    /// Runs `body` in one write transaction: all of it or nothing.
    pub fn write<T, E: From<Error>>(
        &mut self,
        body: impl FnOnce(&rusqlite::Transaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let transaction = doing(
            "begin a transaction",
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate),
        )?;
        let value = body(&transaction)?;
        doing("commit a transaction", transaction.commit())?;
        if let Some(file) = self.told.as_ref().and_then(|path| File::options().write(true).open(path).ok()) {
            // Whoever misses this sees the database's log closed when we end.
            let _ = std::os::unix::fs::FileExt::write_at(&file, b".", 0);
        }
        Ok(value)
    }

    /// As [`Database::write`], and on the disk when it returns: for images, tags and volumes.
    pub fn write_durably<T, E: From<Error>>(
        &mut self,
        body: impl FnOnce(&rusqlite::Transaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        doing("set synchronous=FULL", self.connection.execute_batch("PRAGMA synchronous=FULL"))?;
        let value = self.write(body);
        doing("set synchronous=NORMAL", self.connection.execute_batch("PRAGMA synchronous=NORMAL"))?;
        value
    }

    /// Has the file at `path` written to after each commit from now on, as long as it is there.
    pub fn tell(&mut self, path: PathBuf) {
        self.told = Some(path);
    }

    /// The connection, for reading.
    pub fn read(&self) -> &Connection {
        &self.connection
    }
}

/// Makes the file, for its owner alone; SQLite gives the files beside it the same mode.
fn make_private(path: &Path) {
    use std::os::unix::fs::OpenOptionsExt;
    if !path.exists() {
        // What is wrong here, SQLite says in a moment.
        let _ = File::options().write(true).create_new(true).mode(0o600).open(path);
    }
}

/// Whether the write-ahead log below `data` is long enough to make every opening slower.
pub fn wants_checkpoint(data: &Path) -> bool {
    std::fs::metadata(data.join("corten.db-wal")).is_ok_and(|m| m.len() > CHECKPOINT_FRAMES * FRAME_BYTES)
}

/// Folds the write-ahead log into the database, with the newest `events_max` events and no older ones, unless somebody
/// else does it right now.
pub fn checkpoint(data: &Path, events_max: u32) -> Result<()> {
    let lock = File::create(data.join("checkpoint.lock"));
    let Ok(lock) = lock else { return Ok(()) };
    if lock.try_lock().is_err() {
        return Ok(());
    }
    let mut database = Database::open(data)?;
    database.write(|transaction| events::forget_old(transaction, events_max))?;
    doing("shorten the wait of a checkpoint", database.connection.busy_timeout(Duration::ZERO))?;
    doing("checkpoint", database.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    /// The log's two salts: with others than those of its frames, none of them counts.
    const SALTS_AT: u64 = 16;

    #[test]
    fn who_opens_it_while_the_index_is_kept_reads_no_log() {
        let check = |keeps: bool| {
            let dir = tempfile::tempdir().unwrap();
            let mut database = Database::open(dir.path()).unwrap();
            let kept = keeps.then(|| IndexKept::keep(dir.path()).unwrap());
            let insert =
                "INSERT INTO events (time_ns, kind, action, object, attributes) VALUES (1, '', '', '', '')";
            database.write(|t| doing("insert", t.execute(insert, []))).unwrap();
            checkpoint(dir.path(), u32::MAX).unwrap();
            database.write(|t| doing("insert", t.execute(insert, []))).unwrap();
            drop(database);
            let log = File::options().write(true).open(dir.path().join("corten.db-wal")).unwrap();
            log.write_all_at(&[0; 8], SALTS_AT).unwrap();
            let database = Database::open(dir.path()).unwrap();
            let count = database.read().query_row("SELECT count(*) FROM events", [], |row| row.get(0));
            drop(kept);
            count.unwrap()
        };
        let (with, without): (i64, i64) = (check(true), check(false));
        assert_eq!((with, without), (2, 1));
    }
}
