//! `--cidfile`: a file for the new container's id.
//!
//! It is made before anything else, so that two commands never share one, and goes again if no container comes to be.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Failure, Result};

/// The file, as long as nobody knows whether it gets an id.
pub struct CidFile {
    path: PathBuf,
    file: Arc<File>,
}

impl CidFile {
    /// Makes the file, which must not be there.
    pub fn create(path: &Path) -> Result<Self> {
        match File::options().write(true).create_new(true).open(path) {
            Ok(file) => Ok(Self { path: path.to_owned(), file: Arc::new(file) }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(Failure::CidFileExists(path.to_owned()))
            }
            Err(source) => Err(Failure::Write { path: path.to_owned(), source }),
        }
    }

    /// Where the engine writes the id.
    pub fn target(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }
}

impl Drop for CidFile {
    fn drop(&mut self) {
        if self.file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            // What stays empty is refused by the next command, which names it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn it_stays_only_with_an_id_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        drop(CidFile::create(&path).unwrap());
        assert!(!path.exists());
        let file = CidFile::create(&path).unwrap();
        assert!(matches!(CidFile::create(&path), Err(Failure::CidFileExists(_))));
        file.target().as_ref().write_all(b"id").unwrap();
        drop(file);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "id");
        assert!(matches!(CidFile::create(&dir.path().join("no/id")), Err(Failure::Write { .. })));
    }
}
