//! A file or directory that is there whole or not at all: it is made without its name, and gets that in the end.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Failure, Result};

/// Names tried before giving up.
const TRIES: u32 = 100;

/// What is being written.
pub struct OutputFile {
    file: File,
    /// Where it goes; none if it is written directly, to a device or a pipe.
    target: Option<PathBuf>,
    /// Its name until then, if it has one.
    temporary: Option<PathBuf>,
}

impl OutputFile {
    /// A file that will be at `target`, for its owner alone.
    pub fn create(target: &Path) -> Result<Self> {
        let failed = |source| Failure::Write { path: target.to_owned(), source };
        if let Ok(found) = fs::metadata(target)
            && !found.is_file()
        {
            let kind = found.file_type();
            if found.is_dir() {
                return Err(failed(io::ErrorKind::IsADirectory.into()));
            }
            if kind.is_char_device() || kind.is_fifo() {
                let file = File::options().write(true).open(target).map_err(failed)?;
                return Ok(Self { file, target: None, temporary: None });
            }
        }
        // What a symlink leads to is replaced, not the symlink.
        let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
        let parent = parent_of(&target);
        let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
        match rustix::fs::openat(CWD, parent, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => Ok(Self { file: fd.into(), target: Some(target), temporary: None }),
            Err(Errno::OPNOTSUPP | Errno::ISDIR) => {
                let (path, file) = unused(&target, |path| {
                    File::options().write(true).create_new(true).mode(0o600).open(path)
                })
                .map_err(failed)?;
                Ok(Self { file, target: Some(target), temporary: Some(path) })
            }
            Err(errno) => Err(failed(errno.into())),
        }
    }

    /// To write to.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// It is whole: gives it its name.
    pub fn keep(mut self) -> Result<()> {
        let Some(target) = self.target.take() else { return Ok(()) };
        let failed = |source| Failure::Write { path: target.clone(), source };
        self.file.sync_all().map_err(failed)?;
        if self.temporary.is_none() {
            // A name can be given to a nameless file only where there is none yet: a temporary one first.
            let from = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            let (path, ()) = unused(&target, |path| {
                Ok(rustix::fs::linkat(CWD, &from, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
            })
            .map_err(failed)?;
            self.temporary = Some(path);
        }
        if let Some(temporary) = &self.temporary {
            fs::rename(temporary, &target).map_err(failed)?;
        }
        self.temporary = None;
        Ok(())
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if let Some(path) = &self.temporary {
            // The failure that brought us here is told already.
            let _ = fs::remove_file(path);
        }
    }
}

/// A directory that will be at its target.
pub struct OutputDirectory {
    target: PathBuf,
    temporary: Option<PathBuf>,
}

impl OutputDirectory {
    /// One that will be at `target`, where nothing or an empty directory is.
    pub fn create(target: &Path) -> Result<Self> {
        let failed = |source| Failure::Write { path: target.to_owned(), source };
        if fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(failed(io::ErrorKind::DirectoryNotEmpty.into()));
        }
        let target: PathBuf = target.components().collect();
        let (path, ()) = unused(&target, |path| fs::create_dir(path)).map_err(failed)?;
        Ok(Self { target, temporary: Some(path) })
    }

    /// To fill.
    pub fn path(&self) -> &Path {
        self.temporary.as_deref().unwrap_or(&self.target)
    }

    /// It is whole: gives it its name.
    pub fn keep(mut self) -> Result<()> {
        if let Some(temporary) = &self.temporary {
            let target = &self.target;
            fs::rename(temporary, target)
                .map_err(|source| Failure::Write { path: target.clone(), source })?;
        }
        self.temporary = None;
        Ok(())
    }
}

impl Drop for OutputDirectory {
    fn drop(&mut self) {
        if let Some(path) = &self.temporary {
            // The failure that brought us here is told already.
            let _ = fs::remove_dir_all(path);
        }
    }
}

fn parent_of(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes something under a name beside `target` that nobody has.
fn unused<T>(target: &Path, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<(PathBuf, T)> {
    let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
    for number in 0..TRIES {
        let path = parent_of(target).join(format!(".{name}.{}-{number}", std::process::id()));
        match make(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other.map(|made| (path, made)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.tar");
        let mut output = OutputFile::create(&target).unwrap();
        output.file().write_all(b"half").unwrap();
        drop(output);
        assert!(names(dir.path()).is_empty());
        for content in ["one", "two"] {
            let mut output = OutputFile::create(&target).unwrap();
            output.file().write_all(content.as_bytes()).unwrap();
            output.keep().unwrap();
            assert_eq!(names(dir.path()), ["a.tar"]);
            assert_eq!(fs::read_to_string(&target).unwrap(), content);
        }
        assert!(OutputFile::create(dir.path()).is_err());
        OutputFile::create(Path::new("/dev/null")).unwrap().keep().unwrap();
    }

    #[test]
    fn a_directory_too() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out/");
        drop(OutputDirectory::create(&target).unwrap());
        assert!(names(dir.path()).is_empty());
        let output = OutputDirectory::create(&target).unwrap();
        fs::write(output.path().join("x"), "x").unwrap();
        output.keep().unwrap();
        assert_eq!(names(dir.path()), ["out"]);
        assert!(OutputDirectory::create(&target).is_err());
    }
}
