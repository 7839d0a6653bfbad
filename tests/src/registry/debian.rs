//! The registry that everybody else runs: Debian's docker-registry, as a process on the loopback.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// The name that [`DebianRegistry::closed`] lets in.
pub const DEBIAN_USER: &str = "me";
/// Its password.
pub const DEBIAN_PASSWORD: &str = "hunter2";
/// Both, as Apache keeps them.
const HTPASSWD: &str = "me:$2y$05$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8.\n";

/// A registry that ends when it is dropped.
pub struct DebianRegistry {
    child: Child,
    address: String,
    _dir: TempDir,
}

impl DebianRegistry {
    /// One that lets everybody in.
    pub fn new() -> Self {
        Self::start("")
    }

    /// One that wants a name and a password.
    pub fn closed() -> Self {
        Self::start("auth: {htpasswd: {realm: test, path: DIR/htpasswd}}\n")
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.address.clone()
    }

    fn start(auth: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("ctr").tempdir_in("/tmp").expect("/tmp can be written");
        let root = dir.path().to_str().expect("our own name");
        let config = format!(
            "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: DIR/data}}, delete: {{enabled: true}}}}\n\
             http: {{addr: 127.0.0.1:0}}\n{auth}"
        );
        std::fs::write(dir.path().join("htpasswd"), HTPASSWD).expect("our own directory");
        std::fs::write(dir.path().join("config.yml"), config.replace("DIR", root))
            .expect("our own directory");
        let mut child = Command::new(program())
            .arg("serve")
            .arg(dir.path().join("config.yml"))
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("there is a docker-registry: run `cargo xtask setup`");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut said = String::new();
        let address = loop {
            let before = said.len();
            let count = lines.read_line(&mut said).unwrap_or(0);
            assert!(count > 0, "docker-registry ended: {said}");
            if let Some((_, after)) = said[before..].split_once("listening on ") {
                let end = after.find(['"', ' ', '\n']).unwrap_or(after.len());
                break after[..end].to_owned();
            }
        };
        // Nobody may stop it by not reading.
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        Self { child, address, _dir: dir }
    }
}

impl Default for DebianRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for DebianRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> PathBuf {
    let unpacked =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/docker-registry/usr/bin/docker-registry");
    if unpacked.exists() { unpacked } else { "/usr/bin/docker-registry".into() }
}
