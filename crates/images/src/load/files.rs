//! What an archive or a directory holds, by name: places of bytes, never files of these names.
//!
//! A name is looked up in a table, and links are followed in the table: nothing that an archive says becomes a path
//! of the host. In a directory names are opened below it and don't lead out of it. A name that is there twice is
//! refused, because readers differ in which one they take.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use corten_model::Digest;
use corten_storage::{Member, MemberKind};
use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::verified::Verified;
use crate::Error;
use crate::document::{DOCUMENT_BYTES_MAX, Descriptor};

/// Members of an archive. An image of 128 layers in the oldest format has about 400.
pub(super) const MEMBERS_MAX: u64 = 50_000;
/// Bytes of all their names.
const NAMES_BYTES_MAX: usize = 8 << 20;
/// Links that lead to links.
const LINKS_MAX: u32 = 8;

/// Where a name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    File {
        at: u64,
        size: u64,
    },
    Link(String),
    /// It came by in a stream and was used, or is not needed.
    Passed,
}

/// The names of an archive.
#[derive(Debug, Default)]
pub(super) struct Table {
    places: HashMap<String, Place>,
    names_bytes: usize,
}

impl Table {
    /// Takes a member in. `Some`: a file of this name, whose place is to be told with [`Table::place`].
    pub fn take(&mut self, member: &Member) -> Result<Option<String>, Error> {
        // JSON can't name what is no text.
        let Ok(raw) = std::str::from_utf8(&member.name) else { return Ok(None) };
        let place = match &member.kind {
            MemberKind::Directory | MemberKind::Other => return Ok(None),
            MemberKind::File => Place::Passed,
            MemberKind::Symlink(to) | MemberKind::Hardlink(to) => {
                let symlink = matches!(member.kind, MemberKind::Symlink(_));
                let name = clean(raw, "")?;
                let base = if symlink { name.rsplit_once('/').map_or("", |(parent, _)| parent) } else { "" };
                match std::str::from_utf8(to).ok().map(|to| clean(to, base)) {
                    Some(Ok(to)) => Place::Link(to),
                    // Nobody is hurt by a link that nobody follows.
                    Some(Err(_)) | None => return Ok(None),
                }
            }
        };
        let name = clean(raw, "")?;
        self.names_bytes += name.len();
        if self.names_bytes > NAMES_BYTES_MAX {
            return Err(Error::TooMany { what: "bytes of names", max: NAMES_BYTES_MAX as u64 });
        }
        let is_file = place == Place::Passed;
        if self.places.insert(name.clone(), place).is_some() {
            return Err(Error::Twice { name });
        }
        Ok(is_file.then_some(name))
    }

    /// Says where a file's bytes are.
    pub fn place(&mut self, name: String, at: u64, size: u64) {
        self.places.insert(name, Place::File { at, size });
    }

    fn find(&self, name: &str) -> Result<Option<(u64, u64)>, Error> {
        let mut name = clean(name, "")?;
        for _ in 0..=LINKS_MAX {
            match self.places.get(&name) {
                Some(Place::File { at, size }) => return Ok(Some((*at, *size))),
                Some(Place::Link(to)) => name = to.clone(),
                Some(Place::Passed) | None => return Ok(None),
            }
        }
        Err(Error::Name { name, why: "too many links" })
    }
}

/// The name without `.`, empty parts and `..`, which may not lead out of the archive.
fn clean(name: &str, base: &str) -> Result<String, Error> {
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." if base.is_empty() || parts.pop().is_none() => {
                return Err(Error::Name { name: name.to_owned(), why: "it leads out of the archive" });
            }
            ".." => {}
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// Files by name.
pub(super) enum Files<'f> {
    /// A plain archive in a file, or what was spooled of a stream.
    Archive { table: Table, file: &'f File },
    /// A directory on the host.
    Directory(&'f OwnedFd),
}

impl Files<'_> {
    /// Whether there is such a file.
    pub fn has(&self, name: &str) -> Result<bool, Error> {
        match self {
            Files::Archive { table, .. } => Ok(table.find(name)?.is_some()),
            Files::Directory(_) => Ok(self.open(name)?.is_some()),
        }
    }

    /// The file's bytes as a stream, and how many there are.
    pub fn open(&self, name: &str) -> Result<Option<(Opened, u64)>, Error> {
        match self {
            Files::Archive { table, file } => {
                let Some((at, size)) = table.find(name)? else { return Ok(None) };
                let file = file.try_clone().map_err(Error::Read)?;
                Ok(Some((Opened { file, at, left: size }, size)))
            }
            Files::Directory(directory) => {
                let Some(file) = open_below(directory, &clean(name, "")?)? else { return Ok(None) };
                let size = file.metadata().map_err(Error::Read)?.len();
                Ok(Some((Opened { file, at: 0, left: size }, size)))
            }
        }
    }

    /// Where the file's bytes are in the archive.
    pub fn found(&self, name: &str) -> Result<Option<(u64, u64)>, Error> {
        match self {
            Files::Archive { table, .. } => table.find(name),
            Files::Directory(_) => Ok(None),
        }
    }

    /// A document's bytes.
    pub fn document(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some((file, size)) = self.open(name)? else { return Ok(None) };
        if size > DOCUMENT_BYTES_MAX {
            return Err(Error::TooLarge { what: name.to_owned(), max: DOCUMENT_BYTES_MAX });
        }
        let mut bytes = Vec::with_capacity(size as usize);
        file.take(DOCUMENT_BYTES_MAX).read_to_end(&mut bytes).map_err(Error::Read)?;
        Ok(Some(bytes))
    }

    /// The bytes of the document that `descriptor` describes, and nothing else.
    pub fn blob(&self, descriptor: &Descriptor) -> Result<Option<Vec<u8>>, Error> {
        let name = blob_name(&descriptor.digest);
        let Some((file, size)) = self.open(&name)? else { return Ok(None) };
        if size > DOCUMENT_BYTES_MAX {
            return Err(Error::TooLarge { what: name, max: DOCUMENT_BYTES_MAX });
        }
        check_size(descriptor, size)?;
        let mut bytes = Vec::with_capacity(size as usize);
        let mut verified = Verified::new(file, &descriptor.digest, size);
        verified.read_to_end(&mut bytes).map_err(|e| verified.error(e))?;
        Ok(Some(bytes))
    }
}

