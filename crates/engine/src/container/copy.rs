//! `cp`: files from a container to the host and back, by Docker's rules.
//!
//! Two sides, an archive between them. The host's side resolves paths of the host as whoever called may; the container's
//! side is a process in its namespaces (`inside.rs`). A path of one side is never resolved on the other.

use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use corten_storage::archive::{self, Extraction, Owners, Selection};
use corten_sys::path::Root;

use super::{resolve, view};
use crate::error::{Doing, OnFile};
use crate::{Engine, Result, inside};

/// How files are copied.
#[derive(Debug, Clone, Copy, Default)]
pub struct CopyOptions {
    /// Keep owners, and with them capabilities and set-id bits.
    pub archive: bool,
    /// A source that is a symlink stands for what it means.
    pub follow_link: bool,
}

/// What goes into a container.
pub enum Incoming<'a> {
    /// A file or directory of the host, an absolute path.
    Path(PathBuf),
    /// An archive.
    Stream(&'a mut dyn Read),
}

/// Where it goes that comes out of a container.
pub enum Outgoing<'a> {
    /// A path of the host, absolute.
    Path(PathBuf),
    /// An archive is written.
    Stream(&'a mut dyn Write),
}

/// Copies into the container at `path`; gives back how many bytes of archive that was.
pub fn copy_in(
    engine: &mut Engine,
    target: &str,
    path: &str,
    from: Incoming<'_>,
    options: CopyOptions,
) -> Result<u64> {
    copy_in_resolved(engine, target, path, from, options).doing("copy to container", target)
}

fn copy_in_resolved(
    engine: &mut Engine,
    target: &str,
    path: &str,
    from: Incoming<'_>,
    options: CopyOptions,
) -> Result<u64> {
    let container = resolve(engine, target)?;
    let owners = if options.archive { Owners::Kept } else { Owners::Own { trusted: true } };
    let stream = matches!(from, Incoming::Stream(_));
    let extraction = Extraction { path: in_container(path), stream, owners };
    let counted = AtomicU64::new(0);
    view::with_mounts(engine, container, target, |_, enter, view| match from {
        Incoming::Stream(tar) => {
            let mut plain = corten_storage::decompress(tar)?;
            inside::copy_in(enter, view, extraction, &mut Counting(&mut plain, &counted))
        }
        Incoming::Path(source) => {
            let selection = selection(&source, options.follow_link);
            let root = host()?;
            let pipe = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
            let (reader, writer) = pipe.map_err(|e| inside::Error::Spawn(e.into()))?;
            let (taken, packed) = std::thread::scope(|scope| {
                let packing = scope.spawn(|| {
                    let mut out = std::fs::File::from(writer);
                    archive::write_tree(&root, &selection, &mut out)
                });
                let mut tar = std::fs::File::from(reader);
                let taken = inside::copy_in(enter, view, extraction, &mut Counting(&mut tar, &counted));
                // Who still packs learns that nobody reads.
                drop(tar);
                (taken, packing.join())
            });
            match packed {
                // The other side gave up and says why.
                Ok(Err(corten_storage::Error::WriteArchive(_))) | Ok(Ok(())) => taken,
                Ok(Err(error)) => Err(error.into()),
                Err(_) => Err(inside::Error::Silent.into()),
            }
        }
    })?;
    Ok(counted.into_inner())
}

/// Copies out of the container from `path`; gives back how many bytes of archive that was.
pub fn copy_out(
    engine: &mut Engine,
    target: &str,
    path: &str,
    to: Outgoing<'_>,
    options: CopyOptions,
) -> Result<u64> {
    copy_out_resolved(engine, target, path, to, options).doing("copy from container", target)
}

fn copy_out_resolved(
    engine: &mut Engine,
    target: &str,
    path: &str,
    to: Outgoing<'_>,
    options: CopyOptions,
) -> Result<u64> {
    let container = resolve(engine, target)?;
    let selection = selection(&in_container(path), options.follow_link);
    let counted = AtomicU64::new(0);
    view::with_mounts(engine, container, target, |_, enter, view| {
        inside::copy_out(enter, view, selection, |tar| {
            let mut tar = Counting(tar, &counted);
            match to {
                Outgoing::Stream(out) => {
                    io::copy(&mut tar, out).map_err(corten_storage::Error::WriteArchive)?;
                }
                Outgoing::Path(path) => {
                    let owners = if options.archive { Owners::Kept } else { Owners::Own { trusted: false } };
                    archive::extract(&host()?, &Extraction { path, stream: false, owners }, &mut tar)?;
                }
            }
            Ok(())
        })
    })?;
    Ok(counted.into_inner())
}

/// The host's own root: its symlinks are the caller's.
fn host() -> Result<Root> {
    let root = Path::new("/");
    Root::open(root).on("open", root)
}

/// The first slash is optional.
fn in_container(path: &str) -> PathBuf {
    PathBuf::from(format!("/{path}"))
}

/// What a path selects, and what it is called: `dir/.` and the like mean a directory's content.
fn selection(path: &Path, follow: bool) -> Selection {
    let bytes = path.as_os_str().as_bytes();
    let end = bytes.iter().rposition(|b| *b != b'/').map_or(0, |last| last + 1);
    let name = bytes[..end].rsplit(|b| *b == b'/').next().unwrap_or_default();
    let name = if matches!(name, b"." | b"..") { b"" } else { name };
    Selection { path: path.to_owned(), name: name.to_vec(), follow }
}

/// Counts what is read.
struct Counting<'a>(&'a mut dyn Read, &'a AtomicU64);

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_is_called() {
        let check = |path: &str, name: &str| {
            assert_eq!(String::from_utf8(selection(Path::new(path), false).name).unwrap(), name, "{path}");
        };
        check("/a/b", "b");
        check("/a/b/", "b");
        check("/a/b//", "b");
        check("/a/b/.", "");
        check("/a/..", "");
        check("/", "");
        check("/.hidden", ".hidden");
    }
}
