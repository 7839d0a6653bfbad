//! A blob as a stream that goes on where it broke: after a pause it is asked for from the byte on that is missing.

use std::io::{self, Read};

use corten_model::Digest;
use ureq::http::{Method, StatusCode, header};

use super::repository::PULL;
use super::request::Answer;
use super::url::Url;
use super::{Endpoint, Error, Repository};
use crate::Descriptor;

/// Bytes after which a stream counts as new: what has got so far has its full number of tries again.
const PROGRESS: u64 = 1 << 20;

/// The bytes of one blob.
pub struct BlobReader {
    repository: Repository,
    digest: Digest,
    size: u64,
    /// The next byte.
    offset: u64,
    stream: Option<Stream>,
    /// Tries since the last progress, and where that was.
    tried: u32,
    since: u64,
}

/// A body that is being read.
struct Stream {
    reader: ureq::BodyReader<'static>,
    url: Url,
    endpoint: Endpoint,
}

impl BlobReader {
    pub(super) fn open(repository: &Repository, descriptor: &Descriptor, offset: u64) -> Result<Self, Error> {
        let Descriptor { digest, size, .. } = descriptor.clone();
        let repository = repository.clone();
        if offset > size {
            let host = repository.origin().authority.clone();
            return Err(Error::WrongSize { host, digest, expected: size, found: offset });
        }
        let mut reader = Self { repository, digest, size, offset, stream: None, tried: 0, since: offset };
        if offset < size {
            reader.stream = Some(reader.connect()?);
        }
        Ok(reader)
    }

    /// The number of the next byte.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The first endpoint that gives the rest.
    fn connect(&self) -> Result<Stream, Error> {
        self.repository.first(|endpoint| self.connect_to(endpoint))
    }

    fn connect_to(&self, endpoint: &Endpoint) -> Result<Stream, Error> {
        let below = format!("blobs/{}", self.digest);
        let mut ask = self.repository.ask(endpoint, Method::GET, &below, PULL)?;
        if self.offset > 0 {
            ask.headers.push((header::RANGE, format!("bytes={}-", self.offset)));
        }
        let answer = self.repository.run(endpoint, &ask)?;
        let host = endpoint.authority.clone();
        let skip = match answer.status() {
            StatusCode::OK => self.offset,
            StatusCode::PARTIAL_CONTENT if range_start(&answer) == Some(self.offset) => 0,
            StatusCode::NOT_FOUND => return Err(Error::BlobUnknown { digest: self.digest.clone(), host }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let (_, _, _, said) = answer.complaint();
                return Err(Error::PullDenied { repository: self.repository.name.clone(), said });
            }
            _ => return Err(answer.unexpected()),
        };
        let url = answer.url;
        let body = answer.response.into_body();
        let promised = body.content_length().map(|length| self.offset - skip + length);
        if promised.is_some_and(|promised| promised != self.size) {
            return Err(self.wrong_size(host, promised.unwrap_or_default()));
        }
        let mut reader = body.into_reader();
        if skip > 0 {
            let skipped = io::copy(&mut (&mut reader).take(skip), &mut io::sink());
            let skipped = skipped.map_err(|error| self.repository.inner.http.io_error(&url, error))?;
            if skipped < skip {
                return Err(broken(&host));
            }
        }
        Ok(Stream { reader, url, endpoint: endpoint.clone() })
    }

    fn wrong_size(&self, host: String, found: u64) -> Error {
        Error::WrongSize { host, digest: self.digest.clone(), expected: self.size, found }
    }

    /// Nothing may come after the last byte.
    fn finish(&mut self) -> Result<(), Error> {
        let Some(mut stream) = self.stream.take() else { return Ok(()) };
        match stream.reader.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.wrong_size(stream.endpoint.authority, self.size + 1)),
            // All bytes are there: how the connection ends is nobody's concern.
            Err(_) => Ok(()),
        }
    }

    fn read_some(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let want = usize::try_from(self.size - self.offset).unwrap_or(usize::MAX).min(buf.len());
        loop {
            let failed = match &mut self.stream {
                None => match self.connect() {
                    Ok(stream) => {
                        self.stream = Some(stream);
                        continue;
                    }
                    Err(error) => error,
                },
                Some(stream) => match stream.reader.read(&mut buf[..want]) {
                    Ok(0) => broken(&stream.endpoint.authority),
                    Ok(count) => {
                        self.offset += count as u64;
                        return Ok(count);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => self.repository.inner.http.io_error(&stream.url, error),
                },
            };
            self.stream = None;
            if !failed.may_pass() {
                return Err(failed);
            }
            if self.offset - self.since >= PROGRESS {
                (self.tried, self.since) = (0, self.offset);
            }
            self.tried += 1;
            let inner = &self.repository.inner;
            if self.tried >= inner.settings.retries.tries || !inner.pause(self.tried, None)? {
                return Err(failed);
            }
        }
    }
}

impl Read for BlobReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if self.offset == self.size {
            self.finish()?;
            return Ok(0);
        }
        Ok(self.read_some(buf)?)
    }
}

impl std::fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobReader").field("digest", &self.digest).field("offset", &self.offset).finish()
    }
}

fn broken(host: &str) -> Error {
    let source = io::Error::from(io::ErrorKind::UnexpectedEof);
    Error::Connection { host: host.to_owned(), may_pass: true, source: source.into() }
}

/// The first byte of an answer that is a part: `bytes 5-9/10`.
fn range_start(answer: &Answer) -> Option<u64> {
    answer.header(header::CONTENT_RANGE)?.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}
