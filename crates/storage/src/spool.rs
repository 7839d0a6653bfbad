//! Bytes that came before their turn: a file without a name, so that no crash leaves it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use rustix::fs::FallocateFlags;

use crate::error::Error;
use crate::store::Store;
use crate::tar::TarError;
use crate::temp;

/// Bytes copied at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Bytes of the file system that a spool leaves free: databases and logs need room to go on.
const RESERVE_BYTES: u64 = 64 << 20;

/// A growing file on the store's file system, gone with its last descriptor.
#[derive(Debug)]
pub struct Spool {
    file: File,
    end: u64,
    buffer: Box<[u8]>,
}

impl Store {
    /// An empty spool.
    pub fn spool(&self) -> Result<Spool, Error> {
        let file = temp::nameless(self.root())?;
        Ok(Spool { file, end: 0, buffer: vec![0; CHUNK_BYTES].into_boxed_slice() })
    }
}

impl Spool {
    /// Keeps exactly `size` bytes of `reader`; where they begin. There must be room for them before the first is read.
    /// What can't be read is an error of the archive (`Tar`), what can't be written one of the spool.
    pub fn keep(&mut self, reader: &mut dyn Read, size: u64) -> Result<u64, Error> {
        let free = rustix::fs::fstatvfs(&self.file).map_err(|e| Error::Spool(e.into()))?;
        let free = free.f_bavail.saturating_mul(free.f_frsize);
        if free < size.saturating_add(RESERVE_BYTES) {
            return Err(Error::NoSpace { needed: size.saturating_add(RESERVE_BYTES), free });
        }
        let start = self.end;
        let mut left = size;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            let count = match reader.read(&mut self.buffer[..want]) {
                Ok(0) => return Err(unread(self.end, io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(unread(self.end, e)),
            };
            self.file.write_all_at(&self.buffer[..count], self.end).map_err(Error::Spool)?;
            self.end += count as u64;
            left -= count as u64;
        }
        Ok(start)
    }

    /// The file, to read what was kept.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives the disk back what `size` bytes from `start` on took: nobody reads them again.
    pub fn release(&self, start: u64, size: u64) {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // Where a file system can't, the space comes back with the end of the spool.
        let _ = rustix::fs::fallocate(&self.file, flags, start, size);
    }
}

fn unread(at: u64, source: io::Error) -> Error {
    TarError::Read { at, source }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_kept_one_after_another_and_nothing_is_left() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(&temp.path().join("s"), false).unwrap();
        let before = std::fs::read_dir(store.root()).unwrap().count();
        let mut spool = store.spool().unwrap();
        assert_eq!(spool.keep(&mut &b"first"[..], 5).unwrap(), 0);
        assert_eq!(spool.keep(&mut &b"second and more"[..], 6).unwrap(), 5);
        let mut bytes = [0; 6];
        spool.file().read_exact_at(&mut bytes, 5).unwrap();
        assert_eq!(&bytes, b"second");
        assert!(matches!(spool.keep(&mut &b"x"[..], 2), Err(Error::Tar(_))));
        assert!(matches!(spool.keep(&mut io::empty(), u64::MAX), Err(Error::NoSpace { .. })));
        spool.release(0, 5);
        assert_eq!(std::fs::read_dir(store.root()).unwrap().count(), before);
    }
}
