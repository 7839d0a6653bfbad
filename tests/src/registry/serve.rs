//! The API: connections come, requests are answered, what was planned to go wrong goes wrong.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::fault::{self, Fault};
use super::http::{self, Answer, Request};
use super::{INDEX, Shared, State, digest, login};

/// Bytes of a request's body.
const BODY_MAX: usize = 1 << 30;
/// Bytes of one write of a body without an end.
const ENDLESS_CHUNK: usize = 64 << 10;

trait Connection: Read + Write + Send {}
impl<C: Read + Write + Send> Connection for C {}

/// Takes connections until the registry ends; each has a thread of its own.
pub(super) fn accept(listener: &TcpListener, tls: Option<&Arc<ServerConfig>>, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.ends.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let Ok(copy) = stream.try_clone() else { continue };
        let mut state = shared.state();
        state.connected += 1;
        state.connections.push(copy);
        drop(state);
        let (tls, shared) = (tls.cloned(), shared.clone());
        std::thread::spawn(move || {
            // A connection that breaks is what many tests are about.
            let _ = serve(stream, tls, &shared);
        });
    }
}

fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, shared: &Shared) -> io::Result<()> {
    let socket = stream.try_clone()?;
    let connection: Box<dyn Connection> = match tls {
        Some(config) => {
            let session = ServerConnection::new(config).map_err(io::Error::other)?;
            Box::new(StreamOwned::new(session, stream))
        }
        None => Box::new(stream),
    };
    let mut reader = BufReader::new(connection);
    loop {
        let request = match http::read_head(&mut reader) {
            Ok(Some(request)) => request,
            Ok(None) => break,
            Err(_) => {
                // Somebody speaks TLS to us, or nothing that we know.
                let _ = http::write(reader.get_mut(), &Answer::new(400).head(Some(0)));
                break;
            }
        };
        if !exchange(request, &mut reader, shared)? {
            break;
        }
    }
    let _ = socket.shutdown(Shutdown::Both);
    Ok(())
}

