//! Archives whose files are taken by name and content, and never become files of these names: what images travel in.
//!
//! Owns the step from [`Archive`] to [`Member`]: a stream gives one after another with their data; a plain archive in
//! a file is only indexed, large members are jumped over. Names are bytes that a stranger chose.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use crate::error::Error;
use crate::limits::Limits;
use crate::tar::{Archive, EntryKind, Feed, Source, TarError};

/// Data of a member in a file that is jumped over instead of read: less than that costs as much as a jump.
const JUMP_BYTES: u64 = 1 << 20;
/// Bytes of a block.
const BLOCK: u64 = 512;

/// One entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// As the archive says it.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: MemberKind,
    /// Bytes of a file.
    pub size: u64,
    /// Where the data begins in the plain archive.
    pub at: u64,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberKind {
    /// A file.
    File,
    /// A symbolic link to this.
    Symlink(Vec<u8>),
    /// Another name of this member.
    Hardlink(Vec<u8>),
    /// A directory.
    Directory,
    /// A device, a pipe, or a file with holes.
    Other,
}

/// The members of an archive that comes as a stream, plain.
pub struct Members<'r> {
    archive: Archive<'r>,
    base: u64,
}

impl<'r> Members<'r> {
    /// Reads `reader`, which gives at most [`Limits::stream_bytes`].
    pub fn new(reader: &'r mut dyn Read, limits: &Limits) -> Self {
        Self::from(reader, 0, limits)
    }

    fn from(reader: &'r mut dyn Read, base: u64, limits: &Limits) -> Self {
        let source = Source::new(Feed::Reader(reader), limits.stream_bytes, None);
        Self { archive: Archive::new(source, limits.clone()), base }
    }

    /// The next one; what is left of the last one's data is skipped.
    pub fn next_member(&mut self) -> Result<Option<Member>, Error> {
        let Some(entry) = self.archive.next()? else { return Ok(None) };
        let kind = match entry.kind {
            EntryKind::File if entry.sparse.is_none() => MemberKind::File,
            EntryKind::Symlink => MemberKind::Symlink(entry.link),
            EntryKind::Hardlink => MemberKind::Hardlink(entry.link),
            EntryKind::Dir => MemberKind::Directory,
            EntryKind::File | EntryKind::Char | EntryKind::Block | EntryKind::Fifo => MemberKind::Other,
        };
        let at = self.base + self.archive.taken();
        Ok(Some(Member { name: entry.path, kind, size: entry.size, at }))
    }

    /// Reads the stream to its end, after the last member: a writer on a pipe is not cut off.
    pub fn finish(self) -> Result<(), Error> {
        self.archive.into_source().finish()?;
        Ok(())
    }
}

impl Read for Members<'_> {
    /// Data of the current member.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.archive.data(buffer.len() as u64).map_err(|e| match e {
            TarError::Read { source, .. } => source,
            TarError::Truncated { .. } => io::Error::new(io::ErrorKind::UnexpectedEof, e.to_string()),
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        })?;
        buffer[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}

/// Calls `visit` for every member of the plain archive in `file`.
pub fn index<E: From<Error>>(
    file: &File,
    limits: &Limits,
    mut visit: impl FnMut(Member) -> Result<(), E>,
) -> Result<(), E> {
    let mut from = 0;
    let mut seen = 0;
    let size = file.metadata().map_err(Error::Sniff)?.len();
    'jump: loop {
        let mut reader = At { file, at: from };
        let mut members = Members::from(&mut reader, from, limits);
        // After a jump to the very end there is no header left, which is no empty archive.
        if from > 0 && from >= size {
            return if from > size {
                Err(Error::from(TarError::Truncated { at: size }).into())
            } else {
                Ok(())
            };
        }
        while let Some(member) = members.next_member()? {
            seen += 1;
            if seen > limits.entries {
                return Err(Error::from(TarError::Limit { what: "entries", max: limits.entries }).into());
            }
            let (at, length) = (member.at, if member.kind == MemberKind::File { member.size } else { 0 });
            visit(member)?;
            if length > JUMP_BYTES {
                from = at.saturating_add(length).saturating_add(BLOCK - 1) / BLOCK * BLOCK;
                continue 'jump;
            }
        }
        return Ok(());
    }
}

/// A file read from a place of its own.
struct At<'f> {
    file: &'f File,
    at: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::testing::Tar;

    fn archive(big: usize) -> Vec<u8> {
        let tar = Tar::default().dir("blobs").file("blobs/one", "1").symlink("link", "blobs/one");
        tar.file("big", &"7".repeat(big)).file("last", "last").end()
    }

    fn names(members: &[Member]) -> Vec<String> {
        members.iter().map(|m| String::from_utf8_lossy(&m.name).into_owned()).collect()
    }

    #[test]
    fn a_stream_and_a_file_have_the_same_members() {
        for big in [0, 5, 3 << 20, (3 << 20) + 100] {
            let bytes = archive(big);
            let mut reader = &bytes[..];
            let mut streamed = Vec::new();
            let mut members = Members::new(&mut reader, &Limits::default());
            while let Some(member) = members.next_member().unwrap() {
                if member.name == b"last" {
                    let mut data = Vec::new();
                    members.read_to_end(&mut data).unwrap();
                    assert_eq!(data, b"last");
                    assert_eq!(bytes[member.at as usize..][..4], *b"last");
                }
                streamed.push(member);
            }
            members.finish().unwrap();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let mut indexed = Vec::new();
            index::<Error>(&file, &Limits::default(), |member| {
                indexed.push(member);
                Ok(())
            })
            .unwrap();
            assert_eq!(indexed, streamed);
            assert_eq!(names(&indexed).last().unwrap(), "last");
        }
    }

    #[test]
    fn a_file_that_ends_early_is_noticed() {
        let bytes = archive(3 << 20);
        let check = |length: usize| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes[..length]).unwrap();
            index::<Error>(&file, &Limits::default(), |_| Ok(()))
        };
        assert!(check(2 << 20).is_err());
        check(bytes.len()).unwrap();
    }
}
