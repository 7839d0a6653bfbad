//! Blobs on their way up: whole in one request; in parts where the registry finds that too large, or somebody wants
//! it; and from the byte on that the registry lacks, after a connection broke.
//!
//! ```text
//! POST ──▶ session ── PUT with everything ──────────────▶ there
//!             │  broke: GET session ─▶ offset   413 ─▶ parts
//!             └──── PATCH part, PATCH part, … ── PUT ───▶ there
//! ```

use std::io::{self, Read};

use corten_model::Digest;
use sha2::Digest as _;
use ureq::http::{HeaderName, Method, StatusCode, header};

use super::http::{Exchange, Payload};
use super::repository::PUSH;
use super::request::{Answer, reach};
use super::url::Url;
use super::{Error, Repository};
use crate::Descriptor;

/// Bytes of a part, where the registry finds the whole too large.
const PART_BYTES: u64 = 16 << 20;
/// From so many bytes on we ask first whether the registry wants them.
const EXPECT_FROM: u64 = 1 << 20;
/// What a registry may want as the least part.
const MIN_PART_HEADER: &str = "oci-chunk-min-length";
/// The most that it gets.
const MIN_PART_MAX: u64 = 1 << 30;

/// Opens what is uploaded at a byte.
pub type Open<'o> = dyn Fn(u64) -> io::Result<Box<dyn Read + Send>> + 'o;

/// An upload that the registry knows of.
struct Session {
    url: Url,
    /// The next byte.
    offset: u64,
    /// Bytes of a part; `None`: all in one.
    part: Option<u64>,
}

/// What came of a request with bytes.
enum Sent {
    /// The whole blob is there.
    Done,
    /// The session goes on.
    Part,
    /// The registry wants other bytes, or knows nothing of the session.
    Lost(Error),
    /// It is too much at once.
    TooLarge(Error),
}

impl Repository {
    /// Makes a blob of another repository of the same registry one of this, without sending it; whether that went.
    pub fn mount(&self, digest: &Digest, from: &str) -> Result<bool, Error> {
        let origin = self.origin();
        let mut ask = self.ask(origin, Method::POST, "blobs/uploads/", PUSH)?;
        ask.url = ask.url.with_query("mount", digest.as_str()).with_query("from", from);
        ask.bytes = Some(&[]);
        let answer = self.run(origin, &ask)?;
        match answer.status() {
            StatusCode::CREATED => Ok(true),
            StatusCode::ACCEPTED => {
                // The registry has begun an upload instead: nobody goes on with it.
                if let Some(url) = self.location(&answer) {
                    self.abandon(url);
                }
                Ok(false)
            }
            // The other repository isn't there or not for us.
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(false),
            _ => Err(self.push_error(answer)),
        }
    }

    /// Uploads a blob. `open` gives its bytes from any byte on.
    pub fn upload(&self, descriptor: &Descriptor, open: &Open<'_>) -> Result<(), Error> {
        let limits = &self.inner.settings.limits;
        let mut part = limits.upload_part_bytes.filter(|part| *part < descriptor.size);
        let mut session: Option<Session> = None;
        let mut tried = 0;
        loop {
            let result = match session.take() {
                Some(session) => Ok(session),
                None => self.begin(part),
            };
            let failed = match result {
                Err(error) => error,
                Ok(mut current) => match self.send(&mut current, descriptor, open) {
                    Ok(Sent::Done) => return Ok(()),
                    Ok(Sent::Part) => {
                        session = Some(current);
                        tried = 0;
                        continue;
                    }
                    Ok(Sent::TooLarge(error)) if part.is_none() && descriptor.size > PART_BYTES => {
                        self.abandon(current.url);
                        part = Some(PART_BYTES);
                        drop(error);
                        continue;
                    }
                    Ok(Sent::TooLarge(error)) => return Err(error),
                    Ok(Sent::Lost(error)) => error,
                    Err(error) if error.may_pass() => {
                        session = self.resume(&current, descriptor);
                        error
                    }
                    Err(error) => return Err(error),
                },
            };
            if matches!(failed, Error::Cancelled | Error::PushDenied { .. }) {
                return Err(failed);
            }
            tried += 1;
            if tried >= self.inner.settings.retries.tries || !self.inner.pause(tried, None)? {
                return Err(failed);
            }
        }
    }

    /// Uploads what `reader` gives, whose size and digest show at the end.
    pub fn upload_unsized(&self, reader: &mut dyn Read) -> Result<(Digest, u64), Error> {
        let session = self.begin(None)?;
        let mut hashing = Hashing { reader, hash: sha2::Sha256::new(), size: 0 };
        let payload = Payload::Stream { reader: &mut hashing, size: None };
        let answer = self.stream(Method::PATCH, &session.url, Vec::new(), payload)?;
        if answer.status() != StatusCode::ACCEPTED {
            return Err(self.push_error(answer));
        }
        let url = self.location(&answer).unwrap_or(session.url);
        let (size, digest) = (hashing.size, Digest::from_sha256(hashing.hash.finalize().into()));
        self.commit(url, &digest)?;
        Ok((digest, size))
    }

    /// Asks for a session.
    fn begin(&self, part: Option<u64>) -> Result<Session, Error> {
        let origin = self.origin();
        let mut ask = self.ask(origin, Method::POST, "blobs/uploads/", PUSH)?;
        ask.bytes = Some(&[]);
        let answer = self.run(origin, &ask)?;
        if answer.status() != StatusCode::ACCEPTED {
            return Err(self.push_error(answer));
        }
        let least = answer.header(MIN_PART_HEADER).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let url = self.location(&answer).ok_or_else(|| no_location(&answer))?;
        Ok(Session { url, offset: 0, part: part.map(|part| part.max(least.min(MIN_PART_MAX))) })
    }

