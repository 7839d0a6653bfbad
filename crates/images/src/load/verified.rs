//! Bytes that promise a digest: the last read fails unless they keep it, so nobody ends well with other bytes.

use std::io::{self, Read};

use corten_model::Digest;
use sha2::{Digest as _, Sha256};

use crate::Error;

/// A stream of `size` bytes that have the digest `expected`.
pub(super) struct Verified<R> {
    inner: R,
    expected: Digest,
    hash: Sha256,
    left: u64,
    found: Option<Digest>,
}

impl<R: Read> Verified<R> {
    /// Over `inner`, which has `size` bytes.
    pub fn new(inner: R, expected: &Digest, size: u64) -> Self {
        Self { inner, expected: expected.clone(), hash: Sha256::new(), left: size, found: None }
    }

    /// Reads what is left, for its digest's sake.
    pub fn finish(&mut self) -> Result<(), Error> {
        match io::copy(self, &mut io::sink()) {
            Ok(_) => Ok(()),
            Err(e) => Err(self.error(e)),
        }
    }

    /// Whether the bytes were other ones than was promised.
    fn broken(&self) -> Option<Error> {
        let found = self.found.as_ref().filter(|found| **found != self.expected)?;
        Some(Error::WrongDigest { expected: self.expected.clone(), found: found.clone() })
    }

    /// What a failed read means.
    pub fn error(&self, error: io::Error) -> Error {
        self.broken().unwrap_or(Error::Read(error))
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if want > 0 {
            let count = self.inner.read(&mut buffer[..want])?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.hash.update(&buffer[..count]);
            self.left -= count as u64;
            return Ok(count);
        }
        if self.left == 0 {
            let hash = &self.hash;
            let found = self.found.get_or_insert_with(|| Digest::from_sha256(hash.clone().finalize().into()));
            if *found != self.expected {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the digest is another one"));
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_promised_bytes_end_well() {
        let promised = Digest::from_sha256(Sha256::digest(b"{}").into());
        let check = |bytes: &[u8], size: u64, sound: bool| {
            let mut verified = Verified::new(bytes, &promised, size);
            assert_eq!(verified.finish().is_ok(), sound, "{bytes:?}");
        };
        check(b"{}", 2, true);
        check(b"{} and more", 2, true);
        check(b"[]", 2, false);
        check(b"{", 1, false);
        check(b"{", 2, false);
        check(b"", 0, false);
        let mut wrong = Verified::new(&b"[]"[..], &promised, 2);
        assert!(matches!(wrong.finish(), Err(Error::WrongDigest { .. })));
    }
}