/// One request and its answer; whether the connection goes on.
fn exchange(
    mut request: Request,
    reader: &mut BufReader<Box<dyn Connection>>,
    shared: &Shared,
) -> io::Result<bool> {
    let fault = fault::next(&mut shared.state().faults, &request);
    if let Some(Fault::Answer { status, .. }) = &fault
        && *status >= 400
        && request.header("expect").is_some()
    {
        // Refused before its body was sent.
        shared.state().seen.push(request.clone());
        answer(reader.get_mut(), &request, Answer::new(*status), fault, shared)?;
        return Ok(false);
    }
    if request.header("expect").is_some_and(|text| text.eq_ignore_ascii_case("100-continue")) {
        http::write(reader.get_mut(), b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let most = if let Some(Fault::CutRequest { after }) = &fault { *after } else { BODY_MAX };
    let whole = http::read_body(&mut request, reader, most)?;
    if !whole {
        let mut state = shared.state();
        let upload = request.path().to_owned();
        state.seen.push(request.clone());
        if let Some(kept) = state.uploads.get_mut(&upload) {
            kept.extend_from_slice(&request.body);
        }
        return Ok(false);
    }
    let proper = if matches!(fault, None | Some(Fault::WrongByte | Fault::NoLength | Fault::WholeRange))
        || matches!(fault, Some(Fault::Cut { .. } | Fault::Stall { .. } | Fault::Headers(_)))
    {
        if matches!(fault, Some(Fault::WholeRange)) {
            request.headers.retain(|(name, _)| name != "range");
        }
        dispatch(&request, shared)
    } else {
        Answer::new(200)
    };
    // Seen only when it is done: who waits for it to be seen finds what it changed.
    shared.state().seen.push(request.clone());
    answer(reader.get_mut(), &request, proper, fault, shared)
}

fn answer(
    writer: &mut dyn Write,
    request: &Request,
    mut proper: Answer,
    fault: Option<Fault>,
    shared: &Shared,
) -> io::Result<bool> {
    let mut cut = None;
    match fault {
        None | Some(Fault::WholeRange | Fault::CutRequest { .. }) => {}
        Some(Fault::Answer { status, headers, body }) => proper = Answer { status, headers, body },
        Some(Fault::Redirect { status, to }) => proper = Answer::new(status).with("Location", to),
        Some(Fault::TooMany { retry_after }) => {
            proper = Answer::complaint(429, "TOOMANYREQUESTS", "slow down").with("Retry-After", retry_after);
        }
        Some(Fault::WrongByte) => {
            if let Some(byte) = proper.body.first_mut() {
                *byte ^= 1;
            }
        }
        Some(Fault::Headers(headers)) => {
            for (name, value) in headers {
                proper = proper.with(&name, value);
            }
        }
        Some(Fault::Cut { after }) => cut = Some((after, false)),
        Some(Fault::Stall { after }) => cut = Some((after, true)),
        Some(Fault::NoLength) => {
            http::write(writer, &proper.head(None))?;
            http::write(writer, &proper.body)?;
            return Ok(false);
        }
        Some(Fault::Endless) => {
            http::write(writer, &proper.head(None))?;
            while !shared.ends.load(Ordering::SeqCst) {
                http::write(writer, &[b'x'; ENDLESS_CHUNK])?;
            }
            return Ok(false);
        }
        Some(Fault::Close) => return Ok(false),
        Some(Fault::Silence) => return silent(shared),
        Some(Fault::Garbage) => {
            http::write(writer, b"\x15\x03\x01\x00\x02\x02\x16")?;
            return Ok(false);
        }
    }
    http::write(writer, &proper.head(Some(proper.body.len())))?;
    if request.method == "HEAD" {
        return Ok(true);
    }
    match cut {
        Some((after, stalls)) => {
            http::write(writer, &proper.body[..after.min(proper.body.len())])?;
            if stalls { silent(shared) } else { Ok(false) }
        }
        None => http::write(writer, &proper.body).map(|()| true),
    }
}

/// Says nothing more until the registry ends.
fn silent(shared: &Shared) -> io::Result<bool> {
    while !shared.ends.load(Ordering::SeqCst) {
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    Ok(false)
}

fn dispatch(request: &Request, shared: &Shared) -> Answer {
    let mut state = shared.state();
    let path = request.path().to_owned();
    if path == "/token" {
        return login::token(shared, &mut state, request);
    }
    let Some(rest) = path.strip_prefix("/v2/") else { return Answer::new(404) };
    let (repository, place) = split(rest);
    let action = match (request.method.as_str(), place) {
        _ if repository.is_empty() => None,
        ("GET" | "HEAD", place) if !place.starts_with("blobs/uploads") => Some("pull"),
        ("DELETE", place) if place.starts_with("manifests") => Some("delete"),
        _ => Some("push"),
    };
    let wants = action.map(|action| format!("repository:{repository}:{action}"));
    if let Some(refused) = login::refused(shared, &state, request, wants.as_deref()) {
        return refused;
    }
    if rest.is_empty() {
        return Answer::new(200).body("application/json", b"{}".to_vec());
    }
    if rest == "_catalog" {
        let names: Vec<String> = state.repositories.keys().cloned().collect();
        return page(request, shared, "repositories", "/v2/_catalog", names);
    }
    match place.split_once('/') {
        Some(("manifests", at)) => manifests(request, shared, &mut state, repository, at),
        Some(("blobs", "uploads/")) => begin(request, &mut state, repository),
        Some(("blobs", at)) if at.starts_with("uploads/") => upload(request, &mut state, repository),
        Some(("blobs", at)) => blob(request, &state, repository, at),
        Some(("tags", _)) => {
            let Some(found) = state.repositories.get(repository) else {
                return Answer::complaint(404, "NAME_UNKNOWN", "repository name not known to registry");
            };
            let tags = found.tags.keys().cloned().collect();
            page(request, shared, "tags", &path, tags)
        }
        Some(("referrers", at)) if !shared.setup.no_referrers => {
            referrers(request, shared, &state, repository, at)
        }
        _ => Answer::new(404),
    }
}

/// The repository's name, and what of it is asked for.
fn split(rest: &str) -> (&str, &str) {
    let places = ["/manifests/", "/blobs/", "/tags/", "/referrers/"];
    let found = places.iter().filter_map(|place| rest.rfind(place)).max();
    found.map(|at| (&rest[..at], &rest[at + 1..])).unwrap_or_default()
}

fn manifests(request: &Request, shared: &Shared, state: &mut State, repository: &str, at: &str) -> Answer {
    match request.method.as_str() {
        "GET" | "HEAD" => match state.manifest(repository, at) {
            Some((media_type, bytes)) => {
                let digest = digest(&bytes);
                Answer::new(200).body(&media_type, bytes).with("Docker-Content-Digest", digest)
            }
            None if !state.repositories.contains_key(repository) => {
                Answer::complaint(404, "NAME_UNKNOWN", "repository name not known to registry")
            }
            None => Answer::complaint(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        },
        "PUT" => {
            let found = digest(&request.body);
            if at.starts_with("sha256:") && at != found {
                return Answer::complaint(400, "DIGEST_INVALID", "provided digest did not match");
            }
            let media_type = request.header("content-type").unwrap_or_default().to_owned();
            let subject = subject(&request.body);
            let repository = state.repositories.entry(repository.to_owned()).or_default();
            repository.manifests.insert(found.clone(), (media_type, request.body.clone()));
            if at != found {
                repository.tags.insert(at.to_owned(), found.clone());
            }
            let mut answer = Answer::new(201).with("Docker-Content-Digest", found);
            if let Some(subject) = subject.filter(|_| !shared.setup.no_referrers) {
                answer = answer.with("OCI-Subject", subject);
            }
            answer
        }
        "DELETE" => {
            let Some(repository) = state.repositories.get_mut(repository) else { return Answer::new(404) };
            let was = repository.tags.remove(at).is_some() || repository.manifests.remove(at).is_some();
            repository.tags.retain(|_, digest| digest != at);
            Answer::new(if was { 202 } else { 404 })
        }
        _ => Answer::new(405),
    }
}

fn blob(request: &Request, state: &State, repository: &str, digest: &str) -> Answer {
    let here =
        state.repositories.get(repository).is_some_and(|found| found.blobs.iter().any(|b| b == digest));
    let Some(bytes) = state.blobs.get(digest).filter(|_| here) else {
        return Answer::complaint(404, "BLOB_UNKNOWN", "blob unknown to registry");
    };
    let whole = Answer::new(200).with("Docker-Content-Digest", digest);
    let range = request.header("range").and_then(|text| text.strip_prefix("bytes="));
    match range.and_then(|text| text.split('-').next()?.parse::<usize>().ok()) {
        Some(first) if first >= bytes.len() => Answer::new(416),
        Some(first) => Answer::new(206)
            .body("application/octet-stream", bytes[first..].to_vec())
            .with("Content-Range", format!("bytes {first}-{}/{}", bytes.len() - 1, bytes.len())),
        None => whole.body("application/octet-stream", bytes.clone()),
    }
}

/// A new upload, or a blob of another repository.
fn begin(request: &Request, state: &mut State, repository: &str) -> Answer {
    if let (Some(digest), Some(from)) = (request.query("mount").pop(), request.query("from").pop()) {
        let there = state.repositories.get(&from).is_some_and(|found| found.blobs.contains(&digest));
        if there {
            state.repositories.entry(repository.to_owned()).or_default().blobs.push(digest);
            return Answer::new(201).with("Location", "/v2/");
        }
    }
    let location = format!("/v2/{repository}/blobs/uploads/{}", state.next_id());
    state.uploads.insert(location.clone(), Vec::new());
    Answer::new(202).with("Location", location)
}

fn upload(request: &Request, state: &mut State, repository: &str) -> Answer {
    let location = request.path().to_owned();
    let Some(kept) = state.uploads.get_mut(&location) else {
        return Answer::complaint(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
    };
    let range = |kept: &[u8]| format!("0-{}", kept.len().saturating_sub(1));
    let starts =
        request.header("content-range").and_then(|text| text.split('-').next()?.parse::<usize>().ok());
    if starts.is_some_and(|first| first != kept.len()) {
        return Answer::new(416).with("Location", location).with("Range", range(kept));
    }
    match request.method.as_str() {
        "GET" => Answer::new(204).with("Range", range(kept)).with("Location", location),
        "PATCH" => {
            kept.extend_from_slice(&request.body);
            Answer::new(202).with("Range", range(kept)).with("Location", location)
        }
        "PUT" => {
            kept.extend_from_slice(&request.body);
            let found = digest(kept);
            let bytes = state.uploads.remove(&location).unwrap_or_default();
            if request.query("digest") != [found.clone()] {
                return Answer::complaint(
                    400,
                    "DIGEST_INVALID",
                    "provided digest did not match uploaded content",
                );
            }
            state.put_blob(repository, &found, bytes);
            Answer::new(201).with("Docker-Content-Digest", found).with("Location", "/v2/")
        }
        "DELETE" => {
            state.uploads.remove(&location);
            Answer::new(204)
        }
        _ => Answer::new(405),
    }
}

/// The manifest that one is about.
fn subject(manifest: &[u8]) -> Option<String> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).ok()?;
    manifest["subject"]["digest"].as_str().map(str::to_owned)
}

fn referrers(request: &Request, shared: &Shared, state: &State, repository: &str, at: &str) -> Answer {
    let wanted = request.query("artifactType").pop();
    let mut found = Vec::new();
    for (digest, (media_type, bytes)) in
        state.repositories.get(repository).map(|found| found.manifests.iter()).into_iter().flatten()
    {
        let Ok(manifest) = serde_json::from_slice::<serde_json::Value>(bytes) else { continue };
        let kind = [&manifest["artifactType"], &manifest["config"]["mediaType"]];
        let kind = kind.into_iter().find_map(serde_json::Value::as_str).unwrap_or_default().to_owned();
        if manifest["subject"]["digest"] == at && wanted.as_ref().is_none_or(|wanted| *wanted == kind) {
            found.push(serde_json::json!({
                "mediaType": media_type, "digest": digest, "size": bytes.len(), "artifactType": kind,
            }));
        }
    }
    let (from, to, next) = window(request, shared, found.len());
    let index = serde_json::json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": found[from..to] });
    let mut answer = Answer::new(200).body(INDEX, index.to_string().into_bytes());
    if let Some(next) = next {
        answer = answer.with("Link", format!("<{}?last={next}>; rel=\"next\"", request.path()));
    }
    if wanted.is_some() { answer.with("OCI-Filters-Applied", "artifactType") } else { answer }
}

/// A page of a list of names, with the way to the next.
fn page(request: &Request, shared: &Shared, key: &str, path: &str, all: Vec<String>) -> Answer {
    let (from, to, next) = window(request, shared, all.len());
    let body = serde_json::json!({ "name": "x", key: all[from..to] });
    let answer = Answer::new(200).body("application/json", body.to_string().into_bytes());
    match next {
        Some(next) => answer.with("Link", format!("<{path}?last={next}>; rel=\"next\"")),
        None => answer,
    }
}

/// Which entries a page has, and the number of the next page's first.
fn window(request: &Request, shared: &Shared, count: usize) -> (usize, usize, Option<usize>) {
    let from = request.query("last").pop().and_then(|text| text.parse().ok()).unwrap_or(0).min(count);
    let to = from + shared.setup.page.unwrap_or(count).min(count - from);
    (from, to, (to < count).then_some(to))
}
