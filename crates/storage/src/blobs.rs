//! Manifests and configs by their digest: exact bytes, durable, verified whenever they are read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;

use corten_model::Digest;
use sha2::{Digest as _, Sha256};

use crate::error::{At, Error};
use crate::store::Store;
use crate::temp;

/// Bytes of a blob. Registries refuse manifests above 4 MiB; configs with a long history are larger.
pub const BLOB_BYTES_MAX: u64 = 16 << 20;

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// The blobs of a store.
#[derive(Debug, Clone, Copy)]
pub struct Blobs<'s> {
    pub(crate) store: &'s Store,
}

impl Blobs<'_> {
    /// Where a blob is.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.directory().join(digest.hex())
    }

    /// Keeps `bytes` durably.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, Error> {
        if bytes.len() as u64 > BLOB_BYTES_MAX {
            return Err(Error::BlobTooLarge { max: BLOB_BYTES_MAX });
        }
        let digest = sha256(bytes);
        // What is there but damaged is written anew.
        if self.get(&digest).is_err() {
            let steps = ["blob.written", "blob.synced", "blob.renamed"];
            temp::write_file(&self.directory(), digest.hex(), bytes, steps)?;
        }
        Ok(digest)
    }

    /// The bytes, after comparing them with their digest.
    pub fn get(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        let path = self.path(digest);
        let file = match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(Error::NoBlob(digest.clone())),
            other => other.at("open", &path)?,
        };
        let mut bytes = Vec::new();
        file.take(BLOB_BYTES_MAX + 1).read_to_end(&mut bytes).at("read", &path)?;
        if bytes.len() as u64 > BLOB_BYTES_MAX {
            return Err(Error::BlobTooLarge { max: BLOB_BYTES_MAX });
        }
        if sha256(&bytes) == *digest { Ok(bytes) } else { Err(Error::BlobDamaged(digest.clone())) }
    }

    /// A blob of any size, for reading; its bytes are unverified.
    pub fn open(&self, digest: &Digest) -> Result<File, Error> {
        let path = self.path(digest);
        match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Error::NoBlob(digest.clone())),
            other => other.at("open", &path),
        }
    }

    /// Whether the bytes of a blob of any size are what its name says.
    pub fn is_sound(&self, digest: &Digest) -> Result<bool, Error> {
        let mut file = self.open(digest)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            match file.read(&mut buffer).at("read", self.path(digest))? {
                0 => return Ok(Digest::from_sha256(hash.finalize().into()) == *digest),
                count => hash.update(&buffer[..count]),
            }
        }
    }

    /// Whether it is there, unverified.
    pub fn exists(&self, digest: &Digest) -> bool {
        self.path(digest).exists()
    }

    /// Removes it; one that isn't there is fine.
    pub fn remove(&self, digest: &Digest) -> Result<(), Error> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.at("remove", &path),
        }
    }

    /// All of them, unordered.
    pub fn list(&self) -> Result<Vec<Digest>, Error> {
        let directory = self.directory();
        let mut digests = Vec::new();
        for entry in fs::read_dir(&directory).at("read the directory", &directory)? {
            let name = entry.at("read the directory", &directory)?.file_name();
            digests.extend(name.to_str().and_then(|n| format!("sha256:{n}").parse().ok()));
        }
        Ok(digests)
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.store.join("blobs/sha256")
    }
}

/// The digest of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Digest::from_sha256(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_verified_and_mended() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(&temp.path().join("s"), false).unwrap();
        let blobs = store.blobs();
        let digest = blobs.put(b"{}").unwrap();
        assert_eq!(digest.hex(), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
        assert_eq!(blobs.get(&digest).unwrap(), b"{}");
        assert_eq!(blobs.list().unwrap(), std::slice::from_ref(&digest));
        fs::write(blobs.path(&digest), "[]").unwrap();
        assert!(matches!(blobs.get(&digest), Err(Error::BlobDamaged(_))));
        blobs.put(b"{}").unwrap();
        blobs.get(&digest).unwrap();
        blobs.remove(&digest).unwrap();
        blobs.remove(&digest).unwrap();
        assert!(matches!(blobs.get(&digest), Err(Error::NoBlob(_))));
        let big = vec![0; BLOB_BYTES_MAX as usize + 1];
        assert!(matches!(blobs.put(&big), Err(Error::BlobTooLarge { .. })));
    }
}