/// Where an OCI layout has a blob.
pub(super) fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The digest that a name in an OCI layout promises.
pub(super) fn promised(name: &str) -> Option<Digest> {
    format!("sha256:{}", name.strip_prefix("blobs/sha256/")?).parse().ok()
}

/// Whether a blob has as many bytes as its descriptor says.
pub(super) fn check_size(descriptor: &Descriptor, found: u64) -> Result<(), Error> {
    if found == descriptor.size {
        return Ok(());
    }
    Err(Error::WrongSize { what: descriptor.digest.to_string(), expected: descriptor.size, found })
}

fn open_below(directory: &OwnedFd, name: &str) -> Result<Option<File>, Error> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    // A named pipe would wait for a writer.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match rustix::fs::openat2(directory.as_fd(), name, flags, Mode::empty(), resolve) {
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(None),
        Err(rustix::io::Errno::XDEV | rustix::io::Errno::LOOP) => {
            return Err(Error::Name { name: name.to_owned(), why: "it leads out of the directory" });
        }
        other => File::from(other.map_err(|e| Error::Read(e.into()))?),
    };
    if !file.metadata().map_err(Error::Read)?.is_file() {
        return Err(Error::Name { name: name.to_owned(), why: "it is no file" });
    }
    Ok(Some(file))
}

/// A piece of a file as a stream. It shares no position with others.
pub(super) struct Opened {
    file: File,
    at: u64,
    left: u64,
}

impl Read for Opened {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..want], self.at)?;
        if count == 0 && want > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        (self.at, self.left) = (self.at + count as u64, self.left - count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, kind: MemberKind) -> Member {
        Member { name: name.into(), kind, size: 1, at: 512 }
    }

    fn table(links: &[(&str, &str)]) -> Table {
        let mut table = Table::default();
        table.take(&member("./a/layer.tar", MemberKind::File)).unwrap();
        table.place("a/layer.tar".into(), 512, 1);
        for (name, to) in links {
            table.take(&member(name, MemberKind::Symlink(to.as_bytes().to_vec()))).unwrap();
        }
        table
    }

    #[test]
    fn links_are_followed_within_the_archive() {
        let table =
            table(&[("b/layer.tar", "../a/layer.tar"), ("c", "b/layer.tar"), ("out", "../../etc/passwd")]);
        for name in ["a/layer.tar", "b/layer.tar", "c", "./a//layer.tar"] {
            assert_eq!(table.find(name).unwrap(), Some((512, 1)), "{name}");
        }
        assert_eq!(table.find("out").unwrap(), None);
        assert!(matches!(table.find("../a/layer.tar"), Err(Error::Name { .. })));
        let circle = self::table(&[("x", "y"), ("y", "x")]);
        assert!(matches!(circle.find("x"), Err(Error::Name { .. })));
    }

    #[test]
    fn names_that_are_tricks() {
        let mut table = table(&[]);
        let refused =
            |table: &mut Table, name: &str| table.take(&member(name, MemberKind::File)).unwrap_err();
        assert!(matches!(refused(&mut table, "../manifest.json"), Error::Name { .. }));
        assert!(matches!(refused(&mut table, "x/../../manifest.json"), Error::Name { .. }));
        assert!(matches!(refused(&mut table, "/a//layer.tar"), Error::Twice { .. }));
        assert_eq!(table.take(&member("dev", MemberKind::Other)).unwrap(), None);
    }
}
