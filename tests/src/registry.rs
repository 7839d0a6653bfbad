//! A registry (distribution-spec) for tests: in this process, on a port of the loopback that nobody had, with what goes
//! wrong written down beforehand.
//!
//! ```text
//! registry.rs         what a test says and asks    registry/http.rs     requests in, answers out
//! registry/serve.rs   the API                      registry/login.rs    passwords and tokens
//! registry/fault.rs   what goes wrong, and when    registry/tls.rs      a certificate for it
//! registry/debian.rs  the one of Debian, a process
//! ```
//!
//! It forgets everything at its end. None of our crates is used.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use sha2::Digest as _;

mod debian;
mod fault;
mod http;
mod login;
mod serve;
mod tls;

pub use debian::{DEBIAN_PASSWORD, DEBIAN_USER, DebianRegistry};
pub use fault::{Fault, When};
pub use http::Request;
pub use login::Login;
pub use tls::Authority;

/// Media type of an OCI manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an OCI index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of an OCI config.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of a layer that gzip compressed.
pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Media type of a plain layer.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// How a registry is set up.
#[derive(Default)]
pub struct Setup {
    /// Who is let in.
    pub login: Login,
    /// It speaks TLS, with a certificate of this authority.
    pub tls: Option<Authority>,
    /// It wants a certificate of its clients, of the same authority.
    pub client_certificates: bool,
    /// It knows nothing of referrers: `404`.
    pub no_referrers: bool,
    /// Entries of a page, whatever was asked for.
    pub page: Option<usize>,
}

/// A registry that serves until it is dropped.
pub struct Registry {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// What its threads share.
pub(crate) struct Shared {
    setup: Setup,
    secure: bool,
    ends: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    repositories: BTreeMap<String, Repository>,
    blobs: BTreeMap<String, Vec<u8>>,
    uploads: BTreeMap<String, Vec<u8>>,
    faults: Vec<fault::Planned>,
    seen: Vec<Request>,
    tokens: login::Tokens,
    connections: Vec<TcpStream>,
    connected: usize,
    counter: u64,
}

#[derive(Default)]
struct Repository {
    /// Digest → type and bytes.
    manifests: BTreeMap<String, (String, Vec<u8>)>,
    tags: BTreeMap<String, String>,
    blobs: Vec<String>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread of the registry panics with it")
    }
}

impl Registry {
    /// One that speaks plain HTTP and lets everybody in.
    pub fn new() -> Self {
        Self::with(Setup::default())
    }

    /// One that is set up otherwise.
    pub fn with(setup: Setup) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let config = setup.tls.as_ref().map(|authority| authority.server(setup.client_certificates));
        let (ends, state) = (AtomicBool::new(false), Mutex::default());
        let shared = Arc::new(Shared { secure: config.is_some(), setup, ends, state });
        let for_thread = shared.clone();
        let acceptor = std::thread::spawn(move || serve::accept(&listener, config.as_ref(), &for_thread));
        Self { address, shared, acceptor: Some(acceptor) }
    }

    /// `127.0.0.1:port`: the registry's name in names of images.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// `localhost:port`.
    pub fn name(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its address with the scheme that it speaks.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.shared.secure { "https" } else { "http" }, self.address)
    }

    /// A blob is there, for one repository; its digest.
    pub fn put_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        self.shared.state().put_blob(repository, &digest, bytes.to_vec());
        digest
    }

    /// A manifest or index is there, below a tag if it has one; its digest.
    pub fn put_manifest(
        &self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        bytes: &[u8],
    ) -> String {
        let digest = digest(bytes);
        let mut state = self.shared.state();
        let repository = state.repositories.entry(repository.to_owned()).or_default();
        repository.manifests.insert(digest.clone(), (media_type.to_owned(), bytes.to_vec()));
        if let Some(tag) = tag {
            repository.tags.insert(tag.to_owned(), digest.clone());
        }
        digest
    }

    /// An image is there: its config, its layers (type and bytes), and its manifest below a tag; the manifest's digest.
    pub fn put_image(
        &self,
        repository: &str,
        tag: Option<&str>,
        config: &[u8],
        layers: &[(&str, &[u8])],
    ) -> String {
        let descriptor = |media_type: &str, bytes: &[u8]| {
            let digest = self.put_blob(repository, bytes);
            serde_json::json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
        };
        let layers: Vec<_> = layers.iter().map(|(media_type, bytes)| descriptor(media_type, bytes)).collect();
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, config), "layers": layers,
        });
        self.put_manifest(repository, tag, MANIFEST, manifest.to_string().as_bytes())
    }

    /// From now on this goes wrong, so many times.
    pub fn fail(&self, when: When, fault: Fault, times: usize) {
        self.shared.state().faults.push(fault::Planned { when, fault, times });
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Request> {
        self.shared.state().seen.clone()
    }

    /// The requests of a method to paths with a text in them.
    pub fn seen_with(&self, method: &str, part: &str) -> Vec<Request> {
        let all = self.seen();
        all.into_iter().filter(|request| request.method == method && request.target.contains(part)).collect()
    }

    /// Connections so far.
    pub fn connected(&self) -> usize {
        self.shared.state().connected
    }

    /// A blob's bytes, whoever put it there.
    pub fn blob(&self, digest: &str) -> Option<Vec<u8>> {
        self.shared.state().blobs.get(digest).cloned()
    }

    /// The type and the bytes of what a tag or digest of a repository leads to.
    pub fn manifest(&self, repository: &str, at: &str) -> Option<(String, Vec<u8>)> {
        self.shared.state().manifest(repository, at)
    }

    /// The tags of a repository.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let state = self.shared.state();
        state
            .repositories
            .get(repository)
            .map(|found| found.tags.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// Uploads that nobody has ended.
    pub fn open_uploads(&self) -> usize {
        self.shared.state().uploads.len()
    }

    /// Every token that was given out is worth nothing any more.
    pub fn revoke_tokens(&self) {
        self.shared.state().tokens.revoke();
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        for connection in self.shared.state().connections.drain(..) {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl State {
    fn put_blob(&mut self, repository: &str, digest: &str, bytes: Vec<u8>) {
        self.blobs.insert(digest.to_owned(), bytes);
        self.repositories.entry(repository.to_owned()).or_default().blobs.push(digest.to_owned());
    }

    fn manifest(&self, repository: &str, at: &str) -> Option<(String, Vec<u8>)> {
        let repository = self.repositories.get(repository)?;
        let digest = repository.tags.get(at).map_or(at, String::as_str);
        repository.manifests.get(digest).cloned()
    }

    fn next_id(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }
}

/// `sha256:<hex>` of `bytes`.
pub fn digest(bytes: &[u8]) -> String {
    let hash = sha2::Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