    /// One request of an upload: everything, a part, or its end.
    fn send(&self, session: &mut Session, blob: &Descriptor, open: &Open<'_>) -> Result<Sent, Error> {
        let left = blob.size - session.offset;
        let whole = session.part.is_none() && session.offset == 0;
        if left == 0 && !whole {
            self.commit(session.url.clone(), &blob.digest)?;
            return Ok(Sent::Done);
        }
        let count = session.part.unwrap_or(left).min(left);
        let mut reader = open(session.offset).map_err(Error::Upload)?.take(count);
        let payload = Payload::Stream { reader: &mut reader, size: Some(count) };
        let (method, url, mut headers) = if whole {
            (Method::PUT, session.url.clone().with_query("digest", blob.digest.as_str()), Vec::new())
        } else {
            let range = format!("{}-{}", session.offset, session.offset + count - 1);
            (Method::PATCH, session.url.clone(), vec![(header::CONTENT_RANGE, range)])
        };
        if count >= EXPECT_FROM {
            headers.push((header::EXPECT, "100-continue".to_owned()));
        }
        let answer = self.stream(method, &url, headers, payload)?;
        match answer.status() {
            StatusCode::CREATED | StatusCode::NO_CONTENT if whole => Ok(Sent::Done),
            status if status.is_success() && !whole => {
                session.offset += count;
                session.url = self.location(&answer).unwrap_or_else(|| session.url.clone());
                Ok(Sent::Part)
            }
            StatusCode::PAYLOAD_TOO_LARGE => Ok(Sent::TooLarge(answer.unexpected())),
            StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::UNAUTHORIZED => {
                Ok(Sent::Lost(answer.unexpected()))
            }
            _ => Err(self.push_error(answer)),
        }
    }

    /// Where an upload whose connection broke goes on; `None`: at its beginning.
    fn resume(&self, session: &Session, blob: &Descriptor) -> Option<Session> {
        let origin = self.origin();
        let mut ask = self.ask(origin, Method::GET, "", PUSH).ok()?;
        ask.url = session.url.clone();
        let answer = self.run(origin, &ask).ok()?;
        if answer.status() != StatusCode::NO_CONTENT {
            return None;
        }
        let (first, last) = answer.header(header::RANGE)?.trim_start_matches("bytes=").split_once('-')?;
        let last: u64 = last.parse().ok()?;
        // One byte and none look the same: `0-0`.
        if first != "0" || last == 0 || last >= blob.size {
            return None;
        }
        let url = self.location(&answer).unwrap_or_else(|| session.url.clone());
        Some(Session { url, offset: last + 1, part: Some(session.part.unwrap_or(blob.size)) })
    }

    /// Ends a session: the registry verifies the digest.
    fn commit(&self, url: Url, digest: &Digest) -> Result<(), Error> {
        let origin = self.origin();
        let mut ask = self.ask(origin, Method::PUT, "", PUSH)?;
        ask.url = url.with_query("digest", digest.as_str());
        ask.bytes = Some(&[]);
        ask.patience = self.inner.settings.limits.finish_upload;
        let answer = self.run(origin, &ask)?;
        if answer.status().is_success() { Ok(()) } else { Err(self.push_error(answer)) }
    }

    /// Tells the registry that nobody goes on with an upload. What it says to that changes nothing.
    fn abandon(&self, url: Url) {
        let origin = self.origin();
        if let Ok(mut ask) = self.ask(origin, Method::DELETE, "", PUSH) {
            (ask.url, ask.tries) = (url, 1);
            let _ = self.run(origin, &ask);
        }
    }

    /// A request whose body can be read only once.
    fn stream<'s>(
        &self,
        method: Method,
        url: &'s Url,
        mut headers: Vec<(HeaderName, String)>,
        payload: Payload<'s>,
    ) -> Result<Answer, Error> {
        let origin = self.origin();
        headers.push((header::CONTENT_TYPE, "application/octet-stream".to_owned()));
        // The session was had with the same authorization a moment ago.
        if url.same_origin(&origin.url(self.inner.is_secure(origin)?, ""))
            && let Some(authorization) = self.inner.authorization(origin, PUSH)
        {
            headers.push((header::AUTHORIZATION, authorization.value.expose().to_owned()));
        }
        let exchange = Exchange {
            method,
            url,
            headers,
            payload,
            patience: self.inner.settings.limits.finish_upload,
            reach: reach(origin, url),
        };
        let response = self.inner.http.send(exchange)?;
        Ok(Answer { response, url: url.clone() })
    }

    /// Where an answer says that an upload goes on. Registries behind a proxy often don't know that it speaks TLS.
    fn location(&self, answer: &Answer) -> Option<Url> {
        let next = answer.url.join(answer.header(header::LOCATION)?)?;
        if answer.url.secure && !next.secure {
            let same = next.host() == answer.url.host();
            return same.then(|| Url { path: next.path, ..answer.url.clone() });
        }
        Some(next)
    }
}

fn no_location(answer: &Answer) -> Error {
    Error::NotARegistry { url: answer.url.shown(), why: "it names no place to upload to".into() }
}

/// Counts and hashes what goes by.
struct Hashing<'h> {
    reader: &'h mut dyn Read,
    hash: sha2::Sha256,
    size: u64,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buf)?;
        self.hash.update(&buf[..count]);
        self.size += count as u64;
        Ok(count)
    }
}
